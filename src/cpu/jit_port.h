/* SPDX-License-Identifier: MIT */
/*
 * How a translator joins the processor without the processor knowing it. The interpreter's loop asks at every
 * block boundary; the translator runs what it has translated (calling the meanings for the rest), block after
 * block, until one is not translated, an outcome other than DONE, the end of the budget or a request, and
 * leaves c->rip, c->retired and all state as the interpreter would.
 */
#ifndef CPU_JIT_PORT_H
#define CPU_JIT_PORT_H

#include "cpu/cpu.h"
#include "cpu/nested/nested.h"

struct block;

struct jit_port {
    /* False: nothing translated here; the interpreter runs the block. */
    bool (*run)(struct cpu *c, const struct block *b, enum outcome *o);
};

/* Whether something waits at an instruction boundary that this vCPU may take now. */
bool cpu_attention(const struct cpu *c);

/* Whether the loop would run the next instructions as a block; if it does, cpu_begin_block() first. The
 * block's first instruction runs before anything asynchronous is looked at. */
bool cpu_runs_blocks(const struct cpu *c);
static inline void cpu_begin_block(struct cpu *c)
{
    if (nested_guest(c)) { /* it may leave */
        c->sti_shadow = c->shadow & SHADOW_STI ? c->retired : ~0ull;
        c->rf_held = c->rflags & FLAG_RF ? c->retired : ~0ull;
    }
    c->shadow = 0;
    c->rflags &= ~(u64)FLAG_RF;
}

/* What the loop does next after an outcome: DONE to go on with what is due at the boundary and then with a
 * block. */
enum outcome cpu_next(struct cpu *c, enum outcome o);

/* What the loop does after an instruction that did not end in DONE: advances RIP or not, names the right
 * fault. */
enum outcome cpu_settle(struct cpu *c, const struct insn *in, enum outcome o);

#endif
