/* SPDX-License-Identifier: MIT */
/*
 * Guest-physical space: RAM, device regions, page watches. The one door to RAM.
 *
 * A machine has two spaces: memory and I/O ports (a space without RAM). Devices and the CPU reach guest
 * memory only through here. No host pointer outlives the operation it was asked for, except in the CPU's soft
 * TLB, which is told to forget through space_listen().
 *
 * Page watches. A RAM page is watched for CODE (somebody decoded or translated instructions from it) or DIRTY
 * (somebody logs writes). Writers that keep host pointers (soft TLBs) must not write a watched page behind
 * the space's back: they call space_written() instead, or go through space_write(). Setting a watch first
 * makes all of them drop their write pointers (listener's `drop_writes`), so no write is lost.
 *
 * Threads: lookups and accesses from any thread. Regions are added and removed by any thread; a device's
 * callback runs with that region's lock held and none of the space's own, so it may add, move and remove
 * regions.
 */
#ifndef MEM_SPACE_H
#define MEM_SPACE_H

#include <pthread.h>

#include "base/err.h"
#include "base/types.h"

#define PAGE_SIZE  4096ull
#define PAGE_SHIFT 12

struct space;

/* A device's registers. off is relative to the region, size is 1, 2, 4 or 8, never crossing the region's end.
 */
struct region_ops {
    u64 (*read)(void *dev, u64 off, unsigned size);
    void (*write)(void *dev, u64 off, unsigned size, u64 value);
    u8 max_size; /* wider accesses are split into these; 0 means 8 */
};

struct region {
    u64 base, size;
    const struct region_ops *ops;
    void *dev;
    pthread_mutex_t *lock; /* the device's; held around ops; NULL: the device needs none */
    const char *name;      /* for traces; not owned */
};

enum page_watch { PAGE_CODE = 1, PAGE_DIRTY = 2 };

/* What the space knows of one 4 KiB page of RAM. */
struct page_info {
    u8 watch;  /* page_watch bits; atomic */
    u8 writer; /* which soft TLB may hold a write pointer: 0 none, 1 + n for vCPU n < 254, 255 several; atomic
                */
    u16 code_granule; /* of the CODE watch: bit n set while bytes [256n, 256n+255] hold decoded code; atomic
                       */
    u32 code_version; /* changes when decoded bytes of the page may have changed; atomic */
};

/* max_gpa: one past the highest address; accesses beyond read as ones and drop writes. */
struct space *space_new(u64 max_gpa);
void space_free(struct space *s);

/* Anonymous, lazily backed RAM, huge pages where the guest's would be. Page-aligned. Before the machine runs,
 * or with the world stopped. */
int must_check space_add_ram(struct space *s, u64 gpa, u64 size, struct err *err);
/* The same, but the RAM comes and goes in blocks of `block` bytes, a power of two of pages that size and gpa
 * are multiples of. All are absent at first: who accesses an absent block finds nobody there. */
int must_check space_add_pluggable(struct space *s, u64 gpa, u64 size, u64 block, struct err *err);
/* Whole blocks of one such bank, while the machine runs, too. A block comes as zeroes. When it goes all
 * listeners drop their pointers; whoever writes through an older one of its own writes to nothing. */
void space_plug(struct space *s, u64 gpa, u64 size);
void space_unplug(struct space *s, u64 gpa, u64 size);       /* as space_discard() */
u64 space_plugged(const struct space *s, u64 gpa, u64 size); /* how many bytes of the range are RAM now */
/* The region is copied; overlapping an existing region is refused (-1): the newcomer is not decoded. */
int must_check space_add_region(struct space *s, const struct region *r);
void space_remove_region(struct space *s, u64 base, const void *dev);
/* Gives a page range's backing back to the host; the guest reads zeroes after. Page-aligned; what is no RAM
 * is passed over. While the machine runs, too: listeners drop their pointers, code and dirty watches see a
 * write. Not by a thread that a vCPU inside the world waits for. */
void space_discard(struct space *s, u64 gpa, u64 size);

