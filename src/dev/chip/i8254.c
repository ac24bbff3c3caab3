/* SPDX-License-Identifier: MIT */
/*
 * 8254 (Intel 231164). A channel remembers the tick at which its count was loaded; the count, the output and
 * the next edge follow from the clock. Channel 0's rising edges are made by a timer.
 *
 * A new count written to a running channel starts at once, in every mode; the chip would let modes 2 and 3
 * finish their period first.
 */
#include "dev/chip/i8254.h"

#include <stdlib.h>

enum { ACCESS_LOW = 1, ACCESS_HIGH = 2, ACCESS_BOTH = 3 };

/* Edges closer than this reach IRQ 0 as one, or a count of 2 would keep the machine from all other work. */
#define SHORTEST_PERIOD_NS 20000
#define REFRESH_NS         15085 /* system control port B, bit 4, toggles with every memory refresh */

struct channel {
    u8 mode, access, bcd, gate;
    u8 write_low, write_second, read_second; /* a two-byte access in between */
    u8 counting;                             /* a count was loaded and (modes 1, 5) the gate has risen */
    u8 paused;                               /* gate low in modes 0 and 4: `start` holds elapsed ticks */
    u8 count_latched, status_latched, status;
    u16 latch;
    u32 count; /* 1..65536; 0 before the first */
    u64 start; /* tick */
};

struct i8254 {
    struct dev dev;
    struct irq_line irq0;
    struct timer timer;
    u64 timer_armed;
    struct channel channel[3];
    u8 port_b; /* bits 3:0 as written */
};

static u64 to_tick(u64 ns)
{
    return (unsigned __int128)ns * I8254_HZ / 1000000000u;
}

/* The first moment of a tick. */
static u64 to_ns(u64 tick)
{
    unsigned __int128 ns = ((unsigned __int128)tick * 1000000000u + I8254_HZ - 1) / I8254_HZ;
    return ns >= CLOCK_NEVER ? CLOCK_NEVER - 1 : (u64)ns;
}

static u64 now_tick(const struct i8254 *c)
{
    return to_tick(clock_now(c->dev.env->clock));
}

static bool periodic(const struct channel *ch)
{
    return ch->mode == 2 || ch->mode == 3;
}

static u64 elapsed(const struct i8254 *c, const struct channel *ch)
{
    u64 now = now_tick(c);
    if (ch->paused)
        return ch->start;
    return now > ch->start ? now - ch->start : 0;
}

static bool output(const struct i8254 *c, const struct channel *ch)
{
    if (!ch->counting)
        return ch->mode != 0;
    u64 ticks = elapsed(c, ch);
    switch (ch->mode) {
    case 0:
    case 1:
        return ticks >= ch->count;
    case 2:
        return !ch->gate || ticks % ch->count != ch->count - 1;
    case 3:
        return !ch->gate || ticks % ch->count < (ch->count + 1) / 2;
    default:
        return ticks != ch->count;
    }
}

static u32 modulus(const struct channel *ch)
{
    return ch->bcd ? 10000 : 65536;
}

static u16 encode(const struct channel *ch, u32 v)
{
    if (!ch->bcd)
        return v;
    return v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12;
}

static u32 decode(const struct channel *ch, u16 v)
{
    u32 n = ch->bcd ? (v & 15) + (v >> 4 & 15) * 10 + (v >> 8 & 15) * 100 + (v >> 12) * 1000 : v;
    n %= modulus(ch);
    return n ? n : modulus(ch);
}

static u16 current(const struct i8254 *c, const struct channel *ch)
{
    if (!ch->count)
        return 0;
    u64 ticks = ch->counting ? elapsed(c, ch) : 0;
    u32 left;
    if (ch->mode == 2)
        left = ch->count - ticks % ch->count;
    else if (ch->mode == 3) /* counts by two, twice a period */
        left = ch->count - (2 * ticks) % ch->count;
    else
        left = (ch->count + modulus(ch) - ticks % modulus(ch)) % modulus(ch);
    return encode(ch, left % modulus(ch));
}

/* ---- channel 0's interrupts ---- */

/* Arms the timer for the first rising edge after now. */
static void plan(struct i8254 *c)
{
    const struct channel *ch = &c->channel[0];
    if (!ch->counting) {
        timer_cancel(&c->timer);
        return;
    }
    u64 ticks = elapsed(c, ch);
    if (periodic(ch)) {
        u64 edge = to_ns(ch->start + (ticks / ch->count + 1) * ch->count);
        bool short_period = ch->count < I8254_HZ / (1000000000u / SHORTEST_PERIOD_NS);
        u64 soonest = clock_now(c->dev.env->clock) + (short_period ? SHORTEST_PERIOD_NS : 0);
        timer_arm(&c->timer, edge > soonest ? edge : soonest);
    } else if (ticks < ch->count) {
        timer_arm(&c->timer, to_ns(ch->start + ch->count));
    } else {
        timer_cancel(&c->timer);
    }
}

