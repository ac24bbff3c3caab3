/* SPDX-License-Identifier: MIT */
/*
 * Two 8259As (Intel 231468). Modes: edge and level (by ELCR), fixed and rotating priority, automatic EOI,
 * special mask, special fully nested, poll. Buffered mode and MCS-80 vectors have no meaning in a PC and are
 * ignored.
 *
 * Each chip's INT is worked out anew after every change (`update`); the slave's drives the master's input 2.
 */
#include "dev/chip/i8259.h"

#include <stdlib.h>

struct pic {
    u8 irr, isr, imr, lines, elcr;
    u8 base;     /* ICW2 */
    u8 icw_step; /* which ICW the next write to the odd port is; 0: OCW1 */
    u8 need_icw4;
    u8 auto_eoi, rotate_on_auto_eoi, nested; /* ICW4.AEOI, OCW2's rotate in AEOI mode, ICW4.SFNM */
    u8 special_mask, read_isr, poll;
    u8 lowest; /* the input of lowest priority */
};

struct i8259 {
    struct dev dev;
    struct irq_line out;
    struct pic pic[2];
    u8 asserted; /* what `out` was told */
};

static const u8 elcr_mask[2] = {0xf8, 0xde}; /* inputs 0, 1, 2, 8 and 13 are always edges (ICH9 13.4.10) */

/* Input of the highest priority among set, -1 if none. */
static int highest(const struct pic *p, u8 set)
{
    for (unsigned n = 1; n <= 8; n++) {
        unsigned pin = (p->lowest + n) & 7;
        if (set & (1 << pin))
            return pin;
    }
    return -1;
}

static unsigned rank(const struct pic *p, unsigned pin)
{
    return (pin - p->lowest - 1) & 7;
}

/* The input that INT asks for, -1 if INT is low. */
static int requested(const struct i8259 *c, unsigned chip)
{
    const struct pic *p = &c->pic[chip];
    int pin = highest(p, p->irr & ~p->imr);
    if (pin < 0)
        return -1;
    u8 blocking = p->isr;
    if (p->special_mask)
        blocking &= ~p->imr;
    if (p->nested && chip == 0)
        blocking &= ~4; /* the slave may interrupt its own service (231468, SFNM) */
    int serving = highest(p, blocking);
    return serving >= 0 && rank(p, serving) <= rank(p, pin) ? -1 : pin;
}

static void pic_set(struct pic *p, unsigned pin, int level)
{
    u8 bit = 1 << pin;
    if (level) {
        if ((p->elcr & bit) || !(p->lines & bit))
            p->irr |= bit;
        p->lines |= bit;
    } else {
        p->lines &= ~bit;
        if (p->elcr & bit)
            p->irr &= ~bit;
    }
}

static void update(struct i8259 *c)
{
    /* The cascade is no latch: the master sees the slave's INT as it is, or a second request would be lost.
     */
    c->pic[0].irr = (c->pic[0].irr & ~4) | (requested(c, 1) >= 0 ? 4 : 0);
    u8 now = requested(c, 0) >= 0;
    if (now == c->asserted)
        return;
    c->asserted = now;
    irq_set(&c->out, now);
}

static void eoi(struct pic *p, unsigned pin, bool rotate)
{
    p->isr &= ~(1 << pin);
    if (rotate)
        p->lowest = pin;
}

/* INTA reached this chip: the request moves on to service. */
static void take(struct pic *p, unsigned pin)
{
    p->isr |= 1 << pin;
    if (!(p->elcr & (1 << pin)))
        p->irr &= ~(1 << pin);
    if (p->auto_eoi)
        eoi(p, pin, p->rotate_on_auto_eoi);
}

static int vector_of(struct i8259 *c, bool acknowledge)
{
    int pin = requested(c, 0);
    if (pin < 0)
        return -1;
    if (acknowledge)
        take(&c->pic[0], pin);
    if (pin != 2)
        return c->pic[0].base + pin;
    int slave_pin = requested(c, 1);
    if (slave_pin < 0)
        return c->pic[1].base + 7; /* gone between the two INTA cycles: spurious */
    if (acknowledge)
        take(&c->pic[1], slave_pin);
    return c->pic[1].base + slave_pin;
}

