/* SPDX-License-Identifier: MIT */
/* The event loop: descriptors, posted calls from other threads, timers, removal inside a batch. */
#include <stdarg.h>
#include <setjmp.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/event_loop.h"

struct fixture {
    struct event_loop *loop;
    struct clock *clock;
    struct event_watch *watch[2];
    int pair[2], other[2];
    int calls, order[100], n;
    struct timer timer;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->clock = clock_new(CLOCK_MODE_REAL, 0);
    f->loop = event_loop_new(f->clock, NULL);
    assert_non_null(f->loop);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, f->pair), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, f->other), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    event_loop_free(f->loop);
    clock_free(f->clock);
    close(f->pair[0]);
    close(f->pair[1]);
    close(f->other[0]);
    close(f->other[1]);
    free(f);
    return 0;
}

static void read_and_stop(void *opaque, int events)
{
    struct fixture *f = opaque;
    char c;
    assert_int_equal(events, EVENT_READ);
    assert_int_equal(read(f->pair[0], &c, 1), 1);
    f->calls++;
    event_loop_stop(f->loop);
}

static void a_readable_descriptor_is_reported(void **state)
{
    struct fixture *f = *state;
    assert_non_null(event_loop_add(f->loop, f->pair[0], EVENT_READ, read_and_stop, f));
    assert_int_equal(write(f->pair[1], "x", 1), 1);
    event_loop_run(f->loop);
    assert_int_equal(f->calls, 1);
}

static void hangup_and_stop(void *opaque, int events)
{
    struct fixture *f = opaque;
    f->calls = events;
    event_loop_stop(f->loop);
}

static void a_hangup_is_reported_unasked(void **state)
{
    struct fixture *f = *state;
    event_loop_add(f->loop, f->pair[0], 0, hangup_and_stop, f);
    shutdown(f->pair[1], SHUT_RDWR);
    event_loop_run(f->loop);
    assert_true(f->calls & EVENT_HANGUP);
}

/* Both descriptors are ready in one batch; whichever is called first removes the other. */
static void remove_both(void *opaque, int events)
{
    struct fixture *f = opaque;
    f->calls++;
    event_loop_remove(f->loop, f->watch[0]);
    event_loop_remove(f->loop, f->watch[1]);
    event_loop_stop(f->loop);
}

static void a_removed_watch_is_not_called_again(void **state)
{
    struct fixture *f = *state;
    f->watch[0] = event_loop_add(f->loop, f->pair[0], EVENT_READ, remove_both, f);
    f->watch[1] = event_loop_add(f->loop, f->other[0], EVENT_READ, remove_both, f);
    assert_int_equal(write(f->pair[1], "x", 1), 1);
    assert_int_equal(write(f->other[1], "x", 1), 1);
    event_loop_run(f->loop);
    event_loop_stop(f->loop);
    event_loop_run(f->loop);
    assert_int_equal(f->calls, 1);
}

struct post {
    struct fixture *f;
    int id;
};

static void record(void *opaque)
{
    struct post *p = opaque;
    p->f->order[p->f->n++] = p->id;
    if (p->id == 99)
        event_loop_stop(p->f->loop);
}

static void *post_hundred(void *opaque)
{
    struct post *posts = opaque;
    for (int i = 0; i < 100; i++)
        event_loop_post(posts[i].f->loop, record, &posts[i]);
    return NULL;
}

static void posts_of_another_thread_run_in_order(void **state)
{
    struct fixture *f = *state;
    struct post posts[100];
    for (int i = 0; i < 100; i++)
        posts[i] = (struct post){f, i};
    pthread_t t;
    pthread_create(&t, NULL, post_hundred, posts);
    event_loop_run(f->loop);
    pthread_join(t, NULL);
    assert_int_equal(f->n, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(f->order[i], i);
}

static void fire_and_stop(void *opaque)
{
    struct fixture *f = opaque;
    f->calls++;
    event_loop_stop(f->loop);
}

static void a_timer_fires_on_time(void **state)
{
    struct fixture *f = *state;
    timer_init(&f->timer, f->clock, fire_and_stop, f);
    u64 deadline = clock_now(f->clock) + 5000000;
    timer_arm(&f->timer, deadline);
    event_loop_run(f->loop);
    assert_int_equal(f->calls, 1);
    assert_true(clock_now(f->clock) >= deadline);
}

static void *arm_later(void *opaque)
{
    struct fixture *f = opaque;
    usleep(10000);
    timer_arm(&f->timer, clock_now(f->clock) + 1000000);
    return NULL;
}

static void a_timer_armed_elsewhere_wakes_a_sleeping_loop(void **state)
{
    struct fixture *f = *state;
    pthread_t t;
    timer_init(&f->timer, f->clock, fire_and_stop, f);
    timer_arm(&f->timer, clock_now(f->clock) + 3600ull * 1000000000);
    pthread_create(&t, NULL, arm_later, f);
    event_loop_run(f->loop);
    pthread_join(t, NULL);
    assert_int_equal(f->calls, 1);
    assert_true(clock_now(f->clock) < 1000000000ull);
}

static void at_end(void *opaque, int events)
{
    struct fixture *f = opaque;
    char buf[8];
    f->calls++;
    if (read(f->order[0], buf, sizeof(buf)) == 0) {
        event_loop_remove(f->loop, f->watch[0]);
        event_loop_stop(f->loop);
    }
}

static void a_plain_file_is_always_ready(void **state)
{
    struct fixture *f = *state;
    int fd = fileno(tmpfile());
    assert_int_equal(pwrite(fd, "0123456789abcdef", 16, 0), 16);
    f->order[0] = fd;
    f->watch[0] = event_loop_add(f->loop, fd, EVENT_READ, at_end, f);
    assert_non_null(f->watch[0]);
    event_loop_run(f->loop);
    assert_int_equal(f->calls, 3);
}

/* Twice with a little patience, which ends the sleeps; then it stops the loop. */
static int count_sleeps(void *opaque)
{
    struct fixture *f = opaque;
    if (++f->calls == 3)
        event_loop_stop(f->loop);
    return 1;
}

static void who_asks_is_called_before_every_sleep(void **state)
{
    struct fixture *f = *state;
    event_loop_before_sleep(f->loop, count_sleeps, f);
    event_loop_run(f->loop);
    assert_int_equal(f->calls, 3);
    event_loop_before_sleep(f->loop, NULL, NULL);
    event_loop_stop(f->loop);
    event_loop_run(f->loop);
    assert_int_equal(f->calls, 3);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_readable_descriptor_is_reported),
        TEST(a_hangup_is_reported_unasked),
        TEST(a_removed_watch_is_not_called_again),
        TEST(posts_of_another_thread_run_in_order),
        TEST(a_timer_fires_on_time),
        TEST(a_timer_armed_elsewhere_wakes_a_sleeping_loop),
        TEST(a_plain_file_is_always_ready),
        TEST(who_asks_is_called_before_every_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
