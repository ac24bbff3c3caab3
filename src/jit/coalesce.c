/* SPDX-License-Identifier: MIT */
/*
 * Accesses that lie near each other, by the same registers, need one look into the soft TLB: memory operands,
 * and what is pushed and popped.
 *
 * The first one of a group looks for all bytes that any of them touches, and notes in a window of the frame
 * (frame.window[]) where they lie in the host's memory; the later ones go there. That is sound because
 * nothing between the first and the last can change a mapping: the group ends where C is called for certain,
 * and where an instruction's slow case has called it after all, the code is left behind that instruction
 * (translate.c).
 *
 * Registers may be changed by constants in between (`delta`); any other write makes a new `version`. An
 * operand that is not surely the instruction's own code's is nobody's.
 */
#include "cpu/meanings.h"
#include "insn_ids.h"
#include "jit/gen.h"

enum { SPAN_MAX = 512 };

/* An access, however the instruction names it. */
struct place {
    u8 base, index, scale, size, align;
    bool write;
    i32 disp;
};

/* A register: the same version twice differs by the deltas. */
struct version {
    u16 number;
    i32 delta;
};

/* A group that may still grow. */
struct open_group {
    struct group *group; /* NULL: none */
    struct place key;    /* the first one */
    u16 base, index;     /* versions */
    i64 first_at;        /* place_of() it */
};

struct pass {
    struct gen *g;
    struct version reg[16];
    struct open_group open[WINDOWS_MAX]; /* by window */
    unsigned next;                       /* the window that was taken longest ago */
};

static bool is_plain(enum lowering how)
{
    return how == LOWER_PLAIN || how == LOWER_LOGIC || how == LOWER_SHIFT || how == LOWER_KEEP;
}

/* It is host code for certain, which calls C in its slow case alone. */
static bool is_native(const struct gen *g, unsigned i)
{
    const struct insn *in = &g->b->uop[i].in;
    enum lowering how = (enum lowering)g->how[i];
    if (is_plain(how))
        return addressable(in) && !(how == LOWER_KEEP && lower_names_high(in));
    switch (how) {
    case LOWER_BMI:
        return addressable(in);
    case LOWER_VEC:
        return lower_vec_is_native(in);
    case LOWER_LEA:
        return lea_is_native(in);
    case LOWER_NOP:
    case LOWER_FENCE:
        return true;
    case LOWER_PUSH:
    case LOWER_PUSH_IMM:
        return in->size == 8 && !(in->flags & INSN_MEM);
    case LOWER_POP:
        return in->size == 8 && !(in->flags & INSN_MEM) && in->rm != RSP;
    default:
        return trace_inner(g, i);
    }
}

/* It pushes or pops, and nothing else that could fault. */
static bool is_stacks(const struct gen *g, unsigned i)
{
    enum lowering how = (enum lowering)g->how[i];
    bool one = how == LOWER_PUSH || how == LOWER_PUSH_IMM || how == LOWER_POP;
    return one && is_native(g, i);
}

/* The same at a block's end or a trace's inner call, which may be one of a group but not its first. */
static bool is_stacks_last(const struct gen *g, unsigned i)
{
    enum lowering how = (enum lowering)g->how[i];
    return g->b->uop[i].in.size == 8 && (how == LOWER_CALL || how == LOWER_RET);
}

static bool may_join(const struct gen *g, unsigned i)
{
    const struct insn *in = &g->b->uop[i].in;
    enum lowering how = (enum lowering)g->how[i];
    return (in->flags & INSN_MEM) && !(in->flags & INSN_LOCK) && in->adsize == 8 && in->seg < FS &&
           in->mem_size <= 32 && (is_plain(how) || how == LOWER_BMI || how == LOWER_VEC) && is_native(g, i);
}

static bool writes_memory(const struct insn *in)
{
    const struct insn_info *info = &insn_infos[in->id];
    if (info->attr & ATTR_STORE)
        return true;
    for (const struct operand_info *o = info->op; o < info->op + ARRAY_SIZE(info->op); o++)
        if ((o->kind == OP_E || o->kind == OP_M || o->kind == OP_W) && (o->access & ACC_WRITE))
            return true;
    return false;
}

static u8 align_of(const struct insn *in)
{
    return insn_infos[in->id].attr & ATTR_ALIGN ? (u8)in->mem_size : 1;
}

static struct place operand_of(const struct gen *g, unsigned i)
{
    const struct insn *in = &g->b->uop[i].in;
    bool pops = g->how[i] == LOWER_POP || g->how[i] == LOWER_RET;
    if (is_stacks(g, i) || is_stacks_last(g, i))
        return (struct place){
            .base = RSP, .index = REG_ZERO, .size = 8, .align = 1, .write = !pops, .disp = pops ? 0 : -8};
    return (struct place){.base = in->base,
                          .index = in->index,
                          .scale = in->scale,
                          .size = (u8)in->mem_size,
                          .align = align_of(in),
                          .write = writes_memory(in),
                          .disp = in->disp};
}

static bool by_stack(const struct place *o)
{
    return o->base == RSP && o->index == REG_ZERO;
}

/* ---- registers ---- */

