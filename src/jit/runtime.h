/* SPDX-License-Identifier: MIT */
/* What the files share that emit the routines of all blocks (runtime*.c); frame.h has what blocks need of
 * them. */
#ifndef JIT_RUNTIME_H
#define JIT_RUNTIME_H

#include "jit/emit.h"
#include "jit/frame.h"

#define CPU(field) ((i32)offsetof(struct cpu, field))

enum {
    IMUL_IMM = 0x69,
    BYTE_CMP_IMM = 0x80, /* /7 */
    BYTE_TO = 0x88,
    TEST_IMM = 0xf7,
    CALL_MEM = 0xff /* /2 call, /4 jmp */
};

static const struct prefixes none = {0}, wide = {.rex_w = true};

/* What `enter` saves of its caller's, from its return address downward; then its third argument, then the
 * frame. */
static const enum host_reg saved_regs[] = {H_RBX, H_RBP, H_R12, H_R13, H_R14, H_R15};

static inline void emit_push(struct emit *e, enum host_reg r)
{
    emit_op_plus(e, none, 0x50, r);
}

static inline void emit_pop(struct emit *e, enum host_reg r)
{
    emit_op_plus(e, none, 0x58, r);
}

/* R9 as it should be, from R10: struct cpu. Flags stay. */
void runtime_load_view(struct emit *e);

/* They jump to what is emitted before them: leave_at, leave_chain. */
void runtime_jump_emit(struct emit *e, struct jit_runtime *rt, const struct jit_options *options);
void runtime_vec_emit(struct emit *e, struct jit_runtime *rt);
void runtime_refill_emit(struct emit *e, struct jit_runtime *rt);
void runtime_slot_emit(struct emit *e, struct jit_runtime *rt);
void runtime_system_emit(struct emit *e, struct jit_runtime *rt);
/* Inline; R10: struct cpu, R11 stays, guest registers are in it already. */
void runtime_vec_store(struct emit *e, i32 bias);

#endif
