/* SPDX-License-Identifier: MIT */
/*
 * Jumps inside a trace, and its ways from page to page. The recorded way goes straight on; the other one
 * leaves out of line, where the instructions that do not run are given back and the flags, which the trace
 * itself may not need any more, are saved.
 *
 * A trace holds what pages held where they were mapped when it was made. Its first page is as its entry found
 * it; before it goes to another one for the first time it looks whether that is still mapped there, and if
 * not the instruction is its meaning's, or where its own last bytes are there, the trace is left. Where it
 * goes back to a page without looking, whoever called C on the way has left it.
 */
#include "jit/gen.h"

bool trace_inner(const struct gen *g, unsigned i)
{
    return g->trace && (insn_infos[g->b->uop[i].in.id].attr & (ATTR_BRANCH | ATTR_END)) &&
           (i + 1u < g->b->count || g->trace->loop);
}

bool trace_turns(const struct gen *g, unsigned i)
{
    return g->trace && g->trace->at[i] != g->trace->at[i + 1];
}

const u8 *trace_page_at(const struct gen *g, unsigned i)
{
    return g->trace ? g->trace->page[g->trace->at[i]].host : (const u8 *)((u64)g->b->host & ~(PAGE_SIZE - 1));
}

const struct page_info *trace_info_at(const struct gen *g, unsigned i)
{
    return g->trace ? g->trace->page[g->trace->at[i]].info : g->b->page;
}

i64 trace_delta(const struct gen *g, unsigned i)
{
    return g->trace ? g->trace->page[g->trace->at[i]].delta : 0;
}

/* ---- from page to page ---- */

static i32 turn_of(const struct gen *g)
{
    return (i32)(trace_delta(g, g->index + 1) - trace_delta(g, g->index));
}

static bool was_before(const struct trace *t, unsigned i)
{
    unsigned k = 0;
    while (t->at[k] != t->at[i + 1])
        k++;
    return k <= i;
}

unsigned trace_relies(const struct gen *g)
{
    unsigned until = 0;
    for (unsigned i = 0; g->trace && i < g->b->count; i++)
        if (trace_turns(g, i) && was_before(g->trace, i))
            until = g->trace->loop ? g->b->count : i;
    return until;
}

void trace_look(struct gen *g)
{
    struct emit *e = &g->e;
    u32 page = 1u << g->trace->at[g->index + 1];
    if (g->looked & page)
        return;
    g->looked |= page;
    flags_spare(g);
    rip_to(g, H_R10, turn_of(g));
    runtime_tlb_index(e);
    emit_mem(e, X_ADD, 8, H_R11, FRAME(tlb_x));
    emit_mem(e, X_CMP, 8, H_R10, MEM(H_R11, offsetof(struct tlb_entry, tag)));
    go_slow(g, CC_NE);
    emit_mem(e, X_ADD, 8, H_R10, MEM(H_R11, offsetof(struct tlb_entry, to)));
    emit_mov_imm(e, H_R11, (u64)trace_page_at(g, g->index + 1));
    emit_reg(e, X_CMP, 8, H_R10, H_R11);
    go_slow(g, CC_NE);
    flags_lost(g);
}

void trace_turn(struct gen *g)
{
    rip_to(g, H_R10, turn_of(g));
    emit_mem(&g->e, X_MOV_TO, 8, H_R10, FRAME(rip_page));
}

/* ---- jumps ---- */

static void add_side(struct gen *g, size_t from, i64 target)
{
    g->side[g->sides++] = (struct side){.from = from, .target = target, .index = g->index, .flags = g->flags};
}

i64 trace_side(const struct gen *g, unsigned i)
{
    const struct insn *in = &g->b->uop[i].in;
    i64 next = (i64)g->offset[i] + in->len, target = next + (i64)in->imm;
    i64 on = g->offset[i + 1] + trace_delta(g, i + 1) - trace_delta(g, i);
    return on == target && target != next ? next : target;
}

static void inner_jcc(struct gen *g)
{
    i64 side = trace_side(g, g->index);
    u8 cc = g->in->opcode & 15;
    flags_need(g);
    add_side(g, emit_jcc(&g->e, side == g->next ? cc ^ 1 : cc), side);
}

void lower_inner(struct gen *g)
{
    bool turns = trace_turns(g, g->index);
    if (g->how[g->index] == LOWER_JCC)
        inner_jcc(g);
    if (turns)
        trace_look(g);
    if (g->how[g->index] == LOWER_CALL)
        push_next(g);
    if (turns)
        trace_turn(g);
}

void emit_loop(struct gen *g)
{
    flags_keep(g);
    emit_jmp_to(&g->e, g->near);
}

/* The host's flags are right, and the trace looks after its own. */
static void flags_leave(struct gen *g, const struct side *s)
{
    g->set_flags = true;
    g->flags = s->flags;
    if (!g->flags.saved && g->flags.has_recipe && !flags_stay_at(g, s->target))
        recipe_keep(g, &g->flags.recipe, ~0u);
    flags_settle(g);
}

void emit_sides(struct gen *g)
{
    for (unsigned i = 0; i < g->sides; i++) {
        const struct side *s = &g->side[i];
        emit_patch(&g->e, s->from, g->e.len);
        look_at(g, s->index);
        flags_leave(g, s);
        if (s->index + 1u < g->b->count)
            count_down(&g->e, X_IMM_ADD, g->b->count - s->index - 1);
        go_to(g, s->target);
    }
}
