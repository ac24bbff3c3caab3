/* SPDX-License-Identifier: MIT */
/* Dynamic memory's decision, over a guest's life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "vm/ram_policy.h"

static const struct ram_policy policy = {.minimum = 128 * MIB, .buffer = 20};

static struct machine_ram guest(u64 used)
{
    return (struct machine_ram){.size = GIB, .assigned = GIB, .wanted = GIB, .used = used, .driver = true};
}

static void shrinks_by_steps_to_use_and_buffer(void **state)
{
    struct machine_ram r = guest(300 * MIB);
    unsigned steps = 0;
    for (u64 next; (next = ram_policy_next(&policy, &r)) != r.wanted; steps++) {
        assert_true(next < r.wanted && r.wanted - next <= 64 * MIB);
        r.wanted = next;
    }
    assert_int_equal(steps, 11);
    assert_in_range(r.wanted, 360 * MIB, 360 * MIB + 16 * MIB);
}

static void grows_at_once(void **state)
{
    struct machine_ram r = guest(500 * MIB);
    r.wanted = 200 * MIB;
    assert_int_equal(ram_policy_next(&policy, &r), 600 * MIB);
    r.used = 900 * MIB;
    assert_int_equal(ram_policy_next(&policy, &r), GIB);
    r.used = ~0ull >> 8;
    assert_int_equal(ram_policy_next(&policy, &r), GIB);
}

static void never_below_the_minimum(void **state)
{
    struct machine_ram r = guest(MIB);
    r.wanted = 130 * MIB;
    assert_int_equal(ram_policy_next(&policy, &r), 128 * MIB);
    r.wanted = 128 * MIB;
    assert_int_equal(ram_policy_next(&policy, &r), 128 * MIB);
}

static void a_raised_minimum_grows_it(void **state)
{
    const struct ram_policy more = {.minimum = 512 * MIB, .buffer = 20};
    struct machine_ram r = guest(MIB);
    r.wanted = 128 * MIB;
    assert_int_equal(ram_policy_next(&more, &r), 512 * MIB);
}

static void stays_without_a_word_or_while_frozen(void **state)
{
    struct machine_ram r = guest(0);
    r.wanted = 700 * MIB;
    assert_int_equal(ram_policy_next(&policy, &r), r.wanted);
    r.used = 900 * MIB;
    r.frozen = true;
    assert_int_equal(ram_policy_next(&policy, &r), r.wanted);
    r.frozen = false;
    r.driver = false;
    assert_int_equal(ram_policy_next(&policy, &r), r.wanted);
}

static void small_differences_move_nothing(void **state)
{
    struct machine_ram r = guest(300 * MIB);
    r.wanted = 370 * MIB;
    assert_int_equal(ram_policy_next(&policy, &r), r.wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shrinks_by_steps_to_use_and_buffer),
        cmocka_unit_test(grows_at_once),
        cmocka_unit_test(never_below_the_minimum),
        cmocka_unit_test(a_raised_minimum_grows_it),
        cmocka_unit_test(stays_without_a_word_or_while_frozen),
        cmocka_unit_test(small_differences_move_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
