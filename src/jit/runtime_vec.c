/* SPDX-License-Identifier: MIT */
/*
 * Guest vector state on its way into the host's registers and back: frame.h's `vec` says which is there.
 *
 * It comes when a block first needs it, and only if the processor's state lets vector instructions run; it
 * goes before C runs. What could forbid it (CR0, CR4, XCR0, masks of exceptions) changes in C alone, so code
 * that found its bit of `vec` set may go on until the next call. The host's MXCSR is the guest's meanwhile,
 * without the flags that struct cpu has already.
 */
#include "jit/runtime.h"

#include "cpu/fpu.h"

/* Above the return address of the routine's own call. */
#define IN_FRAME(field) MEM(H_RSP, (i32)offsetof(struct jit_frame, field) + 8)

enum { MOVUPS = 0x0f10, MOVUPS_TO = 0x0f11, FX_GROUP = 0x0fae, TEST_IMM8 = 0xf6 };
enum { LDMXCSR = 2, STMXCSR = 3 };

/* R10: struct cpu. */
static void move_xmm(struct emit *e, bool store)
{
    for (unsigned n = 0; n < 16; n++)
        emit_op_mem(e, none, store ? MOVUPS_TO : MOVUPS, n, MEM(H_R10, CPU(vec) + 32 * (i32)n));
}

static void move_ymm(struct emit *e, bool store)
{
    for (unsigned n = 0; n < 16; n++)
        emit_vex_mem(e, (struct vex){.map = 1, .l = true, .reg = (u8)n}, store ? 0x11 : 0x10,
                     MEM(H_R10, CPU(vec) + 32 * (i32)n));
}

static void set_vec(struct emit *e, u8 bits)
{
    emit_op_mem(e, none, 0x80, X_IMM_OR, IN_FRAME(vec));
    emit8(e, bits);
}

static void test_frame(struct emit *e, struct mem m, u8 bits)
{
    emit_op_mem(e, none, TEST_IMM8, 0, m);
    emit8(e, bits);
}

static void test_cpu(struct emit *e, i32 off, u32 bits)
{
    emit_op_mem(e, none, TEST_IMM, 0, MEM(H_R10, off));
    emit32(e, bits);
}

static void fresh_mxcsr(struct emit *e)
{
    emit_mem(e, X_MOV, 4, H_R11, MEM(H_R10, CPU(mxcsr)));
    emit_imm(e, X_IMM_AND, 4, H_R11, ~MXCSR_FLAGS);
    emit_imm(e, X_IMM_OR, 4, H_R11, MXCSR_MASKS); /* never traps here, whatever the guest's says */
    emit_mem(e, X_MOV_TO, 4, H_R11, IN_FRAME(mxcsr));
    emit_op_mem(e, none, FX_GROUP, LDMXCSR, IN_FRAME(mxcsr));
}

/* Whether every exception is masked, then `vec` gets `with`, else `without`. R11 is lost. */
static void set_by_masks(struct emit *e, u8 with, u8 without)
{
    set_vec(e, without);
    emit_mem(e, X_MOV, 4, H_R11, MEM(H_R10, CPU(mxcsr)));
    emit_imm(e, X_IMM_AND, 4, H_R11, MXCSR_MASKS);
    emit_imm(e, X_IMM_CMP, 4, H_R11, MXCSR_MASKS);
    size_t unmasked = emit_jcc(e, CC_NE);
    set_vec(e, with);
    emit_patch(e, unmasked, e->len);
}

enum { OUTS = 8 };
struct outs {
    size_t from[OUTS];
    unsigned n;
};

static void out(struct emit *e, struct outs *o, u8 cc)
{
    o->from[o->n++] = emit_jcc(e, cc);
}

/* Nothing is left to do where the bit is set. R10: struct cpu. */
static struct outs begin(struct emit *e, u8 bit)
{
    struct outs o = {.n = 0};
    test_frame(e, IN_FRAME(vec), bit);
    out(e, &o, CC_NE);
    emit_mem(e, X_MOV, 8, H_R10, IN_FRAME(cpu));
    return o;
}

static void end(struct emit *e, const struct outs *o)
{
    for (unsigned i = 0; i < o->n; i++)
        emit_patch(e, o->from[i], e->len);
    emit8(e, 0xc3);
}

/* SDM 2A tables 2-16 to 2-24; who is refused here is for the meaning, which knows with which fault. */
static void refuse_any(struct emit *e, struct outs *o)
{
    test_cpu(e, CPU(cr0), CR0_EM | CR0_TS);
    out(e, o, CC_NE);
}

