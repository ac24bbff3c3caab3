/* SPDX-License-Identifier: MIT */
/*
 * Stopping the world: every vCPU of a machine at a safepoint while one thread changes what all of them rely
 * on (write pointers to a page that becomes code, a locked access across two pages, the memory map).
 *
 * A vCPU thread is inside (running guest code, holding pointers from its soft TLB) between world_enter() and
 * world_leave(); it leaves around anything that may block: device accesses, sleeping, its own world_stop().
 * Never call a device or take a device's lock with the world stopped.
 */
#ifndef CPU_WORLD_H
#define CPU_WORLD_H

#include "cpu/cpu.h"

struct world *world_new(void);
void world_free(struct world *w);
int must_check world_add(struct world *w, struct cpu *c); /* before the vCPU first runs */
void world_remove(struct world *w, struct cpu *c);

void world_enter(struct cpu *c); /* waits while the world is stopped */
void world_leave(struct cpu *c);
void world_safepoint(struct cpu *c); /* between blocks when REQ_WORLD is set: leave, wait, enter */

/* Returns with every other vCPU outside. self: the calling vCPU, or NULL on another thread. Recursive on one
 * thread. */
void world_stop(struct world *w, struct cpu *self);
void world_start(struct world *w, struct cpu *self);

/* Makes the world the listener of a memory space: dropped pointers leave every vCPU's soft TLB. Once a
 * machine. */
void world_watch(struct world *w, struct space *s);

/* Runs fn for every vCPU, world stopped. */
void world_each(struct world *w, void (*fn)(struct cpu *c, void *arg), void *arg);

#endif
