/* SPDX-License-Identifier: MIT */
/* The network adapters of running VMs and the switches their definitions name. */
#ifndef MGMT_ADAPTERS_H
#define MGMT_ADAPTERS_H

#include "mgmt/switch.h"

/* What the user is told when frames are dropped because spoofing is off: a sentence with the command that
 * lets them pass, ready to be given. */
void adapter_spoofing_notice(char *out, size_t size, const char *vm_name, const char *adapter_name);

/* The PLUG message of an adapter. */
struct message adapter_plug(const struct vm_config *c, unsigned adapter);

/* Before a VM starts: every switch that is named runs, and no running VM has an address of this one's. */
int must_check adapters_prepare(struct store *s, const struct vm_config *c, struct err *err);
/* Of a running VM: the adapter gets a cable to the switch that its definition names; without one it loses the
 * cable it has. */
int must_check adapter_connect(struct store *s, const struct vm_config *c, unsigned adapter, struct err *err);
/* Of a running VM: its switch hears the adapter's rule. */
int must_check adapter_tell_rule(const struct vm_config *c, unsigned adapter, struct err *err);
/* The adapter's port as its switch has it; false: it is not connected. */
bool adapter_port(const struct vm_config *c, unsigned adapter, struct message *port);

#endif
