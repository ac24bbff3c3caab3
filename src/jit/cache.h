/* SPDX-License-Identifier: MIT */
/*
 * The code cache of a machine: translated blocks, shared by all its vCPUs.
 *
 * Memory (cache.c). Code, and what C knows of it (units), lie in REGIONS regions that are filled one after
 * the other, round and round. The region behind the one being filled is kept empty: its blocks are shut and
 * nothing leads into it, and it is filled once no vCPU can be in it any more. That is told by epochs: each
 * eviction begins one, and a vCPU notes the present epoch when it goes into translated code, or looks blocks
 * up, and when it comes by C with none of it on its stack. Nobody ever waits for that: as long as there is no
 * room, blocks are interpreted.
 *
 * Finding (blocks.c). Readers, translated code among them, take no lock; they are inside an epoch. All
 * changes are made under the lock, which is only ever tried: who does not get it leaves the block to the
 * interpreter.
 *
 * Code is changed while other threads run it. Only bytes within one aligned quadword change, in one store,
 * and the old and the new instructions begin at the same places, so that a thread fetches the one or the
 * other (APM 2 7.6.1). Which of the two does not matter to it unless it has seen, as data, that code changed
 * (cache_see_changes()) or went (cache_enter()): then it has executed a serializing instruction since
 * (SDM 3A 9.1.3).
 */
#ifndef JIT_CACHE_H
#define JIT_CACHE_H

#include <pthread.h>

#include "base/exec_pages.h"
#include "jit/jit.h"
#include "jit/translate.h"

enum { CACHE_REGIONS = JIT_PARTS };
enum { CACHE_BUCKET_BITS = 15, CACHE_PAGE_BITS = 12, CACHE_HEAT_BITS = 12, CACHE_HEAT_WAYS = 4 };

/* That a block was made from a page as it was at a version. */
struct jit_page_ref {
    const struct page_info *page;
    u32 version;
    struct jit_block *block;
    struct jit_page_ref *next, **back; /* in the page's bucket */
};

/* What C knows of a translated block; its sites stand behind it. What is not said to be the lock's does not
 * change. */
struct jit_block {
    const u8 *host, *host2;           /* as in struct block */
    _Atomic(struct jit_block *) next; /* in its bucket */
    struct jit_exit *in;              /* the lock's: exits that lead here */
    struct jit_page_ref *ref;         /* of `refs` pages, its own first; below them lie its exits */
    u32 version, version2;
    u32 far;        /* where it lies in the code cache */
    u16 near, body; /* as in struct translation */
    u16 sites, exits;
    u8 mode, count, refs;
    bool shut;  /* the lock's: nobody finds it any more */
    bool trace; /* of a trace, which begins there */
    struct jit_site site[];
};

struct cache_region {
    u32 code;         /* used up to here, as an offset in the code cache */
    size_t low, high; /* units are used from the region's start up to low, and from high up to its end */
    u64 left_at;      /* the epoch from which on nobody can go in */
};

/* A vCPU, as the cache knows it. */
struct cache_user {
    _Atomic u64 at; /* the epoch it is in, 0: outside */
    u64 last;       /* the one it was in last; its own */
    u64 changes;    /* of code, that it knows to have been seen to; its own */
    struct cpu *cpu;
    struct cache_user *next; /* the lock's */
};

struct jit_cache {
    struct exec_pages pages; /* begins with the routines */
    struct jit_runtime rt;
    struct jit_options options;
    u8 *units;
    size_t region_size;
    pthread_mutex_t lock; /* of all that follows but what is atomic */
    u64 chaos;
    u16 next_slot[JIT_SLOT_KINDS];
    struct translation scratch;
    unsigned filling;
    struct cache_region region[CACHE_REGIONS];
    struct cache_user *users;
    u64 evictions;
    _Atomic u64 epoch;
    _Atomic u64 changes; /* space_code_changes() that have been seen to */
    _Atomic u64
        heat[1u << CACHE_HEAT_BITS][CACHE_HEAT_WAYS]; /* the latest first: key, and runs in the low bits */
    _Atomic(struct jit_block *) bucket[1u << CACHE_BUCKET_BITS];
    struct jit_page_ref *page[1u << CACHE_PAGE_BITS];
    _Atomic u64 place[2][1u << JIT_PLACE_BITS]; /* root, non-root; frame.h says what they hold */
};

