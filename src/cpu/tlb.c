/* SPDX-License-Identifier: MIT */
/*
 * The soft TLB's contexts: see the header. A context is cleared through its journal of filled places; only
 * when that ran over is the whole of it cleared.
 */
#include "base/general_regs.h"

#include "cpu/tlb.h"

#include <stdlib.h>

static void entries_clear(struct tlb_entry *e, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        e[i].tag = TLB_EMPTY(i);
}

/* Tables in the order that places count them: of each class reads and writes, then fetches. */
static struct tlb_entry *table_of(struct tlb_ctx *x, unsigned n)
{
    if (n >= 2 * TLB_CLASSES)
        return x->fetch[n - 2 * TLB_CLASSES];
    return n % 2 ? x->view[n / 2].write : x->view[n / 2].read;
}

static struct tlb_entry *entry_at(struct tlb_ctx *x, unsigned place)
{
    return &table_of(x, place / TLB_SIZE)[place % TLB_SIZE];
}

/* Tables' entries at one index for pages that begin with `like` up to 1 << shift. */
static void index_clear(struct tlb_ctx *x, unsigned i, u64 like, u8 shift)
{
    for (unsigned n = 0; n < TLB_TABLES; n++)
        if (!((table_of(x, n)[i].tag ^ like) >> shift))
            table_of(x, n)[i].tag = TLB_EMPTY(i);
}

/* An empty one is of a place that does not look there. */
static void wide_empty(struct tlb_entry *wide, unsigned i)
{
    wide[i].tag = i ? 0 : BIT(TLB_WIDE_SHIFT);
}

static void wide_clear(struct tlb_ctx *x)
{
    for (unsigned i = 0; x->wide && i < TLB_CLASSES * TLB_WIDE; i++)
        wide_empty(x->view[i / TLB_WIDE].wide, i % TLB_WIDE);
    x->wide = false;
}

static void wide_drop(struct tlb_ctx *x, u64 lin)
{
    for (unsigned i = 0; x->wide && i < TLB_CLASSES; i++)
        wide_empty(x->view[i].wide, tlb_wide_index(lin));
}

static void slots_close(struct tlb_ctx *x)
{
    for (struct tlb_view *v = x->view; v < x->view + TLB_CLASSES; v++) {
        for (unsigned i = 0; i < v->slots_open; i++)
            v->slot[v->open[i]].room = v->slot[v->open[i]].often = 0;
        v->slots_open = 0;
    }
}

/* Sets of numbers that may hold more than was put in: two bits each. */
static void note(u64 *set, unsigned size, u64 n)
{
    u64 h = n * 0x9e3779b97f4a7c15ull;
    set[(h >> 32) % size / 64] |= BIT((h >> 32) % 64);
    set[(h >> 48) % size / 64] |= BIT((h >> 48) % 64);
}

static bool noted(const u64 *set, unsigned size, u64 n)
{
    u64 h = n * 0x9e3779b97f4a7c15ull;
    return set[(h >> 32) % size / 64] >> (h >> 32) % 64 & set[(h >> 48) % size / 64] >> (h >> 48) % 64 & 1;
}

/* What it had in the second level is nobody's from now on. */
static void second_flush(struct tlb *t, struct tlb_ctx *x)
{
    x->sizes = 0;
    x->pieces = false;
    if (likely(stlb_id(t->second, &x->second_id)))
        return;
    for (unsigned i = 0; i < TLB_CONTEXTS; i++)
        if (t->ctx[i] && t->ctx[i] != x)
            (void)stlb_id(t->second, &t->ctx[i]->second_id);
}

/* Some page may lead elsewhere from now on. Entries that stay are used under the new id, too: what is known
 * to have been fetched goes with them alone. */
static void fetches_changed(struct tlb *t, struct tlb_ctx *x)
{
    x->fetch_id = ++t->fetch_ids;
}

/* The same of global pages, for the contexts that go by this id. */
static void globals_changed(struct tlb *t, u64 id)
{
    u64 now = ++t->fetch_ids;
    for (unsigned i = 0; i < TLB_CONTEXTS; i++)
        if (t->ctx[i] && t->ctx[i]->global_id == id)
            t->ctx[i]->global_id = now;
}

static void all_globals_changed(struct tlb *t)
{
    u64 last = t->fetch_ids;
    for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
        if (!t->ctx[i])
            continue;
        if (t->ctx[i]->global_id <= last)
            globals_changed(t, t->ctx[i]->global_id);
        if (t->ctx[i]->alone)
            fetches_changed(t, t->ctx[i]);
    }
}

