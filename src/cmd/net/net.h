/* SPDX-License-Identifier: MIT */
/*
 * What the cmdlets for the host's network share: its definitions and how they are changed, its adapters, and
 * what is told when nothing is found.
 */
#ifndef CMD_NET_NET_H
#define CMD_NET_NET_H

#include "cmd/lang/cmdlet.h"
#include "mgmt/host.h"
#include "mgmt/host_network.h"
#include "mgmt/switch_store.h"

/* State of a cmdlet whose ops are NET_OPS. */
struct nets {
    struct store store;
    struct switch_store switches;
    bool opened, switches_opened;
};
int net_begin(struct cmdlet_call *c);
void net_release(struct cmdlet_call *c);
#define NET_OPS(process_)                                                                                    \
    {                                                                                                        \
        .begin = net_begin, .process = process_, .release = net_release, .state_size = sizeof(struct nets)   \
    }

const struct network_ops *net_host(struct cmdlet_call *c);

/* The definitions, for reading; in the call's arena. NULL: the call has failed. */
const struct network_config *net_read(struct cmdlet_call *c);

/* A change: edit() changes the definitions, they are stored, and the host follows; if it cannot, all is as it
 * was before. -1 and err. */
int must_check net_change(struct cmdlet_call *c,
                          int (*edit)(void *arg, struct network_config *n, struct err *err), void *arg,
                          struct err *err);

/* An adapter of the host, as commands see it. */
struct net_adapter {
    struct host_adapter host;
    bool kernel;    /* the kernel has it: else user mode, or its switch does not run */
    bool of_switch; /* vEthernet (NAME) */
    bool connected;
    char switch_id[VM_ID_SIZE];
};
/* All of them, in the call's arena. -1: the call has failed. */
int must_check net_adapters(struct cmdlet_call *c, struct net_adapter **list, unsigned *count);
/* The one with this name (any case) or number; NULL. */
const struct net_adapter *net_adapter_find(const struct net_adapter *list, unsigned count, const char *name,
                                           i64 index);

/* Switches with the host on them, addresses, NAT: for Start-VM -Automatic. What fails is told as a warning.
 */
void net_start_with_host(struct cmdlet_call *c, const struct store *store);

/* Whether a value is among a .many parameter's patterns, or that is not given. */
bool net_matches(struct cmdlet_call *c, const char *param, const char *value);
bool net_matches_number(struct cmdlet_call *c, const char *param, i64 value);
/* "No MSFT_... objects found": for a name without wildcards that nothing had. */
int must_check net_not_found(struct cmdlet_call *c, const char *object, const char *property,
                             const char *value);

#endif
