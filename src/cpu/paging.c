/* SPDX-License-Identifier: MIT */
/*
 * Page-table walks for all paging modes, one loop over a row of facts per mode.
 *
 * The walk first reads all entries and decides, then sets accessed and dirty bits by compare-and-exchange;
 * when an entry changed in between, it starts again. So a fault changes nothing, and two vCPUs never lose a
 * bit. Where a page table lies is remembered (struct tlb_path), as processors' paging-structure caches do.
 */
#include "cpu/paging.h"

#include "cpu/control.h"
#include "cpu/nested/nested.h"

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 32, PTE_D = 64, PTE_PS = 128, PTE_G = 256 };
#define PTE_NX (1ull << 63)

#define LEVELS_MAX 4

/* A paging mode: how many levels, entry bytes, index bits. */
struct paging_mode {
    u8 levels, entry_size, index_bits;
};

static const struct paging_mode mode_32bit = {2, 4, 10}, mode_pae = {3, 8, 9}, mode_4level = {4, 8, 9};

/* One walk in progress. */
struct walk {
    struct cpu *c;
    const struct paging_mode *m;
    u64 lin;
    bool peek;              /* without any effect */
    u64 gpa[LEVELS_MAX];    /* guest-physical places of the entries, top first */
    u64 at[LEVELS_MAX];     /* where that is after the second dimension */
    u64 entry[LEVELS_MAX];  /* as read */
    void *host[LEVELS_MAX]; /* where it was read; NULL: not RAM */
    unsigned depth;         /* entries read */
    u64 page, size;         /* leaf: guest-physical base and bytes */
    u64 rights;             /* P, W, U ANDed over the levels, NX ORed */
    u32 error;              /* PF_P, PF_RSVD of a fault found while reading */
};

static const struct paging_mode *current_mode(const struct cpu *c)
{
    if (c->efer & EFER_LMA)
        return &mode_4level;
    return c->cr4 & CR4_PAE ? &mode_pae : &mode_32bit;
}

/* A guest-physical address on its way to memory. The one place where a second dimension (EPT, NPT) joins. */
static enum outcome second_dimension(struct cpu *c, u64 gpa, const struct second_access *a,
                                     struct second_found *f)
{
    *f = (struct second_found){.at = gpa, .may = SECOND_ALL, .shift = 63};
    if (likely(!nested_guest(c) || !c->nested->second))
        return DONE;
    return c->nested->ops->translate(c, gpa, a, f);
}

/* FAULT only for the second dimension's sake. */
static enum outcome entry_read(struct walk *w, u64 gpa, u64 *e)
{
    struct second_access a = {
        .read = true, .table = true, .user = true, .linear_valid = true, .linear = w->lin, .peek = w->peek};
    struct second_found f;
    u64 v = 0;
    w->gpa[w->depth] = gpa;
    if (second_dimension(w->c, gpa, &a, &f) != DONE)
        return FAULT;
    w->at[w->depth] = f.at;
    w->host[w->depth] = space_ram(w->c->memory, f.at, NULL);
    if (!w->host[w->depth]) {
        if (!w->peek)
            space_io_read(w->c->memory, f.at, w->m->entry_size, &v);
        *e = v;
        return DONE;
    }
    *e = w->m->entry_size == 8 ? __atomic_load_n((u64 *)w->host[w->depth], __ATOMIC_RELAXED)
                               : __atomic_load_n((u32 *)w->host[w->depth], __ATOMIC_RELAXED);
    return DONE;
}

static unsigned level_shift(const struct paging_mode *m, unsigned depth)
{
    return PAGE_SHIFT + m->index_bits * (m->levels - 1 - depth);
}

static bool is_leaf(const struct walk *w, u64 e, unsigned depth)
{
    if (depth == w->m->levels - 1)
        return true;
    if (!(e & PTE_PS))
        return false;
    unsigned up = w->m->levels - 1 - depth; /* 1: PDE, 2: PDPTE */
    if (up == 1)
        return w->m->entry_size == 8 || (w->c->cr4 & CR4_PSE);
    return up == 2 && w->m->levels == 4 && cpu_has(w->c, FEAT_PDPE1GB);
}

