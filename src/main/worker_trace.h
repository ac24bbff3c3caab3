/* SPDX-License-Identifier: MIT */
/* --trace: what a run cost, what a hypervisor in the guest did, what was translated, and hashes of the
 * machine's states. */
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

/* Where a machine's nested events go. job->rings: nested_kept_prepare(). */
int must_check worker_nested_begin(struct run_job *job, struct nested_trace *out, struct err *err);

/* A part of worker_trace_begin(). */
int must_check worker_perf_open(struct run_job *job, struct err *err);
/* Where a machine's translated blocks go. */
int must_check worker_jit_begin(struct run_job *job, struct jit_watch *out, struct err *err);

/* The parts of worker_trace_end(). */
void worker_stats_end(struct run_job *job, struct machine *m);
void worker_exits_end(struct run_job *job);
void worker_jit_end(struct run_job *job, struct machine *m);
/* All of text to a trace's descriptor. Any thread. */
void worker_trace_write(struct run_job *job, int fd, const char *text, size_t len);

#endif
