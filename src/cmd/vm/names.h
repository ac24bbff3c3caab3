/* SPDX-License-Identifier: MIT */
/* Names of VMs, for completion. */
#ifndef CMD_VM_NAMES_H
#define CMD_VM_NAMES_H

/* complete_names of rows.h: knows the kind "VM". What cannot be read completes to nothing. */
void vm_complete_names(const char *kind, void (*each)(void *arg, const char *name), void *arg);

#endif
