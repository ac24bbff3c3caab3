/* SPDX-License-Identifier: MIT */
/*
 * EPT: guest-physical addresses on their way to memory, and the APIC-access page behind it. SDM 3C 28.3, 29.4
 *
 * Like a guest's own paging structures, entries are read, then judged, then marked accessed and dirty by
 * compare-and-exchange; an entry that changed meanwhile starts the walk again.
 */
#include "cpu/control.h"
#include "cpu/nested/second.h"
#include "cpu/nested/vmx.h"

enum { EPT_R = 1, EPT_W = 2, EPT_X = 4, EPT_RWX = 7, EPT_LARGE = 1 << 7, EPT_A = 1 << 8, EPT_D = 1 << 9 };
enum { EPTP_AD = 1 << 6, LEVELS = 4, TYPE_UC = 0, TYPE_WB = 6, PML_ENTRIES = 512 };

/* Exit qualification. SDM 3C table 27-7 */
enum {
    QUAL_READ = 1,
    QUAL_WRITE = 2,
    QUAL_FETCH = 4,
    QUAL_RIGHTS_SHIFT = 3,
    QUAL_LINEAR = 1 << 7,
    QUAL_FINAL = 1 << 8
};

struct ept_walk {
    u64 entry[LEVELS];
    u64 *host[LEVELS]; /* NULL: not RAM */
    u64 at[LEVELS];
    unsigned depth;
    u64 rights; /* of all entries */
    u64 page, size;
};

enum ept_result { EPT_GOOD, EPT_NOT_PRESENT, EPT_BAD };

bool vmx_eptp_valid(const struct cpu *c, u64 eptp)
{
    u64 type = eptp & 7;
    return (type == TYPE_UC || type == TYPE_WB) && (eptp >> 3 & 7) == LEVELS - 1 && !(eptp & 0xf80) &&
           !(eptp & physical_reserved(c));
}

static u64 entry_read(struct cpu *c, struct ept_walk *w, u64 at, bool peek)
{
    u64 v = 0;
    w->at[w->depth] = at;
    w->host[w->depth] = space_ram(c->memory, at, NULL);
    if (w->host[w->depth])
        return __atomic_load_n(w->host[w->depth], __ATOMIC_RELAXED);
    if (!peek)
        space_io_read(c->memory, at, 8, &v);
    return v;
}

static bool memory_type_valid(u64 e)
{
    unsigned t = (unsigned)bits(e, 5, 3);
    return t == 0 || t == 1 || t == 4 || t == 5 || t == 6;
}

/* SDM 3C 28.3.3.1 */
static bool misconfigured(const struct cpu *c, u64 e, unsigned depth, bool leaf)
{
    unsigned up = LEVELS - 1 - depth;
    if ((e & EPT_W) && !(e & EPT_R))
        return true;
    if (e & physical_reserved(c) & (BIT(52) - 1))
        return true;
    if (!leaf)
        return depth == 0 ? e & 0xf8 : e & 0x78;
    if (up && (e & ((BIT(PAGE_SHIFT + 9 * up) - 1) & ~0xfffull)))
        return true;
    return !memory_type_valid(e);
}

static enum ept_result ept_read(struct cpu *c, u64 eptp, u64 gpa, bool peek, struct ept_walk *w)
{
    u64 table = eptp & 0x000ffffffffff000ull;
    w->depth = 0;
    w->rights = gpa >> 48 ? 0 : EPT_RWX;
    if (gpa >> 48)
        return EPT_NOT_PRESENT;
    for (;;) {
        unsigned depth = w->depth, shift = PAGE_SHIFT + 9 * (LEVELS - 1 - depth);
        u64 e = entry_read(c, w, table + (gpa >> shift & 511) * 8, peek);
        w->entry[depth] = e;
        w->depth++;
        w->rights &= e;
        if (!(e & EPT_RWX))
            return EPT_NOT_PRESENT;
        bool leaf = depth == LEVELS - 1 || (depth && (e & EPT_LARGE));
        if (misconfigured(c, e, depth, leaf))
            return EPT_BAD;
        table = e & 0x000ffffffffff000ull;
        if (leaf) {
            w->size = BIT(shift);
            w->page = table & ~(w->size - 1);
            return EPT_GOOD;
        }
    }
}

