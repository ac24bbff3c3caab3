/* SPDX-License-Identifier: MIT */
/* The inside of a memory space, for the files of mem/ that make it up: space.c and ram.c. Nobody else
 * includes it. */
#ifndef MEM_SPACE_PARTS_H
#define MEM_SPACE_PARTS_H

#include <stdatomic.h>

#include "mem/space.h"
#include "mem/watch.h"

#define BANKS_MAX 8

struct bank {
    u64 gpa, size;
    u8 *host;
    struct page_info *pages;
    u64 block;    /* 0: all of it is there */
    u64 *plugged; /* a bit a block; atomic */
};

struct space {
    u64 max_gpa;
    struct bank bank[BANKS_MAX];
    atomic_uint banks;
    pthread_rwlock_t lock; /* of the regions */
    struct region *region; /* sorted by base */
    unsigned regions, capacity;
    struct watch_list watches;
    atomic_bool dirty_log;
};

void ram_free(struct space *s); /* ram.c: all banks */

#endif
