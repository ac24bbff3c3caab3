/* SPDX-License-Identifier: MIT */
/*
 * SSE, AVX and MMX: the same instruction on the host's vector registers of the same number.
 *
 * A block's first vector instruction asks frame.vec for what it needs and has it fetched when it is not there
 * (runtime_vec.c); after that it stays until C runs. Where it cannot be had, for the processor's state or for
 * an MXCSR that does not mask every exception, the instruction is its meaning's.
 */
#include "jit/gen.h"

#include "cpu/fpu.h"

enum { TEST_IMM8 = 0xf6 };

/* ---- what must hold before ---- */

static void test_vec(struct gen *g, u8 bit)
{
    emit_op_mem(&g->e, (struct prefixes){0}, TEST_IMM8, 0, FRAME(vec));
    emit8(&g->e, bit);
}

static void load_for(struct gen *g, u8 bits)
{
    if (bits & VEC_X87)
        call_runtime(g, g->rt->load_x87);
    if (bits & (VEC_YMM | VEC_YMM_FP))
        call_runtime(g, g->rt->load_ymm);
    else if (bits & (VEC_XMM | VEC_XMM_FP))
        call_runtime(g, g->rt->load_xmm);
}

void vec_need(struct gen *g, u8 bit)
{
    static const u8 implied[] = {[VEC_XMM] = VEC_XMM,
                                 [VEC_XMM_FP] = VEC_XMM | VEC_XMM_FP,
                                 [VEC_YMM] = VEC_XMM | VEC_YMM,
                                 [VEC_YMM_FP] = VEC_XMM | VEC_XMM_FP | VEC_YMM | VEC_YMM_FP,
                                 [VEC_X87] = VEC_X87};
    struct slow *s = &g->slow[g->index];
    if (g->vec & bit)
        return;
    flags_spare(g);
    test_vec(g, bit);
    s->vec_need = bit;
    scratch_lost(g);
    s->vec_from = emit_jcc(&g->e, CC_E);
    s->vec_back = g->e.len;
    flags_lost(g);
    g->vec |= implied[bit];
}

void vec_emit_need(struct gen *g, struct slow *s)
{
    emit_patch(&g->e, s->vec_from, g->e.len);
    load_for(g, s->vec_need);
    test_vec(g, s->vec_need);
    emit_patch(&g->e, emit_jcc(&g->e, CC_NE), s->vec_back);
}

void vec_emit_again(struct gen *g, const struct slow *s, unsigned i)
{
    emit_mov_imm(&g->e, H_R11, s->vec | (g->b->count - i - 1) << 8);
    call_runtime(g, g->rt->vec_again);
}

/* ---- the instruction ---- */

struct vec_form {
    int reg, vvvv, rm; /* vector registers named, or -1 */
    bool gpr_reg, gpr_reg_write, gpr_rm, gpr_rm_write;
    bool imm, other; /* other: an operand that is not encoded so */
};

static void add_operand(struct vec_form *f, const struct operand_info *o, const struct insn *in)
{
    bool mem = in->flags & INSN_MEM, read = o->access & ACC_READ, write = o->access & ACC_WRITE;
    switch (o->kind) {
    case OP_NONE:
    case OP_M:
        return;
    case OP_V:
        f->reg = in->reg;
        return;
    case OP_P:
        f->reg = in->reg & 7;
        return;
    case OP_Q:
    case OP_N:
        f->rm = mem ? -1 : in->rm & 7;
        return;
    case OP_H:
        f->vvvv = in->vreg;
        f->other |= write;
        return;
    case OP_W:
    case OP_U:
        f->rm = mem ? -1 : in->rm;
        return;
    case OP_G:
        f->gpr_reg = true;
        f->gpr_reg_write = write;
        f->other |= read;
        return;
    case OP_E:
        f->gpr_rm = !mem;
        f->gpr_rm_write = write;
        return;
    case OP_L: /* in the immediate's upper half */
        f->imm = true;
        return;
    case OP_I:
        f->imm = o->size == SZ_B;
        f->other |= o->size != SZ_B;
        return;
    case OP_REG: /* where it is on the host too */
        f->other |= o->size != SZ_DQ && host_reg_of[o->arg] != (enum host_reg)o->arg;
        return;
    default:
        f->other = true;
    }
}

