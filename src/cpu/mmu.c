/* SPDX-License-Identifier: MIT */
/*
 * The slow path of guest memory accesses: everything a soft TLB hit does not settle.
 *
 * An access is cut into at most two pages. Both are translated before anything is transferred, so a fault on
 * the second page leaves no trace of the first. A translated page is RAM (then the TLB is filled, unless the
 * page is watched) or a device (called outside the world, because it may block).
 */
#include "cpu/mmu.h"

#include "cpu/points.h"
#include "cpu/nested/nested.h"
#include "cpu/paging.h"
#include "cpu/world.h"

/* One page's part of an access. */
struct part {
    u64 gpa;
    u8 *host; /* NULL: a device, or nothing */
    unsigned size;
};

static enum outcome noncanonical(struct cpu *c)
{
    c->fault = (struct fault){.vector = VEC_GP, .has_error = true, .noncanonical = true};
    return FAULT;
}

static bool is_canonical(u64 lin)
{
    return (u64)((i64)(lin << 16) >> 16) == lin;
}

static enum tlb_class class_of(const struct cpu *c, enum mmu_as as)
{
    if (as == AS_CURRENT)
        return c->user_index;
    if (as == AS_USER)
        return TLB_USER;
    return c->cr4 & CR4_SMAP ? TLB_SUPER_SMAP : TLB_SUPER;
}

/* As much of the page as lies in one piece of memory. */
static void remember(struct cpu *c, u64 lin, const struct walk_result *r)
{
    for (unsigned span = r->span >= 30 ? 30 : r->span >= 21 ? 21 : PAGE_SHIFT;; span -= 9) {
        u64 room, mask = BIT(span) - 1;
        const void *base = space_ram(c->memory, r->gpa & ~mask, &room);
        if (span > PAGE_SHIFT && (!base || room <= mask))
            continue;
        if (base)
            tlb_remember(c->tlb, lin, base, (u8)span, r->shift, r->rights);
        return;
    }
}

/* Where an access to RAM goes: by the second level, or by a walk, which that then remembers (and only then
 * are r->shift and r->span known). *host: NULL when it is no RAM. */
static enum outcome find_page(struct cpu *c, u64 lin, const struct walk_access *a, struct walk_result *r,
                              u8 **host)
{
    unsigned rights, size;
    *host = canonical(lin) ? tlb_recall(c->tlb, lin, &rights, &size) : NULL;
    if (*host && paging_settled(c, rights, a)) {
        *r = (struct walk_result){.gpa = space_gpa_of_host(c->memory, *host), .rights = (u8)rights};
        return DONE;
    }
    if (paging_walk(c, lin, a, r) != DONE) {
        tlb_forget_page(c, lin);
        return FAULT;
    }
    *host = space_ram(c->memory, r->gpa, NULL);
    if (*host && likely(!r->once))
        remember(c, lin, r);
    return DONE;
}

static enum outcome translate(struct cpu *c, u64 lin, unsigned size, enum tlb_class class, bool write,
                              struct part *p)
{
    if (c->mode == MODE_64 && !is_canonical(lin))
        return noncanonical(c);
    struct walk_access a = {.write = write,
                            .user = class == TLB_USER,
                            .smap = class == TLB_SUPER_SMAP,
                            .size = size <= 8 ? (u8)size : 0};
    struct walk_result r;
    if (find_page(c, lin, &a, &r, &p->host) != DONE)
        return FAULT;
    p->gpa = r.gpa;
    p->size = size;
    if (p->host && likely(!r.once))
        (void)mmu_fill(c, lin, p->host, &a, r.rights);
    return DONE;
}

/* Cuts [lin, lin+size) at a page edge and translates both sides. */
static enum outcome translate_all(struct cpu *c, u64 lin, unsigned size, enum mmu_as as, bool write,
                                  struct part p[2])
{
    enum tlb_class class = class_of(c, as);
    unsigned first = (unsigned)(PAGE_SIZE - (lin & (PAGE_SIZE - 1)));
    p[1].size = 0;
    if (first >= size)
        return translate(c, lin, size, class, write, &p[0]);
    u64 next = lin + first;
    if (c->mode != MODE_64 && as == AS_CURRENT) /* system structures lie anywhere in IA-32e mode */
        next = (u32)next;
    if (translate(c, lin, first, class, write, &p[0]) != DONE)
        return FAULT;
    return translate(c, next, size - first, class, write, &p[1]);
}

/* Alignment checking applies to user data accesses of 2, 4, 8 (and 16) bytes. SDM 3A 6.15 #AC */
static bool misaligned(const struct cpu *c, u64 lin, unsigned size, enum mmu_as as)
{
    return as == AS_CURRENT && c->cpl == 3 && (c->cr0 & CR0_AM) && (c->rflags & FLAG_AC) && size <= 16 &&
           !(size & (size - 1)) && (lin & (size - 1));
}

