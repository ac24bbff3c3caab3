/* SPDX-License-Identifier: MIT */
/*
 * The guest's arithmetic flags on their way through a block.
 *
 * They live in the host's flags, where the guest's own instructions put them. Code of ours overwrites them
 * there, most of all the checks of a memory access; then they can still be had in one of three ways:
 *  - by a recipe (flags_recipe.c), which costs nothing where an instruction's slow case is code of its own:
 *    that begins with the recipe;
 *  - by a recipe that frame.fix names, for whoever leads to C without code for the place: at a block's end;
 *  - from frame.fl, the dear one, where there is no recipe.
 * What a later instruction overwrites before anything looks is not kept at all.
 */
#include "jit/gen.h"

#define FL_FROM_AX "\x04\x7f\x9e" /* add al, 0x7f; sahf */

/* The host's go to frame.fl. */
static void flags_save(struct gen *g)
{
    runtime_save_flags(&g->e);
    g->flags.saved = g->flags.in_fl = true;
    /* With a recipe it may have jumped to its slow case before. */
    if (g->index < g->b->count && !g->set_flags && !g->flags.has_recipe)
        g->slow[g->index].flags_saved = true;
}

void flags_wait(struct gen *g, const struct recipe *r)
{
    bug_on(g->waits == WAITS_MAX, "too many flags wait in one block");
    emit_op_mem(&g->e, (struct prefixes){.rex_w = true}, 0xc7, 0, FRAME(fix));
    emit32(&g->e, 0);
    g->wait[g->waits].place = g->e.len - 4;
    g->wait[g->waits++].recipe = *r;
}

static bool same(const struct recipe *a, const struct recipe *b)
{
    bool tails = a->tail == b->tail && a->tail_size == b->tail_size && a->tail_by == b->tail_by;
    return a->how == b->how && a->size == b->size && memcmp(a->op, b->op, sizeof(a->op)) == 0 &&
           a->imm == b->imm && tails;
}

/* Where the code of the same recipe lies already, or 0. */
static u32 made_before(const struct gen *g, unsigned i)
{
    for (unsigned k = i; k-- > 0;)
        if (same(&g->wait[k].recipe, &g->wait[i].recipe))
            return g->wait[k].code;
    return 0;
}

static void emit_waits(struct gen *g)
{
    for (unsigned i = 0; i < g->waits && !g->e.overflow; i++) {
        u32 code = made_before(g, i);
        g->wait[i].code = code ? code : g->base + (u32)g->e.len;
        store_le(g->e.buf + g->wait[i].place, 4, g->wait[i].code);
        if (code)
            continue;
        recipe_emit(g, &g->wait[i].recipe);
        emit_op_mem(&g->e, (struct prefixes){0}, 0xff, 4, FRAME(fix_back)); /* jmp */
    }
}

static void load_fl(struct gen *g)
{
    struct emit *e = &g->e;
    emit_reg(e, X_MOV, 8, H_R11, H_RAX);
    emit_mem(e, X_MOVZX16, 4, H_RAX, FRAME(fl));
    emit_bytes(e, FL_FROM_AX, 3);
    emit_reg(e, X_MOV, 8, H_RAX, H_R11);
}

/* Jumps out of line unless frame.fix is 0, or if it is, from where the host's flags are right. Flags are
 * lost. */
static struct flags_miss *look_at_fix(struct gen *g, bool zero)
{
    bug_on(g->flags_misses == FLAGS_MISSES_MAX, "flags are looked for too often in one block");
    g->e.r11 = true;
    emit_imm_mem(&g->e, X_IMM_CMP, 8, FRAME(fix), 0);
    struct flags_miss *m = &g->flags_miss[g->flags_misses++];
    *m = (struct flags_miss){.from = emit_jcc(&g->e, zero ? CC_E : CC_NE), .load = zero};
    return m;
}

/* R11 leads to frame.fix: where code in the cache is is not known yet, but how far from its beginning. */
static void run_fix(struct gen *g, size_t back)
{
    struct emit *e = &g->e;
    emit_lea_rip(e, H_R11, back);
    emit_mem(e, X_MOV_TO, 8, H_R11, FRAME(fix_back));
    emit_lea_rip(e, H_R11, 0u - (size_t)g->base);
    emit_mem(e, X_ADD, 8, H_R11, FRAME(fix));
    emit_op_reg(e, (struct prefixes){0}, 0xff, 4, H_R11); /* jmp */
}

static void emit_misses(struct gen *g)
{
    for (unsigned i = 0; i < g->flags_misses; i++) {
        const struct flags_miss *m = &g->flags_miss[i];
        emit_patch(&g->e, m->from, g->e.len);
        if (m->load) {
            load_fl(g);
            emit_jmp_to(&g->e, m->back);
        } else {
            run_fix(g, m->back);
        }
    }
}

void flags_emit_rest(struct gen *g)
{
    emit_misses(g);
    emit_waits(g);
}