/* False: an entry changed, walk again. */
static bool ept_mark(struct cpu *c, struct ept_walk *w, bool write)
{
    for (unsigned d = 0; d < w->depth; d++) {
        u64 old = w->entry[d], mark = EPT_A | (write && d == w->depth - 1 ? EPT_D : 0);
        if ((old & mark) == mark || !w->host[d])
            continue;
        if (!__atomic_compare_exchange_n(w->host[d], &old, old | mark, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST))
            return false;
        w->entry[d] |= mark;
        struct page_info *p = space_page(c->memory, w->at[d]);
        if (p && __atomic_load_n(&p->watch, __ATOMIC_SEQ_CST))
            space_written(c->memory, w->at[d], 8);
    }
    return true;
}

void vmx_select_eptp(struct cpu *c, u64 eptp)
{
    struct second_tag tag = {.root = eptp};
    c->nested->second_root = eptp;
    second_select(c->nested->translations, &tag);
}

_Static_assert((int)EPT_R == SECOND_READ && (int)EPT_W == SECOND_WRITE && (int)EPT_X == SECOND_FETCH,
               "a remembered translation has EPT's bits");

static void remember(struct cpu *c, const struct ept_walk *w, u64 gpa, bool writable, struct second_found *f)
{
    f->at = w->page | (gpa & (w->size - 1));
    f->may = (u8)((w->rights & EPT_RWX & ~(u64)EPT_W) | (writable ? EPT_W : 0));
    f->shift = (u8)__builtin_ctzll(w->size);
    second_fill(c->nested->translations, gpa, f);
}

static enum outcome stop(struct cpu *c, u32 reason, u64 gpa, const struct second_access *a, u64 qualification)
{
    vmx_of(c)->second = (struct second_fault){.reason = reason,
                                              .qualification = qualification,
                                              .physical = gpa,
                                              .linear = a->linear_valid ? a->linear : 0};
    c->fault = (struct fault){.exit = true};
    return FAULT;
}

static enum outcome violation(struct cpu *c, u64 gpa, const struct second_access *a, u64 rights)
{
    u64 q = (a->read ? QUAL_READ : 0) | (a->write ? QUAL_WRITE : 0) | (a->fetch ? QUAL_FETCH : 0);
    q |= rights << QUAL_RIGHTS_SHIFT;
    if (a->linear_valid)
        q |= QUAL_LINEAR | (a->table ? 0 : QUAL_FINAL);
    return stop(c, EXIT_EPT_VIOLATION, gpa, a, q);
}

/* With A and D flags, an access to a guest paging-structure entry counts as a write. SDM 3C 28.3.3.2 */
static bool needs_write(u64 eptp, const struct second_access *a)
{
    return a->write || (a->table && (eptp & EPTP_AD));
}

/* Page-modification logging. SDM 3C 28.3.6 */
static bool log_full(struct cpu *c)
{
    const struct vmcs *v = &vmx_of(c)->v;
    return ctl2(v, PML) && v->f[VMCS_PML_INDEX] >= PML_ENTRIES;
}

static void log_write(struct cpu *c, u64 gpa)
{
    struct vmcs *v = &vmx_of(c)->v;
    u64 page = gpa & ~0xfffull;
    if (!ctl2(v, PML))
        return;
    (void)space_write(c->memory, v->f[VMCS_PML_ADDRESS] + 8 * v->f[VMCS_PML_INDEX], &page, 8);
    v->f[VMCS_PML_INDEX] = (u16)(v->f[VMCS_PML_INDEX] - 1);
}

