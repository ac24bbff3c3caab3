/* SPDX-License-Identifier: MIT */
/* The machine's consoles and the one terminal behind them. */
#include "vm/console.h"

static void print(struct console *c, const u8 *data, size_t len)
{
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; c->sink.tx && i < len; i++)
        c->sink.tx(c->sink.opaque, data[i]);
    pthread_mutex_unlock(&c->lock);
}

static void uart_printed(void *opaque, u8 byte)
{
    struct console *c = opaque;
    atomic_store(&c->virtio_last, false);
    print(c, &byte, 1);
}

static void uart_ready(void *opaque)
{
    struct console *c = opaque;
    if (c->sink.rx_ready)
        c->sink.rx_ready(c->sink.opaque);
}

static void virtio_printed(void *opaque, const u8 *data, size_t len)
{
    struct console *c = opaque;
    atomic_store(&c->virtio_last, true);
    print(c, data, len);
}

void console_init(struct console *c, struct uart_backend sink)
{
    *c = (struct console){.sink = sink};
    pthread_mutex_init(&c->lock, NULL);
}

struct uart_backend console_uart_backend(struct console *c)
{
    return (struct uart_backend){uart_printed, uart_ready, c};
}

struct console_out console_virtio_out(struct console *c)
{
    return (struct console_out){virtio_printed, c};
}

size_t console_receive(struct console *c, const void *data, size_t len)
{
    if (atomic_load(&c->virtio_last))
        return virtio_console_receive(c->virtio, data, len);
    return uart_receive(c->uart, data, len);
}