/* Something was filled since it was cleared. */
static bool holds_some(const struct tlb_ctx *x)
{
    return x->filled || x->sizes;
}

static void tables_clear(struct tlb_ctx *x)
{
    slots_close(x);
    wide_clear(x);
    if (x->filled <= TLB_JOURNAL) {
        for (unsigned n = 0; n < x->filled; n++)
            entry_at(x, x->journal[n])->tag = TLB_EMPTY(x->journal[n] % TLB_SIZE);
    } else {
        for (unsigned n = 0; n < TLB_TABLES; n++)
            entries_clear(table_of(x, n), TLB_SIZE);
    }
    x->filled = 0;
}

static void paths_clear(struct tlb_ctx *x)
{
    memset(x->path, 0, sizeof(x->path));
}

static void ctx_clear(struct tlb *t, struct tlb_ctx *x)
{
    fetches_changed(t, x);
    x->alone = false;
    second_flush(t, x);
    memset(x->fetched, 0, sizeof(x->fetched));
    memset(x->large, 0, sizeof(x->large));
    memset(x->giant, 0, sizeof(x->giant));
    memset(x->written, 0, sizeof(x->written));
    memset(x->held, 0, sizeof(x->held));
    paths_clear(x);
    tables_clear(x);
}

static void note_size(struct tlb_ctx *x, u64 lin, u8 shift)
{
    if (shift > 21)
        note(x->giant[lin >> 63], TLB_GIANT, lin >> 30);
    else if (shift > PAGE_SHIFT)
        note(x->large[lin >> 63], TLB_LARGE, lin >> 21);
}

static void entry_fill(struct tlb_ctx *x, unsigned table, const struct tlb_entry *e)
{
    unsigned i = tlb_index(e->tag), place = table * TLB_SIZE + i;
    struct tlb_entry *to = entry_at(x, place);
    bool noted = to->tag != TLB_EMPTY(i);
    note(x->held, TLB_HELD, e->tag >> PAGE_SHIFT);
    to->tag = e->tag; /* a copy of the whole would call memcpy() under ASan, which uses vector registers */
    to->to = e->to;
    if (noted)
        return;
    if (x->filled < TLB_JOURNAL)
        x->journal[x->filled++] = (u16)place;
    else
        x->filled = TLB_JOURNAL + 1;
}

static struct tlb_ctx *ctx_new(struct tlb *t)
{
    struct tlb_ctx *x = calloc(1, sizeof(*x)); /* pages of it that no entry lies in cost nothing */
    if (!x)
        return NULL;
    for (unsigned n = 0; n < TLB_TABLES; n++) {
        table_of(x, n)[0].tag = TLB_EMPTY(0);
        table_of(x, n)[TLB_SIZE - 1].tag = TLB_EMPTY(TLB_SIZE - 1);
    }
    for (unsigned i = 0; i < TLB_CLASSES; i++)
        wide_empty(x->view[i].wide, 0);
    fetches_changed(t, x);
    second_flush(t, x);
    x->global_id = ++t->fetch_ids;
    return x;
}

struct tlb *tlb_new(void)
{
    struct tlb *t = calloc(1, sizeof(*t));
    struct tlb_view *never = calloc(1, sizeof(*never));
    struct stlb *second = stlb_new();
    if (t)
        t->second = second;
    struct tlb_ctx *first = t && second ? ctx_new(t) : NULL;
    if (!never || !first) {
        free(t);
        free(never);
        free(second);
        return NULL;
    }
    entries_clear(never->read, TLB_SIZE);
    entries_clear(never->write, TLB_SIZE);
    wide_empty(never->wide, 0);
    t->never = never;
    t->ctx[0] = t->cur = first;
    t->view = &t->cur->view[0];
    t->x = t->cur->fetch[0];
    t->global_low = ~0ull;
    return t;
}

void tlb_free(struct tlb *t)
{
    if (!t)
        return;
    for (unsigned i = 0; i < TLB_CONTEXTS; i++)
        free(t->ctx[i]);
    free(t->never);
    free(t->second);
    free(t);
}

static bool space_equal(const struct tlb_tag *a, const struct tlb_tag *b)
{
    return a->root == b->root && a->nested == b->nested && a->asid == b->asid && a->pcid == b->pcid &&
           a->level == b->level;
}

static bool tag_equal(const struct tlb_tag *a, const struct tlb_tag *b)
{
    return space_equal(a, b) && a->mode == b->mode;
}

/* Their global pages are the same. SDM 3A 4.10.2.4, 3C 28.4.2; APM 2 15.16 */
static bool globals_equal(const struct tlb_tag *a, const struct tlb_tag *b)
{
    return a->nested == b->nested && a->asid == b->asid && a->level == b->level && a->mode == b->mode;
}

