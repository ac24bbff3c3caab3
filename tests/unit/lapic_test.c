/* SPDX-License-Identifier: MIT */
/* Local APICs: modes, registers, destinations, priorities, timer, MSIs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "chip_rig.h"

enum { MSR_BASE = 0x1b, MSR_DEADLINE = 0x6e0, X2 = 0x800, EN = 1 << 11, EXTD = 1 << 10, BSP = 1 << 8 };

static u32 get(struct rig *r, unsigned cpu, u32 off)
{
    r->current = cpu;
    return rig_read(r, LAPIC_BASE + off, 4);
}

static void set(struct rig *r, unsigned cpu, u32 off, u32 v)
{
    r->current = cpu;
    rig_write(r, LAPIC_BASE + off, 4, v);
}

static bool wrmsr(struct rig *r, unsigned cpu, u32 msr, u64 v)
{
    r->current = cpu;
    return lapic_msr_write(r->cpu[cpu].lapic, msr, v);
}

static u64 rdmsr(struct rig *r, unsigned cpu, u32 msr)
{
    u64 v;
    return lapic_msr_read(r->cpu[cpu].lapic, msr, &v) ? v : 0xdeadull << 48;
}

static bool faults(struct rig *r, unsigned cpu, u32 msr)
{
    u64 v;
    return !lapic_msr_read(r->cpu[cpu].lapic, msr, &v);
}

static int ack(struct rig *r, unsigned cpu)
{
    return lapic_acknowledge(r->cpu[cpu].lapic);
}

static int take(struct rig *r, unsigned cpu)
{
    int v = ack(r, cpu);
    if (v >= 0 && !wrmsr(r, cpu, X2 + 0xb, 0))
        set(r, cpu, 0xb0, 0);
    return v;
}

static struct rig *start(void)
{
    struct rig *r = rig_new();
    for (unsigned n = 0; n < RIG_CPUS; n++)
        set(r, n, 0xf0, 0x1ff);
    return r;
}

static struct rig *start_x2apic(void)
{
    struct rig *r = start();
    for (unsigned n = 0; n < RIG_CPUS; n++)
        assert_true(wrmsr(r, n, MSR_BASE, LAPIC_BASE | EN | EXTD | (n ? 0 : BSP)));
    return r;
}

static void test_reset_state(void **state)
{
    struct rig *r = rig_new();
    assert_int_equal(get(r, 0, 0x30) & 0xff, 0x14);
    assert_int_equal(get(r, 1, 0x20), 1 << 24);
    assert_int_equal(get(r, 0, 0xf0), 0xff);
    assert_int_equal(get(r, 0, 0xe0), 0xffffffff);
    for (u32 off = 0x320; off <= 0x370; off += 0x10)
        assert_int_equal(get(r, 0, off), 0x10000);
    assert_int_equal(rdmsr(r, 0, MSR_BASE), LAPIC_BASE | EN | BSP);
    assert_int_equal(rdmsr(r, 1, MSR_BASE), LAPIC_BASE | EN);
    r->current = RIG_CPUS; /* nobody's thread */
    assert_int_equal(rig_read(r, LAPIC_BASE + 0x30, 4), 0xffffffff);
    rig_free(r);
}

static void test_base_transitions(void **state)
{
    struct rig *r = start();
    u64 base = LAPIC_BASE | BSP;
    assert_false(wrmsr(r, 0, MSR_BASE, base | EXTD));
    assert_false(wrmsr(r, 0, MSR_BASE, base | EN | 1));
    assert_false(wrmsr(r, 0, MSR_BASE, base | EN | BIT(40)));
    assert_true(wrmsr(r, 0, MSR_BASE, base | EN | EXTD));
    assert_int_equal(get(r, 0, 0x30), 0xffffffff); /* no MMIO in x2APIC mode */
    assert_false(wrmsr(r, 0, MSR_BASE, base | EN));
    assert_true(wrmsr(r, 0, MSR_BASE, base));
    assert_false(wrmsr(r, 0, MSR_BASE, base | EN | EXTD));
    assert_int_equal(get(r, 0, 0x30), 0xffffffff);
    set(r, 0, 0x80, 0x20);
    assert_int_equal(lapic_get_tpr(r->cpu[0].lapic), 0);
    assert_true(wrmsr(r, 0, MSR_BASE, base | EN));
    assert_int_equal(get(r, 0, 0xf0), 0xff); /* came back reset */
    rig_free(r);
}

