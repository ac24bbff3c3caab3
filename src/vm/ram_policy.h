/* SPDX-License-Identifier: MIT */
/*
 * Dynamic memory's one decision: how much a guest should have, from what it has and uses, and from what the
 * host has left. Pure.
 *
 * VMs do not know of each other. Each leaves a reserve of the host's memory alone, and the lower its priority
 * the larger the reserve: from a thirty-second of the host's memory (priority 100) to an eighth (0). As the
 * host's memory goes, VMs of low priority stop first, and give back their buffers.
 */
#ifndef VM_RAM_POLICY_H
#define VM_RAM_POLICY_H

#include "vm/machine.h"

struct ram_policy {
    u64 minimum, maximum; /* bytes */
    unsigned buffer;      /* percent of the use that is kept free beside it */
    unsigned priority;    /* 0 to 100 */
};

#define RAM_SPARE_UNKNOWN (~0ull)

/* Bytes by which the host's available memory exceeds the reserve of this priority; 0: the host is short. */
u64 ram_policy_spare(unsigned priority, u64 total, u64 available);

/* What `wanted` should be now. Growth comes at once, up to what is spare; shrinking by steps, as the need may
 * come back, but at once and without a buffer while the host is short. The minimum is there in any case.
 * Small differences move nothing. As it is while the guest does not say what it uses, or memory is frozen. */
u64 ram_policy_next(const struct ram_policy *p, const struct machine_ram *now, u64 spare);

#endif
