/* SPDX-License-Identifier: MIT */
/*
 * Memory operands: linear address, then the soft TLB inline. Before it, for what lies near RSP, one page in
 * a slot of its own: most accesses to the stack are on the page of the one before. In traces every place has
 * a slot (slot.c).
 */
#include "jit/gen.h"

_Static_assert(sizeof(struct tlb_entry) == 16 && offsetof(struct tlb_entry, to) == 8, "ORDER TLB_ENTRY");
_Static_assert(offsetof(struct segment, base) == 0, "ORDER SEGMENT");

void slow_from(struct slow *s, size_t place)
{
    bug_on(s->jumps == SLOW_JUMPS, "too many slow jumps in one instruction");
    s->from[s->jumps++] = place;
}

void go_slow(struct gen *g, u8 cc)
{
    bug_on(g->rsp_due, "C would find another RSP");
    scratch_lost(g);
    slow_from(&g->slow[g->index], chaos_one_in(g->rt->chaos, 32) ? emit_jmp(&g->e) : emit_jcc(&g->e, cc));
}

static void add_segment_base(struct gen *g)
{
    if (g->in->seg < FS)
        return;
    emit_mem(&g->e, X_MOV, 8, H_R11, FRAME(cpu));
    emit_mem(&g->e, X_MOV, 8, H_R11,
             MEM(H_R11, (i32)(offsetof(struct cpu, seg) + g->in->seg * sizeof(struct segment))));
    emit_lea(&g->e, H_R10, (struct mem){.base = H_R10, .index = H_R11});
}

void address_to(struct gen *g, enum host_reg to, unsigned size, i32 by)
{
    const struct insn *in = g->in;
    struct mem m = {.base = H_NONE, .index = H_NONE, .scale = in->scale, .disp = in->disp + by};
    if (in->base == REG_RIP) {
        rip_to(g, to, (i64)g->next + in->disp + by);
        if (size == 4)
            emit_reg(&g->e, X_MOV, 4, to, to);
        return;
    }
    if (in->base != REG_ZERO)
        m.base = guest_reg(g, in->base, H_R10);
    if (in->index != REG_ZERO)
        m.index = guest_reg(g, in->index, H_R11);
    if (m.base == H_NONE && m.index == H_NONE)
        emit_mov_imm(&g->e, to, size == 4 ? (u32)m.disp : (u64)(i64)m.disp);
    else if (size == 4)
        emit_mem(&g->e, X_LEA, 4, to, m);
    else
        emit_lea(&g->e, to, m);
}

void effective_address(struct gen *g, i32 by)
{
    address_to(g, H_R10, 8, by);
}

void linear_address(struct gen *g)
{
    effective_address(g, 0);
    add_segment_base(g);
}

static bool by_slot(const struct gen *g)
{
    return g->trace && !g->in_twin && g->slot_misses < TRACE_MAX;
}

/* It needs no more than registers of the host's: then nothing that waits for its address has to wait for more
 * than what is to be added to it. */
static bool is_direct(const struct insn *in)
{
    bool base = in->base < 16, index = in->index != REG_ZERO;
    return in->seg < FS && (base || (index && in->base == REG_ZERO)) &&
           (!base || host_reg_of[in->base] != H_NONE) && (!index || host_reg_of[in->index] != H_NONE);
}

/* The operand of such an address in host memory. R10: what is to be added to the address; it gets the index
 * if there is no room for it. */
static struct mem direct_operand(struct gen *g, i32 by)
{
    const struct insn *in = g->in;
    struct mem m = {.base = H_R10, .index = H_NONE, .scale = in->scale, .disp = in->disp + by};
    if (in->index != REG_ZERO)
        m.index = host_reg_of[in->index];
    if (in->base == REG_ZERO)
        return m;
    if (m.index != H_NONE)
        emit_lea(&g->e, H_R10, (struct mem){.base = H_R10, .index = m.index, .scale = m.scale});
    m.index = host_reg_of[in->base];
    m.scale = 0;
    return m;
}

static struct tlb_miss *tlb_miss(struct gen *g, u32 refill)
{
    bug_on(g->tlb_misses == TLB_MISSES_MAX, "too many accesses in a block");
    struct tlb_miss *m = &g->tlb_miss[g->tlb_misses++];
    m->from = chaos_one_in(g->rt->chaos, 32) ? emit_jmp(&g->e) : emit_jcc(&g->e, CC_A);
    m->index = g->index;
    m->refill = refill;
    return m;
}