static void test_moved_page(void **state)
{
    struct rig *r = start();
    assert_true(wrmsr(r, 0, MSR_BASE, 0xfed40000 | EN | BSP));
    r->current = 0;
    assert_int_equal(rig_read(r, 0xfed40030, 4) & 0xff, 0x14);
    assert_int_equal(get(r, 0, 0x30), 0xffffffff);
    assert_int_equal(get(r, 1, 0x30) & 0xff, 0x14);
    assert_true(wrmsr(r, 0, MSR_BASE, LAPIC_BASE | EN | BSP));
    assert_int_equal(rig_read(r, 0xfed40030, 4), 0xffffffff);
    assert_int_equal(get(r, 0, 0x30) & 0xff, 0x14);
    rig_free(r);
}

static void test_x2apic_registers(void **state)
{
    struct rig *r = start_x2apic();
    assert_int_equal(rdmsr(r, 1, X2 + 2), 1);
    assert_int_equal(rdmsr(r, 1, X2 + 0xd), 2);
    assert_false(wrmsr(r, 1, X2 + 2, 5));
    assert_true(faults(r, 0, X2 + 0xb));
    assert_true(faults(r, 0, X2 + 0xe));
    assert_true(faults(r, 0, X2 + 0x31));
    assert_true(faults(r, 0, X2 + 0x3f));
    assert_true(faults(r, 0, X2 + 0x40));
    assert_false(wrmsr(r, 0, X2 + 0xb, 1));
    assert_false(wrmsr(r, 0, X2 + 8, 0x100));
    assert_false(wrmsr(r, 0, X2 + 0x32, 1 << 20));
    assert_false(wrmsr(r, 0, X2 + 0x39, 0));
    assert_true(wrmsr(r, 0, X2 + 0x28, 0));
    assert_true(wrmsr(r, 0, X2 + 8, 0x50));
    assert_int_equal(rdmsr(r, 0, X2 + 0xa), 0x50);
    assert_true(wrmsr(r, 0, X2 + 8, 0));
    assert_true(wrmsr(r, 0, X2 + 0x3f, 0x41));
    assert_int_equal(take(r, 0), 0x41);
    struct rig *xapic = start();
    assert_true(faults(xapic, 0, X2 + 3));
    rig_free(xapic);
    rig_free(r);
}

static void test_priorities(void **state)
{
    struct rig *r = start_x2apic();
    wrmsr(r, 0, X2 + 0x3f, 0x45);
    wrmsr(r, 0, X2 + 0x3f, 0x52);
    rig_signals(r, 0);
    assert_int_equal(ack(r, 0), 0x52);
    assert_int_equal(lapic_pending(r->cpu[0].lapic), -1);
    wrmsr(r, 0, X2 + 0x3f, 0x5f); /* same class: waits */
    assert_int_equal(ack(r, 0), -1);
    assert_int_equal(rig_signals(r, 0), 0);
    wrmsr(r, 0, X2 + 0xb, 0);
    assert_int_equal(rig_signals(r, 0), LAPIC_INTR);
    lapic_set_tpr(r->cpu[0].lapic, 0x50);
    assert_int_equal(ack(r, 0), -1);
    lapic_set_tpr(r->cpu[0].lapic, 0x40);
    assert_int_equal(rig_signals(r, 0), LAPIC_INTR);
    assert_int_equal(take(r, 0), 0x5f);
    assert_int_equal(take(r, 0), -1);
    lapic_set_tpr(r->cpu[0].lapic, 0);
    assert_int_equal(take(r, 0), 0x45);
    rig_free(r);
}

