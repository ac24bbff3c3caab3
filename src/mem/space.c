/* SPDX-License-Identifier: MIT */
/*
 * Guest-physical space: device regions, and accesses of any kind; its RAM is in ram.c.
 *
 * Regions are a sorted list and change while the machine runs (PCI BARs move); a reader copies the region out
 * under a read lock and calls the device without it.
 */
#include <stdlib.h>

#include "mem/space_parts.h"

struct space *space_new(u64 max_gpa)
{
    struct space *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->max_gpa = max_gpa;
    pthread_rwlock_init(&s->lock, NULL);
    watch_list_init(&s->watches);
    return s;
}

void space_free(struct space *s)
{
    if (!s)
        return;
    ram_free(s);
    pthread_rwlock_destroy(&s->lock);
    watch_list_fini(&s->watches);
    free(s->region);
    free(s);
}

static bool overlaps(u64 a, u64 a_size, u64 b, u64 b_size)
{
    return a < b + b_size && b < a + a_size;
}

static bool region_fits(const struct space *s, const struct region *r)
{
    if (!r->size || r->base >= s->max_gpa || r->size > s->max_gpa - r->base)
        return false;
    for (unsigned i = 0; i < s->banks; i++)
        if (overlaps(r->base, r->size, s->bank[i].gpa, s->bank[i].size))
            return false;
    for (unsigned i = 0; i < s->regions; i++)
        if (overlaps(r->base, r->size, s->region[i].base, s->region[i].size))
            return false;
    return true;
}

static int region_insert(struct space *s, const struct region *r)
{
    if (!region_fits(s, r))
        return -1;
    if (s->regions == s->capacity) {
        unsigned cap = s->capacity ? s->capacity * 2 : 32;
        struct region *p = realloc(s->region, cap * sizeof(*p));
        if (!p)
            return -1;
        s->region = p;
        s->capacity = cap;
    }
    unsigned at = s->regions++;
    for (; at > 0 && s->region[at - 1].base > r->base; at--)
        s->region[at] = s->region[at - 1];
    s->region[at] = *r;
    return 0;
}

int space_add_region(struct space *s, const struct region *r)
{
    pthread_rwlock_wrlock(&s->lock);
    int ret = region_insert(s, r);
    pthread_rwlock_unlock(&s->lock);
    return ret;
}

void space_remove_region(struct space *s, u64 base, const void *dev)
{
    pthread_rwlock_wrlock(&s->lock);
    for (unsigned i = 0; i < s->regions; i++) {
        if (s->region[i].base != base || s->region[i].dev != dev)
            continue;
        memmove(&s->region[i], &s->region[i + 1], (s->regions - i - 1) * sizeof(*s->region));
        s->regions--;
        break;
    }
    pthread_rwlock_unlock(&s->lock);
}

/* Copies the region that holds gpa; regions are sorted and disjoint, so halving finds it. */
static bool find_region(struct space *s, u64 gpa, struct region *out)
{
    bool found = false;
    pthread_rwlock_rdlock(&s->lock);
    unsigned lo = 0, hi = s->regions;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        const struct region *r = &s->region[mid];
        if (gpa < r->base) {
            hi = mid;
        } else if (gpa - r->base >= r->size) {
            lo = mid + 1;
        } else {
            *out = *r;
            found = true;
            break;
        }
    }
    pthread_rwlock_unlock(&s->lock);
    return found;
}

static u64 region_call(const struct region *r, u64 off, unsigned size, bool write, u64 value)
{
    if (write) {
        if (r->ops->write)
            r->ops->write(r->dev, off, size, value);
        return 0;
    }
    return r->ops->read ? r->ops->read(r->dev, off, size) : ~0ull;
}

/* One access inside one region, split to what the device takes; lock held once around all parts. */
static u64 region_access(const struct region *r, u64 off, unsigned size, bool write, u64 value)
{
    unsigned step = r->ops->max_size && r->ops->max_size < size ? r->ops->max_size : size;
    u64 result = 0;
    if (r->lock)
        pthread_mutex_lock(r->lock);
    for (unsigned at = 0; at < size; at += step) {
        u64 part = region_call(r, off + at, step, write, value >> (8 * at) & size_mask(step));
        result |= (part & size_mask(step)) << (8 * at);
    }
    if (r->lock)
        pthread_mutex_unlock(r->lock);
    return result;
}

/* The largest power of two of bytes from gpa that stays inside r and inside size. */
static unsigned piece(const struct region *r, u64 gpa, unsigned size)
{
    u64 room = r->base + r->size - gpa;
    unsigned n = 8;
    while (n > size || n > room)
        n /= 2;
    return n;
}

static bool device_access(struct space *s, u64 gpa, unsigned size, bool write, u64 *value)
{
    bool any = false;
    u64 result = write ? 0 : size_mask(size);
    for (unsigned at = 0; at < size;) {
        struct region r;
        if (!find_region(s, gpa + at, &r)) {
            at++;
            continue;
        }
        unsigned n = piece(&r, gpa + at, size - at);
        u64 got = region_access(&r, gpa + at - r.base, n, write, *value >> (8 * at) & size_mask(n));
        if (!write)
            result = (result & ~(size_mask(n) << (8 * at))) | got << (8 * at);
        any = true;
        at += n;
    }
    if (!write)
        *value = result;
    return any;
}

