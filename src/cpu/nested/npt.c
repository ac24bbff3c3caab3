/* SPDX-License-Identifier: MIT */
/*
 * Nested paging: guest-physical to physical by the host's paging mode as it was at VMRUN. APM 2 15.25.
 *
 * Every access is a user access, and one to a guest page-table entry is a user write (15.25.5). CR0.WP and
 * the other controls that concern supervisors have no part in it. A fault leaves error code and address in
 * struct svm for #VMEXIT(NPF) (15.25.6). Like the guest's own walk it decides first and sets A and D bits
 * afterwards, atomically.
 */
#include "cpu/nested/second.h"
#include "cpu/nested/svm.h"

#include "cpu/control.h"

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 32, PTE_D = 64, PTE_PS = 128, PTE_G = 256 };
#define PTE_NX    (1ull << 63)
#define NPF_FINAL BIT(32)
#define NPF_TABLE BIT(33)

enum { LEVELS_MAX = 4 };

struct npt_mode {
    u8 levels, entry_size, index_bits;
};

static const struct npt_mode mode_32bit = {2, 4, 10}, mode_pae = {3, 8, 9}, mode_4level = {4, 8, 9};

struct npt_walk {
    struct cpu *c;
    const struct svm *s;
    const struct npt_mode *m;
    bool peek;
    u64 entry[LEVELS_MAX], at[LEVELS_MAX];
    void *host[LEVELS_MAX];
    unsigned depth; /* entries read */
    u64 rights;     /* W, U ANDed; NX ORed */
    u64 page, size;
    u64 error; /* P, RSVD */
};

static const struct npt_mode *host_mode(const struct svm *s)
{
    if (s->host.efer & EFER_LMA)
        return &mode_4level;
    return s->host.cr4 & CR4_PAE ? &mode_pae : &mode_32bit;
}

static unsigned level_shift(const struct npt_mode *m, unsigned depth)
{
    return PAGE_SHIFT + m->index_bits * (m->levels - 1u - depth);
}

static bool is_leaf(const struct npt_walk *w, u64 e, unsigned up)
{
    if (up == 0)
        return true;
    if (!(e & PTE_PS))
        return false;
    if (up == 1)
        return w->m->entry_size == 8 || (w->s->host.cr4 & CR4_PSE);
    return up == 2 && w->m->levels == 4 && cpu_has(w->c, FEAT_PDPE1GB);
}

/* APM 2 figures 5-18 to 5-26: what must be zero. */
static u64 reserved_bits(const struct npt_walk *w, u64 e, unsigned up, bool leaf)
{
    if (w->m->entry_size == 4)
        return leaf && up ? 1u << 21 : 0;
    u64 r = physical_reserved(w->c) & (BIT(52) - 1);
    if (!(w->s->host.efer & EFER_NXE))
        r |= PTE_NX;
    if (w->m->levels == 3) {
        r |= 0x7ffull << 52;
        if (up == 2)
            return r | PTE_NX | 0x1e6;
    }
    if (leaf && up)
        r |= (BIT(level_shift(w->m, w->m->levels - 1u - up)) - 1) & ~0x1fffull;
    else if (!leaf && (e & PTE_PS))
        r |= PTE_PS;
    if (!leaf && up >= 2)
        r |= PTE_G;
    return r;
}

static bool entry_read(struct npt_walk *w, u64 pa, u64 *e)
{
    w->at[w->depth] = pa;
    w->host[w->depth] = space_ram(w->c->memory, pa, NULL);
    const void *p = w->host[w->depth];
    if (!p)
        return !w->peek && space_io_read(w->c->memory, pa, w->m->entry_size, e);
    *e = w->m->entry_size == 8 ? __atomic_load_n((const u64 *)p, __ATOMIC_RELAXED)
                               : __atomic_load_n((const u32 *)p, __ATOMIC_RELAXED);
    return true;
}

static void set_leaf(struct npt_walk *w, u64 e, unsigned depth)
{
    u64 mask = BIT(level_shift(w->m, depth)) - 1;
    w->size = mask + 1;
    w->page = e & ~mask & (BIT(52) - 1);
    if (w->m->entry_size == 4) {
        w->page = e & ~mask & 0xffffffff;
        if (depth == 0)
            w->page = (e & 0xffc00000) | (e >> 13 & 0xff) << 32;
    }
}

static u64 root_of(const struct npt_walk *w)
{
    u64 mask = w->m->levels == 3       ? 0xffffffe0ull
               : w->m->entry_size == 4 ? 0xfffff000ull
                                       : 0x000ffffffffff000ull;
    return w->s->ctl.nested_cr3 & mask;
}

static void walk_begin(struct npt_walk *w, struct cpu *c, bool peek)
{
    w->c = c;
    w->s = c->nested->svm;
    w->m = host_mode(w->s);
    w->peek = peek;
    w->depth = 0;
    w->error = 0;
}

