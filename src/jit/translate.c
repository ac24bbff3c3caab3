/* SPDX-License-Identifier: MIT */
/*
 * One pass over a block: the checks of its entry, each instruction by its lowering or as a call of its
 * meaning, the way on, and behind that what is rarely taken.
 *
 * The code depends on the block's place in its page, not on the page's guest address, so it serves every
 * mapping.
 */
#include "jit/translate.h"

#include "cpu/meanings.h"
#include "insn_ids.h"
#include "cpu/nested/nested.h"
#include "jit/gen.h"

bool lower_nop(struct gen *g)
{
    (void)g;
    return true;
}

bool lower_fence(struct gen *g)
{
    const u8 code[] = {0x0f, 0xae, g->in->modrm};
    emit_bytes(&g->e, code, sizeof(code));
    return true;
}

static bool (*const lower_by[])(struct gen *g) = {
#define LOWER_KIND(kind, function) [LOWER_##kind] = lower_##function,
#include "jit/lower.def"
#undef LOWER_KIND
};

enum meaning_no meaning_no(u16 id)
{
    static const u16 meaning[ID_COUNT] = {
#define MEANING_OF(id, name) [ID_##id] = NO_##name,
#include "insn_meaning_table.inc"
#undef MEANING_OF
    };
    return (enum meaning_no)meaning[id];
}

enum lowering lowering_of_row(u16 id)
{
    static const u8 how[MEANINGS] = {
#define LOWER(name, kind) [NO_##name] = LOWER_##kind,
#include "jit/lower.def"
#undef LOWER
    };
    return (enum lowering)how[meaning_no(id)];
}

/* It asks refuse_intercept(). */
static bool lower_in_guest(enum lowering how)
{
    return how == LOWER_TIME || how == LOWER_PUSHF || how == LOWER_MOV_FROM_CR;
}

/* LOWER_NONE where the meaning on this CPU is not the row's own. */
static enum lowering lowering_of(const struct uop *u)
{
    const struct meaning *m = insn_meaning[u->in.id];
    if (u->fn == nested_insn)
        return lower_in_guest(lowering_of_row(u->in.id)) ? lowering_of_row(u->in.id) : LOWER_NONE;
    if (u->fn != (u->in.flags & INSN_MEM ? m->mem : m->reg)[__builtin_ctz(u->in.size) & 3])
        return LOWER_NONE; /* #UD here, or intercepted */
    return lowering_of_row(u->in.id);
}

bool lower_observes(const struct gen *g, unsigned i)
{
    const struct insn *in = &g->b->uop[i].in;
    if (trace_turns(g, i))
        return true;
    switch (g->how[i]) {
    case LOWER_JMP:
    case LOWER_JCC:
        return !trace_inner(g, i); /* whoever leaves a trace there finds the host's flags right */
    case LOWER_NOP:
    case LOWER_FENCE:
        return false;
    case LOWER_LEA:
        return !lea_is_native(in);
    case LOWER_PUSH:
    case LOWER_PUSH_IMM:
    case LOWER_POP:
        return g->access[i].role != ACCESS_LATER;
    case LOWER_PLAIN:
    case LOWER_LOGIC:
    case LOWER_BMI:
    case LOWER_SHIFT:
    case LOWER_KEEP:
    case LOWER_BIT:
    case LOWER_ATOMIC:
        return ((in->flags & INSN_MEM) && g->access[i].role != ACCESS_LATER) || lower_names_high(in);
    default:
        return true;
    }
}

/* ---- one instruction ---- */

static bool ends_block(const struct insn_info *info)
{
    return info->attr & (ATTR_BRANCH | ATTR_END);
}

/* The site of the block's instruction i, which lies at `offset`; made when it is first needed. */
static struct jit_site *site_of(struct gen *g, unsigned i)
{
    const struct uop *u = &g->b->uop[i];
    if (!g->site_no[i]) {
        g->site_no[i] = (u8)++g->sites;
        g->site[g->sites - 1] = (struct jit_site){
            .fn = u->fn, .in = u->in, .offset = g->offset[i], .index = (u8)i, .count = g->b->count};
    }
    return &g->site[g->site_no[i] - 1];
}

static void call_meaning(struct gen *g, unsigned i)
{
    emit_mov_imm(&g->e, H_R11, (u64)site_of(g, i));
    call_runtime(g, ends_block(&insn_infos[g->b->uop[i].in.id]) ? g->rt->call_last : g->rt->call);
}

static void call_instead(struct gen *g)
{
    g->looked = 0;
    flags_settle(g);
    call_meaning(g, g->index);
    flags_called(g);
    g->vec = 0;
}

/* C ran, so what windows show may have gone, or the page that comes next: goes on as if the block ended
 * behind the instruction i. */
