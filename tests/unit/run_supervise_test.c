/* SPDX-License-Identifier: MIT */
/* The first process of a run, with small children in place of the worker: what ends how, and with which
 * status. */
#include <stdarg.h>
#include <setjmp.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "cmd/run_supervise.h"

static int run(int (*worker)(void *, int), u64 timeout_ms)
{
    struct supervisor s;
    struct err err = {0};
    assert_int_equal(supervisor_begin(&s, &err), 0);
    s.timeout_ms = timeout_ms;
    s.worker = supervisor_start(&s, "test-worker", worker, NULL, &s.worker_control, &err);
    assert_true(s.worker > 0);
    int status = supervisor_wait(&s);
    supervisor_end(&s);
    return status;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int end_with_33(void *arg, int control)
{
    return 33;
}

static int end_at_hang_up(void *arg, int control)
{
    struct pollfd p = {.fd = control};
    poll(&p, 1, 20000);
    return p.revents & POLLHUP ? 0 : 99;
}

static int never_end(void *arg, int control)
{
    for (;;)
        pause();
    return 0;
}

static int crash(void *arg, int control)
{
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    return 0;
}

static int terminate_parent(void *arg, int control)
{
    kill(getppid(), SIGTERM);
    return end_at_hang_up(arg, control);
}

static int interrupt_group_member(void *arg, int control)
{
    raise(SIGINT); /* what Ctrl-C also sends to the worker; only the first process decides */
    return 5;
}

static void the_workers_status_is_the_runs(void **state)
{
    assert_int_equal(run(end_with_33, 0), 33);
}

static void a_timeout_asks_the_worker_to_stop(void **state)
{
    double start = seconds();
    assert_int_equal(run(end_at_hang_up, 100), EXIT_STATUS_TIMEOUT);
    assert_true(seconds() - start >= 0.1);
    assert_true(seconds() - start < 1.5);
}

static void a_deaf_worker_is_killed(void **state)
{
    double start = seconds();
    assert_int_equal(run(never_end, 50), EXIT_STATUS_TIMEOUT);
    assert_true(seconds() - start < 10);
}

static void a_crash_is_the_hosts_failure(void **state)
{
    assert_int_equal(run(crash, 0), EXIT_STATUS_HOST);
}

static void a_signal_ends_the_guest_and_names_itself(void **state)
{
    assert_int_equal(run(terminate_parent, 0), 128 + SIGTERM);
}

static void the_worker_ignores_the_terminals_signals(void **state)
{
    assert_int_equal(run(interrupt_group_member, 0), 5);
}

static void signals_are_as_before_afterwards(void **state)
{
    sigset_t mask;
    run(end_with_33, 0);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    assert_false(sigismember(&mask, SIGTERM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_workers_status_is_the_runs),
        cmocka_unit_test(a_timeout_asks_the_worker_to_stop),
        cmocka_unit_test(a_deaf_worker_is_killed),
        cmocka_unit_test(a_crash_is_the_hosts_failure),
        cmocka_unit_test(a_signal_ends_the_guest_and_names_itself),
        cmocka_unit_test(the_worker_ignores_the_terminals_signals),
        cmocka_unit_test(signals_are_as_before_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