/* Data breakpoints report after the instruction. SDM 3B 17.2.4 */
static void watch_data(struct cpu *c, u64 lin, unsigned size, bool write)
{
    static const u8 length[4] = {1, 2, 8, 4};
    for (unsigned i = 0; i < 4; i++) {
        unsigned type = (unsigned)bits(c->dr7, 17 + 4 * i, 16 + 4 * i);
        unsigned len = length[bits(c->dr7, 19 + 4 * i, 18 + 4 * i)];
        u64 base = c->dr[i] & ~(u64)(len - 1);
        bool kind = type == 3 || (type == 1 && write);
        if (kind && (c->dr7 >> (2 * i) & 3) && lin < base + len && base < lin + size)
            c->pending_dr6 |= BIT(i);
    }
}

/* A device may have asked for an interrupt: it comes at the next instruction, however blocks are cut. */
static void device_read(struct cpu *c, const struct part *p, u8 *buf)
{
    c->code_dirty = 1;
    world_leave(c);
    if (p->size <= 8 && !(p->size & (p->size - 1))) {
        u64 v;
        space_io_read(c->memory, p->gpa, p->size, &v);
        store_le(buf, p->size, v);
    } else {
        space_read(c->memory, p->gpa, buf, p->size);
    }
    world_enter(c);
}

static void device_write(struct cpu *c, const struct part *p, const u8 *buf)
{
    c->code_dirty = 1;
    world_leave(c);
    if (p->size <= 8 && !(p->size & (p->size - 1)))
        space_io_write(c->memory, p->gpa, p->size, load_le(buf, p->size));
    else
        space_write(c->memory, p->gpa, buf, p->size);
    world_enter(c);
}

/* Stores the guest can order against other vCPUs stay whole. */
static void copy_whole(void *to, const void *from, unsigned size)
{
    if (size == 8)
        __atomic_store_n((u64 *)to, load_le(from, 8), __ATOMIC_RELEASE);
    else if (size == 4)
        __atomic_store_n((u32 *)to, (u32)load_le(from, 4), __ATOMIC_RELEASE);
    else
        memcpy(to, from, size);
}

static void ram_write(struct cpu *c, const struct part *p, const u8 *buf)
{
    copy_whole(p->host, buf, p->size);
    struct page_info *info = space_page(c->memory, p->gpa);
    if (!info || !__atomic_load_n(&info->watch, __ATOMIC_SEQ_CST))
        return;
    u32 version = __atomic_load_n(&info->code_version, __ATOMIC_SEQ_CST);
    space_written(c->memory, p->gpa, p->size);
    if (__atomic_load_n(&info->code_version, __ATOMIC_SEQ_CST) != version)
        c->code_dirty = 1;
}

enum outcome mmu_read_slow(struct cpu *c, u64 lin, void *buf, unsigned size, enum mmu_as as)
{
    struct part p[2];
    if (unlikely(misaligned(c, lin, size, as)))
        return fault_error(c, VEC_AC, 0);
    if (translate_all(c, lin, size, as, false, p) != DONE)
        return FAULT;
    if (unlikely(c->dr7 & 0xff) && as == AS_CURRENT)
        watch_data(c, lin, size, false);
    if (points_watch_data(c))
        points_data(c, lin, size, false);
    u8 *to = buf;
    for (unsigned i = 0; i < 2 && p[i].size; to += p[i].size, i++) {
        if (p[i].host)
            memcpy(to, p[i].host, p[i].size);
        else
            device_read(c, &p[i], to);
    }
    return DONE;
}

enum outcome mmu_write_slow(struct cpu *c, u64 lin, const void *buf, unsigned size, enum mmu_as as)
{
    struct part p[2];
    if (unlikely(misaligned(c, lin, size, as)))
        return fault_error(c, VEC_AC, 0);
    if (translate_all(c, lin, size, as, true, p) != DONE)
        return FAULT;
    if (unlikely(c->dr7 & 0xff) && as == AS_CURRENT)
        watch_data(c, lin, size, true);
    if (points_watch_data(c))
        points_data(c, lin, size, true);
    const u8 *from = buf;
    for (unsigned i = 0; i < 2 && p[i].size; from += p[i].size, i++) {
        if (p[i].host)
            ram_write(c, &p[i], from);
        else
            device_write(c, &p[i], from);
    }
    return DONE;
}

enum outcome mmu_probe_write(struct cpu *c, u64 lin, unsigned size, enum mmu_as as)
{
    struct part p[2];
    if (unlikely(misaligned(c, lin, size, as)))
        return fault_error(c, VEC_AC, 0);
    return translate_all(c, lin, size, as, true, p);
}

