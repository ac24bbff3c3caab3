/* SPDX-License-Identifier: MIT */
/*
 * Recipes: how flags are made again instead of being saved.
 *
 * What a comparison, a sum, a difference or a logical operation left in the flags follows from two operands,
 * or from the result and one of them; a shift by a constant is done again. A recipe names where they are: in
 * registers, in the instruction, or in frame.kept[], where a register's value goes when the register is about
 * to change (recipe_keep()), and a memory operand or what is shifted at once (lower.c). INC, DEC and
 * rotations by a constant leave flags alone: their result is the tail of the recipe of those. Its code runs
 * out of line before C does, or inline when the guest reads flags that code of ours has overwritten.
 */
#include "insn_ids.h"
#include "jit/gen.h"

/* RESULT: of a logical operation. ADDED, SUBTRACTED: result and second operand. ZERO: what a value compared
 * with itself leaves. LEFT, RIGHT, SIGNED: shifts, operand and count. */
enum how { NONE, COMPARE, TEST, RESULT, ADDED, SUBTRACTED, NEGATED, ZERO, LEFT, RIGHT, SIGNED };
enum form { E, EG, GE, EI, BY };

struct maker {
    u8 how, form;
};

static struct maker maker_of(u16 id)
{
    static const struct maker makers[MEANINGS] = {
        [NO_cmp_EG] = {COMPARE, EG},    [NO_cmp_GE] = {COMPARE, GE},    [NO_cmp_EI] = {COMPARE, EI},
        [NO_test_EG] = {TEST, EG},      [NO_test_EI] = {TEST, EI},      [NO_and_EG] = {RESULT, EG},
        [NO_and_GE] = {RESULT, GE},     [NO_and_EI] = {RESULT, EI},     [NO_or_EG] = {RESULT, EG},
        [NO_or_GE] = {RESULT, GE},      [NO_or_EI] = {RESULT, EI},      [NO_xor_EG] = {RESULT, EG},
        [NO_xor_GE] = {RESULT, GE},     [NO_xor_EI] = {RESULT, EI},     [NO_add_EG] = {ADDED, EG},
        [NO_add_GE] = {ADDED, GE},      [NO_add_EI] = {ADDED, EI},      [NO_sub_EG] = {SUBTRACTED, EG},
        [NO_sub_GE] = {SUBTRACTED, GE}, [NO_sub_EI] = {SUBTRACTED, EI}, [NO_neg] = {NEGATED, E},
        [NO_shl_I] = {LEFT, BY},        [NO_shr_I] = {RIGHT, BY},       [NO_sar_I] = {SIGNED, BY},
    };
    return makers[meaning_no(id)];
}

enum tail { NO_TAIL, INCREMENTED, DECREMENTED, ROTATED_LEFT, ROTATED_RIGHT };

static enum tail tail_of(const struct insn *in)
{
    static const u8 tails[MEANINGS] = {[NO_inc] = INCREMENTED,
                                       [NO_dec] = DECREMENTED,
                                       [NO_rol_I] = ROTATED_LEFT,
                                       [NO_ror_I] = ROTATED_RIGHT};
    return (enum tail)tails[meaning_no(in->id)];
}

/* Both operands are one register. */
static bool of_one(struct recipe *r, bool is_xor)
{
    switch (r->how) {
    case TEST:
        r->how = RESULT;
        return true;
    case COMPARE:
    case SUBTRACTED:
        r->how = ZERO;
        return true;
    case RESULT:
        if (is_xor)
            r->how = ZERO;
        return true;
    default:
        return false; /* the result of a doubling does not tell what was doubled */
    }
}

/* Of a register: what is in memory is gone. */
static bool make_shift(const struct insn *in, u8 how, struct recipe *r)
{
    unsigned count = lower_count(in);
    *r = (struct recipe){.how = how, .size = in->size, .op = {RECIPE_KEPT, RECIPE_IMM}, .imm = (i32)count};
    return count && !(in->flags & INSN_MEM) && !lower_names_high(in);
}

