/* SPDX-License-Identifier: MIT */
/*
 * The source and the sink, two threads, and a window between them: the source stops when so many frames are
 * on their way and goes on when half of them have arrived, so that no side of any lane has to drop. The same
 * for every lane.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lane.h"

#define BATCH_BYTES (64 * 1024) /* the source pushes after so much, or when the window is full */

struct run {
    struct lane *lane;
    _Atomic u32 arrived; /* number of the next frame expected */
    _Atomic u32 resume;  /* the source waits for this one; 0: it does not wait */
    atomic_bool stop;
    u64 lost;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *sink(void *opaque)
{
    struct run *r = opaque;
    struct lane *l = r->lane;
    u32 number;
    while (!r->stop) {
        if (!l->ops->take(l, &number)) {
            l->ops->rest(l);
            continue;
        }
        r->lost += number - r->arrived;
        atomic_store_explicit(&r->arrived, number + 1, memory_order_release);
        u32 resume = atomic_load_explicit(&r->resume, memory_order_acquire);
        if (resume && (i32)(number + 1 - resume) >= 0) {
            r->resume = 0;
            syscall(SYS_futex, &r->resume, FUTEX_WAKE, 1, NULL, NULL, 0);
        }
    }
    return NULL;
}

/* Until half of what is on its way has arrived; a tenth of a second without that means that frames were lost.
 */
static void wait_for_window(struct run *r, u32 sent)
{
    const struct timespec patience = {0, 100000000};
    u32 resume = sent - r->lane->sample->window / 2;
    r->resume = resume ? resume : 1;
    while (r->resume && (i32)(r->arrived - resume) < 0)
        if (syscall(SYS_futex, &r->resume, FUTEX_WAIT, resume, &patience, NULL, 0) < 0)
            return;
    r->resume = 0;
}

static u32 source(struct run *r, double until)
{
    struct lane *l = r->lane;
    u32 sent = 0, batch = 1 + BATCH_BYTES / (u32)l->sample->len;
    for (u32 tries = 0; tries % 64 || now() < until; tries++) {
        bool full = sent - atomic_load_explicit(&r->arrived, memory_order_acquire) >= l->sample->window ||
                    !l->ops->put(l, sent);
        sent += !full;
        if (full || sent % batch == 0)
            l->ops->push(l);
        if (full)
            wait_for_window(r, sent);
    }
    l->ops->push(l);
    return sent;
}

struct flow flow_run(struct lane *l, double seconds)
{
    struct run r = {.lane = l};
    pthread_t t;
    pthread_create(&t, NULL, sink, &r);
    double start = now();
    u32 sent = source(&r, start + seconds);
    while (r.arrived != sent && now() < start + seconds + 1)
        usleep(100);
    double end = now();
    r.stop = true;
    pthread_join(t, NULL);
    return (struct flow){r.arrived - r.lost, r.lost + (sent - r.arrived), end - start};
}
