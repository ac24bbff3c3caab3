/* SPDX-License-Identifier: MIT */
/*
 * The networks of `droste run`, seen from its first process: what its adapters are plugged into, and, when a
 * switch is gone, a new cable to the one that comes after it.
 */
#ifndef MAIN_RUN_CABLES_H
#define MAIN_RUN_CABLES_H

#include "cmd/run_supervise.h"
#include "main/run.h"

/* Before the children start: fills net_worker and net_switch. */
int must_check run_cables_connect(struct run_job *job, struct err *err);
/* After the worker has them: what the first process does not need is closed, the rest is watched while
 * supervisor_wait() lasts. Always 0. */
int run_cables_keep(struct run_job *job, struct supervisor *s);

#endif
