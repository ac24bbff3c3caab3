/* SPDX-License-Identifier: MIT */
/*
 * The host's side of virtual networks as it is kept: DATA/network.json (config/network.h), for changing by
 * one command at a time. Who changes it holds DATA/network.lock until the host follows (host_network.h), so
 * that the host never ends with an older state than the file.
 */
#ifndef MGMT_NETWORK_H
#define MGMT_NETWORK_H

#include "config/network.h"
#include "mgmt/store.h"

#define NETWORK_DEFINITION "network.json"

struct network {
    int lock;
    struct network_config *config; /* as it is now; without a file: empty */
};

/* For reading only, without the lock. free() it; NULL and err: damaged, or of a newer program. */
struct network_config *network_read(const struct store *s, struct err *err);

/* Waits while another command has it. */
int must_check network_take(const struct store *s, struct network *n, struct err *err);
/* Stores n->config. */
int must_check network_put(const struct store *s, const struct network *n, struct err *err);
void network_release(struct network *n);

/* What a switch's adapter is called, and its kernel's alternative name: vEthernet (NAME). */
void host_adapter_name(const char *switch_name, char out[128]);

/* A switch is gone: its adapter's addresses are not kept any more. */
int must_check network_forget_switch(const char *switch_name, struct err *err);

#endif
