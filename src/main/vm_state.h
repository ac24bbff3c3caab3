/* SPDX-License-Identifier: MIT */
/* The state file of a Saved VM: a header with length and hash, then the machine's state. A file that is
 * empty, damaged or of another engine is refused. */
#ifndef MAIN_VM_STATE_H
#define MAIN_VM_STATE_H

#include "vm/machine.h"

enum { VM_STATE_ENGINE_SIZE = 8 };

/* The engine that saved it, and the memory that its machine was built with, which a resize since may have
 * left the definition below. */
int must_check vm_state_engine(int fd, char engine[VM_STATE_ENGINE_SIZE], u64 *memory, struct err *err);
int must_check vm_state_load(int fd, struct machine *m, struct err *err);
/* On the event loop's thread. Synced when it returns 0. */
int must_check vm_state_store(int fd, struct machine *m, const char *engine, struct err *err);

#endif
