/* SPDX-License-Identifier: MIT */
/* What the cmdlets for virtual switches share with others. */
#ifndef CMD_VM_SWITCHES_H
#define CMD_VM_SWITCHES_H

#include "cmd/lang/cmdlet.h"
#include "mgmt/switch.h"

/* The switches of the own store and of the system's: state of the cmdlets that switches_begin() begins. */
struct switches {
    struct switch_store own, system;
    bool has_system;
    struct switch_entry *list;
    unsigned count;
};
int switches_begin(struct cmdlet_call *c);
void switches_release(struct cmdlet_call *c);
#define SWITCHES_OPS(process_)                                                                               \
    {                                                                                                        \
        .begin = switches_begin, .process = process_, .release = switches_release,                           \
        .state_size = sizeof(struct switches)                                                                \
    }

/* The same for a cmdlet that has another state. */
int must_check switches_read(struct switches *s, struct err *err);
void switches_forget(struct switches *s);
const struct switch_store *switches_store(const struct switches *s, const struct switch_entry *e);

/* For each switch that the parameters "Name" (wildcards) and objects (NULL: none) mean. */
typedef int switch_act(struct cmdlet_call *c, struct switches *s, const struct switch_entry *e);
int must_check switches_each(struct cmdlet_call *c, const char *objects, switch_act *act);

/* As Get-VMSwitch gives it. */
struct value switch_object(struct cmdlet_call *c, const struct switches *s, const struct switch_entry *e);

/* Emits the host's adapters as Get-VMNetworkAdapter -ManagementOS does. name, switch_name: patterns, or
 * NULL. */
int must_check switch_host_adapters(struct cmdlet_call *c, const char *name, const char *switch_name);

#endif
