/* SPDX-License-Identifier: MIT */
/*
 * What every device is made of.
 *
 * A device embeds `struct dev`, takes the machine's handles from `struct dev_env` at construction, and
 * registers its regions and timers itself. All of its state is touched only with dev.lock held; region
 * callbacks come with it held, timer callbacks and back-end events take it themselves. Lock order: a device's
 * lock, then the interrupt controller's, then the local APIC's; never the other way.
 */
#ifndef DEV_DEV_H
#define DEV_DEV_H

#include <pthread.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/event_loop.h"
#include "base/state.h"
#include "dev/doorbell.h"
#include "dev/irq.h"
#include "dev/power.h"
#include "mem/space.h"

/* Given to every device; outlives all of them. */
struct dev_env {
    struct space *memory;
    struct space *ports;
    struct clock *clock;
    struct event_loop *loop;
    struct power_port power;
    struct msi_sink msi;
    struct doorbell_port doorbell;
};

struct dev;

/* One const object per device type. */
struct dev_class {
    const char *name;
    void (*reset)(struct dev *d);   /* to power-on state; lock held */
    void (*destroy)(struct dev *d); /* frees d */
    const struct state_desc *state; /* NULL: the device has none; the object given is the struct dev */
};

struct dev {
    const struct dev_class *class;
    const struct dev_env *env;
    pthread_mutex_t lock; /* recursive */
    unsigned instance;
};

void dev_init(struct dev *d, const struct dev_class *class, const struct dev_env *env, unsigned instance);
void dev_fini(struct dev *d); /* the destructor of the base part */
void dev_lock(struct dev *d);
void dev_unlock(struct dev *d);
/* Registers a region of d in a space, under d's lock. -1: overlaps. */
int dev_map(struct dev *d, struct space *s, u64 base, u64 size, const struct region_ops *ops);

#endif
