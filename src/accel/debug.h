/* SPDX-License-Identifier: MIT */
/*
 * What an engine does for a debugger. Nothing of it can be seen by the guest. All of it is called while the
 * vCPU is not in run(), set_points() while none is; any thread.
 */
#ifndef ACCEL_DEBUG_H
#define ACCEL_DEBUG_H

#include "base/err.h"
#include "cpu/debug_point.h"

struct accel_vm;
struct accel_vcpu;

/* Vector and x87 registers. */
struct accel_fpu {
    u8 fxsave[512]; /* as FXSAVE64 leaves it: SDM 2A table 3-46 */
    u8 ymm_high[16][16];
};

enum accel_activity { ACCEL_RUNNING, ACCEL_HALTED, ACCEL_SHUT_DOWN, ACCEL_WAITS_FOR_SIPI };

struct accel_status {
    enum accel_activity activity;
    u8 code_bits; /* 16, 32 or 64: what code at RIP is */
    u64 cr8;
    enum { ACCEL_NO_NESTING, ACCEL_VMX, ACCEL_SVM } nesting; /* what the guest's processor offers */
    bool operation;     /* VMXON was executed, or EFER.SVME and VM_HSAVE_PA are set */
    bool in_guest;      /* non-root operation, guest mode: this is L2 */
    bool nested_active; /* an L1 hypervisor runs guests now */
    u64 region;         /* VMXON pointer, VM_HSAVE_PA */
    u64 control;        /* physical address of the current VMCS or of the VMCB that runs; ~0: none */
    u64 entries;        /* successful VM entries */
};

struct accel_debug_ops {
    /* The VM's points, instead of those before; copied. -1 and err: too many for this engine, the old ones
     * stay. */
    int (*set_points)(struct accel_vm *vm, const struct debug_point *points, unsigned count, struct err *err);
    /* on: run() returns DEBUG after one instruction or one event; interrupts wait unless the vCPU sleeps. */
    void (*step)(struct accel_vcpu *v, bool on);
    /* Behind ACCEL_EXIT_DEBUG: the point that was met, and forgets it. kind DEBUG_NONE: the step is done. */
    struct debug_hit (*take_hit)(struct accel_vcpu *v);
    /* Linear to the machine's physical address as a data access would find it, whatever its rights. */
    bool (*translate)(struct accel_vcpu *v, u64 linear, u64 *physical);
    void (*get_fpu)(struct accel_vcpu *v, struct accel_fpu *f);
    void (*set_fpu)(struct accel_vcpu *v, const struct accel_fpu *f); /* reserved MXCSR bits are dropped */
    void (*status)(struct accel_vcpu *v, struct accel_status *s);
};

#endif