int i8259_acknowledge(void *d)
{
    struct i8259 *c = d;
    dev_lock(&c->dev);
    int vector = vector_of(c, true);
    update(c);
    dev_unlock(&c->dev);
    return vector;
}

int i8259_pending(void *d)
{
    struct i8259 *c = d;
    dev_lock(&c->dev);
    int vector = vector_of(c, false);
    dev_unlock(&c->dev);
    return vector;
}

static void line_set(void *opaque, int pin, int level)
{
    struct i8259 *c = opaque;
    if (pin < 0 || pin > 15 || pin == 2)
        return;
    dev_lock(&c->dev);
    pic_set(&c->pic[pin >> 3], pin & 7, level);
    update(c);
    dev_unlock(&c->dev);
}

struct irq_line i8259_line(struct dev *d, unsigned pin)
{
    return (struct irq_line){.set = line_set, .opaque = d, .pin = pin};
}

static void write_icw1(struct pic *p, u8 v)
{
    *p = (struct pic){.lines = p->lines, .elcr = p->elcr, .lowest = 7, .icw_step = 2, .need_icw4 = v & 1};
    p->irr = p->lines & p->elcr; /* edges must come again, levels still stand */
}

static void write_ocw2(struct pic *p, u8 v)
{
    bool rotate = v & 0x80, specific = v & 0x40, end = v & 0x20;
    u8 masked = p->special_mask ? p->imr : 0;
    int pin = specific ? v & 7 : highest(p, p->isr & ~masked);
    if (end) {
        if (pin >= 0)
            eoi(p, pin, rotate);
    } else if (specific) {
        if (rotate)
            p->lowest = pin; /* set priority */
    } else {
        p->rotate_on_auto_eoi = rotate;
    }
}

static void write_ocw3(struct pic *p, u8 v)
{
    if (v & 2)
        p->read_isr = v & 1;
    if (v & 0x40)
        p->special_mask = !!(v & 0x20);
    p->poll = !!(v & 4);
}

static void write_command(struct pic *p, u8 v)
{
    if (v & 0x10)
        write_icw1(p, v);
    else if (v & 8)
        write_ocw3(p, v);
    else
        write_ocw2(p, v);
}

static void write_data(struct pic *p, u8 v)
{
    switch (p->icw_step) {
    case 2:
        p->base = v & 0xf8;
        p->icw_step = 3;
        break;
    case 3: /* the cascade's wiring is fixed */
        p->icw_step = p->need_icw4 ? 4 : 0;
        break;
    case 4:
        p->auto_eoi = !!(v & 2);
        p->nested = !!(v & 0x10);
        p->icw_step = 0;
        break;
    default:
        p->imr = v;
    }
}

static void chip_write(struct i8259 *c, unsigned chip, u64 off, u64 v)
{
    if (off)
        write_data(&c->pic[chip], v);
    else
        write_command(&c->pic[chip], v);
    update(c);
}

/* OCW3 poll: the read is the INTA. */
static u64 poll(struct i8259 *c, unsigned chip)
{
    struct pic *p = &c->pic[chip];
    p->poll = 0;
    int pin = requested(c, chip);
    if (pin < 0)
        return 0;
    take(p, pin);
    update(c);
    return 0x80 | pin;
}

static u64 chip_read(struct i8259 *c, unsigned chip, u64 off)
{
    struct pic *p = &c->pic[chip];
    if (p->poll)
        return poll(c, chip);
    if (off)
        return p->imr;
    return p->read_isr ? p->isr : p->irr;
}

