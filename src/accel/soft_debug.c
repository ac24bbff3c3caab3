/* SPDX-License-Identifier: MIT */
/* Engine `soft` under a debugger. */
#include <stdlib.h>

#include "accel/soft_parts.h"
#include "cpu/fpu.h"
#include "cpu/mmu.h"
#include "cpu/nested/nested.h"
#include "cpu/system.h"
#include "cpu/world.h"

static void take_points(struct cpu *c, void *points)
{
    points_set(c, points);
}

static int set_points(struct accel_vm *vm, const struct debug_point *points, unsigned count, struct err *err)
{
    struct debug_point *copy = malloc((count + 1) * sizeof(*copy));
    if (!copy)
        return err_set(err, EXIT_STATUS_HOST, "no memory for breakpoints");
    struct debug_points next = {.at = copy, .count = count};
    for (unsigned i = 0; i < count; i++) {
        copy[i] = points[i];
        next.data |= points[i].kind != DEBUG_EXECUTE;
    }
    free((void *)vm->points.at);
    vm->points = next;
    world_each(vm->world, take_points, &vm->points);
    return 0;
}

static void step(struct accel_vcpu *v, bool on)
{
    v->stepping = on;
}

static struct debug_hit take_hit(struct accel_vcpu *v)
{
    struct debug_hit h = v->cpu->hit;
    v->cpu->hit = (struct debug_hit){0};
    return h;
}

static bool translate(struct accel_vcpu *v, u64 linear, u64 *physical)
{
    return mmu_translate_debug(v->cpu, linear, physical);
}

static void get_fpu(struct accel_vcpu *v, struct accel_fpu *f)
{
    const struct cpu *c = v->cpu;
    memcpy(f->fxsave, c->x87, sizeof(f->fxsave));
    store_le(f->fxsave + X87_MXCSR, 4, c->mxcsr);
    store_le(f->fxsave + X87_MXCSR + 4, 4, MXCSR_VALID);
    for (unsigned i = 0; i < 16; i++) {
        memcpy(f->fxsave + X87_ST + 128 + 16 * i, c->vec[i], 16);
        memcpy(f->ymm_high[i], c->vec[i] + 16, 16);
    }
}

static void set_fpu(struct accel_vcpu *v, const struct accel_fpu *f)
{
    struct cpu *c = v->cpu;
    memcpy(c->x87, f->fxsave, X87_MXCSR);
    memcpy(c->x87 + X87_ST, f->fxsave + X87_ST, 128);
    c->mxcsr = (u32)load_le(f->fxsave + X87_MXCSR, 4) & MXCSR_VALID;
    fpu_normalise(c);
    for (unsigned i = 0; i < 16; i++) {
        memcpy(c->vec[i], f->fxsave + X87_ST + 128 + 16 * i, 16);
        memcpy(c->vec[i] + 16, f->ymm_high[i], 16);
    }
}

static void status(struct accel_vcpu *v, struct accel_status *s)
{
    static const enum accel_activity activity[] = {[CPU_ACTIVE] = ACCEL_RUNNING,
                                                   [CPU_HLT] = ACCEL_HALTED,
                                                   [CPU_SHUTDOWN_STATE] = ACCEL_SHUT_DOWN,
                                                   [CPU_WAIT_SIPI] = ACCEL_WAITS_FOR_SIPI};
    struct cpu *c = v->cpu;
    struct nested_view n;
    nested_view(c, &n);
    *s = (struct accel_status){.activity = activity[c->activity],
                               .code_bits = c->mode == MODE_64   ? 64
                                            : c->mode == MODE_32 ? 32
                                                                 : 16,
                               .cr8 = c->apic.get_tpr ? c->apic.get_tpr(c->apic.opaque) >> 4 : 0,
                               .nesting = n.vmx   ? ACCEL_VMX
                                          : n.svm ? ACCEL_SVM
                                                  : ACCEL_NO_NESTING,
                               .operation = n.operation,
                               .in_guest = nested_guest(c),
                               .nested_active = nested_active(c),
                               .region = n.region,
                               .control = n.control,
                               .entries = n.entries};
}

const struct accel_debug_ops soft_debug_ops = {
    .set_points = set_points,
    .step = step,
    .take_hit = take_hit,
    .translate = translate,
    .get_fpu = get_fpu,
    .set_fpu = set_fpu,
    .status = status,
};
