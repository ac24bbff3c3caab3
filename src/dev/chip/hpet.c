/* SPDX-License-Identifier: MIT */
/*
 * HPET (IA-PC HPET Specification 1.0a). The main counter is the clock in units of 10 ns plus an offset while
 * it runs. Every comparator has one timer, armed for the moment the counter meets it. Interrupts by message
 * are not offered (Tn_FSB_INT_DEL_CAP is 0).
 */
#include "dev/chip/hpet.h"

#include <stdlib.h>

enum { TIMERS = 3, TICK_NS = HPET_PERIOD_FS / 1000000 };
enum { CFG_ENABLE = 1, CFG_LEGACY = 2 };
enum {
    T_LEVEL = 1 << 1,
    T_ENABLE = 1 << 2,
    T_PERIODIC = 1 << 3,
    T_SET = 1 << 6,
    T_32 = 1 << 8,
    T_ROUTE = 31 << 9
};
enum { T_WRITABLE = T_LEVEL | T_ENABLE | T_PERIODIC | T_SET | T_32 | T_ROUTE };

/* I/O APIC inputs a timer may drive: 2 is IRQ 0's, 13 to 15 are free on this board. */
#define ROUTES       0xe004ull
#define T_CAPABILITY (ROUTES << 32 | BIT(4) | BIT(5)) /* periodic, 64 bits */
#define CAPABILITY   ((u64)HPET_PERIOD_FS << 32 | 0x8086ull << 16 | BIT(15) | BIT(13) | (TIMERS - 1) << 8 | 1)

/* A guest's comparator wakes the machine no oftener than this. */
#define SHORTEST_PERIOD_NS 20000

struct hpet;

struct comparator {
    struct hpet *chip;
    struct timer timer;
    u64 timer_armed, config, value, period;
};

struct hpet {
    struct dev dev;
    struct isa_irq *isa;
    struct irq_line ioapic;
    u64 config, status;
    u64 counter; /* stopped: the counter; running: what is added to the clock's ticks */
    struct comparator t[TIMERS];
};

static u64 clock_ticks(const struct hpet *c)
{
    return clock_now(c->dev.env->clock) / TICK_NS;
}

static u64 counter(const struct hpet *c)
{
    return c->config & CFG_ENABLE ? clock_ticks(c) + c->counter : c->counter;
}

static u64 width(const struct comparator *t)
{
    return t->config & T_32 ? 0xffffffff : ~0ull;
}

/* ---- interrupts ---- */

static void set_line(struct hpet *c, unsigned n, int level)
{
    unsigned route = bits(c->t[n].config, 13, 9);
    struct irq_line line = c->ioapic;
    if ((c->config & CFG_LEGACY) && n < 2) {
        line = isa_irq_hpet_line(c->isa, n ? 8 : 0);
    } else {
        if (!(ROUTES >> route & 1))
            return;
        line.pin = route;
    }
    irq_set(&line, level);
}

static void interrupt(struct hpet *c, unsigned n)
{
    struct comparator *t = &c->t[n];
    if (t->config & T_LEVEL)
        c->status |= BIT(n);
    if (!(t->config & T_ENABLE))
        return;
    if (!(t->config & T_LEVEL))
        set_line(c, n, 0);
    set_line(c, n, 1);
    if (!(t->config & T_LEVEL))
        set_line(c, n, 0);
}

/* Lowers (before) or raises (after a change of routing) what level-triggered timers hold. */
static void drive_levels(struct hpet *c, bool up)
{
    for (unsigned n = 0; n < TIMERS; n++)
        if ((c->status & BIT(n)) && (c->t[n].config & T_LEVEL) && (c->t[n].config & T_ENABLE))
            set_line(c, n, up);
}

static void clear_status(struct hpet *c, u64 which)
{
    for (unsigned n = 0; n < TIMERS; n++)
        if (c->status & which & BIT(n))
            set_line(c, n, 0);
    c->status &= ~which;
}

/* ---- comparators ---- */

