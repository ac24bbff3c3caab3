/* SPDX-License-Identifier: MIT */
/*
 * Host instructions as bytes, into a bounded buffer. Only the forms the translator uses. A full buffer sets
 * `overflow` and swallows the rest: look once at the end.
 */
#ifndef JIT_EMIT_H
#define JIT_EMIT_H

#include "base/types.h"

enum host_reg { H_RAX, H_RCX, H_RDX, H_RBX, H_RSP, H_RBP, H_RSI, H_RDI, H_R8, H_R9, H_R10, H_R11, H_R12 };

struct emit {
    u8 *buf;
    size_t len, cap;
    bool overflow;
};

static inline void emit_bytes(struct emit *e, const void *p, size_t n)
{
    if (e->len + n > e->cap) {
        e->overflow = true;
        return;
    }
    memcpy(e->buf + e->len, p, n);
    e->len += n;
}

static inline void emit8(struct emit *e, u8 v)
{
    emit_bytes(e, &v, 1);
}

static inline void emit32(struct emit *e, u32 v)
{
    emit_bytes(e, &v, 4);
}

static inline void emit64(struct emit *e, u64 v)
{
    emit_bytes(e, &v, 8);
}

/* op reg, [base+disp32]; size 4 or 8. base is never RSP or R12. */
void emit_mem(struct emit *e, u8 op, enum host_reg reg, enum host_reg base, i32 disp, unsigned size);
/* op rm, reg */
void emit_reg(struct emit *e, u8 op, enum host_reg rm, enum host_reg reg, unsigned size);
/* op /digit rm, imm32 (sign-extended): 0 add, 4 and, 7 cmp */
void emit_imm(struct emit *e, u8 digit, enum host_reg rm, i32 imm, unsigned size);
/* shl (4), shr (5), sar (7) rm, imm8 */
void emit_shift(struct emit *e, u8 digit, enum host_reg rm, u8 imm, unsigned size);
void emit_mov_imm(struct emit *e, enum host_reg reg, u64 imm);
/* Jumps with 32-bit displacements to be filled in: the place to give to emit_patch(). cc: condition, 0..15.
 */
size_t emit_jcc(struct emit *e, u8 cc);
size_t emit_jmp(struct emit *e);
void emit_patch(struct emit *e, size_t place, size_t target); /* both offsets in the buffer */
void emit_jmp_to(struct emit *e, size_t target);

#endif
