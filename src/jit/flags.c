/* SPDX-License-Identifier: MIT */
/*
 * The guest's arithmetic flags on their way through a block.
 *
 * They live in the host's flags, where the guest's own instructions put them, and are saved to frame.fl only
 * before something may look at them there: a memory access (it may fault), a call, the block's end. Code of
 * ours that overwrites the host's flags runs after that. What a later instruction overwrites before anything
 * looks is never saved. What can be made again in time is not saved either (flags_recipe.c).
 */
#include "jit/gen.h"

#define FL_TO_AX   "\x9f\x0f\x90\xc0" /* lahf; seto al */
#define FL_FROM_AX "\x04\x7f\x9e"     /* add al, 0x7f; sahf */

static void set_fix(struct gen *g, u32 value)
{
    emit_op_mem(&g->e, (struct prefixes){.rex_w = true}, 0xc7, 0, FRAME(fix));
    emit32(&g->e, value);
}

void flags_save(struct gen *g)
{
    struct emit *e = &g->e;
    emit_reg(e, X_MOV, 8, H_R11, H_RAX);
    emit_bytes(e, FL_TO_AX, 4);
    emit_mem(e, X_MOV_TO, 2, H_RAX, FRAME(fl));
    emit_reg(e, X_MOV, 8, H_RAX, H_R11);
    set_fix(g, 0);
}

void flags_wait(struct gen *g)
{
    bug_on(g->waits == WAITS_MAX, "too many flags wait in one block");
    set_fix(g, 0);
    g->wait[g->waits].place = g->e.len - 4;
    g->wait[g->waits++].recipe = g->recipe;
    g->flags_saved = g->flags_waiting = true;
}

void flags_keep(struct gen *g)
{
    if (g->flags_saved)
        return;
    if (g->has_recipe && flags_may_wait(g)) {
        flags_wait(g);
        return;
    }
    flags_save(g);
    g->flags_saved = true;
}

void flags_store(struct gen *g)
{
    if (g->flags_waiting) {
        flags_need(g);
        g->flags_saved = false;
    }
    if (!g->flags_saved)
        flags_save(g);
    g->flags_saved = true;
    g->flags_waiting = false;
}

void flags_emit_waits(struct gen *g)
{
    for (unsigned i = 0; i < g->waits && !g->e.overflow; i++) {
        store_le(g->e.buf + g->wait[i].place, 4, g->base + g->e.len);
        recipe_emit(g, &g->wait[i].recipe);
        flags_save(g);
        emit_op_mem(&g->e, (struct prefixes){0}, 0xff, 4, FRAME(fix_back)); /* jmp */
    }
}

void flags_need(struct gen *g)
{
    struct emit *e = &g->e;
    if (g->flags_host)
        return;
    g->flags_host = true;
    if (g->flags_waiting) {
        recipe_emit(g, &g->recipe);
        return;
    }
    emit_reg(e, X_MOV, 8, H_R11, H_RAX);
    emit_mem(e, X_MOVZX16, 4, H_RAX, FRAME(fl));
    emit_bytes(e, FL_FROM_AX, 3);
    emit_reg(e, X_MOV, 8, H_RAX, H_R11);
}

void flags_lost(struct gen *g)
{
    bug_on(!g->flags_saved, "flags overwritten before they were saved");
    g->flags_host = false;
}

void flags_called(struct gen *g)
{
    g->flags_saved = true;
    g->flags_host = g->flags_waiting = g->has_recipe = false;
}

void flags_set(struct gen *g)
{
    g->flags_host = true;
    g->flags_saved = g->flags_waiting = false;
    g->maker = g->index;
    g->has_recipe = recipe_make(g->in, &g->recipe);
}

void flags_liveness(struct gen *g)
{
    u32 live = FLAGS_ARITH;
    for (unsigned i = g->b->count; i-- > 0;) {
        g->live[i] = live;
        live &= ~lower_flags_killed(g, i);
        live |= insn_infos[g->b->uop[i].in.id].flags_read & FLAGS_ARITH;
        if (lower_observes(g, i))
            live = FLAGS_ARITH;
    }
}
