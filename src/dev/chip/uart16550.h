/* SPDX-License-Identifier: MIT */
/* A 16550A UART: FIFOs, interrupts, modem lines, loop-back. Bytes leave as they are written; baud rates only
 * read back. */
#ifndef DEV_CHIP_UART16550_H
#define DEV_CHIP_UART16550_H

#include "dev/dev.h"

struct uart_backend {
    void (*tx)(void *opaque, u8 byte); /* with the chip's lock held: must not block for long; may be NULL */
    void (*rx_ready)(void *opaque);    /* the guest has read everything: send more. Lock held; may be NULL */
    void *opaque;
};

/* port: 0x3f8 for COM1, ... */
struct dev *uart_new(const struct dev_env *env, u16 port, unsigned instance, struct irq_line irq,
                     struct uart_backend backend, struct err *err);
/* Bytes from outside, any thread. Returns how many were taken; the rest is the caller's until rx_ready. */
size_t uart_receive(struct dev *d, const void *data, size_t len);
void uart_break(struct dev *d); /* the other side holds the line */

#endif