/* Host address of gpa and (len != NULL) how many bytes follow contiguously in that RAM bank; NULL if not RAM.
 */
void *space_ram(const struct space *s, u64 gpa, u64 *len);
/* As space_ram(), and blocks that are absent have an address, too: for who keeps or drops pointers. */
void *space_backing(const struct space *s, u64 gpa, u64 *len);
struct page_info *space_page(const struct space *s, u64 gpa); /* NULL if there is no backing */
/* The inverse for pointers from space_ram(). */
struct page_info *space_page_of_host(const struct space *s, const void *host);
u64 space_gpa_of_host(const struct space *s, const void *host); /* ~0 if not a RAM pointer of this space */
u64 space_ram_size(const struct space *s);                      /* without banks of blocks, as the next two */
/* Every bank of RAM, in the order they were added, until fn returns other than 0; that is returned. */
int space_each_ram(const struct space *s, int (*fn)(void *opaque, u64 gpa, u64 size, void *host),
                   void *opaque);
u64 space_ram_top(const struct space *s,
                  bool below_4g); /* end of the highest bank below / above 4 GiB; 0 if none */

/* DMA and general access, any length, RAM and devices mixed, split as needed. Reads of nothing give ones.
 * Returns 0, or -1 if any byte was neither RAM nor a device. */
int space_read(struct space *s, u64 gpa, void *buf, size_t len);
int space_write(struct space *s, u64 gpa, const void *buf, size_t len);
/* One access of 1, 2, 4 or 8 bytes, as the CPU makes it. Device first, then RAM. False: nobody there. */
bool space_io_read(struct space *s, u64 gpa, unsigned size, u64 *value);
bool space_io_write(struct space *s, u64 gpa, unsigned size, u64 value);

/* Watches. space_written() is called after a store to a watched page by whoever went round space_write(). */
void space_watch_code(struct space *s, u64 gpa, u64 len);
void space_unwatch_code(struct space *s, u64 gpa); /* the page holds no decoded code any more */
void space_written(struct space *s, u64 gpa, u64 len);

/* The watch stands for all of [gpa, gpa+len), which lies in the page of p. Whoever has watched must ask again
 * after having read: a store in between may have taken the watch, or only this part of it, away. */
static inline bool space_watches_code(const struct page_info *p, u64 gpa, u64 len)
{
    unsigned first = gpa >> 8 & 15, last = (gpa + len - 1) >> 8 & 15, mask = (2u << last) - (1u << first);
    return (__atomic_load_n(&p->watch, __ATOMIC_SEQ_CST) & PAGE_CODE) &&
           (__atomic_load_n(&p->code_granule, __ATOMIC_SEQ_CST) & mask) == mask;
}

/* What changed, for who keeps translations of code: counts changes of code_version of any page. A page's
 * version changes first, then the count. */
u64 space_code_changes(const struct space *s);
const u64 *
space_code_counter(const struct space *s); /* where that is, to be looked at by code without a call */
#define SPACE_CHANGES_KEPT 256
/* Pages of the changes since the count was `since`, at most SPACE_CHANGES_KEPT; the count now in *now. -1:
 * there were more than are kept. */
int space_code_changed(struct space *s, u64 since, const struct page_info *page[SPACE_CHANGES_KEPT],
                       u64 *now);

/* Somebody who keeps host pointers. Callbacks come from any thread, with no space lock held. */
struct space_listener {
    /* Every write pointer into [gpa, gpa+len) must be gone when this returns. */
    void (*drop_writes)(void *opaque, u64 gpa, u64 len);
    /* Every pointer into the range must be gone (discard, removal). */
    void (*drop_all)(void *opaque, u64 gpa, u64 len);
    void *opaque;
};
void space_listen(struct space *s, const struct space_listener *l);

/* Dirty log: set while on; fetch-and-clear copies one bit a page of [gpa, gpa+len) to bitmap. */
void space_dirty_log(struct space *s, bool on);
void space_dirty_fetch(struct space *s, u64 gpa, u64 len, u8 *bitmap);

#endif