enum outcome mmu_rmw_begin(struct cpu *c, struct rmw *r, u64 lin, unsigned size)
{
    r->lin = lin;
    r->size = size;
    r->bounced = false;
    r->ptr = tlb_hit(c->tlb->view->write, lin, size);
    if (likely(r->ptr && !splits_line(r->ptr, size)))
        return DONE;
    if (mmu_probe_write(c, lin, size, AS_CURRENT) != DONE)
        return FAULT;
    r->ptr = tlb_hit(c->tlb->view->write, lin, size);
    if (r->ptr && !splits_line(r->ptr, size))
        return DONE;
    world_stop(c->world, c);
    r->bounced = true;
    r->ptr = r->buf;
    if (mmu_read_slow(c, lin, r->buf, size, AS_CURRENT) == DONE)
        return DONE;
    world_start(c->world, c);
    return FAULT;
}

enum outcome mmu_rmw_end(struct cpu *c, struct rmw *r)
{
    if (likely(!r->bounced))
        return DONE;
    enum outcome o = mmu_write_slow(c, r->lin, r->buf, r->size, AS_CURRENT);
    world_start(c->world, c);
    return o;
}

enum outcome mmu_fetch_page(struct cpu *c, u64 lin, u64 *gpa, void **host)
{
    if (c->mode == MODE_64 && !is_canonical(lin))
        return noncanonical(c);
    bool user = c->cpl == 3;
    struct walk_access a = {.fetch = true, .user = user};
    struct walk_result r;
    u8 *p;
    if (find_page(c, lin, &a, &r, &p) != DONE)
        return FAULT;
    *gpa = r.gpa;
    *host = p;
    if (p && likely(!r.once))
        tlb_fill_fetch(c, lin, p, user, r.rights & RIGHT_G);
    return DONE;
}

enum outcome mmu_fetch(struct cpu *c, u64 lin, u8 *buf, unsigned len, unsigned *got)
{
    *got = 0;
    while (*got < len) {
        u64 at = lin + *got, gpa;
        if (c->mode != MODE_64)
            at = (u32)at;
        void *host = tlb_hit(c->tlb->x, at, 1);
        unsigned room = (unsigned)(PAGE_SIZE - (at & (PAGE_SIZE - 1)));
        unsigned n = len - *got < room ? len - *got : room;
        if (!host && mmu_fetch_page(c, at, &gpa, &host) != DONE)
            return *got ? DONE : FAULT;
        if (host) {
            memcpy(buf + *got, host, n);
        } else { /* code in a device: ROM-like, byte by byte */
            struct part p = {.gpa = gpa, .size = n};
            device_read(c, &p, buf + *got);
        }
        *got += n;
    }
    return DONE;
}

bool mmu_translate_debug(struct cpu *c, u64 lin, u64 *gpa)
{
    if (!(c->efer & EFER_LMA))
        lin = (u32)lin;
    return is_canonical(lin) && paging_peek(c, lin, gpa);
}

/* Segment checks outside 64-bit mode. SDM 3A 5.3 (limits), 5.5 (types) */
enum outcome mmu_linear_legacy(struct cpu *c, unsigned seg, u64 offset, unsigned size, bool write, u64 *lin)
{
    const struct segment *s = &c->seg[seg];
    u8 vector = seg == SS ? VEC_SS : VEC_GP;
    *lin = (u32)(s->base + offset);
    bool code = s->attr & 8, rw = s->attr & 2;
    if ((c->cr0 & CR0_PE) && !(c->rflags & FLAG_VM)) {
        if ((s->attr & SEG_UNUSABLE) || !(s->attr & SEG_P))
            return fault_error(c, vector, 0);
        if (write ? code || !rw : code && !rw)
            return fault_error(c, vector, 0);
    }
    u64 last = offset + size - 1;
    if (!code && (s->attr & 4) && (s->attr & SEG_S)) { /* expand down: valid above the limit */
        u64 top = s->attr & SEG_DB ? 0xffffffff : 0xffff;
        return offset <= s->limit || last > top ? fault_error(c, vector, 0) : DONE;
    }
    return last > s->limit ? fault_error(c, vector, 0) : DONE;
}

/* What of the control registers TLB entries depend on. */
static u8 paging_tag(const struct cpu *c)
{
    if (!(c->cr0 & CR0_PG))
        return 0;
    return (u8)(1 | (c->cr0 & CR0_WP ? 2 : 0) | (c->cr4 & CR4_SMEP ? 4 : 0) | (c->cr4 & CR4_SMAP ? 8 : 0) |
                (c->efer & EFER_NXE ? 16 : 0) | (c->efer & EFER_LMA ? 32 : 0) | (c->cr4 & CR4_PAE ? 64 : 0) |
                (c->cr4 & CR4_PSE ? 128 : 0));
}

void mmu_space_changed(struct cpu *c)
{
    struct tlb_tag tag = {.mode = paging_tag(c)};
    if (c->cr0 & CR0_PG) {
        tag.root = c->cr3 & 0x000fffffffffffe0ull & ~(c->efer & EFER_LMA ? 0xfffull : 0);
        tag.pcid = c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0;
    }
    if (nested_guest(c)) {
        tag.level = 1;
        tag.asid = c->nested->asid;
        tag.nested = c->nested->second ? c->nested->second_root : 0;
    }
    tlb_select(c, &tag);
}
