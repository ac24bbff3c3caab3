/* SPDX-License-Identifier: MIT */
/* Processes of this program that outlive the command that starts them: workers and switches. */
#ifndef MGMT_PROCESS_H
#define MGMT_PROCESS_H

#include "base/err.h"
#include "base/types.h"

enum { PROCESS_FD_FIRST = 3, PROCESS_FDS_MAX = 8 };

/* Runs `droste WORD ARGUMENT` in a session of its own, nobody's child, in "/", with default signals. It finds
 * fds[0], fds[1], ... at PROCESS_FD_FIRST and on, log as its stderr, and nothing at stdin and stdout. */
int must_check process_start(const char *word, const char *argument, const int *fds, unsigned count, int log,
                             struct err *err);

/* Kills the process that listens at the other end of a connected socket. */
void process_kill_peer(int fd);

#endif
