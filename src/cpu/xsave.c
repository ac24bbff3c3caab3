/* SPDX-License-Identifier: MIT */
/*
 * Saving and restoring extended state: FXSAVE, FXRSTOR, the XSAVE family, XCR0 and MXCSR.
 *
 * Components are x87, SSE and AVX; AVX is the only extended one, so the compacted format puts it where the
 * standard format does, at 576. An instruction reads and checks everything before it changes a byte, and
 * probes a store before it writes one. XINUSE is computed from the registers' contents. SDM 1 ch. 13
 */
#include "cpu/fpu.h"
#include "cpu/meanings.h"
#include "cpu/mmu.h"

enum {
    FX_MXCSR = 24,
    FX_MXCSR_MASK = 28,
    FX_ST = 32,
    FX_XMM = 160,
    FX_END = 416,
    XS_BV = 512,
    XS_COMP = 520,
    XS_HEADER_END = 576,
    XS_AVX = 576,
    XS_END = 832,
};
#define XCOMP_COMPACT (1ull << 63)

struct area {
    u64 lin;
    u8 b[XS_END];
};

/* #GP(0); unlike vector instructions these look for a non-canonical address, #SS(0) through SS, first. */
static enum outcome fault_misaligned(struct cpu *c, u64 lin)
{
    fault_gp0(c);
    c->fault.noncanonical = c->mode == MODE_64 && (u64)((i64)(lin << 16) >> 16) != lin;
    return FAULT;
}

static enum outcome area_linear(struct cpu *c, const struct insn *in, unsigned size, unsigned align,
                                bool write, struct area *a)
{
    if (insn_linear(c, in, size, write, &a->lin) != DONE)
        return FAULT;
    return a->lin & (align - 1) ? fault_misaligned(c, a->lin) : DONE;
}

static unsigned xmm_count(const struct cpu *c)
{
    return c->mode == MODE_64 ? 16 : 8;
}

/* Pointers as the instruction's form has them; FCS and FDS are kept nowhere and are 0. */
static void x87_out(const struct cpu *c, const struct insn *in, u8 *b)
{
    memcpy(b, c->x87, FX_MXCSR);
    if (!(in->flags & INSN_W)) {
        memset(b + X87_FIP + 4, 0, 4);
        memset(b + X87_FDP + 4, 0, 4);
    }
    memcpy(b + FX_ST, c->x87 + X87_ST, 128);
}

static void x87_in(struct cpu *c, const struct insn *in, const u8 *b)
{
    memcpy(c->x87, b, FX_MXCSR);
    c->x87[X87_TAG + 1] = 0;
    if (!(in->flags & INSN_W)) {
        memset(c->x87 + X87_FIP + 4, 0, 4);
        memset(c->x87 + X87_FDP + 4, 0, 4);
    }
    store_le(c->x87 + X87_FOP, 2, load_le(b + X87_FOP, 2) & 0x7ff);
    for (unsigned i = 0; i < 8; i++) {
        memset(fpu_st(c, i), 0, 16);
        memcpy(fpu_st(c, i), b + FX_ST + 16 * i, 10);
    }
    fpu_normalise(c);
}

static void xmm_out(const struct cpu *c, u8 *b)
{
    for (unsigned i = 0; i < xmm_count(c); i++)
        memcpy(b + FX_XMM + 16 * i, c->vec[i], 16);
}

static void xmm_in(struct cpu *c, const u8 *b)
{
    for (unsigned i = 0; i < xmm_count(c); i++)
        memcpy(c->vec[i], b + FX_XMM + 16 * i, 16);
}

static void mxcsr_out(const struct cpu *c, u8 *b)
{
    store_le(b + FX_MXCSR, 4, c->mxcsr);
    store_le(b + FX_MXCSR_MASK, 4, MXCSR_VALID);
}

/* FXSAVE, FXRSTOR. The bytes behind the XMM registers are not ours to write. SDM 1 10.5 */

static enum outcome fxsave(struct cpu *c, const struct insn *in)
{
    struct area a;
    if (fpu_check_x87(c) != DONE || area_linear(c, in, 512, 16, true, &a) != DONE)
        return FAULT;
    if (mmu_probe_write(c, a.lin, 512, AS_CURRENT) != DONE)
        return FAULT;
    x87_out(c, in, a.b);
    mxcsr_out(c, a.b);
    xmm_out(c, a.b);
    return mmu_write(c, a.lin, a.b, FX_XMM + 16 * xmm_count(c));
}
DEFINE_MEANING_ONE(fxsave, fxsave);

