/* SPDX-License-Identifier: MIT */
/*
 * The first process of `droste run`: it starts the others, owns the terminal and the signals, and turns what
 * became of the worker into an exit status. It never reads anything a guest wrote.
 *
 *   supervisor_begin() -> supervisor_start() for each child -> supervisor_wait() -> supervisor_end()
 */
#ifndef CMD_RUN_SUPERVISE_H
#define CMD_RUN_SUPERVISE_H

#include <signal.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/event_loop.h"
#include "cmd/terminal.h"

enum { SUPERVISOR_MORE_MAX = 8 };

struct supervisor {
    sigset_t old_mask;
    int signals; /* a signalfd */
    struct event_loop *loop;
    struct clock *clock;
    struct timer deadline, patience;
    struct terminal terminal;
    pid_t worker, network;
    int worker_control; /* hung up to ask the worker to stop */
    int status;         /* the worker's, as waitpid() has it */
    int reason;         /* exit status decided by us: a signal, the timeout; 0 when the guest decides */
    u64 timeout_ms;
    struct {
        void (*begin)(void *opaque);
        void *opaque;
    } more[SUPERVISOR_MORE_MAX]; /* what else the loop waits for */
    unsigned more_count;
};

int must_check supervisor_begin(struct supervisor *s, struct err *err);

/* A child that runs body(arg, control) and exits with its result. Parent: the child's id and the other end of
 * its control socket, which hangs up when either side ends. The child ignores the terminal's signals. */
pid_t supervisor_start(struct supervisor *s, const char *title, int (*body)(void *arg, int control),
                       void *arg, int *control, struct err *err);

/* begin() is called in supervisor_wait(), when its loop and clock are there and before it waits. At most
 * SUPERVISOR_MORE_MAX. */
void supervisor_before_wait(struct supervisor *s, void (*begin)(void *opaque), void *opaque);

/* Waits for the worker; the exit status of the whole run. */
int supervisor_wait(struct supervisor *s);
void supervisor_end(struct supervisor *s);

#endif
