/* SPDX-License-Identifier: MIT */
/* `droste` as the command tool: one command, a text, a file, or the interactive shell. */
#ifndef CMD_COMMAND_LINE_H
#define CMD_COMMAND_LINE_H

#include <stdio.h>

struct host_probe; /* mgmt/host.h */

/* argv: what follows the program's name; host: how to look at the host, for cmdlets about VMs. Returns the
 * exit status: 0, 1 after an error, 2 after one of usage.
 */
int command_line_main(int argc, char **argv, const struct host_probe *host);
void command_line_help(FILE *out);

#endif
