/* SPDX-License-Identifier: MIT */
/*
 * Guest linear memory as instructions see it.
 *
 * The inline functions are the fast path: a soft TLB hit. The slow functions (mmu.c) walk the page tables,
 * set A and D bits, fault, fill the TLB, reach devices and split page-crossing accesses (both pages are
 * translated before a byte is written). All return DONE or FAULT; on FAULT nothing was read into the result
 * or written.
 */
#ifndef CPU_MMU_H
#define CPU_MMU_H

#include "cpu/cpu.h"
#include "cpu/tlb.h"

/* SDM 1 3.3.7.1; 48 bits: five-level paging is not offered. */
static inline bool canonical(u64 lin)
{
    return (u64)((i64)(lin << 16) >> 16) == lin;
}

/* Who accesses, for permissions: the current class, or system structures (GDT, IDT, TSS) at supervisor. */
enum mmu_as { AS_CURRENT, AS_SYSTEM, AS_USER };
enum mmu_access { MMU_READ = 0, MMU_WRITE = 1, MMU_FETCH = 2 };

enum outcome mmu_read_slow(struct cpu *c, u64 lin, void *buf, unsigned size, enum mmu_as as);
enum outcome mmu_write_slow(struct cpu *c, u64 lin, const void *buf, unsigned size, enum mmu_as as);
/* Translates for a write without writing (all of [lin, lin+size)): faults now rather than halfway. */
enum outcome mmu_probe_write(struct cpu *c, u64 lin, unsigned size, enum mmu_as as);
/* A locked access here would lock the host's whole bus, for which hosts slow the thread down or kill the
 * process (Intel SDM 3A 9.1.2.3): the guest's are done with the world stopped. */
static inline bool splits_line(const void *p, unsigned size)
{
    return ((u64)p & 63) + size > 64;
}

/* For a data access of the current class that the tables missed: where [lin, lin+size) lies, of which the
 * tables learn. NULL: the second level knows no page that allows it, or it has to be looked at. Touches
 * general registers alone. */
void *mmu_refill(struct cpu *c, u64 lin, unsigned size, bool write);

/* The tables learn of a page that the second level has, with RIGHT_* (paging.h) that allow the access a, not
 * a fetch, at lin. True: it may be written directly. */
struct walk_access;
bool mmu_fill(struct cpu *c, u64 lin, void *host, const struct walk_access *a, unsigned rights);

/* Host pointer for an atomic read-modify-write of [lin, lin+size) with write permission established. *host is
 * NULL when there is none (device, watched page, page or line crossing): then mmu_rmw_begin() stopped the
 * world if needed and copied the value to buf; mmu_rmw_end() writes it back. Always pair them. */
struct rmw {
    void *ptr; /* operate here with the host's LOCK form */
    u64 lin;
    unsigned size;
    bool bounced; /* ptr is buf: world stopped, written back by mmu_rmw_end */
    u8 buf[16] __attribute__((aligned(16)));
};
enum outcome mmu_rmw_begin(struct cpu *c, struct rmw *r, u64 lin, unsigned size);
enum outcome mmu_rmw_end(struct cpu *c, struct rmw *r);

/* Instruction fetch: copies up to len bytes from lin; *got says how many before the next page refused (with
 * the fault in c->fault). FAULT only when not even one byte could be had. */
enum outcome mmu_fetch(struct cpu *c, u64 lin, u8 *buf, unsigned len, unsigned *got);
/* Guest-physical address of a page for execution; *host its RAM, or NULL when it is not RAM. */
enum outcome mmu_fetch_page(struct cpu *c, u64 lin, u64 *gpa, void **host);

/* Linear to the machine's physical, through both dimensions and without any effect; false when not mapped.
 * For debuggers, while the vCPU does not run. */
bool mmu_translate_debug(struct cpu *c, u64 lin, u64 *gpa);

/* Effective linear address of in's memory operand; checks segment limit, type and canonical form for an
 * access of `size` bytes. In 64-bit mode it never faults (the access itself does). */
