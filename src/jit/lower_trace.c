/* SPDX-License-Identifier: MIT */
/*
 * Jumps inside a trace. The recorded way goes straight on; the other one leaves out of line, where the
 * instructions that do not run are given back and the flags, which the trace itself may not need any more,
 * are saved.
 */
#include "jit/gen.h"

bool trace_inner(const struct gen *g, unsigned i)
{
    return g->trace && (insn_infos[g->b->uop[i].in.id].attr & (ATTR_BRANCH | ATTR_END)) &&
           (i + 1u < g->b->count || g->trace->loop);
}

static void add_side(struct gen *g, size_t from, i64 target)
{
    g->side[g->sides++] = (struct side){.from = from,
                                        .target = target,
                                        .index = g->index,
                                        .flags_saved = g->flags_saved,
                                        .has_recipe = g->has_recipe,
                                        .recipe = g->recipe};
}

static void inner_jcc(struct gen *g, i64 target)
{
    u8 cc = g->in->opcode & 15;
    bool taken = g->offset[g->index + 1] == target && target != g->next;
    flags_need(g);
    add_side(g, emit_jcc(&g->e, taken ? cc ^ 1 : cc), taken ? g->next : target);
}

void lower_inner(struct gen *g)
{
    i64 target = (i64)g->next + (i64)g->in->imm;
    switch (g->how[g->index]) {
    case LOWER_JCC:
        inner_jcc(g, target);
        return;
    case LOWER_CALL:
        push_next(g);
        return;
    default:
        return; /* JMP */
    }
}

void emit_loop(struct gen *g)
{
    flags_keep(g);
    emit_jmp_to(&g->e, g->near);
}

/* The host's are right, and the trace looks after its own. */
static void flags_leave(struct gen *g, const struct side *s)
{
    g->flags_host = g->set_flags = true;
    g->flags_saved = s->flags_saved;
    g->has_recipe = s->has_recipe;
    g->recipe = s->recipe;
    if (!s->flags_saved && s->has_recipe && !flags_stay_at(g, s->target))
        recipe_keep(g, &g->recipe, ~0u);
    flags_settle(g);
}

void emit_sides(struct gen *g)
{
    for (unsigned i = 0; i < g->sides; i++) {
        const struct side *s = &g->side[i];
        emit_patch(&g->e, s->from, g->e.len);
        g->index = s->index;
        flags_leave(g, s);
        if (s->index + 1u < g->b->count)
            count_down(&g->e, X_IMM_ADD, g->b->count - s->index - 1);
        go_to(g, s->target);
    }
}
