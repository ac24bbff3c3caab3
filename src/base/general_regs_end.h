/* SPDX-License-Identifier: MIT */
/* See general_regs.h. */
#ifdef __clang__
#pragma clang attribute pop
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
