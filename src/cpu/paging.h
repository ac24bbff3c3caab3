/* SPDX-License-Identifier: MIT */
/* Page-table walks. SDM 3A 4.3 (32-bit), 4.4 (PAE), 4.5 (4-level), 4.6 (access rights), 4.7 (faults). */
#ifndef CPU_PAGING_H
#define CPU_PAGING_H

#include "cpu/control.h"
#include "cpu/nested/second.h"

/* What one access asks. */
struct walk_access {
    bool write, fetch;
    bool user; /* a user-mode access */
    bool smap; /* supervisor data access that SMAP forbids on user pages */
    u8 size;   /* bytes of it in this page; 0: many */
};

/* What paging structures say of a page whose accessed bits are set. */
enum {
    RIGHT_W = 1, /* the first two ANDed over the levels, NX ORed; D of the last one */
    RIGHT_U = 2,
    RIGHT_NX = 4,
    RIGHT_D = 8,
    RIGHT_SECOND = 4, /* where the second dimension's SECOND_* begin; without one all are there */
    RIGHT_G = 128,    /* of the last one, where CR4.PGE has it mean something */
};

struct walk_result {
    u64 gpa;   /* of the byte asked for */
    u8 rights; /* RIGHT_* of its page */
    u8 shift;  /* log2 of the size of the guest's own page that it lies in */
    u8 span;   /* log2 of how much of that, aligned, lies in memory as it does in the page */
    bool once; /* true for this access alone: not to be remembered */
};

/* Paging allows it. SDM 3A 4.6.1 */
static inline bool paging_allows(const struct cpu *c, unsigned rights, const struct walk_access *a)
{
    bool user_page = rights & RIGHT_U;
    if (a->fetch) {
        if (rights & RIGHT_NX)
            return false;
        return a->user ? user_page : !(user_page && (c->cr4 & CR4_SMEP));
    }
    if (a->user && !user_page)
        return false;
    if (a->smap && user_page)
        return false;
    if (a->write && !(rights & RIGHT_W))
        return !a->user && !(c->cr0 & CR0_WP);
    return true;
}

/* The access is allowed in both dimensions and has nothing to mark. */
static inline bool paging_settled(const struct cpu *c, unsigned rights, const struct walk_access *a)
{
    unsigned second = a->fetch ? SECOND_FETCH : a->write ? SECOND_WRITE : SECOND_READ;
    return paging_allows(c, rights, a) && (rights & second << RIGHT_SECOND) &&
           (!a->write || (rights & RIGHT_D));
}

/* The same of a write by who made this access. */
static inline bool paging_writable(const struct cpu *c, unsigned rights, const struct walk_access *a)
{
    struct walk_access write = {.write = true, .user = a->user, .smap = a->smap};
    return paging_settled(c, rights, &write);
}

/* Walks the current address space, sets A (and D for writes), or fills c->fault with #PF. */
enum outcome paging_walk(struct cpu *c, u64 lin, const struct walk_access *a, struct walk_result *r);
/* The same without any effect: for debuggers. */
bool paging_peek(struct cpu *c, u64 lin, u64 *gpa);

#endif
