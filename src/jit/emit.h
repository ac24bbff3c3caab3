/* SPDX-License-Identifier: MIT */
/*
 * Host instructions as bytes, into a bounded buffer. A full buffer sets `overflow` and swallows the rest:
 * look once at the end.
 *
 * Opcodes are numbers: 0x89 is one byte, 0x0faf two, 0x0f38f0 three. Sizes are operand sizes in bytes; a byte
 * operand in SPL..DIL or R8B..R15B gets the REX prefix it needs, and AH..BH do not exist here.
 */
#ifndef JIT_EMIT_H
#define JIT_EMIT_H

#include "base/types.h"

enum host_reg {
    H_RAX,
    H_RCX,
    H_RDX,
    H_RBX,
    H_RSP,
    H_RBP,
    H_RSI,
    H_RDI,
    H_R8,
    H_R9,
    H_R10,
    H_R11,
    H_R12,
    H_R13,
    H_R14,
    H_R15,
    H_NONE
};

/* Opcodes with a name; the forms `reg, r/m` unless they say otherwise. */
enum {
    X_ADD = 0x03,
    X_OR = 0x0b,
    X_AND = 0x23,
    X_ADD_TO = 0x01, /* r/m, reg */
    X_SUB = 0x2b,
    X_SUB_TO = 0x29, /* r/m, reg */
    X_XOR = 0x33,
    X_CMP = 0x3b,
    X_MOV = 0x8b,
    X_MOV_TO = 0x89, /* r/m, reg */
    X_LEA = 0x8d,
    X_TEST = 0x85,
    X_MOVZX8 = 0x0fb6,
    X_MOVZX16 = 0x0fb7,
};
enum { X_IMM_ADD = 0, X_IMM_OR = 1, X_IMM_AND = 4, X_IMM_SUB = 5, X_IMM_CMP = 7 }; /* /digit of 81 */
enum { X_ROL = 0, X_ROR = 1, X_SHL = 4, X_SHR = 5, X_SAR = 7 };                    /* /digit of C1 */
enum { CC_B = 2, CC_AE = 3, CC_E = 4, CC_NE = 5, CC_BE = 6, CC_A = 7, CC_S = 8 };

struct emit {
    u8 *buf;
    size_t len, cap;
    bool overflow;
    bool r10, r11; /* set by what may change R10, R11 */
};

/* A memory operand: base + (index << scale) + disp. H_NONE: without. RSP is no index. */
struct mem {
    enum host_reg base : 8, index : 8;
    u32 scale : 8;
    i32 disp;
};
#define MEM(b, d) ((struct mem){.base = (b), .index = H_NONE, .disp = (d)})

static inline bool emit_room(struct emit *e, size_t n)
{
    if (likely(e->len + n <= e->cap))
        return true;
    e->overflow = true;
    return false;
}

static inline void emit_bytes(struct emit *e, const void *p, size_t n)
{
    if (emit_room(e, n)) {
        memcpy(e->buf + e->len, p, n);
        e->len += n;
    }
}

/* Most of what is emitted: without a call of memcpy(). */
static inline void emit8(struct emit *e, u8 v)
{
    if (emit_room(e, 1))
        e->buf[e->len++] = v;
}

static inline void emit32(struct emit *e, u32 v)
{
    emit_bytes(e, &v, 4);
}

static inline void emit64(struct emit *e, u64 v)
{
    emit_bytes(e, &v, 8);
}

/* What stands before the opcode besides REX. */
struct prefixes {
    bool lock : 1, rex_w : 1, byte_reg : 1, byte_rm : 1; /* byte_*: that register operand is a byte */
    bool opsize : 1;                                     /* 66 */
    unsigned mandatory : 8;                              /* 66, F2, F3, or 0 */
};

/* The general forms: everything below is made of them. */
void emit_op_mem(struct emit *e, struct prefixes p, u32 op, unsigned reg, struct mem m);
void emit_op_reg(struct emit *e, struct prefixes p, u32 op, unsigned reg, enum host_reg rm);
void emit_op_plus(struct emit *e, struct prefixes p, u32 op, enum host_reg reg); /* register in the opcode */

/* VEX in its three-byte form. SDM 2A 2.3.5 */
struct vex {
    u8 map, prefix; /* 1 0F, 2 0F38, 3 0F3A; mandatory prefix: 66, F2, F3, or 0 */
    bool w, l;
    u8 reg, vvvv; /* ModRM.reg, and 0 where there is no vvvv */
};
void emit_vex(struct emit *e, struct vex v, u8 op); /* without operands */
void emit_vex_mem(struct emit *e, struct vex v, u8 op, struct mem m);
void emit_vex_reg(struct emit *e, struct vex v, u8 op, unsigned rm);

/* op reg, [m] and op reg, rm; size 1, 2, 4 or 8. */
void emit_mem(struct emit *e, u32 op, unsigned size, enum host_reg reg, struct mem m);
void emit_reg(struct emit *e, u32 op, unsigned size, enum host_reg reg, enum host_reg rm);
/* op /digit rm, imm32 and op /digit [m], imm32 (sign-extended), shorter when it fits 8 bits; size 4 or 8 */
void emit_imm(struct emit *e, unsigned digit, unsigned size, enum host_reg rm, i32 imm);
void emit_imm_mem(struct emit *e, unsigned digit, unsigned size, struct mem m, i32 imm);
void emit_shift(struct emit *e, unsigned digit, unsigned size, enum host_reg rm, u8 imm);
void emit_mov_imm(struct emit *e, enum host_reg reg, u64 imm); /* flags stay */
void emit_lea(struct emit *e, enum host_reg reg, struct mem m);
void emit_lea_rip(struct emit *e, enum host_reg reg, size_t target); /* an offset in the buffer */
/* Jumps with 32-bit displacements to be filled in: the place to give to emit_patch(). cc: condition, 0..15.
 */
size_t emit_jcc(struct emit *e, u8 cc);
size_t emit_jmp(struct emit *e);
void emit_patch(struct emit *e, size_t place, size_t target); /* both offsets in the buffer */
void emit_jmp_to(struct emit *e, size_t target);

#endif