static void test_software_disabled(void **state)
{
    struct rig *r = start();
    set(r, 0, 0x320, 0x40);
    set(r, 0, 0xf0, 0xff);
    assert_int_equal(get(r, 0, 0x320), 0x10040); /* every LVT entry masked */
    set(r, 0, 0x320, 0x40);
    assert_int_equal(get(r, 0, 0x320), 0x10040);
    set(r, 1, 0x310, 0);
    set(r, 1, 0x300, 0x41);
    assert_int_equal(take(r, 0), -1);
    set(r, 1, 0x300, 0x400);
    assert_int_equal(rig_signals(r, 0), LAPIC_NMI);
    rig_free(r);
}

static void test_ipi_xapic(void **state)
{
    struct rig *r = start();
    set(r, 0, 0x310, 1 << 24);
    set(r, 0, 0x300, 0x41);
    assert_int_equal(take(r, 1), 0x41);
    assert_int_equal(take(r, 0), -1);
    set(r, 0, 0x310, 0xffu << 24);
    set(r, 0, 0x300, 0x42);
    assert_int_equal(take(r, 1), 0x42);
    assert_int_equal(take(r, 0), 0x42);
    set(r, 0, 0x300, 0x43 | 1 << 18);
    assert_int_equal(take(r, 0), 0x43);
    assert_int_equal(take(r, 1), -1);
    set(r, 0, 0x300, 0x44 | 2 << 18);
    assert_int_equal(take(r, 0), 0x44);
    assert_int_equal(take(r, 1), 0x44);
    set(r, 0, 0x300, 0x45 | 3 << 18);
    assert_int_equal(take(r, 0), -1);
    assert_int_equal(take(r, 1), 0x45);
    set(r, 0, 0x310, 1 << 24);
    set(r, 0, 0x300, 0x4500);
    assert_int_equal(rig_signals(r, 1) & LAPIC_INIT, LAPIC_INIT);
    set(r, 0, 0x300, 0x8500); /* de-assert: nothing */
    assert_int_equal(rig_signals(r, 1), 0);
    set(r, 0, 0x300, 0x469a);
    assert_int_equal(rig_signals(r, 1), LAPIC_SIPI);
    assert_int_equal(lapic_take_sipi(r->cpu[1].lapic), 0x9a);
    set(r, 0, 0x20, 7u << 24); /* the xAPIC id is writable */
    set(r, 1, 0x310, 7u << 24);
    set(r, 1, 0x300, 0x46);
    assert_int_equal(take(r, 0), 0x46);
    rig_free(r);
}

static void logical(struct rig *r, u32 dest, int on0, int on1)
{
    set(r, 0, 0x310, dest << 24);
    set(r, 0, 0x300, 0x47 | 1 << 11);
    assert_int_equal(take(r, 0), on0 ? 0x47 : -1);
    assert_int_equal(take(r, 1), on1 ? 0x47 : -1);
}

static void test_logical_xapic(void **state)
{
    struct rig *r = start();
    set(r, 0, 0xd0, 1 << 24);
    set(r, 1, 0xd0, 0x80u << 24);
    logical(r, 0x01, 1, 0);
    logical(r, 0x81, 1, 1);
    logical(r, 0x42, 0, 0);
    for (unsigned n = 0; n < RIG_CPUS; n++)
        set(r, n, 0xe0, 0x0fffffff); /* clusters */
    set(r, 0, 0xd0, 0x31u << 24);
    set(r, 1, 0xd0, 0x38u << 24);
    logical(r, 0x31, 1, 0);
    logical(r, 0x39, 1, 1);
    logical(r, 0x21, 0, 0);
    logical(r, 0xf8, 0, 1);
    rig_free(r);
}

