/* SPDX-License-Identifier: MIT */
/*
 * Slots: places in traces know the page that they went to last (struct tlb_slot).
 *
 * A slot is found by its place's number, not by the address, so that neither the look nor the access waits
 * for an index to be computed and an entry loaded. What is in it was in the soft TLB's tables and goes when
 * they change (tlb.c); who finds another page there opens it anew (runtime_slot.c), or looks into the tables
 * if that happens too often.
 */
#include "jit/gen.h"

static unsigned slot_kind(unsigned size)
{
    unsigned kind = 0;
    while (jit_slot_widths[kind] < size)
        kind++;
    return kind;
}

/* A slot of this place's; places of traces made long before or after may have it too. The stack's are none of
 * them. */
static unsigned take_slot(struct gen *g, unsigned kind, bool write)
{
    unsigned which = 2 * kind + write;
    return which * JIT_SLOTS_EACH + g->rt->next_slot[which]++ % (JIT_SLOTS_EACH - 1);
}

/* In traces: the page that this place went to last, by its slot. What uses the address does not wait for the
 * check. */
void look_in_slot(struct gen *g, unsigned size, bool write, const i32 *direct)
{
    struct emit *e = &g->e;
    unsigned kind = slot_kind(size), slot = take_slot(g, kind, write);
    if (direct)
        address_to(g, H_R11, 8, *direct);
    else
        emit_reg(e, X_MOV, 8, H_R11, H_R10);
    emit_mem(e, X_SUB, 8, H_R11, slot_field(slot, offsetof(struct tlb_slot, page)));
    emit_mem(e, X_CMP, 8, H_R11, slot_field(slot, offsetof(struct tlb_slot, room)));
    struct slot_miss *m = &g->slot_miss[g->slot_misses++];
    *m = (struct slot_miss){.from = emit_jcc(e, CC_AE), .index = g->index, .size = (u16)size};
    m->opened = e->len;
    m->direct = direct;
    m->by = direct ? *direct : 0;
    m->use = (struct jit_slot_use){.number = (u16)slot,
                                   .room = (u16)(PAGE_SIZE + 1 - size),
                                   .write = write,
                                   .slot_room = (u16)(PAGE_SIZE + 1 - jit_slot_widths[kind]),
                                   .rare = (u16)(SLOT_PAYS * g->b->count)};
    emit_mem(e, direct ? X_MOV : X_ADD, 8, H_R10, slot_field(slot, offsetof(struct tlb_slot, to)));
    m->back = e->len;
}

/* The slot is opened where that may pay, or else the soft TLB looked into in place. */
static void emit_slot_miss(struct gen *g, const struct slot_miss *m)
{
    struct emit *e = &g->e;
    u64 use;
    memcpy(&use, &m->use, sizeof(use));
    emit_patch(e, m->from, e->len);
    if (m->direct)
        effective_address(g, m->by);
    if (m->twin)
        go_to_twin(g, m->twin, m->size);
    emit_imm_mem(e, X_IMM_CMP, 4, slot_field(m->use.number, offsetof(struct tlb_slot, often)),
                 JIT_SLOT_OFTEN);
    size_t often = emit_jcc(e, CC_AE);
    emit_mov_imm(e, H_R11, use);
    call_runtime(g, g->rt->open_slot);
    emit_patch(e, emit_jcc(e, CC_AE), m->opened);
    emit_patch(e, often, e->len);
    look_in_tlb(g, m->size, m->use.write, m->direct);
    emit_jmp_to(e, m->back);
}

void emit_slot_misses(struct gen *g)
{
    for (unsigned i = 0; i < g->slot_misses; i++) {
        look_at(g, g->slot_miss[i].index);
        emit_slot_miss(g, &g->slot_miss[i]);
    }
}

void go_to_twin(struct gen *g, struct twin *w, unsigned size)
{
    struct emit *e = &g->e;
    emit_reg(e, X_MOV, 4, H_R11, H_R10);
    emit_imm(e, X_IMM_AND, 4, H_R11, PAGE_SIZE - 1);
    emit_imm(e, X_IMM_CMP, 4, H_R11, (i32)(PAGE_SIZE - size));
    w->from = emit_jcc(e, CC_A);
}

struct twin *twin_add(struct gen *g)
{
    struct twin *w = &g->twin[g->twins++];
    *w = (struct twin){.index = g->index, .flags = g->flags, .vec = g->vec};
    return w;
}

void twin_set(struct gen *g, const struct twin *w)
{
    g->set_flags = false;
    g->flags = w->flags;
    g->vec = w->vec;
}
