/* SPDX-License-Identifier: MIT */
/*
 * Flags that need not be saved because they can be made again.
 *
 * What a comparison, or an addition, subtraction or logical operation, left in the flags follows from
 * registers, as long as these keep their values. So instead of saving the flags translated code may note in
 * the frame where the code lies that makes and saves them (frame.fix); the routines that lead to C run it
 * first. That is right only until the registers change, so it is done only where all ways on overwrite the
 * flags before they read them or change one of the registers: flags_may_wait() looks at the rest of the block
 * and at the instructions its direct jumps in the page lead to. Those are read here only where they are
 * watched as code, so that a change shuts this block.
 */
#include "cpu/meanings.h"
#include "jit/gen.h"

#define LOOK_AHEAD 8 /* instructions of a successor */

enum how { COMPARE, TEST, RESULT, ADDED, SUBTRACTED };
enum form { EG, GE, EI };

static const struct {
    const struct meaning *meaning;
    enum how how;
    enum form form;
} makers[] = {
    {&m_cmp_EG, COMPARE, EG},    {&m_cmp_GE, COMPARE, GE},    {&m_cmp_EI, COMPARE, EI},
    {&m_test_EG, TEST, EG},      {&m_test_EI, TEST, EI},      {&m_and_EG, RESULT, EG},
    {&m_and_GE, RESULT, GE},     {&m_and_EI, RESULT, EI},     {&m_or_EG, RESULT, EG},
    {&m_or_GE, RESULT, GE},      {&m_or_EI, RESULT, EI},      {&m_xor_EG, RESULT, EG},
    {&m_xor_GE, RESULT, GE},     {&m_xor_EI, RESULT, EI},     {&m_add_EG, ADDED, EG},
    {&m_add_GE, ADDED, GE},      {&m_add_EI, ADDED, EI},      {&m_sub_EG, SUBTRACTED, EG},
    {&m_sub_GE, SUBTRACTED, GE}, {&m_sub_EI, SUBTRACTED, EI},
};

/* Register forms of 1, 4 and 8 bytes without AH..BH; sums of 4 and 8 bytes of two different registers. */
bool recipe_make(const struct insn *in, struct recipe *r)
{
    unsigned i = 0;
    while (i < ARRAY_SIZE(makers) && makers[i].meaning != insn_meaning[in->id])
        i++;
    if (i == ARRAY_SIZE(makers) || (in->flags & INSN_MEM) || in->size == 2)
        return false;
    enum form form = makers[i].form;
    bool high = (in->rm_off & 1) || (form != EI && (in->reg_off & 1));
    *r = (struct recipe){.how = (u8)makers[i].how,
                         .size = in->size,
                         .a = form == GE ? in->reg : in->rm,
                         .b = form == GE ? in->rm : in->reg,
                         .constant = form == EI,
                         .imm = (i32)in->imm};
    if (r->how == RESULT)
        r->b = r->a;
    bool sum = r->how == ADDED || r->how == SUBTRACTED;
    if (sum && (in->size == 1 || (!r->constant && r->a == r->b)))
        return false;
    return !(in->size == 1 && high) && (!r->constant || in->size != 8 || (i64)in->imm == (i32)in->imm);
}

static u32 registers_of(const struct recipe *r)
{
    return 1u << r->a | (r->constant ? 0 : 1u << r->b);
}

/* op reg, B. */
static void with_b(struct gen *g, const struct recipe *r, u32 op, enum host_reg reg)
{
    u32 sized = r->size == 1 ? op - 1 : op;
    if (host_reg_of[r->b] != H_NONE)
        emit_reg(&g->e, sized, r->size, reg, host_reg_of[r->b]);
    else
        emit_mem(&g->e, sized, r->size, reg, home_of(r->b));
}

static void with_imm(struct gen *g, const struct recipe *r, unsigned digit, enum host_reg reg)
{
    if (r->size > 1) {
        emit_imm(&g->e, digit, r->size, reg, r->imm);
        return;
    }
    emit_op_reg(&g->e, (struct prefixes){.byte_rm = true}, 0x80, digit, reg);
    emit8(&g->e, (u8)r->imm);
}

static void test_imm(struct gen *g, const struct recipe *r, enum host_reg reg)
{
    struct prefixes p = {.rex_w = r->size == 8, .byte_rm = r->size == 1};
    emit_op_reg(&g->e, p, r->size == 1 ? 0xf6 : 0xf7, 0, reg);
    emit_bytes(&g->e, &r->imm, r->size == 1 ? 1 : 4);
}

static void sum(struct gen *g, const struct recipe *r)
{
    bool added = r->how == ADDED;
    emit_reg(&g->e, X_MOV, 8, H_R11, guest_reg(g, r->a, H_R11));
    if (r->constant) {
        with_imm(g, r, added ? X_IMM_SUB : X_IMM_ADD, H_R11);
        with_imm(g, r, added ? X_IMM_ADD : X_IMM_SUB, H_R11);
    } else {
        with_b(g, r, added ? X_SUB : X_ADD, H_R11);
        with_b(g, r, added ? X_ADD : X_SUB, H_R11);
    }
}

