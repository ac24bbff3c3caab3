/* SPDX-License-Identifier: MIT */
/*
 * Guest-physical space: banks of RAM and a sorted list of device regions.
 *
 * Banks are few, added before the machine runs, and found by a linear scan without a lock. Of some only the
 * blocks are RAM whose bit is set; their backing stands all the same, so no pointer ever leads nowhere.
 * Regions change while the machine runs (PCI BARs move); a reader copies the region out under a read lock and
 * calls the device without it. Page descriptors lie in a lazily backed array beside each bank, so that an
 * untouched page costs nothing.
 */
#include "mem/space.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "mem/watch.h"

#define BANKS_MAX 8

struct bank {
    u64 gpa, size;
    u8 *host;
    struct page_info *pages;
    u64 block;    /* 0: all of it is there */
    u64 *plugged; /* a bit a block; atomic */
};

struct space {
    u64 max_gpa;
    struct bank bank[BANKS_MAX];
    atomic_uint banks;
    pthread_rwlock_t lock; /* of the regions */
    struct region *region; /* sorted by base */
    unsigned regions, capacity;
    struct watch_list watches;
    atomic_bool dirty_log;
};

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
    for (unsigned i = 0; i < s->banks; i++) {
        munmap(s->bank[i].host, s->bank[i].size);
        munmap(s->bank[i].pages, s->bank[i].size / PAGE_SIZE * sizeof(struct page_info));
        free(s->bank[i].plugged);
    }
    pthread_rwlock_destroy(&s->lock);
    watch_list_fini(&s->watches);
    free(s->region);
    free(s);
}

