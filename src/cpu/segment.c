/* SPDX-License-Identifier: MIT */
/*
 * Segment descriptors: reading, checking, loading. SDM 3A 3.4 and 5; SDM 2B MOV for the order of the checks.
 */
#include "cpu/system.h"

struct segment segment_null(u16 sel, unsigned dpl)
{
    return (struct segment){.sel = sel, .attr = SEG_UNUSABLE | dpl << 5};
}

struct segment descriptor_decode(u16 sel, u64 d)
{
    struct segment s = {.sel = sel};
    s.base = bits(d, 39, 16) | bits(d, 63, 56) << 24;
    s.limit = (u32)(bits(d, 15, 0) | bits(d, 51, 48) << 16);
    s.attr = (u32)(bits(d, 47, 40) | bits(d, 55, 52) << 12);
    if (s.attr & SEG_G)
        s.limit = s.limit << 12 | 0xfff;
    return s;
}

/* Where a selector's descriptor lies; false when null or (any of its `size` bytes) out of the table. */
static bool descriptor_address(const struct cpu *c, u16 sel, unsigned size, u64 *lin)
{
    u32 off = sel & ~7u;
    if (sel & 4) {
        const struct segment *ldt = &c->seg[SEG_LDTR];
        *lin = ldt->base + off;
        return !(ldt->attr & SEG_UNUSABLE) && off + size - 1 <= ldt->limit;
    }
    *lin = c->gdtr.base + off;
    return off && off + size - 1 <= c->gdtr.limit;
}

enum outcome descriptor_read(struct cpu *c, u16 sel, u64 *desc, bool *ok)
{
    u64 lin;
    *desc = 0;
    *ok = descriptor_address(c, sel, 8, &lin);
    return *ok ? system_read(c, lin, desc, 8) : DONE;
}

enum outcome descriptor_read_high(struct cpu *c, u16 sel, u64 *high, bool *ok)
{
    u64 lin;
    *high = 0;
    *ok = descriptor_address(c, sel, 16, &lin);
    return *ok ? system_read(c, lin + 8, high, 8) : DONE;
}

enum outcome descriptor_set_type(struct cpu *c, u16 sel, u64 desc, unsigned bit)
{
    u64 lin;
    if (!descriptor_address(c, sel, 8, &lin))
        return DONE;
    u8 type = (u8)(bits(desc, 47, 40) | bit);
    return system_write(c, lin + 5, &type, 1);
}

void segment_set_real(struct cpu *c, unsigned seg, u16 sel)
{
    struct segment *s = &c->seg[seg];
    s->sel = sel;
    s->base = (u64)sel << 4;
    if (v86_mode(c)) {
        s->limit = 0xffff;
        s->attr = SEG_P | SEG_DPL | SEG_S | 3;
        return;
    }
    /* Limits (and a stack's size) survive from protected mode: what is called unreal mode. CS stays a code
     * segment, as a hypervisor sees that emulates an instruction behind MOV CR0 and in front of the far jump.
     */
    u32 keep = s->attr & (seg == CS ? SEG_G : SEG_DB | SEG_G);
    s->attr = SEG_P | SEG_S | (seg == CS ? 11 : 3) | keep;
}

void load_cs(struct cpu *c, u16 sel, u64 desc, unsigned cpl)
{
    c->seg[CS] = descriptor_decode((u16)((sel & ~3) | cpl), desc);
    c->seg[CS].attr |= 1;
}

void load_ss(struct cpu *c, u16 sel, u64 desc)
{
    c->seg[SS] = descriptor_decode(sel, desc);
    c->seg[SS].attr |= 1;
}

void load_ss_null(struct cpu *c, unsigned cpl)
{
    c->seg[SS] = segment_null((u16)cpl, cpl);
}

static enum outcome load_null(struct cpu *c, unsigned seg, u16 sel)
{
    if (seg == SS && (c->mode != MODE_64 || c->cpl == 3 || (sel & 3) != c->cpl))
        return fault_gp0(c);
    c->seg[seg] = segment_null(sel, seg == SS ? c->cpl : 0);
    return DONE;
}

