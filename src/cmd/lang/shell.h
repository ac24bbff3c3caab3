/* SPDX-License-Identifier: MIT */
/* The interactive shell: lines with history and completion (libedit) into a session. */
#ifndef CMD_LANG_SHELL_H
#define CMD_LANG_SHELL_H

#include "cmd/lang/session.h"

/* Reads from the terminal until exit, quit or its end. history: a file, or NULL. Returns the exit status. */
int shell_run(struct session *, const char *history);

#endif
