/* SPDX-License-Identifier: MIT */
/* Memory operands: linear address, then the soft TLB inline. */
#include "jit/gen.h"

_Static_assert(sizeof(struct tlb_entry) == 16 && offsetof(struct tlb_entry, page) == 8, "ORDER TLB_ENTRY");
_Static_assert(offsetof(struct segment, base) == 0, "ORDER SEGMENT");

void go_slow(struct gen *g, u8 cc)
{
    struct slow *s = &g->slow[g->index];
    bug_on(s->jumps == SLOW_JUMPS, "too many slow jumps in one instruction");
    s->from[s->jumps++] = emit_jcc(&g->e, cc);
}

static void add_segment_base(struct gen *g)
{
    if (g->in->seg < FS)
        return;
    emit_mem(&g->e, X_MOV, 8, H_R11, FRAME(cpu));
    emit_mem(&g->e, X_MOV, 8, H_R11,
             MEM(H_R11, (i32)(offsetof(struct cpu, seg) + g->in->seg * sizeof(struct segment))));
    emit_lea(&g->e, H_R10, (struct mem){.base = H_R10, .index = H_R11});
}

void effective_address(struct gen *g)
{
    const struct insn *in = g->in;
    struct mem m = {.base = H_NONE, .index = H_NONE, .scale = in->scale, .disp = in->disp};
    if (in->base == REG_RIP) {
        rip_to(g, H_R10, (i64)g->next + in->disp);
        return;
    }
    if (in->base != REG_ZERO)
        m.base = guest_reg(g, in->base, H_R10);
    if (in->index != REG_ZERO)
        m.index = guest_reg(g, in->index, H_R11);
    if (m.base == H_NONE && m.index == H_NONE)
        emit_mov_imm(&g->e, H_R10, (u64)(i64)in->disp);
    else
        emit_lea(&g->e, H_R10, m);
}

void linear_address(struct gen *g)
{
    effective_address(g);
    add_segment_base(g);
}

/* The entry's tag differs from the address by the offset in the page alone when it is a hit. */
void host_address(struct gen *g, unsigned size, bool write)
{
    struct emit *e = &g->e;
    flags_keep(g);
    emit_reg(e, X_MOV, 8, H_R11, H_R10);
    emit_shift(e, X_SHR, 8, H_R11, PAGE_SHIFT - 4);
    emit_imm(e, X_IMM_AND, 4, H_R11, (TLB_SIZE - 1) << 4);
    emit_mem(e, X_ADD, 8, H_R11, write ? FRAME(tlb_w) : FRAME(tlb_r));
    emit_mem(e, X_XOR, 8, H_R10, MEM(H_R11, 0));
    emit_imm(e, X_IMM_CMP, 8, H_R10, (i32)(PAGE_SIZE - size));
    go_slow(g, CC_A);
    emit_mem(e, X_ADD, 8, H_R10, MEM(H_R11, 8));
    flags_lost(g);
}

void check_canonical(struct gen *g)
{
    struct emit *e = &g->e;
    emit_reg(e, X_MOV, 8, H_R11, H_R10);
    emit_shift(e, X_SHL, 8, H_R11, 16);
    emit_shift(e, X_SAR, 8, H_R11, 16);
    emit_reg(e, X_CMP, 8, H_R11, H_R10);
    go_slow(g, CC_NE);
}