void recipe_emit(struct gen *g, const struct recipe *r)
{
    if (r->how == ADDED || r->how == SUBTRACTED) {
        sum(g, r);
        return;
    }
    enum host_reg a = guest_reg(g, r->a, H_R11);
    if (r->how == COMPARE && r->constant)
        with_imm(g, r, X_IMM_CMP, a);
    else if (r->how == COMPARE)
        with_b(g, r, X_CMP, a);
    else if (r->how == TEST && r->constant)
        test_imm(g, r, a);
    else if (r->how == TEST)
        with_b(g, r, X_TEST, a);
    else
        emit_reg(&g->e, r->size == 1 ? X_TEST - 1 : X_TEST, r->size, a, a);
}

/* ---- may they wait? ---- */

enum { ALL = 0xffff };

/* Guest registers that an instruction may write: all where that is not plain. */
static u32 writes(const struct insn *in, enum lowering how)
{
    const struct insn_info *info = &insn_infos[in->id];
    const struct meaning *m = insn_meaning[in->id];
    u32 mask = 0;
    bool operands = false;
    switch (how) {
    case LOWER_NOP:
    case LOWER_FENCE:
    case LOWER_JMP:
    case LOWER_JCC:
        return 0;
    case LOWER_PUSH:
    case LOWER_PUSH_IMM:
    case LOWER_CALL:
        return 1u << RSP;
    case LOWER_POP:
        return 1u << RSP | 1u << in->rm;
    case LOWER_LEA:
        return 1u << in->reg;
    case LOWER_PLAIN:
    case LOWER_LOGIC:
    case LOWER_SHIFT:
    case LOWER_KEEP:
        break;
    default:
        return ALL;
    }
    if (m == &m_mul || m == &m_imul_E || m == &m_cmpxchg)
        mask = 1u << RAX | 1u << RDX;
    for (const struct operand_info *o = info->op; o < info->op + ARRAY_SIZE(info->op); o++) {
        if (o->kind == OP_REG)
            return ALL;
        operands |= o->kind == OP_E || o->kind == OP_G || o->kind == OP_Z;
        if (!(o->access & ACC_WRITE))
            continue;
        if (o->kind == OP_G)
            mask |= 1u << in->reg;
        else if (o->kind == OP_Z || (o->kind == OP_E && !(in->flags & INSN_MEM)))
            mask |= 1u << in->rm;
    }
    return operands ? mask : ALL;
}

static u32 overwrites(const struct insn *in, enum lowering how)
{
    const struct insn_info *info = &insn_infos[in->id];
    return how == LOWER_PLAIN   ? info->flags_written & FLAGS_ARITH
           : how == LOWER_LOGIC ? (info->flags_written | info->flags_undefined) & FLAGS_ARITH
                                : 0;
}

/* The same for the code at an offset in the page. */
static bool successor_allows(const struct gen *g, i64 at, u32 used)
{
    const u8 *page = (const u8 *)((u64)g->b->host & ~(PAGE_SIZE - 1));
    for (unsigned n = 0; n < LOOK_AHEAD && at >= 0 && at < (i64)PAGE_SIZE; n++) {
        struct insn in;
        unsigned room = (unsigned)(PAGE_SIZE - (u64)at);
        if (insn_decode(MODE_64, page + at, room < 15 ? room : 15, &in) != DECODE_OK ||
            !space_watches_code(g->b->page, (u64)at, in.len))
            return false;
        const struct insn_info *info = &insn_infos[in.id];
        enum lowering how = lowering_of_row(in.id);
        if ((info->attr & (ATTR_BRANCH | ATTR_END)) || (info->flags_read & FLAGS_ARITH))
            return false;
        if (overwrites(&in, how) == FLAGS_ARITH)
            return true;
        if (writes(&in, how) & used)
            return false;
        at += in.len;
    }
    return false;
}

bool flags_may_wait_at(const struct gen *g, i64 target)
{
    if (!g->has_recipe)
        return false;
    u32 used = registers_of(&g->recipe);
    for (unsigned i = g->maker + 1; i < g->index; i++)
        if (writes(&g->b->uop[i].in, g->how[i]) & used)
            return false;
    return successor_allows(g, target, used);
}

/* The block's last instruction, which ends at `next`, leads only to code that allows it. JCC sees to its ways
 * itself. */
static bool end_allows(const struct gen *g, const struct uop *u, enum lowering how, i64 next, u32 used)
{
    if (u->in.size != 8 || (writes(&u->in, how) & used))
        return false;
    if (how == LOWER_JCC)
        return true;
    return (how == LOWER_JMP || how == LOWER_CALL) && successor_allows(g, next + (i64)u->in.imm, used);
}

/* From the instruction behind the maker on registers must stay; from the current one on all overwriting ends
 * it. */
bool flags_may_wait(const struct gen *g)
{
    const struct block *b = g->b;
    u32 used = registers_of(&g->recipe);
    i64 at = (i64)((u64)b->host & (PAGE_SIZE - 1));
    for (unsigned i = 0; i < b->count; at += b->uop[i++].in.len) {
        const struct insn *in = &b->uop[i].in;
        if (i <= g->maker)
            continue;
        if (i >= g->index && overwrites(in, g->how[i]) == FLAGS_ARITH &&
            !(insn_infos[in->id].flags_read & FLAGS_ARITH))
            return true;
        if (insn_infos[in->id].attr & (ATTR_BRANCH | ATTR_END))
            return i >= g->index && end_allows(g, &b->uop[i], g->how[i], at + in->len, used);
        if (writes(in, g->how[i]) & used)
            return false;
    }
    return successor_allows(g, at, used);
}