enum outcome mmu_linear_legacy(struct cpu *c, unsigned seg, u64 offset, unsigned size, bool write, u64 *lin);

static inline u64 insn_ea(const struct cpu *c, const struct insn *in)
{
    u64 ea = c->regs[in->base] + (c->regs[in->index] << in->scale) + (u64)(i64)in->disp;
    if (likely(in->adsize == 8))
        return ea;
    return in->adsize == 4 ? (u32)ea : (u16)ea;
}

static inline enum outcome insn_linear(struct cpu *c, const struct insn *in, unsigned size, bool write,
                                       u64 *lin)
{
    u64 ea = insn_ea(c, in);
    if (likely(c->mode == MODE_64)) {
        *lin = in->seg >= FS ? ea + c->seg[in->seg].base : ea;
        return DONE;
    }
    return mmu_linear_legacy(c, in->seg, ea, size, write, lin);
}

/* size: 1, 2, 4 or 8; value zero-extended. */
static inline enum outcome mmu_load(struct cpu *c, u64 lin, unsigned size, u64 *value)
{
    const void *p = tlb_hit(c->tlb->view->read, lin, size);
    if (likely(p)) {
        *value = load_le(p, size);
        return DONE;
    }
    *value = 0;
    return mmu_read_slow(c, lin, value, size, AS_CURRENT);
}

static inline enum outcome mmu_store(struct cpu *c, u64 lin, unsigned size, u64 value)
{
    void *p = tlb_hit(c->tlb->view->write, lin, size);
    if (likely(p)) {
        store_le(p, size, value);
        return DONE;
    }
    return mmu_write_slow(c, lin, &value, size, AS_CURRENT);
}

/* Any size up to 4096 bytes. */
static inline enum outcome mmu_read(struct cpu *c, u64 lin, void *buf, unsigned size)
{
    const void *p = tlb_hit(c->tlb->view->read, lin, size);
    if (likely(p)) {
        memcpy(buf, p, size);
        return DONE;
    }
    return mmu_read_slow(c, lin, buf, size, AS_CURRENT);
}

static inline enum outcome mmu_write(struct cpu *c, u64 lin, const void *buf, unsigned size)
{
    void *p = tlb_hit(c->tlb->view->write, lin, size);
    if (likely(p)) {
        memcpy(p, buf, size);
        return DONE;
    }
    return mmu_write_slow(c, lin, buf, size, AS_CURRENT);
}

/* GDT, LDT, IDT, TSS: supervisor whatever the CPL. */
static inline enum outcome mmu_load_system(struct cpu *c, u64 lin, unsigned size, u64 *value)
{
    *value = 0;
    return mmu_read_slow(c, lin, value, size, AS_SYSTEM);
}

/* The memory operand of an instruction. */
static inline enum outcome operand_load(struct cpu *c, const struct insn *in, unsigned size, u64 *value)
{
    u64 lin;
    if (unlikely(insn_linear(c, in, size, false, &lin) != DONE))
        return FAULT;
    return mmu_load(c, lin, size, value);
}

static inline enum outcome operand_store(struct cpu *c, const struct insn *in, unsigned size, u64 value)
{
    u64 lin;
    if (unlikely(insn_linear(c, in, size, true, &lin) != DONE))
        return FAULT;
    return mmu_store(c, lin, size, value);
}

/* Called by cpu_mode_changed() and CR writes: selects the TLB context of the current address space. */
void mmu_space_changed(struct cpu *c);

/* Stack. In 64-bit mode size is 8 or 2; the stack-address size follows SS.B otherwise. RSP changes only on
 * DONE. */
enum outcome stack_push(struct cpu *c, unsigned size, u64 value);
enum outcome stack_pop(struct cpu *c, unsigned size, u64 *value);
u64 stack_mask(const struct cpu *c); /* 0xffff, 0xffffffff or all ones */

#endif
