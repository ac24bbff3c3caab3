/* SPDX-License-Identifier: MIT */
/* The 8259s: priorities, cascade, EOI, edge and level, modes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "chip_rig.h"

static void line(struct rig *r, unsigned irq, int level)
{
    struct irq_line l = i8259_line(r->i8259, irq);
    irq_set(&l, level);
}

static void test_priority(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    line(r, 5, 1);
    line(r, 3, 1);
    assert_int_equal(i8259_pending(r->i8259), 0x23);
    assert_int_equal(i8259_acknowledge(r->i8259), 0x23);
    assert_int_equal(i8259_pending(r->i8259), -1); /* 5 waits for the end of 3 */
    line(r, 1, 1);
    assert_int_equal(i8259_acknowledge(r->i8259), 0x21); /* 1 does not */
    outb(r, 0x20, 0x20);
    assert_int_equal(i8259_pending(r->i8259), -1);
    outb(r, 0x20, 0x63); /* specific EOI of 3 */
    assert_int_equal(i8259_acknowledge(r->i8259), 0x25);
    rig_free(r);
}

static void test_cascade(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    line(r, 12, 1);
    line(r, 8, 1);
    assert_int_equal(rig_take_pic(r), 0x28);
    assert_int_equal(rig_take_pic(r), 0x2c); /* the slave's second request is not lost */
    assert_int_equal(rig_take_pic(r), -1);
    rig_free(r);
}

static void test_edge_and_level(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    line(r, 5, 1);
    assert_int_equal(rig_take_pic(r), 0x25);
    line(r, 5, 1); /* no edge */
    assert_int_equal(rig_take_pic(r), -1);
    outb(r, 0x4d0, 0xff);
    assert_int_equal(inb(r, 0x4d0), 0xf8); /* 0, 1 and 2 stay edges */
    assert_int_equal(rig_take_pic(r), 0x25);
    assert_int_equal(rig_take_pic(r), 0x25); /* a level stands */
    line(r, 5, 0);
    assert_int_equal(rig_take_pic(r), -1);
    rig_free(r);
}

static void test_mask(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    outb(r, 0x21, 0x20);
    assert_int_equal(inb(r, 0x21), 0x20);
    line(r, 5, 1);
    assert_int_equal(i8259_pending(r->i8259), -1);
    assert_int_equal(rig_signals(r, 0), 0);
    outb(r, 0x21, 0);
    assert_int_equal(i8259_pending(r->i8259), 0x25);
    assert_int_equal(rig_signals(r, 0), LAPIC_INTR);
    rig_free(r);
}

static void test_rotation_and_auto_eoi(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    outb(r, 0x20, 0xc3); /* lowest is 3: 4 is highest */
    line(r, 3, 1);
    line(r, 4, 1);
    assert_int_equal(i8259_acknowledge(r->i8259), 0x24);
    outb(r, 0x20, 0xa0); /* EOI, rotate: 4 is lowest */
    line(r, 4, 0);
    line(r, 4, 1);
    assert_int_equal(rig_take_pic(r), 0x23);
    assert_int_equal(rig_take_pic(r), 0x24);
    outb(r, 0x20, 0x11);
    outb(r, 0x21, 0x40);
    outb(r, 0x21, 4);
    outb(r, 0x21, 3); /* automatic EOI */
    line(r, 6, 1);
    assert_int_equal(i8259_acknowledge(r->i8259), 0x46);
    outb(r, 0x20, 0x0b);
    assert_int_equal(inb(r, 0x20), 0); /* nothing in service */
    rig_free(r);
}

static void test_special_mask(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    line(r, 3, 1);
    assert_int_equal(i8259_acknowledge(r->i8259), 0x23);
    line(r, 6, 1);
    assert_int_equal(i8259_pending(r->i8259), -1);
    outb(r, 0x21, 8);
    outb(r, 0x20, 0x68); /* special mask: 3 in service, masked, blocks nobody */
    assert_int_equal(i8259_pending(r->i8259), 0x26);
    outb(r, 0x20, 0x48);
    assert_int_equal(i8259_pending(r->i8259), -1);
    rig_free(r);
}

static void test_poll_and_reads(void **state)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    line(r, 7, 1);
    assert_int_equal(inb(r, 0x20), 0x80); /* IRR */
    outb(r, 0x20, 0x0c);
    assert_int_equal(inb(r, 0x20), 0x87); /* polled: taken */
    outb(r, 0x20, 0x0b);
    assert_int_equal(inb(r, 0x20), 0x80); /* ISR */
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_priority),
        cmocka_unit_test(test_cascade),
        cmocka_unit_test(test_edge_and_level),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_rotation_and_auto_eoi),
        cmocka_unit_test(test_special_mask),
        cmocka_unit_test(test_poll_and_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
