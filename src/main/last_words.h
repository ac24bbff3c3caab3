/* SPDX-License-Identifier: MIT */
/* After a crash of a guest with a hypervisor in it, or of ours: the last nested events. */
#ifndef MAIN_LAST_WORDS_H
#define MAIN_LAST_WORDS_H

#include "cmd/run_supervise.h"
#include "main/run.h"

/* After supervisor_wait(), which returned status. Prints nothing when no crash, no nested virtualization, or
 * when
 * --trace nested has shown it all. */
void last_words(struct supervisor *s, struct run_job *job, int status);

#endif
