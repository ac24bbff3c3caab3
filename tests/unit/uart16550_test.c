/* SPDX-License-Identifier: MIT */
/* The 16550: sending, receiving through wire and FIFO, interrupts, loop-back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "chip_rig.h"

enum { DATA = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct rig *start(void)
{
    struct rig *r = rig_new();
    rig_start_pics(r);
    outb(r, IIR, 0x81); /* FIFOs, trigger at 8 */
    outb(r, MCR, 0x0b);
    return r;
}

static void test_send(void **state)
{
    struct rig *r = start();
    for (const char *p = "hello"; *p; p++) {
        assert_true(inb(r, LSR) & 0x20);
        outb(r, DATA, *p);
    }
    assert_int_equal(r->sent_len, 5);
    assert_memory_equal(r->sent, "hello", 5);
    rig_free(r);
}

static void test_registers(void **state)
{
    struct rig *r = start();
    assert_int_equal(inb(r, IIR) & 0xc0, 0xc0); /* a 16550A */
    outb(r, SCR, 0x5a);
    assert_int_equal(inb(r, SCR), 0x5a);
    outb(r, LCR, 0x83);
    outb(r, DATA, 1);
    outb(r, IER, 2);
    assert_int_equal(inb(r, DATA) | inb(r, IER) << 8, 0x201);
    outb(r, LCR, 3);
    outb(r, IER, 0xff);
    assert_int_equal(inb(r, IER), 0x0f);
    assert_int_equal(r->sent_len, 0);
    rig_free(r);
}

static void test_receive(void **state)
{
    struct rig *r = start();
    outb(r, IER, 1);
    assert_int_equal(uart_receive(r->uart, "abc", 3), 3);
    assert_int_equal(rig_take_pic(r), 0x24);
    assert_int_equal(inb(r, IIR) & 0xf, 0xc); /* fewer than the trigger */
    assert_int_equal(inb(r, LSR) & 1, 1);
    assert_int_equal(inb(r, DATA), 'a');
    assert_int_equal(uart_receive(r->uart, "0123456789", 10), 10);
    assert_int_equal(inb(r, IIR) & 0xf, 4);
    for (const char *p = "bc0123456789"; *p; p++)
        assert_int_equal(inb(r, DATA), *p);
    assert_int_equal(inb(r, LSR) & 1, 0);
    assert_int_equal(inb(r, IIR) & 0xf, 1);
    rig_free(r);
}

static void test_wire(void **state)
{
    struct rig *r = start();
    char text[5000], back[5000];
    for (unsigned n = 0; n < sizeof text; n++)
        text[n] = n * 7;
    outb(r, MCR, 0);
    assert_int_equal(uart_receive(r->uart, text, sizeof text), 4096); /* and no more */
    assert_int_equal(inb(r, LSR) & 1, 0);                             /* nobody listens yet */
    outb(r, IIR, 0x87);                                               /* so clearing the FIFO loses nothing */
    outb(r, MCR, 0x0b);
    unsigned n = 0;
    while (inb(r, LSR) & 1)
        back[n++] = inb(r, DATA);
    assert_int_equal(n, 4096);
    assert_memory_equal(text, back, n);
    assert_int_equal(r->rx_ready, 1);
    assert_int_equal(inb(r, LSR) & 2, 0);
    rig_free(r);
}

static void test_transmit_interrupt(void **state)
{
    struct rig *r = start();
    outb(r, IER, 2);
    assert_int_equal(rig_take_pic(r), 0x24);
    assert_int_equal(inb(r, IIR) & 0xf, 2);
    assert_int_equal(inb(r, IIR) & 0xf, 1); /* reading it cleared it */
    outb(r, DATA, 'x');
    assert_int_equal(rig_take_pic(r), 0x24);
    assert_int_equal(inb(r, IIR) & 0xf, 2);
    outb(r, DATA, 'x');
    outb(r, MCR, 3); /* OUT2 disconnects */
    outb(r, 0x20, 0x0a);
    outb(r, DATA, 'x');
    outb(r, IER, 0);
    assert_int_equal(inb(r, IIR) & 0xf, 1);
    rig_free(r);
}

static void test_loop_back(void **state)
{
    struct rig *r = start();
    inb(r, MSR);
    outb(r, MCR, 0x1a); /* loop, OUT2, RTS */
    assert_int_equal(inb(r, MSR) & 0xf0, 0x90);
    outb(r, DATA, 0x42);
    assert_int_equal(inb(r, DATA), 0x42);
    assert_int_equal(r->sent_len, 0);
    for (unsigned n = 0; n < 17; n++)
        outb(r, DATA, n);
    assert_int_equal(inb(r, LSR) & 2, 2); /* overrun */
    assert_int_equal(inb(r, LSR) & 2, 0);
    outb(r, IER, 8);
    inb(r, MSR);
    outb(r, MCR, 0x1f);
    assert_int_equal(inb(r, IIR) & 0xf, 0);
    assert_int_equal(inb(r, MSR) & 0xf, 2); /* DSR came; a ring's beginning does not count */
    rig_free(r);
}

static void test_break(void **state)
{
    struct rig *r = start();
    outb(r, IER, 4);
    uart_break(r->uart);
    assert_int_equal(rig_take_pic(r), 0x24);
    assert_int_equal(inb(r, IIR) & 0xf, 6);
    assert_int_equal(inb(r, LSR) & 0x11, 0x11);
    assert_int_equal(inb(r, IIR) & 0xf, 1);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_send),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_receive),
        cmocka_unit_test(test_wire),
        cmocka_unit_test(test_transmit_interrupt),
        cmocka_unit_test(test_loop_back),
        cmocka_unit_test(test_break),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
