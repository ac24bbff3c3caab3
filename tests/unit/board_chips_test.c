/* SPDX-License-Identifier: MIT */
/* The small chips: ACPI power management, 8042, pvpanic, debug exit, pc-testdev, fw_cfg. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "chip_rig.h"

static void test_power_off(void **state)
{
    struct rig *r = rig_new();
    assert_int_equal(rig_in(r, ACPI_PM1A_CNT, 2), 1); /* always in ACPI mode */
    rig_out(r, ACPI_PM1A_CNT, 2, 5 << 10);
    rig_out(r, ACPI_PM1A_CNT, 2, 3 << 10 | 1 << 13);
    assert_int_equal(r->requests, 0);
    rig_out(r, ACPI_PM1A_CNT, 2, 5 << 10 | 1 << 13);
    assert_int_equal(r->requests, 1);
    assert_int_equal(r->power, POWER_OFF);
    rig_free(r);
}

static void test_power_button(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    acpi_pm_power_button(r->pm);
    assert_int_equal(rig_take_pic(r), -1); /* not enabled */
    rig_out(r, ACPI_PM1A_EVT + 2, 2, 0x100);
    assert_int_equal(rig_take_pic(r), 0x29);
    assert_int_equal(rig_in(r, ACPI_PM1A_EVT, 2), 0x100);
    rig_out(r, ACPI_PM1A_EVT, 2, 0x100);
    assert_int_equal(rig_in(r, ACPI_PM1A_EVT, 4), 0x100 << 16);
    acpi_pm_power_button(r->pm);
    assert_int_equal(rig_take_pic(r), 0x29);
    rig_free(r);
}

static void test_gpe(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    outb(r, ACPI_GPE0 + 3, 0x02);
    acpi_pm_gpe(r->pm, 8);
    assert_int_equal(rig_take_pic(r), -1);
    acpi_pm_gpe(r->pm, 9);
    assert_int_equal(rig_take_pic(r), 0x29);
    assert_int_equal(rig_in(r, ACPI_GPE0, 2), 0x300);
    rig_free(r);
}

static void test_pm_timer(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    u32 before = rig_in(r, ACPI_PM_TMR, 4);
    rig_advance(r, 1000000000);
    assert_int_equal((u32)rig_in(r, ACPI_PM_TMR, 4) - before, ACPI_PM_TIMER_HZ);
    rig_out(r, ACPI_PM1A_EVT + 2, 2, 1);
    rig_advance(r, 598000000000ull);
    assert_int_equal(rig_take_pic(r), -1);
    rig_advance(r, 2000000000ull); /* bit 31 turns after 599.9 s */
    assert_int_equal(rig_take_pic(r), 0x29);
    assert_int_equal(rig_in(r, ACPI_PM1A_EVT, 2), 1);
    rig_free(r);
}

static void test_i8042(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    outb(r, 0x64, 0xaa);
    assert_int_equal(inb(r, 0x64) & 1, 1);
    assert_int_equal(inb(r, 0x60), 0x55);
    assert_int_equal(inb(r, 0x64) & 1, 0);
    rig_take_pic(r);
    outb(r, 0x64, 0x60);
    outb(r, 0x60, 0x41);
    outb(r, 0x64, 0x20);
    assert_int_equal(inb(r, 0x60), 0x41);
    rig_take_pic(r);
    outb(r, 0x60, 0xf2); /* identify a keyboard that is not there */
    assert_int_equal(inb(r, 0x64) & 0x41, 0x41);
    assert_int_equal(rig_take_pic(r), 0x21);
    assert_int_equal(inb(r, 0x60), 0xfe);
    assert_int_equal(r->requests, 0);
    outb(r, 0x64, 0xfe);
    assert_int_equal(r->requests, 1);
    assert_int_equal(r->power, POWER_RESET);
    rig_free(r);
}

static void test_port_a(void **state)
{
    struct rig *r = rig_new();
    assert_int_equal(inb(r, 0x92), 2);
    outb(r, 0x92, 0);
    assert_int_equal(r->requests, 0);
    outb(r, 0x92, inb(r, 0x92) | 1);
    assert_int_equal(r->requests, 1);
    assert_int_equal(r->power, POWER_RESET);
    rig_free(r);
}

static void test_panic_and_exit(void **state)
{
    struct rig *r = rig_new();
    assert_int_equal(inb(r, PVPANIC_PORT), 1);
    outb(r, PVPANIC_PORT, 2);
    assert_int_equal(r->requests, 0);
    outb(r, PVPANIC_PORT, 1);
    assert_int_equal(r->power, POWER_PANIC);
    rig_out(r, 0xf4, 4, 0x10);
    assert_int_equal(r->power, POWER_DEBUG_EXIT);
    assert_int_equal(r->code, 0x21);
    assert_int_equal(r->requests, 2);
    rig_free(r);
}