static enum outcome fxrstor(struct cpu *c, const struct insn *in)
{
    struct area a;
    if (fpu_check_x87(c) != DONE || area_linear(c, in, 512, 16, false, &a) != DONE ||
        mmu_read(c, a.lin, a.b, 512) != DONE)
        return FAULT;
    u32 mxcsr = (u32)load_le(a.b + FX_MXCSR, 4);
    if (mxcsr & ~(u32)MXCSR_VALID)
        return fault_gp0(c);
    x87_in(c, in, a.b);
    xmm_in(c, a.b);
    c->mxcsr = mxcsr;
    return DONE;
}
DEFINE_MEANING_ONE(fxrstor, fxrstor);

/* The XSAVE family */

static bool all_zero(const u8 *p, size_t n)
{
    u64 any = 0;
    for (; n >= 8; n -= 8, p += 8)
        any |= load_le(p, 8);
    return !(any | load_le(p, (unsigned)n));
}

static bool x87_in_use(const struct cpu *c)
{
    return fpu_cw(c) != 0x37f || !all_zero(c->x87 + X87_SW, X87_MXCSR - X87_SW) ||
           !all_zero(c->x87 + X87_ST, 128);
}

static u64 in_use(const struct cpu *c)
{
    u64 low = 0, high = 0;
    for (unsigned i = 0; i < 16; i++) {
        low |= load_le(c->vec[i], 8) | load_le(c->vec[i] + 8, 8);
        high |= load_le(c->vec[i] + 16, 8) | load_le(c->vec[i] + 24, 8);
    }
    return (x87_in_use(c) ? XCR0_X87 : 0) | (low ? XCR0_SSE : 0) | (high ? XCR0_AVX : 0);
}

static enum outcome xsave_check(struct cpu *c, bool privileged)
{
    if (!(c->cr4 & CR4_OSXSAVE))
        return fault_ud(c);
    if (c->cr0 & CR0_TS)
        return fault_plain(c, VEC_NM);
    return privileged && c->cpl ? fault_gp0(c) : DONE;
}

static u64 requested(const struct cpu *c, bool supervisor)
{
    u64 rfbm = (u32)c->regs[RAX] | c->regs[RDX] << 32;
    return rfbm & (c->xcr0 | (supervisor ? c->xss : 0));
}

static enum outcome put_part(struct cpu *c, const struct area *a, unsigned from, unsigned to)
{
    return mmu_write(c, a->lin + from, a->b + from, to - from);
}

/* Writes components `parts`; MXCSR with SSE or AVX of `rfbm`. Everything has been probed. */
static enum outcome put_components(struct cpu *c, const struct insn *in, struct area *a, u64 parts,
                                   bool mxcsr)
{
    if (parts & XCR0_X87) {
        x87_out(c, in, a->b);
        if (put_part(c, a, 0, FX_MXCSR) != DONE || put_part(c, a, FX_ST, FX_XMM) != DONE)
            return FAULT;
    }
    if (mxcsr) {
        mxcsr_out(c, a->b);
        if (put_part(c, a, FX_MXCSR, FX_ST) != DONE)
            return FAULT;
    }
    if (parts & XCR0_SSE) {
        xmm_out(c, a->b);
        if (put_part(c, a, FX_XMM, FX_XMM + 16 * xmm_count(c)) != DONE)
            return FAULT;
    }
    if (!(parts & XCR0_AVX))
        return DONE;
    for (unsigned i = 0; i < xmm_count(c); i++)
        memcpy(a->b + XS_AVX + 16 * i, c->vec[i] + 16, 16);
    return put_part(c, a, XS_AVX, XS_AVX + 16 * xmm_count(c));
}

static enum outcome xsave_begin(struct cpu *c, const struct insn *in, bool privileged, u64 parts,
                                struct area *a)
{
    unsigned size = parts & XCR0_AVX ? XS_END : XS_HEADER_END;
    if (xsave_check(c, privileged) != DONE || area_linear(c, in, size, 64, true, a) != DONE)
        return FAULT;
    return mmu_probe_write(c, a->lin, size, AS_CURRENT);
}

