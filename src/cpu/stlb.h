/* SPDX-License-Identifier: MIT */
/*
 * Second-level TLB of a vCPU: what page walks have found, for pages that the soft TLB's tables (tlb.h) do not
 * hold at the moment.
 *
 * One table for all address spaces, set-associative; an entry bears the id of its context (struct tlb_ctx),
 * and a context is flushed by giving it another id. A page of 2 MiB or 1 GiB that lies in one piece of host
 * memory has one entry; of any other large page there are pieces, and the context knows whether it has some.
 * An entry says what paging allows (RIGHT_*), never that a page may be written behind the space's back: who
 * makes a write pointer of it asks (mem/space.h), so watches need not come here.
 */
#ifndef CPU_STLB_H
#define CPU_STLB_H

#include "mem/space.h"

enum { STLB_BITS = 14, STLB_WAYS = 4, STLB_SETS = (1 << STLB_BITS) / STLB_WAYS, STLB_ID_BITS = 26 };

/* Page sizes: 4 KiB, 2 MiB, 1 GiB. */
enum { STLB_SIZES = 3 };

struct stlb_entry {
    u64 key;  /* page number of 36 bits, page size, id */
    u64 page; /* host address of its first byte | RIGHT_* */
};

struct stlb {
    u32 ids;    /* the last one given; 0 is none */
    u32 victim; /* which way goes next */
    struct stlb_entry set[STLB_SETS][STLB_WAYS] __attribute__((aligned(64)));
};

struct stlb *stlb_new(void); /* NULL without memory; freed by free() */
/* An id that no entry bears. False: they have run out. Now the table is empty, ids begin again, and whoever
 * has one needs another. */
bool stlb_id(struct stlb *s, u32 *id);
/* host: of the first byte of the page around lin of 1 << shift bytes (12, 21 or 30). */
void stlb_fill(struct stlb *s, u32 id, u64 lin, unsigned shift, const void *host, unsigned rights);
/* The page of each size around lin, from that size on. */
void stlb_forget(struct stlb *s, u32 id, u64 lin, unsigned size);

static inline u64 stlb_key(u32 id, u64 lin, unsigned size)
{
    return (lin & ~(BIT(12 + 9 * size) - 1)) << 16 | (u64)size << STLB_ID_BITS | id;
}

static inline unsigned stlb_set(u64 key)
{
    return (unsigned)(key * 0x9e3779b97f4a7c15ull >> (64 - (STLB_BITS - 2)));
}

/* Host address of the byte at lin, which is canonical, or NULL. sizes: bit n set: pages of size n may be
 * there; becomes what size it is. Large ones first: their sets are few and in the host's caches, and a page
 * of theirs has none of its own. */
static inline u8 *stlb_find(const struct stlb *s, u32 id, u64 lin, unsigned *sizes, unsigned *rights)
{
    for (unsigned size = STLB_SIZES; size-- > 0;) {
        if (!(*sizes >> size & 1))
            continue;
        u64 key = stlb_key(id, lin, size);
        const struct stlb_entry *e = s->set[stlb_set(key)];
        for (unsigned way = 0; way < STLB_WAYS; way++) {
            if (e[way].key != key)
                continue;
            *rights = e[way].page & (PAGE_SIZE - 1);
            *sizes = size;
            return (u8 *)(e[way].page & ~(PAGE_SIZE - 1)) + (lin & (BIT(12 + 9 * size) - 1));
        }
    }
    return NULL;
}

#endif
