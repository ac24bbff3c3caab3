/* SPDX-License-Identifier: MIT */
/* Dynamic memory's one decision: how much a guest should have, from what it has and uses. Pure. */
#ifndef VM_RAM_POLICY_H
#define VM_RAM_POLICY_H

#include "vm/machine.h"

struct ram_policy {
    u64 minimum;     /* bytes */
    unsigned buffer; /* percent of the use that is kept free beside it */
};

/* What `wanted` should be now. Growth comes at once, shrinking by steps, as the need may come back; small
 * differences move nothing. As it is while the guest does not say what it uses, or memory is frozen. */
u64 ram_policy_next(const struct ram_policy *p, const struct machine_ram *now);

#endif
