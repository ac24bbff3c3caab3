/* SPDX-License-Identifier: MIT */
/*
 * Soft TLB: linear page -> host address, tagged by address space.
 *
 * A vCPU has TLB_CONTEXTS contexts. Each belongs to one address space, named by `struct tlb_tag`, and holds
 * three access classes times {read, write} plus two fetch tables. The current context is c->tlb->cur;
 * changing address space changes that pointer and flushes nothing, but that a root takes over the context of
 * the one before it under the same PCID, and what code went to in global pages with it. An entry hits when
 * its tag equals the page of the access's last byte while the index comes from the first, so page-crossing
 * accesses miss by themselves. An empty entry's tag is a page of another index: no address that looks here
 * can be in it, and translated code may compare by XOR. Behind these tables is a larger one (stlb.h), which
 * is asked before paging structures are.
 *
 * Entries exist only for RAM whose permissions, accessed and (for writes) dirty bits are settled and that is
 * not watched (mem/space.h). Everything else, devices included, takes the slow path in mmu.c each time. Never
 * keep an entry's host pointer across anything that can fault, run a device or stop the world.
 */
#ifndef CPU_TLB_H
#define CPU_TLB_H

#include "cpu/cpu.h"
#include "cpu/stlb.h"

#define TLB_BITS     12 /* kernels use few pages of many kinds at once: with 10 most misses were conflicts */
#define TLB_SIZE     (1u << TLB_BITS)
#define TLB_CONTEXTS 16
/* The tag of an empty entry at index i: not the page before or after one that looks there, either. */
#define TLB_EMPTY(i) ((((i) + 1) & (TLB_SIZE - 1)) > 1 ? 0 : (u64)(TLB_SIZE / 2) << PAGE_SHIFT)

/* Access classes. SMAP: supervisor without EFLAGS.AC; implicit supervisor accesses always use it. */
enum tlb_class { TLB_SUPER, TLB_USER, TLB_SUPER_SMAP, TLB_CLASSES };

struct tlb_entry {
    u64 tag; /* page-aligned linear address, or TLB_EMPTY of its index */
    u64 to;  /* what makes a host address of a linear one, added to it */
};

/* An address space's name. root: CR3 page frame when PCIDs are off. */
struct tlb_tag {
    u64 root;   /* CR3 bits 51:12 */
    u64 nested; /* EPTP or nCR3; 0 at level 0 */
    u32 asid;   /* VPID or ASID; 0 outside nested operation */
    u16 pcid;
    u8 level; /* 0 root or host, 1 non-root or guest */
    u8 mode;  /* paging mode and the control bits entries depend on (WP, SMEP, NXE, ...) */
};

#define TLB_JOURNAL 4096
#define TLB_FETCHED 8192
#define TLB_LARGE   512
#define TLB_GIANT   64
#define TLB_WRITTEN 8192
#define TLB_HELD    16384

/* A page that one place of translated code went to last, so that it need not look for it: an entry without an
 * index. It is of linear addresses from `page` on, less than `room` above it; room 0: it is closed. Who
 * opened it knows for which accesses, from the entries of those. */
struct tlb_slot {
    u64 page, room;
    u64 to;          /* as an entry's */
    u32 when, often; /* translated code's: see its runtime */
};
#define TLB_SLOTS 1024

/* What a translator notes of places that code of a class goes to, found by the low bits of their address, and
 * of jumps that go to such places from one page (`link`: the page's address and the jump's number, 0: none).
 * It is right as long as tlb_fetch_id() is `notes_id`. */
enum { TLB_NOTES = 8192, TLB_NOTES_CHUNK = 64 };
struct tlb_note {
    u64 lin; /* one of another place: nothing */
    u64 what;
};

/* Reads that miss in the tables, but lie in a large page: an entry's tag is the address of its 2 MiB. */
enum { TLB_WIDE = 64, TLB_WIDE_SHIFT = 21 };
static inline unsigned tlb_wide_index(u64 lin)
{
    return lin >> TLB_WIDE_SHIFT & (TLB_WIDE - 1);
}