static void encode(struct gen *g, const struct vec_form *f, unsigned reg, unsigned rm)
{
    const struct insn *in = g->in;
    bool mem = in->flags & INSN_MEM, w = in->flags & INSN_W;
    u8 prefix = g->info->prefix;
    struct prefixes p = {.rex_w = w, .mandatory = prefix};
    struct vex v = {.map = g->info->map & 3,
                    .prefix = prefix,
                    .w = w,
                    .l = in->flags & INSN_VEX_L,
                    .reg = (u8)reg,
                    .vvvv = f->vvvv < 0 ? 0 : (u8)f->vvvv};
    if ((in->flags & INSN_VEX) && mem)
        emit_vex_mem(&g->e, v, in->opcode, g->operand);
    else if (in->flags & INSN_VEX)
        emit_vex_reg(&g->e, v, in->opcode, rm);
    else if (mem)
        emit_op_mem(&g->e, p, opcode_of(in, g->info), reg, g->operand);
    else
        emit_op_reg(&g->e, p, opcode_of(in, g->info), reg, (enum host_reg)rm);
    if (f->imm)
        emit8(&g->e, (u8)in->imm);
}

/* A later one of a group is as much aligned as the first. */
static void reach_memory(struct gen *g)
{
    const struct insn *in = g->in;
    operand_place(g, in->mem_size, g->info->attr & ATTR_STORE);
    if (!(g->info->attr & ATTR_ALIGN) || g->access[g->index].role == ACCESS_LATER)
        return;
    if (g->operand.disp || g->operand.index != H_NONE)
        emit_lea(&g->e, H_R10, g->operand);
    g->operand = MEM(H_R10, 0);
    refuse_split(g, in->mem_size);
}

static u8 bit_for(u32 attr, bool vex)
{
    if (attr & ATTR_MMX)
        return VEC_X87;
    if (attr & ATTR_FPEXC)
        return vex ? VEC_YMM_FP : VEC_XMM_FP;
    return vex ? VEC_YMM : VEC_XMM;
}

/* False: it cannot be encoded so. */
static bool form_of(const struct insn *in, struct vec_form *f)
{
    const struct insn_info *info = &insn_infos[in->id];
    u32 state = info->attr & (ATTR_SSE | ATTR_AVX | ATTR_MMX);
    *f = (struct vec_form){.reg = -1, .vvvv = -1, .rm = -1};
    for (unsigned i = 0; i < ARRAY_SIZE(info->op); i++)
        add_operand(f, &info->op[i], in);
    return (state == ATTR_SSE || state == ATTR_AVX || state == ATTR_MMX) && !f->other && addressable(in);
}

bool lower_vec_is_native(const struct insn *in)
{
    struct vec_form f;
    return !(insn_infos[in->id].attr & ATTR_X87) && form_of(in, &f);
}

