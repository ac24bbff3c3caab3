/* SPDX-License-Identifier: MIT */
/*
 * I/O APIC (Intel 290566, with the EOI register of ICH9 13.5.7).
 *
 * An edge is sent at once or, while its pin is masked, lost; a level pin's request is its line. A level
 * request that was accepted sets Remote IRR and is not repeated until the EOI clears it. Interrupts are
 * composed as MSIs, so one path (dev_env.msi) carries both to the local APICs, whoever makes those.
 *
 * Never: hold a local APIC's lock on the way in. Sending happens under this chip's lock (order: ioapic,
 * lapic).
 */
#include "dev/chip/ioapic.h"

#include <stdlib.h>

enum {
    ENTRY_STATUS = BIT(12), /* delivery status: always idle here */
    ENTRY_LOW = BIT(13),    /* polarity: recorded; lines here carry "asserted", not volts */
    ENTRY_REMOTE_IRR = BIT(14),
    ENTRY_LEVEL = BIT(15),
    ENTRY_MASKED = BIT(16),
    MODE_EXTINT = 7,
};
#define ENTRY_WRITABLE 0xff0000000001afffull /* all but status, Remote IRR and the reserved ones */
#define ENTRY_EXT_DEST                                                                                       \
    0x00fe000000000000ull /* bits 55:49: destination id bits 14:8, as KVM's guests use them */

struct ioapic {
    struct dev dev;
    u8 initial_id;
    u32 id, select;
    u32 lines; /* levels of the pins */
    u64 entry[IOAPIC_PINS];
};

static u64 msi_address(u64 e)
{
    u64 dest = bits(e, 63, 56), extended = bits(e, 55, 49), logical = bits(e, 11, 11);
    return 0xfee00000 | dest << 12 | extended << 5 | logical << 2;
}

static u32 msi_data(u64 e)
{
    u32 level = e & ENTRY_LEVEL ? BIT(15) | BIT(14) : BIT(14);
    return bits(e, 7, 0) | bits(e, 10, 8) << 8 | level;
}

static void send(struct ioapic *c, u64 e)
{
    if (bits(e, 10, 8) != MODE_EXTINT && c->dev.env->msi.send)
        c->dev.env->msi.send(c->dev.env->msi.opaque, msi_address(e), msi_data(e));
}

/* Sends what a level pin asks for, unless that has been done already. */
static void service_level(struct ioapic *c, unsigned pin)
{
    u64 *e = &c->entry[pin];
    if ((*e & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) || !(*e & ENTRY_LEVEL) || !(c->lines >> pin & 1))
        return;
    if (bits(*e, 10, 8) <= 1)
        *e |= ENTRY_REMOTE_IRR; /* fixed and lowest priority only: nobody ends an NMI */
    send(c, *e);
}

static void line_set(void *opaque, int pin, int level)
{
    struct ioapic *c = opaque;
    if (pin < 0 || pin >= IOAPIC_PINS)
        return;
    u32 bit = 1u << pin;
    dev_lock(&c->dev);
    bool rose = level && !(c->lines & bit);
    c->lines = level ? c->lines | bit : c->lines & ~bit;
    if (rose && !(c->entry[pin] & (ENTRY_LEVEL | ENTRY_MASKED)))
        send(c, c->entry[pin]);
    service_level(c, pin);
    dev_unlock(&c->dev);
}

struct irq_line ioapic_line(struct dev *d, unsigned pin)
{
    return (struct irq_line){.set = line_set, .opaque = d, .pin = pin};
}

void ioapic_eoi(void *d, u8 vector)
{
    struct ioapic *c = d;
    dev_lock(&c->dev);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if ((u8)c->entry[pin] != vector || !(c->entry[pin] & ENTRY_REMOTE_IRR))
            continue;
        c->entry[pin] &= ~(u64)ENTRY_REMOTE_IRR;
        service_level(c, pin);
    }
    dev_unlock(&c->dev);
}

