/* SPDX-License-Identifier: MIT */
/* The I/O APIC and the way of an interrupt through it to a local APIC and back (EOI). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "chip_rig.h"

enum { LEVEL = 1 << 15, MASKED = 1 << 16, REMOTE_IRR = 1 << 14 };

static u32 reg(struct rig *r, u8 n)
{
    rig_write(r, IOAPIC_BASE, 4, n);
    return rig_read(r, IOAPIC_BASE + 0x10, 4);
}

static void set_reg(struct rig *r, u8 n, u32 v)
{
    rig_write(r, IOAPIC_BASE, 4, n);
    rig_write(r, IOAPIC_BASE + 0x10, 4, v);
}

static void entry(struct rig *r, unsigned pin, u32 low, u8 dest)
{
    set_reg(r, 0x11 + 2 * pin, (u32)dest << 24);
    set_reg(r, 0x10 + 2 * pin, low);
}

static void line(struct rig *r, unsigned pin, int level)
{
    struct irq_line l = ioapic_line(r->ioapic, pin);
    irq_set(&l, level);
}

static struct rig *start(void)
{
    struct rig *r = rig_new();
    for (unsigned n = RIG_CPUS; n-- > 0;) {
        r->current = n;
        rig_write(r, LAPIC_BASE + 0xf0, 4, 0x1ff);
    }
    return r;
}

/* Takes the next interrupt of cpu and ends it. */
static int take(struct rig *r, unsigned cpu)
{
    r->current = cpu;
    int v = lapic_acknowledge(r->cpu[cpu].lapic);
    if (v >= 0)
        rig_write(r, LAPIC_BASE + 0xb0, 4, 0);
    return v;
}

static void test_registers(void **state)
{
    struct rig *r = start();
    assert_int_equal(reg(r, 1), 0x170020);
    set_reg(r, 1, 0xffffffff);
    assert_int_equal(reg(r, 1), 0x170020);
    set_reg(r, 0, 0xffffffff);
    assert_int_equal(reg(r, 0), 0x0f000000);
    assert_int_equal(reg(r, 2), 0x0f000000);
    set_reg(r, 0x10, 0xffffffff);
    assert_int_equal(reg(r, 0x10), 0x1afff); /* status and Remote IRR are read-only */
    assert_int_equal(reg(r, 0x40), 0);
    rig_free(r);
}

static void test_edge(void **state)
{
    struct rig *r = start();
    entry(r, 14, 0x76, 1);
    line(r, 14, 1);
    assert_int_equal(rig_signals(r, 1), LAPIC_INTR);
    assert_int_equal(rig_signals(r, 0), 0);
    assert_int_equal(take(r, 1), 0x76);
    line(r, 14, 1);
    assert_int_equal(take(r, 1), -1);
    line(r, 14, 0);
    entry(r, 14, 0x76 | MASKED, 1);
    line(r, 14, 1);
    line(r, 14, 0);
    entry(r, 14, 0x76, 1);
    assert_int_equal(take(r, 1), -1); /* an edge while masked is lost */
    rig_free(r);
}

static void test_level(void **state)
{
    struct rig *r = start();
    entry(r, 20, 0x77 | LEVEL, 0);
    line(r, 20, 1);
    assert_true(reg(r, 0x10 + 40) & REMOTE_IRR);
    assert_int_equal(lapic_pending(r->cpu[0].lapic), 0x77);
    assert_int_equal(rig_read(r, LAPIC_BASE + 0x180 + 0x30, 4) >> (0x77 & 31) & 1, 1); /* TMR */
    assert_int_equal(take(r, 0), 0x77);
    assert_int_equal(take(r, 0), 0x77); /* still high at EOI: again */
    line(r, 20, 0);
    assert_int_equal(take(r, 0), 0x77); /* was sent before it dropped */
    assert_int_equal(take(r, 0), -1);
    assert_false(reg(r, 0x10 + 40) & REMOTE_IRR);
    line(r, 20, 1);
    assert_int_equal(take(r, 0), 0x77);
    rig_free(r);
}

static void test_level_mask(void **state)
{
    struct rig *r = start();
    entry(r, 20, 0x82 | LEVEL | MASKED, 0);
    line(r, 20, 1);
    assert_int_equal(take(r, 0), -1);
    entry(r, 20, 0x82 | LEVEL, 0);
    line(r, 20, 0);
    assert_int_equal(take(r, 0), 0x82);
    rig_free(r);
}

static void test_directed_eoi(void **state)
{
    struct rig *r = start();
    rig_write(r, LAPIC_BASE + 0xf0, 4, 0x11ff); /* suppress the broadcast */
    entry(r, 20, 0x77 | LEVEL, 0);
    line(r, 20, 1);
    assert_int_equal(take(r, 0), 0x77);
    assert_true(reg(r, 0x10 + 40) & REMOTE_IRR);
    rig_write(r, IOAPIC_BASE + 0x40, 4, 0x77);
    assert_int_equal(take(r, 0), 0x77);
    rig_free(r);
}

static void test_isa_override(void **state)
{
    struct rig *r = start();
    rig_start_pics(r);
    entry(r, 2, 0x30, 0);
    entry(r, 4, 0x34, 0);
    struct irq_line irq0 = isa_irq_line(&r->isa, 0), irq4 = isa_irq_line(&r->isa, 4);
    irq_set(&irq0, 1);
    irq_set(&irq4, 1);
    assert_int_equal(rig_take_pic(r), 0x20);
    assert_int_equal(rig_take_pic(r), 0x24);
    assert_int_equal(take(r, 0), 0x34);
    assert_int_equal(take(r, 0), 0x30);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),    cmocka_unit_test(test_edge),
        cmocka_unit_test(test_level),        cmocka_unit_test(test_level_mask),
        cmocka_unit_test(test_directed_eoi), cmocka_unit_test(test_isa_override),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