static void leave_behind(struct gen *g, unsigned i)
{
    count_down(&g->e, X_IMM_ADD, g->b->count - i - 1);
    rip_to(g, H_R10, g->offset[i] + g->b->uop[i].in.len);
    jump_runtime(g, trace_turns(g, i) ? g->rt->leave_at : g->rt->lookup);
}

bool slow_leaves(const struct gen *g, unsigned i)
{
    return i < g->relies || window_lives(g, i) || trace_turns(g, i);
}

/* In a trace, and its last bytes are on another page: if that is not there any more they are others, which
 * the meaning would not know. */
static bool crosses(const struct gen *g, unsigned i)
{
    return g->trace && g->offset[i] + g->b->uop[i].in.len > PAGE_SIZE;
}

/* As if the block ended before the instruction i. */
static void leave_before(struct gen *g, unsigned i)
{
    count_down(&g->e, X_IMM_ADD, g->b->count - i);
    rip_to(g, H_R10, g->offset[i]);
    jump_runtime(g, g->rt->leave_at);
}

static bool translate_one(struct gen *g)
{
    enum lowering how = (enum lowering)g->how[g->index];
    struct slow *s = &g->slow[g->index];
    bool inner = trace_inner(g, g->index), turns = !inner && trace_turns(g, g->index);
    g->spares_r11 = false;
    flags_begin(g);
    if (turns)
        trace_look(g);
    bool native = inner || (how != LOWER_NONE && lower_by[how](g));
    if (inner)
        lower_inner(g);
    if (!native)
        call_instead(g);
    if (!native && turns)
        leave_behind(g, g->index);
    else if (turns)
        trace_turn(g);
    s->back = g->e.len;
    s->flags_host = g->flags.host;
    s->vec = g->vec;
    return native;
}

/* ---- the block ---- */

struct entry {
    size_t over, across[3]; /* jumps to be patched */
};

static size_t check_version(struct gen *g, const struct page_info *page, u32 version)
{
    emit_mov_imm(&g->e, H_R10, (u64)&page->code_version);
    emit_op_mem(&g->e, (struct prefixes){0}, 0x81, X_IMM_CMP, MEM(H_R10, 0));
    emit32(&g->e, version);
    return emit_jcc(&g->e, CC_NE);
}

/* Of a block that crosses: the second page is mapped where it was, and its bytes are the same. */
static void check_second_page(struct gen *g, struct entry *n)
{
    struct emit *e = &g->e;
    rip_to(g, H_R10, PAGE_SIZE);
    runtime_tlb_index(e);
    emit_mem(e, X_ADD, 8, H_R11, FRAME(tlb_x));
    emit_mem(e, X_CMP, 8, H_R10, MEM(H_R11, offsetof(struct tlb_entry, tag)));
    n->across[0] = emit_jcc(e, CC_NE);
    emit_mem(e, X_ADD, 8, H_R10, MEM(H_R11, offsetof(struct tlb_entry, to)));
    emit_mov_imm(e, H_R11, (u64)g->b->host2);
    emit_reg(e, X_CMP, 8, H_R10, H_R11);
    n->across[1] = emit_jcc(e, CC_NE);
    n->across[2] = check_version(g, g->b->page2, g->b->version2);
}

static i32 start_of(const struct gen *g)
{
    return (i32)((u64)g->b->host & (PAGE_SIZE - 1));
}

void count_down(struct emit *e, unsigned digit, unsigned count)
{
    emit_imm_mem(e, digit, 8, FRAME(left), (i32)count);
}

/* lea r10, [r10 - offset], long enough to become a jump in any case (blocks.c). */
static void from_start(struct gen *g)
{
    emit_bytes(&g->e, "\x4d\x8d\x92", 3);
    emit32(&g->e, (u32)-start_of(g));
}

/* Whether the page's bytes are still those is not asked: blocks that are outdated are shut (blocks.c). */
static void emit_entry(struct gen *g, struct entry *n)
{
    struct emit *e = &g->e;
    from_start(g);
    emit_mem(e, X_MOV_TO, 8, H_R10, FRAME(rip_page));
    g->near = e->len;
    if (g->b->host2)
        check_second_page(g, n);
    count_down(e, X_IMM_SUB, g->b->count);
    n->over = emit_jcc(e, CC_S);
}

static void emit_entry_refusals(struct gen *g, const struct entry *n)
{
    struct emit *e = &g->e;
    emit_patch(e, n->over, e->len);
    count_down(e, X_IMM_ADD, g->b->count);
    rip_to(g, H_R10, start_of(g));
    emit_lea_rip(e, H_R11, g->near);
    jump_runtime(g, g->rt->slice);
    if (!g->b->host2)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(n->across); i++)
        emit_patch(e, n->across[i], e->len);
    rip_to(g, H_R10, start_of(g));
    jump_runtime(g, g->rt->leave_at);
}

