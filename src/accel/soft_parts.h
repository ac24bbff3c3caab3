/* SPDX-License-Identifier: MIT */
/* The inside of engine `soft`, for the files accel/soft*.c. Nobody else includes it. */
#ifndef ACCEL_SOFT_PARTS_H
#define ACCEL_SOFT_PARTS_H

#include <stdatomic.h>

#include "accel/accel.h"
#include "cpu/cpu.h"
#include "cpu/points.h"

#define ICOUNT_SLICE 1000 /* instructions, hence nanoseconds: how coarse the clock may be */

struct accel_vm {
    struct accel_vm_init init;
    struct world *world;
    struct jit_cache *cache;    /* NULL: interpret only */
    struct debug_points points; /* at: owned */
};

struct accel_vcpu {
    struct accel_vm *vm;
    struct cpu *cpu;
    bool stepping;      /* for a debugger */
    atomic_bool kicked; /* a counted run was asked to return: its slices end by LEAVE as well */
    /* Retired instructions at the counted slice's start, where time stands, and at its end; equal: none is
     * begun. */
    u64 slice_start, slice_end;
    u64 next_hash;             /* retired instructions from which on the next one is due */
    struct state_image hashed; /* scratch */
};

extern const struct accel_debug_ops soft_debug_ops;

#endif
