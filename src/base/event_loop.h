/* SPDX-License-Identifier: MIT */
/*
 * One thread's epoll loop: descriptors, posted calls, and a clock's timers.
 *
 * Watches may be added, changed and removed from any thread; callbacks run only on the loop's thread. After
 * event_loop_remove() returned on the loop's thread, the callback does not run again.
 */
#ifndef BASE_EVENT_LOOP_H
#define BASE_EVENT_LOOP_H

#include "base/clock.h"
#include "base/err.h"
#include "base/types.h"

enum { EVENT_READ = 1, EVENT_WRITE = 2, EVENT_HANGUP = 4 };

struct event_loop;
struct event_watch; /* opaque; owned by the loop */

/* clock may be NULL; in REAL mode the loop runs its timers. */
struct event_loop *event_loop_new(struct clock *clock, struct err *err);
void event_loop_free(struct event_loop *l);

/* events: EVENT_* to wait for (HANGUP is always reported). fd stays the caller's. NULL only when resources
 * are gone. */
struct event_watch *event_loop_add(struct event_loop *l, int fd, int events,
                                   void (*cb)(void *opaque, int events), void *opaque);
void event_loop_change(struct event_loop *l, struct event_watch *w, int events);
void event_loop_remove(struct event_loop *l, struct event_watch *w);

/* Runs fn(opaque) on the loop's thread soon, in the order posted. */
void event_loop_post(struct event_loop *l, void (*fn)(void *opaque), void *opaque);

/* fn runs on the loop's thread before every sleep and says how long that may be at most, in milliseconds; -1:
 * as long as it likes. For libraries that name what they wait for anew each time. One a loop; NULL takes it
 * away. */
void event_loop_before_sleep(struct event_loop *l, int (*fn)(void *opaque), void *opaque);

/* Runs until event_loop_stop(), which any thread or signal handler may call. */
void event_loop_run(struct event_loop *l);
void event_loop_stop(struct event_loop *l);

#endif
