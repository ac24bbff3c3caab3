/* SPDX-License-Identifier: MIT */
/*
 * What a translator notes in the soft TLB's views: see struct tlb_note. Notes are not dropped one by one; a
 * view whose notes are of another tlb_fetch_id() is emptied before translated code runs on it.
 */
#include "base/general_regs.h"

#include "cpu/tlb.h"

/* An empty note's address is 0, which looks at the first one alone. */
static void notes_clear(struct tlb_view *v)
{
    for (unsigned i = 0; i < ARRAY_SIZE(v->noted); i++) {
        if (v->noted[i])
            memset(&v->note[i * TLB_NOTES_CHUNK], 0, TLB_NOTES_CHUNK * sizeof(v->note[0]));
        if (v->linked[i])
            memset(&v->link[i * TLB_NOTES_CHUNK], 0, TLB_NOTES_CHUNK * sizeof(v->link[0]));
    }
    memset(v->noted, 0, sizeof(v->noted));
    memset(v->linked, 0, sizeof(v->linked));
    v->note[0].lin = 1;
}

void tlb_begin_notes(struct tlb *t)
{
    u64 id = tlb_fetch_id(t);
    if (likely(t->view->notes_id == id))
        return;
    notes_clear(t->view);
    t->view->notes_id = id;
}

static void forget_notes(struct tlb_view *v)
{
    if (v->notes_id)
        v->notes_id = ~0ull;
}

void tlb_forget_notes(struct tlb *t)
{
    forget_notes(t->never);
    for (unsigned i = 0; i < TLB_CONTEXTS; i++)
        for (unsigned class = 0; t->ctx[i] && class < TLB_CLASSES; class ++)
            forget_notes(&t->ctx[i]->view[class]);
}

#include "base/general_regs_end.h"
