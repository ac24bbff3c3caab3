/* SPDX-License-Identifier: MIT */
/* --trace: what a run cost, and hashes of its states. */
#ifndef MAIN_WORKER_TRACE_H
#define MAIN_WORKER_TRACE_H

#include "main/run.h"
#include "vm/machine.h"

/* While files can still be opened. */
int must_check worker_trace_begin(struct run_job *job, struct err *err);
/* accel_options.hash; opaque: the struct run_job. */
void worker_trace_hash(void *job, unsigned vcpu, u64 retired, u64 hash);
/* The machine ran and stands. */
void worker_trace_end(struct run_job *job, struct machine *m);

#endif