/* Bits that must be 0 in this entry. SDM 3A tables 4-15 to 4-20 */
static u64 reserved_bits(const struct walk *w, u64 e, unsigned depth, bool leaf)
{
    unsigned up = w->m->levels - 1 - depth;
    if (w->m->entry_size == 4) /* PSE-36: address bits 39:32 in 20:13, 21 is reserved */
        return leaf && up ? 1u << 21 : 0;
    u64 r = (BIT(52) - 1) & ~(BIT(w->c->model->phys_bits) - 1);
    if (!(w->c->efer & EFER_NXE))
        r |= PTE_NX;
    if (w->m->levels == 3) {
        r |= 0x7ffull << 52;
        if (up == 2)
            return r | PTE_NX | 0x1e6; /* PAE PDPTE: 2:1, 8:5 */
    }
    if (leaf && up)
        r |= (BIT(level_shift(w->m, depth)) - 1) & ~0x1fffull;
    else if (!leaf && (e & PTE_PS))
        r |= PTE_PS; /* PML4E, or a 1 GiB page that is not offered */
    return r;
}

static void set_leaf(struct walk *w, u64 e, unsigned depth)
{
    u64 mask = BIT(level_shift(w->m, depth)) - 1;
    w->size = mask + 1;
    w->page = e & ~mask & (BIT(52) - 1);
    if (w->m->entry_size == 4) {
        w->page = e & ~mask & 0xffffffff;
        if (depth == 0) /* 4 MiB page with PSE-36 */
            w->page = (e & 0xffc00000) | (e >> 13 & 0xff) << 32;
    }
}

/* Reads the levels. FAULT: the second dimension stopped it, END: w->error says why it ends here. */
static enum outcome walk_read(struct walk *w)
{
    u64 table = w->c->cr3 & (w->m->levels == 3       ? 0xffffffe0ull
                             : w->m->entry_size == 4 ? 0xfffff000ull
                                                     : 0x000ffffffffff000ull);
    w->rights = PTE_P | PTE_W | PTE_U;
    for (w->depth = 0;;) {
        unsigned depth = w->depth;
        u64 index = w->lin >> level_shift(w->m, depth) & (BIT(w->m->index_bits) - 1);
        u64 e;
        if (w->m->levels == 3 && depth == 0 && unlikely(nested_guest(w->c)) && w->c->nested->pdpte)
            e = w->c->nested->pdpte[index & 3];
        else if (entry_read(w, table + index * w->m->entry_size, &e) != DONE)
            return FAULT;
        w->entry[depth] = e;
        w->depth++;
        if (!(e & PTE_P))
            return END;
        bool leaf = is_leaf(w, e, depth);
        if (e & reserved_bits(w, e, depth, leaf)) {
            w->error = PF_P | PF_RSVD;
            return END;
        }
        bool pae_root = w->m->levels == 3 && depth == 0; /* PAE PDPTEs carry no rights */
        if (!pae_root) {
            w->rights &= e | ~(u64)(PTE_W | PTE_U);
            w->rights |= e & PTE_NX;
        }
        if (leaf) {
            set_leaf(w, e, depth);
            return DONE;
        }
        table = e & 0x000ffffffffff000ull;
    }
}

/* RIGHT_* but for the second dimension's: of bits that were ANDed (NX ORed), and the leaf. */
static u8 rights_of(const struct cpu *c, u64 rights, u64 leaf)
{
    return (u8)((rights & PTE_W ? RIGHT_W : 0) | (rights & PTE_U ? RIGHT_U : 0) |
                (rights & PTE_NX ? RIGHT_NX : 0) | (leaf & PTE_D ? RIGHT_D : 0) |
                ((leaf & PTE_G) && (c->cr4 & CR4_PGE) ? RIGHT_G : 0));
}

