/* SPDX-License-Identifier: MIT */
/*
 * A machine under a debugger. All vCPUs stop together and go on as the debugger says; while they stand, so
 * does the clock. The guest notices nothing.
 *
 * It begins stopped, before its first instruction. While attached, what would end or restart the machine
 * (reset, triple fault, panic) stops it first; going on then lets that happen.
 *
 * Threads: everything here is for the event loop's thread, or before machine_run(). What reads or changes the
 * guest needs a stopped machine.
 */
#ifndef VM_DEBUGGER_H
#define VM_DEBUGGER_H

#include "accel/accel.h"

struct machine;

enum debug_reason {
    DEBUG_ASKED, /* debugger_stop(), or the machine has not run yet */
    DEBUG_POINT, /* hit tells which */
    DEBUG_STEPPED,
    DEBUG_RESET,
    DEBUG_TRIPLE_FAULT,
    DEBUG_PANIC,
};

struct debug_stop {
    enum debug_reason reason;
    unsigned vcpu;
    struct debug_hit hit;
    char text[400]; /* for a human; "": nothing to say */
};

enum debug_action { DEBUG_HOLD, DEBUG_CONTINUE, DEBUG_STEP };

struct debug_regs {
    struct accel_regs r;
    struct accel_fpu fpu;
    u64 cr8; /* not written back */
};

/* Before machine_run(), once. stopped: called on the event loop's thread for every stop. -1: the engine
 * cannot be debugged. */
int must_check debugger_open(struct machine *m, void (*stopped)(void *opaque, const struct debug_stop *stop),
                             void *opaque, struct err *err);

/* Stops a machine that runs. */
void debugger_attach(struct machine *m);
/* Removes all points and lets the machine go on by itself. */
void debugger_detach(struct machine *m);
/* The debugger went away without a word: points go, a stopped machine stays so. */
void debugger_lost(struct machine *m);

void debugger_stop(struct machine *m);
/* One action a vCPU. May call stopped() at once: another vCPU's stop was still to be told. */
void debugger_resume(struct machine *m, const enum debug_action *action);
bool debugger_stopped(const struct machine *m);

int must_check debugger_set_points(struct machine *m, const struct debug_point *points, unsigned count,
                                   struct err *err);
void debugger_get(struct machine *m, unsigned vcpu, struct debug_regs *r);
void debugger_set(struct machine *m, unsigned vcpu, const struct debug_regs *r);
void debugger_status(struct machine *m, unsigned vcpu, struct accel_status *s);
/* RAM only: reading a device could change it. How many bytes from the first on could be had; a write is done
 * whole or not at all. */
size_t debugger_read(struct machine *m, unsigned vcpu, bool physical, u64 at, void *buf, size_t len);
size_t debugger_write(struct machine *m, unsigned vcpu, bool physical, u64 at, const void *buf, size_t len);

#endif