/* The constant that it adds to the one register it writes, if that is all it does to it. */
static bool adds(const struct insn *in, enum lowering how, unsigned *reg, i32 *by)
{
    i64 imm = (i64)(how == LOWER_LEA ? (u64)(i64)in->disp : in->imm);
    bool small = imm > -4096 && imm < 4096;
    switch (how) {
    case LOWER_PUSH:
    case LOWER_PUSH_IMM:
    case LOWER_CALL:
        *reg = RSP, *by = -8;
        return true;
    case LOWER_LEA:
        *reg = in->reg, *by = (i32)imm;
        return small && in->size == 8 && in->base == in->reg && in->index == REG_ZERO && in->seg < FS;
    case LOWER_PLAIN:
        if (in->size != 8 || (in->flags & INSN_MEM) || !small)
            return false;
        *reg = in->rm;
        *by = meaning_no(in->id) == NO_add_EI ? (i32)imm : -(i32)imm;
        return meaning_no(in->id) == NO_add_EI || meaning_no(in->id) == NO_sub_EI;
    default:
        return false;
    }
}

static void note_writes(struct pass *p, const struct insn *in, enum lowering how)
{
    unsigned reg;
    i32 by;
    u32 written = lower_writes(in, how);
    if (adds(in, how, &reg, &by)) {
        p->reg[reg].delta += by;
        return;
    }
    if (how == LOWER_POP) {
        p->reg[RSP].delta += 8;
        written &= ~(1u << RSP);
    }
    for (unsigned r = 0; r < 16; r++)
        if (written >> r & 1)
            p->reg[r] = (struct version){.number = (u16)(p->reg[r].number + 1)};
}

/* ---- groups ---- */

/* Where the operand lies from its registers' versions on; of one by RIP, in the page. */
static i64 place_of(const struct pass *p, unsigned i, const struct place *in)
{
    i64 at = in->disp;
    if (in->base == REG_RIP)
        return at + p->g->offset[i] + p->g->b->uop[i].in.len + trace_delta(p->g, i);
    if (in->base < 16)
        at += p->reg[in->base].delta;
    if (in->index < 16)
        at += (i64)p->reg[in->index].delta << in->scale;
    return at;
}

static u16 version_of(const struct pass *p, unsigned reg)
{
    return reg < 16 ? p->reg[reg].number : 0;
}

static i64 least(i64 a, i64 b)
{
    return a < b ? a : b;
}

/* The same registers, not far, and where it must be aligned the first one's alignment says that it is. */
static bool fits(const struct pass *p, const struct open_group *o, unsigned i, const struct place *in)
{
    const struct place *key = &o->key;
    if (!o->group || key->base != in->base || key->index != in->index ||
        (in->index != REG_ZERO && key->scale != in->scale) || o->base != version_of(p, in->base) ||
        o->index != version_of(p, in->index))
        return false;
    i64 at = place_of(p, i, in), end = at + in->size, low = least(at, o->group->low);
    return -least(-end, -o->group->high) - low <= (by_stack(in) ? JIT_STACK_SPAN : SPAN_MAX) &&
           key->align % in->align == 0 && (at - o->first_at) % in->align == 0;
}

static void join(struct pass *p, struct open_group *o, unsigned i, const struct place *in)
{
    struct group *k = o->group;
    i64 at = place_of(p, i, in);
    k->low = least(k->low, at);
    k->high = -least(-k->high, -(at + in->size));
    k->write |= in->write;
    k->last = (u8)i;
    p->g->access[i] = (struct access){.role = ACCESS_LATER, .group = (u8)(k - p->g->group), .at = at};
}

static void begin(struct pass *p, unsigned i, const struct place *in)
{
    struct gen *g = p->g;
    struct open_group *o = &p->open[p->next];
    struct group *k = &g->group[g->groups];
    i64 at = place_of(p, i, in);
    if (g->groups == GROUPS_MAX)
        return;
    *k = (struct group){.low = at,
                        .high = at + in->size,
                        .write = in->write,
                        .stack = by_stack(in),
                        .first = (u8)i,
                        .last = (u8)i,
                        .window = (u8)p->next};
    *o = (struct open_group){.group = k,
                             .key = *in,
                             .base = version_of(p, in->base),
                             .index = version_of(p, in->index),
                             .first_at = at};
    g->access[i] = (struct access){.role = ACCESS_FIRST, .group = (u8)g->groups++, .at = at};
    p->next = (p->next + 1) % WINDOWS_MAX;
}

/* first: it may be that of a group. */
static void take(struct pass *p, unsigned i, bool first)
{
    const struct place in = operand_of(p->g, i);
    for (struct open_group *o = p->open; o < p->open + WINDOWS_MAX; o++) {
        if (fits(p, o, i, &in)) {
            join(p, o, i, &in);
            return;
        }
    }
    if (first)
        begin(p, i, &in);
}

static void forget_lonely(struct gen *g)
{
    for (unsigned i = 0; i < g->b->count; i++)
        if (g->access[i].role == ACCESS_FIRST && g->group[g->access[i].group].last == i)
            g->access[i].role = ACCESS_ALONE;
}

void coalesce(struct gen *g)
{
    struct pass p = {.g = g};
    for (unsigned i = 0; i < g->b->count; i++) {
        enum lowering how = (enum lowering)g->how[i];
        if (is_stacks_last(g, i))
            take(&p, i, false);
        if (!is_native(g, i))
            memset(p.open, 0, sizeof(p.open));
        if (may_join(g, i) || is_stacks(g, i))
            take(&p, i, true);
        note_writes(&p, &g->b->uop[i].in, how);
    }
    forget_lonely(g);
}

bool window_lives(const struct gen *g, unsigned i)
{
    for (const struct group *k = g->group; k < g->group + g->groups; k++)
        if (k->first <= i && i < k->last)
            return true;
    return false;
}