/* Sets bits in an entry if it still is what was read. */
static bool entry_mark(struct walk *w, unsigned depth, u64 mark)
{
    u64 old = w->entry[depth];
    if ((old & mark) == mark || !w->host[depth])
        return true;
    bool ok;
    if (w->m->entry_size == 8) {
        ok = __atomic_compare_exchange_n((u64 *)w->host[depth], &old, old | mark, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST);
    } else {
        u32 old32 = (u32)old;
        ok = __atomic_compare_exchange_n((u32 *)w->host[depth], &old32, old32 | (u32)mark, false,
                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    if (ok) {
        space_written(w->c->memory, w->at[depth], w->m->entry_size);
        w->entry[depth] |= mark;
    }
    return ok;
}

/* The second dimension must allow the write that sets bits. */
static enum outcome entry_may_change(struct walk *w, unsigned depth)
{
    struct second_access a = {
        .write = true, .table = true, .user = true, .linear_valid = true, .linear = w->lin};
    struct second_found f;
    return second_dimension(w->c, w->gpa[depth], &a, &f);
}

/* END: an entry changed meanwhile, start again. FAULT: the second dimension stopped it. */
static enum outcome walk_mark(struct walk *w, bool write)
{
    for (unsigned d = 0; d < w->depth; d++) {
        u64 mark = d == w->depth - 1 && write ? PTE_A | PTE_D : PTE_A;
        bool pae_root = w->m->levels == 3 && d == 0; /* PAE PDPTEs have no A bit */
        if (pae_root || (w->entry[d] & mark) == mark)
            continue;
        if (entry_may_change(w, d) != DONE)
            return FAULT;
        if (!entry_mark(w, d, mark))
            return END;
    }
    return DONE;
}

static enum outcome page_fault(struct cpu *c, u64 lin, const struct walk_access *a, u32 error)
{
    if (a->write)
        error |= PF_W;
    if (a->user)
        error |= PF_U;
    if (a->fetch && ((c->efer & EFER_NXE) || (c->cr4 & CR4_SMEP)))
        error |= PF_I;
    c->fault = (struct fault){.vector = VEC_PF, .has_error = true, .error = error, .cr2 = lin};
    return FAULT;
}

/* The walk's result through the second dimension. */
static enum outcome finish(struct cpu *c, u64 lin, const struct walk_access *a, u64 gpa,
                           struct walk_result *r)
{
    struct second_access s = {.read = !a->write && !a->fetch,
                              .write = a->write,
                              .fetch = a->fetch,
                              .user = a->user,
                              .size = a->size,
                              .linear_valid = true,
                              .linear = lin};
    struct second_found f;
    enum outcome o = second_dimension(c, gpa, &s, &f);
    if (o == FAULT)
        return FAULT;
    r->once = o == END;
    r->gpa = f.at;
    r->rights |= (u8)(f.may << RIGHT_SECOND);
    r->span = f.shift < r->shift ? f.shift : r->shift;
    return DONE;
}

/* ---- the common case ---- */

#define ADDRESS 0x000ffffffffff000ull

struct found {
    u64 gpa, leaf, rights;
    u8 shift;
    bool absent; /* an entry is not present */
};

/* What an entry that was read says. DONE: it is the leaf; AGAIN: f->gpa is the next table; END: not the
 * common case. */
static enum outcome take_entry(struct cpu *c, u64 lin, u64 e, unsigned shift, struct found *f)
{
    u64 bad = (ADDRESS & physical_reserved(c)) | (c->efer & EFER_NXE ? 0 : PTE_NX), mask = BIT(shift) - 1;
    if ((e & (PTE_P | PTE_A)) != (PTE_P | PTE_A) || (e & bad)) {
        f->absent = !(e & PTE_P);
        return END;
    }
    f->rights = (f->rights & (e | PTE_NX)) | (e & PTE_NX);
    f->gpa = e & ADDRESS;
    if (shift > PAGE_SHIFT && !(e & PTE_PS))
        return AGAIN;
    if (shift == 39 || (shift == 30 && !cpu_has(c, FEAT_PDPE1GB)) || (f->gpa & mask & ~0x1fffull))
        return END;
    f->leaf = e;
    f->shift = (u8)shift;
    f->gpa = (f->gpa & ~mask) | (lin & mask);
    return DONE;
}

/* 4-level paging where nothing has to change and nothing is amiss. END: not so; unless it is plain that the
 * page is absent, walk_read() decides. */
static enum outcome find(struct cpu *c, u64 lin, struct found *f)
{
    struct second_access s = {.read = true, .table = true, .user = true, .linear_valid = true, .linear = lin};
    *f = (struct found){.gpa = c->cr3 & ADDRESS, .rights = PTE_P | PTE_W | PTE_U};
    for (unsigned shift = 39;; shift -= 9) {
        struct second_found entry;
        u64 index = lin >> shift & 511;
        if (second_dimension(c, f->gpa + index * 8, &s, &entry) != DONE)
            return FAULT;
        const u64 *p = space_ram(c->memory, entry.at, NULL);
        if (!p)
            return END;
        if (shift == PAGE_SHIFT)
            tlb_note_path(c->tlb, lin, p - index, f->rights);
        enum outcome o = take_entry(c, lin, __atomic_load_n(p, __ATOMIC_RELAXED), shift, f);
        if (o != AGAIN)
            return o;
    }
}

/* The same from the page table on. END: not known, or its entry asks for more. */
static enum outcome find_by_path(struct cpu *c, u64 lin, struct found *f)
{
    const struct tlb_path *p = tlb_path(c->tlb, lin);
    if (!p)
        return END;
    *f = (struct found){.rights = p->rights};
    return take_entry(c, lin, __atomic_load_n(&p->table[lin >> PAGE_SHIFT & 511], __ATOMIC_RELAXED),
                      PAGE_SHIFT, f);
}

/* END: not the common case. Rights that were given since, without an invalidation, count: what forbids an
 * access is read anew. */
static enum outcome walk_common(struct cpu *c, u64 lin, const struct walk_access *a, struct walk_result *r)
{
    struct found f = {0};
    if (!(c->efer & EFER_LMA))
        return END;
    enum outcome o = find_by_path(c, lin, &f);
    if (o != DONE || !paging_allows(c, rights_of(c, f.rights, f.leaf), a))
        o = f.absent ? o : find(c, lin, &f);
    if (o == END && f.absent)
        return page_fault(c, lin, a, 0);
    if (o != DONE)
        return o;
    r->rights = rights_of(c, f.rights, f.leaf);
    if (!paging_allows(c, r->rights, a))
        return page_fault(c, lin, a, PF_P);
    if (a->write && !(f.leaf & PTE_D))
        return END;
    r->shift = f.shift;
    return finish(c, lin, a, f.gpa, r);
}

enum outcome paging_walk(struct cpu *c, u64 lin, const struct walk_access *a, struct walk_result *r)
{
    r->rights = RIGHT_W | RIGHT_U | RIGHT_D;
    r->shift = PAGE_SHIFT;
    if (!(c->cr0 & CR0_PG))
        return finish(c, lin, a, lin, r);
    enum outcome o = walk_common(c, lin, a, r);
    while (o == END) {
        struct walk w = {.c = c, .m = current_mode(c), .lin = lin};
        o = walk_read(&w);
        if (o == FAULT)
            return FAULT;
        if (o == END)
            return page_fault(c, lin, a, w.error);
        r->rights = rights_of(c, w.rights, w.entry[w.depth - 1]);
        if (!paging_allows(c, r->rights, a))
            return page_fault(c, lin, a, PF_P);
        o = walk_mark(&w, a->write);
        if (o != DONE)
            continue;
        r->rights = rights_of(c, w.rights, w.entry[w.depth - 1]);
        r->shift = (u8)__builtin_ctzll(w.size);
        return finish(c, lin, a, w.page + (lin & (w.size - 1)), r);
    }
    return o;
}

bool paging_peek(struct cpu *c, u64 lin, u64 *gpa)
{
    struct second_access a = {.linear_valid = true, .linear = lin, .peek = true};
    struct second_found f;
    if (c->cr0 & CR0_PG) {
        struct walk w = {.c = c, .m = current_mode(c), .lin = lin, .peek = true};
        if (walk_read(&w) != DONE)
            return false;
        lin = w.page + (lin & (w.size - 1));
    }
    if (second_dimension(c, lin, &a, &f) != DONE)
        return false;
    *gpa = f.at;
    return true;
}
