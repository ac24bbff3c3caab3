/* SPDX-License-Identifier: MIT */
/* Descriptor-table registers: LGDT LIDT SGDT SIDT, LLDT LTR SLDT STR. SDM 3A 2.4; SDM 2A, 2B by name. Nothing
 * that is decoded or translated depends on them. */
#include "cpu/meanings.h"
#include "cpu/operands.h"
#include "cpu/system.h"

static enum outcome load_table(struct cpu *c, const struct insn *in, struct dtable *t)
{
    u8 image[10] = {0};
    unsigned size = c->mode == MODE_64 ? 10 : 6;
    u64 lin;
    if (!(in->flags & INSN_MEM))
        return fault_ud(c);
    if (c->cpl)
        return fault_gp0(c);
    if (insn_linear(c, in, size, false, &lin) != DONE || mmu_read(c, lin, image, size) != DONE)
        return FAULT;
    u64 base = load_le(image + 2, 8);
    /* With a 16-bit operand size the base has 24 bits. */
    if (c->mode != MODE_64)
        base &= in->size == 2 ? 0xffffff : 0xffffffff;
    if (!canonical(base))
        return fault_gp0(c);
    t->limit = (u16)load_le(image, 2);
    t->base = base;
    return DONE;
}

static enum outcome store_table(struct cpu *c, const struct insn *in, const struct dtable *t)
{
    u8 image[10];
    unsigned size = c->mode == MODE_64 ? 10 : 6;
    u64 lin;
    if (!(in->flags & INSN_MEM))
        return fault_ud(c);
    if ((c->cr4 & CR4_UMIP) && c->cpl)
        return fault_gp0(c);
    store_le(image, 2, t->limit);
    store_le(image + 2, 8, t->base);
    if (insn_linear(c, in, size, true, &lin) != DONE)
        return FAULT;
    return mmu_write(c, lin, image, size);
}

static enum outcome lgdt(struct cpu *c, const struct insn *in)
{
    return load_table(c, in, &c->gdtr);
}
static enum outcome lidt(struct cpu *c, const struct insn *in)
{
    return load_table(c, in, &c->idtr);
}
static enum outcome sgdt(struct cpu *c, const struct insn *in)
{
    return store_table(c, in, &c->gdtr);
}
static enum outcome sidt(struct cpu *c, const struct insn *in)
{
    return store_table(c, in, &c->idtr);
}
DEFINE_MEANING_ONE(lgdt, lgdt);
DEFINE_MEANING_ONE(lidt, lidt);
DEFINE_MEANING_ONE(sgdt, sgdt);
DEFINE_MEANING_ONE(sidt, sidt);

static enum outcome selector_operand(struct cpu *c, const struct insn *in, u16 *sel)
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

/* A system descriptor of the GDT, 16 bytes long in IA-32e mode. */
static enum outcome read_system(struct cpu *c, u16 sel, u64 *d, struct segment *s)
{
    bool ok;
    u64 high = 0;
    u32 error = sel & ~3u;
    if (sel & 4)
        return fault_error(c, VEC_GP, error);
    if (descriptor_read(c, sel, d, &ok) != DONE)
        return FAULT;
    if (ok && long_mode(c) && descriptor_read_high(c, sel, &high, &ok) != DONE)
        return FAULT;
    if (!ok || desc_s(*d))
        return fault_error(c, VEC_GP, error);
    *s = descriptor_decode(sel, *d);
    s->base |= high << 32;
    if (long_mode(c) && (bits(high, 44, 40) || !canonical(s->base)))
        return fault_error(c, VEC_GP, error);
    return DONE;
}

static enum outcome lldt(struct cpu *c, const struct insn *in)
{
    u16 sel;
    u64 d;
    struct segment s;
    if (!protected_mode(c))
        return fault_ud(c);
    if (c->cpl)
        return fault_gp0(c);
    if (selector_operand(c, in, &sel) != DONE)
        return FAULT;
    if (!(sel & ~3)) {
        c->seg[SEG_LDTR] = segment_null(sel, 0);
        return DONE;
    }
    if (read_system(c, sel, &d, &s) != DONE)
        return FAULT;
    if (desc_type(d) != SYS_LDT)
        return fault_error(c, VEC_GP, sel & ~3u);
    if (!desc_present(d))
        return fault_error(c, VEC_NP, sel & ~3u);
    c->seg[SEG_LDTR] = s;
    return DONE;
}
DEFINE_MEANING_ONE(lldt, lldt);

static enum outcome ltr(struct cpu *c, const struct insn *in)
{
    u16 sel;
    u64 d;
    struct segment s;
    if (!protected_mode(c))
        return fault_ud(c);
    if (c->cpl)
        return fault_gp0(c);
    if (selector_operand(c, in, &sel) != DONE)
        return FAULT;
    if (!(sel & ~3))
        return fault_gp0(c);
    if (read_system(c, sel, &d, &s) != DONE)
        return FAULT;
    if (desc_type(d) != SYS_TSS && (long_mode(c) || desc_type(d) != SYS_TSS16))
        return fault_error(c, VEC_GP, sel & ~3u);
    if (!desc_present(d))
        return fault_error(c, VEC_NP, sel & ~3u);
    if (descriptor_set_type(c, sel, d, 2) != DONE) /* busy */
        return FAULT;
    s.attr |= 2;
    c->seg[SEG_TR] = s;
    return DONE;
}
DEFINE_MEANING_ONE(ltr, ltr);

static enum outcome store_selector(struct cpu *c, const struct insn *in, u16 sel)
{
    if (!protected_mode(c))
        return fault_ud(c);
    if ((c->cr4 & CR4_UMIP) && c->cpl)
        return fault_gp0(c);
    if (in->flags & INSN_MEM)
        return operand_store(c, in, 2, sel);
    reg_set(c, in->rm * 8, in->size, sel);
    return DONE;
}

static enum outcome sldt(struct cpu *c, const struct insn *in)
{
    return store_selector(c, in, c->seg[SEG_LDTR].sel);
}
static enum outcome str(struct cpu *c, const struct insn *in)
{
    return store_selector(c, in, c->seg[SEG_TR].sel);
}
DEFINE_MEANING_ONE(sldt, sldt);
DEFINE_MEANING_ONE(str, str);
