/* SPDX-License-Identifier: MIT */
/*
 * Instructions on segment registers and descriptors: MOV, PUSH, POP, LDS and its like; LAR LSL VERR VERW
 * ARPL; the FS and GS base instructions. SDM 2A, 2B by name.
 */
#include "cpu/meanings.h"
#include "cpu/operands.h"
#include "cpu/system.h"

static enum outcome mov_ES(struct cpu *c, const struct insn *in)
{
    unsigned seg = in->reg & 7; /* REX.R has no say */
    if (seg > GS)
        return fault_ud(c);
    if (in->flags & INSN_MEM)
        return operand_store(c, in, 2, c->seg[seg].sel);
    reg_set(c, in->rm * 8, in->size, c->seg[seg].sel);
    return DONE;
}
DEFINE_MEANING_ONE(mov_ES, mov_ES);

static enum outcome source_selector(struct cpu *c, const struct insn *in, u16 *sel)
{
    u64 v;
    if (!(in->flags & INSN_MEM)) {
        *sel = (u16)reg_get(c, in->rm * 8, 2);
        return DONE;
    }
    if (operand_load(c, in, 2, &v) != DONE)
        return FAULT;
    *sel = (u16)v;
    return DONE;
}

/* Loading SS holds back interrupts and debug traps for one instruction. SDM 3A 6.8.3 */
static enum outcome loaded(struct cpu *c, unsigned seg)
{
    if (seg == SS)
        c->shadow |= SHADOW_MOV_SS;
    return END;
}

static enum outcome mov_SE(struct cpu *c, const struct insn *in)
{
    unsigned seg = in->reg & 7; /* REX.R has no say */
    u16 sel;
    if (seg > GS || seg == CS)
        return fault_ud(c);
    if (source_selector(c, in, &sel) != DONE || segment_load(c, seg, sel) != DONE)
        return FAULT;
    return loaded(c, seg);
}
DEFINE_MEANING_ONE(mov_SE, mov_SE);

/* The opcode names the register: 000xx110/111, or 10100/101 00x after 0F. */
static unsigned opcode_segment(const struct insn *in)
{
    return in->opcode >> 3 & 7;
}

static enum outcome push_S(struct cpu *c, const struct insn *in)
{
    return stack_push(c, in->size, c->seg[opcode_segment(in)].sel);
}
DEFINE_MEANING_ONE(push_S, push_S);

static enum outcome pop_S(struct cpu *c, const struct insn *in)
{
    unsigned seg = opcode_segment(in);
    u64 v, rsp = c->regs[RSP];
    if (stack_pop(c, in->size, &v) != DONE)
        return FAULT;
    if (segment_load(c, seg, (u16)v) != DONE) {
        c->regs[RSP] = rsp;
        return FAULT;
    }
    return loaded(c, seg);
}
DEFINE_MEANING_ONE(pop_S, pop_S);

static enum outcome load_far(struct cpu *c, const struct insn *in)
{
    static const u8 by_opcode[16] = {[0x2] = SS, [0x4] = FS, [0x5] = GS};
    unsigned seg = in->opcode == 0xc4 ? ES : in->opcode == 0xc5 ? DS : by_opcode[in->opcode & 15];
    unsigned size = in->size == 8 && c->model->vendor == VENDOR_AMD ? 4 : in->size;
    u8 image[10];
    u64 lin;
    if (insn_linear(c, in, size + 2, false, &lin) != DONE || mmu_read(c, lin, image, size + 2) != DONE)
        return FAULT;
    if (segment_load(c, seg, (u16)load_le(image + size, 2)) != DONE)
        return FAULT;
    reg_set(c, in->reg * 8, size, load_le(image, size));
    return loaded(c, seg);
}
DEFINE_MEANING_ONE(load_far, load_far);

static void set_zf(struct cpu *c, bool on)
{
    c->fl = (u16)((c->fl & ~FL_ZF) | (on ? FL_ZF : 0));
}

/* Types LAR and LSL answer for. SDM 2A tables 3-53, 3-57 */
static bool type_visible(const struct cpu *c, u64 d, bool lar)
{
    if (desc_s(d))
        return true;
    switch (desc_type(d)) {
    case SYS_LDT:
    case SYS_TSS:
    case SYS_TSS_BUSY:
        return true;
    case SYS_TSS16:
    case SYS_TSS16_BUSY:
        return !long_mode(c);
    case SYS_CALL:
        return lar;
    case SYS_CALL16:
    case SYS_TASK:
        return lar && !long_mode(c);
    default:
        return false;
    }
}