static u64 global_id_of(struct tlb *t, const struct tlb_tag *tag)
{
    for (unsigned i = 0; i < TLB_CONTEXTS; i++)
        if (t->ctx[i] && t->ctx[i]->used && globals_equal(&t->ctx[i]->tag, tag))
            return t->ctx[i]->global_id;
    return ++t->fetch_ids;
}

_Static_assert(TLB_SIZE >= BIT(21 - PAGE_SHIFT), "the pieces of a large page lie in different places");
_Static_assert(TLB_CONTEXTS == 16, "recent[] is indexed by four bits");

/* Of one PCID, which belongs to one root at a time: the other's entries would be flushed before they may be
 * used again. SDM 3A 4.10.1, 4.10.4.1 */
static bool succeeds(const struct tlb_tag *a, const struct tlb_tag *b)
{
    return globals_equal(a, b) && a->pcid == b->pcid;
}

static struct tlb_ctx *ctx_retag(struct tlb *t, struct tlb_ctx *x, const struct tlb_tag *tag)
{
    ctx_clear(t, x);
    if (!x->used || !globals_equal(&x->tag, tag)) {
        x->used = false;
        x->global_id = global_id_of(t, tag);
    }
    x->tag = *tag;
    x->used = true;
    return x;
}

/* The context of this tag, else its predecessor's, else an unused place, else the one longest not used. */
static struct tlb_ctx *ctx_find(struct tlb *t, const struct tlb_tag *tag)
{
    struct tlb_ctx *before = NULL;
    unsigned victim = 0;
    for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
        struct tlb_ctx *x = t->ctx[i];
        if (!x || !x->used) {
            victim = i;
            continue;
        }
        if (tag_equal(&x->tag, tag))
            return x;
        if (succeeds(&x->tag, tag))
            before = x;
        struct tlb_ctx *v = t->ctx[victim];
        if (v && v->used && x->last_use < v->last_use)
            victim = i;
    }
    if (before)
        return ctx_retag(t, before, tag);
    if (!t->ctx[victim])
        t->ctx[victim] = ctx_new(t);
    return ctx_retag(t, t->ctx[victim] ? t->ctx[victim] : t->ctx[0],
                     tag); /* out of memory: share the first */
}

void tlb_set_class(struct cpu *c, enum tlb_class class, bool look)
{
    struct tlb *t = c->tlb;
    c->user_index = class;
    t->view = look ? t->never : &t->cur->view[class];
    t->x = t->cur->fetch[c->cpl == 3];
    if (t->view->notes_id)
        tlb_begin_notes(t);
}

/* World switches and changes of CR3 go to and fro between few spaces. */
static struct tlb_ctx *ctx_of(struct tlb *t, const struct tlb_tag *tag)
{
    u64 h =
        (tag->root >> PAGE_SHIFT ^ tag->nested >> PAGE_SHIFT ^ tag->asid ^ (u64)tag->pcid << 8 ^ tag->level) *
        0x9e3779b97f4a7c15ull;
    struct tlb_ctx **recent = &t->recent[h >> 60];
    if (!*recent || !(*recent)->used || !tag_equal(&(*recent)->tag, tag))
        *recent = ctx_find(t, tag);
    return *recent;
}

void tlb_select(struct cpu *c, const struct tlb_tag *tag)
{
    struct tlb *t = c->tlb;
    if (!t->cur->used || !tag_equal(&t->cur->tag, tag))
        t->cur = ctx_of(t, tag);
    t->cur->last_use = ++t->clock;
    tlb_set_class(c, c->user_index, t->view == t->never);
}

static struct tlb_entry entry_of(u64 lin, const void *host)
{
    u64 tag = lin & ~(PAGE_SIZE - 1);
    return (struct tlb_entry){.tag = tag, .to = ((u64)host & ~(PAGE_SIZE - 1)) - tag};
}

void tlb_fill(struct cpu *c, u64 lin, void *host, enum tlb_class class, bool write)
{
    struct tlb_ctx *x = c->tlb->cur;
    struct tlb_entry e = entry_of(lin, host);
    entry_fill(x, 2 * class, &e);
    if (!write)
        return;
    note(x->written, TLB_WRITTEN, (u64)host >> PAGE_SHIFT);
    entry_fill(x, 2 * class + 1, &e);
}

void tlb_fill_wide(struct cpu *c, u64 lin, void *host, enum tlb_class class)
{
    struct tlb_entry *e = &c->tlb->cur->view[class].wide[tlb_wide_index(lin)];
    e->tag = lin & ~(BIT(TLB_WIDE_SHIFT) - 1);
    e->to = (u64)host - lin;
    c->tlb->cur->wide = true;
}

