/* SPDX-License-Identifier: MIT */
/* Exceptions, interrupts and far control transfers: how control reaches a handler and comes back. SDM 3A
 * ch. 6. */
#ifndef CPU_EVENT_H
#define CPU_EVENT_H

#include "cpu/cpu.h"

/* Delivers c->fault (just raised by the instruction at c->rip), combining into double and triple faults. END
 * or SHUTDOWN. */
enum outcome event_fault(struct cpu *c);
/* INT n, INT3, INTO, INT1: from their meanings. END, or FAULT to be delivered instead. */
enum outcome event_software(struct cpu *c, u8 vector, bool int_n);
/* What nested/ wanted to look at behind one instruction, whatever is blocked: true: control went elsewhere.
 */
bool event_stepped(struct cpu *c);
/* Looks at c->requests, pending debug traps and shadows at an instruction boundary and delivers what is due,
 * in the order of SDM 3A table 6-2. DONE (nothing), END (RIP changed), HALTED (still asleep), SHUTDOWN,
 * LEAVE. */
enum outcome event_poll(struct cpu *c);
/* A #DB trap is due, and no MOV SS holds it back; STI does not. SDM 3A 6.8.3 */
static inline bool trap_open(const struct cpu *c, u8 shadow)
{
    return c->pending_dr6 && !(shadow & SHADOW_MOV_SS);
}
/* True when event_poll() would do something: what ends a sleep. */
bool event_due(struct cpu *c);

/* Loads a segment register in the current mode: protected (checks, accessed bit), real, v8086. SDM 2A MOV. */
enum outcome segment_load(struct cpu *c, unsigned seg, u16 sel);
void segment_set_real(struct cpu *c, unsigned seg, u16 sel);
/* Reads a descriptor (8 bytes) by selector; *ok false when null or out of the table. */
enum outcome descriptor_read(struct cpu *c, u16 sel, u64 *desc, bool *ok);
struct segment descriptor_decode(u16 sel, u64 desc);

#endif