static void plan(struct hpet *c, struct comparator *t)
{
    if (!(c->config & CFG_ENABLE) || ((t->config & T_PERIODIC) && !t->period)) {
        timer_cancel(&t->timer);
        return;
    }
    u64 distance = (t->value - counter(c)) & width(t);
    if (!distance)
        distance = width(t); /* met already: once round */
    u64 now = clock_ticks(c), floor = 0, when;
    if (__builtin_mul_overflow(distance, TICK_NS, &when) ||
        __builtin_add_overflow(when, now * TICK_NS, &when))
        when = CLOCK_NEVER;
    if (t->config & T_PERIODIC && t->period < SHORTEST_PERIOD_NS / TICK_NS)
        floor = clock_now(c->dev.env->clock) + SHORTEST_PERIOD_NS;
    timer_arm(&t->timer, when > floor ? when : floor);
}

static void plan_all(struct hpet *c)
{
    for (unsigned n = 0; n < TIMERS; n++)
        plan(c, &c->t[n]);
}

/* IA-PC HPET 2.3.9.2.2: the comparator moves on by its period; periods that went by unseen are skipped. */
static void advance(struct hpet *c, struct comparator *t)
{
    u64 late = (counter(c) - t->value) & width(t);
    if (late > width(t) / 2)
        return; /* it is ahead already */
    t->value = (t->value + (late / t->period + 1) * t->period) & width(t);
}

static void fire(void *opaque)
{
    struct comparator *t = opaque;
    struct hpet *c = t->chip;
    dev_lock(&c->dev);
    if (timer_deadline(&t->timer) == CLOCK_NEVER && (c->config & CFG_ENABLE) &&
        (!(t->config & T_PERIODIC) || t->period)) {
        if (t->config & T_PERIODIC)
            advance(c, t);
        interrupt(c, t - c->t);
        plan(c, t);
    }
    dev_unlock(&c->dev);
}

static void write_timer_config(struct hpet *c, unsigned n, u64 v)
{
    struct comparator *t = &c->t[n];
    drive_levels(c, false);
    t->config = v & T_WRITABLE;
    if (t->config & T_32) {
        t->value = (u32)t->value;
        t->period = (u32)t->period;
    }
    if (!(t->config & T_LEVEL))
        c->status &= ~BIT(n);
    drive_levels(c, true);
    plan(c, t);
}

static void write_comparator(struct hpet *c, unsigned n, u64 v)
{
    struct comparator *t = &c->t[n];
    v &= width(t);
    if (!(t->config & T_PERIODIC) || (t->config & T_SET))
        t->value = v;
    if (t->config & T_PERIODIC)
        t->period = v;
    t->config &= ~(u64)T_SET;
    plan(c, t);
}

/* ---- registers ---- */

static void write_config(struct hpet *c, u64 v)
{
    u64 now = counter(c);
    drive_levels(c, false);
    c->config = v & (CFG_ENABLE | CFG_LEGACY);
    c->counter = c->config & CFG_ENABLE ? now - clock_ticks(c) : now;
    isa_irq_set_hpet_legacy(c->isa, c->config & CFG_LEGACY);
    drive_levels(c, true);
    plan_all(c);
}

static u64 read_register(struct hpet *c, u64 off)
{
    switch (off) {
    case 0x00:
        return CAPABILITY;
    case 0x10:
        return c->config;
    case 0x20:
        return c->status;
    case 0xf0:
        return counter(c);
    }
    unsigned n = (off - 0x100) / 0x20;
    if (off < 0x100 || n >= TIMERS)
        return 0;
    switch (off & 0x1f) {
    case 0:
        return c->t[n].config | T_CAPABILITY;
    case 8:
        return c->t[n].value;
    }
    return 0;
}

static void write_register(struct hpet *c, u64 off, u64 v)
{
    unsigned n = (off - 0x100) / 0x20;
    if (off == 0x10) {
        write_config(c, v);
    } else if (off == 0x20) {
        clear_status(c, v);
    } else if (off == 0xf0) {
        if (c->config & CFG_ENABLE)
            return; /* the specification forbids it; the counter runs on */
        c->counter = v;
    } else if (off >= 0x100 && n < TIMERS) {
        if ((off & 0x1f) == 0)
            write_timer_config(c, n, v);
        else if ((off & 0x1f) == 8)
            write_comparator(c, n, v);
    }
}

static u64 hpet_read(void *d, u64 off, unsigned size)
{
    if ((off & 7) + size > 8)
        return 0;
    return read_register(d, off & ~7ull) >> 8 * (off & 7) & size_mask(size);
}