static void test_ipi_x2apic(void **state)
{
    struct rig *r = start_x2apic();
    wrmsr(r, 0, X2 + 0x30, 0x41 | 1ull << 32);
    assert_int_equal(take(r, 1), 0x41);
    wrmsr(r, 0, X2 + 0x30, 0x42 | 0xffffffffull << 32);
    assert_int_equal(take(r, 0), 0x42);
    assert_int_equal(take(r, 1), 0x42);
    wrmsr(r, 0, X2 + 0x30, 0x43 | 0xffull << 32); /* 255 is an id, not a broadcast */
    assert_int_equal(take(r, 1), -1);
    wrmsr(r, 0, X2 + 0x30, 0x44 | 1 << 11 | 3ull << 32); /* cluster 0, both */
    assert_int_equal(take(r, 0), 0x44);
    assert_int_equal(take(r, 1), 0x44);
    wrmsr(r, 0, X2 + 0x30, 0x45 | 1 << 11 | 0x10002ull << 32);
    assert_int_equal(take(r, 1), -1);
    assert_int_equal(rdmsr(r, 0, X2 + 0x30), 0x45 | 1 << 11 | 0x10002ull << 32);
    rig_free(r);
}

static void test_lowest_priority(void **state)
{
    struct rig *r = start_x2apic();
    lapic_set_tpr(r->cpu[0].lapic, 0x30);
    for (unsigned n = 0; n < 4; n++) {
        r->env.msi.send(r->env.msi.opaque, LAPIC_BASE | 0xff000 | 4, 0x141);
        assert_int_equal(take(r, 0), -1);
        assert_int_equal(take(r, 1), 0x41);
    }
    lapic_set_tpr(r->cpu[1].lapic, 0x40);
    r->env.msi.send(r->env.msi.opaque, LAPIC_BASE | 0xff000 | 4, 0x141);
    assert_int_equal(take(r, 0), 0x41);
    rig_free(r);
}

static void test_msi(void **state)
{
    struct rig *r = start_x2apic();
    r->env.msi.send(r->env.msi.opaque, LAPIC_BASE | 1 << 12, 0x61);
    assert_int_equal(take(r, 1), 0x61);
    r->env.msi.send(r->env.msi.opaque, LAPIC_BASE | 1 << 12 | 1 << 5, 0x61); /* id 0x101 */
    assert_int_equal(take(r, 1), -1);
    r->env.msi.send(r->env.msi.opaque, 0x1000, 0x61);
    assert_int_equal(take(r, 0), -1);
    struct lapic_config c = {.id = 0x101, .x2apic = true, .phys_bits = 40, .tsc_hz = 1000};
    struct rig_cpu third = {.rig = r};
    third.lapic =
        lapic_new(&r->env, r->bus, &c, (struct lapic_cpu){.signal = rig_signal, .opaque = &third}, NULL);
    lapic_virtual_wire(third.lapic); /* software-enables */
    r->env.msi.send(r->env.msi.opaque, LAPIC_BASE | 1 << 12 | 1 << 5, 0x61);
    assert_int_equal(lapic_acknowledge(third.lapic), 0x61);
    assert_int_equal(take(r, 1), -1);
    third.lapic->class->destroy(third.lapic);
    rig_free(r);
}

static void test_errors(void **state)
{
    struct rig *r = start();
    set(r, 0, 0x370, 0xee);
    set(r, 0, 0x300, 0x40005); /* self, vector 5 */
    assert_int_equal(take(r, 0), 0xee);
    assert_int_equal(get(r, 0, 0x280), 0);
    set(r, 0, 0x280, 0);
    assert_int_equal(get(r, 0, 0x280), 0x20);
    get(r, 0, 0x3f0);
    set(r, 0, 0x280, 0);
    assert_int_equal(get(r, 0, 0x280), 0x80);
    rig_free(r);
}