static void fire(void *opaque)
{
    struct i8254 *c = opaque;
    dev_lock(&c->dev);
    struct channel *ch = &c->channel[0];
    u64 armed = timer_deadline(&c->timer);
    bool due = armed == CLOCK_NEVER && ch->counting && elapsed(c, ch) >= ch->count;
    if (due) {
        if (ch->mode != 0)
            irq_set(&c->irq0, 0); /* the low part of the wave, too short or too late to show */
        irq_set(&c->irq0, 1);
        plan(c);
    }
    dev_unlock(&c->dev);
}

static void restart(struct i8254 *c, unsigned n)
{
    if (n)
        return;
    irq_set(&c->irq0, output(c, &c->channel[0]));
    plan(c);
}

/* ---- programming ---- */

static void load(struct i8254 *c, unsigned n, u16 v)
{
    struct channel *ch = &c->channel[n];
    ch->count = decode(ch, v);
    if (ch->mode == 1 || ch->mode == 5)
        return; /* waits for the gate to rise */
    ch->counting = 1;
    ch->paused = !ch->gate && !periodic(ch);
    ch->start = ch->paused ? 0 : now_tick(c);
    restart(c, n);
}

static void latch_status(struct i8254 *c, struct channel *ch)
{
    if (ch->status_latched)
        return;
    ch->status_latched = 1;
    ch->status = output(c, ch) << 7 | (ch->count == 0) << 6 | ch->access << 4 | ch->mode << 1 | ch->bcd;
}

static void latch_count(struct i8254 *c, struct channel *ch)
{
    if (ch->count_latched)
        return;
    ch->count_latched = 1;
    ch->latch = current(c, ch);
}

static void read_back(struct i8254 *c, u8 v)
{
    for (unsigned n = 0; n < 3; n++) {
        if (!(v & 2 << n))
            continue;
        if (!(v & 0x20))
            latch_count(c, &c->channel[n]);
        if (!(v & 0x10))
            latch_status(c, &c->channel[n]);
    }
}

static void write_control(struct i8254 *c, u8 v)
{
    unsigned n = v >> 6;
    if (n == 3) {
        read_back(c, v);
        return;
    }
    struct channel *ch = &c->channel[n];
    if (!(v & 0x30)) {
        latch_count(c, ch);
        return;
    }
    u8 mode = v >> 1 & 7;
    *ch = (struct channel){
        .mode = mode > 5 ? mode & 3 : mode, .access = v >> 4 & 3, .bcd = v & 1, .gate = ch->gate};
    restart(c, n);
}

static void write_count(struct i8254 *c, unsigned n, u8 v)
{
    struct channel *ch = &c->channel[n];
    switch (ch->access) {
    case ACCESS_LOW:
        load(c, n, v);
        break;
    case ACCESS_HIGH:
        load(c, n, v << 8);
        break;
    default:
        if (ch->write_second) {
            ch->write_second = 0;
            load(c, n, ch->write_low | v << 8);
            break;
        }
        ch->write_second = 1;
        ch->write_low = v;
        if (ch->mode == 0) { /* the first byte stops the count */
            ch->counting = 0;
            restart(c, n);
        }
    }
}

static u8 read_count(struct i8254 *c, unsigned n)
{
    struct channel *ch = &c->channel[n];
    if (ch->status_latched) {
        ch->status_latched = 0;
        return ch->status;
    }
    u16 v = ch->count_latched ? ch->latch : current(c, ch);
    bool second = ch->access == ACCESS_BOTH && ch->read_second;
    if (ch->access == ACCESS_BOTH)
        ch->read_second = !second;
    if (ch->access != ACCESS_BOTH || second)
        ch->count_latched = 0;
    return second || ch->access == ACCESS_HIGH ? v >> 8 : v;
}

static u64 pit_read(void *d, u64 off, unsigned size)
{
    return off == 3 ? 0 : read_count(d, off);
}

static void pit_write(void *d, u64 off, unsigned size, u64 v)
{
    if (off == 3)
        write_control(d, v);
    else
        write_count(d, off, v);
}

