/* SPDX-License-Identifier: MIT */
/* The real-time clock: time in every format, setting it, its three interrupts, memory sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "chip_rig.h"

static u8 get(struct rig *r, u8 reg)
{
    outb(r, 0x70, reg);
    return inb(r, 0x71);
}

static void set(struct rig *r, u8 reg, u8 v)
{
    outb(r, 0x70, reg);
    outb(r, 0x71, v);
}

static void expect_time(struct rig *r, u32 century_to_day, u32 time)
{
    assert_int_equal((u32)get(r, 0x32) << 24 | get(r, 9) << 16 | get(r, 8) << 8 | get(r, 7), century_to_day);
    assert_int_equal(get(r, 4) << 16 | get(r, 2) << 8 | get(r, 0), time);
}

static void test_time(void **state)
{
    struct rig *r = rig_new();
    expect_time(r, 0x20231114, 0x221320);
    assert_int_equal(get(r, 6), 3); /* a Tuesday */
    rig_advance(r, (1 * 3600 + 46 * 60 + 40) * 1000000000ull);
    expect_time(r, 0x20231115, 0x000000);
    rig_advance(r, 107ull * 86400 * 1000000000ull);
    expect_time(r, 0x20240301, 0x000000); /* over a leap day */
    set(r, 0xb, 6);
    rig_advance(r, 13 * 3600 * 1000000000ull);
    assert_int_equal(get(r, 4), 13);
    set(r, 0xb, 4); /* 12 hours, binary */
    assert_int_equal(get(r, 4), 0x81);
    set(r, 0xb, 0);
    rig_advance(r, 11 * 3600 * 1000000000ull);
    assert_int_equal(get(r, 4), 0x12); /* midnight */
    rig_free(r);
}

static void test_setting(void **state)
{
    struct rig *r = rig_new();
    set(r, 0xb, 0x82);
    static const u8 regs[] = {0x32, 9, 8, 7, 4, 2, 0}, values[] = {0x20, 0x30, 0x12, 0x31, 0x23, 0x59, 0x58};
    for (unsigned n = 0; n < sizeof regs; n++)
        set(r, regs[n], values[n]);
    rig_advance(r, 10000000000ull);
    expect_time(r, 0x20301231, 0x235958); /* stands while SET */
    set(r, 0xb, 2);
    rig_advance(r, 3000000000ull);
    expect_time(r, 0x20310101, 0x000001);
    rig_free(r);
}

static void test_update_in_progress(void **state)
{
    struct rig *r = rig_new();
    assert_int_equal(get(r, 0xa), 0x26);
    rig_advance(r, 999800000);
    assert_int_equal(get(r, 0xa), 0xa6);
    rig_advance(r, 300000);
    assert_int_equal(get(r, 0xa), 0x26);
    rig_free(r);
}

static unsigned interrupts(struct rig *r, unsigned steps, u64 step_ns, u8 *flags)
{
    unsigned seen = 0;
    for (unsigned n = 0; n < steps; n++) {
        rig_advance(r, step_ns);
        if (rig_take_pic(r) != 0x28)
            continue;
        seen++;
        *flags = get(r, 0xc);
    }
    return seen;
}

static void test_interrupts(void **state)
{
    struct rig *r = rig_new();
    u8 flags = 0;
    rig_start_pics(r);
    assert_int_equal(interrupts(r, 3, 1000000000, &flags), 0);
    get(r, 0xc);
    set(r, 0xb, 0x12); /* update */
    assert_int_equal(interrupts(r, 100, 100000000, &flags), 10);
    assert_int_equal(flags & 0xd0, 0xd0); /* the periodic flag sets without its interrupt */
    set(r, 0xb, 0x42);                    /* 1024 Hz */
    get(r, 0xc);
    assert_int_equal(interrupts(r, 10000, 100000, &flags), 1024);
    set(r, 0xb, 0x22);
    set(r, 1, 0x30); /* at second 30, any minute and hour */
    set(r, 3, 0xff);
    set(r, 5, 0xff);
    get(r, 0xc);
    assert_int_equal(interrupts(r, 600, 1000000000, &flags), 10);
    assert_int_equal(flags & 0xa0, 0xa0);
    set(r, 0xb, 0x02);
    assert_int_equal(interrupts(r, 100, 1000000000, &flags), 0);
    assert_true(clock_next(r->env.clock) == CLOCK_NEVER); /* nobody asks, nobody wakes */
    rig_free(r);
}

static void test_memory(void **state)
{
    struct rig *r = rig_new();
    assert_int_equal(get(r, 0x15) | get(r, 0x16) << 8, 640);
    assert_int_equal(get(r, 0x34) | get(r, 0x35) << 8, (512 - 16) * 16);
    assert_int_equal(get(r, 0x5b) | get(r, 0x5c) << 8 | get(r, 0x5d) << 16, 16384);
    set(r, 0x0f, 0x0a);
    rig_reset(r);
    assert_int_equal(get(r, 0x0f), 0x0a); /* kept by the battery */
    set(r, 0x0d, 0);
    assert_int_equal(get(r, 0x0d), 0x80);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_setting),
        cmocka_unit_test(test_update_in_progress),
        cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
