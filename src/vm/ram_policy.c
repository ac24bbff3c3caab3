/* SPDX-License-Identifier: MIT */
/* See the header. Called every second or so: steps of a sixteenth take an idle guest down within a minute. */
#include "vm/ram_policy.h"

#define GRANULE     (2 * MIB)
#define INDIFFERENT (16 * MIB)
#define STEPS       16

u64 ram_policy_spare(unsigned priority, u64 total, u64 available)
{
    u64 part = total / 32, reserve = part + 3 * part * (100 - (priority < 100 ? priority : 100)) / 100;
    return available > reserve ? available - reserve : 0;
}

/* A guest without a driver for virtio-mem has what it was started with, at most. */
static u64 need(const struct ram_policy *p, const struct machine_ram *now, bool short_of_memory)
{
    u64 most = now->grows && now->most > now->size ? now->most : now->size;
    u64 buffer = short_of_memory ? 0 : now->used / 100 * p->buffer; /* at most 2000, RAM far below 2^57 */
    u64 n = ALIGN_UP(now->used + buffer, GRANULE);
    n = n > p->minimum ? n : p->minimum;
    n = n < p->maximum ? n : p->maximum;
    return n < most ? n : most;
}

static u64 grow(const struct ram_policy *p, u64 from, u64 to, u64 spare)
{
    u64 least = p->minimum < to ? p->minimum : to, more = ALIGN_DOWN(spare, GRANULE);
    if (to - from > more)
        to = from + more;
    return to > least ? to : least;
}

static u64 shrink(const struct ram_policy *p, u64 from, u64 to, bool short_of_memory)
{
    u64 step = ALIGN_UP(from / STEPS, GRANULE);
    step = step > INDIFFERENT ? step : INDIFFERENT;
    if (from - to < INDIFFERENT && to != p->minimum)
        return from;
    return from - to > step && !short_of_memory ? from - step : to;
}

u64 ram_policy_next(const struct ram_policy *p, const struct machine_ram *now, u64 spare)
{
    u64 n = need(p, now, !spare);
    if (!now->driver || !now->used || now->frozen)
        return now->wanted;
    return n >= now->wanted ? grow(p, now->wanted, n, spare) : shrink(p, now->wanted, n, !spare);
}
