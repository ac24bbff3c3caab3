/* SPDX-License-Identifier: MIT */
/*
 * Time by the TSC: see the header. The rate is measured over LEAST_NS at least and about RATE_NS, so it
 * follows adjtimex(2); a line is so short that an error of the rate is no more than some nanoseconds at its
 * end. A TSC that stood still, jumped or was set (the host slept) shows as a rate that cannot be: then
 * everything begins anew.
 *
 * Readers take no lock: there are two places for the line, and the number of changes says which holds.
 */
#include "base/host_time.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#define LEAST_NS 1000000ull
#define RATE_NS  500000000ull
#define LINE_NS  4000000ull

enum {
    LINE_PART = 16,      /* of what the rate was measured over a line is at most so small a part */
    DOUBT_PART = 8192,   /* and of that moments may be in doubt by such a part */
    STRANGE_PART = 500,  /* no clock is adjusted so much */
    STRANGE_NS = 100000, /* beside what a moment is in doubt by */
    BEHIND = 65536,      /* ticks that the TSC of one processor may be behind another's */
    SAMPLES = 2
};

/* ---- pace ---- */

static u64 ns_of(u64 ticks, u64 rate)
{
    return (u64)((unsigned __int128)ticks * rate >> 32);
}

/* 2^32 a / b, b not 0; the largest number when it does not fit. */
static u64 ratio(u64 a, u64 b)
{
    unsigned __int128 r = ((unsigned __int128)a << 32) / b;
    return r >> 64 ? ~0ull : (u64)r;
}

/* The time since `base` is not what the rate makes of the ticks. */
static bool strange(const struct pace *p, u64 ticks, u64 ns, u64 doubt)
{
    u64 expected = ns_of(ticks, p->rate), off = ns > expected ? ns - expected : expected - ns;
    return p->rate && off > expected / STRANGE_PART + STRANGE_NS + ns_of(doubt, p->rate);
}

static void begin_anew(struct pace *p, const struct moment *now)
{
    p->base = p->mark = *now;
    p->rate = 0;
}

static void measure(struct pace *p, const struct moment *now)
{
    u64 ticks = now->tsc - p->base.tsc, ns = now->ns - p->base.ns, doubt = now->doubt + p->base.doubt;
    bool better = !p->rate && now->doubt < p->base.doubt / 2;
    if (!p->base.ns || now->tsc <= p->base.tsc || now->ns <= p->base.ns || better ||
        strange(p, ticks, ns, doubt)) {
        begin_anew(p, now);
        return;
    }
    if (ns < LEAST_NS || doubt > ticks / DOUBT_PART)
        return;
    p->rate = ratio(ns, ticks);
    if (now->ns - p->mark.ns >= RATE_NS) {
        p->base = p->mark;
        p->mark = *now;
    }
}

static u64 line_length(const struct pace *p, const struct moment *now)
{
    if (!p->rate)
        return 0;
    u64 most = ratio(LINE_NS, p->rate), part = (now->tsc - p->base.tsc) / LINE_PART;
    return part < most ? part : most;
}

void pace_follow(struct pace *p, const struct moment *now)
{
    u64 given = time_line_at(&p->line, p->line.ticks), ns = now->ns > given ? now->ns : given;
    measure(p, now);
    u64 ticks = line_length(p, now), rate = p->rate;
    if (ticks) {
        u64 slower = ratio(ns - now->ns, ticks);
        rate -= slower < rate / 2 ? slower : rate / 2;
    }
    p->line = (struct time_line){.start = now->tsc, .ticks = ticks, .ns = ns, .rate = rate};
}

/* ---- for all threads ---- */

struct shared_line {
    _Atomic u64 start, ticks, ns, rate;
};

struct host_time {
    bool by_tsc;
    atomic_uint changes; /* the line is at[changes % 2] */
    struct shared_line at[2];
    pthread_mutex_t lock; /* of the rest */
    struct pace pace;
};

