/* SPDX-License-Identifier: MIT */
/* isa-debug-exit, four bytes wide as test suites configure it. It has no state. */
#include "dev/chip/debug_exit.h"

#include <stdlib.h>

enum { DEBUG_EXIT_PORT = 0xf4 };

static u64 debug_exit_read(void *d, u64 off, unsigned size)
{
    return 0;
}

static void debug_exit_write(void *d, u64 off, unsigned size, u64 v)
{
    const struct power_port *p = &((struct dev *)d)->env->power;
    if (off == 0)
        p->request(p->opaque, POWER_DEBUG_EXIT, (int)((u32)v << 1 | 1));
}

static const struct region_ops ops = {debug_exit_read, debug_exit_write, 4};

static void debug_exit_reset(struct dev *d) {}

static void debug_exit_destroy(struct dev *d)
{
    dev_fini(d);
    free(d);
}

static const struct dev_class class = {
    .name = "debug-exit", .reset = debug_exit_reset, .destroy = debug_exit_destroy};

struct dev *debug_exit_new(const struct dev_env *env, struct err *err)
{
    struct dev *d = calloc(1, sizeof *d);
    if (!d) {
        err_set(err, EXIT_STATUS_HOST, "no memory for the debug exit port");
        return NULL;
    }
    dev_init(d, &class, env, 0);
    if (dev_map(d, env->ports, DEBUG_EXIT_PORT, 4, &ops)) {
        err_set(err, EXIT_STATUS_HOST, "the debug exit port is taken");
        debug_exit_destroy(d);
        return NULL;
    }
    return d;
}
