/* SPDX-License-Identifier: MIT */
/* The commands of droste: every row of commands.def with its C function. */
#ifndef CMD_COMMANDS_H
#define CMD_COMMANDS_H

#include "cmd/lang/rows.h"

extern const struct command_set droste_commands;

#endif
