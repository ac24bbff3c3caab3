/* SPDX-License-Identifier: MIT */
/*
 * Near branches and the way on from a block.
 *
 * A direct jump goes to the other block directly once that exists (struct jit_exit, patched by blocks.c), to
 * another page only if it is linked in the present view of the soft TLB. Everything else finds its target by
 * RIP in that view's notes; both die with a change of mapping. What is not there is looked up by the soft
 * TLB's fetch table and then by host address. All are right under any remapping.
 */
#include "jit/gen.h"

void rip_to(struct gen *g, enum host_reg r, i64 offset)
{
    i32 most = offset > INT32_MAX ? INT32_MAX : offset < INT32_MIN ? INT32_MIN : (i32)offset;
    emit_mem(&g->e, X_MOV, 8, r, FRAME(rip_page));
    emit_lea(&g->e, r, MEM(r, most));
    if (offset != most)
        emit_lea(&g->e, r, MEM(r, (i32)(offset - most)));
}

static i32 routine_at(const struct gen *g, u32 routine)
{
    return (i32)(routine - (g->base + (u32)g->e.len + 4));
}

void jump_runtime(struct gen *g, u32 routine)
{
    emit8(&g->e, 0xe9);
    emit32(&g->e, (u32)routine_at(g, routine));
}

void call_runtime(struct gen *g, u32 routine)
{
    scratch_lost(g);
    emit8(&g->e, 0xe8);
    emit32(&g->e, (u32)routine_at(g, routine));
}

/* To the guest RIP in R10. Flags are lost; they were kept. check: it may not be canonical. Before it goes RSP
 * rises by `release`. */
static void jump_late(struct gen *g, bool check, i32 release)
{
    struct emit *e = &g->e;
    struct mem note = {.base = H_R9, .index = H_R11, .scale = 3, .disp = VIEW_AT(note)};
    runtime_note_index(e);
    emit_mem(e, X_CMP, 8, H_R10, note);
    g->miss[g->misses++] =
        (struct miss){.from = emit_jcc(e, CC_NE), .check = check, .index = g->index, .release = release};
    if (release)
        emit_lea(e, host_reg_of[RSP], MEM(host_reg_of[RSP], release));
    note.disp += (i32)offsetof(struct tlb_note, what);
    emit_op_mem(e, (struct prefixes){0}, 0xff, 4, note);
}

static void emit_miss(struct gen *g, const struct miss *m)
{
    struct emit *e = &g->e;
    emit_patch(e, m->from, e->len);
    look_at(g, m->index);
    if (m->check)
        check_canonical(g);
    if (m->release)
        emit_lea(e, host_reg_of[RSP], MEM(host_reg_of[RSP], m->release));
    jump_runtime(g, g->rt->lookup);
}

static bool in_page(i64 target)
{
    return target >= 0 && target < (i64)PAGE_SIZE;
}

/* Before a jump of that many bytes before its displacement, which will be patched. */
static void align_exit(struct gen *g, unsigned opcode)
{
    static const char *const nop[] = {"", "\x90", "\x66\x90", "\x0f\x1f\x00"}; /* SDM 2B table 4-12 */
    unsigned at = (g->base + (u32)g->e.len + opcode) & 7, more = at > 4 ? 8 - at : 0;
    emit_bytes(&g->e, nop[more], more);
}

static struct jit_exit *add_exit(struct gen *g, size_t from, i64 target)
{
    struct jit_exit *x = g->exit - ++g->exits;
    g->exit_from[g->exits - 1] = from;
    *x = (struct jit_exit){.host = trace_page_at(g, g->index) + target,
                           .place = g->base + (u32)from,
                           .target = (i32)target,
                           .side = g->trace && g->index + 1u < g->b->count,
                           .ref = g->trace ? g->trace->at[g->index] : 0};
    return x;
}

static i32 page_of(i64 target)
{
    return (i32)(target & ~(i64)(PAGE_SIZE - 1));
}

