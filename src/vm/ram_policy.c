/* SPDX-License-Identifier: MIT */
/* See the header. Called every second or so: a step of a sixteenth takes an idle guest down within a minute.
 */
#include "vm/ram_policy.h"

#define GRANULE     (2 * MIB)
#define INDIFFERENT (16 * MIB)
#define STEPS       16

static u64 need(const struct ram_policy *p, const struct machine_ram *now)
{
    u64 n = now->used + now->used / 100 * p->buffer; /* a buffer is at most 2000, RAM far below 2^57 */
    n = ALIGN_UP(n, GRANULE);
    n = n > p->minimum ? n : p->minimum;
    return n < now->size ? n : now->size;
}

u64 ram_policy_next(const struct ram_policy *p, const struct machine_ram *now)
{
    u64 n = need(p, now), step = ALIGN_UP(now->size / STEPS, GRANULE);
    step = step > INDIFFERENT ? step : INDIFFERENT;
    if (!now->driver || !now->used || now->frozen)
        return now->wanted;
    if (n >= now->wanted)
        return n;
    if (now->wanted - n < INDIFFERENT && n != p->minimum)
        return now->wanted;
    return now->wanted - n > step ? now->wanted - step : n;
}
