/* SPDX-License-Identifier: MIT */
/* Points of a debugger outside the machine: see the header. There are few of them, so they are just walked.
 */
#include "cpu/points.h"

#include "cpu/system.h"

void points_set(struct cpu *c, const struct debug_points *points)
{
    c->points = points && points->count ? points : NULL;
    cpu_privilege_changed(c);
}

bool points_cover(const struct cpu *c, u64 linear, unsigned len)
{
    for (unsigned i = 0; i < c->points->count; i++) {
        const struct debug_point *p = &c->points->at[i];
        if (p->kind == DEBUG_EXECUTE && p->linear - linear < len)
            return true;
    }
    return false;
}

bool points_before(struct cpu *c, u64 linear)
{
    if (!points_cover(c, linear, 1))
        return false;
    c->hit = (struct debug_hit){DEBUG_EXECUTE, linear};
    return true;
}

static bool concerns(const struct debug_point *p, bool write)
{
    return p->kind == DEBUG_ACCESS || p->kind == (write ? DEBUG_WRITE : DEBUG_READ);
}

void points_data(struct cpu *c, u64 linear, unsigned len, bool write)
{
    for (unsigned i = 0; i < c->points->count && !c->hit.kind; i++) {
        const struct debug_point *p = &c->points->at[i];
        if (!concerns(p, write) || !(p->linear - linear < len || linear - p->linear < p->len))
            continue;
        c->hit = (struct debug_hit){p->kind, p->linear};
        c->code_dirty = 1; /* the block ends behind this instruction */
        cpu_request(c, REQ_LEAVE);
    }
}
