/* SPDX-License-Identifier: MIT */
/*
 * A trace: the way that the processor took through several blocks, to be translated as one.
 *
 * Recorded while the interpreter runs, block by block; it ends where it comes back to its first block (then
 * it is a loop), meets a block it has already, goes to too many pages, or takes a jump whose target is not in
 * the instruction. A short loop is there several times. Each block is
 * copied: nothing of the code cache has to stay.
 */
#ifndef JIT_TRACE_H
#define JIT_TRACE_H

#include "cpu/code.h"

#define TRACE_MAX    128 /* instructions */
#define TRACE_BLOCKS 24
#define TRACE_PAGES  4

struct trace_page {
    const u8 *host;
    const struct page_info *info;
    u32 version;
    i64 delta; /* how far its linear address lies from the first one's */
};

struct trace {
    unsigned blocks, pages;
    bool loop;
    u64 rip;  /* of its beginning, when it was recorded */
    u64 last; /* of the last instruction's end */
    struct trace_page page[TRACE_PAGES];
    u8 at[TRACE_MAX + 1];      /* the page of each instruction; last, of where it goes on */
    u16 offset[TRACE_MAX + 1]; /* and where in it */
    u64 place[(sizeof(struct block) + TRACE_MAX * sizeof(struct uop)) / 8 + 1]; /* struct block */
};

static inline const struct block *trace_block(const struct trace *t)
{
    return (const struct block *)t->place;
}

/* rip: of the block, here and below. False: it does not do. */
bool trace_begin(struct trace *t, const struct block *first, u64 rip);
/* b runs next. False: the trace has ended before it. */
bool trace_add(struct trace *t, const struct block *b, u64 rip);
/* More than a block by itself. */
bool trace_pays(const struct trace *t);

#endif
