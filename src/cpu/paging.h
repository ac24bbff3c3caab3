/* SPDX-License-Identifier: MIT */
/* Page-table walks. SDM 3A 4.3 (32-bit), 4.4 (PAE), 4.5 (4-level), 4.6 (access rights), 4.7 (faults). */
#ifndef CPU_PAGING_H
#define CPU_PAGING_H

#include "cpu/cpu.h"
#include "cpu/mmu.h"
#include "cpu/tlb.h"

/* What one access asks. */
struct walk_access {
    bool write, fetch;
    bool user; /* a user-mode access */
    bool smap; /* supervisor data access that SMAP forbids on user pages */
    u8 size;   /* bytes of it in this page; 0: many */
};

struct walk_result {
    u64 gpa;       /* of the byte asked for */
    u8 shift;      /* log2 of the size of the guest's own page that it lies in */
    bool writable; /* a write by the same class is allowed and D is set already */
    bool once;     /* true for this access alone: not to be remembered */
};

/* Walks the current address space, sets A (and D for writes), or fills c->fault with #PF. */
enum outcome paging_walk(struct cpu *c, u64 lin, const struct walk_access *a, struct walk_result *r);
/* The same without any effect: for debuggers. */
bool paging_peek(struct cpu *c, u64 lin, u64 *gpa);

#endif