static void test_timer_one_shot(void **state)
{
    struct rig *r = start();
    set(r, 0, 0x320, 0xee);
    set(r, 0, 0x3e0, 0xb);
    set(r, 0, 0x380, 100000);
    rig_advance(r, 60000);
    assert_int_equal(get(r, 0, 0x390), 40000);
    rig_advance(r, 39999);
    assert_int_equal(take(r, 0), -1);
    assert_int_equal(get(r, 0, 0x390), 1);
    rig_advance(r, 1);
    assert_int_equal(take(r, 0), 0xee);
    rig_advance(r, 1000000);
    assert_int_equal(take(r, 0), -1);
    assert_int_equal(get(r, 0, 0x390), 0);
    set(r, 0, 0x320, 0x200ee); /* periodic now, but it stands at zero */
    rig_advance(r, 1000000);
    assert_int_equal(get(r, 0, 0x390), 0);
    assert_int_equal(get(r, 0, 0x380), 100000);
    set(r, 0, 0x3e0, 0); /* divide by 2 */
    set(r, 0, 0x320, 0xee);
    set(r, 0, 0x380, 100000);
    rig_advance(r, 100000);
    assert_int_equal(get(r, 0, 0x390), 50000);
    set(r, 0, 0x3e0, 0xb); /* the count stays, its pace changes */
    assert_int_equal(get(r, 0, 0x390), 50000);
    rig_advance(r, 50000);
    assert_int_equal(take(r, 0), 0xee);
    rig_free(r);
}

static void test_timer_periodic(void **state)
{
    struct rig *r = start();
    set(r, 0, 0x320, 0x200ee);
    set(r, 0, 0x3e0, 0xb);
    set(r, 0, 0x380, 100000);
    for (unsigned n = 0; n < 5; n++) {
        rig_advance(r, 99999);
        assert_int_equal(take(r, 0), -1);
        rig_advance(r, 1);
        assert_int_equal(take(r, 0), 0xee);
    }
    rig_advance(r, 70000);
    assert_int_equal(get(r, 0, 0x390), 30000);
    set(r, 0, 0x320, 0xee); /* one-shot from here on, without a new start */
    assert_int_equal(get(r, 0, 0x390), 30000);
    rig_advance(r, 30000);
    assert_int_equal(take(r, 0), 0xee);
    rig_advance(r, 500000);
    assert_int_equal(take(r, 0), -1);
    set(r, 0, 0x320, 0x200ee);
    set(r, 0, 0x380, 1); /* a period of a nanosecond must not stop the world */
    rig_advance(r, 1000000);
    assert_int_equal(take(r, 0), 0xee);
    set(r, 0, 0x380, 0);
    take(r, 0);
    rig_advance(r, 1000000);
    assert_int_equal(take(r, 0), -1);
    rig_free(r);
}

static void test_timer_deadline(void **state)
{
    struct rig *r = start();
    assert_true(wrmsr(r, 0, MSR_DEADLINE, 1000)); /* not in deadline mode: ignored */
    assert_int_equal(rdmsr(r, 0, MSR_DEADLINE), 0);
    set(r, 0, 0x320, 0x400ee);
    wrmsr(r, 0, MSR_DEADLINE, 200000); /* 2 GHz: 100 us */
    assert_int_equal(rdmsr(r, 0, MSR_DEADLINE), 200000);
    set(r, 0, 0x380, 5);
    assert_int_equal(get(r, 0, 0x390), 0);
    rig_advance(r, 99999);
    assert_int_equal(take(r, 0), -1);
    rig_advance(r, 2);
    assert_int_equal(take(r, 0), 0xee);
    assert_int_equal(rdmsr(r, 0, MSR_DEADLINE), 0);
    wrmsr(r, 0, MSR_DEADLINE, 1); /* past: at once */
    assert_int_equal(take(r, 0), 0xee);
    wrmsr(r, 0, MSR_DEADLINE, 1000000);
    wrmsr(r, 0, MSR_DEADLINE, 0);
    rig_advance(r, 10000000);
    assert_int_equal(take(r, 0), -1);
    wrmsr(r, 0, MSR_DEADLINE, ~0ull);
    set(r, 0, 0x320, 0xee); /* leaving the mode disarms */
    set(r, 0, 0x320, 0x400ee);
    assert_int_equal(rdmsr(r, 0, MSR_DEADLINE), 0);
    rig_free(r);
}

