/* SPDX-License-Identifier: MIT */
/*
 * Saved state of every chip: after random events the board is saved and loaded into a fresh one, then the
 * same random events happen to both, and every answer, signal and request must agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "chip_steps.h"

static u64 next_random(u64 *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void save(struct rig *r, struct state_image *img)
{
    for (unsigned n = 0; n < r->devices; n++)
        if (r->all[n]->class->state)
            state_save(img, r->all[n]->class->state, r->all[n]->instance, r->all[n]);
}

static struct rig *copy_of(struct rig *from)
{
    struct rig *r = rig_new();
    struct state_image img = {0};
    struct err err = {0};
    save(from, &img);
    assert_false(img.failed);
    clock_set(r->env.clock, clock_now(from->env.clock));
    for (unsigned n = 0; n < r->devices; n++)
        if (r->all[n]->class->state)
            assert_int_equal(state_load(&img, r->all[n]->class->state, r->all[n]->instance, r->all[n], &err),
                             0);
    state_free(&img);
    memcpy(space_ram(r->env.memory, 0, NULL), space_ram(from->env.memory, 0, NULL), RIG_RAM);
    r->current = from->current;
    r->requests = from->requests;
    r->power = from->power;
    r->code = from->code;
    r->sent_len = from->sent_len;
    r->rx_ready = from->rx_ready;
    for (unsigned n = 0; n < RIG_CPUS; n++) {
        rig_signals(r, n);
        rig_signals(from, n);
    }
    return r;
}

/* Registers that random events seldom look at. */
static void expect_same_registers(struct rig *a, struct rig *b)
{
    static const u64 pages[][2] = {{LAPIC_BASE, 0x400}, {HPET_BASE, 0x160}, {IOAPIC_BASE, 0x14}};
    unsigned current = a->current;
    for (unsigned cpu = 0; cpu < RIG_CPUS; cpu++) {
        u64 x = 0, y = 0;
        a->current = b->current = cpu;
        assert_int_equal(lapic_msr_read(a->cpu[cpu].lapic, 0x6e0, &x),
                         lapic_msr_read(b->cpu[cpu].lapic, 0x6e0, &y));
        assert_int_equal(x, y);
        rig_write(a, LAPIC_BASE + 0x280, 4, 0); /* errors that have gathered */
        rig_write(b, LAPIC_BASE + 0x280, 4, 0);
        for (unsigned n = 0; n < ARRAY_SIZE(pages); n++)
            for (u64 off = 0; off < pages[n][1]; off += 4)
                assert_int_equal(rig_read(a, pages[n][0] + off, 4), rig_read(b, pages[n][0] + off, 4));
    }
    for (unsigned n = 0; n < 0x40; n++) {
        rig_write(a, IOAPIC_BASE, 4, n);
        rig_write(b, IOAPIC_BASE, 4, n);
        assert_int_equal(rig_read(a, IOAPIC_BASE + 16, 4), rig_read(b, IOAPIC_BASE + 16, 4));
    }
    for (unsigned n = 0; n < 0x80; n++) {
        outb(a, 0x70, n);
        outb(b, 0x70, n);
        assert_int_equal(inb(a, 0x71), inb(b, 0x71));
    }
    a->current = b->current = current;
}

static void expect_same_future(struct rig *a, struct rig *b, u64 *seed, unsigned steps)
{
    for (unsigned n = 0; n < steps; n++) {
        u64 bytes = next_random(seed);
        u64 x = rig_step(a, (u8 *)&bytes), y = rig_step(b, (u8 *)&bytes);
        if (x != y || clock_next(a->env.clock) != clock_next(b->env.clock))
            fail_msg("step %u, event %016llx: %llx, after loading %llx; next deadlines %llx, %llx", n,
                     (unsigned long long)bytes, (unsigned long long)x, (unsigned long long)y,
                     (unsigned long long)clock_next(a->env.clock),
                     (unsigned long long)clock_next(b->env.clock));
        for (unsigned cpu = 0; cpu < RIG_CPUS; cpu++)
            assert_int_equal(rig_signals(a, cpu), rig_signals(b, cpu));
        assert_int_equal(a->requests, b->requests);
        assert_int_equal(a->code, b->code);
        assert_int_equal(a->sent_len, b->sent_len);
        assert_int_equal(a->rx_ready, b->rx_ready);
    }
}

static void test_round_trip(void **state)
{
    for (u64 round = 1; round <= 60; round++) {
        u64 seed = round * 0x9e3779b97f4a7c15;
        struct rig *r = rig_new();
        rig_start_pics(r);
        for (unsigned n = next_random(&seed) % 3000; n; n--) {
            u64 bytes = next_random(&seed);
            rig_step(r, (u8 *)&bytes);
        }
        struct rig *copy = copy_of(r);
        if (round % 2)
            expect_same_registers(r, copy);
        expect_same_future(r, copy, &seed, 1500);
        rig_free(copy);
        rig_free(r);
    }
}

static void test_deadline(void **state)
{
    struct rig *r = rig_new();
    struct dev *l = r->cpu[0].lapic;
    rig_write(r, LAPIC_BASE + 0xf0, 4, 0x1ff);
    rig_write(r, LAPIC_BASE + 0x320, 4, 0x400ee);
    assert_true(lapic_msr_write(l, 0x6e0, 2000000)); /* 1 ms */
    rig_advance(r, 500000);
    struct rig *copy = copy_of(r);
    u64 deadline = 0;
    assert_true(lapic_msr_read(copy->cpu[0].lapic, 0x6e0, &deadline));
    assert_int_equal(deadline, 2000000);
    rig_advance(copy, 499999);
    assert_int_equal(lapic_pending(copy->cpu[0].lapic), -1);
    rig_advance(copy, 2);
    assert_int_equal(lapic_pending(copy->cpu[0].lapic), 0xee);
    rig_free(copy);
    rig_free(r);
}

static void test_refusals(void **state)
{
    struct rig *r = rig_new();
    struct state_image img = {0};
    struct err err = {0};
    const struct state_desc *d = r->cpu[0].lapic->class->state;
    save(r, &img);
    for (size_t n = 0; n + 12 < img.len; n++)
        if (!memcmp(img.data + n, "base", 4)) {
            store_le(img.data + n + 12, 8, LAPIC_BASE | 1 << 10); /* x2APIC without being on */
            break;
        }
    assert_int_equal(state_load(&img, d, 0, r->cpu[0].lapic, &err), -1);
    assert_true(err.status);
    state_free(&img);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_deadline),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
