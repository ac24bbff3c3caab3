/* SPDX-License-Identifier: MIT */
/*
 * The banks of RAM in a guest-physical space.
 *
 * Banks are few, added before the machine runs, and found by a linear scan without a lock. Page descriptors
 * lie in a lazily backed array beside each bank, so that an untouched page costs nothing. Of some banks only
 * the blocks are RAM whose bit is set; their backing stands all the same, so no pointer ever leads nowhere.
 */
#include "base/general_regs.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "mem/space_parts.h"

#define HUGE_PAGE (2 * MIB)

void ram_free(struct space *s)
{
    for (unsigned i = 0; i < s->banks; i++) {
        munmap(s->bank[i].host, s->bank[i].size);
        munmap(s->bank[i].pages, s->bank[i].size / PAGE_SIZE * sizeof(struct page_info));
        free(s->bank[i].plugged);
    }
}

static void *map_lazily(u64 size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* As far into a huge page as in the guest's memory: else KVM maps none of them, and what the guest itself
 * maps by large pages is pieces for us. Kernels give none of 1 GiB unasked. */
static u8 *map_bank(const struct bank *b)
{
    u8 *all = map_lazily(b->size + HUGE_PAGE);
    if (!all)
        return NULL;
    u64 before = (b->gpa - (u64)all) & (HUGE_PAGE - 1);
    if (before)
        munmap(all, before);
    munmap(all + before + b->size, HUGE_PAGE - before);
    return all + before;
}

static int add_bank(struct space *s, struct bank *b, struct err *err)
{
    bug_on(s->banks == BANKS_MAX || (b->gpa | b->size) & (PAGE_SIZE - 1) || !b->size, "bank %llx+%llx",
           (unsigned long long)b->gpa, (unsigned long long)b->size);
    b->host = map_bank(b);
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

#include "base/general_regs_end.h"
