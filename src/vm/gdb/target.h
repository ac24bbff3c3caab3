/* SPDX-License-Identifier: MIT */
/* What a debugging session asks of a machine; vm/debugger.h has the promises. A test or fuzzer gives its own.
 */
#ifndef VM_GDB_TARGET_H
#define VM_GDB_TARGET_H

#include "vm/debugger.h"

struct gdb_target {
    void *opaque;
    unsigned vcpus; /* at least 1 */
    void (*get)(void *opaque, unsigned vcpu, struct debug_regs *r);
    void (*set)(void *opaque, unsigned vcpu, const struct debug_regs *r);
    void (*status)(void *opaque, unsigned vcpu, struct accel_status *s);
    size_t (*read)(void *opaque, unsigned vcpu, bool physical, u64 at, void *buf, size_t len);
    size_t (*write)(void *opaque, unsigned vcpu, bool physical, u64 at, const void *buf, size_t len);
    bool (*set_points)(void *opaque, const struct debug_point *points, unsigned count);
    void (*resume)(void *opaque, const enum debug_action *action);
    void (*stop)(void *opaque);
    void (*detach)(void *opaque);
    void (*kill)(void *opaque);
};

#endif
