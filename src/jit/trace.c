/* SPDX-License-Identifier: MIT */
/* Recording a trace: see the header. */
#include "jit/trace.h"

#include "jit/gen.h"

static u16 page_offset(const u8 *host)
{
    return (u16)((u64)host & (PAGE_SIZE - 1));
}

static void append(struct trace *t, const struct block *b)
{
    struct block *to = (struct block *)t->place;
    u32 at = page_offset(b->host);
    for (unsigned i = 0; i < b->count; at += b->uop[i++].in.len) {
        t->offset[to->count] = (u16)at;
        to->uop[to->count++] = b->uop[i];
    }
    t->offset[to->count] = (u16)at;
    t->blocks++;
}

void trace_begin(struct trace *t, const struct block *first)
{
    struct block *to = (struct block *)t->place;
    *to = *first;
    to->count = 0;
    t->blocks = 0;
    t->loop = false;
    append(t, first);
}

/* Where the last instruction goes on at `at`, a place in the page, if it can do so inside a trace. */
static bool follows(const struct trace *t, u32 at)
{
    const struct block *b = trace_block(t);
    const struct insn *in = &b->uop[b->count - 1].in;
    u32 next = t->offset[b->count];
    i64 target = (i64)next + (i64)in->imm;
    if (!(insn_infos[in->id].attr & (ATTR_BRANCH | ATTR_END)))
        return at == next;
    switch (lowering_of_row(in->id)) {
    case LOWER_JCC:
        return in->size == 8 && (at == next || at == target) && next < PAGE_SIZE && target >= 0 &&
               target < (i64)PAGE_SIZE;
    case LOWER_JMP:
    case LOWER_CALL:
        return in->size == 8 && at == target;
    default:
        return false;
    }
}

static bool contains(const struct trace *t, u32 at)
{
    for (unsigned i = 0; i < trace_block(t)->count; i++)
        if (t->offset[i] == at)
            return true;
    return false;
}

bool trace_add(struct trace *t, const struct block *b)
{
    const struct block *head = trace_block(t);
    u32 at = page_offset(b->host);
    if (b->page != head->page || b->version != head->version || b->mode != head->mode || b->host2 ||
        !follows(t, at))
        return false;
    if (b->host == head->host) {
        t->offset[head->count] = (u16)at;
        t->loop = true;
        return false;
    }
    if (contains(t, at) || head->count + b->count > TRACE_MAX || t->blocks == TRACE_BLOCKS)
        return false;
    append(t, b); /* which also says where the last one's jump led */
    return true;
}

bool trace_pays(const struct trace *t)
{
    return t->loop || t->blocks > 1;
}