/* XSAVE writes what was asked for, XSAVEOPT what is in use of it. SDM 1 13.7, 13.9 */
static enum outcome xsave_standard(struct cpu *c, const struct insn *in, bool optimise)
{
    struct area a;
    u64 rfbm = requested(c, false), use = in_use(c), bv;
    if (xsave_begin(c, in, false, rfbm, &a) != DONE || mmu_load(c, a.lin + XS_BV, 8, &bv) != DONE)
        return FAULT;
    bool mxcsr = rfbm & (XCR0_SSE | XCR0_AVX);
    if (put_components(c, in, &a, optimise ? rfbm & use : rfbm, mxcsr) != DONE)
        return FAULT;
    return mmu_store(c, a.lin + XS_BV, 8, (bv & ~rfbm) | (use & rfbm));
}

/* SDM 1 13.10, 13.11 */
static enum outcome xsave_compact(struct cpu *c, const struct insn *in, bool supervisor)
{
    struct area a;
    u64 rfbm = requested(c, supervisor), use = in_use(c) & rfbm;
    if ((rfbm & XCR0_SSE) && c->mxcsr != MXCSR_RESET)
        use |= XCR0_SSE;
    if (xsave_begin(c, in, supervisor, use, &a) != DONE)
        return FAULT;
    if (put_components(c, in, &a, use, use & XCR0_SSE) != DONE)
        return FAULT;
    store_le(a.b + XS_BV, 8, use);
    store_le(a.b + XS_COMP, 8, rfbm | XCOMP_COMPACT);
    return put_part(c, &a, XS_BV, XS_COMP + 8);
}

static enum outcome xsave(struct cpu *c, const struct insn *in)
{
    return xsave_standard(c, in, false);
}
DEFINE_MEANING_ONE(xsave, xsave);

static enum outcome xsaveopt(struct cpu *c, const struct insn *in)
{
    return xsave_standard(c, in, true);
}
DEFINE_MEANING_ONE(xsaveopt, xsaveopt);

static enum outcome xsavec(struct cpu *c, const struct insn *in)
{
    return xsave_compact(c, in, false);
}
DEFINE_MEANING_ONE(xsavec, xsavec);

static enum outcome xsaves(struct cpu *c, const struct insn *in)
{
    return xsave_compact(c, in, true);
}
DEFINE_MEANING_ONE(xsaves, xsaves);

/* SDM 1 13.8, 13.12. The header's third word and on must be 0; in the standard form XCOMP_BV too. */
static bool header_valid(const struct cpu *c, const struct area *a, bool supervisor)
{
    u64 bv = load_le(a->b + XS_BV, 8), comp = load_le(a->b + XS_COMP, 8);
    u64 allowed = c->xcr0 | (supervisor ? c->xss : 0);
    if (!(comp & XCOMP_COMPACT))
        return !supervisor && !(bv & ~c->xcr0) && all_zero(a->b + XS_COMP, 16);
    if (!supervisor && !cpu_has(c, FEAT_XSAVEC))
        return false;
    comp &= ~XCOMP_COMPACT;
    return !(comp & ~allowed) && !(bv & ~comp) && all_zero(a->b + XS_COMP + 8, 48);
}

static void restore_avx(struct cpu *c, const u8 *from)
{
    for (unsigned i = 0; i < xmm_count(c); i++) {
        if (from)
            memcpy(c->vec[i] + 16, from + 16 * i, 16);
        else
            memset(c->vec[i] + 16, 0, 16);
    }
}

/* Components in rfbm: from the area where bv has them, else initial. */
static void restore_components(struct cpu *c, const struct insn *in, const struct area *a, u64 rfbm, u64 bv)
{
    if (rfbm & bv & XCR0_X87) {
        x87_in(c, in, a->b);
    } else if (rfbm & XCR0_X87) {
        fpu_init_x87(c);
        memset(c->x87 + X87_ST, 0, 128);
    }
    if (rfbm & bv & XCR0_SSE)
        xmm_in(c, a->b);
    else if (rfbm & XCR0_SSE)
        for (unsigned i = 0; i < xmm_count(c); i++)
            memset(c->vec[i], 0, 16);
    if (rfbm & XCR0_AVX)
        restore_avx(c, bv & XCR0_AVX ? a->b + XS_AVX : NULL);
}

