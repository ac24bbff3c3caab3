/* SPDX-License-Identifier: MIT */
/* A stored VM as a run: the same machine that `droste run` would make of the matching command line. */
#ifndef MAIN_VM_JOB_H
#define MAIN_VM_JOB_H

#include "config/vm_config.h"
#include "main/run.h"

/* *job: zeroed. Files are opened and the engine is chosen; engine: "kvm" or "soft" forces one, "" leaves it
 * to the definition. c lives as long as the job. */
int must_check vm_job_open(struct run_job *job, const struct vm_config *c, const char *engine,
                           struct err *err);

#endif
