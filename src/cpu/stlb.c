/* SPDX-License-Identifier: MIT */
/* The second-level TLB: see the header. */
#include "cpu/stlb.h"

#include <stdlib.h>

_Static_assert(STLB_WAYS == 4, "stlb_set()'s shift");
_Static_assert(36 + 2 + STLB_ID_BITS == 64, "a key's parts");

struct stlb *stlb_new(void)
{
    struct stlb *s = aligned_alloc(64, sizeof(*s));
    if (s)
        memset(s, 0, sizeof(*s));
    return s;
}

bool stlb_id(struct stlb *s, u32 *id)
{
    bool left = s->ids < BIT(STLB_ID_BITS) - 1;
    if (!left) {
        memset(s->set, 0, sizeof(s->set));
        s->ids = 0;
    }
    *id = ++s->ids;
    return left;
}

static struct stlb_entry *find(struct stlb *s, u64 key)
{
    struct stlb_entry *e = s->set[stlb_set(key)];
    for (unsigned way = 0; way < STLB_WAYS; way++)
        if (e[way].key == key)
            return &e[way];
    return NULL;
}

void stlb_fill(struct stlb *s, u32 id, u64 lin, unsigned shift, const void *host, unsigned rights)
{
    u64 key = stlb_key(id, lin, (shift - 12) / 9);
    struct stlb_entry *e = find(s, key);
    if (!e)
        e = &s->set[stlb_set(key)][s->victim++ % STLB_WAYS];
    *e = (struct stlb_entry){.key = key, .page = (u64)host | rights};
}

void stlb_forget(struct stlb *s, u32 id, u64 lin, unsigned size)
{
    for (; size < STLB_SIZES; size++) {
        struct stlb_entry *e = find(s, stlb_key(id, lin, size));
        if (e)
            e->key = 0;
    }
}
