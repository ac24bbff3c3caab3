/* SPDX-License-Identifier: MIT */
/*
 * Fault constructors, system-structure accesses, stack frames, and what follows from a change of mode or
 * privilege.
 */
#include "cpu/system.h"

#include "cpu/nested/nested.h"

#include "cpu/debug.h"
#include "cpu/points.h"

enum outcome fault_plain(struct cpu *c, u8 vector)
{
    c->fault = (struct fault){.vector = vector};
    return FAULT;
}

enum outcome fault_error(struct cpu *c, u8 vector, u32 error)
{
    c->fault = (struct fault){.vector = vector, .has_error = true, .error = error};
    return FAULT;
}

static enum tlb_class system_class(const struct cpu *c)
{
    return c->cr4 & CR4_SMAP ? TLB_SUPER_SMAP : TLB_SUPER;
}

enum outcome system_read(struct cpu *c, u64 lin, void *buf, unsigned size)
{
    const void *p = tlb_hit(c->tlb->cur->view[system_class(c)].read, lin, size);
    if (likely(p)) {
        memcpy(buf, p, size);
        return DONE;
    }
    return mmu_read_slow(c, lin, buf, size, AS_SYSTEM);
}

enum outcome system_write(struct cpu *c, u64 lin, const void *buf, unsigned size)
{
    void *p = tlb_hit(c->tlb->cur->view[system_class(c)].write, lin, size);
    if (likely(p)) {
        memcpy(p, buf, size);
        return DONE;
    }
    return mmu_write_slow(c, lin, buf, size, AS_SYSTEM);
}

bool segment_contains(const struct segment *s, u64 off, unsigned size)
{
    u64 last = off + size - 1;
    bool expand_down = (s->attr & SEG_S) && !(s->attr & 8) && (s->attr & 4);
    if (expand_down)
        return off > s->limit && last <= (s->attr & SEG_DB ? 0xffffffffull : 0xffffull);
    return last <= s->limit;
}

static u64 ss_mask(const struct segment *ss)
{
    return ss->attr & SEG_DB ? 0xffffffff : 0xffff;
}

void frame_current(const struct cpu *c, unsigned size, struct stack_frame *f)
{
    f->ss = c->seg[SS];
    f->flat = c->mode == MODE_64;
    f->mask = f->flat ? ~0ull : ss_mask(&f->ss);
    f->sp = c->regs[RSP] & f->mask;
    f->super = false;
    f->ss_error = 0;
    f->size = size;
    f->count = 0;
}

/* Linear address of `size` bytes at a stack offset, limit and canonical form checked. */
static enum outcome frame_linear(struct cpu *c, const struct stack_frame *f, u64 off, unsigned size, u64 *lin)
{
    if (f->flat) {
        *lin = off;
        return canonical(off) && canonical(off + size - 1) ? DONE : fault_error(c, VEC_SS, f->ss_error);
    }
    *lin = (u32)(f->ss.base + off);
    return segment_contains(&f->ss, off, size) ? DONE : fault_error(c, VEC_SS, f->ss_error);
}

/* Item by item where the frame wraps round its stack's end: everything is checked before anything is written.
 */
static enum outcome push_wrapped(struct cpu *c, struct stack_frame *f, enum mmu_as as)
{
    u64 lin[ARRAY_SIZE(f->item)];
    for (unsigned i = 0; i < f->count; i++) {
        u64 off = (f->sp - (u64)(i + 1) * f->size) & f->mask;
        if (frame_linear(c, f, off, f->size, &lin[i]) != DONE ||
            mmu_probe_write(c, lin[i], f->size, as) != DONE)
            return FAULT;
    }
    for (unsigned i = 0; i < f->count; i++)
        if (mmu_write_slow(c, lin[i], &f->item[i], f->size, as) != DONE)
            return FAULT;
    f->sp = (f->sp - (u64)f->count * f->size) & f->mask;
    return DONE;
}

enum outcome frame_push(struct cpu *c, struct stack_frame *f)
{
    bug_on(f->count > ARRAY_SIZE(f->item), "a stack frame of %u items", f->count);
    enum mmu_as as = f->super ? AS_SYSTEM : AS_CURRENT;
    unsigned len = f->count * f->size;
    if (!f->flat && f->sp < len && f->sp)
        return push_wrapped(c, f, as);
    u8 image[sizeof(f->item)];
    for (unsigned i = 0; i < f->count; i++)
        store_le(image + len - (i + 1) * f->size, f->size, f->item[i]);
    u64 off = (f->sp - len) & f->mask, lin;
    if (frame_linear(c, f, off, len, &lin) != DONE)
        return FAULT;
    if ((f->super ? system_write(c, lin, image, len) : mmu_write(c, lin, image, len)) != DONE)
        return FAULT;
    f->sp = off;
    return DONE;
}

enum outcome frame_pop(struct cpu *c, struct stack_frame *f, u64 *v)
{
    u64 lin;
    if (frame_linear(c, f, f->sp, f->size, &lin) != DONE || mmu_load(c, lin, f->size, v) != DONE)
        return FAULT;
    f->sp = (f->sp + f->size) & f->mask;
    return DONE;
}

void frame_commit_sp(struct cpu *c, const struct stack_frame *f)
{
    if (f->mask == 0xffff)
        c->regs[RSP] = (c->regs[RSP] & ~0xffffull) | (f->sp & 0xffff);
    else
        c->regs[RSP] = f->sp & f->mask;
}

static void set_class(struct cpu *c)
{
    enum tlb_class class = TLB_SUPER;
    if (c->cpl == 3)
        class = TLB_USER;
    else if ((c->cr4 & CR4_SMAP) && !(c->rflags & FLAG_AC))
        class = TLB_SUPER_SMAP;
    bool aligned_only = c->cpl == 3 && (c->cr0 & CR0_AM) && (c->rflags & FLAG_AC);
    tlb_set_class(c, class, aligned_only || debug_data_armed(c) || points_watch_data(c));
}

void cpu_privilege_changed(struct cpu *c)
{
    if (real_mode(c))
        c->cpl = 0;
    else
        c->cpl = v86_mode(c) ? 3 : (u8)bits(c->seg[SS].attr, 6, 5);
    if (long_mode(c) && (c->seg[CS].attr & SEG_L))
        c->mode = MODE_64;
    else
        c->mode = c->seg[CS].attr & SEG_DB ? MODE_32 : MODE_16;
    c->code_mode = (u8)(c->mode | (nested_guest(c) ? CODE_GUEST : 0));
    set_class(c);
}

void cpu_mode_changed(struct cpu *c)
{
    cpu_privilege_changed(c);
    mmu_space_changed(c);
}
