/* SPDX-License-Identifier: MIT */
/* Recording a trace: see the header. */
#include "jit/trace.h"

#include "jit/gen.h"

enum { NO_PAGE = TRACE_PAGES, UNROLLED = 64, UNROLL_MOST = 8 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static const u8 *page_of(const u8 *host)
{
    return (const u8 *)((u64)host & ~(PAGE_SIZE - 1));
}

/* Which page of the trace it is; a new one, if there is room, or NO_PAGE. */
static u8 enter_page(struct trace *t, const u8 *host, const struct page_info *info, u32 version, u64 lin)
{
    i64 delta = (i64)((lin & ~(PAGE_SIZE - 1)) - (t->rip & ~(PAGE_SIZE - 1)));
    unsigned n = 0;
    while (n < t->pages && (t->page[n].host != host || t->page[n].delta != delta))
        n++;
    if (n == TRACE_PAGES || delta != (i32)delta)
        return NO_PAGE;
    if (n == t->pages)
        t->page[t->pages++] =
            (struct trace_page){.host = host, .info = info, .version = version, .delta = delta};
    return t->page[n].version == version ? (u8)n : NO_PAGE;
}

static void set_next(struct trace *t, u8 page, u64 rip)
{
    t->at[trace_block(t)->count] = page;
    t->offset[trace_block(t)->count] = (u16)(rip & (PAGE_SIZE - 1));
}

/* False: one of its pages cannot be entered. One across two pages is a single instruction. */
static bool append(struct trace *t, const struct block *b, u64 rip)
{
    struct block *to = (struct block *)t->place;
    u8 page = enter_page(t, page_of(b->host), b->page, b->version, rip), next = page;
    if (page != NO_PAGE && b->host2)
        next = enter_page(t, page_of(b->host2), b->page2, b->version2, rip + b->bytes);
    if (next == NO_PAGE)
        return false;
    for (unsigned i = 0; i < b->count; rip += b->uop[i++].in.len) {
        set_next(t, page, rip);
        to->uop[to->count++] = b->uop[i];
    }
    t->last = rip;
    t->blocks++;
    set_next(t, next, rip);
    if (!b->host2 && !(rip & (PAGE_SIZE - 1)))
        t->offset[to->count] = PAGE_SIZE;
    return true;
}

bool trace_begin(struct trace *t, const struct block *first, u64 rip)
{
    struct block *to = (struct block *)t->place;
    *to = *first;
    to->count = 0;
    to->host2 = NULL;
    t->blocks = t->pages = 0;
    t->loop = false;
    t->rip = rip;
    return !first->host2 && append(t, first, rip);
}

static bool in_page_of(u64 a, u64 b)
{
    return a >> PAGE_SHIFT == b >> PAGE_SHIFT;
}

/* Whether the last instruction goes on at `rip` and may do so inside a trace: the other way of a conditional
 * jump must not leave its page. */
static bool follows(const struct trace *t, u64 rip)
{
    const struct block *b = trace_block(t);
    const struct insn *in = &b->uop[b->count - 1].in;
    u64 next = t->last, target = next + in->imm, other = rip == next ? target : next;
    if (!(insn_infos[in->id].attr & (ATTR_BRANCH | ATTR_END)))
        return rip == next && lowering_of_row(in->id) != LOWER_NONE;
    if (in->size != 8 || t->at[b->count] != t->at[b->count - 1] || (i64)in->imm != (i32)in->imm)
        return false;
    switch (lowering_of_row(in->id)) {
    case LOWER_JCC:
        return (rip == next || rip == target) && in_page_of(other, next - in->len);
    case LOWER_JMP:
    case LOWER_CALL:
        return rip == target;
    default:
        return false;
    }
}

static bool contains(const struct trace *t, u8 page, u64 rip)
{
    for (unsigned i = 0; i < trace_block(t)->count; i++)
        if (t->at[i] == page && t->offset[i] == (rip & (PAGE_SIZE - 1)))
            return true;
    return false;
}

static bool calls(const struct block *b)
{
    for (unsigned i = 0; i < b->count; i++)
        if (lowering_of_row(b->uop[i].in.id) == LOWER_CALL)
            return true;
    return false;
}

/* A short loop is taken several times over: that often fewer counts, and operands near each other that lie in
 * one iteration and the next. One that calls may be a recursion, which ends after a few. */
static void unroll(struct trace *t)
{
    struct block *b = (struct block *)t->place;
    unsigned n = b->count, times = least(least(UNROLLED / n, UNROLL_MOST), TRACE_BLOCKS / t->blocks);
    if (calls(b))
        return;
    for (unsigned i = n; i < n * times; i++) {
        b->uop[i] = b->uop[i - n];
        t->at[i] = t->at[i - n];
        t->offset[i] = t->offset[i - n];
    }
    if (times > 1)
        b->count = (u8)(n * times);
    t->at[b->count] = t->at[0];
    t->offset[b->count] = t->offset[0];
}

bool trace_add(struct trace *t, const struct block *b, u64 rip)
{
    const struct block *head = trace_block(t);
    unsigned pages = t->pages;
    if (b->mode != head->mode || !follows(t, rip))
        return false;
    u8 page = enter_page(t, page_of(b->host), b->page, b->version, rip);
    bool again = page == 0 && rip == t->rip;
    if (page != NO_PAGE && again) {
        set_next(t, page, rip);
        t->loop = true;
        unroll(t);
        return false;
    }
    if (page == NO_PAGE || contains(t, page, rip) || head->count + b->count > TRACE_MAX ||
        t->blocks == TRACE_BLOCKS || !append(t, b, rip)) {
        t->pages = pages;
        return false;
    }
    return true;
}

bool trace_pays(const struct trace *t)
{
    return t->loop || t->blocks > 1;
}
