/* SPDX-License-Identifier: MIT */
/*
 * Near JMP, CALL, RET, Jcc, LOOP, LOOPE, LOOPNE, JCXZ. SDM 2A, 2B.
 *
 * Operand size 8 exists in 64-bit mode only and is the only one there; sizes 2 and 4 mask RIP and check the
 * code segment's limit. The target is checked before anything changes.
 */
#include "cpu/flags.h"
#include "cpu/host_op.h"
#include "cpu/stack.h"

static inline enum outcome target_check(struct cpu *c, unsigned n, u64 *target)
{
    if (n == 8)
        return likely(canonical(*target)) ? DONE : fault_gp0(c);
    *target &= size_mask(n);
    return likely(*target <= c->seg[CS].limit) ? DONE : fault_gp0(c);
}

static inline enum outcome jump(struct cpu *c, unsigned n, u64 target)
{
    if (unlikely(target_check(c, n, &target) != DONE))
        return FAULT;
    c->regs[REG_RIP] = target;
    return DONE;
}

/* The push's own fault comes before the target's. */
static cold_path enum outcome call_refused(struct cpu *c, unsigned n)
{
    struct fault target = c->fault;
    if (stack_probe(c, n) == DONE)
        c->fault = target;
    return FAULT;
}

static inline enum outcome call(struct cpu *c, unsigned n, u64 target)
{
    u64 next = c->regs[REG_RIP];
    if (unlikely(target_check(c, n, &target) != DONE))
        return call_refused(c, n);
    if (unlikely((n == 8 ? push8(c, next) : stack_push(c, n, next)) != DONE))
        return FAULT;
    c->regs[REG_RIP] = target;
    return DONE;
}

static inline enum outcome ret_release(struct cpu *c, unsigned n, u64 release)
{
    u64 target, rsp = c->regs[RSP];
    if (n == 8) {
        if (unlikely(top8(c, &target) != DONE || target_check(c, 8, &target) != DONE))
            return FAULT;
        c->regs[RSP] = rsp + 8 + release;
    } else {
        if (stack_pop(c, n, &target) != DONE)
            return FAULT;
        if (target_check(c, n, &target) != DONE) {
            c->regs[RSP] = rsp;
            return FAULT;
        }
        stack_move(c, release);
    }
    c->regs[REG_RIP] = target;
    return DONE;
}

static inline enum outcome jump_if(struct cpu *c, const struct insn *in, unsigned n, bool taken)
{
    u64 target = c->regs[REG_RIP] + (taken ? in->imm : 0);
    if (n == 8 && likely(canonical(target))) {
        c->regs[REG_RIP] = target;
        return DONE;
    }
    return taken ? jump(c, n, target) : DONE;
}

static inline enum outcome loop_if(struct cpu *c, const struct insn *in, unsigned n, bool condition)
{
    u64 mask = size_mask(in->adsize), old = c->regs[RCX], count = (old - 1) & mask;
    c->regs[RCX] = in->adsize == 2 ? (old & ~mask) | count : count;
    if (likely(jump_if(c, in, n, count != 0 && condition) == DONE))
        return DONE;
    c->regs[RCX] = old;
    return FAULT;
}

#define NEAR(n, T, x, ...)                                                                                   \
    static enum outcome jmp_J##n(struct cpu *c, const struct insn *in)                                       \
    {                                                                                                        \
        return jump(c, n, c->regs[REG_RIP] + in->imm);                                                       \
    }                                                                                                        \
    static enum outcome jmp_E_r##n(struct cpu *c, const struct insn *in)                                     \
    {                                                                                                        \
        return jump(c, n, GET(T, in->rm_off));                                                               \
    }                                                                                                        \
    static enum outcome jmp_E_m##n(struct cpu *c, const struct insn *in)                                     \
    {                                                                                                        \
        u64 target;                                                                                          \
        if (unlikely(operand_load(c, in, n, &target) != DONE))                                               \
            return FAULT;                                                                                    \
        return jump(c, n, target);                                                                           \
    }                                                                                                        \
    static enum outcome call_J##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        return call(c, n, c->regs[REG_RIP] + in->imm);                                                       \
    }                                                                                                        \
    static enum outcome call_E_r##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        return call(c, n, GET(T, in->rm_off));                                                               \
    }                                                                                                        \
    static enum outcome call_E_m##n(struct cpu *c, const struct insn *in)                                    \
    {                                                                                                        \
        u64 target;                                                                                          \
        if (unlikely(operand_load(c, in, n, &target) != DONE))                                               \
            return FAULT;                                                                                    \
        return call(c, n, target);                                                                           \
    }                                                                                                        \
    static enum outcome ret##n(struct cpu *c, const struct insn *in)                                         \
    {                                                                                                        \
        return ret_release(c, n, 0);                                                                         \
    }                                                                                                        \
    static enum outcome ret_I##n(struct cpu *c, const struct insn *in)                                       \
    {                                                                                                        \
        return ret_release(c, n, (u16)in->imm);                                                              \
    }                                                                                                        \
    static enum outcome jcc##n(struct cpu *c, const struct insn *in)                                         \
    {                                                                                                        \
        return jump_if(c, in, n, flags_test(c->fl, in->opcode));                                             \
    }                                                                                                        \
    static enum outcome loop##n(struct cpu *c, const struct insn *in)                                        \
    {                                                                                                        \
        return loop_if(c, in, n, true);                                                                      \
    }                                                                                                        \
    static enum outcome loope##n(struct cpu *c, const struct insn *in)                                       \
    {                                                                                                        \
        return loop_if(c, in, n, c->fl & FL_ZF);                                                             \
    }                                                                                                        \
    static enum outcome loopne##n(struct cpu *c, const struct insn *in)                                      \
    {                                                                                                        \
        return loop_if(c, in, n, !(c->fl & FL_ZF));                                                          \
    }                                                                                                        \
    static enum outcome jcxz##n(struct cpu *c, const struct insn *in)                                        \
    {                                                                                                        \
        return jump_if(c, in, n, (c->regs[RCX] & size_mask(in->adsize)) == 0);                               \
    }

FOR_WIDE(NEAR)
#define NEAR_ROW(name)                                                                                       \
    const struct meaning m_##name = {{NULL, name##2, name##4, name##8}, {NULL, name##2, name##4, name##8}};
NEAR_ROW(jmp_J)
NEAR_ROW(call_J)
NEAR_ROW(ret)
NEAR_ROW(ret_I)
NEAR_ROW(jcc)
NEAR_ROW(loop)
NEAR_ROW(loope)
NEAR_ROW(loopne)
NEAR_ROW(jcxz)
DEFINE_MEANING_WIDE(jmp_E, jmp_E);
DEFINE_MEANING_WIDE(call_E, call_E);
