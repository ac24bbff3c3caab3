/* SPDX-License-Identifier: MIT */
/*
 * What this host offers to VMs. mgmt/ cannot look for itself (the engines are above it): whoever links them
 * fills this, and hands the way to do so down as a host_probe.
 */
#ifndef MGMT_HOST_H
#define MGMT_HOST_H

#include "base/err.h"
#include "base/types.h"
#include "config/vm_config.h"

struct host_facts {
    enum vm_vendor vendor;    /* of the host's own processor */
    unsigned processors, mhz; /* mhz: of one of them; 0: unknown */
    u64 memory;
    bool kvm;          /* engine KVM can run guests here */
    char kvm_why[400]; /* why not, with the remedy */
    u64 kvm_speed;     /* instructions a second */
    bool kvm_worth_it; /* engine Auto takes it */
    bool kvm_nests[2]; /* by enum vm_vendor; engine Soft always does */
    char kvm_no_nested[2][400];
};

struct network_ops;

struct host_probe {
    void (*look)(struct host_facts *out,
                 bool engines);        /* engines: KVM too, which is tried, and so costs time */
    const struct network_ops *network; /* host_network.h */
};

#endif
