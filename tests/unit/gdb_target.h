/* SPDX-License-Identifier: MIT */
/* A machine that is none, for sessions under test: registers, a little memory, and notes of what was asked.
 */
#ifndef TESTS_UNIT_GDB_TARGET_H
#define TESTS_UNIT_GDB_TARGET_H

#include "vm/gdb/session.h"

enum { FAKE_VCPUS = 3, FAKE_BASE = 0x1000, FAKE_SIZE = 0x6000 };

struct fake {
    struct debug_regs regs[FAKE_VCPUS];
    u8 memory[FAKE_SIZE]; /* at FAKE_BASE; by physical addresses at 0 */
    struct debug_point points[512];
    unsigned count, points_max;
    enum debug_action action[FAKE_VCPUS];
    unsigned resumed, stopped, detached, killed;
    struct accel_status status[FAKE_VCPUS];
};

static void fake_get(void *opaque, unsigned vcpu, struct debug_regs *r)
{
    *r = ((struct fake *)opaque)->regs[vcpu];
}

static void fake_set(void *opaque, unsigned vcpu, const struct debug_regs *r)
{
    ((struct fake *)opaque)->regs[vcpu] = *r;
}

static void fake_status(void *opaque, unsigned vcpu, struct accel_status *s)
{
    *s = ((struct fake *)opaque)->status[vcpu];
}

/* NULL, or the place; *len is cut to what is there. */
static u8 *fake_place(struct fake *f, bool physical, u64 at, size_t *len)
{
    at -= physical ? 0 : FAKE_BASE;
    if (at >= FAKE_SIZE)
        return NULL;
    if (*len > FAKE_SIZE - at)
        *len = FAKE_SIZE - at;
    return f->memory + at;
}

static size_t fake_read(void *opaque, unsigned vcpu, bool physical, u64 at, void *buf, size_t len)
{
    u8 *p = fake_place(opaque, physical, at, &len);
    if (p)
        memcpy(buf, p, len);
    return p ? len : 0;
}

static size_t fake_write(void *opaque, unsigned vcpu, bool physical, u64 at, const void *buf, size_t len)
{
    size_t whole = len;
    u8 *p = fake_place(opaque, physical, at, &len);
    if (!p || len != whole)
        return 0;
    memcpy(p, buf, len);
    return len;
}

static bool fake_set_points(void *opaque, const struct debug_point *points, unsigned count)
{
    struct fake *f = opaque;
    bug_on(count > 512, "more points than a session has");
    if (f->points_max && count > f->points_max)
        return false;
    memcpy(f->points, points, count * sizeof(*points));
    f->count = count;
    return true;
}

static void fake_resume(void *opaque, const enum debug_action *action)
{
    struct fake *f = opaque;
    memcpy(f->action, action, sizeof(f->action));
    f->resumed++;
}

static void fake_stop(void *opaque)
{
    ((struct fake *)opaque)->stopped++;
}

static void fake_detach(void *opaque)
{
    ((struct fake *)opaque)->detached++;
}

static void fake_kill(void *opaque)
{
    ((struct fake *)opaque)->killed++;
}

static inline struct gdb_target fake_target(struct fake *f)
{
    return (struct gdb_target){f,          FAKE_VCPUS,      fake_get,    fake_set,  fake_status, fake_read,
                               fake_write, fake_set_points, fake_resume, fake_stop, fake_detach, fake_kill};
}

#endif
