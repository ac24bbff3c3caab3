/* SPDX-License-Identifier: MIT */
/* The state file of a Saved VM: a header with length and hash, then the machine's state. A file that is
 * empty, damaged or of another engine is refused. */
#ifndef MAIN_VM_STATE_H
#define MAIN_VM_STATE_H

#include "vm/machine.h"

enum { VM_STATE_ENGINE_SIZE = 8 };

/* What the saved machine was built by and with, whatever definition and host have become since. */
struct vm_state_origin {
    char engine[VM_STATE_ENGINE_SIZE];
    u64 memory, memory_most; /* of struct machine_config */
};
int must_check vm_state_origin(int fd, struct vm_state_origin *out, struct err *err);
int must_check vm_state_load(int fd, struct machine *m, struct err *err);
/* On the event loop's thread. Synced when it returns 0. */
int must_check vm_state_store(int fd, struct machine *m, const char *engine, struct err *err);

#endif