static void test_extint(void **state)
{
    struct rig *r = start();
    rig_start_pics(r);
    struct irq_line irq = isa_irq_line(&r->isa, 3);
    rig_signals(r, 0);
    irq_set(&irq, 1);
    assert_int_equal(rig_signals(r, 0), LAPIC_INTR);
    assert_int_equal(rig_signals(r, 1), 0);
    lapic_set_tpr(r->cpu[0].lapic, 0xff); /* priority does not hold ExtINT back */
    assert_int_equal(lapic_pending(r->cpu[0].lapic), 0x23);
    assert_int_equal(ack(r, 0), 0x23);
    assert_int_equal(ack(r, 0), -1);
    outb(r, 0x20, 0x20);
    irq_set(&irq, 0);
    set(r, 0, 0x350, 0x10700);
    irq_set(&irq, 1);
    assert_int_equal(lapic_pending(r->cpu[0].lapic), -1);
    rig_signals(r, 0);
    set(r, 0, 0x350, 0x700);
    assert_int_equal(rig_signals(r, 0), LAPIC_INTR);
    assert_int_equal(lapic_pending(r->cpu[0].lapic), 0x23);
    rig_free(r);
}

static void test_lint(void **state)
{
    struct rig *r = start();
    struct irq_line lint0 = lapic_lint(r->cpu[1].lapic, 0), lint1 = lapic_lint(r->cpu[1].lapic, 1);
    set(r, 1, 0x360, 0x400);
    irq_set(&lint1, 1);
    assert_int_equal(rig_signals(r, 1), LAPIC_NMI);
    set(r, 1, 0x350, 0x8055); /* fixed, level */
    irq_set(&lint0, 1);
    assert_int_equal(get(r, 1, 0x350), 0xc055);
    assert_int_equal(take(r, 1), 0x55);
    assert_int_equal(take(r, 1), 0x55);
    irq_set(&lint0, 0);
    assert_int_equal(take(r, 1), 0x55);
    assert_int_equal(take(r, 1), -1);
    rig_free(r);
}

static void test_init_keeps_base(void **state)
{
    struct rig *r = start_x2apic();
    wrmsr(r, 1, X2 + 0x3f, 0x41);
    lapic_init(r->cpu[1].lapic);
    assert_int_equal(ack(r, 1), -1);
    assert_int_equal(rdmsr(r, 1, MSR_BASE), LAPIC_BASE | EN | EXTD);
    assert_int_equal(rdmsr(r, 1, X2 + 0xf), 0xff);
    assert_int_equal(rdmsr(r, 1, X2 + 2), 1);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_state),
        cmocka_unit_test(test_base_transitions),
        cmocka_unit_test(test_moved_page),
        cmocka_unit_test(test_x2apic_registers),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_software_disabled),
        cmocka_unit_test(test_ipi_xapic),
        cmocka_unit_test(test_logical_xapic),
        cmocka_unit_test(test_ipi_x2apic),
        cmocka_unit_test(test_lowest_priority),
        cmocka_unit_test(test_msi),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_timer_one_shot),
        cmocka_unit_test(test_timer_periodic),
        cmocka_unit_test(test_timer_deadline),
        cmocka_unit_test(test_extint),
        cmocka_unit_test(test_lint),
        cmocka_unit_test(test_init_keeps_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
