/* SPDX-License-Identifier: MIT */
/* Interrupt lines, message-signalled interrupts and kicks, as handles given to a device at construction. */
#ifndef DEV_IRQ_H
#define DEV_IRQ_H

#include "base/types.h"

/* One input pin of an interrupt controller (or a fan-out to several). Thread-safe. Level: the pin's state. */
struct irq_line {
    void (*set)(void *opaque, int pin, int level);
    void *opaque;
    int pin;
};

static inline void irq_set(const struct irq_line *l, int level)
{
    if (l->set)
        l->set(l->opaque, l->pin, level);
}

/* An edge on a pin: up, then down. */
static inline void irq_pulse(const struct irq_line *l)
{
    irq_set(l, 1);
    irq_set(l, 0);
}

/* A message that an eventfd stands for: whoever writes it, here or elsewhere, sends the message. */
struct msi_source {
    int fd;      /* the device's; -1: none */
    unsigned id; /* the sink's, from the first bind() on */
    bool bound;  /* to the message below */
    u64 address;
    u32 data;
};

/* Where MSI and MSI-X writes go: the address and data as the device was programmed. Thread-safe. */
struct msi_sink {
    void (*send)(void *opaque, u64 address, u32 data);
    void *opaque;
    /* Optional. From now on s->fd stands for this message and for none before it: 0. -1: it cannot; send()
     * it. s: zeroed but for fd before the first call. */
    int (*bind)(void *opaque, struct msi_source *s, u64 address, u32 data);
};

#endif
