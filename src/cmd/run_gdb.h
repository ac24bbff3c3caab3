/* SPDX-License-Identifier: MIT */
/*
 * --gdb's socket: a listener opened before anything starts, and one debugger's connection at a time; the next
 * one waits until it has gone. Knows nothing of the bytes.
 */
#ifndef CMD_RUN_GDB_H
#define CMD_RUN_GDB_H

#include "base/event_loop.h"
#include "cmd/run_options.h"

/* An open descriptor, or -1. A socket file that nobody listens on is replaced, anything else there is
 * refused. */
int run_gdb_listen(const struct run_config *c, struct err *err);
/* Removes the socket file, if there is one. */
void run_gdb_unlink(const struct run_config *c);

struct gdb_link_user {
    void (*connected)(void *opaque);
    void (*received)(void *opaque, const void *bytes, size_t len);
    void (*gone)(void *opaque);
    void *opaque;
};

struct gdb_link;

/* Callbacks come on the loop's thread, where everything else is called too. NULL and err without memory. */
struct gdb_link *gdb_link_new(int listener, struct event_loop *loop, struct gdb_link_user user,
                              struct err *err);
/* Queues what the socket does not take now. Nothing while nobody is connected. */
void gdb_link_send(void *link, const void *bytes, size_t len);
/* Waits a moment until everything is sent. The loop need not run any more. */
void gdb_link_finish(struct gdb_link *l);

#endif