/* The entry's tag differs from the address by the offset in the page alone when it is a hit. */
void look_in_tlb(struct gen *g, unsigned size, bool write, bool direct)
{
    struct emit *e = &g->e;
    struct mem entry = {.base = H_R9, .index = H_R11, .disp = write ? VIEW_AT(write) : VIEW_AT(read)};
    runtime_tlb_index(e);
    emit_mem(e, X_XOR, 8, H_R10, entry);
    emit_imm(e, X_IMM_CMP, 8, H_R10, (i32)(PAGE_SIZE - size));
    struct tlb_miss *m = NULL;
    if (size <= JIT_REFILL_SIZE)
        m = tlb_miss(g, g->rt->refill[write][jit_refill_of(size)]);
    else
        go_slow(g, CC_A);
    if (m)
        m->back = e->len;
    if (!direct)
        emit_mem(e, X_XOR, 8, H_R10, entry); /* the address again */
    entry.disp += (i32)offsetof(struct tlb_entry, to);
    emit_mem(e, direct ? X_MOV : X_ADD, 8, H_R10, entry);
}

/* The routine leaves R10 and R11 as the check does. It comes back behind the jump when it has nothing. */
bool emit_tlb_misses(struct gen *g, unsigned index)
{
    struct emit *e = &g->e;
    struct slow *s = &g->slow[index];
    bool any = false;
    for (const struct tlb_miss *m = g->tlb_miss; m < g->tlb_miss + g->tlb_misses; m++) {
        if (m->index != index)
            continue;
        if (any)
            slow_from(s, emit_jmp(e));
        emit_patch(e, m->from, e->len);
        call_runtime(g, m->refill);
        emit_jmp_to(e, m->back);
        any = true;
    }
    return any;
}

void host_address(struct gen *g, unsigned size, bool write)
{
    flags_spare(g);
    if (by_slot(g))
        look_in_slot(g, size, write, NULL);
    else
        look_in_tlb(g, size, write, false);
    flags_lost(g);
}

/* `size` bytes, so far behind the operand's address (`by`), which is direct. */
static struct mem find_direct(struct gen *g, i32 by, unsigned size, bool write)
{
    flags_spare(g);
    if (by_slot(g)) {
        look_in_slot(g, size, write, &by);
    } else {
        effective_address(g, by);
        look_in_tlb(g, size, write, true);
    }
    flags_lost(g);
    return direct_operand(g, by);
}

/* R10: what is to be added to the address. */
static struct stack_miss *look_at_stack(struct gen *g, unsigned slot, i32 disp, unsigned size, bool write)
{
    struct emit *e = &g->e;
    flags_spare(g);
    emit_lea(e, H_R11, MEM(host_reg_of[RSP], disp));
    emit_mem(e, X_SUB, 8, H_R11, slot_field(slot, offsetof(struct tlb_slot, page)));
    emit_mem(e, X_CMP, 8, H_R11, slot_field(slot, offsetof(struct tlb_slot, room)));
    bug_on(g->stack_misses == STACK_MISSES_MAX, "too many stack accesses in a block");
    struct stack_miss *m = &g->stack_miss[g->stack_misses++];
    *m = (struct stack_miss){
        .from = emit_jcc(e, CC_AE), .index = g->index, .disp = disp, .size = (u16)size, .write = write};
    emit_mem(e, X_MOV, 8, H_R10, slot_field(slot, offsetof(struct tlb_slot, to)));
    m->back = e->len;
    flags_lost(g);
    return m;
}

static struct mem by_rsp(i32 disp)
{
    return (struct mem){.base = H_R10, .index = host_reg_of[RSP], .disp = disp};
}

void emit_stack_misses(struct gen *g)
{
    struct emit *e = &g->e;
    while (g->stack_misses_out < g->stack_misses) {
        const struct stack_miss *m = &g->stack_miss[g->stack_misses_out++];
        emit_patch(e, m->from, e->len);
        look_at(g, m->index);
        emit_lea(e, H_R10, MEM(host_reg_of[RSP], m->disp));
        if (m->twin)
            go_to_twin(g, m->twin, m->size);
        call_runtime(g, g->rt->stack);
        look_in_tlb(g, m->size, m->write, true);
        emit_jmp_to(e, m->back);
    }
}

static bool near_stack(const struct insn *in, unsigned size)
{
    return in->base == RSP && in->index == REG_ZERO && in->seg < FS && size <= JIT_STACK_SIZE;
}

