/* SPDX-License-Identifier: MIT */
/*
 * The code cache's blocks: how they are found, how they lead to each other, and how both end. Every block is
 * in a bucket by its host address, in those of its pages, and in the exits' lists of what it leads to; those
 * that were looked up lately are in the table that translated code looks into (frame.h).
 */
#include "jit/cache.h"

#define HASH 0x9e3779b97f4a7c15ull

static _Atomic(struct jit_block *) *bucket_of(struct jit_cache *k, const u8 *host)
{
    return &k->bucket[(u64)host * HASH >> (64 - CACHE_BUCKET_BITS)];
}

static struct jit_page_ref **page_bucket(struct jit_cache *k, const struct page_info *page)
{
    return &k->page[(u64)page * HASH >> (64 - CACHE_PAGE_BITS)];
}

static _Atomic u64 *place_of(struct jit_cache *k, u8 mode, const u8 *host)
{
    return &k->place[!!(mode & CODE_GUEST)][jit_place_of(host)];
}

/* ---- finding ---- */

struct jit_block *cache_find(struct jit_cache *k, u8 mode, const u8 *host, u32 version)
{
    for (struct jit_block *u = atomic_load(bucket_of(k, host)); u; u = atomic_load(&u->next))
        if (u->host == host && u->mode == mode && u->version == version)
            return u;
    return NULL;
}

const void *cache_place(struct jit_cache *k, u8 mode, const u8 *host)
{
    u64 entry = atomic_load(place_of(k, mode, host)) ^ jit_place(host, 0);
    return entry == (u32)entry && entry ? k->pages.rx + entry : NULL;
}

void cache_note(struct jit_cache *k, struct jit_block *u)
{
    _Atomic u64 *place = place_of(k, u->mode, u->host);
    u64 entry = jit_place(u->host, u->far);
    if (atomic_load_explicit(place, memory_order_relaxed) == entry || !cache_lock(k))
        return;
    if (!u->shut)
        atomic_store(place, entry);
    cache_unlock(k);
}

/* Blocks that share a place keep their counts beside each other: if one's run began the other's anew, two of
 * one loop would never be hot. vCPUs that count at the same time may lose some. */
bool cache_hot(struct jit_cache *k, const struct block *b)
{
    enum { RUNS = 0xffff };
    _Atomic u64 *set = k->heat[(u64)b->host * HASH >> (64 - CACHE_HEAT_BITS)];
    u64 key = ((u64)b->host * HASH ^ ((u64)b->version << 8 | b->mode) * (HASH << 1 | 1)) & ~(u64)RUNS;
    u64 runs = 0, moved = 0;
    for (unsigned at = 0; at < CACHE_HEAT_WAYS; at++) {
        u64 here = atomic_load_explicit(&set[at], memory_order_relaxed);
        if (at)
            atomic_store_explicit(&set[at], moved, memory_order_relaxed);
        moved = here;
        if ((here & ~(u64)RUNS) == key) {
            runs = here & RUNS;
            break;
        }
    }
    runs += runs < RUNS;
    atomic_store_explicit(&set[0], key | runs, memory_order_relaxed);
    return runs >= k->options.hot;
}

/* ---- code that others may run ---- */

static void replace_code(struct jit_cache *k, u32 at, u64 bytes, unsigned count)
{
    unsigned shift = (at & 7) * 8;
    u64 *word = (u64 *)(k->pages.rw + (at & ~7u)), mask = (BIT(8 * count) - 1) << shift;
    bug_on((at & 7) + count > 8, "code is not replaced in one store");
    __atomic_store_n(word, (*word & ~mask) | bytes << shift, __ATOMIC_SEQ_CST);
}

static void replace_by_jump(struct jit_cache *k, u32 at, u32 to)
{
    replace_code(k, at, 0xe9 | (u64)(u32)(to - (at + 5)) << 8, 5);
}

/* ---- exits ---- */

static void link_to(struct jit_cache *k, struct jit_exit *x, struct jit_block *to)
{
    x->to = to;
    x->next = to->in;
    to->in = x;
    __atomic_store_n(&x->code, k->pages.rx + to->far, __ATOMIC_RELAXED);
    replace_code(k, x->place, to->far + to->near - (x->place + 4), 4);
}

static void unlink_from(struct jit_exit *x)
{
    struct jit_exit **p = &x->to->in;
    while (*p != x)
        p = &(*p)->next;
    *p = x->next;
    x->to = NULL;
    __atomic_store_n(&x->code, NULL, __ATOMIC_RELAXED);
}

/* Where the exit leads, when that is `host`, of the present version. */
static struct jit_block *target_of(struct jit_cache *k, const struct jit_exit *x, const u8 *host, u32 version)
{
    const struct jit_block *u = x->from;
    if (u->shut || x->to)
        return NULL;
    if (!x->far)
        return cache_find(k, u->mode, x->host, u->ref[x->ref].version);
    return host && (!x->host || x->host == host) ? cache_find(k, u->mode, host, version) : NULL;
}

void cache_link(struct jit_cache *k, struct jit_exit *x, const u8 *host, u32 version)
{
    if (!cache_lock(k))
        return;
    struct jit_block *to = target_of(k, x, host, version);
    if (to) {
        x->host = to->host;
        link_to(k, x, to);
    } else if (x->far && !x->to && x->host && host && x->host != host) {
        x->code = k->pages.rx; /* nobody's far entry: C is not asked any more */
    }
    cache_unlock(k);
}

static struct jit_exit *exit_of(struct jit_block *u, unsigned i)
{
    return (struct jit_exit *)u->ref - 1 - i;
}

