/* SPDX-License-Identifier: MIT */
/*
 * RFLAGS as a whole, and the instructions that move or set single flags: LAHF SAHF CLC STC CMC CLD STD. SDM
 * 1 3.4.3.
 *
 * Arithmetic flags are in c->fl, all others in c->rflags; only cpu_rflags() and cpu_set_rflags() know both.
 */
#include "cpu/flags.h"
#include "cpu/host_op.h"

/* SDM 1 appendix B, conditions 0, 2, 4, ... in bits 0, 2, 4; the odd ones are their opposites. */
#define C_(i) ((i)&1)
#define P_(i) ((i) >> 2 & 1)
#define O_(i) ((i) >> 3 & 1)
#define Z_(i) ((i) >> 6 & 1)
#define S_(i) ((i) >> 7 & 1)
#define EVEN(i)                                                                                              \
    (O_(i) | C_(i) << 2 | Z_(i) << 4 | (C_(i) | Z_(i)) << 6 | S_(i) << 8 | P_(i) << 10 |                     \
     (S_(i) ^ O_(i)) << 12 | (Z_(i) | (S_(i) ^ O_(i))) << 14)
#define ROW1(i)  (u16)(EVEN(i) | (~EVEN(i) & 0x5555) << 1)
#define ROW4(i)  ROW1(i), ROW1((i) + 1), ROW1((i) + 2), ROW1((i) + 3)
#define ROW16(i) ROW4(i), ROW4((i) + 4), ROW4((i) + 8), ROW4((i) + 12)
#define ROW64(i) ROW16(i), ROW16((i) + 16), ROW16((i) + 32), ROW16((i) + 48)
const u16 flags_conditions[256] = {ROW64(0), ROW64(64), ROW64(128), ROW64(192)};

u64 cpu_rflags(const struct cpu *c)
{
    u64 arith =
        (c->fl >> 8 & (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF)) | (c->fl & FL_OF ? FLAG_OF : 0);
    return (c->rflags & ~(u64)FLAGS_ARITH) | FLAG_R1 | arith;
}

void cpu_set_rflags(struct cpu *c, u64 value)
{
    c->fl = (u16)((value & (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF)) << 8 |
                  (value & FLAG_OF ? FL_OF : 0));
    c->rflags = (value & ~(u64)FLAGS_ARITH) | FLAG_R1;
}

enum { FL_LAHF = FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF };

static enum outcome lahf(struct cpu *c, const struct insn *in)
{
    if (c->mode == MODE_64 && !cpu_has(c, FEAT_LAHF64))
        return fault_ud(c);
    put1(c, 1, (u8)((c->fl & FL_LAHF) >> 8 | FLAG_R1));
    return DONE;
}

static enum outcome sahf(struct cpu *c, const struct insn *in)
{
    if (c->mode == MODE_64 && !cpu_has(c, FEAT_LAHF64))
        return fault_ud(c);
    c->fl = (u16)((c->fl & FL_OF) | (GET(u8, 1) << 8 & FL_LAHF));
    return DONE;
}

static enum outcome clc(struct cpu *c, const struct insn *in)
{
    c->fl &= (u16)~FL_CF;
    return DONE;
}

static enum outcome stc(struct cpu *c, const struct insn *in)
{
    c->fl |= FL_CF;
    return DONE;
}

static enum outcome cmc(struct cpu *c, const struct insn *in)
{
    c->fl ^= FL_CF;
    return DONE;
}

static enum outcome cld(struct cpu *c, const struct insn *in)
{
    c->rflags &= ~(u64)FLAG_DF;
    return DONE;
}

static enum outcome std(struct cpu *c, const struct insn *in)
{
    c->rflags |= FLAG_DF;
    return DONE;
}

DEFINE_MEANING_ONE(lahf, lahf);
DEFINE_MEANING_ONE(sahf, sahf);
DEFINE_MEANING_ONE(clc, clc);
DEFINE_MEANING_ONE(stc, stc);
DEFINE_MEANING_ONE(cmc, cmc);
DEFINE_MEANING_ONE(cld, cld);
DEFINE_MEANING_ONE(std, std);
