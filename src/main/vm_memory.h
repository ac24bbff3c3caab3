/* SPDX-License-Identifier: MIT */
/* A stored VM's memory while it runs: dynamic memory that follows the guest's use, or a static amount that a
 * command changes. On the event loop's thread. */
#ifndef MAIN_VM_MEMORY_H
#define MAIN_VM_MEMORY_H

#include "config/vm_config.h"
#include "mgmt/message.h"
#include "vm/machine.h"

struct vm_memory;

/* Lives as long as the process. host: of host_memory_open(). */
struct vm_memory *vm_memory_new(struct machine *m, const struct vm_config *c, int host, struct err *err);
/* What a MEMORY message asks: an amount of static memory, or other bounds of dynamic memory. */
int must_check vm_memory_change(struct vm_memory *v, const struct message *m, struct err *err);
/* Fills a STATUS. */
void vm_memory_report(struct vm_memory *v, struct message *status);

#endif
