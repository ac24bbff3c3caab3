/* SPDX-License-Identifier: MIT */
/* The 8254 and port 0x61: counts, outputs, edges and what Linux does to calibrate its TSC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "chip_rig.h"

#define TICK_NS (1e9 / I8254_HZ)

static void program(struct rig *r, unsigned n, u8 mode, u16 count)
{
    outb(r, 0x43, n << 6 | 0x30 | mode << 1);
    outb(r, 0x40 + n, count);
    outb(r, 0x40 + n, count >> 8);
}

static u16 count(struct rig *r, unsigned n)
{
    outb(r, 0x43, n << 6);
    u16 low = inb(r, 0x40 + n);
    return low | inb(r, 0x40 + n) << 8;
}

static void ticks(struct rig *r, double n)
{
    rig_advance(r, n * TICK_NS);
}

static unsigned interrupts(struct rig *r, unsigned steps, double step_ticks)
{
    unsigned seen = 0;
    for (unsigned n = 0; n < steps; n++) {
        ticks(r, step_ticks);
        while (rig_take_pic(r) == 0x20)
            seen++;
    }
    return seen;
}

static void test_one_shot(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    program(r, 0, 0, 1000);
    ticks(r, 400.5);
    assert_int_equal(count(r, 0), 600);
    ticks(r, 598);
    assert_int_equal(rig_take_pic(r), -1);
    ticks(r, 2);
    assert_int_equal(rig_take_pic(r), 0x20);
    assert_int_equal(interrupts(r, 10, 10000), 0);
    rig_free(r);
}

static void test_rate(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    interrupts(r, 1, 1);
    program(r, 0, 2, 1000);
    interrupts(r, 1, 0.5);
    assert_int_equal(interrupts(r, 500, 100), 50);
    assert_in_range(count(r, 0), 999, 1000);
    ticks(r, 300);
    assert_in_range(count(r, 0), 699, 700);
    program(r, 0, 3, 11931); /* just over 100 Hz, square wave */
    interrupts(r, 1, 0.5);
    assert_int_equal(interrupts(r, 1000, I8254_HZ / 1000.0), 100);
    program(r, 0, 2, 2); /* may coalesce, must not hang */
    assert_true(interrupts(r, 10, 1000) > 0);
    rig_free(r);
}

static void test_bytes_and_status(void **state)
{
    struct rig *r = rig_new();
    outb(r, 0x43, 0x54); /* channel 1, low byte only, mode 2 */
    outb(r, 0x41, 18);
    outb(r, 0x43, 0xe4); /* read back status of channel 1 */
    assert_int_equal(inb(r, 0x41), 0x94);
    program(r, 2, 0, 0x1234);
    outb(r, 0x43, 0xd8); /* latch count of channel 2 */
    assert_int_equal(inb(r, 0x42), 0x34);
    assert_int_equal(inb(r, 0x42), 0x12);
    outb(r, 0x43, 0xb1); /* BCD */
    outb(r, 0x42, 0x00);
    outb(r, 0x42, 0x10);
    assert_int_equal(count(r, 2), 0x1000);
    outb(r, 0x61, 1);
    ticks(r, 1.5);
    assert_int_equal(count(r, 2), 0x0999);
    rig_free(r);
}

static void test_gate(void **state)
{
    struct rig *r = rig_new();
    outb(r, 0x61, 0);
    program(r, 2, 0, 1000);
    ticks(r, 5000);
    assert_false(inb(r, 0x61) & 0x20); /* gate low: stands */
    assert_int_equal(count(r, 2), 1000);
    outb(r, 0x61, 1);
    ticks(r, 500.5);
    u16 left = count(r, 2);
    assert_in_range(left, 499, 500); /* the gate rose somewhere within a tick */
    outb(r, 0x61, 0);
    ticks(r, 5000);
    assert_int_equal(count(r, 2), left);
    outb(r, 0x61, 1);
    ticks(r, left - 1);
    assert_false(inb(r, 0x61) & 0x20);
    ticks(r, 2);
    assert_true(inb(r, 0x61) & 0x20);
    rig_free(r);
}

/* arch/x86/kernel/tsc.c waits for OUT2 after 50 ms of channel 2. */
static void test_calibration(void **state)
{
    struct rig *r = rig_new();
    outb(r, 0x61, (inb(r, 0x61) & ~2) | 1);
    u32 latch = I8254_HZ / 20;
    program(r, 2, 0, latch);
    u64 start = clock_now(r->env.clock);
    while (!(inb(r, 0x61) & 0x20))
        rig_advance(r, 1000);
    u64 took = clock_now(r->env.clock) - start;
    assert_in_range(took, 49990000, 50010000);
    rig_free(r);
}

static void test_refresh_toggles(void **state)
{
    struct rig *r = rig_new();
    u8 before = inb(r, 0x61) & 0x10;
    rig_advance(r, 15085);
    assert_int_not_equal(inb(r, 0x61) & 0x10, before);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_shot),         cmocka_unit_test(test_rate),
        cmocka_unit_test(test_bytes_and_status), cmocka_unit_test(test_gate),
        cmocka_unit_test(test_calibration),      cmocka_unit_test(test_refresh_toggles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
