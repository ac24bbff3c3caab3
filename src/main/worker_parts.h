/* SPDX-License-Identifier: MIT */
/* From a run's configuration to a machine, and from a machine's end to an exit status. */
#ifndef MAIN_WORKER_PARTS_H
#define MAIN_WORKER_PARTS_H

#include "base/sandbox.h"
#include "main/run.h"
#include "vm/machine.h"

/* Every descriptor is closed but stderr, the job's own and those in `more`; -1 there means none. */
int must_check worker_sandbox_fds(const struct run_job *job, const int *more, unsigned count,
                                  struct err *err);
/* What a machine needs of the kernel, and the calls in `more` (ends with -1, or NULL). */
int must_check worker_sandbox_calls(const struct run_job *job, const int *more, struct err *err);

/* Built, furnished and booted; NULL and err when something cannot be had. */
struct machine *worker_machine(struct run_job *job, struct serial_sink serial, struct err *err);

/* Says in one line what went wrong, if something did. */
int worker_exit_status(const struct machine_result *r);

#endif