static void *map_lazily(u64 size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static int add_bank(struct space *s, struct bank *b, struct err *err)
{
    bug_on(s->banks == BANKS_MAX || (b->gpa | b->size) & (PAGE_SIZE - 1) || !b->size, "bank %llx+%llx",
           (unsigned long long)b->gpa, (unsigned long long)b->size);
    b->host = map_lazily(b->size);
    b->pages = map_lazily(b->size / PAGE_SIZE * sizeof(struct page_info));
    if (!b->host || !b->pages) {
        if (b->host)
            munmap(b->host, b->size);
        return err_set(err, EXIT_STATUS_HOST,
                       "no %llu MiB of address space for guest memory: use a smaller --memory",
                       (unsigned long long)(b->size / MIB));
    }
    s->bank[s->banks] = *b;
    atomic_fetch_add(&s->banks, 1);
    return 0;
}

int space_add_ram(struct space *s, u64 gpa, u64 size, struct err *err)
{
    struct bank b = {.gpa = gpa, .size = size};
    return add_bank(s, &b, err);
}

static const struct bank *find_bank(const struct space *s, u64 gpa)
{
    unsigned n = atomic_load_explicit(&s->banks, memory_order_acquire);
    for (unsigned i = 0; i < n; i++)
        if (gpa - s->bank[i].gpa < s->bank[i].size)
            return &s->bank[i];
    return NULL;
}

void *space_backing(const struct space *s, u64 gpa, u64 *len)
{
    const struct bank *b = find_bank(s, gpa);
    if (!b)
        return NULL;
    if (len)
        *len = b->gpa + b->size - gpa;
    return b->host + (gpa - b->gpa);
}

static void give_back(void *host, u64 size)
{
    if (madvise(host, size, MADV_DONTNEED)) /* locked memory stays, but what was in it goes */
        memset(host, 0, size);
}

/* ---- banks of blocks ---- */

int space_add_pluggable(struct space *s, u64 gpa, u64 size, u64 block, struct err *err)
{
    bug_on(block < PAGE_SIZE || (block & (block - 1)) || (gpa | size) & (block - 1), "blocks of %llx",
           (unsigned long long)block);
    struct bank b = {.gpa = gpa, .size = size, .block = block};
    b.plugged = calloc((size / block + 63) / 64, sizeof(u64));
    if (!b.plugged)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for guest memory");
    if (add_bank(s, &b, err)) {
        free(b.plugged);
        return -1;
    }
    return 0;
}

/* The first block from i on that is plugged (or, as asked, is not); the bank's number of blocks: none. */
static u64 next_block(const struct bank *b, u64 i, bool plugged)
{
    u64 n = b->size / b->block;
    while (i < n) {
        u64 word = __atomic_load_n(&b->plugged[i / 64], __ATOMIC_SEQ_CST) ^ (plugged ? 0 : ~0ull);
        word >>= i % 64;
        if (word)
            return i + (unsigned)__builtin_ctzll(word) < n ? i + (unsigned)__builtin_ctzll(word) : n;
        i = ALIGN_DOWN(i, 64) + 64;
    }
    return n;
}

static void mark(struct space *s, u64 gpa, u64 size, bool plugged)
{
    const struct bank *b = find_bank(s, gpa);
    bug_on(!b || !b->block || (gpa | size) & (b->block - 1) || size > b->gpa + b->size - gpa,
           "no blocks at %llx+%llx", (unsigned long long)gpa, (unsigned long long)size);
    u64 i = (gpa - b->gpa) / b->block;
    for (u64 end = i + size / b->block; i < end; i++) {
        if (plugged)
            __atomic_fetch_or(&b->plugged[i / 64], BIT(i % 64), __ATOMIC_SEQ_CST);
        else
            __atomic_fetch_and(&b->plugged[i / 64], ~BIT(i % 64), __ATOMIC_SEQ_CST);
    }
}

void space_plug(struct space *s, u64 gpa, u64 size)
{
    give_back(space_backing(s, gpa, NULL), size); /* what older pointers have written since it went */
    mark(s, gpa, size, true);
}

/* First it is no RAM any more, then pointers go: who looks anew in between finds nothing. */
void space_unplug(struct space *s, u64 gpa, u64 size)
{
    mark(s, gpa, size, false);
    space_discard(s, gpa, size);
}

u64 space_plugged(const struct space *s, u64 gpa, u64 size)
{
    u64 sum = 0;
    for (u64 end = gpa + size, room; gpa < end; gpa += room) {
        void *p = space_ram(s, gpa, &room);
        const struct bank *b = p ? NULL : find_bank(s, gpa);
        if (!p && !b)
            room = PAGE_SIZE;
        else if (!p)
            room = b->gpa + next_block(b, (gpa - b->gpa) / b->block, true) * b->block - gpa;
        room = room < end - gpa ? room : end - gpa;
        sum += p ? room : 0;
    }
    return sum;
}

void *space_ram(const struct space *s, u64 gpa, u64 *len)
{
    const struct bank *b = find_bank(s, gpa);
    if (!b)
        return NULL;
    u64 off = gpa - b->gpa, end = b->size;
    if (unlikely(b->block)) {
        u64 first = off / b->block;
        if (next_block(b, first, true) != first)
            return NULL;
        end = len ? next_block(b, first, false) * b->block : 0;
    }
    if (len)
        *len = end - off;
    return b->host + off;
}

struct page_info *space_page(const struct space *s, u64 gpa)
{
    const struct bank *b = find_bank(s, gpa);
    return b ? &b->pages[(gpa - b->gpa) >> PAGE_SHIFT] : NULL;
}

u64 space_gpa_of_host(const struct space *s, const void *host)
{
    unsigned n = atomic_load_explicit(&s->banks, memory_order_acquire);
    for (unsigned i = 0; i < n; i++) {
        u64 off = (u64)((const u8 *)host - s->bank[i].host);
        if (off < s->bank[i].size)
            return s->bank[i].gpa + off;
    }
    return ~0ull;
}

struct page_info *space_page_of_host(const struct space *s, const void *host)
{
    u64 gpa = space_gpa_of_host(s, host);
    return gpa == ~0ull ? NULL : space_page(s, gpa);
}

int space_each_ram(const struct space *s, int (*fn)(void *opaque, u64 gpa, u64 size, void *host),
                   void *opaque)
{
    int r = 0;
    for (unsigned i = 0; i < s->banks && !r; i++)
        if (!s->bank[i].block)
            r = fn(opaque, s->bank[i].gpa, s->bank[i].size, s->bank[i].host);
    return r;
}

u64 space_ram_size(const struct space *s)
{
    u64 sum = 0;
    for (unsigned i = 0; i < s->banks; i++)
        sum += s->bank[i].block ? 0 : s->bank[i].size;
    return sum;
}

u64 space_ram_top(const struct space *s, bool below_4g)
{
    u64 top = 0;
    for (unsigned i = 0; i < s->banks; i++) {
        u64 end = s->bank[i].gpa + s->bank[i].size;
        if (!s->bank[i].block && (end <= 4 * GIB) == below_4g && end > top)
            top = end;
    }
    return top;
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

/* By banks, not by pages: every listener may stop the world and look through all it keeps. */
void space_discard(struct space *s, u64 gpa, u64 size)
{
    for (u64 room; size; gpa += room, size -= room) {
        u8 *p = space_backing(s, gpa, &room);
        if (!p || room > size)
            room = p ? size : PAGE_SIZE;
        if (!p)
            continue;
        watch_drop_all(&s->watches, gpa, room);
        give_back(p, room);
        space_written(s, gpa, room);
    }
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
