/* SPDX-License-Identifier: MIT */
/*
 * x87 and MMX: the same instruction on the host's registers, which hold the guest's while VEC_X87 is set
 * (runtime_vec.c) and only while every x87 exception is masked, so that the host never takes #MF.
 *
 * Where the last instruction and its operand lie (FOP, FIP, FDP) is the guest's business, not the host's: it
 * is written to the image in struct cpu, whose other fields are stale meanwhile.
 */
#include "jit/gen.h"

#include "cpu/fpu.h"

#define IMAGE(field) MEM(H_R10, (i32)(offsetof(struct cpu, x87) + (field)))

enum { STORE_IMM = 0xc7, FLDCW = 5 };

/* R11: the operand's address if there is one. R10 and R11 are lost. */
static void record_pointers(struct gen *g, bool mem)
{
    struct emit *e = &g->e;
    emit_mem(e, X_MOV, 8, H_R10, FRAME(cpu));
    if (mem)
        emit_mem(e, X_MOV_TO, 8, H_R11, IMAGE(X87_FDP));
    rip_to(g, H_R11, g->at);
    emit_mem(e, X_MOV_TO, 8, H_R11, IMAGE(X87_FIP));
    emit_op_mem(e, (struct prefixes){.opsize = true}, STORE_IMM, 0, IMAGE(X87_FOP));
    u16 fop = (u16)((g->in->opcode & 7) << 8 | g->in->modrm);
    emit_bytes(e, &fop, sizeof(fop));
}

static void operate(struct gen *g)
{
    const struct insn *in = g->in;
    const u8 code[] = {in->opcode, in->modrm};
    if (in->flags & INSN_MEM)
        emit_op_mem(&g->e, (struct prefixes){0}, in->opcode, in->modrm >> 3 & 7u, MEM(H_R10, 0));
    else
        emit_bytes(&g->e, code, sizeof(code));
}

/* R10: host address of the operand; its guest address waits in the frame. */
static void reach_operand(struct gen *g)
{
    effective_address(g, 0);
    emit_mem(&g->e, X_MOV_TO, 8, H_R10, FRAME(scratch));
    linear_address(g);
    host_address(g, g->in->mem_size, g->info->attr & ATTR_STORE);
}

bool lower_x87(struct gen *g)
{
    bool mem = g->in->flags & INSN_MEM;
    if (!addressable(g->in))
        return false;
    vec_need(g, VEC_X87);
    if (mem)
        reach_operand(g);
    if (g->info->flags_read & FLAGS_ARITH)
        flags_need(g);
    operate(g);
    if (g->info->flags_written & FLAGS_ARITH)
        flags_set(g);
    if (mem)
        emit_mem(&g->e, X_MOV, 8, H_R11, FRAME(scratch));
    record_pointers(g, mem);
    return true;
}

/* FNSTCW, FNSTSW, FNCLEX, EMMS: the pointers stay. */
bool lower_x87_control(struct gen *g)
{
    if (!addressable(g->in))
        return false;
    vec_need(g, VEC_X87);
    if (g->in->flags & INSN_MEM) {
        linear_address(g);
        host_address(g, g->in->mem_size, g->info->attr & ATTR_STORE);
    }
    if (g->info->map == 1)
        emit8(&g->e, 0x0f);
    if (g->in->modrm || g->info->map != 1)
        operate(g);
    else
        emit8(&g->e, g->in->opcode);
    return true;
}

/* One that unmasks an exception is for the meaning. Read once, loaded from where the guest cannot write. */
bool lower_fldcw(struct gen *g)
{
    struct emit *e = &g->e;
    if (!addressable(g->in))
        return false;
    vec_need(g, VEC_X87);
    linear_address(g);
    host_address(g, 2, false);
    emit_mem(e, X_MOVZX16, 4, H_R11, MEM(H_R10, 0));
    emit_mem(e, X_MOV_TO, 4, H_R11, FRAME(mxcsr));
    emit_imm(e, X_IMM_AND, 4, H_R11, CW_MASKS);
    emit_imm(e, X_IMM_CMP, 4, H_R11, CW_MASKS);
    go_slow(g, CC_NE);
    emit_op_mem(e, (struct prefixes){0}, 0xd9, FLDCW, FRAME(mxcsr));
    return true;
}

/* With everything masked nothing waits. */
bool lower_fwait(struct gen *g)
{
    vec_need(g, VEC_X87);
    return true;
}
