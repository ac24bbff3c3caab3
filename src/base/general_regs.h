/* SPDX-License-Identifier: MIT */
/*
 * Functions between this and general_regs_end.h, a file's first and last include, touch general registers
 * alone. For what translated code calls while the host's vector and x87 registers hold a guest's; functions
 * of other files that it comes to need the same.
 */
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("general-regs-only"))), apply_to = function)
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("general-regs-only")
#endif