/* The lock, or false. */
static inline bool must_check cache_lock(struct jit_cache *k)
{
    return pthread_mutex_trylock(&k->lock) == 0;
}

static inline void cache_unlock(struct jit_cache *k)
{
    pthread_mutex_unlock(&k->lock);
}

/* ---- memory: cache.c ---- */

/* Before the vCPU runs, and after. */
void cache_join(struct jit_cache *k, struct cache_user *u, struct cpu *c);
void cache_part(struct jit_cache *k, struct cache_user *u);
/* Inside. Before translated code runs: what is outdated is shut. False: somebody else is at it. */
bool must_check cache_see_changes(struct jit_cache *k, struct cache_user *u, struct space *s);
/* From here on what is found stays, until the next call or cache_leave(). True: all that was found before may
 * be gone, and must not be used. */
bool cache_enter(struct jit_cache *k, struct cache_user *u);
static inline void cache_leave(struct cache_user *u)
{
    atomic_store_explicit(&u->at, 0, memory_order_release);
}
/* Inside, with no translated code on the stack. */
static inline bool cache_is_news(const struct jit_cache *k, const struct cache_user *u)
{
    return atomic_load_explicit(&k->epoch, memory_order_relaxed) != u->last;
}

/* Room for a block being made. */
struct cache_room {
    struct jit_block *block; /* block->site: room for as many as were asked for */
    struct jit_exit *exit;   /* the end of room for them */
    struct jit_page_ref *ref;
    u32 base; /* where the code will lie */
};
/* Lock held, inside; for at most that many sites, exits and pages. False: there is none now. Given up unless
 * cache_add() comes next. */
bool must_check cache_room(struct jit_cache *k, unsigned sites, unsigned exits, unsigned refs,
                           struct cache_room *room);
/* Takes what t needed of it, and copies the code in. */
struct jit_block *cache_take(struct jit_cache *k, const struct cache_room *room, const struct translation *t,
                             unsigned refs);
/* Lock held. Goes on to the next region, whose successor's blocks are evicted; false: somebody may be in it.
 */
bool cache_next_region(struct jit_cache *k);
/* For tests, while no other vCPU is inside: nothing is translated. */
void cache_forget(struct jit_cache *k);

/* ---- finding: blocks.c ---- */

/* Inside. The latest translation of that version, or NULL. */
struct jit_block *cache_find(struct jit_cache *k, u8 mode, const u8 *host, u32 version);
/* Where translated code at `host` begins, by the table that translated code looks into, or NULL. */
const void *cache_place(struct jit_cache *k, u8 mode, const u8 *host);
/* Sees to it that it is found there. */
void cache_note(struct jit_cache *k, struct jit_block *u);
/* One more run of b by the interpreter. True: it is worth translating. */
bool cache_hot(struct jit_cache *k, const struct block *b);
/* Lock held. Makes the translation t of b, from its own page and `count` others, known in place of any that
 * is: jumps that led to the old one lead to the new one. All versions are of when the bytes were read. NULL:
 * one of the pages has changed since. */
struct jit_block *cache_add(struct jit_cache *k, const struct cache_room *room, const struct block *b,
                            const struct jit_page_ref *more, unsigned count, const struct translation *t);
/* Inside. The jump goes straight to its target from now on, if that is translated. Of one to another page:
 * the target is at `host` (or NULL), in a page of that version. */
void cache_link(struct jit_cache *k, struct jit_exit *x, const u8 *host, u32 version);
/* Lock held. Nobody finds u any more: jumps to it leave, late jumps look once more. */
void cache_shut(struct jit_cache *k, struct jit_block *u);
void cache_unlink_exits(struct jit_cache *k,
                        struct jit_block *u);                  /* the lists of what u leads to forget it */
void cache_shut_changed(struct jit_cache *k, struct space *s); /* what is outdated */

#endif
