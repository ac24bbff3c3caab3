/* SPDX-License-Identifier: MIT */
/* Which engine a run gets. */
#ifndef MAIN_ENGINE_H
#define MAIN_ENGINE_H

#include "main/run.h"
#include "x86/features.h"

/* Fills job->engine and job->device. `auto` says on stderr what it took and why. */
int must_check engine_choose(struct run_job *job, struct err *err);

bool engine_is_soft(const struct run_job *job);

/* Whose processor the guest sees. */
enum cpu_vendor run_vendor(const struct run_config *c);

#endif
