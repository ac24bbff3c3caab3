/* SPDX-License-Identifier: MIT */
/* The clock: order of timers, pausing, counting, and what may be done from a callback. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "base/clock.h"

struct log {
    int ids[1000];
    unsigned n;
};
struct tick {
    struct timer timer;
    struct log *log;
    int id;
};

static void record(void *opaque)
{
    struct tick *t = opaque;
    t->log->ids[t->log->n++ % 1000] = t->id;
}

static void timers_fire_in_order_of_their_deadlines(void **state)
{
    struct clock *c = clock_new(CLOCK_MODE_ICOUNT, 0);
    struct log log = {.n = 0};
    struct tick t[200];
    srand(7);
    for (int i = 0; i < 200; i++) {
        t[i] = (struct tick){.log = &log, .id = i};
        timer_init(&t[i].timer, c, record, &t[i]);
        timer_arm(&t[i].timer, (u64)rand() % 5000);
    }
    for (int i = 0; i < 200; i++) /* moved both ways, some taken out */
        timer_arm(&t[i].timer, i % 5 ? (u64)rand() % 5000 : CLOCK_NEVER);
    u64 deadline[200];
    for (int i = 0; i < 200; i++)
        deadline[i] = timer_deadline(&t[i].timer);
    clock_advance(c, 5000);
    clock_run_due(c);
    assert_int_equal(log.n, 160);
    for (unsigned i = 1; i < log.n; i++)
        assert_true(deadline[log.ids[i - 1]] <= deadline[log.ids[i]]);
    assert_true(clock_next(c) == CLOCK_NEVER);
    clock_free(c);
}

static void a_counted_clock_moves_only_by_hand(void **state)
{
    struct clock *c = clock_new(CLOCK_MODE_ICOUNT, 1000);
    assert_int_equal(clock_now(c), 0);
    clock_advance(c, 41);
    assert_int_equal(clock_now(c), 41);
    assert_int_equal(clock_wall(c), 1041);
    clock_pause(c);
    clock_advance(c, 5);
    assert_int_equal(clock_now(c), 41);
    clock_resume(c);
    clock_set(c, 7);
    assert_int_equal(clock_now(c), 7);
    clock_free(c);
}

static void sleep_ms(int ms)
{
    struct timespec t = {0, ms * 1000000l};
    nanosleep(&t, NULL);
}

static void real_time_stands_still_while_paused(void **state)
{
    struct clock *c = clock_new(CLOCK_MODE_REAL, 0);
    u64 start = clock_now(c);
    sleep_ms(3);
    clock_pause(c);
    clock_pause(c);
    u64 now = clock_now(c);
    assert_true(now - start >= 3000000);
    sleep_ms(20);
    clock_resume(c);
    assert_int_equal(clock_now(c), now);
    clock_resume(c);
    assert_true(clock_now(c) - now < 15000000);
    sleep_ms(2);
    assert_true(clock_now(c) - now >= 2000000);
    clock_free(c);
}

static void nothing_fires_while_paused(void **state)
{
    struct clock *c = clock_new(CLOCK_MODE_REAL, 0);
    struct log log = {.n = 0};
    struct tick t = {.log = &log};
    timer_init(&t.timer, c, record, &t);
    clock_pause(c);
    timer_arm(&t.timer, 0);
    assert_true(clock_next_host(c) == CLOCK_NEVER);
    clock_run_due(c);
    assert_int_equal(log.n, 0);
    clock_resume(c);
    assert_true(clock_next_host(c) != CLOCK_NEVER);
    clock_run_due(c);
    assert_int_equal(log.n, 1);
    assert_true(timer_deadline(&t.timer) == CLOCK_NEVER);
    clock_free(c);
}

static void count_wake(void *opaque)
{
    ++*(int *)opaque;
}

static void only_an_earlier_deadline_wakes(void **state)
{
    struct clock *c = clock_new(CLOCK_MODE_ICOUNT, 0);
    struct log log = {.n = 0};
    struct tick a = {.log = &log}, b = {.log = &log};
    int wakes = 0;
    clock_on_earlier(c, count_wake, &wakes);
    timer_init(&a.timer, c, record, &a);
    timer_init(&b.timer, c, record, &b);
    timer_arm(&a.timer, 100);
    assert_int_equal(wakes, 1);
    timer_arm(&b.timer, 200);
    timer_cancel(&b.timer);
    assert_int_equal(wakes, 1);
    timer_arm(&b.timer, 50);
    assert_int_equal(wakes, 2);
    assert_int_equal(clock_next(c), 50);
    timer_cancel(&b.timer);
    assert_int_equal(clock_next(c), 100);
    clock_free(c);
}

static void arm_in_the_past(void *opaque)
{
    struct tick *t = opaque;
    t->log->n++;
    timer_arm(&t->timer, 0);
}

static void a_timer_always_due_does_not_hold_the_caller(void **state)
{
    struct clock *c = clock_new(CLOCK_MODE_ICOUNT, 0);
    struct log log = {.n = 0};
    struct tick t = {.log = &log};
    timer_init(&t.timer, c, arm_in_the_past, &t);
    timer_arm(&t.timer, 0);
    clock_run_due(c);
    assert_true(log.n >= 1 && log.n <= 10000);
    clock_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_of_their_deadlines),
        cmocka_unit_test(a_counted_clock_moves_only_by_hand),
        cmocka_unit_test(real_time_stands_still_while_paused),
        cmocka_unit_test(nothing_fires_while_paused),
        cmocka_unit_test(only_an_earlier_deadline_wakes),
        cmocka_unit_test(a_timer_always_due_does_not_hold_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
