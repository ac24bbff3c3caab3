/* SPDX-License-Identifier: MIT */
/* The last nested events of a machine, for a crash. */
#ifndef MAIN_NESTED_KEPT_H
#define MAIN_NESTED_KEPT_H

#include "main/run.h"
#include "x86/nested_event.h"

/* Before the worker starts: the memory that vCPUs record to and that outlives the worker. Fills job->rings
 * when the guest is to see virtualization extensions on engine soft. */
int must_check nested_kept_prepare(struct run_job *job, struct err *err);
/* To stderr; nothing when nothing was recorded. The rings may hold anything. */
void nested_kept_print(const struct run_job *job);

/* The fields of a refused VMCS or VMCB, some to a line. */
void nested_failed_lines(const struct nested_failed *f, void (*line)(const char *text, void *arg), void *arg);

#endif
