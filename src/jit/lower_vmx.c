/* SPDX-License-Identifier: MIT */
/*
 * VMREAD and VMWRITE of registers in root operation, on the VMCS that the processor holds (struct cpu's
 * vmcs). In non-root operation they are intercepted, and so is all that has no such VMCS: that is the
 * meaning's. The field is mostly a constant of the block; else VMREAD finds it by a table.
 */
#include "cpu/nested/vmcs.h"
#include "jit/gen.h"

#define CPU(field)   ((i32)offsetof(struct cpu, field))
#define VMCS(member) ((i32)offsetof(struct vmcs, member))

enum { BYTE_CMP_IMM = 0x80, IMM8_OR = 0x83, MOV_IMM = 0xc7, TEST_IMM = 0xf7 };
_Static_assert(GROUP_ALL < 128, "a group is an immediate byte");

/* The encoding in a register that this block has put there, or -1. */
static i64 constant(const struct gen *g, unsigned reg)
{
    for (unsigned i = g->index; i-- > 0;) {
        const struct insn *in = &g->b->uop[i].in;
        if (!(lower_writes(in, g->how[i]) >> reg & 1))
            continue;
        bool moved = meaning_no(in->id) == NO_mov_EI && !(in->flags & INSN_MEM) && in->size >= 4;
        return moved && in->rm == reg ? (i64)(in->imm & size_mask(in->size)) : -1;
    }
    return -1;
}

/* R10: the VMCS. Flags are lost. */
static void find_vmcs(struct gen *g)
{
    struct emit *e = &g->e;
    emit_mem(e, X_MOV, 8, H_R10, FRAME(cpu));
    emit_op_mem(e, (struct prefixes){0}, BYTE_CMP_IMM, X_IMM_CMP, MEM(H_R10, CPU(cpl)));
    emit8(e, 0);
    go_slow(g, CC_NE);
    emit_mem(e, X_MOV, 8, H_R10, MEM(H_R10, CPU(vmcs)));
    emit_reg(e, X_TEST, 8, H_R10, H_R10);
    go_slow(g, CC_E);
}

/* R11: 1 + the field of the encoding that it held. R10 and flags are lost. */
static void find_field(struct gen *g)
{
    struct emit *e = &g->e;
    emit_op_reg(e, (struct prefixes){.rex_w = true}, TEST_IMM, 0, H_R11);
    emit32(e, ~(u32)(2 * VMCS_INDEX_SIZE - 2));
    go_slow(g, CC_NE);
    emit_shift(e, X_SHR, 4, H_R11, 1);
    emit_mov_imm(e, H_R10, (u64)vmcs_index);
    emit_mem(e, X_MOVZX8, 4, H_R11, (struct mem){.base = H_R10, .index = H_R11});
    emit_reg(e, X_TEST, 4, H_R11, H_R11);
    go_slow(g, CC_E);
}

/* VMsucceed: all flags are clear. They have no recipe, as the slow case may come back with others, and are
 * known without looking at the host's. R11 is lost. */
static void succeed(struct gen *g)
{
    struct emit *e = &g->e;
    emit_op_mem(e, (struct prefixes){.opsize = true}, MOV_IMM, 0, FRAME(fl));
    emit_bytes(e, "\0", 2);
    emit_op_mem(e, (struct prefixes){.rex_w = true}, MOV_IMM, 0, FRAME(fix));
    emit32(e, 0);
    emit_mov_imm(e, H_R11, 1);
    emit_imm(e, X_IMM_CMP, 4, H_R11, 0);
    flags_set(g);
    g->flags.saved = g->flags.in_fl = true;
}

static void read_from(struct gen *g, struct mem field)
{
    enum host_reg to = result_reg(g->in->rm, H_R10);
    emit_mem(&g->e, X_MOV, 8, to, field);
    go_home(g, g->in->rm, to, true);
}

bool lower_vmread(struct gen *g)
{
    const struct insn *in = g->in;
    i64 encoding = constant(g, in->reg);
    int field = encoding < 0 ? -1 : vmcs_find((u64)encoding);
    if ((in->flags & INSN_MEM) || (encoding >= 0 && (field < 0 || (encoding & 1))))
        return false;
    flags_spare(g);
    if (encoding >= 0) {
        find_vmcs(g);
        read_from(g, MEM(H_R10, VMCS(f[field])));
    } else {
        enum host_reg from = guest_reg(g, in->reg, H_R11);
        if (from != H_R11)
            emit_reg(&g->e, X_MOV, 8, H_R11, from);
        find_field(g);
        find_vmcs(g);
        read_from(g, (struct mem){.base = H_R10, .index = H_R11, .scale = 3, .disp = VMCS(f[0]) - 8});
    }
    succeed(g);
    return true;
}

bool lower_vmwrite(struct gen *g)
{
    const struct insn *in = g->in;
    struct emit *e = &g->e;
    i64 encoding = constant(g, in->reg);
    int field = encoding < 0 ? -1 : vmcs_find((u64)encoding);
    if ((in->flags & INSN_MEM) || field < 0 || (encoding & 1))
        return false;
    flags_spare(g);
    find_vmcs(g);
    unsigned width = vmcs_width(field);
    enum host_reg from = guest_reg(g, in->rm, H_R11);
    if (width < 8)
        emit_reg(e, width == 2 ? X_MOVZX16 : X_MOV, 4, H_R11, from);
    emit_mem(e, X_MOV_TO, 8, width < 8 ? H_R11 : from, MEM(H_R10, VMCS(f[field])));
    if (vmcs_groups[field]) {
        emit_op_mem(e, (struct prefixes){0}, IMM8_OR, X_IMM_OR, MEM(H_R10, VMCS(dirty)));
        emit8(e, vmcs_groups[field]);
    }
    succeed(g);
    return true;
}
