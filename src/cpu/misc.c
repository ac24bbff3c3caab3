/* SPDX-License-Identifier: MIT */
/*
 * NOP and hints, UD, fences, cache line flushes, CLZERO, RDRAND, RDSEED, BOUND, XLAT. SDM 2A, 2B.
 *
 * Guest memory is host memory and coherent: a flush has only its permission check left. Fences stay fences,
 * because other vCPUs are other threads.
 */
#include <sched.h>

#include "cpu/host_op.h"

#define PAUSES 256 /* of a vCPU between two offers of its time to others: some microseconds of a loop */

static enum outcome nop(struct cpu *c, const struct insn *in)
{
    return DONE;
}

static enum outcome ud(struct cpu *c, const struct insn *in)
{
    return fault_ud(c);
}

/* What it waits for may be the doing of a vCPU whose thread waits for this host processor. */
static enum outcome pause_hint(struct cpu *c, const struct insn *in)
{
    if (++c->pauses % PAUSES == 0)
        sched_yield();
    __builtin_ia32_pause();
    return DONE;
}

static enum outcome fence(struct cpu *c, const struct insn *in)
{
    __builtin_ia32_mfence();
    return DONE;
}

static enum outcome clflush(struct cpu *c, const struct insn *in)
{
    u64 v;
    return operand_load(c, in, 1, &v);
}

/* APM 3 CLZERO: the cache line that RAX points into. */
static enum outcome clzero(struct cpu *c, const struct insn *in)
{
    static const u8 zero[64];
    u64 lin;
    if (offset_linear(c, in->seg, c->regs[RAX] & size_mask(in->adsize), 1, true, &lin) != DONE)
        return FAULT;
    return mmu_write(c, lin & ~63ull, zero, 64);
}

DEFINE_MEANING_ONE(nop, nop);
DEFINE_MEANING_ONE(ud, ud);
DEFINE_MEANING_ONE(pause, pause_hint);
DEFINE_MEANING_ONE(lfence, fence);
DEFINE_MEANING_ONE(mfence, fence);
DEFINE_MEANING_ONE(sfence, fence);
DEFINE_MEANING_ONE(clflush, clflush);
DEFINE_MEANING_ONE(clzero, clzero);

/* A repeatable machine's numbers, splitmix64: never for secrets that matter outside the guest. */
static u64 repeatable_random(struct cpu *c)
{
    u64 z = c->random += 0x9e3779b97f4a7c15ull;
    c->random |= !c->random; /* 0 means the host's */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* CF tells success; all other arithmetic flags are 0. */
#define RANDOM(n, T, x, op)                                                                                  \
    static enum outcome op##n(struct cpu *c, const struct insn *in)                                          \
    {                                                                                                        \
        T v;                                                                                                 \
        u16 fl;                                                                                              \
        if (c->random) {                                                                                     \
            v = (T)repeatable_random(c);                                                                     \
            fl = FL_CF;                                                                                      \
        } else {                                                                                             \
            asm volatile(#op " %[v]" FL_SAVE : [v] "=&r"(v), "=&a"(fl)::"cc");                               \
        }                                                                                                    \
        c->fl = fl;                                                                                          \
        put##n(c, (u8)(in->rm * 8), v);                                                                      \
        return DONE;                                                                                         \
    }
FOR_WIDE(RANDOM, rdrand)
FOR_WIDE(RANDOM, rdseed)
#define rdrand1 NULL
#define rdseed1 NULL
DEFINE_MEANING_EACH(rdrand, rdrand);
DEFINE_MEANING_EACH(rdseed, rdseed);

static enum outcome bound(struct cpu *c, const struct insn *in)
{
    u64 lin, lo, hi;
    i64 v = sign_extend(reg_get(c, in->reg_off, in->size), in->size);
    if (insn_linear(c, in, 2 * in->size, false, &lin) != DONE || mmu_load(c, lin, in->size, &lo) != DONE ||
        mmu_load(c, lin + in->size, in->size, &hi) != DONE)
        return FAULT;
    if (v < sign_extend(lo, in->size) || v > sign_extend(hi, in->size))
        return fault_plain(c, VEC_BR);
    return DONE;
}

static enum outcome xlat(struct cpu *c, const struct insn *in)
{
    u64 lin, v, off = (c->regs[RBX] + GET(u8, 0)) & size_mask(in->adsize);
    if (offset_linear(c, in->seg, off, 1, false, &lin) != DONE || mmu_load(c, lin, 1, &v) != DONE)
        return FAULT;
    put1(c, 0, (u8)v);
    return DONE;
}

DEFINE_MEANING_ONE(bound, bound);
DEFINE_MEANING_ONE(xlat, xlat);