static void test_testdev(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    rig_out(r, 0xe0, 4, 0x12345678);
    outb(r, 0xe1, 0xaa);
    assert_int_equal(rig_in(r, 0xe0, 4), 0x1234aa78);
    assert_int_equal(rig_in(r, 0xe8, 4), 0x1234aa78);
    assert_int_equal(rig_in(r, 0xe2, 2), 0x1234);
    rig_write(r, 0xff000ff8, 8, 0x1122334455667788);
    assert_int_equal(rig_read(r, 0xff000ffc, 4), 0x11223344);
    outb(r, 0x2000 + 14, 1);
    assert_int_equal(rig_take_pic(r), 0x2e);
    r->current = 0;
    rig_write(r, IOAPIC_BASE, 4, 0x10 + 2 * 20);
    rig_write(r, IOAPIC_BASE + 0x10, 4, 0x66);
    outb(r, 0x2000 + 20, 1);
    assert_int_equal(lapic_acknowledge(r->cpu[0].lapic), 0x66);
    rig_free(r);
}

static void select_item(struct rig *r, u16 key)
{
    rig_out(r, 0x510, 2, key);
}

static u64 number(struct rig *r, u16 key, unsigned size)
{
    u64 v = 0;
    select_item(r, key);
    for (unsigned n = 0; n < size; n++)
        v |= (u64)inb(r, 0x511) << 8 * n;
    return v;
}

static void test_fw_cfg(void **state)
{
    struct rig *r = rig_new();
    assert_int_equal(number(r, 0, 4), 0x554d4551);
    assert_int_equal(number(r, 5, 2), 2);
    assert_int_equal(number(r, 15, 2), 4);
    assert_int_equal(number(r, 3, 8), RIG_RAM);
    assert_int_equal(number(r, 5, 8), 2); /* zeroes past the end */
    assert_int_equal(number(r, 0x77, 4), 0);
    struct err err = {0};
    assert_int_equal(fw_cfg_add_file(r->fw_cfg, "etc/first", "abcdef", 6, &err), 0);
    assert_int_equal(fw_cfg_add_file(r->fw_cfg, "etc/second", "xyz", 3, &err), 0);
    assert_int_equal(number(r, 0x19, 4), htobe32(2));
    u8 entry[64];
    for (unsigned n = 0; n < sizeof entry; n++)
        entry[n] = inb(r, 0x511);
    assert_string_equal((char *)entry + 8, "etc/first");
    assert_int_equal(be32toh(load_le(entry, 4)), 6);
    assert_int_equal(number(r, be16toh(load_le(entry + 4, 2)), 3), 'a' | 'b' << 8 | 'c' << 16);
    assert_int_equal(fw_cfg_add(r->fw_cfg, 5, "", 0, &err), -1);
    assert_true(err.status);
    rig_free(r);
}

static u32 dma(struct rig *r, u32 control, u32 len, u64 address)
{
    struct {
        u32 control, len;
        u64 address;
    } block = {htobe32(control), htobe32(len), htobe64(address)};
    assert_int_equal(space_write(r->env.memory, 0x1000, &block, sizeof block), 0);
    rig_out(r, 0x514, 4, 0);
    rig_out(r, 0x518, 4, htobe32(0x1000));
    assert_int_equal(space_read(r->env.memory, 0x1000, &block, 4), 0);
    return be32toh(block.control);
}

static void test_fw_cfg_dma(void **state)
{
    struct rig *r = rig_new();
    assert_int_equal(rig_in(r, 0x514, 4), htobe32(0x51454d55));
    assert_int_equal(number(r, 1, 4), 3);
    assert_int_equal(dma(r, 0 << 16 | 0xa, 3, 0x2001), 0);
    assert_int_equal(rig_read(r, 0x2000, 8), (u64)0x4d4551 << 8);
    assert_int_equal(dma(r, 0 << 16 | 8 | 4, 2, 0), 0); /* select, skip two */
    assert_int_equal(dma(r, 2, 1, 0x2000), 0);
    assert_int_equal(rig_read(r, 0x2000, 1), 'M');
    assert_int_equal(dma(r, 0 << 16 | 0xa, 4, 0x7fff0000), 1); /* no memory there */
    assert_int_equal(dma(r, 0 << 16 | 0xa, 0xffffffff, 0x2000), 1);
    assert_int_equal(dma(r, 0x10, 4, 0x2000), 1);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_off),
        cmocka_unit_test(test_power_button),
        cmocka_unit_test(test_gpe),
        cmocka_unit_test(test_pm_timer),
        cmocka_unit_test(test_i8042),
        cmocka_unit_test(test_port_a),
        cmocka_unit_test(test_panic_and_exit),
        cmocka_unit_test(test_testdev),
        cmocka_unit_test(test_fw_cfg),
        cmocka_unit_test(test_fw_cfg_dma),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
