/* SPDX-License-Identifier: MIT */
/* How the translator is to work, and what it tells about itself to whoever asked at jit_cache_new(). */
#ifndef JIT_WATCH_H
#define JIT_WATCH_H

#include <stdio.h>

#include "base/types.h"

struct block;
struct jit_runtime;
struct trace;

/* The code cache is evicted part by part. No part has more blocks. */
enum { JIT_PARTS = 16, JIT_PART_BLOCKS = 1 << 14 };

/* One piece of host code, while the callback runs. */
struct jit_view {
    const struct block *block; /* NULL: the routines that all blocks share */
    u64 rip;                   /* the block's, when it was translated */
    const u8 *code;            /* where it runs */
    size_t len;
    unsigned part;                      /* of the code cache, that a block lies in */
    const struct jit_runtime *routines; /* where they begin; NULL: a block */
    /* Where the code of each instruction begins, as an offset; behind the last, where out-of-line code does.
     */
    const u16 *at;
    const struct trace *trace; /* the block is its, or NULL */
    unsigned native, called;   /* instructions as host code and as calls of their meaning */
};

struct jit_watch {
    /* Or NULL. On the vCPU's thread, while nobody else can translate; of the routines (vcpu 0), in
     * jit_cache_new(). */
    void (*translated)(void *opaque, unsigned vcpu, const struct jit_view *v);
    /* Or NULL. That part of the code cache holds none of the code any more that was told of it; likewise. */
    void (*emptied)(void *opaque, unsigned part);
    void *opaque;
    /* How often a row (enum insn_id) called its meaning: it always does [0], its own code could not go on
     * [1]. ID_COUNT of them, for all vCPUs together; or NULL. */
    u64 (*counts)[2];
};

/* How it is to work; zeroes: as always. */
struct jit_options {
    struct jit_watch watch;
    unsigned hot;     /* runs of a block before it is translated */
    unsigned slice;   /* instructions between two looks at what others ask; no fewer than a trace has */
    unsigned samples; /* of slices, how many end at a block before a trace begins there; at most 255 */
    unsigned exits;   /* through one exit of a trace before C looks where it leads; a power of 2, 2 to 128 */
    bool stop;        /* a run ends where C ends it, with a fault not yet delivered */
    /* Not 0, but a seed: at random, the oldest of what is translated is evicted, blocks are interpreted all
     * the same, the TLB is emptied, code takes its slow cases, and the cache is tiny. A guest may not see
     * anything of that.
     */
    u64 chaos;
};

/* Guest beside host, a line an instruction. name: NULL, or gives names to constants in host code (addresses
 * of C's data and of routines); it returns false for what it does not know. */
typedef bool (*jit_name_fn)(void *opaque, u64 value, char *name, size_t cap);
void jit_show(const struct jit_view *v, jit_name_fn name, void *opaque, FILE *out);

#endif
