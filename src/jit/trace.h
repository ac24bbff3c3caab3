/* SPDX-License-Identifier: MIT */
/*
 * A trace: the way that the processor took through several blocks of one page, to be translated as one.
 *
 * Recorded while the interpreter runs, block by block; it ends where it comes back to its first block (then
 * it is a loop), leaves the page, meets a block it has already, or takes a jump whose target is not in the
 * instruction. Each block is copied: nothing of the code cache has to stay.
 */
#ifndef JIT_TRACE_H
#define JIT_TRACE_H

#include "cpu/code.h"

#define TRACE_MAX    128 /* instructions */
#define TRACE_BLOCKS 24

struct trace {
    unsigned blocks;
    bool loop;
    u16 offset[TRACE_MAX + 1]; /* in the page, of each instruction; last, of where it goes on */
    u64 place[(sizeof(struct block) + TRACE_MAX * sizeof(struct uop)) / 8 + 1]; /* struct block */
};

static inline const struct block *trace_block(const struct trace *t)
{
    return (const struct block *)t->place;
}

void trace_begin(struct trace *t, const struct block *first);
/* b runs next. False: the trace has ended before it. */
bool trace_add(struct trace *t, const struct block *b);
/* More than a block by itself. */
bool trace_pays(const struct trace *t);

#endif
