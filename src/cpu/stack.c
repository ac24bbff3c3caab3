/* SPDX-License-Identifier: MIT */
/*
 * The stack: push and pop for everyone, PUSH POP PUSHA POPA PUSHF POPF ENTER LEAVE. SDM 2B; SDM 1 6.2.
 *
 * RSP moves only when the whole instruction can no longer fault.
 */
#include "cpu/stack.h"
#include "cpu/host_op.h"

u64 stack_mask(const struct cpu *c)
{
    if (c->mode == MODE_64)
        return ~0ull;
    return c->seg[SS].attr & SEG_DB ? 0xffffffff : 0xffff;
}

/* Linear address of a stack access; a non-canonical one is #SS. SDM 3A 6.15 */
static enum outcome stack_linear(struct cpu *c, u64 off, unsigned size, bool write, u64 *lin)
{
    if (c->mode != MODE_64)
        return mmu_linear_legacy(c, SS, off & stack_mask(c), size, write, lin);
    *lin = off;
    return canonical(off) && canonical(off + size - 1) ? DONE : fault_error(c, VEC_SS, 0);
}

enum outcome stack_probe(struct cpu *c, unsigned size)
{
    u64 lin;
    if (stack_linear(c, c->regs[RSP] - size, size, true, &lin) != DONE)
        return FAULT;
    return mmu_probe_write(c, lin, size, AS_CURRENT);
}

enum outcome stack_push(struct cpu *c, unsigned size, u64 value)
{
    u64 lin;
    if (stack_linear(c, c->regs[RSP] - size, size, true, &lin) != DONE ||
        mmu_store(c, lin, size, value) != DONE)
        return FAULT;
    stack_move(c, -(u64)size);
    return DONE;
}

enum outcome stack_pop(struct cpu *c, unsigned size, u64 *value)
{
    u64 lin;
    if (stack_linear(c, c->regs[RSP], size, false, &lin) != DONE || mmu_load(c, lin, size, value) != DONE)
        return FAULT;
    stack_move(c, size);
    return DONE;
}

/* Operand size 8 goes straight through the TLB, 2 and 4 through the general functions. */
static inline enum outcome push(struct cpu *c, unsigned n, u64 value)
{
    return n == 8 ? push8(c, value) : stack_push(c, n, value);
}

#define PUSH_POP(n, T, x, ...)                                                                               \
    static enum outcome push_E_r##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        return push(c, n, GET(T, in->rm_off));                                                               \
    }                                                                                                        \
    static enum outcome push_E_m##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        u64 v;                                                                                               \
        if (unlikely(operand_load(c, in, n, &v) != DONE))                                                    \
            return FAULT;                                                                                    \
        return push(c, n, v);                                                                                \
    }                                                                                                        \
    static enum outcome push_I##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        return push(c, n, (T)in->imm);                                                                       \
    }                                                                                                        \
    static enum outcome pop_E_r##n(struct cpu *c, const struct insn *in)                                     \
    {                                                                                                        \
        u64 v;                                                                                               \
        if (n == 8) {                                                                                        \
            if (unlikely(top8(c, &v) != DONE))                                                               \
                return FAULT;                                                                                \
            c->regs[RSP] += 8;                                                                               \
        } else if (stack_pop(c, n, &v) != DONE) {                                                            \
            return FAULT;                                                                                    \
        }                                                                                                    \
        put##n(c, in->rm_off, (T)v);                                                                         \
        return DONE;                                                                                         \
    }                                                                                                        \
    /* An address with RSP uses RSP after the pop. SDM 2B POP */                                             \
    static enum outcome pop_E_m##n(struct cpu *c, const struct insn *in)                                     \
    {                                                                                                        \
        u64 v, rsp = c->regs[RSP];                                                                           \
        if (stack_pop(c, n, &v) != DONE)                                                                     \
            return FAULT;                                                                                    \
        if (likely(operand_store(c, in, n, v) == DONE))                                                      \
            return DONE;                                                                                     \
        c->regs[RSP] = rsp;                                                                                  \
        return FAULT;                                                                                        \
    }

FOR_WIDE(PUSH_POP)
#define push_I1 NULL
DEFINE_MEANING_WIDE(push_E, push_E);
DEFINE_MEANING_WIDE(pop_E, pop_E);
DEFINE_MEANING_EACH(push_I, push_I);

/* Every slot is translated before the first is written. */
static enum outcome pusha(struct cpu *c, const struct insn *in)
{
    u64 lin[8], rsp = c->regs[RSP];
    for (unsigned i = 0; i < 8; i++) {
        if (stack_linear(c, rsp - (i + 1) * in->size, in->size, true, &lin[i]) != DONE ||
            mmu_probe_write(c, lin[i], in->size, AS_CURRENT) != DONE)
            return FAULT;
    }
    for (unsigned i = 0; i < 8; i++) {
        if (mmu_store(c, lin[i], in->size, c->regs[RAX + i]) != DONE)
            return FAULT;
    }
    stack_move(c, -(u64)(8 * in->size));
    return DONE;
}

