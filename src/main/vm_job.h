/* SPDX-License-Identifier: MIT */
/* A stored VM as a run: the same machine that `droste run` would make of the matching command line. */
#ifndef MAIN_VM_JOB_H
#define MAIN_VM_JOB_H

#include "config/vm_config.h"
#include "main/run.h"
#include "main/vm_state.h"

/* *job: zeroed. Files are opened and the engine is chosen; saved: a saved state says what the machine is;
 * NULL: the definition does. c lives as long as the job. */
int must_check vm_job_open(struct run_job *job, const struct vm_config *c,
                           const struct vm_state_origin *saved, struct err *err);

#endif
