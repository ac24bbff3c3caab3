/* SPDX-License-Identifier: MIT */
/* What the cmdlets for network adapters share: which adapters a call means, and changes to one. */
#ifndef CMD_VM_ADAPTERS_H
#define CMD_VM_ADAPTERS_H

#include "cmd/vm/vms.h"

/* The names of the parameters that say which adapters; NULL: the cmdlet has no such. */
struct adapter_params {
    const char *vm_names, *vms, *objects, *name;
};

typedef int adapter_act(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, unsigned adapter);

/* Of such a cmdlet's call; ADAPTERS_OPS() makes it so. */
struct adapters_state {
    struct vms vms;
    const struct adapter_params *params; /* of adapters_each() */
    adapter_act *act;
    char adapter[VM_ID_SIZE]; /* the one that is being changed */
};
#define ADAPTERS_OPS(process_)                                                                               \
    {                                                                                                        \
        .begin = vms_begin, .process = process_, .release = vms_release,                                     \
        .state_size = sizeof(struct adapters_state)                                                          \
    }

int must_check adapters_each(struct cmdlet_call *c, const struct adapter_params *p, adapter_act *act);

/* Within a vm_change: the adapter that adapter_change() is about; NULL and err: it is gone. */
struct vm_adapter *adapter_changed(struct cmdlet_call *c, struct vm_config *k, struct err *err);
/* vm_change() of one adapter; show() gives what -Passthru asks for (NULL: nothing). */
typedef struct value adapter_show(struct cmdlet_call *c, const struct vm_entry *e, unsigned adapter);
int must_check adapter_change(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e,
                              unsigned adapter, const struct vm_change *change, adapter_show *show);
/* For .tell of a vm_change: the switch of a running VM hears the adapter's new rules. */
int must_check adapter_tell_rules(struct cmdlet_call *c, const struct vm_config *k, struct err *err);

/* The same: the switches of a running VM hear its new name. */
int must_check adapters_tell_name(struct cmdlet_call *c, const struct vm_config *k, struct err *err);

/* As Get-VMNetworkAdapter gives it. */
struct value adapter_object(struct cmdlet_call *c, const struct vm_entry *e, unsigned adapter);
/* The VLANs it is in, as a list; "": it knows none. */
const char *adapter_vlans(struct cmdlet_call *c, const struct vm_adapter *a);

/* A new adapter at the end of k's, with an address. name, mac, switch_name: NULL: as it is by default. */
int must_check adapter_add(struct vm_config *k, const char *name, const char *mac, const char *switch_name,
                           struct err *err);
int must_check adapter_rename(struct vm_adapter *n, const char *name, struct err *err);
/* The switch has to exist. */
int must_check adapter_name_switch(struct vm_adapter *n, const char *name, struct err *err);

#endif