static void refuse(struct emit *e, struct outs *o, bool avx)
{
    refuse_any(e, o);
    test_cpu(e, CPU(cr4), CR4_OSFXSR);
    out(e, o, CC_E);
    if (!avx)
        return;
    test_cpu(e, CPU(cr4), CR4_OSXSAVE);
    out(e, o, CC_E);
    emit_mem(e, X_MOV, 4, H_R11, MEM(H_R10, CPU(xcr0)));
    emit_imm(e, X_IMM_AND, 4, H_R11, XCR0_SSE | XCR0_AVX);
    emit_imm(e, X_IMM_CMP, 4, H_R11, XCR0_SSE | XCR0_AVX);
    out(e, o, CC_NE);
}

static void emit_load_xmm(struct emit *e)
{
    struct outs o = begin(e, VEC_XMM);
    refuse(e, &o, false);
    move_xmm(e, false);
    fresh_mxcsr(e);
    set_by_masks(e, VEC_XMM | VEC_XMM_FP, VEC_XMM);
    end(e, &o);
}

/* Those that are there already are newer than struct cpu, and so is MXCSR. */
static void emit_load_ymm(struct emit *e)
{
    struct outs o = begin(e, VEC_YMM);
    refuse(e, &o, true);
    test_frame(e, IN_FRAME(vec), VEC_XMM);
    size_t absent = emit_jcc(e, CC_E);
    move_xmm(e, true);
    size_t have = emit_jmp(e);
    emit_patch(e, absent, e->len);
    fresh_mxcsr(e);
    emit_patch(e, have, e->len);
    move_ymm(e, false);
    set_by_masks(e, VEC_XMM | VEC_XMM_FP | VEC_YMM | VEC_YMM_FP, VEC_XMM | VEC_YMM);
    end(e, &o);
}

static void fxsr(struct emit *e, bool load, enum host_reg at)
{
    emit_op_mem(e, wide, FX_GROUP, load, MEM(at, 0));
}

/* Registers ST0 to ST7 of an image, through XMM0. */
static void copy_stack(struct emit *e, struct mem to, struct mem from)
{
    for (i32 i = X87_ST; i < X87_ST + 8 * 16; i += 16) {
        emit_op_mem(e, none, MOVUPS, 0, MEM(from.base, from.disp + i));
        emit_op_mem(e, none, MOVUPS_TO, 0, MEM(to.base, to.disp + i));
    }
}

/* FXRSTOR loads XMM and MXCSR as well: with what they are. Upper halves stay. */
static void emit_load_x87(struct emit *e)
{
    struct outs o = begin(e, VEC_X87);
    refuse_any(e, &o);
    emit_mem(e, X_MOVZX16, 4, H_R11, MEM(H_R10, CPU(x87) + X87_CW));
    emit_imm(e, X_IMM_AND, 4, H_R11, CW_MASKS);
    emit_imm(e, X_IMM_CMP, 4, H_R11, CW_MASKS);
    out(e, &o, CC_NE);
    emit_lea(e, H_R11, IN_FRAME(image));
    fxsr(e, false, H_R11);
    emit_op_mem(e, none, MOVUPS, 0, MEM(H_R10, CPU(x87))); /* control, status, tags; pointers */
    emit_op_mem(e, none, MOVUPS_TO, 0, MEM(H_R11, 0));
    copy_stack(e, MEM(H_R11, 0), MEM(H_R10, CPU(x87)));
    fxsr(e, true, H_R11);
    set_vec(e, VEC_X87);
    end(e, &o);
}

/* R10: struct cpu; RAX and RCX are lost. All but the pointers, which are kept there; C begins with an empty
 * stack. */
static void store_x87(struct emit *e, i32 bias)
{
    emit_lea(e, H_RAX, MEM(H_RSP, (i32)offsetof(struct jit_frame, image) + bias));
    fxsr(e, false, H_RAX);
    emit_mem(e, X_MOV, 4, H_RCX, MEM(H_RAX, X87_CW)); /* and status */
    emit_mem(e, X_MOV_TO, 4, H_RCX, MEM(H_R10, CPU(x87) + X87_CW));
    emit_mem(e, X_MOVZX8, 4, H_RCX, MEM(H_RAX, X87_TAG));
    emit_mem(e, BYTE_TO, 1, H_RCX, MEM(H_R10, CPU(x87) + X87_TAG));
    copy_stack(e, MEM(H_R10, CPU(x87)), MEM(H_RAX, 0));
    emit_bytes(e, "\xdb\xe3", 2); /* fninit */
}

