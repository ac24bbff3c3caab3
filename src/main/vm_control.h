/* SPDX-License-Identifier: MIT */
/* A worker's control socket: what commands ask of a running VM (mgmt/message.h), served on the machine's
 * event loop. */
#ifndef MAIN_VM_CONTROL_H
#define MAIN_VM_CONTROL_H

#include "main/cable.h"
#include "main/vm_console.h"
#include "main/vm_memory.h"
#include "mgmt/message.h"
#include "vm/machine.h"

struct vm_control;

/* listening: its own. cables: of the machine's adapters. engine: a name that lasts; cpus: the machine's; run:
 * as its STARTED record has it. Lives as long as the process.
 */
struct vm_control *vm_control_new(int listening, struct machine *m, struct vm_console *console,
                                  struct cables *cables, const char *engine, struct vm_memory *memory,
                                  unsigned cpus, u64 run, struct err *err);

/* After the machine's end, what the record in the VM's folder says. */
struct message vm_control_outcome(const struct vm_control *c, const struct machine_result *r);

#endif
