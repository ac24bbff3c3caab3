/* SPDX-License-Identifier: MIT */
/* Time by the TSC: how well it follows a clock that is adjusted, a TSC that jumps, and that no thread sees it
 * go back. */
#include <stdarg.h>
#include <setjmp.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "base/host_time.h"

/* Two clocks, and what pace makes of them. */
struct world {
    u64 tsc;
    double ns, rate; /* ns a tick */
    struct pace p;
    u64 last, off; /* the latest time that was read; by how much it was wrong most since it was cleared */
    unsigned asked;
};

/* Some ticks go by and somebody reads the time; a moment is in doubt by up to `doubt` ticks. */
static void pass(struct world *w, u64 ticks, u64 doubt)
{
    w->tsc += ticks;
    w->ns += (double)ticks * w->rate;
    bool behind = w->tsc < w->p.line.start && w->p.line.start - w->tsc < 65536;
    if (!behind && w->tsc - w->p.line.start >= w->p.line.ticks) {
        struct moment m = {.tsc = w->tsc - (u64)rand() % (doubt + 1), .ns = (u64)w->ns, .doubt = doubt};
        pace_follow(&w->p, &m);
        w->asked++;
    }
    u64 ticks_on = w->tsc > w->p.line.start ? w->tsc - w->p.line.start : 0;
    u64 now = time_line_at(&w->p.line, ticks_on), is = (u64)w->ns, off = now > is ? now - is : is - now;
    assert_true(now >= w->last);
    w->last = now;
    w->off = off > w->off ? off : w->off;
}

static struct world begun(void)
{
    struct world w = {.tsc = 1000000000, .ns = 5e9, .rate = 0.385};
    for (unsigned i = 0; i < 100000; i++)
        pass(&w, 500, 100);
    w.off = w.asked = 0;
    return w;
}

static void it_follows_and_seldom_asks(void **state)
{
    struct world w = begun();
    for (unsigned i = 0; i < 1000000; i++)
        pass(&w, (u64)rand() % 5000, 100);
    assert_true(w.off < 200);
    assert_true(w.asked < 400); /* in about a second */
}

static void it_follows_adjustments(void **state)
{
    static const double rates[] = {0.385 * 1.0005, 0.385 * 0.9995, 0.385};
    struct world w = begun();
    for (unsigned k = 0; k < 3; k++) {
        w.rate = rates[k];
        for (unsigned i = 0; i < 2000000; i++)
            pass(&w, 2000, 100);
        assert_true(w.off < 10000);
        w.off = 0;
        for (unsigned i = 0; i < 100000; i++)
            pass(&w, 2000, 100);
        assert_true(w.off < 500);
    }
}

static void a_long_pause_is_no_jump(void **state)
{
    struct world w = begun();
    pass(&w, 100ull * 2600000000, 100);
    for (unsigned i = 0; i < 10000; i++)
        pass(&w, 2000, 100);
    assert_true(w.off < 1000);
}

/* The host slept: its clock did not go on, or the TSC began at 0. */
static void it_begins_anew_when_the_tsc_jumps(void **state)
{
    struct world w = begun();
    w.tsc += 1ull << 40;
    pass(&w, 2000, 100);
    for (unsigned i = 0; i < 100000; i++)
        pass(&w, 2000, 100);
    w.off = 0;
    w.tsc = 5000;
    for (unsigned i = 0; i < 100000; i++)
        pass(&w, 2000, 100);
    assert_true(w.off < 5000000); /* the line that was might still be read by: time waits at its end */
    w.off = 0;
    for (unsigned i = 0; i < 100000; i++)
        pass(&w, 2000, 100);
    assert_true(w.off < 1000);
}

static void what_is_in_doubt_measures_nothing(void **state)
{
    struct world w = begun();
    for (unsigned i = 0; i < 200000; i++)
        pass(&w, 2000, i % 3 ? 100 : 200000);
    assert_true(w.off < 200000);
    for (unsigned i = 0; i < 10000; i++)
        pass(&w, 2000, 100);
    w.off = 0;
    for (unsigned i = 0; i < 10000; i++)
        pass(&w, 2000, 100);
    assert_true(w.off < 500);
}

/* ---- the host's own ---- */

struct shared {
    struct host_time *h;
    _Atomic u64 last;
};

static void *read_on(void *opaque)
{
    struct shared *s = opaque;
    for (unsigned i = 0; i < 300000; i++) {
        u64 before = s->last, now = host_time_now(s->h, NULL);
        if (now < before)
            return s;
        s->last = now;
    }
    return NULL;
}

static void no_thread_sees_it_go_back(void **state)
{
    struct shared s = {.h = host_time_new()};
    host_time_by_tsc(s.h);
    pthread_t thread[4];
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, read_on, &s), 0);
    for (unsigned i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        assert_null(wrong);
    }
    host_time_free(s.h);
}

static u64 kernels(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

/* Between two readings of the kernel's, but for what an interruption of the measurement costs. */
static void it_is_the_kernels_time(void **state)
{
    struct host_time *h = host_time_new();
    host_time_by_tsc(h);
    unsigned near = 0;
    for (unsigned i = 0; i < 2000; i++) {
        struct timespec nap = {0, 10000};
        nanosleep(&nap, NULL);
        u64 before = kernels(), now = host_time_now(h, NULL), after = kernels();
        near += now + 1000 >= before && now <= after + 1000;
    }
    assert_true(near > 1900);
    host_time_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_follows_and_seldom_asks),
        cmocka_unit_test(it_follows_adjustments),
        cmocka_unit_test(a_long_pause_is_no_jump),
        cmocka_unit_test(it_begins_anew_when_the_tsc_jumps),
        cmocka_unit_test(what_is_in_doubt_measures_nothing),
        cmocka_unit_test(no_thread_sees_it_go_back),
        cmocka_unit_test(it_is_the_kernels_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