/* By regions of 1 GiB: INVLPG takes away all pieces of a page, which is not larger. */
static void note_global(struct tlb *t, u64 lin)
{
    u64 low = lin & ~(BIT(30) - 1), high = lin | (BIT(30) - 1);
    t->global_low = low < t->global_low ? low : t->global_low;
    t->global_high = high > t->global_high ? high : t->global_high;
}

void tlb_fill_fetch(struct cpu *c, u64 lin, void *host, bool user, bool global)
{
    struct tlb_ctx *x = c->tlb->cur;
    struct tlb_entry e = entry_of(lin, host);
    x->alone |= !user && !global;
    if (!user && global)
        note_global(c->tlb, lin);
    if (user || x->alone)
        note(x->fetched, TLB_FETCHED, lin >> PAGE_SHIFT);
    entry_fill(x, 2 * TLB_CLASSES + user, &e);
}

void tlb_remember(struct tlb *t, u64 lin, const void *base, u8 span, u8 shift, unsigned rights)
{
    struct tlb_ctx *x = t->cur;
    note_size(x, lin, shift);
    x->sizes |= (u8)(1u << (span - PAGE_SHIFT) / 9);
    x->pieces |= span < shift;
    if (span == PAGE_SHIFT)
        note(x->held, TLB_HELD, lin >> PAGE_SHIFT);
    stlb_fill(t->second, x->second_id, lin, span, base, rights);
}

void tlb_note_path(struct tlb *t, u64 lin, const u64 *table, u64 rights)
{
    struct tlb_ctx *x = t->cur;
    x->path[lin >> 21 & (TLB_PATHS - 1)] =
        (struct tlb_path){.region = (lin >> 21) + 1, .table = table, .rights = rights};
    x->sizes |= 1; /* it holds_some() */
}

void tlb_lose_tables(struct tlb *t)
{
    tables_clear(t->cur);
    t->cur->sizes |= 1; /* it holds_some(): what was fetched is run still, whatever the second level has */
}

void tlb_flush_all(struct cpu *c)
{
    for (unsigned i = 0; i < TLB_CONTEXTS; i++)
        if (c->tlb->ctx[i])
            ctx_clear(c->tlb, c->tlb->ctx[i]);
    all_globals_changed(c->tlb);
    c->tlb->global_low = ~0ull;
    c->tlb->global_high = 0;
}

static void clear_matching(struct tlb *t, bool (*match)(const struct tlb_tag *, const void *),
                           const void *arg, bool globals)
{
    u64 last = t->fetch_ids;
    for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
        struct tlb_ctx *x = t->ctx[i];
        if (!x || !x->used || !match(&x->tag, arg))
            continue;
        if (holds_some(x))
            ctx_clear(t, x);
        if (globals && x->global_id <= last)
            globals_changed(t, x->global_id);
    }
}

void tlb_flush_matching(struct cpu *c, bool (*match)(const struct tlb_tag *, const void *), const void *arg)
{
    clear_matching(c->tlb, match, arg, true);
}

/* What the present PCID stands for: without PCIDs each CR3 has contexts of its own. */
static bool match_current(const struct tlb_tag *t, const void *arg)
{
    const struct cpu *c = arg;
    const struct tlb_tag *cur = &c->tlb->cur->tag;
    return t->pcid == cur->pcid && t->level == cur->level && t->asid == cur->asid &&
           ((c->cr4 & CR4_PCIDE) || t->root == cur->root);
}

void tlb_flush_current(struct cpu *c)
{
    clear_matching(c->tlb, match_current, c, false);
}

struct pcid_match {
    const struct tlb_tag *cur;
    u16 pcid;
};

static bool match_pcid(const struct tlb_tag *t, const void *arg)
{
    const struct pcid_match *m = arg;
    return t->pcid == m->pcid && t->level == m->cur->level && t->asid == m->cur->asid;
}

void tlb_flush_pcid(struct cpu *c, u16 pcid)
{
    struct pcid_match m = {.cur = &c->tlb->cur->tag, .pcid = pcid};
    clear_matching(c->tlb, match_pcid, &m, false);
}

/* All that may be pieces of the large page around lin. */
static void large_drop(struct tlb *t, struct tlb_ctx *x, u64 lin)
{
    unsigned first = tlb_index(lin & ~(BIT(21) - 1));
    slots_close(x);
    for (unsigned i = 0; i < BIT(21 - PAGE_SHIFT); i++)
        index_clear(x, first + i, lin, 21);
    if (x->pieces)
        second_flush(t, x);
    fetches_changed(t, x);
}

