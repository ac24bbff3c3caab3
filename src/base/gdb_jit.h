/* SPDX-License-Identifier: MIT */
/*
 * How a debugger of this process learns of generated code: gdb's JIT compilation interface (GDB manual, JIT
 * Compilation Interface). It asks for two names that are one for the whole process, so gdb_jit.c has mutable
 * globals, under a lock: any thread may call this, for any number of machines. Where no debugger is attached
 * it costs a list.
 *
 * Who is attached reads the image when it is registered, who comes later reads all that are. An image may not
 * change in between, since the process can be stopped and read at any instruction.
 */
#ifndef BASE_GDB_JIT_H
#define BASE_GDB_JIT_H

#include "base/types.h"

/* The caller's, zeroes at first; its shape is gdb's. */
struct gdb_jit_entry {
    struct gdb_jit_entry *next, *prev;
    const void *image; /* an object file in memory */
    u64 size;          /* 0: not registered */
};

/* An entry that is not registered. Entry and image stay until gdb_jit_unregister(). */
void gdb_jit_register(struct gdb_jit_entry *e, const void *image, size_t size);
/* One that is not registered is allowed. */
void gdb_jit_unregister(struct gdb_jit_entry *e);

#endif
