/* SPDX-License-Identifier: MIT */
/* The HPET: counter, comparators in all modes, routing, legacy replacement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "chip_rig.h"

static u64 get(struct rig *r, u32 off)
{
    return rig_read(r, HPET_BASE + off, 8);
}

static void set(struct rig *r, u32 off, u64 v)
{
    rig_write(r, HPET_BASE + off, 8, v);
}

static unsigned interrupts(struct rig *r, int vector, unsigned steps, u64 step_ns)
{
    unsigned seen = 0;
    for (unsigned n = 0; n < steps; n++) {
        rig_advance(r, step_ns);
        while (rig_take_pic(r) == vector)
            seen++;
    }
    return seen;
}

static void test_counter(void **state)
{
    struct rig *r = rig_new();
    assert_int_equal(get(r, 0) >> 32, HPET_PERIOD_FS);
    assert_int_equal(get(r, 0) & 0xffffffff, 0x8086a201);
    set(r, 0xf0, 100);
    rig_advance(r, 1000000);
    assert_int_equal(get(r, 0xf0), 100);
    set(r, 0x10, 1);
    rig_advance(r, 1000000);
    assert_int_equal(get(r, 0xf0), 100100);
    assert_int_equal(rig_read(r, HPET_BASE + 0xf0, 4), 100100);
    set(r, 0x10, 0);
    rig_advance(r, 1000000);
    assert_int_equal(get(r, 0xf0), 100100);
    rig_write(r, HPET_BASE + 0xf4, 4, 5);
    assert_int_equal(get(r, 0xf0), 100100 + (5ull << 32));
    rig_free(r);
}

static void test_legacy(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    rig_take_pic(r);
    set(r, 0x10, 3);
    outb(r, 0x43, 0x34); /* the PIT no longer reaches IRQ 0 */
    outb(r, 0x40, 0);
    outb(r, 0x40, 1);
    set(r, 0x100, 0x4c); /* enabled, periodic, value set */
    set(r, 0x108, 100000);
    set(r, 0x108, 100000);
    assert_int_equal(interrupts(r, 0x20, 1000, 100000), 100);
    set(r, 0x120, 0x04); /* timer 1, one-shot: IRQ 8 */
    set(r, 0x128, get(r, 0xf0) + 1000);
    set(r, 0x100, 0);
    assert_int_equal(interrupts(r, 0x28, 10, 5000), 1);
    set(r, 0x10, 0);
    assert_true(interrupts(r, 0x20, 100, 1000000) > 0); /* the PIT is back */
    rig_free(r);
}

static void test_route_and_level(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    r->current = 0;
    rig_write(r, IOAPIC_BASE, 4, 0x10 + 28);
    rig_write(r, IOAPIC_BASE + 0x10, 4, 0x8060); /* pin 14, level, vector 0x60 */
    set(r, 0x10, 1);
    set(r, 0x140, 0x06 | 14 << 9);
    set(r, 0x148, get(r, 0xf0) + 100);
    rig_advance(r, 999);
    assert_int_equal(lapic_pending(r->cpu[0].lapic), -1);
    rig_advance(r, 1);
    assert_int_equal(lapic_acknowledge(r->cpu[0].lapic), 0x60);
    assert_int_equal(get(r, 0x20), 4);
    rig_write(r, LAPIC_BASE + 0xb0, 4, 0);
    assert_int_equal(lapic_pending(r->cpu[0].lapic), 0x60); /* the level stands */
    set(r, 0x20, 4);
    assert_int_equal(get(r, 0x20), 0);
    lapic_acknowledge(r->cpu[0].lapic);
    rig_write(r, LAPIC_BASE + 0xb0, 4, 0);
    assert_int_equal(lapic_pending(r->cpu[0].lapic), -1);
    rig_free(r);
}

static void test_32_bit(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    rig_take_pic(r);
    set(r, 0xf0, 0xfffffff0);
    set(r, 0x100, 0x104);
    set(r, 0x108, 0x10);
    set(r, 0x10, 3);
    assert_int_equal(interrupts(r, 0x20, 1, 319), 0);
    assert_int_equal(interrupts(r, 0x20, 1, 1), 1);
    set(r, 0x100, 0x14c); /* periodic with a period of one tick: must not hang */
    set(r, 0x108, 0x20);
    rig_write(r, HPET_BASE + 0x108, 4, 1);
    assert_true(interrupts(r, 0x20, 10, 100000) > 0);
    set(r, 0x108, 0);
    assert_true(clock_next(r->env.clock) > clock_now(r->env.clock) + 1000000);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter),
        cmocka_unit_test(test_legacy),
        cmocka_unit_test(test_route_and_level),
        cmocka_unit_test(test_32_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