/* What data accesses of one class see, and the notes. */
struct tlb_view {
    struct tlb_entry wide[TLB_WIDE];
    u32 slots_open;
    u16 open[TLB_SLOTS]; /* which */
    struct tlb_slot slot[TLB_SLOTS];
    struct tlb_entry read[TLB_SIZE], write[TLB_SIZE];
    struct tlb_note note[TLB_NOTES];
    u64 link[TLB_NOTES];
    u8 noted[TLB_NOTES / TLB_NOTES_CHUNK],
        linked[TLB_NOTES / TLB_NOTES_CHUNK]; /* pieces that are not empty */
    u64 notes_id;                            /* 0: nobody notes anything */
};

/* A paging-structure cache, of 4-level paging: where the page table of a region of 2 MiB lies. SDM 3A 4.10.3
 */
enum { TLB_PATHS = 32 };
struct tlb_path {
    u64 region;       /* 1 + the linear address's bits from 21 on; 0: none */
    const u64 *table; /* in host memory */
    u64 rights;       /* what the entries above it allow: struct walk's */
};

struct tlb_ctx {
    struct tlb_tag tag;
    bool used;
    u64 last_use;
    u64 fetch_id;                  /* see tlb_fetch_id() */
    u64 fetched[TLB_FETCHED / 64]; /* pages that may have had a fetch entry since it was cleared, by hashes */
    /* The same as fetch_id, of all contexts whose global pages are the same. What supervisor code fetches
     * goes by it, unless some of that was not global: `alone`. */
    u64 global_id;
    bool alone;
    u32 second_id; /* its entries' in the second level */
    u8 sizes;      /* pages that it may have there: bit n for size n of stlb.h */
    bool pieces;   /* some of them may be pieces of larger pages */
    bool wide;     /* some view may have wide entries */
    /* Where entries may be pieces of a large page, by hashes: INVLPG forgets all of them. The lower and the
     * upper half of the address space apart: kernels map memory by large pages, programs suffer faults. */
    u64 large[2][TLB_LARGE / 64]; /* regions of 2 MiB, for pages of at most that */
    u64 giant[2][TLB_GIANT / 64]; /* of 1 GiB, for larger ones */
    u64 held[TLB_HELD / 64]; /* pages of 4 KiB that may have had an entry of their own since then, likewise */
    u64 written[TLB_WRITTEN / 64]; /* host pages that may have had a write entry under it, by hashes */
    unsigned filled;               /* places in journal; TLB_JOURNAL + 1: too many, clear everything */
    struct tlb_path path[TLB_PATHS];
    u16 journal[TLB_JOURNAL]; /* which places hold entries, so that a flush costs what was filled */
    struct tlb_view view[TLB_CLASSES];
    struct tlb_entry fetch[2][TLB_SIZE]; /* supervisor, user */
};
#define TLB_TABLES (2 * TLB_CLASSES + 2)
_Static_assert(TLB_TABLES *TLB_SIZE <= 65536, "a place in the journal is 16 bits");

struct tlb {
    struct tlb_ctx *cur;
    struct stlb *second;
    struct tlb_view *view;             /* cur's for the current access class, or `never` */
    struct tlb_entry *x;               /* cur's for fetches */
    struct tlb_ctx *ctx[TLB_CONTEXTS]; /* allocated on first use */
    struct tlb_ctx
        *recent[TLB_CONTEXTS];   /* by hash of the tag: where it was lately, to be checked; or NULL */
    struct tlb_view *never;      /* without entries: accesses that must be looked at one by one */
    u64 clock;                   /* LRU */
    u64 fetch_ids;               /* the last one given */
    u64 global_low, global_high; /* between lie all pages with a fetch entry under some global_id */
};

static inline unsigned tlb_index(u64 lin)
{
    return (lin >> PAGE_SHIFT) & (TLB_SIZE - 1);
}

/* Host address of [lin, lin+size) in a table, or NULL. */
static inline void *tlb_hit(const struct tlb_entry *table, u64 lin, unsigned size)
{
    const struct tlb_entry *e = &table[tlb_index(lin)];
    if (likely(e->tag == ((lin + size - 1) & ~(PAGE_SIZE - 1))))
        return (void *)(e->to + lin);
    return NULL;
}

