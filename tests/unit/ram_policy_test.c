/* SPDX-License-Identifier: MIT */
/* Dynamic memory's decision, over a guest's life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "vm/ram_policy.h"

static const struct ram_policy policy = {
    .minimum = 128 * MIB, .maximum = 4 * GIB, .buffer = 20, .priority = 50};

/* Started with 1 GiB, it could have 2. */
static struct machine_ram guest(u64 used)
{
    return (struct machine_ram){.size = GIB,
                                .most = 2 * GIB,
                                .assigned = GIB,
                                .wanted = GIB,
                                .used = used,
                                .driver = true,
                                .grows = true};
}

static u64 next(const struct machine_ram *r)
{
    return ram_policy_next(&policy, r, RAM_SPARE_UNKNOWN);
}

static void shrinks_by_steps_to_use_and_buffer(void **state)
{
    struct machine_ram r = guest(300 * MIB);
    unsigned steps = 0;
    for (u64 n; (n = next(&r)) != r.wanted; steps++) {
        assert_true(n < r.wanted && r.wanted - n <= 64 * MIB);
        r.wanted = n;
    }
    assert_in_range(steps, 11, 20);
    assert_in_range(r.wanted, 360 * MIB, 360 * MIB + 16 * MIB);
}

static void grows_at_once(void **state)
{
    struct machine_ram r = guest(500 * MIB);
    r.wanted = 200 * MIB;
    assert_int_equal(next(&r), 600 * MIB);
    r.used = 900 * MIB;
    assert_int_equal(next(&r), 1080 * MIB); /* beyond its beginning */
    r.used = ~0ull >> 8;
    assert_int_equal(next(&r), 2 * GIB);
}

static void grows_no_further_than_it_may(void **state)
{
    const struct ram_policy low = {.minimum = 128 * MIB, .maximum = 1500 * MIB, .buffer = 20};
    struct machine_ram r = guest(4 * GIB);
    assert_int_equal(ram_policy_next(&low, &r, RAM_SPARE_UNKNOWN), 1500 * MIB);
    r.grows = false; /* no driver for more than it was started with */
    assert_int_equal(ram_policy_next(&low, &r, RAM_SPARE_UNKNOWN), GIB);
}

static void never_below_the_minimum(void **state)
{
    struct machine_ram r = guest(MIB);
    r.wanted = 130 * MIB;
    assert_int_equal(next(&r), 128 * MIB);
    r.wanted = 128 * MIB;
    assert_int_equal(next(&r), 128 * MIB);
}

static void a_raised_minimum_grows_it(void **state)
{
    const struct ram_policy more = {.minimum = 512 * MIB, .maximum = GIB, .buffer = 20};
    struct machine_ram r = guest(MIB);
    r.wanted = 128 * MIB;
    assert_int_equal(ram_policy_next(&more, &r, RAM_SPARE_UNKNOWN), 512 * MIB);
    assert_int_equal(ram_policy_next(&more, &r, 0), 512 * MIB);
}

static void stays_without_a_word_or_while_frozen(void **state)
{
    struct machine_ram r = guest(0);
    r.wanted = 700 * MIB;
    assert_int_equal(next(&r), r.wanted);
    r.used = 900 * MIB;
    r.frozen = true;
    assert_int_equal(next(&r), r.wanted);
    assert_int_equal(ram_policy_next(&policy, &r, 0), r.wanted);
    r.frozen = false;
    r.driver = false;
    assert_int_equal(next(&r), r.wanted);
}

static void small_differences_move_nothing(void **state)
{
    struct machine_ram r = guest(300 * MIB);
    r.wanted = 370 * MIB;
    assert_int_equal(next(&r), r.wanted);
}

static void low_priorities_are_short_first(void **state)
{
    const u64 total = 32 * GIB;
    assert_int_equal(ram_policy_spare(100, total, 2 * GIB), GIB);
    assert_int_equal(ram_policy_spare(100, total, GIB), 0);
    assert_int_equal(ram_policy_spare(0, total, 4 * GIB), 0);
    assert_in_range(ram_policy_spare(0, total, 5 * GIB), GIB, GIB + 100);
    for (unsigned p = 1; p <= 100; p++)
        assert_true(ram_policy_spare(p, total, 8 * GIB) > ram_policy_spare(p - 1, total, 8 * GIB));
}

static void a_short_host_gives_less(void **state)
{
    struct machine_ram r = guest(700 * MIB);
    r.wanted = 500 * MIB;
    assert_int_equal(ram_policy_next(&policy, &r, 41 * MIB), 540 * MIB); /* what is spare */
    assert_int_equal(ram_policy_next(&policy, &r, 0), 500 * MIB);        /* nothing */
    r.wanted = GIB;
    assert_int_equal(ram_policy_next(&policy, &r, 0), 700 * MIB); /* the buffer goes, and at once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shrinks_by_steps_to_use_and_buffer),
        cmocka_unit_test(grows_at_once),
        cmocka_unit_test(grows_no_further_than_it_may),
        cmocka_unit_test(never_below_the_minimum),
        cmocka_unit_test(a_raised_minimum_grows_it),
        cmocka_unit_test(stays_without_a_word_or_while_frozen),
        cmocka_unit_test(small_differences_move_nothing),
        cmocka_unit_test(low_priorities_are_short_first),
        cmocka_unit_test(a_short_host_gives_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