bool recipe_make(const struct insn *in, struct recipe *r)
{
    struct maker m = maker_of(in->id);
    u8 rm = in->flags & INSN_MEM ? RECIPE_KEPT : in->rm;
    if (m.form == BY)
        return make_shift(in, m.how, r);
    if (m.how == NONE || lower_names_high(in) ||
        (m.form == EI && (i64)in->imm != (i32)in->imm && in->size == 8))
        return false;
    *r = (struct recipe){
        .how = m.how, .size = in->size, .op = {rm, m.form == EI ? RECIPE_IMM : in->reg}, .imm = (i32)in->imm};
    if (m.form == GE)
        r->op[0] = in->reg, r->op[1] = rm;
    if ((m.form == EG || m.form == GE) && rm == in->reg &&
        !of_one(r, meaning_no(in->id) == NO_xor_EG || meaning_no(in->id) == NO_xor_GE))
        return false;
    if (r->how == RESULT || r->how == NEGATED || r->how == ZERO)
        r->op[1] = RECIPE_IMM;
    if (r->how == ZERO)
        r->op[0] = RECIPE_IMM;
    return true;
}

/* A second tail takes the place of the first if it overwrites the same flags. */
bool recipe_extend(const struct insn *in, struct recipe *r)
{
    enum tail tail = tail_of(in);
    bool rotates = tail >= ROTATED_LEFT;
    if (tail == NO_TAIL || (in->flags & INSN_MEM) || lower_names_high(in) || (rotates && !lower_count(in)) ||
        (r->tail != NO_TAIL && (r->tail >= ROTATED_LEFT) != rotates))
        return false;
    r->tail = tail;
    r->tail_size = in->size;
    r->tail_by = rotates ? (u8)lower_count(in) : 0;
    r->op[RECIPE_TAIL] = in->rm;
    return true;
}

u32 recipe_registers(const struct recipe *r)
{
    u32 mask = 0;
    for (unsigned k = 0; k < (r->tail ? RECIPE_OPS : RECIPE_TAIL); k++)
        mask |= r->op[k] < 16 ? 1u << r->op[k] : 0;
    return mask;
}

bool recipe_takes_put(const struct recipe *r)
{
    return r->op[0] == RECIPE_KEPT || r->op[1] == RECIPE_KEPT;
}

static struct mem kept(unsigned k)
{
    return MEM(H_RSP, (i32)(offsetof(struct jit_frame, kept) + 8 * k));
}

void recipe_put(struct gen *g, unsigned k, enum host_reg reg)
{
    emit_mem(&g->e, X_MOV_TO, 8, reg, kept(k));
}

void recipe_keep(struct gen *g, struct recipe *r, u32 registers)
{
    for (unsigned k = 0; k < (r->tail ? RECIPE_OPS : RECIPE_TAIL); k++) {
        if (r->op[k] >= 16 || !(registers >> r->op[k] & 1))
            continue;
        recipe_put(g, k, guest_reg(g, r->op[k], H_R11));
        r->op[k] = RECIPE_KEPT;
    }
}

/* ---- their code ---- */

static enum host_reg first(struct gen *g, const struct recipe *r, bool to_change)
{
    if (r->op[0] == RECIPE_KEPT) {
        emit_mem(&g->e, X_MOV, 8, H_R11, kept(0));
        return H_R11;
    }
    enum host_reg a = guest_reg(g, r->op[0], H_R11);
    if (to_change && a != H_R11)
        emit_reg(&g->e, X_MOV, 8, H_R11, a);
    return to_change ? H_R11 : a;
}

/* op /digit reg, imm of the recipe's size; a byte's opcode is one less. */
static void with_imm(struct gen *g, const struct recipe *r, u32 op, unsigned digit, enum host_reg reg)
{
    struct prefixes p = {.rex_w = r->size == 8, .opsize = r->size == 2, .byte_rm = r->size == 1};
    emit_op_reg(&g->e, p, r->size == 1 ? op - 1 : op, digit, reg);
    emit_bytes(&g->e, &r->imm, r->size == 8 ? 4 : r->size);
}