static u64 kernel_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

/* Behind all that was read before. SDM 2B RDTSC */
static u64 tsc_now(void)
{
    _mm_lfence();
    return __rdtsc();
}

const char *const host_time_files[] = {"/sys/devices/system/clocksource/clocksource0/current_clocksource",
                                       NULL};

static bool kernel_trusts_tsc(void)
{
    char name[16] = "";
    FILE *f = fopen(host_time_files[0], "re");
    if (!f)
        return false;
    bool any = fgets(name, sizeof(name), f) != NULL;
    fclose(f);
    return any && !strcmp(name, "tsc\n");
}

struct host_time *host_time_new(void)
{
    struct host_time *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

void host_time_by_tsc(struct host_time *h)
{
    h->by_tsc = kernel_trusts_tsc();
}

void host_time_free(struct host_time *h)
{
    if (!h)
        return;
    pthread_mutex_destroy(&h->lock);
    free(h);
}

static struct time_line line_now(struct host_time *h)
{
    for (;;) {
        unsigned n = atomic_load_explicit(&h->changes, memory_order_acquire);
        const struct shared_line *s = &h->at[n % 2];
        struct time_line l = {.start = atomic_load_explicit(&s->start, memory_order_relaxed),
                              .ticks = atomic_load_explicit(&s->ticks, memory_order_relaxed),
                              .ns = atomic_load_explicit(&s->ns, memory_order_relaxed),
                              .rate = atomic_load_explicit(&s->rate, memory_order_relaxed)};
        atomic_thread_fence(memory_order_acquire);
        if (likely(n == atomic_load_explicit(&h->changes, memory_order_relaxed)))
            return l;
    }
}

/* Lock held. */
static void publish(struct host_time *h, const struct time_line *l)
{
    unsigned n = atomic_load_explicit(&h->changes, memory_order_relaxed) + 1;
    struct shared_line *s = &h->at[n % 2];
    atomic_thread_fence(memory_order_release); /* readers of the line before the last see that it went */
    atomic_store_explicit(&s->start, l->start, memory_order_relaxed);
    atomic_store_explicit(&s->ticks, l->ticks, memory_order_relaxed);
    atomic_store_explicit(&s->ns, l->ns, memory_order_relaxed);
    atomic_store_explicit(&s->rate, l->rate, memory_order_relaxed);
    atomic_store_explicit(&h->changes, n, memory_order_release);
}

/* Of some the one with the least doubt: a thread may have been interrupted in between. */
static struct moment sample(void)
{
    struct moment best = {.doubt = ~0ull};
    for (unsigned i = 0; i < SAMPLES; i++) {
        u64 first = tsc_now(), ns = kernel_now(), last = tsc_now(), half = (last - first) / 2;
        if (half < best.doubt)
            best = (struct moment){.tsc = first + half, .ns = ns, .doubt = half};
    }
    return best;
}

/* Lock held. Another thread may have been faster. */
static u64 renew(struct host_time *h, struct time_line *line)
{
    const struct time_line *l = &h->pace.line;
    u64 ticks = tsc_now() - l->start;
    *line = *l;
    if (ticks < l->ticks)
        return time_line_at(l, ticks);
    if (-ticks < BEHIND)
        return l->ns;
    struct moment now = sample();
    pace_follow(&h->pace, &now);
    publish(h, l);
    *line = *l;
    return l->ns;
}

u64 host_time_now(struct host_time *h, struct time_line *line)
{
    struct time_line l = {0};
    if (unlikely(!h->by_tsc)) {
        if (line)
            *line = l;
        return kernel_now();
    }
    l = line_now(h);
    u64 ticks = tsc_now() - l.start, now = time_line_at(&l, ticks);
    if (unlikely(ticks >= l.ticks)) {
        pthread_mutex_lock(&h->lock);
        now = renew(h, &l);
        pthread_mutex_unlock(&h->lock);
    }
    if (line)
        *line = l;
    return now;
}