/* R10: struct cpu; RAX is lost. The host's MXCSR becomes the default again, which C runs under. */
static void store_mxcsr(struct emit *e, i32 bias)
{
    struct mem scratch = MEM(H_RSP, (i32)offsetof(struct jit_frame, mxcsr) + bias);
    emit_op_mem(e, none, FX_GROUP, STMXCSR, scratch);
    emit_mem(e, X_MOV, 4, H_RAX, scratch);
    emit_imm(e, X_IMM_CMP, 4, H_RAX, MXCSR_RESET);
    size_t same = emit_jcc(e, CC_E);
    emit_imm(e, X_IMM_AND, 4, H_RAX, MXCSR_FLAGS);
    emit_mem(e, 0x09, 4, H_RAX, MEM(H_R10, CPU(mxcsr))); /* or [mxcsr], eax */
    emit_op_mem(e, none, 0xc7, 0, scratch);
    emit32(e, MXCSR_RESET);
    emit_op_mem(e, none, FX_GROUP, LDMXCSR, scratch);
    emit_patch(e, same, e->len);
}

static void store_vectors(struct emit *e, struct mem vec, i32 bias)
{
    test_frame(e, vec, VEC_XMM);
    size_t absent = emit_jcc(e, CC_E);
    test_frame(e, vec, VEC_YMM);
    size_t upper = emit_jcc(e, CC_NE);
    move_xmm(e, true);
    size_t done = emit_jmp(e);
    emit_patch(e, upper, e->len);
    move_ymm(e, true);
    emit_bytes(e, "\xc5\xf8\x77", 3); /* vzeroupper: C code need not pay for upper halves */
    emit_patch(e, done, e->len);
    store_mxcsr(e, bias);
    emit_patch(e, absent, e->len);
}

void runtime_vec_store(struct emit *e, i32 bias)
{
    struct mem vec = MEM(H_RSP, (i32)offsetof(struct jit_frame, vec) + bias);
    emit_op_mem(e, none, 0x80, X_IMM_CMP, vec);
    emit8(e, 0);
    size_t absent = emit_jcc(e, CC_E);
    store_vectors(e, vec, bias);
    test_frame(e, vec, VEC_X87);
    size_t no_x87 = emit_jcc(e, CC_E);
    store_x87(e, bias);
    emit_patch(e, no_x87, e->len);
    emit_op_mem(e, none, 0xc6, 0, vec);
    emit8(e, 0);
    emit_patch(e, absent, e->len);
}

static void call_if(struct emit *e, u8 bits, u32 routine)
{
    test_frame(e, MEM(H_RSP, (i32)offsetof(struct jit_frame, what)), bits);
    size_t no = emit_jcc(e, CC_E);
    emit8(e, 0xe8);
    emit32(e, routine - (u32)(e->len + 4));
    emit_patch(e, no, e->len);
}

/* The return address waits in the frame, so that the routines called find theirs where they expect it. */
static void emit_vec_again(struct emit *e, const struct jit_runtime *rt)
{
    struct mem what = MEM(H_RSP, (i32)offsetof(struct jit_frame, what)),
               back = MEM(H_RSP, (i32)offsetof(struct jit_frame, spare));
    emit_pop(e, H_R10);
    emit_mem(e, X_MOV_TO, 8, H_R10, back);
    emit_mem(e, X_MOV_TO, 8, H_R11, what);
    call_if(e, VEC_X87, rt->load_x87);
    call_if(e, VEC_YMM | VEC_YMM_FP, rt->load_ymm);
    call_if(e, VEC_XMM | VEC_XMM_FP, rt->load_xmm);
    emit_mem(e, X_MOVZX8, 4, H_R10, what);
    emit_mem(e, X_MOVZX8, 4, H_R11, MEM(H_RSP, (i32)offsetof(struct jit_frame, vec)));
    emit_reg(e, X_AND, 4, H_R11, H_R10);
    emit_reg(e, X_CMP, 4, H_R11, H_R10);
    size_t missing = emit_jcc(e, CC_NE);
    emit_op_mem(e, none, 0xff, 4, back);
    emit_patch(e, missing, e->len);
    emit_mem(e, X_MOVZX8, 4, H_R10, MEM(H_RSP, what.disp + 1));
    emit_mem(e, X_ADD_TO, 8, H_R10, MEM(H_RSP, (i32)offsetof(struct jit_frame, left)));
    emit_mem(e, X_MOV, 8, H_R10, MEM(H_RSP, (i32)offsetof(struct jit_frame, cpu)));
    emit_mem(e, X_MOV, 8, H_R10, MEM(H_R10, CPU(regs) + 8 * REG_RIP));
    emit_jmp_to(e, rt->leave_at);
}

void runtime_vec_emit(struct emit *e, struct jit_runtime *rt)
{
    rt->load_xmm = (u32)e->len;
    emit_load_xmm(e);
    rt->load_ymm = (u32)e->len;
    emit_load_ymm(e);
    rt->load_x87 = (u32)e->len;
    emit_load_x87(e);
    rt->vec_again = (u32)e->len;
    emit_vec_again(e, rt);
}
