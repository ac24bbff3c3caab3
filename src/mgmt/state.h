/* SPDX-License-Identifier: MIT */
/* What a VM may be doing, named as Hyper-V names it. */
#ifndef MGMT_STATE_H
#define MGMT_STATE_H

enum vm_state {
    VM_OFF,
    VM_STARTING,
    VM_RUNNING,
    VM_PAUSED,
    VM_SAVING,
    VM_SAVED,
    VM_STOPPING,
    VM_STATE_COUNT
};

extern const char *const vm_state_words[VM_STATE_COUNT];

#endif