static enum outcome ept_translate(struct cpu *c, u64 gpa, const struct second_access *a,
                                  struct second_found *f)
{
    u64 eptp = c->nested->second_root;
    bool write = needs_write(eptp, a);
    u64 need = (a->read ? EPT_R : 0) | (write ? EPT_W : 0) | (a->fetch ? EPT_X : 0);
    if (second_find(c->nested->translations, gpa, (unsigned)need, f))
        return DONE;
    for (;;) {
        struct ept_walk w;
        enum ept_result r = ept_read(c, eptp, gpa, false, &w);
        if (r == EPT_BAD) {
            nested_trace_walk(c, EXIT_EPT_MISCONFIGURATION, 0, gpa, w.entry, w.depth);
            return stop(c, EXIT_EPT_MISCONFIGURATION, gpa, a, 0);
        }
        if (r == EPT_NOT_PRESENT || (w.rights & need) != need) {
            struct second_access shown = *a;
            second_forget(c->nested->translations, gpa); /* a violation forgets. SDM 3C 28.4.3.1 */
            shown.write = write;
            shown.read = a->read || a->table; /* accessed and dirty bits: read, then written */
            (void)violation(c, gpa, &shown, r == EPT_NOT_PRESENT ? 0 : w.rights & EPT_RWX);
            nested_trace_walk(c, EXIT_EPT_VIOLATION, vmx_of(c)->second.qualification, gpa, w.entry, w.depth);
            return FAULT;
        }
        bool dirties = write && (eptp & EPTP_AD) && !(w.entry[w.depth - 1] & EPT_D);
        if (dirties && log_full(c))
            return stop(c, EXIT_PML_FULL, gpa, a, 0);
        if ((eptp & EPTP_AD) && !ept_mark(c, &w, write))
            continue;
        if (dirties)
            log_write(c, gpa);
        bool writable = (w.rights & EPT_W) && (!(eptp & EPTP_AD) || (w.entry[w.depth - 1] & EPT_D));
        remember(c, &w, gpa, writable, f);
        return DONE;
    }
}

static enum outcome ept_peek(struct cpu *c, u64 gpa, u64 *out)
{
    struct ept_walk w;
    if (ept_read(c, c->nested->second_root, gpa, true, &w) != EPT_GOOD)
        return FAULT;
    *out = w.page | (gpa & (w.size - 1));
    return DONE;
}

/* SDM 3C 29.4, table 27-6 */
static enum outcome apic_access(struct cpu *c, u64 gpa, const struct second_access *a, u64 *out)
{
    if (!a->fetch && !a->table && !c->delivering && vmx_apic_virtualized(c, gpa & 0xfff, a->size, a->write)) {
        *out = vmx_of(c)->v.f[VMCS_VIRTUAL_APIC] | (gpa & 0xfff);
        return END;
    }
    u64 type = a->fetch ? 2 : a->write ? 1 : 0;
    if (c->delivering)
        type = 3;
    if (a->table)
        type = c->delivering ? 10 : 15;
    return stop(c, EXIT_APIC_ACCESS, gpa, a, (type >= 10 ? 0 : gpa & 0xfff) | type << 12);
}

enum outcome vmx_translate(struct cpu *c, u64 gpa, const struct second_access *a, struct second_found *f)
{
    const struct vmcs *v = &vmx_of(c)->v;
    *f = (struct second_found){.at = gpa, .may = SECOND_ALL, .shift = 63};
    if (a->peek)
        return ctl2(v, EPT) ? ept_peek(c, gpa, &f->at) : DONE;
    if (ctl2(v, EPT) && ept_translate(c, gpa, a, f) != DONE)
        return FAULT;
    if (!ctl2(v, APIC_ACCESSES) || (f->at ^ v->f[VMCS_APIC_ACCESS]) >> f->shift)
        return DONE;
    f->shift = PAGE_SHIFT;
    return (f->at ^ v->f[VMCS_APIC_ACCESS]) >> PAGE_SHIFT ? DONE : apic_access(c, f->at, a, &f->at);
}