static enum outcome check_stack(struct cpu *c, u16 sel, u64 d)
{
    if ((sel & 3) != c->cpl || !desc_writable(d) || desc_dpl(d) != c->cpl)
        return fault_error(c, VEC_GP, sel & ~3u);
    return desc_present(d) ? DONE : fault_error(c, VEC_SS, sel & ~3u);
}

static enum outcome check_data(struct cpu *c, u16 sel, u64 d)
{
    if (!desc_readable(d))
        return fault_error(c, VEC_GP, sel & ~3u);
    if (!desc_conforming(d) && (desc_dpl(d) < (sel & 3) || desc_dpl(d) < c->cpl))
        return fault_error(c, VEC_GP, sel & ~3u);
    return desc_present(d) ? DONE : fault_error(c, VEC_NP, sel & ~3u);
}

enum outcome segment_load(struct cpu *c, unsigned seg, u16 sel)
{
    if (!protected_mode(c)) {
        segment_set_real(c, seg, sel);
        return DONE;
    }
    if (!(sel & ~3))
        return load_null(c, seg, sel);
    u64 d;
    bool ok;
    if (descriptor_read(c, sel, &d, &ok) != DONE)
        return FAULT;
    if (!ok)
        return fault_error(c, VEC_GP, sel & ~3u);
    if ((seg == SS ? check_stack(c, sel, d) : check_data(c, sel, d)) != DONE)
        return FAULT;
    if (descriptor_set_accessed(c, sel, d) != DONE)
        return FAULT;
    c->seg[seg] = descriptor_decode(sel, d);
    c->seg[seg].attr |= 1;
    return DONE;
}

/* RSP0-2 or an IST entry of the 64-bit TSS. SDM 3A 7.7 */
enum outcome tss_stack64(struct cpu *c, unsigned cpl, unsigned ist, u32 ext, u64 *rsp)
{
    const struct segment *tr = &c->seg[SEG_TR];
    unsigned off = ist ? 0x1c + 8 * ist : 4 + 8 * cpl;
    if ((tr->attr & SEG_UNUSABLE) || off + 7 > tr->limit)
        return fault_error(c, VEC_TS, (tr->sel & ~3u) | ext);
    if (system_read(c, tr->base + off, rsp, 8) != DONE)
        return FAULT;
    return canonical(*rsp) ? DONE : fault_error(c, VEC_SS, ext);
}

/* SSn:ESPn of a 32- or 16-bit TSS. SDM 3A 6.12.1, SDM 2A INT inter-privilege */
enum outcome tss_stack(struct cpu *c, unsigned cpl, u32 ext, struct stack_frame *f, u64 *ss_desc)
{
    const struct segment *tr = &c->seg[SEG_TR];
    bool wide = tr->attr & 8;
    unsigned off = wide ? 4 + 8 * cpl : 2 + 4 * cpl, len = wide ? 6 : 4;
    u8 entry[8] = {0};
    if ((tr->attr & SEG_UNUSABLE) || off + len - 1 > tr->limit)
        return fault_error(c, VEC_TS, (tr->sel & ~3u) | ext);
    if (system_read(c, tr->base + off, entry, len) != DONE)
        return FAULT;
    u16 ss = (u16)load_le(entry + (wide ? 4 : 2), 2);
    bool ok;
    if (!(ss & ~3))
        return fault_error(c, VEC_TS, ext);
    if (descriptor_read(c, ss, ss_desc, &ok) != DONE)
        return FAULT;
    if (!ok || (ss & 3) != cpl || desc_dpl(*ss_desc) != cpl || !desc_writable(*ss_desc))
        return fault_error(c, VEC_TS, (ss & ~3u) | ext);
    if (!desc_present(*ss_desc))
        return fault_error(c, VEC_SS, (ss & ~3u) | ext);
    f->ss = descriptor_decode(ss, *ss_desc);
    f->mask = f->ss.attr & SEG_DB ? 0xffffffff : 0xffff;
    f->sp = load_le(entry, wide ? 4 : 2) & f->mask;
    f->super = true;
    f->flat = false;
    f->ss_error = (ss & ~3u) | ext;
    return descriptor_set_accessed(c, ss, *ss_desc);
}