/* *ok: a descriptor that LAR, LSL, VERR and VERW may speak of. */
static enum outcome probe(struct cpu *c, const struct insn *in, u64 *d, bool *ok)
{
    u16 sel;
    if (!protected_mode(c))
        return fault_ud(c);
    if (source_selector(c, in, &sel) != DONE || descriptor_read(c, sel, d, ok) != DONE)
        return FAULT;
    *ok = *ok && (sel & ~3);
    if (*ok && !desc_conforming(*d))
        *ok = desc_dpl(*d) >= c->cpl && desc_dpl(*d) >= (sel & 3);
    return DONE;
}

static enum outcome lar(struct cpu *c, const struct insn *in)
{
    u64 d;
    bool ok;
    if (probe(c, in, &d, &ok) != DONE)
        return FAULT;
    ok = ok && type_visible(c, d, true);
    if (ok)
        reg_set(c, in->reg * 8, in->size, d >> 32 & 0xf0ff00);
    set_zf(c, ok);
    return DONE;
}
DEFINE_MEANING_ONE(lar, lar);

static enum outcome lsl(struct cpu *c, const struct insn *in)
{
    u64 d;
    bool ok;
    if (probe(c, in, &d, &ok) != DONE)
        return FAULT;
    ok = ok && type_visible(c, d, false);
    if (ok)
        reg_set(c, in->reg * 8, in->size, descriptor_decode(0, d).limit);
    set_zf(c, ok);
    return DONE;
}
DEFINE_MEANING_ONE(lsl, lsl);

static enum outcome verr(struct cpu *c, const struct insn *in)
{
    u64 d;
    bool ok;
    if (probe(c, in, &d, &ok) != DONE)
        return FAULT;
    set_zf(c, ok && desc_readable(d));
    return DONE;
}
DEFINE_MEANING_ONE(verr, verr);

static enum outcome verw(struct cpu *c, const struct insn *in)
{
    u64 d;
    bool ok;
    if (probe(c, in, &d, &ok) != DONE)
        return FAULT;
    set_zf(c, ok && desc_writable(d));
    return DONE;
}
DEFINE_MEANING_ONE(verw, verw);

static enum outcome arpl(struct cpu *c, const struct insn *in)
{
    u16 dest, rpl = (u16)(reg_get(c, in->reg * 8, 2) & 3);
    if (!protected_mode(c))
        return fault_ud(c);
    if (source_selector(c, in, &dest) != DONE)
        return FAULT;
    bool raise = (dest & 3) < rpl;
    u16 v = raise ? (u16)((dest & ~3) | rpl) : dest;
    if (!(in->flags & INSN_MEM))
        reg_set(c, in->rm * 8, 2, v);
    else if (raise && operand_store(c, in, 2, v) != DONE)
        return FAULT;
    set_zf(c, raise);
    return DONE;
}
DEFINE_MEANING_ONE(arpl, arpl);

static enum outcome read_base(struct cpu *c, const struct insn *in, unsigned seg)
{
    if (!(c->cr4 & CR4_FSGSBASE))
        return fault_ud(c);
    reg_set(c, in->rm * 8, in->size, c->seg[seg].base);
    return DONE;
}

static enum outcome write_base(struct cpu *c, const struct insn *in, unsigned seg)
{
    u64 v = reg_get(c, in->rm * 8, in->size);
    if (!(c->cr4 & CR4_FSGSBASE))
        return fault_ud(c);
    if (!canonical(v))
        return fault_gp0(c);
    c->seg[seg].base = v;
    return END;
}

static enum outcome rdfsbase(struct cpu *c, const struct insn *in)
{
    return read_base(c, in, FS);
}
static enum outcome rdgsbase(struct cpu *c, const struct insn *in)
{
    return read_base(c, in, GS);
}
static enum outcome wrfsbase(struct cpu *c, const struct insn *in)
{
    return write_base(c, in, FS);
}
static enum outcome wrgsbase(struct cpu *c, const struct insn *in)
{
    return write_base(c, in, GS);
}
DEFINE_MEANING_ONE(rdfsbase, rdfsbase);
DEFINE_MEANING_ONE(rdgsbase, rdgsbase);
DEFINE_MEANING_ONE(wrfsbase, wrfsbase);
DEFINE_MEANING_ONE(wrgsbase, wrgsbase);
