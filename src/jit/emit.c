/* SPDX-License-Identifier: MIT */
/* Host instruction encodings. SDM 2A 2.1, 2.2.1 */
#include "jit/emit.h"

static void rex(struct emit *e, unsigned size, enum host_reg reg, enum host_reg rm)
{
    u8 v = (u8)(0x40 | (size == 8) << 3 | (reg >= 8) << 2 | (rm >= 8));
    if (v != 0x40)
        emit8(e, v);
}

void emit_mem(struct emit *e, u8 op, enum host_reg reg, enum host_reg base, i32 disp, unsigned size)
{
    rex(e, size, reg, base);
    emit8(e, op);
    emit8(e, (u8)(0x80 | (reg & 7) << 3 | (base & 7)));
    emit32(e, (u32)disp);
}

void emit_reg(struct emit *e, u8 op, enum host_reg rm, enum host_reg reg, unsigned size)
{
    rex(e, size, reg, rm);
    emit8(e, op);
    emit8(e, (u8)(0xc0 | (reg & 7) << 3 | (rm & 7)));
}

void emit_imm(struct emit *e, u8 digit, enum host_reg rm, i32 imm, unsigned size)
{
    emit_reg(e, 0x81, rm, digit, size);
    emit32(e, (u32)imm);
}

void emit_shift(struct emit *e, u8 digit, enum host_reg rm, u8 imm, unsigned size)
{
    emit_reg(e, 0xc1, rm, digit, size);
    emit8(e, imm);
}

void emit_mov_imm(struct emit *e, enum host_reg reg, u64 imm)
{
    rex(e, 8, 0, reg);
    emit8(e, (u8)(0xb8 | (reg & 7)));
    emit64(e, imm);
}

size_t emit_jcc(struct emit *e, u8 cc)
{
    emit8(e, 0x0f);
    emit8(e, (u8)(0x80 | cc));
    emit32(e, 0);
    return e->len - 4;
}

size_t emit_jmp(struct emit *e)
{
    emit8(e, 0xe9);
    emit32(e, 0);
    return e->len - 4;
}

void emit_patch(struct emit *e, size_t place, size_t target)
{
    if (!e->overflow)
        store_le(e->buf + place, 4, target - (place + 4));
}

void emit_jmp_to(struct emit *e, size_t target)
{
    size_t place = emit_jmp(e);
    emit_patch(e, place, target);
}
