/* SPDX-License-Identifier: MIT */
/* --gdb: the socket, the session and the machine put together. */
#ifndef MAIN_WORKER_GDB_H
#define MAIN_WORKER_GDB_H

#include "main/run.h"
#include "vm/machine.h"

struct worker_gdb;

/* What it needs of the kernel besides, ends with -1. */
extern const int worker_gdb_calls[];

/* The machine waits stopped, and that is said. killed: the debugger wants the run to end. NULL and err when
 * it cannot be. Lives as long as the process. */
struct worker_gdb *worker_gdb_begin(const struct run_job *job, struct machine *m,
                                    void (*killed)(void *opaque), void *opaque, struct err *err);
/* Tells the debugger the exit status. */
void worker_gdb_end(struct worker_gdb *g, int status);

#endif
