/* SPDX-License-Identifier: MIT */
/* Page watches: the bookkeeping behind mem/space.h. Private to mem/. */
#ifndef MEM_WATCH_H
#define MEM_WATCH_H

#include "mem/space.h"

#define LISTENERS_MAX 8
#define PAGE_DIRTIED  4 /* in page_info.watch: written since the last fetch */

/* Which pages' code_version changed lately: change n at [n % SPACE_CHANGES_KEPT]. */
struct change_log {
    pthread_mutex_t lock; /* writers, and readers of `page` */
    u64 count;            /* atomic */
    const struct page_info *page[SPACE_CHANGES_KEPT];
};

/* Listeners are added before the machine runs and live as long as the space. */
struct watch_list {
    struct space_listener listener[LISTENERS_MAX];
    unsigned count;
    struct change_log changes;
};

void watch_list_init(struct watch_list *w);
void watch_list_fini(struct watch_list *w);
void watch_listen(struct watch_list *w, const struct space_listener *l);
void watch_drop_writes(struct watch_list *w, u64 gpa, u64 len);
void watch_drop_all(struct watch_list *w, u64 gpa, u64 len);
int watch_changes(struct watch_list *w, u64 since, const struct page_info *page[], u64 *now);

/* [first, last] lies within the page of p. */
void page_watch_code(struct watch_list *w, struct page_info *p, u64 first, u64 last);
void page_forget_code(struct watch_list *w, struct page_info *p);
void page_written(struct watch_list *w, struct page_info *p, u64 first, u64 last);
void page_log_dirty(struct page_info *p, bool on);
bool page_take_dirty(struct page_info *p); /* and arms the watch again */

#endif
