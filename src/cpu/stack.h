/* SPDX-License-Identifier: MIT */
/* Inline 64-bit push and pop for meanings of operand size 8, which exist in 64-bit mode only: no segment, no
 * mask. */
#ifndef CPU_STACK_H
#define CPU_STACK_H

#include "cpu/mmu.h"

/* Whether a push of `size` would fault, without doing it. */
enum outcome stack_probe(struct cpu *c, unsigned size);

static inline enum outcome push8(struct cpu *c, u64 value)
{
    u64 lin = c->regs[RSP] - 8;
    void *p = tlb_hit(c->tlb->view->write, lin, 8);
    if (unlikely(!p))
        return stack_push(c, 8, value);
    store_le(p, 8, value);
    c->regs[RSP] = lin;
    return DONE;
}

/* Reads the top of the stack; the caller moves RSP when nothing can fault any more. */
static inline enum outcome top8(struct cpu *c, u64 *value)
{
    const void *p = tlb_hit(c->tlb->view->read, c->regs[RSP], 8);
    if (likely(p)) {
        *value = load_le(p, 8);
        return DONE;
    }
    u64 rsp = c->regs[RSP];
    if (stack_pop(c, 8, value) != DONE)
        return FAULT;
    c->regs[RSP] = rsp;
    return DONE;
}

/* RSP += delta at the stack's address size: a 16-bit stack keeps the upper half. */
static inline void stack_move(struct cpu *c, u64 delta)
{
    u64 mask = stack_mask(c), sp = (c->regs[RSP] + delta) & mask;
    c->regs[RSP] = mask == 0xffff ? (c->regs[RSP] & ~mask) | sp : sp;
}

#endif