static void write_entry(struct ioapic *c, unsigned pin, unsigned high, u32 v)
{
    u64 *e = &c->entry[pin];
    u64 kept = *e & ENTRY_REMOTE_IRR;
    u64 written = high ? (*e & 0xffffffff) | (u64)v << 32 : (*e & ~0xffffffffull) | v;
    *e = (written & (ENTRY_WRITABLE | ENTRY_EXT_DEST)) | kept;
    if (!(*e & ENTRY_LEVEL))
        *e &= ~(u64)ENTRY_REMOTE_IRR; /* guests reset a stuck pin by making it an edge for a moment */
    service_level(c, pin);
}

static u32 register_read(struct ioapic *c)
{
    switch (c->select) {
    case 0:
    case 2: /* arbitration id: a copy of the id */
        return c->id << 24;
    case 1:
        return (IOAPIC_PINS - 1) << 16 | 0x20;
    }
    unsigned pin = (c->select - 0x10) / 2;
    if (c->select < 0x10 || pin >= IOAPIC_PINS)
        return 0;
    return c->entry[pin] >> (c->select & 1 ? 32 : 0);
}

static void register_write(struct ioapic *c, u32 v)
{
    if (c->select == 0)
        c->id = bits(v, 27, 24);
    unsigned pin = (c->select - 0x10) / 2;
    if (c->select >= 0x10 && pin < IOAPIC_PINS)
        write_entry(c, pin, c->select & 1, v);
}

static u64 ioapic_read(void *d, u64 off, unsigned size)
{
    struct ioapic *c = d;
    if (off == 0)
        return c->select;
    return off == 0x10 ? register_read(c) : 0;
}

static void ioapic_write(void *d, u64 off, unsigned size, u64 v)
{
    struct ioapic *c = d;
    if (off == 0)
        c->select = (u8)v;
    else if (off == 0x10)
        register_write(c, v);
    else if (off == 0x40)
        ioapic_eoi(c, v);
}

static const struct region_ops ops = {ioapic_read, ioapic_write, 4};

static void ioapic_reset(struct dev *d)
{
    struct ioapic *c = (struct ioapic *)d;
    c->id = c->initial_id;
    c->select = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        c->entry[pin] = ENTRY_MASKED;
}

static int ioapic_loaded(void *obj)
{
    struct ioapic *c = obj;
    c->select &= 0xff;
    c->id &= 0xf;
    c->lines &= BIT(IOAPIC_PINS) - 1;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        c->entry[pin] &= ENTRY_WRITABLE | ENTRY_EXT_DEST | ENTRY_REMOTE_IRR;
    return 0;
}

static const struct state_field fields[] = {
    STATE_FIELD(struct ioapic, id),
    STATE_FIELD(struct ioapic, select),
    STATE_FIELD(struct ioapic, lines),
    STATE_ARRAY(struct ioapic, entry),
    STATE_END,
};

static const struct state_desc state = {.name = "ioapic", .fields = fields, .loaded = ioapic_loaded};

static void ioapic_destroy(struct dev *d)
{
    dev_fini(d);
    free(d);
}

static const struct dev_class class = {
    .name = "ioapic", .reset = ioapic_reset, .destroy = ioapic_destroy, .state = &state};

struct dev *ioapic_new(const struct dev_env *env, u8 id, struct err *err)
{
    struct ioapic *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(err, EXIT_STATUS_HOST, "no memory for the I/O APIC");
        return NULL;
    }
    c->initial_id = id & 0xf;
    dev_init(&c->dev, &class, env, 0);
    ioapic_reset(&c->dev);
    if (dev_map(&c->dev, env->memory, IOAPIC_BASE, 0x1000, &ops)) {
        err_set(err, EXIT_STATUS_HOST, "the I/O APIC's address is taken");
        ioapic_destroy(&c->dev);
        return NULL;
    }
    return &c->dev;
}
