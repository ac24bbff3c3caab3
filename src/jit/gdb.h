/* SPDX-License-Identifier: MIT */
/*
 * What a gdb that is attached to this process, or will be, knows of one code cache: names of blocks and
 * routines, and how the stack is unwound through them (base/gdb_jit.h).
 *
 * A block is known before it first runs. gdb reads an image as a whole each time, which takes it about 0.2 ms
 * and a microsecond a symbol, and more the more images there are. So each part of the cache is one image, and
 * its latest blocks are in a small one that is told anew with each block, until they go over to the part's.
 */
#ifndef JIT_GDB_H
#define JIT_GDB_H

#include "base/err.h"
#include "jit/watch.h"

struct jit_gdb;

/* All the memory it will need; before jit_cache_new(). NULL with err. */
struct jit_gdb *jit_gdb_new(struct err *err);
/* What it told is told to be gone; the cache may be freed already. NULL is allowed. */
void jit_gdb_free(struct jit_gdb *g);

/* For struct jit_watch's callbacks of the same names. */
void jit_gdb_translated(struct jit_gdb *g, const struct jit_view *v);
void jit_gdb_emptied(struct jit_gdb *g, unsigned part);

#endif
