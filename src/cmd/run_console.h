/* SPDX-License-Identifier: MIT */
/*
 * The guest's console in the worker: a UART's bytes to a descriptor, a descriptor's bytes to the UART, the
 * escape key, and the search for --expect. What the guest sends is written once per turn of the event loop,
 * uncollected otherwise; when the reader is slow, the guest waits.
 */
#ifndef CMD_RUN_CONSOLE_H
#define CMD_RUN_CONSOLE_H

#include "base/err.h"
#include "base/event_loop.h"
#include "base/types.h"

struct console;

struct console_config {
    int in, out;        /* -1: none. Stay the caller's */
    bool escape;        /* in is a terminal: its escape key calls quit */
    const char *expect; /* extended regular expression, or NULL */
};

/* The other side: how many bytes of data the guest took (it calls console_rx_ready() when it wants more), and
 * the user's wish to end. Both are called on the loop's thread. */
struct console_guest {
    size_t (*receive)(void *opaque, const void *data, size_t len);
    void (*quit)(void *opaque);
    void *opaque;
};

struct console *console_new(const struct console_config *cfg, struct err *err);
void console_free(struct console *c); /* before its loop */

/* Begins to read. Bytes sent before this wait for it. */
int must_check console_attach(struct console *c, struct event_loop *loop, struct console_guest guest,
                              struct err *err);

void console_tx(void *console, u8 byte); /* any thread */
void console_rx_ready(void *console);    /* any thread */
/* Writes what is left. Was --expect seen (true without one)? */
bool console_finish(struct console *c);

#endif