/* To another page. check: the target may not be canonical, and nothing has changed yet. Flags were kept. */
static void go_far(struct gen *g, i64 target, bool check, bool push)
{
    struct emit *e = &g->e;
    struct far *f = &g->far[g->fars++];
    emit_op_plus(e, (struct prefixes){0}, 0xb8, H_R10); /* mov r10d, tag */
    size_t tag = e->len;
    emit32(e, 0);
    emit_mem(e, X_ADD, 8, H_R10, FRAME(rip_page));
    emit_mem(e, X_CMP, 8, H_R10, MEM(H_R9, INT32_MAX));
    size_t slot = e->len - 4;
    *f = (struct far){.from = chaos_one_in(g->rt->chaos, 32) ? emit_jmp(e) : emit_jcc(e, CC_NE),
                      .exit = g->exits,
                      .index = g->index,
                      .check = check,
                      .push = push};
    if (push)
        push_next(g);
    emit_imm_mem(e, X_IMM_ADD, 8, FRAME(rip_page), page_of(target));
    align_exit(g, 1);
    struct jit_exit *x = add_exit(g, emit_jmp(e), target);
    x->host = NULL;
    x->far = true;
    x->slot = jit_link_slot(x->place);
    x->key = (i64)jit_link_tag(x->place) - target;
    if (e->overflow)
        return;
    store_le(e->buf + tag, 4, jit_link_tag(x->place));
    store_le(e->buf + slot, 4, (u32)(VIEW_AT(link) + 8 * (i32)x->slot));
}

/* A target on another page is canonical. */
void go_to(struct gen *g, i64 target)
{
    if (!in_page(target)) {
        go_far(g, target, false, false);
        return;
    }
    align_exit(g, 1);
    add_exit(g, emit_jmp(&g->e), target);
}

static void check_target(struct gen *g, i64 target)
{
    rip_to(g, H_R10, target);
    check_canonical(g);
}

/* Not linked here: all that is to be done, and then the way there is found. Behind a link whose target has
 * gone, rip_page is the target's already. */
static void emit_far(struct gen *g, const struct far *f)
{
    struct emit *e = &g->e;
    const struct jit_exit *x = g->exit - 1 - f->exit;
    emit_patch(e, f->from, e->len);
    look_at(g, f->index);
    g->flags = (struct flags_state){.saved = true};
    if (f->check)
        check_target(g, x->target);
    if (f->push)
        push_next(g);
    rip_to(g, H_R10, x->target);
    size_t found = emit_jmp(e);
    emit_patch(e, g->exit_from[f->exit], e->len);
    rip_to(g, H_R10, x->target - page_of(x->target));
    emit_patch(e, found, e->len);
    emit_mov_imm(e, H_R11, (u64)x);
    jump_runtime(g, g->rt->link);
}

void emit_exits(struct gen *g)
{
    for (unsigned i = 0; i < g->exits; i++) {
        const struct jit_exit *x = g->exit - 1 - i;
        if (x->far)
            continue;
        emit_patch(&g->e, g->exit_from[i], g->e.len);
        rip_to(g, H_R10, x->target);
        emit_mov_imm(&g->e, H_R11, (u64)x);
        jump_runtime(g, g->trace ? g->rt->leave_trace : g->rt->leave_chain);
    }
    for (unsigned i = 0; i < g->fars; i++)
        emit_far(g, &g->far[i]);
    for (unsigned i = 0; i < g->misses; i++)
        emit_miss(g, &g->miss[i]);
}

static i64 target_of(const struct gen *g)
{
    return (i64)g->next + (i64)g->in->imm;
}

static bool reachable(i64 target)
{
    return target == (i32)target;
}

/* Nothing has changed yet. */
static void branch_to(struct gen *g, i64 target)
{
    if (in_page(target))
        go_to(g, target);
    else
        go_far(g, target, true, false);
}

