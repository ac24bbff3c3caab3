/* SPDX-License-Identifier: MIT */
/*
 * The clock: a time read without locks, and a binary heap of timers under a mutex.
 *
 * In REAL mode time is the host's monotonic clock (host_time.h) less `offset`, or `frozen` while paused; the
 * pair is read under a sequence count, so no reader sees time jump. In ICOUNT mode `frozen` is the time
 * itself and only clock_advance() moves it. The earliest deadline is kept beside the heap for readers that
 * must not take the lock. No callback and no wake ever runs with the lock held.
 */
#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"

struct clock {
    enum clock_mode mode;
    u64 wall_ns;
    struct host_time *host;
    atomic_uint sequence; /* odd while the two below change */
    _Atomic u64 frozen;   /* the time while it does not follow the host, else CLOCK_NEVER */
    _Atomic u64 offset;   /* host time of our time 0 */
    _Atomic u64 next;     /* deadline of heap[0] */
    pthread_mutex_t lock;
    unsigned paused;
    struct timer **heap;
    unsigned count, capacity, timers; /* room is made in timer_init(), so arming never fails */
    void (*wake)(void *);
    void *wake_opaque;
};

/* A callback that arms itself in the past must not keep the loop from its other work. */
#define FIRES_PER_CALL 256

/* More than struct host_time may be behind the kernel's clock. */
#define BEHIND_NS 10000

struct clock *clock_new(enum clock_mode mode, u64 wall_ns)
{
    struct clock *c = calloc(1, sizeof(*c));
    struct host_time *host = host_time_new();
    if (!c || !host) {
        free(c);
        host_time_free(host);
        return NULL;
    }
    c->host = host;
    c->mode = mode;
    c->wall_ns = wall_ns;
    c->frozen = mode == CLOCK_MODE_ICOUNT ? 0 : CLOCK_NEVER;
    c->offset = host_time_now(host, NULL);
    c->next = CLOCK_NEVER;
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void clock_by_tsc(struct clock *c)
{
    host_time_by_tsc(c->host);
}

void clock_free(struct clock *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->lock);
    host_time_free(c->host);
    free(c->heap);
    free(c);
}

enum clock_mode clock_mode(const struct clock *c)
{
    return c->mode;
}

/* The host's time when it need not be exact, never ahead of host_time_now(). */
static u64 host_lately(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec - BEHIND_NS;
}

/* line: NULL, or becomes the line that it was read by, of this clock's time. */
static u64 read_by(const struct clock *c, bool lately, struct clock_line *line)
{
    for (;;) {
        struct time_line l = {.ticks = ~0ull};
        unsigned s = atomic_load_explicit(&c->sequence, memory_order_acquire);
        u64 now = l.ns = atomic_load_explicit(&c->frozen, memory_order_acquire);
        if (now == CLOCK_NEVER) {
            u64 host = lately ? host_lately() : host_time_now(c->host, &l),
                offset = atomic_load_explicit(&c->offset, memory_order_acquire);
            now = host > offset ? host - offset : 0;
            l.ticks = l.ns >= offset ? l.ticks : 0;
            l.ns -= offset;
        }
        atomic_thread_fence(memory_order_acquire);
        if (unlikely((s & 1) || s != atomic_load_explicit(&c->sequence, memory_order_relaxed)))
            continue;
        if (line)
            *line = (struct clock_line){.time = l, .changes = s};
        return now;
    }
}

u64 clock_now(const struct clock *c)
{
    return read_by(c, false, NULL);
}

u64 clock_lately(const struct clock *c)
{
    return read_by(c, true, NULL);
}

u64 clock_now_line(const struct clock *c, struct clock_line *l)
{
    return read_by(c, false, l);
}

const atomic_uint *clock_changes(const struct clock *c)
{
    return &c->sequence;
}

u64 clock_wall(const struct clock *c)
{
    return c->wall_ns + clock_now(c);
}

/* The only place that changes what clock_now() reads; lock held. follow: from `now` on time follows the host.
 */
static void set_time(struct clock *c, bool follow, bool keep, u64 now)
{
    atomic_fetch_add(&c->sequence, 1);
    u64 host = host_time_now(c->host, NULL);
    if (keep)
        now = c->frozen != CLOCK_NEVER ? c->frozen : host - c->offset;
    c->offset = host - now;
    c->frozen = follow ? CLOCK_NEVER : now;
    atomic_fetch_add(&c->sequence, 1);
}

void clock_pause(struct clock *c)
{
    pthread_mutex_lock(&c->lock);
    if (c->paused++ == 0)
        set_time(c, false, true, 0);
    pthread_mutex_unlock(&c->lock);
}

/* Ends a locked section in which deadlines may have come nearer. */
static void unlock_and_wake(struct clock *c, bool earlier)
{
    void (*wake)(void *) = earlier ? c->wake : NULL;
    void *opaque = c->wake_opaque;
    pthread_mutex_unlock(&c->lock);
    if (wake)
        wake(opaque);
}

void clock_resume(struct clock *c)
{
    pthread_mutex_lock(&c->lock);
    bug_on(c->paused == 0, "clock resumed more often than paused");
    bool runs = --c->paused == 0;
    if (runs)
        set_time(c, c->mode == CLOCK_MODE_REAL, true, 0);
    unlock_and_wake(c, runs);
}

