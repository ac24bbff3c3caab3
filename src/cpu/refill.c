/* SPDX-License-Identifier: MIT */
/*
 * The soft TLB's tables filled from its second level, for translated code: see mmu_refill(). Everything that
 * it comes to (tlb.c, mem/ram.c) touches general registers alone.
 */
#include "base/general_regs.h"

#include "cpu/mmu.h"
#include "cpu/paging.h"

/* Notes this vCPU as a writer of the page; false when the page is watched and must be written by hand. The
 * order, note then look, is one half of mem/watch.c's promise. */
static bool may_write_directly(struct cpu *c, struct page_info *p)
{
    u8 me = c->index < 254 ? (u8)(c->index + 1) : 255;
    u8 seen = __atomic_load_n(&p->writer, __ATOMIC_RELAXED);
    while (seen != me && seen != 255)
        if (__atomic_compare_exchange_n(&p->writer, &seen, seen ? 255 : me, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            break;
    return !__atomic_load_n(&p->watch, __ATOMIC_SEQ_CST);
}

bool mmu_fill(struct cpu *c, u64 lin, void *host, const struct walk_access *a, unsigned rights)
{
    enum tlb_class class = a->user ? TLB_USER : a->smap ? TLB_SUPER_SMAP : TLB_SUPER;
    bool direct = false;
    if (paging_writable(c, rights, a)) {
        struct page_info *p = space_page_of_host(c->memory, host);
        direct = p && may_write_directly(c, p);
    }
    tlb_fill(c, lin, host, class, direct);
    return direct;
}

void *mmu_refill(struct cpu *c, u64 lin, unsigned size, bool write)
{
    const struct tlb *t = c->tlb;
    enum tlb_class class = c->user_index;
    struct walk_access a = {.write = write, .user = class == TLB_USER, .smap = class == TLB_SUPER_SMAP};
    unsigned rights, span;
    if (t->view == t->never || !canonical(lin) || (lin & (PAGE_SIZE - 1)) + size > PAGE_SIZE)
        return NULL;
    u8 *host = tlb_recall(t, lin, &rights, &span);
    if (!host || !paging_settled(c, rights, &a))
        return NULL;
    if (!write && span)
        tlb_fill_wide(c, lin, host, class);
    return mmu_fill(c, lin, host, &a, rights) || !write ? host : NULL;
}

#include "base/general_regs_end.h"
