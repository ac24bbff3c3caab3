/* SPDX-License-Identifier: MIT */
/*
 * Translations of the second dimension (EPT, nested paging) that the processor remembers: guest-physical page
 * to physical page, with what may be done there without another look at the paging structures.
 *
 * They belong to a root and, on the AMD model, to an ASID; guests' own invalidations do not touch them. What
 * an entry does not allow is no answer: the walk decides, and its result replaces the entry, so rights that a
 * hypervisor adds need no invalidation (SDM 3C 28.4.3.1; APM 2 15.25.9). What it takes away it must
 * invalidate: INVEPT, INVLPGA, TLB_CONTROL. WRITE stands only where the dirty bit is set or not kept. No host
 * pointers here.
 */
#ifndef CPU_NESTED_SECOND_H
#define CPU_NESTED_SECOND_H

#include "cpu/nested/nested.h"

enum { SECOND_READ = 1, SECOND_WRITE = 2, SECOND_FETCH = 4, SECOND_ALL = 7, SECOND_SHIFT = 3 };
enum { SECOND_BITS = 13, SECOND_SIZE = 1 << SECOND_BITS, SECOND_ROOTS = 4 };

/* Whose: EPTP, or nCR3 with the ASID and the control bits that the walk depends on. */
struct second_tag {
    u64 root, more;
};

struct second_entry {
    u64 from; /* guest-physical page | SECOND_* | second_found.shift << SECOND_SHIFT */
    u64 to;   /* physical page | generation of its set */
};

struct second_set {
    struct second_tag tag;
    bool used;
    u16 generation; /* 1 to 4095; entries of another are none */
    u64 last_use;
    struct second_entry entry[SECOND_SIZE];
};

struct second_cache {
    u64 clock;
    struct second_set *cur;
    struct second_set set[SECOND_ROOTS];
};

struct second_cache *second_new(void); /* NULL without memory */
void second_free(struct second_cache *k);

/* From here on translations are of this tag. At VM entry. */
void second_select(struct second_cache *k, const struct second_tag *tag);
void second_flush(struct second_cache *k, bool (*match)(const struct second_tag *, const void *),
                  const void *arg);
void second_flush_all(struct second_cache *k);
void second_forget(struct second_cache *k, u64 gpa); /* one page, in the present set */
void second_fill(struct second_cache *k, u64 gpa, const struct second_found *f);

/* False: not known to be allowed. */
static inline bool second_find(const struct second_cache *k, u64 gpa, unsigned need, struct second_found *f)
{
    const struct second_set *s = k->cur;
    const struct second_entry *e = &s->entry[gpa >> 12 & (SECOND_SIZE - 1)];
    if ((e->from ^ gpa) >> 12 || (e->from & need) != need || (e->to & 0xfff) != s->generation)
        return false;
    f->at = (e->to & ~0xfffull) | (gpa & 0xfff);
    f->may = e->from & SECOND_ALL;
    f->shift = e->from >> SECOND_SHIFT & 63;
    return true;
}

#endif
