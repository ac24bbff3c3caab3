/* SPDX-License-Identifier: MIT */
/*
 * The translator: blocks of guest instructions to host code.
 *
 * It shares decoding, soft TLB and state with the interpreter and joins it through cpu/jit_port.h; what it
 * does not translate itself becomes a call of the instruction's meaning. frame.h says where guest state lies
 * meanwhile, runtime.c and runtime_vec.c move it. Blocks go on to each other without coming back
 * (lower_branch.c).
 *
 * The vCPUs of a machine share a code cache (cache.h). Make it before the sandbox closes: it maps executable
 * memory.
 */
#ifndef JIT_JIT_H
#define JIT_JIT_H

#include "base/err.h"
#include "cpu/cpu.h"
#include "jit/watch.h"

struct jit_cache;

/* For vCPUs of one model and one memory. options: NULL, or copied; what they point to outlives the cache.
 * NULL with err: the host has no memory for it. Freed when no vCPU is attached; NULL is allowed. */
struct jit_cache *jit_cache_new(const struct jit_options *options, struct err *err);
void jit_cache_free(struct jit_cache *k);

/* Before the vCPU runs; detach when it does not run any more. */
int must_check jit_attach(struct cpu *c, struct jit_cache *cache, struct err *err);
void jit_detach(struct cpu *c); /* a vCPU that was never attached is allowed */

/* What a vCPU did. */
struct jit_stats {
    u64 blocks;    /* translated */
    u64 native;    /* guest instructions translated */
    u64 called;    /* guest instructions translated to a call of their meaning */
    u64 behind;    /* traces that begin where an exit of another one leads */
    u64 given_up;  /* traces, for another one from the same place */
    u64 evictions; /* of a part of the cache, for new code */
};
void jit_stats(const struct cpu *c, struct jit_stats *s); /* zeroes when not attached */

/* For tests, while no other vCPU of the cache runs: translates b, at c->rip, and runs it, with nothing else
 * translated. The outcome as of cpu_settle(). */
struct block;
enum outcome jit_run_block(struct cpu *c, const struct block *b);

#endif