bool lower_jmp(struct gen *g)
{
    i64 target = target_of(g);
    if (g->in->size != 8 || !reachable(target))
        return false;
    flags_keep(g);
    branch_to(g, target);
    return true;
}

/* The frame has them on both ways, or (true) will once keep_on_next() ran on the way to the next instruction.
 */
static bool flags_at_jump(struct gen *g, i64 target)
{
    bool next = flags_stay_at(g, g->next), there = flags_stay_at(g, target);
    flags_need(g);
    if (g->flags.saved || !g->flags.has_recipe) {
        flags_settle(g);
        return false;
    }
    if (!there)
        recipe_keep(g, &g->flags.recipe, ~0u);
    flags_settle(g);
    return there && !next;
}

static void keep_on_next(struct gen *g)
{
    struct recipe r = g->flags.recipe;
    recipe_keep(g, &r, ~0u);
    flags_wait(g, &r);
}

bool lower_jcc(struct gen *g)
{
    i64 target = target_of(g);
    u8 cc = g->in->opcode & 15;
    if (g->in->size != 8 || !reachable(target))
        return false;
    bool keep = flags_at_jump(g, target);
    if (in_page(target))
        align_exit(g, 2);
    size_t taken = emit_jcc(&g->e, cc);
    if (keep)
        keep_on_next(g);
    go_to(g, g->next);
    if (in_page(target)) {
        add_exit(g, taken, target);
        return true;
    }
    emit_patch(&g->e, taken, g->e.len);
    branch_to(g, target);
    return true;
}

/* R10: the operand, not looked at. */
static void load_target(struct gen *g)
{
    const struct insn *in = g->in;
    if (in->flags & INSN_MEM) {
        operand_place(g, 8, false);
        emit_mem(&g->e, X_MOV, 8, H_R10, g->operand);
    } else {
        emit_reg(&g->e, X_MOV, 8, H_R10, guest_reg(g, in->rm, H_R10));
    }
}

static bool near_operand(const struct gen *g)
{
    const struct insn *in = g->in;
    return in->size == 8 && (!(in->flags & INSN_MEM) || in->adsize == 8);
}

bool lower_jmp_indirect(struct gen *g)
{
    if (!near_operand(g))
        return false;
    load_target(g);
    flags_keep(g);
    jump_late(g, true, 0);
    return true;
}

void push_next(struct gen *g)
{
    struct mem top = stack_place(g, -8, 8, true);
    rip_to(g, H_R11, g->next);
    emit_mem(&g->e, X_MOV_TO, 8, H_R11, top);
    move_rsp(g, -8);
}

bool lower_call(struct gen *g)
{
    i64 target = target_of(g);
    if (g->in->size != 8 || !reachable(target))
        return false;
    flags_keep(g);
    if (!in_page(target)) {
        go_far(g, target, true, true);
        return true;
    }
    push_next(g);
    go_to(g, target);
    return true;
}

/* The target waits in the frame while the return address is pushed. */
bool lower_call_indirect(struct gen *g)
{
    if (!near_operand(g))
        return false;
    load_target(g);
    flags_keep(g);
    check_canonical(g);
    emit_mem(&g->e, X_MOV_TO, 8, H_R10, FRAME(scratch));
    push_next(g);
    emit_mem(&g->e, X_MOV, 8, H_R10, FRAME(scratch));
    jump_late(g, false, 0);
    return true;
}

static bool ret(struct gen *g, i32 release)
{
    if (g->in->size != 8)
        return false;
    emit_mem(&g->e, X_MOV, 8, H_R10, stack_place(g, 0, 8, false));
    flags_keep(g);
    jump_late(g, true, 8 + release);
    return true;
}

bool lower_ret(struct gen *g)
{
    return ret(g, 0);
}

bool lower_ret_imm(struct gen *g)
{
    return ret(g, (u16)g->in->imm);
}
