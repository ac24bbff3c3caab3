/* SPDX-License-Identifier: MIT */
/*
 * The guest's arithmetic flags on their way through a block.
 *
 * They live in the host's flags, where the guest's own instructions put them, and are saved to frame.fl only
 * before something may look at them there: a memory access (it may fault), a call, the block's end. Code of
 * ours that overwrites the host's flags runs after that. What a later instruction overwrites before anything
 * looks is never saved.
 */
#include "jit/gen.h"

#define FL_TO_AX   "\x9f\x0f\x90\xc0" /* lahf; seto al */
#define FL_FROM_AX "\x04\x7f\x9e"     /* add al, 0x7f; sahf */

void flags_keep(struct gen *g)
{
    struct emit *e = &g->e;
    if (g->flags_saved)
        return;
    emit_reg(e, X_MOV, 8, H_R11, H_RAX);
    emit_bytes(e, FL_TO_AX, 4);
    emit_mem(e, X_MOV_TO, 2, H_RAX, FRAME(fl));
    emit_reg(e, X_MOV, 8, H_RAX, H_R11);
    g->flags_saved = true;
}

void flags_need(struct gen *g)
{
    struct emit *e = &g->e;
    if (g->flags_host)
        return;
    emit_reg(e, X_MOV, 8, H_R11, H_RAX);
    emit_mem(e, X_MOVZX16, 4, H_RAX, FRAME(fl));
    emit_bytes(e, FL_FROM_AX, 3);
    emit_reg(e, X_MOV, 8, H_RAX, H_R11);
    g->flags_host = true;
}

void flags_lost(struct gen *g)
{
    bug_on(!g->flags_saved, "flags overwritten before they were saved");
    g->flags_host = false;
}

void flags_set(struct gen *g)
{
    g->flags_host = true;
    g->flags_saved = false;
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
