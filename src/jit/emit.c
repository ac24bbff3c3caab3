/* SPDX-License-Identifier: MIT */
/* Host instruction encodings. SDM 2A 2.1, 2.2.1, tables 2-2, 2-3 */
#include "jit/emit.h"

static void opcode(struct emit *e, u32 op)
{
    if (op > 0xffff)
        emit8(e, (u8)(op >> 16));
    if (op > 0xff)
        emit8(e, (u8)(op >> 8));
    emit8(e, (u8)op);
}

/* rex: R, X and B as they stand in the prefix. */
static void head(struct emit *e, struct prefixes p, u8 rex, bool force, u32 op)
{
    if (p.lock)
        emit8(e, 0xf0);
    if (p.opsize && p.mandatory != 0x66)
        emit8(e, 0x66);
    if (p.mandatory)
        emit8(e, p.mandatory);
    rex |= (u8)(p.rex_w << 3);
    if (rex || force)
        emit8(e, 0x40 | rex);
    opcode(e, op);
}

static bool low_byte_needs_rex(unsigned reg)
{
    return reg >= H_RSP && reg <= H_RDI;
}

static bool fits8(i32 v)
{
    return v == (i8)v;
}

static void modrm(struct emit *e, unsigned mod, unsigned reg, unsigned rm)
{
    emit8(e, (u8)(mod << 6 | (reg & 7) << 3 | (rm & 7)));
}

/* An address without a base takes the SIB form: without one it would be relative to RIP. */
static void address(struct emit *e, unsigned reg, struct mem m)
{
    bool index = m.index != H_NONE, base = m.base != H_NONE;
    unsigned mod = !base ? 0 : m.disp == 0 && (m.base & 7) != H_RBP ? 0 : fits8(m.disp) ? 1 : 2;
    if (!base || index || (m.base & 7) == H_RSP) {
        modrm(e, mod, reg, H_RSP);
        modrm(e, m.scale, index ? m.index : H_RSP, base ? m.base : H_RBP);
    } else {
        modrm(e, mod, reg, m.base);
    }
    if (!base || mod == 2)
        emit32(e, (u32)m.disp);
    else if (mod == 1)
        emit8(e, (u8)m.disp);
}

static u8 high(unsigned reg)
{
    return reg != H_NONE && reg >= 8;
}

static void touch(struct emit *e, unsigned reg)
{
    e->r10 |= reg == H_R10;
    e->r11 |= reg == H_R11;
}

void emit_op_mem(struct emit *e, struct prefixes p, u32 op, unsigned reg, struct mem m)
{
    u8 rex = (u8)(high(reg) << 2 | high(m.index) << 1 | high(m.base));
    touch(e, reg);
    head(e, p, rex, p.byte_reg && low_byte_needs_rex(reg), op);
    address(e, reg, m);
}

void emit_op_reg(struct emit *e, struct prefixes p, u32 op, unsigned reg, enum host_reg rm)
{
    bool force = (p.byte_reg && low_byte_needs_rex(reg)) || (p.byte_rm && low_byte_needs_rex(rm));
    touch(e, reg);
    touch(e, rm);
    head(e, p, (u8)(high(reg) << 2 | high(rm)), force, op);
    modrm(e, 3, reg, rm);
}

void emit_op_plus(struct emit *e, struct prefixes p, u32 op, enum host_reg reg)
{
    touch(e, reg);
    head(e, p, high(reg), p.byte_rm && low_byte_needs_rex(reg), op + (reg & 7));
}

/* bx: B and X as in REX. */
static void vex_head(struct emit *e, struct vex v, u8 bx, u8 op)
{
    u8 pp = v.prefix == 0x66 ? 1 : v.prefix == 0xf3 ? 2 : v.prefix == 0xf2 ? 3 : 0;
    emit8(e, 0xc4);
    emit8(e, (u8)((~(high(v.reg) << 2 | bx) & 7) << 5 | v.map));
    emit8(e, (u8)(v.w << 7 | (~v.vvvv & 15) << 3 | v.l << 2 | pp));
    emit8(e, op);
}

void emit_vex(struct emit *e, struct vex v, u8 op)
{
    vex_head(e, v, 0, op);
}

void emit_vex_mem(struct emit *e, struct vex v, u8 op, struct mem m)
{
    touch(e, v.reg);
    vex_head(e, v, (u8)(high(m.index) << 1 | high(m.base)), op);
    address(e, v.reg, m);
}

void emit_vex_reg(struct emit *e, struct vex v, u8 op, unsigned rm)
{
    touch(e, v.reg);
    touch(e, rm);
    vex_head(e, v, high(rm), op);
    modrm(e, 3, v.reg, rm);
}

static struct prefixes plain(unsigned size)
{
    return (struct prefixes){.rex_w = size == 8, .opsize = size == 2};
}

void emit_mem(struct emit *e, u32 op, unsigned size, enum host_reg reg, struct mem m)
{
    struct prefixes p = plain(size);
    p.byte_reg = size == 1;
    emit_op_mem(e, p, op, reg, m);
}

void emit_reg(struct emit *e, u32 op, unsigned size, enum host_reg reg, enum host_reg rm)
{
    struct prefixes p = plain(size);
    p.byte_reg = p.byte_rm = size == 1;
    emit_op_reg(e, p, op, reg, rm);
}

static u32 imm_opcode(i32 imm)
{
    return fits8(imm) ? 0x83 : 0x81;
}

static void immediate(struct emit *e, i32 imm)
{
    if (fits8(imm))
        emit8(e, (u8)imm);
    else
        emit32(e, (u32)imm);
}

void emit_imm(struct emit *e, unsigned digit, unsigned size, enum host_reg rm, i32 imm)
{
    emit_op_reg(e, plain(size), imm_opcode(imm), digit, rm);
    immediate(e, imm);
}

void emit_imm_mem(struct emit *e, unsigned digit, unsigned size, struct mem m, i32 imm)
{
    emit_op_mem(e, plain(size), imm_opcode(imm), digit, m);
    immediate(e, imm);
}

void emit_shift(struct emit *e, unsigned digit, unsigned size, enum host_reg rm, u8 imm)
{
    emit_op_reg(e, plain(size), 0xc1, digit, rm);
    emit8(e, imm);
}

void emit_mov_imm(struct emit *e, enum host_reg reg, u64 imm)
{
    if (imm <= 0xffffffff) {
        emit_op_plus(e, plain(4), 0xb8, reg);
        emit32(e, (u32)imm);
    } else if ((u64)(i64)(i32)imm == imm) {
        emit_op_reg(e, plain(8), 0xc7, 0, reg);
        emit32(e, (u32)imm);
    } else {
        emit_op_plus(e, plain(8), 0xb8, reg);
        emit64(e, imm);
    }
}

void emit_lea(struct emit *e, enum host_reg reg, struct mem m)
{
    if (m.index == H_NONE && m.disp == 0 && m.base != H_NONE)
        emit_reg(e, X_MOV, 8, reg, m.base);
    else
        emit_mem(e, X_LEA, 8, reg, m);
}

void emit_lea_rip(struct emit *e, enum host_reg reg, size_t target)
{
    const u8 head[] = {(u8)(0x48 | high(reg) << 2), X_LEA, (u8)((reg & 7) << 3 | 5)};
    touch(e, reg);
    emit_bytes(e, head, sizeof(head));
    emit32(e, (u32)(target - (e->len + 4)));
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
