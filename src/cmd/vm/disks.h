/* SPDX-License-Identifier: MIT */
/* Disk images of VMs. */
#ifndef CMD_VM_DISKS_H
#define CMD_VM_DISKS_H

#include "cmd/vm/vms.h"

/* A new raw image of this many bytes; an existing file is an error. */
int must_check disk_make(struct cmdlet_call *c, const char *path, i64 bytes, struct err *err);
/* Adds an existing raw image at a place, -1: the first that is free. */
int must_check disk_add(struct cmdlet_call *c, struct vm_config *k, const char *path, i64 controller,
                        i64 location, struct err *err);

#endif
