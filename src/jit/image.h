/* SPDX-License-Identifier: MIT */
/*
 * An ELF image, in memory, of a stretch of translated code: a symbol for each block, and how the stack is
 * unwound from any place in it. The code itself is not in it (SHT_NOBITS, at the address where it lies). For
 * debuggers, which take it for an object file that was loaded there.
 *
 * One thread at a time, and nobody reads it meanwhile.
 */
#ifndef JIT_IMAGE_H
#define JIT_IMAGE_H

#include "jit/unwind.h"

enum { JIT_IMAGE_NAME = 40 }; /* of a symbol, with its end, at most */

struct jit_image {
    u8 *file; /* the caller's memory, of jit_image_size(most) bytes */
    unsigned most, symbols;
    u64 start, end; /* addresses of code */
    size_t names;   /* bytes used */
    size_t range;   /* where the file says how much its last unwinding rows cover */
    u64 covers;     /* the address from which on they do */
};

size_t jit_image_size(unsigned symbols);

/* In zeroed memory or in that of an image that is done with. It begins at `start`, without symbols; rows: how
 * its stack lies, from offset 0 on. */
void jit_image_begin(struct jit_image *m, void *memory, unsigned most, const void *start,
                     const struct jit_unwind *row, unsigned rows);
/* Code that begins at or behind its end, which now is the code's. False: it has as many symbols as it may. */
bool jit_image_add(struct jit_image *m, const void *code, size_t len, const char *name);
/* All of another's symbols. */
bool jit_image_append(struct jit_image *m, const struct jit_image *other);

#endif
