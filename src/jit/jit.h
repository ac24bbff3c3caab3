/* SPDX-License-Identifier: MIT */
/*
 * The translator: blocks of guest instructions to host code.
 *
 * It shares decoding, soft TLB and state with the interpreter and joins it through cpu/jit_port.h; what it
 * does not translate itself becomes a call of the instruction's meaning. frame.h says where guest state lies
 * meanwhile, runtime.c and runtime_vec.c move it. Blocks go on to each other without coming back
 * (lower_branch.c).
 *
 * Each vCPU has a cache of its own. Attach before the sandbox closes (it maps executable memory) and before
 * the vCPU runs; detach on the thread that owns the vCPU.
 */
#ifndef JIT_JIT_H
#define JIT_JIT_H

#include "base/err.h"
#include "cpu/cpu.h"
#include "jit/watch.h"

/* options: NULL, or copied; what they point to outlives the vCPU. */
int must_check jit_attach(struct cpu *c, const struct jit_options *options, struct err *err);
void jit_detach(struct cpu *c); /* a vCPU that was never attached is allowed */

struct jit_stats {
    u64 blocks; /* translated */
    u64 native; /* guest instructions translated */
    u64 called; /* guest instructions translated to a call of their meaning */
    u64 resets; /* times the cache was full and emptied */
};
void jit_stats(const struct cpu *c, struct jit_stats *s); /* zeroes when not attached */

/* For tests: translates b, at c->rip, and runs it, with nothing else translated. The outcome as of
 * cpu_settle(). */
struct block;
enum outcome jit_run_block(struct cpu *c, const struct block *b);

#endif
