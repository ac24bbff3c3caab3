/* SPDX-License-Identifier: MIT */
/*
 * The serial console of a stored VM: its output goes to a log of bounded size and to every viewer; what
 * viewers type goes to the guest. A viewer that does not keep up loses output and is told so; the guest never
 * waits for one.
 */
#ifndef MAIN_VM_CONSOLE_H
#define MAIN_VM_CONSOLE_H

#include "vm/machine.h"

struct vm_console;

/* log: read and written, its own. Lives as long as the process. */
struct vm_console *vm_console_new(int log, struct err *err);
struct serial_sink vm_console_sink(struct vm_console *c);
void vm_console_begin(struct vm_console *c, struct machine *m);
/* Takes over a connected SOCK_SEQPACKET socket. False, and it is still the caller's: there are too many
 * viewers. */
bool vm_console_attach(struct vm_console *c, int fd);
void vm_console_end(struct vm_console *c); /* after the machine's end: what is left goes out */

#endif