static enum outcome popa(struct cpu *c, const struct insn *in)
{
    u64 v[8], rsp = c->regs[RSP];
    for (unsigned i = 8; i-- > 0;) {
        if (stack_pop(c, in->size, &v[i]) != DONE) {
            c->regs[RSP] = rsp;
            return FAULT;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i != RSP)
            reg_set(c, (u8)(i * 8), in->size, v[i]);
    }
    return DONE;
}

/* In virtual-8086 mode both need IOPL 3 (CR4.VME is not offered). SDM 3B 20.2.7 */
static bool flags_denied(const struct cpu *c)
{
    return (c->rflags & FLAG_VM) && (c->rflags & FLAG_IOPL) != FLAG_IOPL;
}

static enum outcome pushf(struct cpu *c, const struct insn *in)
{
    if (flags_denied(c))
        return fault_gp0(c);
    return stack_push(c, in->size, cpu_rflags(c) & ~(u64)(FLAG_VM | FLAG_RF));
}

static u64 popf_mask(const struct cpu *c, unsigned size)
{
    u64 mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
    if (size > 2)
        mask |= FLAG_AC | FLAG_ID;
    if (c->cpl == 0)
        mask |= FLAG_IOPL;
    if (c->cpl <= bits(c->rflags, 13, 12))
        mask |= FLAG_IF;
    return mask;
}

static enum outcome popf(struct cpu *c, const struct insn *in)
{
    u64 v, old = c->rflags;
    if (flags_denied(c))
        return fault_gp0(c);
    if (stack_pop(c, in->size, &v) != DONE)
        return FAULT;
    u64 mask = popf_mask(c, in->size);
    cpu_set_rflags(c, (cpu_rflags(c) & ~(mask | FLAG_RF)) | (v & mask));
    u64 changed = old ^ c->rflags;
    if (changed & FLAG_AC)
        cpu_mode_changed(c);
    return changed & (FLAG_AC | FLAG_IF | FLAG_TF) ? END : DONE;
}

DEFINE_MEANING_ONE(pusha, pusha);
DEFINE_MEANING_ONE(popa, popa);
DEFINE_MEANING_ONE(pushf, pushf);
DEFINE_MEANING_ONE(popf, popf);

/* SDM 2A ENTER: the frame pointers of the enclosing levels are copied from the old frame. */
static enum outcome enter_frames(struct cpu *c, unsigned size, unsigned level, u64 frame)
{
    u64 rbp = c->regs[RBP], lin, v;
    for (unsigned i = 1; i < level; i++) {
        rbp -= size;
        if (stack_linear(c, rbp, size, false, &lin) != DONE || mmu_load(c, lin, size, &v) != DONE ||
            stack_push(c, size, v) != DONE)
            return FAULT;
    }
    return level ? stack_push(c, size, frame) : DONE;
}

static enum outcome enter(struct cpu *c, const struct insn *in)
{
    u64 rsp = c->regs[RSP], lin;
    if (stack_push(c, in->size, c->regs[RBP]) != DONE)
        return FAULT;
    u64 frame = c->regs[RSP];
    bool ok = enter_frames(c, in->size, in->imm2 & 31, frame) == DONE;
    if (ok) {
        stack_move(c, -(u64)(u16)in->imm);
        ok = stack_linear(c, c->regs[RSP], in->size, true, &lin) == DONE &&
             mmu_probe_write(c, lin, in->size, AS_CURRENT) == DONE;
    }
    if (!ok) {
        c->regs[RSP] = rsp;
        return FAULT;
    }
    reg_set(c, RBP * 8, in->size, frame);
    return DONE;
}

static enum outcome leave(struct cpu *c, const struct insn *in)
{
    u64 rsp = c->regs[RSP], mask = stack_mask(c), v;
    c->regs[RSP] = mask == 0xffff ? (rsp & ~mask) | (c->regs[RBP] & mask) : c->regs[RBP] & mask;
    if (stack_pop(c, in->size, &v) != DONE) {
        c->regs[RSP] = rsp;
        return FAULT;
    }
    reg_set(c, RBP * 8, in->size, v);
    return DONE;
}

static enum outcome leave_8(struct cpu *c, const struct insn *in)
{
    u64 lin = c->regs[RBP];
    const void *p = tlb_hit(c->tlb->view->read, lin, 8);
    if (unlikely(!p))
        return leave(c, in);
    c->regs[RBP] = load_le(p, 8);
    c->regs[RSP] = lin + 8;
    return DONE;
}

DEFINE_MEANING_ONE(enter, enter);
const struct meaning m_leave = {{NULL, leave, leave, leave_8}, {NULL, NULL, NULL, NULL}};