static void emit_slow_cases(struct gen *g)
{
    for (unsigned i = 0; i < g->b->count; i++) {
        struct slow *s = &g->slow[i];
        bool misses = emit_tlb_misses(g, i);
        if (!s->jumps && !s->vec_need && !misses)
            continue;
        if (s->vec_need && misses)
            slow_from(s, emit_jmp(&g->e));
        if (s->vec_need)
            vec_emit_need(g, s);
        for (unsigned k = 0; k < s->jumps; k++)
            emit_patch(&g->e, s->from[k], g->e.len);
        if (!s->flags_saved)
            flags_wait(g, &s->recipe);
        if (crosses(g, i)) {
            leave_before(g, i);
            continue;
        }
        site_of(g, i)->slow = 1;
        call_meaning(g, i);
        if (ends_block(&insn_infos[g->b->uop[i].in.id]))
            continue;
        flags_called(g);
        if (slow_leaves(g, i)) {
            leave_behind(g, i);
            continue;
        }
        if (s->vec)
            vec_emit_again(g, s, i);
        if (s->flags_host)
            flags_need(g);
        emit_jmp_to(&g->e, s->back);
    }
}

void look_at(struct gen *g, unsigned i)
{
    g->index = i;
    g->in = &g->b->uop[i].in;
    g->info = &insn_infos[g->in->id];
    g->at = g->offset[i];
    g->next = g->at + g->in->len;
}

/* Where the operands of a group lie on two pages their first one looks for itself alone, and the others are
 * other code's: what is translated for the way on from there. */
static void emit_twins(struct gen *g)
{
    g->in_twin = true;
    for (const struct twin *w = g->twin; w < g->twin + g->twins; w++) {
        emit_patch(&g->e, w->from, g->e.len);
        look_at(g, w->index);
        twin_set(g, w);
        g->access[w->index].role = ACCESS_ALONE;
        g->live[w->index] = g->seen[w->index] = FLAGS_ARITH; /* the next one may fault there */
        bool native = lower_by[g->how[w->index]](g);
        bug_on(!native, "an operand of a group is none of host code");
        g->access[w->index].role = ACCESS_FIRST;
        flags_keep(g);
        if (g->trace && g->exits + g->sides + EXITS_MAX < TRACE_EXITS) {
            count_down(&g->e, X_IMM_ADD, g->b->count - w->index - 1);
            go_to(g, g->next);
        } else {
            leave_behind(g, w->index);
        }
    }
    g->in_twin = false;
}

static void translate_body(struct gen *g, struct translation *t)
{
    const struct block *b = g->b;
    bool ended = false;
    for (g->index = 0; g->index < b->count; g->index++) {
        look_at(g, g->index);
        t->at[g->index] = (u16)g->e.len;
        bool native = translate_one(g);
        *(native ? &t->native : &t->called) += 1;
        ended = ends_block(g->info);
    }
    if (g->trace && g->trace->loop) {
        emit_loop(g);
    } else if (!ended) {
        flags_keep(g);
        go_to(g, g->offset[b->count]);
    }
    t->at[b->count] = (u16)g->e.len;
}

static void place_instructions(struct gen *g)
{
    u32 at = (u32)start_of(g);
    for (unsigned i = 0; i < g->b->count; at += g->b->uop[i++].in.len) {
        g->offset[i] = (u16)(g->trace ? g->trace->offset[i] : at);
        g->how[i] = (u8)lowering_of(&g->b->uop[i]);
        g->site_no[i] = 0;
        g->slow[i] = (struct slow){0};
        g->access[i] = (struct access){0};
    }
    g->offset[g->b->count] = (u16)(g->trace ? g->trace->offset[g->b->count] : at);
}

bool translate(const struct block *b, const struct trace *trace, struct jit_site *site, struct jit_exit *exit,
               const struct jit_runtime *rt, u32 base, struct translation *t)
{
    struct gen g;
    memset(&g, 0, offsetof(struct gen, exit_from));
    g.e = (struct emit){.buf = t->code, .cap = sizeof(t->code)};
    g.base = base;
    g.rt = rt;
    g.b = b;
    g.trace = trace;
    g.site = site;
    g.exit = exit;
    g.flags.saved = true;
    struct entry n;
    t->trace = trace;
    t->native = t->called = 0;
    place_instructions(&g);
    g.looked = 1;
    g.relies = trace_relies(&g);
    coalesce(&g);
    flags_liveness(&g);
    emit_entry(&g, &n);
    t->near = g.near;
    t->body = g.e.len;
    translate_body(&g, t);
    emit_entry_refusals(&g, &n);
    emit_slot_misses(&g);
    emit_stack_misses(&g);
    emit_twins(&g);
    emit_sides(&g);
    emit_exits(&g);
    emit_stack_misses(&g);
    emit_slow_cases(&g);
    flags_emit_rest(&g);
    t->len = g.e.len;
    t->sites = g.sites;
    t->exits = g.exits;
    return !g.e.overflow;
}