void cache_unlink_exits(struct jit_cache *k, struct jit_block *u)
{
    (void)k;
    for (unsigned i = 0; i < u->exits; i++)
        if (exit_of(u, i)->to)
            unlink_from(exit_of(u, i));
}

/* What led to u leads to `other`, or out. */
static void turn_exits(struct jit_cache *k, struct jit_block *u, struct jit_block *other)
{
    struct jit_exit *x;
    while ((x = u->in)) {
        u->in = x->next;
        x->to = NULL;
        if (other) {
            link_to(k, x, other);
            continue;
        }
        __atomic_store_n(&x->code, NULL, __ATOMIC_RELAXED);
        replace_code(k, x->place, x->unlinked, 4);
    }
}

/* ---- the end of a block ---- */

static void leave_bucket(struct jit_cache *k, struct jit_block *u)
{
    _Atomic(struct jit_block *) *p = bucket_of(k, u->host);
    while (atomic_load_explicit(p, memory_order_relaxed) != u)
        p = &atomic_load_explicit(p, memory_order_relaxed)->next;
    atomic_store(p, atomic_load_explicit(&u->next, memory_order_relaxed));
}

static void leave_pages(struct jit_block *u)
{
    for (unsigned i = 0; i < u->refs; i++) {
        struct jit_page_ref *ref = &u->ref[i];
        *ref->back = ref->next;
        if (ref->next)
            ref->next->back = ref->back;
    }
}

/* The tables first: who comes by the far entry looks there again. */
static void shut(struct jit_cache *k, struct jit_block *u, struct jit_block *other)
{
    u64 entry = jit_place(u->host, u->far);
    if (u->shut)
        return;
    u->shut = true;
    leave_bucket(k, u);
    leave_pages(u);
    atomic_compare_exchange_strong(place_of(k, u->mode, u->host), &entry, 0);
    replace_by_jump(k, u->far, k->rt.lookup);
    turn_exits(k, u, other);
}

void cache_shut(struct jit_cache *k, struct jit_block *u)
{
    shut(k, u, NULL);
}

/* Of the blocks in a page's bucket, those of older versions of their pages. */
static void shut_outdated(struct jit_cache *k, struct jit_page_ref **bucket)
{
    for (struct jit_page_ref *ref = *bucket, *next; ref; ref = next) {
        struct jit_block *u = ref->block;
        next = ref->next;
        if (ref->version == code_version_of(ref->page))
            continue;
        while (next && next->block == u)
            next = next->next;
        cache_shut(k, u);
    }
}

void cache_shut_changed(struct jit_cache *k, struct space *s)
{
    const struct page_info *page[SPACE_CHANGES_KEPT];
    u64 now;
    int n = space_code_changed(s, atomic_load(&k->changes), page, &now);
    for (int i = 0; i < n; i++)
        shut_outdated(k, page_bucket(k, page[i]));
    for (unsigned i = 0; n < 0 && i < ARRAY_SIZE(k->page); i++)
        shut_outdated(k, &k->page[i]);
    atomic_store(&k->changes, now);
}

/* ---- a new one ---- */

static bool is_of_now(const struct jit_page_ref *ref)
{
    return ref->version == code_version_of(ref->page);
}

static void enter_page(struct jit_cache *k, struct jit_page_ref *ref)
{
    struct jit_page_ref **bucket = page_bucket(k, ref->page);
    ref->next = *bucket;
    ref->back = bucket;
    if (ref->next)
        ref->next->back = &ref->next;
    *bucket = ref;
}

static void set_exits(struct jit_cache *k, struct jit_block *u)
{
    for (unsigned i = 0; i < u->exits; i++) {
        struct jit_exit *x = exit_of(u, i);
        x->from = u;
        x->to = NULL;
        x->code = NULL;
        x->unlinked = (u32)load_le(k->pages.rw + x->place, 4);
    }
}

static void describe(struct jit_block *u, const struct block *b, u32 base, const struct translation *t)
{
    bug_on((u64)b->host >> JIT_HOST_BITS, "guest memory lies where no table entry can tell it");
    u->host = b->host;
    u->host2 = b->host2;
    u->version = b->version;
    u->version2 = b->host2 ? b->version2 : 0;
    u->mode = b->mode;
    u->count = b->count;
    u->trace = t->trace;
    u->far = base;
    u->near = (u16)t->near;
    u->body = (u16)t->body;
    u->in = NULL;
    u->shut = false;
}

static void enter_tables(struct jit_cache *k, struct jit_block *u)
{
    _Atomic(struct jit_block *) *bucket = bucket_of(k, u->host);
    struct jit_block *old = cache_find(k, u->mode, u->host, u->version);
    atomic_store(&u->next, atomic_load(bucket));
    atomic_store(bucket, u);
    if (old)
        shut(k, old, u);
    atomic_store(place_of(k, u->mode, u->host), jit_place(u->host, u->far));
}

struct jit_block *cache_add(struct jit_cache *k, const struct cache_room *room, const struct block *b,
                            const struct jit_page_ref *more, unsigned count, const struct translation *t)
{
    room->ref[0] = (struct jit_page_ref){.page = b->page, .version = b->version};
    for (unsigned i = 0; i < count; i++)
        room->ref[i + 1] = more[i];
    for (unsigned i = 0; i <= count; i++)
        if (!is_of_now(&room->ref[i]))
            return NULL;
    struct jit_block *u = cache_take(k, room, t, count + 1);
    describe(u, b, room->base, t);
    set_exits(k, u);
    for (unsigned i = 0; i <= count; i++) {
        u->ref[i].block = u;
        enter_page(k, &u->ref[i]);
    }
    enter_tables(k, u);
    return u;
}