/* False: w->error says why it ends. */
static bool walk_read(struct npt_walk *w, u64 gpa)
{
    u64 table = root_of(w);
    w->rights = PTE_W | PTE_U;
    for (w->depth = 0;;) {
        unsigned depth = w->depth, up = w->m->levels - 1u - depth;
        u64 index = gpa >> level_shift(w->m, depth) & (BIT(w->m->index_bits) - 1), e;
        if (!entry_read(w, table + index * w->m->entry_size, &e))
            return false;
        w->entry[depth] = e;
        w->depth++;
        if (!(e & PTE_P))
            return false;
        bool leaf = is_leaf(w, e, up);
        if (e & reserved_bits(w, e, up, leaf)) {
            w->error = PF_P | PF_RSVD;
            return false;
        }
        if (w->m->levels != 3 || depth) /* PAE PDPTEs carry no rights */
            w->rights = (w->rights & (e | PTE_NX)) | (e & PTE_NX);
        if (leaf) {
            set_leaf(w, e, depth);
            return true;
        }
        table = e & 0x000ffffffffff000ull;
    }
}

static bool allowed(struct npt_walk *w, bool write, bool fetch)
{
    w->error = PF_P;
    return (w->rights & PTE_U) && (!write || (w->rights & PTE_W)) && !(fetch && (w->rights & PTE_NX));
}

/* False: an entry changed meanwhile. */
static bool entry_mark(struct npt_walk *w, unsigned d, u64 mark)
{
    u64 old = w->entry[d];
    if ((old & mark) == mark || !w->host[d])
        return true;
    u32 old32 = (u32)old;
    bool ok = w->m->entry_size == 8
                  ? __atomic_compare_exchange_n((u64 *)w->host[d], &old, old | mark, false, __ATOMIC_SEQ_CST,
                                                __ATOMIC_SEQ_CST)
                  : __atomic_compare_exchange_n((u32 *)w->host[d], &old32, old32 | (u32)mark, false,
                                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    if (ok) {
        space_written(w->c->memory, w->at[d], w->m->entry_size);
        w->entry[d] |= mark;
    }
    return ok;
}

static bool walk_mark(struct npt_walk *w, bool write)
{
    for (unsigned d = w->m->levels == 3; d < w->depth; d++)
        if (!entry_mark(w, d, d == w->depth - 1 && write ? PTE_A | PTE_D : PTE_A))
            return false;
    return true;
}

static enum outcome nested_fault(struct cpu *c, u64 gpa, const struct second_access *a, bool write, u64 error)
{
    struct svm *s = c->nested->svm;
    s->npf_info = error | PF_U | (write ? PF_W : 0) | (a->table ? NPF_TABLE : NPF_FINAL);
    if (a->fetch && ((s->host.efer & EFER_NXE) || (s->host.cr4 & CR4_SMEP)))
        s->npf_info |= PF_I;
    s->npf_gpa = gpa;
    c->fault = (struct fault){.vector = VEC_PF, .exit = true};
    return FAULT;
}

/* What a remembered translation depends on besides nCR3: the ASID, and the host's registers at VMRUN. */
static struct second_tag tag_of(const struct svm *s)
{
    u64 mode = (s->host.efer & (EFER_NXE | EFER_LMA)) | (s->host.cr4 & (CR4_PAE | CR4_PSE));
    return (struct second_tag){.root = s->ctl.nested_cr3, .more = s->ctl.asid | mode << 32};
}

void svm_set_nested(struct cpu *c)
{
    struct nested_state *n = c->nested;
    const struct svm *s = n->svm;
    n->second = svm_nested_paging(s);
    n->second_root = n->second ? s->ctl.nested_cr3 : 0;
    n->asid = s->ctl.asid;
    n->plain = svm_plain(s);
    if (!n->second)
        return;
    struct second_tag tag = tag_of(s);
    second_select(n->translations, &tag);
}

static bool of_asid(const struct second_tag *t, const void *arg)
{
    return (u32)t->more == *(const u32 *)arg;
}

void svm_forget_asid(struct cpu *c, u32 asid)
{
    second_flush(c->nested->translations, of_asid, &asid);
}

static void found(const struct npt_walk *w, u64 gpa, struct second_found *f)
{
    bool writable = (w->rights & PTE_W) && (w->entry[w->depth - 1] & PTE_D);
    f->at = w->page + (gpa & (w->size - 1));
    f->may = (u8)(SECOND_READ | (writable ? SECOND_WRITE : 0) | (w->rights & PTE_NX ? 0 : SECOND_FETCH));
    f->shift = (u8)__builtin_ctzll(w->size);
}

enum outcome npt_translate(struct cpu *c, u64 gpa, const struct second_access *a, struct second_found *f)
{
    const struct svm *s = c->nested->svm;
    bool write = a->write || a->table;
    unsigned need = SECOND_READ | (write ? SECOND_WRITE : 0) | (a->fetch ? SECOND_FETCH : 0);
    if (likely(!a->peek) && second_find(c->nested->translations, gpa, need, f))
        return DONE;
    for (;;) {
        struct npt_walk w;
        walk_begin(&w, c, a->peek);
        bool beyond = gpa >> (w.m->levels == 4 ? 48 : 32);
        bool there = !beyond && walk_read(&w, gpa);
        if (a->peek && !there)
            return FAULT;
        if (!there || (!a->peek && !allowed(&w, write, a->fetch))) {
            second_forget(c->nested->translations, gpa); /* a fault forgets */
            (void)nested_fault(c, gpa, a, write, w.error);
            nested_trace_walk(c, SVM_EXIT_NPF, s->npf_info, gpa, w.entry, w.depth);
            return FAULT;
        }
        if (!a->peek && !walk_mark(&w, write))
            continue;
        found(&w, gpa, f);
        if (!a->peek)
            second_fill(c->nested->translations, gpa, f);
        return DONE;
    }
}