static struct mem window(const struct group *k)
{
    return MEM(H_RSP, (i32)(offsetof(struct jit_frame, window) + 8 * k->window));
}

/* Finds all that its group touches. */
static void first_of_group(struct gen *g, const struct access *a, const struct group *k)
{
    unsigned slots = g->slot_misses, size = (unsigned)(k->high - k->low);
    i32 by = (i32)(k->low - a->at);
    bool sum = g->in->index != REG_ZERO; /* made twice it would cost more than the wait */
    if (is_direct(g->in) && !(sum && by_slot(g))) {
        emit_lea(&g->e, H_R10, find_direct(g, by, size, k->write));
    } else {
        effective_address(g, by);
        host_address(g, size, k->write);
    }
    emit_mem(&g->e, X_MOV_TO, 8, H_R10, window(k));
    if (g->slot_misses > slots)
        g->slot_miss[slots].twin = twin_add(g);
}

/* The same of a group by RSP; disp: of the current one. */
static void first_of_stack(struct gen *g, const struct access *a, const struct group *k, i32 disp)
{
    disp += (i32)(k->low - a->at);
    struct stack_miss *m = look_at_stack(g, JIT_SPAN_SLOT, disp, (unsigned)(k->high - k->low), k->write);
    m->twin = twin_add(g);
    emit_lea(&g->e, H_R10, by_rsp(disp));
    emit_mem(&g->e, X_MOV_TO, 8, H_R10, window(k));
}

/* The register that holds its window: R11 where R10 holds one that will be used again. */
static enum host_reg reach_window(struct gen *g, const struct group *k)
{
    bool r10 = g->at_r10 && !g->e.r10, r11 = g->at_r11 && !g->e.r11;
    if (r10 && g->at_r10 == k)
        return H_R10;
    if (g->spares_r11 && r11 && g->at_r11 == k)
        return H_R11;
    enum host_reg r = g->spares_r11 && r10 && g->at_r10->last > g->index ? H_R11 : H_R10;
    emit_mem(&g->e, X_MOV, 8, r, window(k));
    return r;
}

static void hold_window(struct gen *g, const struct group *k, enum host_reg r)
{
    *(r == H_R10 ? &g->at_r10 : &g->at_r11) = k;
    *(r == H_R10 ? &g->e.r10 : &g->e.r11) = false;
}

/* disp: from RSP, if the group is by it. What leaves a block is emitted in several places: the window is all
 * that is known there. */
static struct mem place_in_group(struct gen *g, i32 disp)
{
    const struct access *a = &g->access[g->index];
    const struct group *k = &g->group[a->group];
    enum host_reg base = H_R10;
    if (g->info->attr & ATTR_BRANCH)
        g->at_r10 = NULL;
    if (a->role == ACCESS_FIRST && k->stack)
        first_of_stack(g, a, k, disp);
    else if (a->role == ACCESS_FIRST)
        first_of_group(g, a, k);
    else
        base = reach_window(g, k);
    hold_window(g, k, base);
    return MEM(base, (i32)(a->at - k->low));
}

struct mem stack_place(struct gen *g, i32 disp, unsigned size, bool write)
{
    if (g->access[g->index].role != ACCESS_ALONE)
        return place_in_group(g, disp);
    look_at_stack(g, JIT_STACK_SLOT, disp, size, write);
    return by_rsp(disp);
}

void operand_address(struct gen *g, unsigned size, bool write)
{
    operand_place(g, size, write);
    if (g->operand.index == H_NONE)
        return;
    emit_lea(&g->e, H_R10, g->operand);
    g->operand = MEM(H_R10, 0);
}

void operand_place(struct gen *g, unsigned size, bool write)
{
    g->operand = MEM(H_R10, 0);
    if (g->access[g->index].role != ACCESS_ALONE) {
        g->operand = place_in_group(g, g->in->disp);
        return;
    }
    if (near_stack(g->in, size)) {
        g->operand = stack_place(g, g->in->disp, size, write);
        return;
    }
    if (is_direct(g->in)) {
        g->operand = find_direct(g, 0, size, write);
        return;
    }
    linear_address(g);
    host_address(g, size, write);
}

void check_canonical(struct gen *g)
{
    struct emit *e = &g->e;
    emit_reg(e, X_MOV, 8, H_R11, H_R10);
    emit_shift(e, X_SHL, 8, H_R11, 16);
    emit_shift(e, X_SAR, 8, H_R11, 16);
    emit_reg(e, X_CMP, 8, H_R11, H_R10);
    go_slow(g, CC_NE);
}
