/* SPDX-License-Identifier: MIT */
/* The registers a debugger sees: their description for gdb, and their bytes. Pure. */
#ifndef VM_GDB_REGISTERS_H
#define VM_GDB_REGISTERS_H

#include "vm/debugger.h"

enum { GDB_REGISTER_MAX = 16 }; /* bytes of one at most */

unsigned gdb_registers_count(void);
unsigned gdb_register_size(unsigned n); /* n < gdb_registers_count() */
void gdb_register_get(const struct debug_regs *r, unsigned n, u8 *out);
/* False: the value is refused, nothing changed. Registers of which a change alone would leave the processor
 * in a state it cannot be in (selectors, control registers, EFER.) take only the value they have. */
bool gdb_register_put(struct debug_regs *r, unsigned n, const u8 *in);

/* The target description, XML. buf gets at most size bytes of it and a zero byte; returns its whole length.
 */
size_t gdb_registers_describe(char *buf, size_t size);

#endif
