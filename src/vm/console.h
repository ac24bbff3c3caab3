/* SPDX-License-Identifier: MIT */
/*
 * Two consoles, one terminal: COM1 and the virtio console print to the same sink, and input goes to the one
 * the guest printed to last (COM1 until then). Thread-safe.
 */
#ifndef VM_CONSOLE_H
#define VM_CONSOLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "dev/chip/uart16550.h"
#include "dev/virtio/virtio_console.h"

struct console {
    struct uart_backend sink;
    pthread_mutex_t lock; /* around the sink */
    atomic_bool virtio_last;
    struct dev *uart, *virtio; /* filled in by the board once they exist */
};

void console_init(struct console *c, struct uart_backend sink);
/* What to build the two devices with. */
struct uart_backend console_uart_backend(struct console *c);
struct console_out console_virtio_out(struct console *c);
/* Returns how many bytes were taken; the rest is the caller's until the sink's rx_ready, or the next input.
 */
size_t console_receive(struct console *c, const void *data, size_t len);

#endif
