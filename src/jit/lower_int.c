/* SPDX-License-Identifier: MIT */
/*
 * Integer instructions whose operands do not lie as lower.c has them: three registers (VEX), a bit far from
 * its operand, 16 bytes; divisions.
 */
#include "jit/gen.h"

enum { DIVISION = 0xf7, MOVSXD = 0x63, MOVSX16 = 0x0fbf };

/* ---- BMI ---- */

struct bmi {
    bool reg, vvvv, vvvv_read, vvvv_write, imm;
};

static struct bmi bmi_of(const struct insn_info *info)
{
    struct bmi b = {0};
    for (const struct operand_info *o = info->op; o < info->op + ARRAY_SIZE(info->op); o++) {
        b.reg |= o->kind == OP_G;
        b.vvvv |= o->kind == OP_B;
        b.vvvv_read |= o->kind == OP_B && (o->access & ACC_READ);
        b.vvvv_write |= o->kind == OP_B && (o->access & ACC_WRITE);
        b.imm |= o->kind == OP_I;
    }
    return b;
}

/* Sources are read before results are written, so R10 and R11 hold two of each. */
bool lower_bmi(struct gen *g)
{
    const struct insn *in = g->in;
    bool mem = in->flags & INSN_MEM;
    struct bmi b = bmi_of(g->info);
    if (!addressable(in))
        return false;
    if (mem)
        operand_place(g, in->mem_size, false);
    if (flags_outlive(g))
        flags_need(g);
    enum host_reg rm = mem ? H_R10 : guest_reg(g, in->rm, H_R10);
    enum host_reg reg = b.reg ? result_reg(in->reg, H_R10) : (enum host_reg)(in->modrm >> 3 & 7);
    enum host_reg vvvv = !b.vvvv       ? 0
                         : b.vvvv_read ? guest_reg(g, in->vreg, H_R11)
                                       : result_reg(in->vreg, H_R11);
    struct vex v = {.map = g->info->map & 3,
                    .prefix = g->info->prefix,
                    .w = in->size == 8,
                    .reg = (u8)reg,
                    .vvvv = (u8)vvvv};
    if (mem)
        emit_vex_mem(&g->e, v, in->opcode, g->operand);
    else
        emit_vex_reg(&g->e, v, in->opcode, rm);
    if (b.imm)
        emit8(&g->e, (u8)in->imm);
    go_home(g, in->vreg, H_R11, b.vvvv_write); /* MULX into one register twice: the upper half stays */
    go_home(g, in->reg, H_R10, b.reg);
    if ((g->info->flags_written | g->info->flags_undefined) & FLAGS_ARITH)
        flags_set(g);
    return true;
}

/* ---- divisions ---- */

/* The quotient fits if the dividend's upper half is below the divisor; R10 and R11 keep what they hold. */
static void check_unsigned(struct gen *g, enum host_reg divisor)
{
    emit_reg(&g->e, X_CMP, g->in->size, H_RDX, divisor);
    go_slow(g, CC_AE);
}

/* Only what C makes of an int by an int: a sign-extended dividend, by anything but 0 and -1. R10 is lost. */
static void check_signed(struct gen *g, enum host_reg divisor)
{
    struct emit *e = &g->e;
    unsigned size = g->in->size;
    emit_reg(e, X_MOV, size, H_R10, H_RAX);
    emit_shift(e, X_SAR, size, H_R10, (u8)(8 * size - 1));
    emit_reg(e, X_CMP, size, H_R10, H_RDX);
    go_slow(g, CC_NE);
    emit_lea(e, H_R10, MEM(divisor, 1));
    emit_imm(e, X_IMM_CMP, size, H_R10, 1);
    go_slow(g, CC_BE);
}

/* The host must never take #DE: the divisor is read once, checked, and divided by. */
static bool divide(struct gen *g, bool is_signed)
{
    const struct insn *in = g->in;
    struct prefixes p = {.rex_w = in->size == 8, .opsize = in->size == 2};
    enum host_reg divisor;
    if (in->size == 1 || !addressable(in))
        return false;
    if (in->flags & INSN_MEM) {
        operand_place(g, in->size, false);
        emit_mem(&g->e, X_MOV, in->size, divisor = H_R11, g->operand);
    } else {
        flags_spare(g);
        divisor = guest_reg(g, in->rm, H_R11);
    }
    (is_signed ? check_signed : check_unsigned)(g, divisor);
    flags_lost(g);
    if (flags_outlive(g)) {
        if (divisor == H_R11)
            emit_reg(&g->e, X_MOV, 8, divisor = H_R10, H_R11);
        flags_need(g);
    }
    emit_op_reg(&g->e, p, DIVISION, in->modrm >> 3 & 7u, divisor);
    flags_set(g);
    return true;
}

bool lower_div(struct gen *g)
{
    return divide(g, false);
}

bool lower_idiv(struct gen *g)
{
    return divide(g, true);
}

/* ---- bits in memory ---- */

/* R11: how far the word with the bit lies from the operand's address. Flags are lost. */
static void word_of_bit(struct gen *g)
{
    const struct insn *in = g->in;
    enum host_reg r = guest_reg(g, in->reg, H_R11);
    if (in->size == 8)
        emit_reg(&g->e, X_MOV, 8, H_R11, r);
    else
        emit_reg(&g->e, in->size == 4 ? MOVSXD : MOVSX16, 8, H_R11, r);
    emit_shift(&g->e, X_SAR, 8, H_R11, 3);
    emit_imm(&g->e, X_IMM_AND, 8, H_R11, -(i32)in->size);
}

/* A written word is addressed as the guest does it, so that the host's instruction finds the bit by itself.
 */
bool lower_bit(struct gen *g)
{
    const struct insn *in = g->in;
    struct emit *e = &g->e;
    bool write = g->info->op[0].access & ACC_WRITE, locked = in->flags & INSN_LOCK;
    struct prefixes p = {.lock = locked, .rex_w = in->size == 8, .opsize = in->size == 2};
    if (!(in->flags & INSN_MEM))
        return lower_plain(g);
    if (!addressable(in))
        return false;
    linear_address(g);
    flags_spare(g);
    word_of_bit(g);
    flags_lost(g);
    emit_lea(e, H_R10, (struct mem){.base = H_R10, .index = H_R11});
    host_address(g, in->size, write);
    if (locked)
        refuse_split(g, in->size);
    if (write) {
        word_of_bit(g);
        emit_reg(e, X_SUB, 8, H_R10, H_R11);
    } else {
        emit_mem(e, X_MOV, in->size, H_R10, MEM(H_R10, 0));
    }
    if (flags_outlive(g))
        flags_need(g);
    enum host_reg bit = guest_reg(g, in->reg, H_R11);
    if (write)
        emit_op_mem(e, p, opcode_of(in, g->info), bit, MEM(H_R10, 0));
    else
        emit_op_reg(e, p, opcode_of(in, g->info), bit, H_R10);
    flags_set(g);
    return true;
}

/* CMPXCHG8B, CMPXCHG16B: all their registers are where they are on the host. */
bool lower_cmpxchg_wide(struct gen *g)
{
    const struct insn *in = g->in;
    struct prefixes p = {.lock = in->flags & INSN_LOCK, .rex_w = in->mem_size == 16};
    if (!addressable(in))
        return false;
    operand_address(g, in->mem_size, true);
    refuse_split(g, in->mem_size);
    if (flags_outlive(g))
        flags_need(g);
    emit_op_mem(&g->e, p, opcode_of(in, g->info), 1, MEM(H_R10, 0));
    flags_set(g);
    return true;
}
