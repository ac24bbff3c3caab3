/* SPDX-License-Identifier: MIT */
/*
 * The machine's one source of time.
 *
 * TSC, APIC timer, HPET, PIT, PM timer and RTC all read this clock, and nothing in dev/ or cpu/ reads host
 * time (translated code goes by struct clock_line). Modes: REAL follows the host's monotonic clock; ICOUNT
 * advances only by clock_advance(), which the single vCPU thread calls with the instructions it retired, so a
 * run can be repeated; PAUSED stands still.
 *
 * Timers. A timer's callback runs on the event loop thread in REAL mode and on the vCPU thread at an
 * instruction boundary in ICOUNT mode, never with the clock's lock held. It may arm any timer. A callback may
 * run once more after timer_cancel() returned on another thread, so callbacks take their device's lock and
 * look at its state.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdatomic.h>

#include "base/host_time.h"

enum clock_mode { CLOCK_MODE_REAL, CLOCK_MODE_ICOUNT };

#define CLOCK_NEVER (~0ull)

struct clock;

/* Embedded in the device that owns it; zeroed, then timer_init(). */
struct timer {
    struct clock *clock;
    void (*fire)(void *opaque);
    void *opaque;
    u64 deadline;   /* ns of clock_now(); CLOCK_NEVER while unarmed. Read it with timer_deadline() */
    unsigned slot;  /* place in the clock's heap */
    unsigned order; /* of timer_init(): of two due at one moment the older fires first, so that runs repeat */
};

/* wall_ns: what the RTC shows at time 0, nanoseconds since 1970 UTC. NULL only when memory is gone. */
struct clock *clock_new(enum clock_mode mode, u64 wall_ns);
void clock_free(struct clock *c);
/* Before others have it: where the host allows it, clock_now_line() gives lines. Opens host_time_files. */
void clock_by_tsc(struct clock *c);

enum clock_mode clock_mode(const struct clock *c);
u64 clock_now(const struct clock *c); /* nanoseconds since the machine was created, paused time left out */
/* The same when it need not be exact, in a fourth of the time: never ahead of it, and behind it by what the
 * host's CLOCK_MONOTONIC_COARSE is behind, some milliseconds. */
u64 clock_lately(const struct clock *c);
/* The same for who reads it so often that a call is too much: for readings of the host's TSC that the line
 * holds for, time_line_at() is clock_now(), as long as the clock's changes, asked before, are `changes`. */
struct clock_line {
    struct time_line time;
    unsigned changes;
};
u64 clock_now_line(const struct clock *c, struct clock_line *l);
const atomic_uint *clock_changes(const struct clock *c);
u64 clock_wall(const struct clock *c); /* nanoseconds since 1970 UTC, as the guest should see them */
void clock_pause(struct clock *c);     /* counts; time stands still until as many clock_resume() */
void clock_resume(struct clock *c);
void clock_advance(struct clock *c, u64 ns); /* ICOUNT only */
void clock_set(struct clock *c, u64 ns);     /* while paused or ICOUNT: restores a saved time */

void timer_init(struct timer *t, struct clock *c, void (*fire)(void *), void *opaque);
void timer_arm(struct timer *t, u64 deadline); /* replaces an earlier deadline; a past one fires at once */
void timer_cancel(struct timer *t);
u64 timer_deadline(const struct timer *t);

/* Earliest deadline of any timer, or CLOCK_NEVER. */
u64 clock_next(const struct clock *c);
/* The same as a time of the host's CLOCK_MONOTONIC; CLOCK_NEVER while paused too. REAL only. */
u64 clock_next_host(const struct clock *c);
/* Runs what is due (nothing while paused), a bounded number of timers in one call. Called by the event loop
 * (REAL) or the vCPU thread (ICOUNT). */
void clock_run_due(struct clock *c);
/* Called, with no lock held, whenever the earliest deadline became earlier: wakes the event loop. */
void clock_on_earlier(struct clock *c, void (*wake)(void *opaque), void *opaque);

#endif