static u64 master_read(void *d, u64 off, unsigned size)
{
    return chip_read(d, 0, off);
}
static u64 slave_read(void *d, u64 off, unsigned size)
{
    return chip_read(d, 1, off);
}
static void master_write(void *d, u64 off, unsigned size, u64 v)
{
    chip_write(d, 0, off, v);
}
static void slave_write(void *d, u64 off, unsigned size, u64 v)
{
    chip_write(d, 1, off, v);
}

static u64 elcr_read(void *d, u64 off, unsigned size)
{
    return ((struct i8259 *)d)->pic[off].elcr;
}

static void elcr_write(void *d, u64 off, unsigned size, u64 v)
{
    struct i8259 *c = d;
    struct pic *p = &c->pic[off];
    p->elcr = v & elcr_mask[off];
    p->irr = (p->irr & ~p->elcr) | (p->lines & p->elcr);
    update(c);
}

static const struct region_ops master_ops = {master_read, master_write, 1};
static const struct region_ops slave_ops = {slave_read, slave_write, 1};
static const struct region_ops elcr_ops = {elcr_read, elcr_write, 1};

static void i8259_reset(struct dev *d)
{
    struct i8259 *c = (struct i8259 *)d;
    for (unsigned n = 0; n < 2; n++)
        c->pic[n] = (struct pic){.lines = c->pic[n].lines, .lowest = 7};
    c->pic[0].lines &= ~4;
    update(c);
}

static int i8259_loaded(void *obj)
{
    struct i8259 *c = obj;
    for (unsigned n = 0; n < 2; n++) {
        c->pic[n].lowest &= 7;
        c->pic[n].base &= 0xf8;
        c->pic[n].elcr &= elcr_mask[n];
    }
    irq_set(&c->out, c->asserted);
    update(c);
    return 0;
}

#define PIC_FIELDS(n)                                                                                        \
    STATE_FIELD(struct i8259, pic[n].irr), STATE_FIELD(struct i8259, pic[n].isr),                            \
        STATE_FIELD(struct i8259, pic[n].imr), STATE_FIELD(struct i8259, pic[n].lines),                      \
        STATE_FIELD(struct i8259, pic[n].elcr), STATE_FIELD(struct i8259, pic[n].base),                      \
        STATE_FIELD(struct i8259, pic[n].icw_step), STATE_FIELD(struct i8259, pic[n].need_icw4),             \
        STATE_FIELD(struct i8259, pic[n].auto_eoi), STATE_FIELD(struct i8259, pic[n].rotate_on_auto_eoi),    \
        STATE_FIELD(struct i8259, pic[n].nested), STATE_FIELD(struct i8259, pic[n].special_mask),            \
        STATE_FIELD(struct i8259, pic[n].read_isr), STATE_FIELD(struct i8259, pic[n].poll),                  \
        STATE_FIELD(struct i8259, pic[n].lowest)

static const struct state_field fields[] = {
    PIC_FIELDS(0),
    PIC_FIELDS(1),
    STATE_FIELD(struct i8259, asserted),
    STATE_END,
};

static const struct state_desc state = {.name = "i8259", .fields = fields, .loaded = i8259_loaded};

static void i8259_destroy(struct dev *d)
{
    dev_fini(d);
    free(d);
}

static const struct dev_class class = {
    .name = "i8259", .reset = i8259_reset, .destroy = i8259_destroy, .state = &state};

struct dev *i8259_new(const struct dev_env *env, struct irq_line out, struct err *err)
{
    struct i8259 *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(err, EXIT_STATUS_HOST, "no memory for the interrupt controller");
        return NULL;
    }
    c->out = out;
    dev_init(&c->dev, &class, env, 0);
    i8259_reset(&c->dev);
    if (dev_map(&c->dev, env->ports, 0x20, 2, &master_ops) ||
        dev_map(&c->dev, env->ports, 0xa0, 2, &slave_ops) ||
        dev_map(&c->dev, env->ports, 0x4d0, 2, &elcr_ops)) {
        err_set(err, EXIT_STATUS_HOST, "the interrupt controller's ports are taken");
        i8259_destroy(&c->dev);
        return NULL;
    }
    return &c->dev;
}