static void hpet_write(void *d, u64 off, unsigned size, u64 v)
{
    struct hpet *c = d;
    if ((off & 3) || size < 4 || (off & 7) + size > 8)
        return;
    u64 reg = off & ~7ull, shift = 8 * (off & 7), mask = size_mask(size) << shift;
    u64 kept = reg == 0x20 ? 0 : read_register(c, reg) & ~mask;
    /* A periodic comparator register stands for two values; a half write there gives the whole of a 32-bit
     * one. */
    unsigned n = (reg - 0x100) / 0x20;
    if (size == 4 && reg >= 0x100 && n < TIMERS && (reg & 0x1f) == 8 && (c->t[n].config & T_PERIODIC)) {
        if (shift)
            return;
        kept = 0;
    }
    write_register(c, reg, kept | ((v << shift) & mask));
}

static const struct region_ops ops = {hpet_read, hpet_write, 8};

/* ---- the device ---- */

static void hpet_reset(struct dev *d)
{
    struct hpet *c = (struct hpet *)d;
    drive_levels(c, false);
    c->config = c->status = c->counter = 0;
    isa_irq_set_hpet_legacy(c->isa, false);
    for (unsigned n = 0; n < TIMERS; n++) {
        timer_cancel(&c->t[n].timer);
        c->t[n].config = c->t[n].period = 0;
        c->t[n].value = ~0ull;
    }
}

static void hpet_saving(void *obj)
{
    struct hpet *c = obj;
    for (unsigned n = 0; n < TIMERS; n++)
        c->t[n].timer_armed = timer_deadline(&c->t[n].timer);
}

static int hpet_loaded(void *obj)
{
    struct hpet *c = obj;
    c->config &= CFG_ENABLE | CFG_LEGACY;
    c->status &= BIT(TIMERS) - 1;
    isa_irq_set_hpet_legacy(c->isa, c->config & CFG_LEGACY);
    for (unsigned n = 0; n < TIMERS; n++) {
        struct comparator *t = &c->t[n];
        t->config &= T_WRITABLE;
        t->value &= width(t);
        t->period &= width(t);
        timer_arm(&t->timer, t->timer_armed);
    }
    return 0;
}

#define TIMER_FIELDS(n)                                                                                      \
    STATE_FIELD(struct hpet, t[n].timer_armed), STATE_FIELD(struct hpet, t[n].config),                       \
        STATE_FIELD(struct hpet, t[n].value), STATE_FIELD(struct hpet, t[n].period)

static const struct state_field fields[] = {
    STATE_FIELD(struct hpet, config),
    STATE_FIELD(struct hpet, status),
    STATE_FIELD(struct hpet, counter),
    TIMER_FIELDS(0),
    TIMER_FIELDS(1),
    TIMER_FIELDS(2),
    STATE_END,
};

static const struct state_desc state = {
    .name = "hpet", .fields = fields, .saving = hpet_saving, .loaded = hpet_loaded};

static void hpet_destroy(struct dev *d)
{
    for (unsigned n = 0; n < TIMERS; n++)
        timer_cancel(&((struct hpet *)d)->t[n].timer);
    dev_fini(d);
    free(d);
}

static const struct dev_class class = {
    .name = "hpet", .reset = hpet_reset, .destroy = hpet_destroy, .state = &state};

struct dev *hpet_new(const struct dev_env *env, struct isa_irq *isa, struct irq_line ioapic, struct err *err)
{
    struct hpet *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(err, EXIT_STATUS_HOST, "no memory for the event timers");
        return NULL;
    }
    c->isa = isa;
    c->ioapic = ioapic;
    dev_init(&c->dev, &class, env, 0);
    for (unsigned n = 0; n < TIMERS; n++) {
        c->t[n].chip = c;
        timer_init(&c->t[n].timer, env->clock, fire, &c->t[n]);
    }
    hpet_reset(&c->dev);
    if (dev_map(&c->dev, env->memory, HPET_BASE, 0x400, &ops)) {
        err_set(err, EXIT_STATUS_HOST, "the event timers' address is taken");
        hpet_destroy(&c->dev);
        return NULL;
    }
    return &c->dev;
}
