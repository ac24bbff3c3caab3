/* SPDX-License-Identifier: MIT */
/*
 * Page watches. All fields of struct page_info are changed by atomic operations; the orders below are what
 * makes a lost write impossible, keep them:
 *  - a watcher sets its bit, then looks at `writer`; a soft TLB that wants a write pointer notes itself in
 * `writer`, then looks at the watch bits. One of the two sees the other.
 *  - a store to code happens first, then the watch is cleared, then code_version changes, then the
 *    change is logged. A decoder sets the
 * watch, reads the version, reads the bytes, and looks whether the watch still stands; if not it starts
 * again.
 */
#include "mem/watch.h"

void watch_list_init(struct watch_list *w)
{
    w->count = 0;
    w->changes.count = 0;
    pthread_mutex_init(&w->changes.lock, NULL);
}

void watch_list_fini(struct watch_list *w)
{
    w->count = 0;
    pthread_mutex_destroy(&w->changes.lock);
}

static void log_change(struct change_log *l, const struct page_info *p)
{
    pthread_mutex_lock(&l->lock);
    l->page[l->count % SPACE_CHANGES_KEPT] = p;
    __atomic_store_n(&l->count, l->count + 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&l->lock);
}

int watch_changes(struct watch_list *w, u64 since, const struct page_info *page[], u64 *now)
{
    struct change_log *l = &w->changes;
    pthread_mutex_lock(&l->lock);
    u64 n = l->count - since;
    *now = l->count;
    for (u64 i = 0; i < n && n <= SPACE_CHANGES_KEPT; i++)
        page[i] = l->page[(since + i) % SPACE_CHANGES_KEPT];
    pthread_mutex_unlock(&l->lock);
    return n <= SPACE_CHANGES_KEPT ? (int)n : -1;
}

void watch_listen(struct watch_list *w, const struct space_listener *l)
{
    bug_on(w->count == LISTENERS_MAX, "too many listeners of one space");
    w->listener[w->count++] = *l;
}

void watch_drop_writes(struct watch_list *w, u64 gpa, u64 len)
{
    for (unsigned i = 0; i < w->count; i++)
        w->listener[i].drop_writes(w->listener[i].opaque, gpa, len);
}

void watch_drop_all(struct watch_list *w, u64 gpa, u64 len)
{
    for (unsigned i = 0; i < w->count; i++)
        w->listener[i].drop_all(w->listener[i].opaque, gpa, len);
}

static u16 granules(u64 first, u64 last)
{
    unsigned lo = (first & (PAGE_SIZE - 1)) >> 8, hi = (last & (PAGE_SIZE - 1)) >> 8;
    return (u16)((2u << hi) - (1u << lo));
}

void page_watch_code(struct watch_list *w, struct page_info *p, u64 first, u64 last)
{
    u16 mask = granules(first, last);
    if ((__atomic_load_n(&p->code_granule, __ATOMIC_ACQUIRE) & mask) == mask &&
        (__atomic_load_n(&p->watch, __ATOMIC_ACQUIRE) & PAGE_CODE))
        return;
    __atomic_fetch_or(&p->code_granule, mask, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&p->watch, PAGE_CODE, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&p->writer, __ATOMIC_SEQ_CST))
        watch_drop_writes(w, ALIGN_DOWN(first, PAGE_SIZE), PAGE_SIZE);
}

void page_forget_code(struct watch_list *w, struct page_info *p)
{
    __atomic_fetch_and(&p->watch, (u8)~PAGE_CODE, __ATOMIC_SEQ_CST);
    __atomic_store_n(&p->code_granule, 0, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&p->code_version, 1, __ATOMIC_SEQ_CST);
    log_change(&w->changes, p);
}

void page_written(struct watch_list *w, struct page_info *p, u64 first, u64 last)
{
    u8 watch = __atomic_load_n(&p->watch, __ATOMIC_SEQ_CST);
    if (watch & PAGE_DIRTY) {
        __atomic_fetch_or(&p->watch, PAGE_DIRTIED, __ATOMIC_SEQ_CST);
        __atomic_fetch_and(&p->watch, (u8)~PAGE_DIRTY, __ATOMIC_SEQ_CST);
    }
    if ((watch & PAGE_CODE) && (__atomic_load_n(&p->code_granule, __ATOMIC_SEQ_CST) & granules(first, last)))
        page_forget_code(w, p);
}

void page_log_dirty(struct page_info *p, bool on)
{
    if (on)
        __atomic_fetch_or(&p->watch, PAGE_DIRTY, __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_and(&p->watch, (u8) ~(PAGE_DIRTY | PAGE_DIRTIED), __ATOMIC_SEQ_CST);
}

bool page_take_dirty(struct page_info *p)
{
    if (!(__atomic_load_n(&p->watch, __ATOMIC_SEQ_CST) & PAGE_DIRTIED))
        return false;
    __atomic_fetch_or(&p->watch, PAGE_DIRTY, __ATOMIC_SEQ_CST);
    __atomic_fetch_and(&p->watch, (u8)~PAGE_DIRTIED, __ATOMIC_SEQ_CST);
    return true;
}