static enum outcome xrstor_read(struct cpu *c, struct area *a, u64 parts, bool mxcsr)
{
    if ((parts & (XCR0_X87 | XCR0_SSE)) || mxcsr)
        if (mmu_read(c, a->lin, a->b, FX_END) != DONE)
            return FAULT;
    return parts & XCR0_AVX ? mmu_read(c, a->lin + XS_AVX, a->b + XS_AVX, XS_END - XS_AVX) : DONE;
}

static enum outcome xrstor_any(struct cpu *c, const struct insn *in, bool supervisor)
{
    struct area a;
    if (xsave_check(c, supervisor) != DONE || area_linear(c, in, XS_HEADER_END, 64, false, &a) != DONE ||
        mmu_read(c, a.lin + XS_BV, a.b + XS_BV, XS_HEADER_END - XS_BV) != DONE)
        return FAULT;
    if (!header_valid(c, &a, supervisor))
        return fault_gp0(c);
    u64 rfbm = requested(c, supervisor), bv = load_le(a.b + XS_BV, 8);
    bool compact = load_le(a.b + XS_COMP, 8) & XCOMP_COMPACT;
    /* MXCSR belongs to SSE in the compacted form; in the standard one SSE or AVX load it whatever XSTATE_BV
     * says. */
    bool load = compact ? rfbm & bv & XCR0_SSE : rfbm & (XCR0_SSE | XCR0_AVX);
    if (xrstor_read(c, &a, rfbm & bv, load) != DONE)
        return FAULT;
    u32 mxcsr = load ? (u32)load_le(a.b + FX_MXCSR, 4) : rfbm & XCR0_SSE ? MXCSR_RESET : c->mxcsr;
    if (mxcsr & ~(u32)MXCSR_VALID)
        return fault_gp0(c);
    restore_components(c, in, &a, rfbm, bv);
    c->mxcsr = mxcsr;
    return DONE;
}

static enum outcome xrstor(struct cpu *c, const struct insn *in)
{
    return xrstor_any(c, in, false);
}
DEFINE_MEANING_ONE(xrstor, xrstor);

static enum outcome xrstors(struct cpu *c, const struct insn *in)
{
    return xrstor_any(c, in, true);
}
DEFINE_MEANING_ONE(xrstors, xrstors);

/* XCR0 */

static enum outcome xgetbv(struct cpu *c, const struct insn *in)
{
    if (!(c->cr4 & CR4_OSXSAVE))
        return fault_ud(c);
    u32 index = (u32)c->regs[RCX];
    if (index > 1 || (index && !cpu_has(c, FEAT_XGETBV1)))
        return fault_gp0(c);
    u64 v = index ? c->xcr0 & in_use(c) : c->xcr0;
    c->regs[RAX] = (u32)v;
    c->regs[RDX] = v >> 32;
    return DONE;
}
DEFINE_MEANING_ONE(xgetbv, xgetbv);

static enum outcome xsetbv(struct cpu *c, const struct insn *in)
{
    if (!(c->cr4 & CR4_OSXSAVE))
        return fault_ud(c);
    u64 v = (u32)c->regs[RAX] | c->regs[RDX] << 32;
    bool bad = (v & ~c->model->xcr0_mask) || !(v & XCR0_X87) || (v & (XCR0_AVX | XCR0_SSE)) == XCR0_AVX;
    if (c->cpl || (u32)c->regs[RCX] || bad)
        return fault_gp0(c);
    c->xcr0 = v;
    return END;
}
DEFINE_MEANING_ONE(xsetbv, xsetbv);

/* MXCSR */

static enum outcome mxcsr_check(struct cpu *c, const struct insn *in)
{
    return in->flags & INSN_VEX ? fpu_check_avx(c) : fpu_check_sse(c);
}

static enum outcome ldmxcsr(struct cpu *c, const struct insn *in)
{
    u64 v;
    if (mxcsr_check(c, in) != DONE || operand_load(c, in, 4, &v) != DONE)
        return FAULT;
    if (v & ~(u64)MXCSR_VALID)
        return fault_gp0(c);
    c->mxcsr = (u32)v;
    return DONE;
}
DEFINE_MEANING_ONE(ldmxcsr, ldmxcsr);

static enum outcome stmxcsr(struct cpu *c, const struct insn *in)
{
    return mxcsr_check(c, in) == DONE ? operand_store(c, in, 4, c->mxcsr) : FAULT;
}
DEFINE_MEANING_ONE(stmxcsr, stmxcsr);
