/* SPDX-License-Identifier: MIT */
/*
 * The decoded-instruction cache of one vCPU: straight runs of decoded instructions, keyed by where their
 * bytes lie in host memory (that is, by physical page) and by decoding mode.
 *
 * A block never leaves its page, but for one of a single instruction that crosses its end. It is valid while
 * its page's code_version is the one it was decoded under; the page is watched (mem/space.h), so every store
 * to its bytes changes that. One that crosses also depends on the second page, and on what lies there. Blocks
 * live in one arena that is emptied when full: of blocks held across code_lookup() only what it returns is
 * valid.
 */
#ifndef CPU_CODE_H
#define CPU_CODE_H

#include "cpu/cpu.h"

#define BLOCK_MAX 32 /* instructions */

struct uop {
    meaning_fn fn;
    struct insn in;
};

struct block {
    const u8 *host; /* first byte */
    struct page_info *page;
    u32 version;
    u8 mode; /* c->code_mode it was decoded under */
    u8 count;
    u16 bytes;
    const u8 *host2; /* crosses: where its second page begins; else NULL, and the next two mean nothing */
    struct page_info *page2;
    u32 version2;
    struct block *next[2]; /* blocks that came after this one lately: a guess, to be checked like any block */
    struct uop uop[];
};

struct code_stats {
    u64 decoded; /* instructions */
    u64 blocks, resets, stale;
};

/* Of one of so many vCPUs: where there are many each has less room, as what is run often is translated once
 * for all of them. */
struct code_cache *code_new(unsigned vcpus);
void code_free(struct code_cache *k);
const struct code_stats *code_stats(const struct code_cache *k);

/* Equal before and after: the page's watched bytes are still what they were. */
static inline u32 code_version_of(const struct page_info *page)
{
    return __atomic_load_n(&page->code_version, __ATOMIC_SEQ_CST);
}

/* b is the valid block for host address `at` in c's present mode; of one that crosses only the first page is
 * looked at. */
static inline bool block_fits(const struct cpu *c, const struct block *b, const u8 *at)
{
    return b->host == at && b->mode == c->code_mode && b->version == code_version_of(b->page);
}

/* The block at host address `at` (in RAM) under c's mode; NULL when its first instruction crosses the page's
 * end or does not decode: then it is for the single-step path. */
struct block *code_lookup(struct cpu *c, const u8 *at);

/* The block of the instruction at `at` that crosses the page's end and goes on at host address `next` (in
 * RAM); NULL when it does not cross or does not decode. */
struct block *code_lookup_across(struct cpu *c, const u8 *at, const u8 *next);

/* The same after having run `prev` (NULL: nothing known), whose guesses it uses and improves. */
struct block *code_follow(struct cpu *c, struct block *prev, const u8 *at);

#endif
