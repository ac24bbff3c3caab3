/* SPDX-License-Identifier: MIT */
/*
 * The KVM paravirtual clock. Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_WALL_CLOCK_NEW,
 * MSR_KVM_SYSTEM_TIME_NEW.
 *
 * The TSC is a linear function of the machine's clock, so a page written once stays right until the TSC is
 * written. A version that is odd means: being changed, read again.
 */
#include "cpu/msr.h"

struct pvclock_time {
    u32 version, pad;
    u64 tsc_timestamp, system_time;
    u32 tsc_to_system_mul;
    i8 tsc_shift;
    u8 flags, pad2[2];
};

struct pvclock_wall {
    u32 version, sec, nsec;
};

enum { PVCLOCK_TSC_STABLE = 1 };

/* ns = (ticks << shift) * mul >> 32, mul using all of its 32 bits. */
static void scale(u64 hz, u32 *mul, i8 *shift)
{
    *shift = 0;
    while (hz > 2000000000ull) {
        hz >>= 1;
        --*shift;
    }
    while (hz <= 1000000000ull) {
        hz <<= 1;
        ++*shift;
    }
    *mul = (u32)(((unsigned __int128)1000000000ull << 32) / hz);
}

static void publish(struct cpu *c, u64 gpa, void *page, u32 size)
{
    u32 version = 0;
    space_read(c->memory, gpa, &version, 4);
    version = (version | 1) + 2;
    space_write(c->memory, gpa, &version, 4);
    atomic_thread_fence(memory_order_seq_cst);
    space_write(c->memory, gpa + 4, (u8 *)page + 4, size - 4);
    atomic_thread_fence(memory_order_seq_cst);
    version++;
    space_write(c->memory, gpa, &version, 4);
}

void kvmclock_write_wall(struct cpu *c, u64 gpa)
{
    u64 now = clock_now(c->clock);
    u64 boot = clock_wall(c->clock) - now;
    struct pvclock_wall w = {.sec = (u32)(boot / 1000000000), .nsec = (u32)(boot % 1000000000)};
    publish(c, gpa, &w, sizeof(w));
}

void kvmclock_write_time(struct cpu *c, u64 msr_value)
{
    if (!(msr_value & 1))
        return;
    struct pvclock_time t = {.flags = PVCLOCK_TSC_STABLE};
    /* Both sides of one moment: the TSC at nanosecond `system_time`. */
    t.system_time = clock_now(c->clock);
    t.tsc_timestamp = t.system_time / 1000000000 * c->model->tsc_hz +
                      t.system_time % 1000000000 * c->model->tsc_hz / 1000000000 + c->tsc_offset;
    scale(c->model->tsc_hz, &t.tsc_to_system_mul, &t.tsc_shift);
    publish(c, msr_value & ~3ull, &t, sizeof(t));
}
