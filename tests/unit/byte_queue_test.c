/* SPDX-License-Identifier: MIT */
/* The queue of bytes: order, one giver after the other, more than there is room for, and a held sink. */
#include <stdarg.h>
#include <setjmp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/byte_queue.h"

enum { MANY = 300000 };

struct fixture {
    struct event_loop *loop;
    struct byte_queue *queue;
    u8 *got;
    atomic_size_t len;
    atomic_uint calls, inside;
};

static void take(void *opaque, const u8 *data, size_t len)
{
    struct fixture *f = opaque;
    assert_int_equal(atomic_fetch_add(&f->inside, 1), 0);
    assert_true(len > 0 && f->len + len <= MANY);
    memcpy(f->got + f->len, data, len);
    f->len += len;
    f->calls++;
    atomic_fetch_sub(&f->inside, 1);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->got = malloc(MANY);
    f->loop = event_loop_new(NULL, NULL);
    f->queue = byte_queue_new(take, f);
    assert_true(f->got && f->loop && f->queue);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    byte_queue_free(f->queue);
    event_loop_free(f->loop);
    free(f->got);
    free(f);
    return 0;
}

static void give(struct fixture *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        byte_queue_give(f->queue, (u8)(i * 7 + (i >> 8)));
}

static void check(struct fixture *f, unsigned n)
{
    assert_int_equal(f->len, n);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(f->got[i], (u8)(i * 7 + (i >> 8)));
}

static void stop(void *opaque)
{
    event_loop_stop(opaque);
}

static void one_turn_of_the_loop_is_one_piece(void **state)
{
    struct fixture *f = *state;
    give(f, 10); /* waits for the loop */
    assert_int_equal(f->len, 0);
    byte_queue_attach(f->queue, f->loop);
    event_loop_post(f->loop, stop, f->loop);
    event_loop_run(f->loop);
    check(f, 10);
    assert_int_equal(f->calls, 1);
}

static void nothing_is_no_piece(void **state)
{
    struct fixture *f = *state;
    byte_queue_flush(f->queue);
    assert_int_equal(f->calls, 0);
}

static void more_than_fits_goes_out_by_itself(void **state)
{
    struct fixture *f = *state;
    give(f, MANY);
    assert_true(f->len > 0 && f->len < MANY);
    byte_queue_flush(f->queue);
    check(f, MANY);
}

static void *giver(void *opaque)
{
    give(opaque, MANY);
    return NULL;
}

static void a_held_sink_makes_the_giver_wait(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    byte_queue_hold(f->queue);
    assert_int_equal(pthread_create(&thread, NULL, giver, f), 0);
    usleep(20000);
    assert_int_equal(f->len, 0);
    byte_queue_release(f->queue);
    pthread_join(thread, NULL);
    byte_queue_flush(f->queue);
    check(f, MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_turn_of_the_loop_is_one_piece, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_no_piece, setup, teardown),
        cmocka_unit_test_setup_teardown(more_than_fits_goes_out_by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(a_held_sink_makes_the_giver_wait, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
