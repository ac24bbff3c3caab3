/* SPDX-License-Identifier: MIT */
/*
 * A debugger outside the machine. Guests cannot see it: no guest memory, no debug register and no flag is
 * used.
 *
 * While c->points is set, blocks are interpreted, and one that holds an EXECUTE point's address goes
 * instruction by instruction. While a data point exists no access may hit the soft TLB; the slow path asks
 * points_data(). Either ends cpu_run() with LEAVE and c->hit filled: EXECUTE before the instruction, data
 * behind it. What page walks, DMA and the hypervisor's structures touch is not seen.
 */
#ifndef CPU_POINTS_H
#define CPU_POINTS_H

#include "cpu/cpu.h"

struct debug_points {
    const struct debug_point *at;
    unsigned count;
    bool data; /* some of them are not EXECUTE */
};

/* NULL or none: the debugger wants nothing. points outlive their use. While the vCPU does not run. */
void points_set(struct cpu *c, const struct debug_points *points);

/* An EXECUTE point lies in [linear, linear+len). */
bool points_cover(const struct cpu *c, u64 linear, unsigned len);
/* The instruction about to run has a point: c->hit is filled, it must not run. */
bool points_before(struct cpu *c, u64 linear);
/* An access that has been translated. */
void points_data(struct cpu *c, u64 linear, unsigned len, bool write);

/* One instruction whatever points it has, or the delivery of one event. Interrupts wait, unless the vCPU
 * sleeps. DONE when it is done; HALTED also when it is and the vCPU sleeps now; SHUTDOWN; LEAVE: asked to
 * leave before, or c->hit was filled. */
enum outcome cpu_debug_step(struct cpu *c);

/* c->points and points_data() for the slow path. */
static inline bool points_watch_data(const struct cpu *c)
{
    return unlikely(c->points != NULL) && c->points->data;
}

#endif
