/* SPDX-License-Identifier: MIT */
/*
 * Decimal adjustment: DAA DAS AAA AAS AAM AAD, and SALC. SDM 2A, 2B.
 *
 * A 64-bit host cannot execute them, so they follow the manual's text. Undefined flags: DAA, DAS, AAA and AAS
 * clear OF (and AAA, AAS set SF, ZF, PF by AL); AAM and AAD clear CF, AF and OF.
 */
#include "cpu/host_op.h"

/* SF, ZF and PF of a byte, the others given. */
static u16 byte_flags(u8 v, bool carry, bool adjust)
{
    return (u16)((v & 0x80 ? FL_SF : 0) | (v == 0 ? FL_ZF : 0) | (__builtin_parity(v) ? 0 : FL_PF) |
                 (carry ? FL_CF : 0) | (adjust ? FL_AF : 0));
}

static enum outcome decimal(struct cpu *c, int sign)
{
    u8 old = GET(u8, 0), al = old;
    bool carry = c->fl & FL_CF, low = (al & 15) > 9 || (c->fl & FL_AF), high = old > 0x99 || carry,
         borrow = false;
    if (low) {
        borrow = sign > 0 ? al > 0xff - 6 : al < 6;
        al = (u8)(al + sign * 6);
    }
    if (high)
        al = (u8)(al + sign * 0x60);
    put1(c, 0, al);
    c->fl = byte_flags(al, high || (low && (carry || borrow)), low);
    return DONE;
}

static enum outcome daa(struct cpu *c, const struct insn *in)
{
    return decimal(c, 1);
}

static enum outcome das(struct cpu *c, const struct insn *in)
{
    return decimal(c, -1);
}

/* AX changes as one: a carry out of AL + 6 reaches AH. */
static enum outcome ascii(struct cpu *c, int sign)
{
    u16 ax = GET(u16, 0);
    bool adjust = (ax & 15) > 9 || (c->fl & FL_AF);
    if (adjust)
        ax = (u16)(ax + sign * 0x106);
    ax &= 0xff0f;
    put2(c, 0, ax);
    c->fl = byte_flags((u8)ax, adjust, adjust);
    return DONE;
}

static enum outcome aaa(struct cpu *c, const struct insn *in)
{
    return ascii(c, 1);
}

static enum outcome aas(struct cpu *c, const struct insn *in)
{
    return ascii(c, -1);
}

static enum outcome aam(struct cpu *c, const struct insn *in)
{
    u8 al = GET(u8, 0), base = (u8)in->imm;
    if (base == 0)
        return fault_plain(c, VEC_DE);
    put2(c, 0, (u16)((al / base) << 8 | al % base));
    c->fl = byte_flags(al % base, false, false);
    return DONE;
}

static enum outcome aad(struct cpu *c, const struct insn *in)
{
    u8 al = (u8)(GET(u8, 0) + GET(u8, 1) * (u8)in->imm);
    put2(c, 0, al);
    c->fl = byte_flags(al, false, false);
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
