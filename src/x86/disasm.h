/* SPDX-License-Identifier: MIT */
/* One instruction as text, for traces and crash reports only: nothing that runs may depend on it. */
#ifndef X86_DISASM_H
#define X86_DISASM_H

#include "x86/insn.h"

/* Intel syntax into out, always terminated; bytes that are no instruction become `db ...`. rip resolves
 * branch targets. */
void disasm(enum decode_mode mode, u64 rip, const u8 *bytes, unsigned len, char *out, size_t cap);

#endif
