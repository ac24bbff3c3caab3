/* SPDX-License-Identifier: MIT */
/*
 * The decoded-instruction cache of one vCPU: straight runs of decoded instructions, keyed by where their
 * bytes lie in host memory (that is, by physical page) and by decoding mode.
 *
 * A block never leaves its page. It is valid while its page's code_version is the one it was decoded under;
 * the page is watched (mem/space.h), so every store to its bytes changes that. Blocks live in one arena that
 * is emptied when full: never keep a block across code_lookup().
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
    u8 mode;
    u8 count;
    u16 bytes;
    struct uop uop[];
};

struct code_stats {
    u64 decoded; /* instructions */
    u64 blocks, resets, stale;
};

struct code_cache *code_new(void);
void code_free(struct code_cache *k);
const struct code_stats *code_stats(const struct code_cache *k);

/* The block at host address `at` (in RAM) under c's mode; NULL when its first instruction crosses the page's
 * end or does not decode: then it is for the single-step path. */
const struct block *code_lookup(struct cpu *c, const u8 *at);

#endif