/* Registers of the recipe change: their values go to the frame, or nothing will ask for it any more. */
static void look_after_recipe(struct gen *g)
{
    u32 touched = (g->info->flags_written | g->info->flags_undefined) & FLAGS_ARITH;
    u32 changes = lower_writes(g->in, (enum lowering)g->how[g->index]) & recipe_registers(&g->flags.recipe);
    bool lost = !g->flags.host || lower_observes(g, g->index);
    if (g->flags.saved || touched || !changes || g->how[g->index] == LOWER_NONE)
        return;
    if (g->seen[g->index] || (lost && g->live[g->index]))
        recipe_keep(g, &g->flags.recipe, changes);
    else
        g->recipe_ends = true;
}

void flags_begin(struct gen *g)
{
    struct slow *s = &g->slow[g->index];
    if (g->recipe_ends && !g->set_flags)
        g->flags.has_recipe = false;
    g->set_flags = g->recipe_ends = false;
    if (g->flags.has_recipe)
        look_after_recipe(g);
    s->flags_saved = g->flags.saved;
    s->recipe = g->flags.recipe;
}

void flags_spare(struct gen *g)
{
    if (!g->flags.saved && !g->flags.has_recipe)
        flags_save(g);
}

void flags_settle(struct gen *g)
{
    if (g->flags.saved)
        return;
    if (!g->flags.has_recipe) {
        flags_save(g);
        return;
    }
    flags_wait(g, &g->flags.recipe);
    g->flags.saved = true;
    g->flags.in_fl = false;
}

void flags_keep(struct gen *g)
{
    if (!g->flags.saved && g->flags.has_recipe && !flags_stay(g))
        recipe_keep(g, &g->flags.recipe, ~0u);
    flags_settle(g);
}

void flags_store(struct gen *g)
{
    if (g->flags.saved && g->flags.in_fl)
        return;
    flags_need(g);
    flags_save(g);
}

void flags_need(struct gen *g)
{
    struct flags_miss *m = NULL;
    if (g->flags.host)
        return;
    g->flags.host = true;
    if (g->flags.in_fl) {
        load_fl(g);
        return;
    }
    if (!g->flags.has_recipe || g->flags.recipe_if_fix)
        m = look_at_fix(g, g->flags.has_recipe);
    if (g->flags.has_recipe)
        recipe_emit(g, &g->flags.recipe);
    else
        load_fl(g);
    if (m)
        m->back = g->e.len;
}

void flags_lost(struct gen *g)
{
    bug_on(!g->flags.saved && !g->flags.has_recipe, "flags overwritten before they were saved");
    g->flags.host = false;
}

void flags_called(struct gen *g)
{
    g->flags = (struct flags_state){.saved = true, .in_fl = true};
}

void flags_set(struct gen *g)
{
    g->set_flags = true;
    g->flags = (struct flags_state){.host = true};
    g->flags.has_recipe = recipe_make(g->in, &g->flags.recipe) && !recipe_takes_put(&g->flags.recipe);
}

void flags_set_put(struct gen *g)
{
    flags_set(g);
    g->flags.has_recipe = recipe_make(g->in, &g->flags.recipe);
}

/* Where the slow case comes back, C has taken the operand from memory, and the frame does not have it. */
void flags_set_kept(struct gen *g)
{
    flags_set_put(g);
    if (g->access[g->index].role == ACCESS_LATER || slow_leaves(g, g->index))
        return;
    flags_keep(g);
    g->flags.recipe_if_fix = true;
}

bool flags_extend(struct gen *g, struct recipe *r)
{
    *r = g->flags.recipe;
    if (!g->seen[g->index] || !g->flags.has_recipe || g->flags.recipe_if_fix || !recipe_extend(g->in, r))
        return false;
    struct recipe tail = *r;
    r->tail = 0;
    recipe_keep(g, r, 1u << g->in->rm);
    memcpy(tail.op, r->op, RECIPE_TAIL);
    *r = tail;
    return true;
}

void flags_set_extended(struct gen *g, const struct recipe *r)
{
    g->set_flags = true;
    g->flags = (struct flags_state){.host = g->flags.host, .has_recipe = true, .recipe = *r};
}

void flags_liveness(struct gen *g)
{
    u32 live = FLAGS_ARITH, seen = FLAGS_ARITH;
    for (unsigned i = g->b->count; i-- > 0;) {
        u32 killed = lower_flags_killed(g, i);
        g->live[i] = (u16)live;
        g->seen[i] = (u16)seen;
        live &= ~killed;
        seen &= ~killed;
        live |= insn_infos[g->b->uop[i].in.id].flags_read & FLAGS_ARITH;
        if (lower_observes(g, i))
            live = seen = FLAGS_ARITH;
        if (g->how[i] == LOWER_JCC)
            live = FLAGS_ARITH;
    }
}
