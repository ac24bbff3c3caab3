/* SPDX-License-Identifier: MIT */
/*
 * Vector and x87 state: see the header. The gate is assembly because C may not promise what registers hold
 * across statements; offsets come from struct cpu, so nothing here may be moved into a .S file.
 */
#include "cpu/fpu.h"

#include "cpu/nested/nested.h"

void fpu_init_x87(struct cpu *c)
{
    fpu_set_top(c, 0);
    store_le(c->x87 + X87_CW, 2, 0x37f);
    memset(c->x87 + X87_SW, 0, X87_MXCSR - X87_SW);
    store_le(c->x87 + X87_MXCSR, 4, MXCSR_RESET);
}

void fpu_reset(struct cpu *c, bool init_only)
{
    if (init_only)
        return;
    memset(c->vec, 0, sizeof(c->vec));
    memset(c->x87, 0, sizeof(c->x87));
    store_le(c->x87 + X87_CW, 2, 0x40);
    c->x87[X87_TAG] = 0xff;
    store_le(c->x87 + X87_MXCSR, 4, MXCSR_RESET);
    c->mxcsr = MXCSR_RESET;
    c->xcr0 = XCR0_X87;
    c->xss = 0;
}

enum outcome fpu_check_x87(struct cpu *c)
{
    return unlikely(c->cr0 & (CR0_EM | CR0_TS)) ? fault_plain(c, VEC_NM) : DONE;
}

enum outcome fpu_check_pending(struct cpu *c)
{
    if (likely(!fpu_pending(c)))
        return DONE;
    if (c->cr0 & CR0_NE)
        return fault_plain(c, VEC_MF);
    return nested_guest(c) && c->nested->ops->fpu_error ? c->nested->ops->fpu_error(c) : DONE;
}

enum outcome fpu_check_mmx(struct cpu *c)
{
    if (unlikely(c->cr0 & CR0_EM))
        return fault_ud(c);
    if (unlikely(c->cr0 & CR0_TS))
        return fault_plain(c, VEC_NM);
    return fpu_check_pending(c);
}

/* SDM 2A tables 2-18 to 2-24, legacy column */
enum outcome fpu_check_sse(struct cpu *c)
{
    if (unlikely((c->cr0 & CR0_EM) || !(c->cr4 & CR4_OSFXSR)))
        return fault_ud(c);
    return unlikely(c->cr0 & CR0_TS) ? fault_plain(c, VEC_NM) : DONE;
}

/* The same tables, VEX column. */
enum outcome fpu_check_avx(struct cpu *c)
{
    u64 need = XCR0_SSE | XCR0_AVX;
    if (unlikely(!(c->cr4 & CR4_OSXSAVE) || (c->xcr0 & need) != need))
        return fault_ud(c);
    if (unlikely(!(c->cr0 & CR0_PE) || (c->rflags & FLAG_VM)))
        return fault_ud(c);
    return unlikely(c->cr0 & CR0_TS) ? fault_plain(c, VEC_NM) : DONE;
}

void fpu_set_top(struct cpu *c, unsigned top)
{
    unsigned turn = (top - fpu_top(c)) & 7;
    if (likely(!turn))
        return;
    u8 st[128];
    memcpy(st, c->x87 + X87_ST, sizeof(st));
    for (unsigned i = 0; i < 8; i++)
        memcpy(fpu_st(c, i), st + 16 * ((i + turn) & 7), 16);
    store_le(c->x87 + X87_SW, 2, (fpu_sw(c) & ~0x3800u) | top << 11);
}

void fpu_mmx_enter(struct cpu *c)
{
    fpu_set_top(c, 0);
    c->x87[X87_TAG] = 0xff;
}

/* Every exception masked, reserved bits as they read, nothing summed up: the processor would change nothing.
 */
static bool is_normal(u16 cw, u16 sw)
{
    enum { CW_FIXED = 0xf0ff, CW_MASKED = 0x7f, SW_SUMMARY = 0x8080 };
    return (cw & CW_FIXED) == CW_MASKED && !(sw & SW_SUMMARY);
}

void fpu_normalise(struct cpu *c)
{
    u32 host;
    store_le(c->x87 + X87_MXCSR, 8, MXCSR_RESET);
    memset(c->x87 + 160, 0, sizeof(c->x87) - 160);
    if (likely(is_normal(fpu_cw(c), fpu_sw(c))))
        return;
    u8 keep[X87_MXCSR - X87_FOP];
    memcpy(keep, c->x87 + X87_FOP, sizeof(keep));
    asm volatile("stmxcsr %1\n\tfxrstor64 %0\n\tfxsave64 %0\n\tfninit\n\tldmxcsr %1"
                 : "+m"(c->x87), "=m"(host)
                 :
                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                   "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory");
    memcpy(c->x87 + X87_FOP, keep, sizeof(keep));
    store_le(c->x87 + X87_MXCSR + 4, 4, 0); /* MXCSR_MASK is the host's, no state of ours */
}
