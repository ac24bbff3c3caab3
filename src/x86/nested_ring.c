/* SPDX-License-Identifier: MIT */
/* What is kept of nested events: refused entries field by field, rings of several vCPUs as one. */
#include "x86/nested_event.h"

void nested_failed_each(const struct nested_failed *f, void (*fn)(const char *name, u64 value, void *arg),
                        void *arg)
{
    static const char *const vmcs[] = {
#define VMCS_FIELD(name, encoding, group) #name,
#include "x86/vmcs.def"
#undef VMCS_FIELD
    };
    static const struct {
        const char *name;
        u16 offset;
        u8 size;
    } vmcb[] = {
#define VMCB_FIELD(name, offset, bytes) {#name, offset, bytes},
#include "x86/vmcb.def"
#undef VMCB_FIELD
    };
    _Static_assert(ARRAY_SIZE(vmcs) <= sizeof(f->field) / 8, "a VMCS's fields fit");
    if (f->vendor == VENDOR_AMD)
        for (unsigned i = 0; i < ARRAY_SIZE(vmcb); i++)
            fn(vmcb[i].name, load_le(f->page + vmcb[i].offset, vmcb[i].size), arg);
    else
        for (unsigned i = 0; i < ARRAY_SIZE(vmcs); i++)
            fn(vmcs[i], f->field[i], arg);
}

const struct nested_failed *nested_failed_last(const struct nested_ring *rings, unsigned n)
{
    const struct nested_failed *last = NULL;
    for (unsigned i = 0; i < n; i++) {
        const struct nested_failed *f = &rings[i].failed;
        if ((f->time || f->where) && (!last || f->time >= last->time))
            last = f;
    }
    return last;
}

/* ---- rings ---- */

enum { VCPUS_MAX = 512 };

static u64 first_kept(const struct nested_ring *r)
{
    return r->count > NESTED_RING_SIZE ? r->count - NESTED_RING_SIZE : 0;
}

static const struct nested_event *at(const struct nested_ring *r, u64 number)
{
    return &r->event[number % NESTED_RING_SIZE];
}

/* Of the events not yet taken the earliest's ring; n: none is left. */
static unsigned earliest(const struct nested_ring *rings, unsigned n, const u64 *next, const u64 *end)
{
    unsigned best = n;
    for (unsigned i = 0; i < n; i++)
        if (next[i] < end[i] &&
            (best == n || at(&rings[i], next[i])->time < at(&rings[best], next[best])->time))
            best = i;
    return best;
}

void nested_rings_each(const struct nested_ring *rings, unsigned n,
                       void (*fn)(const struct nested_event *e, void *arg), void *arg)
{
    u64 next[VCPUS_MAX], end[VCPUS_MAX], total = 0;
    n = n < VCPUS_MAX ? n : VCPUS_MAX;
    for (unsigned i = 0; i < n; i++) {
        end[i] = rings[i].count;
        next[i] = first_kept(&rings[i]);
        total += end[i] - next[i];
    }
    for (u64 taken = 0; taken < total; taken++) {
        unsigned i = earliest(rings, n, next, end);
        if (total - taken <= NESTED_RING_SIZE)
            fn(at(&rings[i], next[i]), arg);
        next[i]++;
    }
}
