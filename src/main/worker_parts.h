/* SPDX-License-Identifier: MIT */
/* From a run's configuration to a machine, and from a machine's end to an exit status. */
#ifndef MAIN_WORKER_PARTS_H
#define MAIN_WORKER_PARTS_H

#include "main/run.h"
#include "vm/machine.h"

/* Built, furnished and booted; NULL and err when something cannot be had. */
struct machine *worker_machine(struct run_job *job, struct serial_sink serial, struct err *err);

/* Says in one line what went wrong, if something did. */
int worker_exit_status(const struct machine_result *r);

#endif