void clock_advance(struct clock *c, u64 ns)
{
    bug_on(c->mode != CLOCK_MODE_ICOUNT, "only a counted clock is advanced by hand");
    pthread_mutex_lock(&c->lock);
    if (!c->paused)
        set_time(c, false, false, c->frozen + ns);
    pthread_mutex_unlock(&c->lock);
}

void clock_set(struct clock *c, u64 ns)
{
    pthread_mutex_lock(&c->lock);
    bug_on(c->mode == CLOCK_MODE_REAL && !c->paused, "a running clock cannot be set");
    set_time(c, false, false, ns);
    unlock_and_wake(c, true);
}

/* ---- the heap; lock held ---- */

static bool later(const struct timer *a, const struct timer *b)
{
    return a->deadline > b->deadline || (a->deadline == b->deadline && a->order > b->order);
}

static void put(struct clock *c, unsigned slot, struct timer *t)
{
    c->heap[slot] = t;
    t->slot = slot;
}

static void sift_up(struct clock *c, unsigned slot, struct timer *t)
{
    while (slot > 0 && later(c->heap[(slot - 1) / 2], t)) {
        put(c, slot, c->heap[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    put(c, slot, t);
}

static void sift_down(struct clock *c, unsigned slot, struct timer *t)
{
    for (;;) {
        unsigned child = 2 * slot + 1;
        if (child >= c->count)
            break;
        if (child + 1 < c->count && later(c->heap[child], c->heap[child + 1]))
            child++;
        if (!later(t, c->heap[child]))
            break;
        put(c, slot, c->heap[child]);
        slot = child;
    }
    put(c, slot, t);
}

static void remember_next(struct clock *c)
{
    atomic_store(&c->next, c->count ? c->heap[0]->deadline : CLOCK_NEVER);
}

static void set_deadline(struct timer *t, u64 deadline)
{
    __atomic_store_n(&t->deadline, deadline, __ATOMIC_RELAXED); /* timer_deadline() reads without the lock */
}

static void take_out(struct clock *c, struct timer *t)
{
    if (t->deadline == CLOCK_NEVER)
        return;
    unsigned slot = t->slot;
    set_deadline(t, CLOCK_NEVER);
    struct timer *last = c->heap[--c->count];
    if (last == t)
        return;
    if (slot > 0 && later(c->heap[(slot - 1) / 2], last))
        sift_up(c, slot, last);
    else
        sift_down(c, slot, last);
}

/* ---- timers ---- */

void timer_init(struct timer *t, struct clock *c, void (*fire)(void *), void *opaque)
{
    *t = (struct timer){.clock = c, .fire = fire, .opaque = opaque, .deadline = CLOCK_NEVER};
    pthread_mutex_lock(&c->lock);
    t->order = c->timers;
    if (++c->timers > c->capacity) {
        c->capacity = c->capacity ? 2 * c->capacity : 16;
        c->heap = realloc(c->heap, c->capacity * sizeof(*c->heap));
        bug_on(!c->heap, "no memory for %u timers", c->capacity);
    }
    pthread_mutex_unlock(&c->lock);
}

void timer_arm(struct timer *t, u64 deadline)
{
    struct clock *c = t->clock;
    pthread_mutex_lock(&c->lock);
    u64 before = c->next;
    take_out(c, t);
    set_deadline(t, deadline);
    if (deadline != CLOCK_NEVER)
        sift_up(c, c->count++, t);
    remember_next(c);
    unlock_and_wake(c, c->next < before);
}

void timer_cancel(struct timer *t)
{
    timer_arm(t, CLOCK_NEVER);
}

u64 timer_deadline(const struct timer *t)
{
    return __atomic_load_n(&t->deadline, __ATOMIC_RELAXED);
}

u64 clock_next(const struct clock *c)
{
    return atomic_load(&c->next);
}

u64 clock_next_host(const struct clock *c)
{
    u64 next = clock_next(c), host;
    if (next == CLOCK_NEVER || c->frozen != CLOCK_NEVER)
        return CLOCK_NEVER;
    return __builtin_add_overflow(next, c->offset, &host) ? CLOCK_NEVER : host;
}

static struct timer *take_due(struct clock *c, u64 now)
{
    pthread_mutex_lock(&c->lock);
    struct timer *t = c->count && !c->paused && c->heap[0]->deadline <= now ? c->heap[0] : NULL;
    if (t) {
        take_out(c, t);
        remember_next(c);
    }
    pthread_mutex_unlock(&c->lock);
    return t;
}

void clock_run_due(struct clock *c)
{
    u64 now = clock_now(c);
    for (unsigned i = 0; i < FIRES_PER_CALL && clock_next(c) <= now; i++) {
        struct timer *t = take_due(c, now);
        if (!t)
            break;
        t->fire(t->opaque);
    }
}

void clock_on_earlier(struct clock *c, void (*wake)(void *opaque), void *opaque)
{
    pthread_mutex_lock(&c->lock);
    c->wake = wake;
    c->wake_opaque = opaque;
    pthread_mutex_unlock(&c->lock);
}