/* A decoder watches, then reads; here it is the other way round. Without this the processor may look at the
 * watch before others see the store, and both miss. */
static void store_then_look(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

bool space_io_read(struct space *s, u64 gpa, unsigned size, u64 *value)
{
    u64 room;
    const void *p = space_ram(s, gpa, &room);
    *value = 0;
    if (!p || room < size)
        return device_access(s, gpa, size, false, value);
    *value = load_le(p, size);
    return true;
}

bool space_io_write(struct space *s, u64 gpa, unsigned size, u64 value)
{
    u64 room;
    void *p = space_ram(s, gpa, &room);
    if (!p || room < size)
        return device_access(s, gpa, size, true, &value);
    store_le(p, size, value);
    store_then_look();
    space_written(s, gpa, size);
    return true;
}

/* Bytes of [gpa, gpa+len) that lie in RAM from gpa on, or 0 and a device piece of at most 8. */
static void *ram_piece(struct space *s, u64 gpa, size_t len, size_t *n)
{
    u64 room;
    void *p = space_ram(s, gpa, &room);
    if (p)
        *n = room < len ? room : len;
    else
        *n = len >= 8 && !(gpa & 7) ? 8 : len >= 4 && !(gpa & 3) ? 4 : 1;
    return p;
}

int space_read(struct space *s, u64 gpa, void *buf, size_t len)
{
    int ret = 0;
    for (size_t n; len; gpa += n, buf = (u8 *)buf + n, len -= n) {
        const void *p = ram_piece(s, gpa, len, &n);
        if (p) {
            memcpy(buf, p, n);
            continue;
        }
        u64 v = 0;
        if (!device_access(s, gpa, (unsigned)n, false, &v))
            ret = -1;
        store_le(buf, (unsigned)n, v);
    }
    return ret;
}

int space_write(struct space *s, u64 gpa, const void *buf, size_t len)
{
    int ret = 0;
    for (size_t n; len; gpa += n, buf = (const u8 *)buf + n, len -= n) {
        void *p = ram_piece(s, gpa, len, &n);
        if (p) {
            memcpy(p, buf, n);
            store_then_look();
            space_written(s, gpa, n);
            continue;
        }
        u64 v = load_le(buf, (unsigned)n);
        if (!device_access(s, gpa, (unsigned)n, true, &v))
            ret = -1;
    }
    return ret;
}

void space_listen(struct space *s, const struct space_listener *l)
{
    watch_listen(&s->watches, l);
}

void space_watch_code(struct space *s, u64 gpa, u64 len)
{
    for (u64 end = gpa + len; gpa < end; gpa = ALIGN_DOWN(gpa, PAGE_SIZE) + PAGE_SIZE) {
        struct page_info *p = space_page(s, gpa);
        u64 last = end - 1 < (gpa | (PAGE_SIZE - 1)) ? end - 1 : gpa | (PAGE_SIZE - 1);
        if (p)
            page_watch_code(&s->watches, p, gpa, last);
    }
}

void space_unwatch_code(struct space *s, u64 gpa)
{
    struct page_info *p = space_page(s, gpa);
    if (p)
        page_forget_code(&s->watches, p);
}

const u64 *space_code_counter(const struct space *s)
{
    return &s->watches.changes.count;
}

u64 space_code_changes(const struct space *s)
{
    return __atomic_load_n(space_code_counter(s), __ATOMIC_SEQ_CST);
}

int space_code_changed(struct space *s, u64 since, const struct page_info *page[SPACE_CHANGES_KEPT], u64 *now)
{
    return watch_changes(&s->watches, since, page, now);
}

void space_written(struct space *s, u64 gpa, u64 len)
{
    for (u64 end = gpa + len; gpa < end; gpa = ALIGN_DOWN(gpa, PAGE_SIZE) + PAGE_SIZE) {
        struct page_info *p = space_page(s, gpa);
        u64 last = end - 1 < (gpa | (PAGE_SIZE - 1)) ? end - 1 : gpa | (PAGE_SIZE - 1);
        if (p && unlikely(__atomic_load_n(&p->watch, __ATOMIC_ACQUIRE)))
            page_written(&s->watches, p, gpa, last);
    }
}

void space_dirty_log(struct space *s, bool on)
{
    atomic_store(&s->dirty_log, on);
    for (unsigned i = 0; i < s->banks; i++) {
        struct bank *b = &s->bank[i];
        for (u64 n = 0; n < b->size >> PAGE_SHIFT; n++)
            page_log_dirty(&b->pages[n], on);
        if (on)
            watch_drop_writes(&s->watches, b->gpa, b->size);
    }
}

void space_dirty_fetch(struct space *s, u64 gpa, u64 len, u8 *bitmap)
{
    memset(bitmap, 0, (len / PAGE_SIZE + 7) / 8);
    for (u64 at = 0; at < len; at += PAGE_SIZE) {
        struct page_info *p = space_page(s, gpa + at);
        if (!p || !page_take_dirty(p))
            continue;
        bitmap[at >> PAGE_SHIFT >> 3] |= (u8)(1u << (at >> PAGE_SHIFT & 7));
        watch_drop_writes(&s->watches, gpa + at, PAGE_SIZE);
    }
}
