/* SPDX-License-Identifier: MIT */
/*
 * Vector instructions whose memory operand is chosen element by element: MASKMOV, VMASKMOV and the gathers.
 *
 * Only selected elements are touched, so only they can fault. A masked store probes every selected element
 * before it writes one. A gather that faults keeps the elements it already has and clears their mask bits, so
 * that it goes on where it stopped when it is run again: the one meaning here that changes state on FAULT.
 * SDM 2C VGATHERDPS
 */
#include "cpu/meanings.h"
#include "cpu/simd.h"

enum { ELEMENTS_MAX = 16 };

struct element {
    u64 lin;
    u8 offset; /* in the register */
};

static bool selected(const u8 *mask, unsigned offset, unsigned size)
{
    return mask[offset + size - 1] & 0x80;
}

/* One element's linear address: offset `at` within the operand at effective address `ea`. */
static enum outcome element_linear(struct cpu *c, const struct insn *in, u64 ea, unsigned size, bool write,
                                   u64 *lin)
{
    if (in->adsize != 8)
        ea = in->adsize == 4 ? (u32)ea : (u16)ea;
    if (likely(c->mode == MODE_64)) {
        *lin = in->seg >= FS ? ea + c->seg[in->seg].base : ea;
        return DONE;
    }
    return mmu_linear_legacy(c, in->seg, ea, size, write, lin);
}

/* Stores the selected elements of `from`, all of them or none. */
static enum outcome store_selected(struct cpu *c, const struct insn *in, const u8 *from, const u8 *mask,
                                   unsigned total, unsigned size)
{
    struct element e[ELEMENTS_MAX];
    unsigned n = 0;
    u64 ea = insn_ea(c, in);
    for (unsigned at = 0; at < total; at += size) {
        if (!selected(mask, at, size))
            continue;
        e[n].offset = (u8)at;
        if (element_linear(c, in, ea + at, size, true, &e[n].lin) != DONE ||
            mmu_probe_write(c, e[n].lin, size, AS_CURRENT) != DONE)
            return FAULT;
        n++;
    }
    for (unsigned i = 0; i < n; i++)
        if (mmu_store(c, e[i].lin, size, load_le(from + e[i].offset, size)) != DONE)
            return FAULT;
    return DONE;
}

/* MASKMOVDQU, MASKMOVQ: bytes at DS:rDI. The whole operand must be writable, whatever the mask: the SDM
 * leaves that to the implementation, and AMD's processors do so. */

static enum outcome store_bytes(struct cpu *c, const struct insn *in, const u8 *from, const u8 *mask,
                                unsigned total)
{
    u64 lin;
    if (insn_linear(c, in, total, true, &lin) != DONE || mmu_probe_write(c, lin, total, AS_CURRENT) != DONE)
        return FAULT;
    return store_selected(c, in, from, mask, total, 1);
}

static enum outcome maskmovdqu(struct cpu *c, const struct insn *in)
{
    if (simd_check(c, in, insn_infos[in->id].attr) != DONE)
        return FAULT;
    return store_bytes(c, in, simd_reg(c, in->reg), simd_reg(c, in->rm), 16);
}
DEFINE_MEANING_ONE(maskmovdqu, maskmovdqu);

static enum outcome maskmovq(struct cpu *c, const struct insn *in)
{
    if (fpu_check_mmx(c) != DONE)
        return FAULT;
    unsigned top = fpu_top(c); /* MMn is physical register n; the image is relative to TOP */
    if (store_bytes(c, in, fpu_st(c, in->reg - top), fpu_st(c, in->rm - top), 8) != DONE)
        return FAULT;
    fpu_mmx_enter(c);
    return DONE;
}
DEFINE_MEANING_ONE(maskmovq, maskmovq);

/* VMASKMOVPS/PD, VPMASKMOVD/Q. reg: data, vvvv: mask. */

/* PS is opcode 2C/2E, PD 2D/2F; VPMASKMOV 8C/8E tells D and Q by W. */
static unsigned mask_element(const struct insn *in)
{
    bool wide = in->opcode >= 0x80 ? in->flags & INSN_W : in->opcode & 1;
    return wide ? 8 : 4;
}

static enum outcome vmaskmov_load(struct cpu *c, const struct insn *in)
{
    u8 result[32] = {0};
    const u8 *mask = simd_reg(c, in->vreg);
    unsigned size = mask_element(in);
    if (fpu_check_avx(c) != DONE)
        return FAULT;
    u64 ea = insn_ea(c, in), lin;
    for (unsigned at = 0; at < simd_size(in); at += size)
        if (selected(mask, at, size) && (element_linear(c, in, ea + at, size, false, &lin) != DONE ||
                                         mmu_read(c, lin, result + at, size) != DONE))
            return FAULT;
    memcpy(simd_reg(c, in->reg), result, 32);
    return DONE;
}
DEFINE_MEANING_ONE(vmaskmov_load, vmaskmov_load);

static enum outcome vmaskmov_store(struct cpu *c, const struct insn *in)
{
    if (fpu_check_avx(c) != DONE)
        return FAULT;
    return store_selected(c, in, simd_reg(c, in->reg), simd_reg(c, in->vreg), simd_size(in),
                          mask_element(in));
}
DEFINE_MEANING_ONE(vmaskmov_store, vmaskmov_store);

/* Gathers: 90 VPGATHERD*, 91 VPGATHERQ*, 92 VGATHERDP*, 93 VGATHERQP*. Odd: 64-bit indices; W: 64-bit data.
 */

struct gather {
    unsigned data, index, count;
};

static struct gather gather_shape(const struct insn *in)
{
    struct gather g = {.data = in->flags & INSN_W ? 8 : 4, .index = in->opcode & 1 ? 8 : 4};
    unsigned wider = g.data > g.index ? g.data : g.index;
    g.count = simd_size(in) / wider;
    return g;
}

static u64 gather_address(struct cpu *c, const struct insn *in, const struct gather *g, unsigned i)
{
    u64 index = load_le(simd_reg(c, in->index) + i * g->index, g->index);
    return c->regs[in->base] + ((u64)sign_extend(index, g->index) << in->scale) + (u64)(i64)in->disp;
}

static enum outcome gather(struct cpu *c, const struct insn *in)
{
    if (fpu_check_avx(c) != DONE)
        return FAULT;
    struct gather g = gather_shape(in);
    u8 *to = simd_reg(c, in->reg), *mask = simd_reg(c, in->vreg);
    for (unsigned i = 0; i < g.count; i++) {
        u64 lin;
        if (selected(mask, i * g.data, g.data) &&
            (element_linear(c, in, gather_address(c, in, &g, i), g.data, false, &lin) != DONE ||
             mmu_read(c, lin, to + i * g.data, g.data) != DONE))
            return FAULT;
        memset(mask + i * g.data, 0, g.data); /* done: not again if a later element faults */
    }
    memset(to + g.count * g.data, 0, 32 - g.count * g.data);
    memset(mask, 0, 32);
    return DONE;
}
DEFINE_MEANING_ONE(gather, gather);