bool lower_vec(struct gen *g)
{
    const struct insn *in = g->in;
    struct vec_form f;
    u32 attr = g->info->attr;
    bool mem = in->flags & INSN_MEM, writes_flags = g->info->flags_written & FLAGS_ARITH;
    if (attr & ATTR_X87)
        return lower_x87(g);
    if (!form_of(in, &f))
        return false;
    vec_need(g, bit_for(attr, in->flags & INSN_VEX));
    g->spares_r11 = !f.gpr_reg && !f.gpr_rm && !writes_flags;
    if (mem)
        reach_memory(g);
    unsigned reg = f.reg >= 0 ? (unsigned)f.reg : in->modrm >> 3 & 7u,
             rm = f.rm >= 0 ? (unsigned)f.rm : in->rm;
    if (f.gpr_reg)
        reg = result_reg(in->reg, H_R11);
    if (f.gpr_rm)
        rm = f.gpr_rm_write ? result_reg(in->rm, H_R11) : guest_reg(g, in->rm, H_R11);
    if (writes_flags)
        flags_spare(g);
    encode(g, &f, reg, rm);
    go_home(g, in->reg, H_R11, f.gpr_reg && f.gpr_reg_write);
    go_home(g, in->rm, H_R11, f.gpr_rm && f.gpr_rm_write);
    if (writes_flags)
        flags_set(g);
    return true;
}

/* VZEROUPPER, VZEROALL */
bool lower_vec_zero(struct gen *g)
{
    vec_need(g, VEC_YMM);
    emit_vex(&g->e, (struct vex){.map = 1, .l = g->in->flags & INSN_VEX_L}, g->in->opcode);
    return true;
}

/* ---- MXCSR ---- */

#define CPU_MXCSR MEM(H_R10, (i32)offsetof(struct cpu, mxcsr))

enum { MXCSR_GROUP = 0x0fae, LDMXCSR = 2, STMXCSR = 3 };

/* struct cpu has the control bits and the flags from before, the host's MXCSR the flags since. */
bool lower_stmxcsr(struct gen *g)
{
    struct emit *e = &g->e;
    if (g->in->adsize != 8)
        return false;
    vec_need(g, bit_for(0, g->in->flags & INSN_VEX));
    flags_spare(g);
    emit_op_mem(e, (struct prefixes){0}, MXCSR_GROUP, STMXCSR, FRAME(mxcsr));
    emit_mem(e, X_MOV, 8, H_R10, FRAME(cpu));
    emit_mem(e, X_MOV, 4, H_R11, FRAME(mxcsr));
    emit_imm(e, X_IMM_AND, 4, H_R11, MXCSR_FLAGS);
    emit_mem(e, X_OR, 4, H_R11, CPU_MXCSR);
    emit_mem(e, X_MOV_TO, 4, H_R11, FRAME(mxcsr));
    flags_lost(g);
    linear_address(g);
    host_address(g, 4, true);
    emit_mem(e, X_MOV, 4, H_R11, FRAME(mxcsr));
    emit_mem(e, X_MOV_TO, 4, H_R11, MEM(H_R10, 0));
    return true;
}

/* One that unmasks an exception or sets a reserved bit is for the meaning. */
bool lower_ldmxcsr(struct gen *g)
{
    struct emit *e = &g->e;
    if (g->in->adsize != 8)
        return false;
    vec_need(g, bit_for(ATTR_FPEXC, g->in->flags & INSN_VEX));
    linear_address(g);
    host_address(g, 4, false);
    emit_mem(e, X_MOV, 4, H_R11, MEM(H_R10, 0));
    emit_mem(e, X_MOV_TO, 4, H_R11, FRAME(mxcsr));
    emit_imm(e, X_IMM_AND, 4, H_R11, (i32)(~(u32)MXCSR_VALID | MXCSR_MASKS));
    emit_imm(e, X_IMM_CMP, 4, H_R11, MXCSR_MASKS);
    go_slow(g, CC_NE);
    emit_mem(e, X_MOV, 8, H_R10, FRAME(cpu));
    emit_mem(e, X_MOV, 4, H_R11, FRAME(mxcsr));
    emit_mem(e, X_MOV_TO, 4, H_R11, CPU_MXCSR);
    emit_imm(e, X_IMM_AND, 4, H_R11, ~MXCSR_FLAGS);
    emit_mem(e, X_MOV_TO, 4, H_R11, FRAME(mxcsr));
    emit_op_mem(e, (struct prefixes){0}, MXCSR_GROUP, LDMXCSR, FRAME(mxcsr));
    return true;
}