/* Names what fetches see now: two that are equal mean that every page fetched under the first still leads
 * where it led, whether or not its entry is still there. Ids only grow. */
static inline u64 tlb_fetch_id(const struct tlb *t)
{
    bool user = t->x == t->cur->fetch[1];
    return (user || t->cur->alone ? t->cur->fetch_id : t->cur->global_id) * 2 + user;
}

/* Before translated code runs: the present view's notes are right, or there are none. */
void tlb_begin_notes(struct tlb *t);
void tlb_forget_notes(struct tlb *t); /* of all views */

struct tlb *tlb_new(void);
void tlb_free(struct tlb *t);
/* Makes the context of `tag` current (flushed if it has to be taken from another), points view and x at the
 * class. */
void tlb_select(struct cpu *c, const struct tlb_tag *tag);
/* Data accesses from now on are of this class. look: none may hit (alignment checks, data breakpoints). */
void tlb_set_class(struct cpu *c, enum tlb_class class, bool look);
/* Reads of the 2 MiB around lin, whose page is not smaller and one piece of memory. host: of the byte at lin.
 */
void tlb_fill_wide(struct cpu *c, u64 lin, void *host, enum tlb_class class);
/* Of a page that tlb_remember() was told of. global: it is the same in all spaces (CR4.PGE, G). */
void tlb_fill(struct cpu *c, u64 lin, void *host, enum tlb_class class, bool write);
void tlb_fill_fetch(struct cpu *c, u64 lin, void *host, bool user, bool global);
/* The second level: what it has of the page at lin, which is canonical (NULL: nothing; size: stlb.h's), and
 * what it is to have. `base` is the host's address of the first byte of the 1 << span bytes around lin, span
 * 12, 21 or 30; shift: log2 of the size of the guest's own page. */
static inline u8 *tlb_recall(const struct tlb *t, u64 lin, unsigned *rights, unsigned *size)
{
    *size = t->cur->sizes;
    return stlb_find(t->second, t->cur->second_id, lin, size, rights);
}
void tlb_remember(struct tlb *t, u64 lin, const void *base, u8 span, u8 shift, unsigned rights);
/* The page table of the region around lin, as the present context has it; NULL: it does not know. */
static inline const struct tlb_path *tlb_path(const struct tlb *t, u64 lin)
{
    const struct tlb_path *p = &t->cur->path[lin >> 21 & (TLB_PATHS - 1)];
    return p->region == (lin >> 21) + 1 ? p : NULL;
}
void tlb_note_path(struct tlb *t, u64 lin, const u64 *table, u64 rights);
void tlb_lose_tables(struct tlb *t); /* the current context's first level: for chaos */

/* What the architecture invalidates, and more, which it allows: entries do not remember G, so global pages go
 * with the others of a context. Only what names fetches outlives changes of CR3 for global pages, which may
 * be used in any space until they are invalidated (SDM 3A 4.10.2.4). A page is the guest's own, of whatever
 * size, though the entries are its pieces (SDM 3A 4.10.2.3). */
void tlb_flush_all(struct cpu *c);     /* every context */
void tlb_flush_current(struct cpu *c); /* MOV CR3: the present PCID, in every mode. SDM 3A 4.10.4.1 */
void tlb_flush_pcid(struct cpu *c, u16 pcid);
void tlb_flush_page(struct cpu *c, u64 lin); /* INVLPG: in every context, the page may be global in any */
/* A fault: of the present PCID what translates this address. SDM 3A 4.10.4.1, 3C 28.4.3.1 */
void tlb_forget_page(struct cpu *c, u64 lin);
void tlb_flush_matching(struct cpu *c, bool (*match)(const struct tlb_tag *, const void *), const void *arg);
/* By host address range, for watches and removed memory. Only on the own thread or with the world stopped. */
void tlb_drop_host(struct tlb *t, u64 host, u64 len, bool writes_only);

#endif
