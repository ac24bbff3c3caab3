/* SPDX-License-Identifier: MIT */
/*
 * What becomes of flags on the ways on from an instruction.
 *
 * Only where all ways overwrite the flags before they read them or change a register of their recipe, may
 * frame.fix name a recipe that looks at registers. The rest of the block is looked at, and the instructions
 * that direct jumps in the page lead to. Those are read here only where they are watched as code, so that a
 * change shuts this block.
 */
#include "cpu/meanings.h"
#include "jit/gen.h"

#define LOOK_AHEAD 8 /* instructions of a successor */

enum { ALL = 0xffff };

/* AH..BH are numbered as SPL..DIL are. */
static u32 bit_of(u8 reg, u8 off)
{
    return 1u << (off & 1 ? reg & 3 : reg);
}

static u32 written_operands(const struct insn *in)
{
    const struct insn_info *info = &insn_infos[in->id];
    u32 mask = 0;
    for (const struct operand_info *o = info->op; o < info->op + ARRAY_SIZE(info->op); o++) {
        if (o->kind == OP_REG)
            return ALL;
        if (!(o->access & ACC_WRITE))
            continue;
        if (o->kind == OP_G)
            mask |= bit_of(in->reg, in->reg_off);
        else if (o->kind == OP_B)
            mask |= 1u << in->vreg;
        else if (o->kind == OP_Z || (o->kind == OP_E && !(in->flags & INSN_MEM)))
            mask |= bit_of(in->rm, in->rm_off);
    }
    return mask;
}

static bool names_registers(const struct insn *in)
{
    const struct insn_info *info = &insn_infos[in->id];
    for (const struct operand_info *o = info->op; o < info->op + ARRAY_SIZE(info->op); o++)
        if (o->kind == OP_E || o->kind == OP_G || o->kind == OP_Z)
            return true;
    return false;
}

u32 lower_writes(const struct insn *in, enum lowering how)
{
    const struct meaning *m = insn_meaning[in->id];
    switch (how) {
    case LOWER_NOP:
    case LOWER_FENCE:
    case LOWER_JMP:
    case LOWER_JCC:
    case LOWER_LDMXCSR:
    case LOWER_STMXCSR:
    case LOWER_VEC_ZERO:
    case LOWER_CLGI:
    case LOWER_STGI:
    case LOWER_VMWRITE:
        return 0;
    case LOWER_PUSH:
    case LOWER_PUSH_IMM:
    case LOWER_CALL:
        return 1u << RSP;
    case LOWER_POP:
        return 1u << RSP | 1u << in->rm;
    case LOWER_LEAVE:
        return 1u << RSP | 1u << RBP;
    case LOWER_LEA:
        return 1u << in->reg;
    case LOWER_STRING:
        return 1u << RAX | 1u << RCX | 1u << RSI | 1u << RDI;
    case LOWER_VEC:
    case LOWER_BMI:
    case LOWER_VMREAD:
        return written_operands(in);
    case LOWER_PLAIN:
    case LOWER_LOGIC:
    case LOWER_SHIFT:
    case LOWER_KEEP:
        break;
    default:
        return ALL;
    }
    if (m == &m_mul || m == &m_imul_E || m == &m_cmpxchg)
        return written_operands(in) | 1u << RAX | 1u << RDX;
    return names_registers(in) ? written_operands(in) : ALL;
}

static bool overwrites_all(const struct insn *in, enum lowering how)
{
    return (how == LOWER_PLAIN || how == LOWER_LOGIC || how == LOWER_SHIFT) &&
           lower_overwrites(in, how) == FLAGS_ARITH;
}

/* The same for the code at an offset in the page of the instruction i. */
static bool stays_at(const struct gen *g, unsigned i, i64 at, u32 used)
{
    const u8 *page = trace_page_at(g, i);
    for (unsigned n = 0; n < LOOK_AHEAD && at >= 0 && at < (i64)PAGE_SIZE; n++) {
        struct insn in;
        unsigned room = (unsigned)(PAGE_SIZE - (u64)at);
        if (insn_decode(MODE_64, page + at, room < 15 ? room : 15, &in) != DECODE_OK ||
            !space_watches_code(trace_info_at(g, i), (u64)at, in.len))
            return false;
        const struct insn_info *info = &insn_infos[in.id];
        enum lowering how = lowering_of_row(in.id);
        if (info->flags_read & FLAGS_ARITH)
            return false;
        if (overwrites_all(&in, how))
            return true;
        at += in.len;
        if (how == LOWER_JMP && in.size == 8)
            at += (i64)in.imm;
        else if ((info->attr & (ATTR_BRANCH | ATTR_END)) || (lower_writes(&in, how) & used))
            return false;
    }
    return false;
}

bool flags_stay_at(const struct gen *g, i64 target)
{
    u32 used = recipe_registers(&g->flags.recipe);
    return !used || stays_at(g, g->index, target, used);
}

/* The block's last instruction i. */
static bool stays_behind(const struct gen *g, unsigned i, u32 used)
{
    const struct uop *u = &g->b->uop[i];
    enum lowering how = (enum lowering)g->how[i];
    i64 next = g->offset[i] + u->in.len;
    if (u->in.size != 8 || (lower_writes(&u->in, how) & used))
        return false;
    i64 target = next + (i64)u->in.imm;
    if (how == LOWER_JCC)
        return stays_at(g, i, next, used) && stays_at(g, i, target, used);
    return (how == LOWER_JMP || how == LOWER_CALL) && stays_at(g, i, target, used);
}

bool flags_stay(const struct gen *g)
{
    const struct block *b = g->b;
    u32 used = recipe_registers(&g->flags.recipe);
    if (!used)
        return true;
    for (unsigned i = g->index + g->set_flags; i < b->count; i++) {
        const struct insn *in = &b->uop[i].in;
        if (trace_inner(g, i) && g->how[i] == LOWER_JCC && !stays_at(g, i, trace_side(g, i), used))
            return false;
        if (overwrites_all(in, (enum lowering)g->how[i]) && !(insn_infos[in->id].flags_read & FLAGS_ARITH))
            return true;
        if ((insn_infos[in->id].attr & (ATTR_BRANCH | ATTR_END)) && !trace_inner(g, i))
            return stays_behind(g, i, used);
        if (lower_writes(in, g->how[i]) & used)
            return false;
    }
    return stays_at(g, b->count, g->offset[b->count], used);
}
