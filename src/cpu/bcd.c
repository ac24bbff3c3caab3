/* SPDX-License-Identifier: MIT */
/*
 * Decimal adjustment: DAA DAS AAA AAS AAM AAD, and SALC. SDM 2A, 2B.
 *
 * A 64-bit host cannot execute them, so they are made of the addition or subtraction they stand for: AL and a
 * byte for DAA, DAS and AAD, AX and 0106h for AAA and AAS. The flags the manual leaves undefined are that
 * operation's, as on processors in 32-bit mode.
 */
#include "cpu/host_op.h"

#define ADJUST(name, T, x, op)                                                                               \
    static T name(T v, T by, u16 *fl)                                                                        \
    {                                                                                                        \
        asm(#op x " %[by], %[v]" FL_SAVE : [v] "+r"(v), "=&a"(*fl) : [by] "r"(by) : "cc");                   \
        return v;                                                                                            \
    }
ADJUST(add1, u8, "b", add)
ADJUST(sub1, u8, "b", sub)
ADJUST(add2, u16, "w", add)
ADJUST(sub2, u16, "w", sub)

static u16 with_carries(u16 fl, bool carry, bool adjust)
{
    return (u16)((fl & ~(FL_CF | FL_AF)) | (carry ? FL_CF : 0) | (adjust ? FL_AF : 0));
}

static enum outcome decimal(struct cpu *c, bool subtract)
{
    u8 al = GET(u8, 0);
    bool carry = c->fl & FL_CF, low = (al & 15) > 9 || (c->fl & FL_AF), high = al > 0x99 || carry;
    bool borrow = subtract && low && al < 6;
    u16 fl;
    put1(c, 0, (subtract ? sub1 : add1)(al, (u8)(low * 6 + high * 0x60), &fl));
    c->fl = with_carries(fl, high || borrow, low);
    return DONE;
}

static enum outcome daa(struct cpu *c, const struct insn *in)
{
    return decimal(c, false);
}

static enum outcome das(struct cpu *c, const struct insn *in)
{
    return decimal(c, true);
}

/* AX changes as one: a carry out of AL + 6 reaches AH. */
static enum outcome ascii(struct cpu *c, bool subtract)
{
    u16 ax = GET(u16, 0), fl;
    bool adjust = (ax & 15) > 9 || (c->fl & FL_AF);
    ax = (subtract ? sub2 : add2)(ax, adjust ? 0x106 : 0, &fl);
    put2(c, 0, ax & 0xff0f);
    c->fl = with_carries(fl, adjust, adjust);
    return DONE;
}

static enum outcome aaa(struct cpu *c, const struct insn *in)
{
    return ascii(c, false);
}

static enum outcome aas(struct cpu *c, const struct insn *in)
{
    return ascii(c, true);
}

static enum outcome aam(struct cpu *c, const struct insn *in)
{
    u8 al = GET(u8, 0), base = (u8)in->imm;
    if (base == 0)
        return fault_plain(c, VEC_DE);
    put2(c, 0, (u16)((al / base) << 8 | al % base));
    u16 fl;
    add1(al % base, 0, &fl);
    c->fl = fl;
    return DONE;
}

static enum outcome aad(struct cpu *c, const struct insn *in)
{
    u16 fl;
    put2(c, 0, add1(GET(u8, 0), (u8)(GET(u8, 1) * (u8)in->imm), &fl));
    c->fl = fl;
    return DONE;
}

static enum outcome salc(struct cpu *c, const struct insn *in)
{
    put1(c, 0, c->fl & FL_CF ? 0xff : 0);
    return DONE;
}

DEFINE_MEANING_ONE(daa, daa);
DEFINE_MEANING_ONE(das, das);
DEFINE_MEANING_ONE(aaa, aaa);
DEFINE_MEANING_ONE(aas, aas);
DEFINE_MEANING_ONE(aam, aam);
DEFINE_MEANING_ONE(aad, aad);
DEFINE_MEANING_ONE(salc, salc);