/* What translates this address, but not other pieces of a large page. */
static void address_drop(struct tlb *t, struct tlb_ctx *x, u64 lin)
{
    bool held = noted(x->held, TLB_HELD, lin >> PAGE_SHIFT);
    stlb_forget(t->second, x->second_id, lin, held ? 0 : 1);
    wide_drop(x, lin);
    if (!held)
        return;
    slots_close(x);
    index_clear(x, tlb_index(lin), lin, PAGE_SHIFT);
    if (noted(x->fetched, TLB_FETCHED, lin >> PAGE_SHIFT))
        fetches_changed(t, x);
}

static void page_drop(struct tlb *t, struct tlb_ctx *x, u64 lin)
{
    if (noted(x->giant[lin >> 63], TLB_GIANT, lin >> 30)) {
        ctx_clear(t, x);
        return;
    }
    address_drop(t, x, lin);
    paths_clear(x); /* all of them. SDM 3A 4.10.4.1 */
    if (noted(x->large[lin >> 63], TLB_LARGE, lin >> 21))
        large_drop(t, x, lin);
}

static void global_drop(struct tlb *t, u64 lin)
{
    if (lin >= t->global_low && lin <= t->global_high)
        all_globals_changed(t);
}

void tlb_flush_page(struct cpu *c, u64 lin)
{
    for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
        struct tlb_ctx *x = c->tlb->ctx[i];
        if (x && holds_some(x))
            page_drop(c->tlb, x, lin);
    }
    global_drop(c->tlb, lin);
}

void tlb_forget_page(struct cpu *c, u64 lin)
{
    for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
        struct tlb_ctx *x = c->tlb->ctx[i];
        if (!x || !holds_some(x) || !match_current(&x->tag, c))
            continue;
        address_drop(c->tlb, x, lin);
        x->path[lin >> 21 & (TLB_PATHS - 1)].region = 0;
    }
    global_drop(c->tlb, lin);
}

static bool table_writes(unsigned table)
{
    return table < 2 * TLB_CLASSES && table % 2;
}

static bool leads_to(const struct tlb_entry *e, u64 host, u64 len)
{
    return e->tag + e->to - host < len;
}

static void table_drop(struct tlb_entry *e, u64 host, u64 len)
{
    for (unsigned i = 0; i < TLB_SIZE; i++)
        if (leads_to(&e[i], host, len))
            e[i].tag = TLB_EMPTY(i);
}

static void entries_drop(struct tlb_ctx *x, u64 host, u64 len, bool writes_only)
{
    if (x->filled > TLB_JOURNAL) {
        for (unsigned n = 0; n < TLB_TABLES; n++)
            if (table_writes(n) || !writes_only)
                table_drop(table_of(x, n), host, len);
        return;
    }
    for (unsigned i = 0; i < x->filled; i++) {
        unsigned place = x->journal[i];
        if ((table_writes(place / TLB_SIZE) || !writes_only) && leads_to(entry_at(x, place), host, len))
            entry_at(x, place)->tag = TLB_EMPTY(place % TLB_SIZE);
    }
}

static void slots_drop(struct tlb_view *v, u64 host, u64 len)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < v->slots_open; i++) {
        struct tlb_slot *s = &v->slot[v->open[i]];
        if (s->page + s->to - host < len)
            s->room = 0;
        else
            v->open[kept++] = v->open[i];
    }
    v->slots_open = kept;
}

void tlb_drop_host(struct tlb *t, u64 host, u64 len, bool writes_only)
{
    host &= ~(PAGE_SIZE - 1);
    for (unsigned n = 0; n < TLB_CONTEXTS; n++) {
        struct tlb_ctx *x = t->ctx[n];
        if (!x || !x->used)
            continue;
        if (writes_only && len <= PAGE_SIZE && !noted(x->written, TLB_WRITTEN, host >> PAGE_SHIFT))
            continue;
        entries_drop(x, host, len, writes_only);
        for (unsigned i = 0; i < TLB_CLASSES; i++)
            slots_drop(&x->view[i], host, len);
    }
    if (writes_only)
        return;
    for (unsigned n = 0; n < TLB_CONTEXTS; n++) {
        if (!t->ctx[n])
            continue;
        fetches_changed(t, t->ctx[n]);
        second_flush(t, t->ctx[n]);
        paths_clear(t->ctx[n]);
        wide_clear(t->ctx[n]);
    }
    all_globals_changed(t);
}

#include "base/general_regs_end.h"
