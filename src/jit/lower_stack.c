/* SPDX-License-Identifier: MIT */
/* PUSH, POP, LEAVE with 8-byte operands. RSP moves when nothing can fault any more, once for a run of them.
 */
#include "jit/gen.h"

/* The next instruction moves RSP, too, and does no more with it, nor can it fail: it is a later one of a
 * group. */
static bool moves_on(const struct gen *g)
{
    unsigned next = g->index + 1u;
    if (g->in_twin || next >= g->b->count || g->access[next].role != ACCESS_LATER ||
        trace_turns(g, g->index) || trace_turns(g, next))
        return false;
    const struct insn *in = &g->b->uop[next].in;
    switch (g->how[next]) {
    case LOWER_PUSH:
        return !(in->flags & INSN_MEM) && in->rm != RSP;
    case LOWER_PUSH_IMM:
    case LOWER_POP:
        return !(in->flags & INSN_MEM);
    case LOWER_CALL:
        return trace_inner(g, next);
    default:
        return false;
    }
}

void move_rsp(struct gen *g, i32 by)
{
    g->rsp_due += by;
    if (moves_on(g))
        return;
    emit_lea(&g->e, host_reg_of[RSP], MEM(host_reg_of[RSP], g->rsp_due));
    g->rsp_due = 0;
}

static struct mem new_top(struct gen *g)
{
    return stack_place(g, -8, 8, true);
}

void push_scratch(struct gen *g)
{
    emit_mem(&g->e, X_MOV_TO, 8, H_R10, FRAME(scratch));
    struct mem top = new_top(g);
    emit_mem(&g->e, X_MOV, 8, H_R11, FRAME(scratch));
    emit_mem(&g->e, X_MOV_TO, 8, H_R11, top);
    move_rsp(g, -8);
}

static bool push_memory(struct gen *g)
{
    if (g->in->adsize != 8)
        return false;
    operand_place(g, 8, false);
    emit_mem(&g->e, X_MOV, 8, H_R10, g->operand);
    push_scratch(g);
    return true;
}

bool lower_push(struct gen *g)
{
    const struct insn *in = g->in;
    if (in->size != 8)
        return false;
    if (in->flags & INSN_MEM)
        return push_memory(g);
    struct mem top = new_top(g);
    emit_mem(&g->e, X_MOV_TO, 8, guest_reg(g, in->rm, H_R11), top);
    move_rsp(g, -8);
    return true;
}

bool lower_push_imm(struct gen *g)
{
    if (g->in->size != 8)
        return false;
    emit_op_mem(&g->e, (struct prefixes){.rex_w = true}, 0xc7, 0, new_top(g));
    emit32(&g->e, (u32)g->in->imm);
    move_rsp(g, -8);
    return true;
}

/* An address by RSP would be that behind the pop. SDM 2B POP */
static bool pop_memory(struct gen *g)
{
    if (g->in->adsize != 8 || g->in->base == RSP)
        return false;
    emit_mem(&g->e, X_MOV, 8, H_R10, stack_place(g, 0, 8, false));
    emit_mem(&g->e, X_MOV_TO, 8, H_R10, FRAME(scratch));
    operand_place(g, 8, true);
    emit_mem(&g->e, X_MOV, 8, H_R11, FRAME(scratch));
    emit_mem(&g->e, X_MOV_TO, 8, H_R11, g->operand);
    move_rsp(g, 8);
    return true;
}

bool lower_pop(struct gen *g)
{
    const struct insn *in = g->in;
    if (in->size != 8)
        return false;
    if (in->flags & INSN_MEM)
        return pop_memory(g);
    struct mem top = stack_place(g, 0, 8, false);
    if (in->rm == RSP) {
        emit_mem(&g->e, X_MOV, 8, host_reg_of[RSP], top);
        return true;
    }
    emit_mem(&g->e, X_MOV, 8, result_reg(in->rm, H_R11), top);
    go_home(g, in->rm, H_R11, true);
    move_rsp(g, 8);
    return true;
}

bool lower_leave(struct gen *g)
{
    if (g->in->size != 8)
        return false;
    emit_lea(&g->e, H_R10, MEM(H_RBP, 0));
    host_address(g, 8, false);
    emit_lea(&g->e, host_reg_of[RSP], MEM(H_RBP, 8));
    emit_mem(&g->e, X_MOV, 8, H_RBP, MEM(H_R10, 0));
    return true;
}