static void with_second(struct gen *g, const struct recipe *r, u32 op, unsigned digit, enum host_reg reg)
{
    u32 sized = r->size == 1 ? op - 1 : op;
    if (r->op[1] == RECIPE_IMM)
        with_imm(g, r, op == X_TEST ? 0xf7 : 0x81, digit, reg);
    else if (r->op[1] == RECIPE_KEPT)
        emit_mem(&g->e, sized, r->size, reg, kept(1));
    else if (host_reg_of[r->op[1]] != H_NONE)
        emit_reg(&g->e, sized, r->size, reg, host_reg_of[r->op[1]]);
    else
        emit_mem(&g->e, sized, r->size, reg, home_of(r->op[1]));
}

static void negate(struct gen *g, const struct recipe *r)
{
    struct prefixes p = {.rex_w = r->size == 8, .opsize = r->size == 2, .byte_rm = r->size == 1};
    emit_op_reg(&g->e, p, r->size == 1 ? 0xf6 : 0xf7, 3, H_R11);
}

static void shift(struct gen *g, const struct recipe *r)
{
    struct prefixes p = {.rex_w = r->size == 8, .opsize = r->size == 2, .byte_rm = r->size == 1};
    unsigned digit = r->how == LEFT ? X_SHL : r->how == RIGHT ? X_SHR : X_SAR;
    emit_op_reg(&g->e, p, r->size == 1 ? 0xc0 : 0xc1, digit, H_R11);
    emit8(&g->e, (u8)r->imm);
}

/* From the result to what it was, by what overwrites the same flags or none, and back. */
static void emit_tail(struct gen *g, const struct recipe *r)
{
    unsigned n = r->tail_size;
    struct prefixes p = {.rex_w = n == 8, .opsize = n == 2, .byte_rm = n == 1};
    enum host_reg result = H_R11;
    if (r->op[RECIPE_TAIL] == RECIPE_KEPT)
        emit_mem(&g->e, X_MOV, 8, H_R11, kept(RECIPE_TAIL));
    else
        result = guest_reg(g, r->op[RECIPE_TAIL], H_R11);
    if (result != H_R11)
        emit_reg(&g->e, X_MOV, 8, H_R11, result);
    if (r->tail < ROTATED_LEFT) {
        emit_lea(&g->e, H_R11, MEM(H_R11, r->tail == INCREMENTED ? -1 : 1));
        emit_op_reg(&g->e, p, n == 1 ? 0xfe : 0xff, r->tail == INCREMENTED ? 0 : 1, H_R11);
        return;
    }
    unsigned digit = r->tail == ROTATED_LEFT ? X_ROL : X_ROR;
    for (unsigned k = 0; k < 2; k++) {
        digit ^= X_ROL ^ X_ROR;
        emit_op_reg(&g->e, p, n == 1 ? 0xc0 : 0xc1, digit, H_R11);
        emit8(&g->e, r->tail_by);
    }
}

static void emit_base(struct gen *g, const struct recipe *r)
{
    bool changes = r->how == ADDED || r->how == SUBTRACTED || r->how == NEGATED || r->how >= LEFT;
    enum host_reg a = r->how == ZERO ? H_R11 : first(g, r, changes);
    switch (r->how) {
    case COMPARE:
        with_second(g, r, X_CMP, X_IMM_CMP, a);
        break;
    case TEST:
        with_second(g, r, X_TEST, 0, a);
        break;
    case RESULT:
        emit_reg(&g->e, r->size == 1 ? X_TEST - 1 : X_TEST, r->size, a, a);
        break;
    case ADDED:
        with_second(g, r, X_SUB, X_IMM_SUB, a);
        with_second(g, r, X_ADD, X_IMM_ADD, a);
        break;
    case SUBTRACTED:
        with_second(g, r, X_ADD, X_IMM_ADD, a);
        with_second(g, r, X_SUB, X_IMM_SUB, a);
        break;
    case NEGATED:
        negate(g, r);
        negate(g, r);
        break;
    case LEFT:
    case RIGHT:
    case SIGNED:
        shift(g, r);
        break;
    default:
        emit_reg(&g->e, X_XOR, 4, a, a);
    }
}

void recipe_emit(struct gen *g, const struct recipe *r)
{
    emit_base(g, r);
    if (r->tail)
        emit_tail(g, r);
}
