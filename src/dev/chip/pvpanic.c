/* SPDX-License-Identifier: MIT */
/* pvpanic: reading tells which events are understood, writing reports one. It has no state. */
#include "dev/chip/pvpanic.h"

#include <stdlib.h>

enum { EVENT_PANICKED = 1 };

static u64 pvpanic_read(void *d, u64 off, unsigned size)
{
    return EVENT_PANICKED;
}

static void pvpanic_write(void *d, u64 off, unsigned size, u64 v)
{
    const struct power_port *p = &((struct dev *)d)->env->power;
    if (v & EVENT_PANICKED)
        p->request(p->opaque, POWER_PANIC, 0);
}

static const struct region_ops ops = {pvpanic_read, pvpanic_write, 1};

static void pvpanic_reset(struct dev *d) {}

static void pvpanic_destroy(struct dev *d)
{
    dev_fini(d);
    free(d);
}

static const struct dev_class class = {.name = "pvpanic", .reset = pvpanic_reset, .destroy = pvpanic_destroy};

struct dev *pvpanic_new(const struct dev_env *env, struct err *err)
{
    struct dev *d = calloc(1, sizeof *d);
    if (!d) {
        err_set(err, EXIT_STATUS_HOST, "no memory for the panic port");
        return NULL;
    }
    dev_init(d, &class, env, 0);
    if (dev_map(d, env->ports, PVPANIC_PORT, 1, &ops)) {
        err_set(err, EXIT_STATUS_HOST, "the panic port is taken");
        pvpanic_destroy(d);
        return NULL;
    }
    return d;
}
