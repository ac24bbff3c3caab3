/* SPDX-License-Identifier: MIT */
/* Commands that gdb passes on with `monitor`: what its own have no words for. */
#ifndef VM_GDB_MONITOR_H
#define VM_GDB_MONITOR_H

#include "vm/gdb/target.h"

struct gdb_monitor {
    const struct gdb_target *target;
    unsigned vcpu;                /* the current one */
    const struct debug_stop *why; /* the last stop */
    bool *physical;               /* memory is addressed so */
    void (*print)(void *opaque, const char *line);
    void *opaque;
};

void gdb_monitor_run(const struct gdb_monitor *m, const char *command);
/* A vCPU in one line, for the list of threads. */
void gdb_describe_vcpu(const struct gdb_target *t, unsigned vcpu, char *buf, size_t size);

#endif
