/* SPDX-License-Identifier: MIT */
/*
 * What the cmdlets for VMs share: which VMs a call means, VMs as objects, changes by the rules, and what is
 * told when something is refused.
 *
 * A cmdlet uses vms_ops' begin and release and its state begins with struct vms. Objects are found again by
 * their VM's id, in the property "VMId", so a name that several VMs have is no obstacle to a pipeline.
 */
#ifndef CMD_VM_VMS_H
#define CMD_VM_VMS_H

#include "cmd/lang/cmdlet.h"
#include "mgmt/rules.h"
#include "mgmt/store.h"
#include "mgmt/worker.h"

struct vms {
    struct store store;
    struct vm_entry *list;
    unsigned count;
    bool opened;
};

int vms_begin(struct cmdlet_call *c);
void vms_release(struct cmdlet_call *c);
#define VMS_OPS(process_)                                                                                    \
    {                                                                                                        \
        .begin = vms_begin, .process = process_, .release = vms_release, .state_size = sizeof(struct vms)    \
    }

/* For each VM that the call's parameters name: `names` is "Name" or "VMName" (wildcards, many), `objects` a
 * parameter that takes objects with VMId, or NULL. A name that nothing has is an error of its own. */
typedef int vm_act(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e);
int must_check vms_each(struct cmdlet_call *c, const char *names, const char *objects, vm_act *act);
/* Reads the list anew when something stands before this call in the pipeline. */
int must_check vms_refresh(struct cmdlet_call *c);
/* The VM with this id, as the list has it; NULL. */
const struct vm_entry *vms_find(const struct vms *v, const char *id);

/* The VM as it is now, as Get-VM gives it. */
struct value vm_object(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e);
/* An object of this type about a VM: VMName, VMId and ComputerName come first. */
struct value vm_part(struct cmdlet_call *c, const char *type, const struct vm_entry *e);
/* Emits the VM when -Passthru asks for it. */
int must_check vm_passthru(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e);
const char *vm_upper_id(struct cmdlet_call *c, const char *id);

/* ---- doing something to a VM ---- */

/* Takes the VM for this call, and its state. 0: f has to be released; else what to return, in *result. */
bool must_check vm_take(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, struct vm_folder *f,
                        struct vm_status *now, int *result);

/* What is being done, for errors: text "Failed to start." and operation "failed to start". */
struct vm_deed {
    const char *text, *operation;
};
int must_check vm_refuse(struct cmdlet_call *c, const struct vm_entry *e, struct vm_deed d,
                         const struct finding *f);
int must_check vm_error(struct cmdlet_call *c, const struct vm_entry *e, struct vm_deed d,
                        const struct err *err);

/* A change of a definition: `apply` edits, the rules decide, the definition is stored. apply: -1 and err
 * refuses. */
struct vm_change {
    const char *device;   /* "Processor"; NULL: the VM itself */
    const char *sentence; /* of call_should(), with one %s for the name */
    int (*apply)(struct cmdlet_call *c, struct vm_config *config, struct err *err);
    /* Of a running VM, after it is stored: tells who has to know. NULL: nobody. */
    int (*tell)(struct cmdlet_call *c, const struct vm_config *config, struct err *err);
};
/* *now: what the VM's entry is afterwards, in the call's arena. 0: done; 1: not wanted (-WhatIf); -1 or a
 * told error: *result. */
bool must_check vm_change(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e,
                          const struct vm_change *change, struct vm_entry *now, int *result);
/* The rules for one occasion, warnings told. state: what it is doing. */
bool must_check vm_rules(struct cmdlet_call *c, const struct vm_entry *e, struct vm_deed d,
                         const struct rule_case *rc, int *result);

/* A VM's memory as a user gave it. */
int must_check vm_set_memory(u64 *out, i64 bytes, struct err *err);
/* The same, when the call's parameter is given. */
int must_check vm_give_memory(struct cmdlet_call *c, const char *param, u64 *out, struct err *err);

/* What this host offers, looked at anew each time; and without its engines, which costs nothing. */
void vm_host(struct cmdlet_call *c, struct host_facts *out);
void vm_host_processor(struct cmdlet_call *c, struct host_facts *out);

/* The absolute path of a file that a user named, links left as they are; NULL and err: there is none, or it
 * is too long. */
const char *vm_path(struct cmdlet_call *c, const char *path, bool exists, struct err *err);

#endif