static void set_gate(struct i8254 *c, struct channel *ch, bool gate)
{
    if (ch->gate == gate)
        return;
    u64 ticks = elapsed(c, ch);
    ch->gate = gate;
    if (!ch->count)
        return;
    if (ch->mode == 0 || ch->mode == 4) {
        ch->paused = !gate;
        ch->start = gate ? now_tick(c) - ticks : ticks;
    } else if (gate) { /* a rising gate starts modes 1, 2, 3 and 5 afresh */
        ch->counting = 1;
        ch->start = now_tick(c);
    }
}

static u64 port_b_read(void *d, u64 off, unsigned size)
{
    struct i8254 *c = d;
    u64 refresh = clock_now(c->dev.env->clock) / REFRESH_NS & 1;
    return c->port_b | refresh << 4 | output(c, &c->channel[2]) << 5;
}

static void port_b_write(void *d, u64 off, unsigned size, u64 v)
{
    struct i8254 *c = d;
    c->port_b = v & 15;
    set_gate(c, &c->channel[2], v & 1);
}

static const struct region_ops pit_ops = {pit_read, pit_write, 1};
static const struct region_ops port_b_ops = {port_b_read, port_b_write, 1};

/* ---- the device ---- */

static void i8254_reset(struct dev *d)
{
    struct i8254 *c = (struct i8254 *)d;
    for (unsigned n = 0; n < 3; n++)
        c->channel[n] = (struct channel){.mode = 3, .access = ACCESS_BOTH, .gate = n != 2};
    c->port_b = 0;
    timer_cancel(&c->timer);
    irq_set(&c->irq0, 0);
}

static void i8254_saving(void *obj)
{
    struct i8254 *c = obj;
    c->timer_armed = timer_deadline(&c->timer);
}

static int i8254_loaded(void *obj)
{
    struct i8254 *c = obj;
    for (unsigned n = 0; n < 3; n++) {
        struct channel *ch = &c->channel[n];
        if (ch->mode > 5 || ch->count > 65536 || (ch->counting && !ch->count) || !ch->access ||
            ch->access > 3)
            return -1;
        ch->bcd &= 1;
        ch->paused &= !periodic(ch);
    }
    c->port_b &= 15;
    timer_arm(&c->timer, c->timer_armed);
    return 0;
}

#define CHANNEL_FIELDS(n)                                                                                    \
    STATE_FIELD(struct i8254, channel[n].mode), STATE_FIELD(struct i8254, channel[n].access),                \
        STATE_FIELD(struct i8254, channel[n].bcd), STATE_FIELD(struct i8254, channel[n].gate),               \
        STATE_FIELD(struct i8254, channel[n].write_low), STATE_FIELD(struct i8254, channel[n].write_second), \
        STATE_FIELD(struct i8254, channel[n].read_second), STATE_FIELD(struct i8254, channel[n].counting),   \
        STATE_FIELD(struct i8254, channel[n].paused), STATE_FIELD(struct i8254, channel[n].count_latched),   \
        STATE_FIELD(struct i8254, channel[n].status_latched), STATE_FIELD(struct i8254, channel[n].status),  \
        STATE_FIELD(struct i8254, channel[n].latch), STATE_FIELD(struct i8254, channel[n].count),            \
        STATE_FIELD(struct i8254, channel[n].start)

static const struct state_field fields[] = {
    CHANNEL_FIELDS(0),
    CHANNEL_FIELDS(1),
    CHANNEL_FIELDS(2),
    STATE_FIELD(struct i8254, port_b),
    STATE_FIELD(struct i8254, timer_armed),
    STATE_END,
};

static const struct state_desc state = {
    .name = "i8254", .fields = fields, .saving = i8254_saving, .loaded = i8254_loaded};

static void i8254_destroy(struct dev *d)
{
    timer_cancel(&((struct i8254 *)d)->timer);
    dev_fini(d);
    free(d);
}

static const struct dev_class class = {
    .name = "i8254", .reset = i8254_reset, .destroy = i8254_destroy, .state = &state};

struct dev *i8254_new(const struct dev_env *env, struct irq_line irq0, struct err *err)
{
    struct i8254 *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(err, EXIT_STATUS_HOST, "no memory for the interval timer");
        return NULL;
    }
    c->irq0 = irq0;
    dev_init(&c->dev, &class, env, 0);
    timer_init(&c->timer, env->clock, fire, c);
    i8254_reset(&c->dev);
    if (dev_map(&c->dev, env->ports, 0x40, 4, &pit_ops) ||
        dev_map(&c->dev, env->ports, 0x61, 1, &port_b_ops)) {
        err_set(err, EXIT_STATUS_HOST, "the interval timer's ports are taken");
        i8254_destroy(&c->dev);
        return NULL;
    }
    return &c->dev;
}
