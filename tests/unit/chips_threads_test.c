/* SPDX-License-Identifier: MIT */
/*
 * Locks: two processors that send each other interrupts and end level-triggered ones, a device that moves
 * lines, and a timer thread, all at once. Nothing may stand still, and every interrupt that was sent must be
 * seen. Worth running under -fsanitize=thread.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "chip_rig.h"

enum { ROUNDS = 3000, LEVEL_VECTOR = 0x70 };

struct job {
    struct rig *r;
    unsigned cpu;
    unsigned seen, levels;
    bool stop;
};

static void send(struct job *j)
{
    lapic_msr_write(j->r->cpu[j->cpu].lapic, 0x830, (0x40 + j->cpu) | (u64)!j->cpu << 32);
}

/* Until the other's IPI came; whatever comes before is ended. */
static void wait_for_ipi(struct job *j)
{
    struct dev *l = j->r->cpu[j->cpu].lapic;
    for (int v = -1; v != 0x40 + !j->cpu;) {
        v = lapic_acknowledge(l);
        j->levels += v == LEVEL_VECTOR;
        if (v >= 0)
            lapic_msr_write(l, 0x80b, 0);
        else
            sched_yield();
    }
    j->seen++;
}

/* In turn, or two IPIs of one vector could meet and count as one. */
static void *processor(void *opaque)
{
    struct job *j = opaque;
    for (unsigned n = 0; n < ROUNDS; n++) {
        if (j->cpu == 0)
            send(j);
        wait_for_ipi(j);
        if (j->cpu == 1)
            send(j);
    }
    return NULL;
}

static void *device(void *opaque)
{
    struct job *j = opaque;
    struct irq_line a = ioapic_line(j->r->ioapic, 20), b = isa_irq_line(&j->r->isa, 3);
    while (!__atomic_load_n(&j->stop, __ATOMIC_ACQUIRE)) {
        irq_set(&a, 1);
        irq_set(&b, 1);
        inb(j->r, 0x20);
        irq_set(&b, 0);
        irq_set(&a, 0);
        clock_advance(j->r->env.clock, 30000);
        clock_run_due(j->r->env.clock);
    }
    return NULL;
}

static void start(struct rig *r)
{
    for (unsigned n = 0; n < RIG_CPUS; n++) {
        r->current = n;
        rig_write(r, LAPIC_BASE + 0xf0, 4, 0x1ff);
        lapic_msr_write(r->cpu[n].lapic, 0x1b, LAPIC_BASE | 0xc00);
        lapic_msr_write(r->cpu[n].lapic, 0x83e, 0xb);
        lapic_msr_write(r->cpu[n].lapic, 0x832, 0x20090); /* periodic */
        lapic_msr_write(r->cpu[n].lapic, 0x838, 50000);
    }
    for (unsigned n = 0; n < 2; n++) {
        rig_write(r, IOAPIC_BASE, 4, 0x10 + 40 + !n);
        rig_write(r, IOAPIC_BASE + 0x10, 4, n ? 0x8000 | 0x800 | LEVEL_VECTOR : 0x03000000);
    }
}

static void run_processors(struct job cpu[2])
{
    pthread_t t[2];
    for (unsigned i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, processor, &cpu[i]);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}

/* On a busy host the processors may be done before the device's thread has begun: then once more. */
static void test_no_deadlock(void **state)
{
    struct rig *r = rig_new();
    start(r);
    struct job cpu[2] = {{.r = r, .cpu = 0}, {.r = r, .cpu = 1}}, dev = {.r = r};
    pthread_t t;
    unsigned runs = 0;
    pthread_create(&t, NULL, device, &dev);
    do {
        run_processors(cpu);
        runs++;
    } while (runs < 50 && !cpu[0].levels && !cpu[1].levels);
    __atomic_store_n(&dev.stop, true, __ATOMIC_RELEASE);
    pthread_join(t, NULL);
    assert_int_equal(cpu[0].seen, runs * ROUNDS);
    assert_int_equal(cpu[1].seen, runs * ROUNDS);
    assert_true(cpu[0].levels > 0 || cpu[1].levels > 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_deadlock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
