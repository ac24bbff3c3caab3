/* SPDX-License-Identifier: MIT */
/*
 * An engine: what executes a machine's instructions. One const struct each: accel_soft, accel_kvm.
 *
 * A vCPU is driven by one thread: run() until it returns; between runs the thread may read and write its
 * state. kick(), nmi(), interrupt() come from any thread and never block.
 */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include "accel/debug.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/state.h"
#include "cpu/apic_port.h"
#include "cpu/model.h"
#include "jit/watch.h"
#include "mem/space.h"
#include "x86/insn.h"
#include "x86/nested_event.h"

struct accel_vm;
struct accel_vcpu;

enum accel_exit {
    ACCEL_EXIT_HALTED,   /* sleeps until kicked */
    ACCEL_EXIT_KICKED,   /* somebody asked it to come back */
    ACCEL_EXIT_SHUTDOWN, /* triple fault; describe() tells */
    ACCEL_EXIT_ERROR,    /* the host failed; err is set */
    ACCEL_EXIT_DEBUG,    /* for the debugger: debug->take_hit() tells */
};

/* Options of the soft engine; others ignore what does not concern them and refuse what they cannot do. */
struct accel_options {
    bool jit;
    bool icount;
    /* With icount: called on the vCPU's thread about every ACCEL_HASH_STEP instructions, at the same ones in
     * every run, with a hash of the vCPU's whole architectural state and the clock. */
    void (*hash)(void *opaque, unsigned vcpu, u64 retired, u64 hash);
    void *hash_opaque;
    int device; /* kvm: a descriptor of /dev/kvm, not owned; 0: the engine opens it */
    /* soft: what a hypervisor in the guest and its processor do to each other. ring: one a vCPU, or NULL. */
    struct nested_trace nested_trace;
    struct jit_options translator; /* soft */
};

#define ACCEL_HASH_STEP 1000000

/* What became of a vCPU's instructions, since its creation. Zeroes for what an engine does not know. */
struct accel_stats {
    u64 retired;
    u64 decoded, blocks, resets,
        stale; /* decoded instructions and blocks; cache emptied; blocks overwritten */
    u64 translated, native, called, evictions; /* blocks; instructions translated, as host code and as calls;
                                                  parts of the cache emptied */
};

/* What the host sets bounds to. */
struct accel_limits {
    u64 features[(FEAT_COUNT + 63) / 64]; /* which can be offered */
    u64 tsc_hz;                           /* the guest's TSC ticks so and not otherwise; 0: as wished */
    unsigned phys_bits;                   /* guest-physical address width, at most */
    char no_nested[2][240];               /* by enum cpu_vendor: why it cannot nest; "": it can */
};

struct accel_vm_init {
    struct space *memory, *ports;
    struct clock *clock;
    const struct cpu_model *model; /* outlives the VM */
    struct accel_options options;
    /* own_lapics: a level-triggered interrupt with this vector was ended; on a vCPU's thread */
    void (*eoi)(void *opaque, u8 vector);
    void *eoi_opaque;
    /* a sleeping vCPU has a reason of its own to run; any thread */
    void (*wake)(void *opaque, unsigned index);
    void *wake_opaque;
    u64 blocks_base, blocks_size; /* where RAM comes and goes in blocks; size 0: nowhere */
};

/* What a boot protocol sets and a debugger reads. */
struct accel_regs {
    u64 gpr[16], rip, rflags;
    struct {
        u64 base;
        u32 limit, attr; /* attr: x86/flags.h SEG_* */
        u16 sel;
    } seg[SEG_COUNT];
    u64 gdt_base, idt_base;
    u16 gdt_limit, idt_limit;
    u64 cr0, cr2, cr3, cr4, efer;
};

struct accel_ops {
    const char *name;
    /* The local APICs are the engine's, with INIT, SIPI and everything between them. MSIs go to msi(); the
     * apic_port given to vcpu_new() has no more than pending() and acknowledge(), the 8259's, for vCPU 0, and
     * signal(INTR) says that these may have changed. */
    bool own_lapics;
    const u32 *ioctls; /* made after vcpu_new(), ending with 0: for the sandbox; NULL: none */
    int (*limits)(const struct accel_options *options, struct accel_limits *out,
                  struct err *err);                          /* NULL: none */
    void (*msi)(struct accel_vm *vm, u64 address, u32 data); /* own_lapics; any thread */
    /* Optional; any thread. From now on fd, an eventfd, sends this message and no other. *id: 0 at the first
     * call for fd, then the engine's. -1: it does not, use msi(). */
    int (*msi_bind)(struct accel_vm *vm, unsigned *id, int fd, u64 address, u32 data);
    /* Optional; any thread. While on, a guest's write at gpa rings fd, an eventfd, and reaches no region. -1:
     * it does not. */
    int (*doorbell)(struct accel_vm *vm, u64 gpa, int fd, bool on);
    /* Optional; one thread at a time. Blocks of the range were plugged or unplugged in the memory space. -1:
     * the host does not take them. */
    int (*blocks_changed)(struct accel_vm *vm, u64 gpa, u64 size);
    /* 0, or -1 with the reason and remedy when this host cannot run it. */
    int (*probe)(const struct cpu_model *model, struct err *err);
    struct accel_vm *(*vm_new)(const struct accel_vm_init *init, struct err *err);
    void (*vm_free)(struct accel_vm *vm);
    struct accel_vcpu *(*vcpu_new)(struct accel_vm *vm, unsigned index, const struct apic_port *apic,
                                   struct err *err);
    void (*vcpu_free)(struct accel_vcpu *v);
    void (*vcpu_reset)(struct accel_vcpu *v, bool bsp); /* power-on; an AP then waits for SIPI */
    enum accel_exit (*run)(struct accel_vcpu *v, struct err *err);
    void (*kick)(struct accel_vcpu *v);      /* run() returns KICKED soon, or at once when not running */
    bool (*wants_run)(struct accel_vcpu *v); /* an event is due that ends a halt; own thread */
    void (*signal)(struct accel_vcpu *v, unsigned what); /* ACCEL_SIGNAL_*: from the interrupt controllers */
    void (*get_regs)(struct accel_vcpu *v, struct accel_regs *r);
    void (*set_regs)(struct accel_vcpu *v, const struct accel_regs *r);
    void (*save)(struct accel_vcpu *v, struct state_image *img);
    int (*load)(struct accel_vcpu *v, const struct state_image *img, struct err *err);
    void (*stats)(struct accel_vcpu *v, struct accel_stats *out);  /* own thread, or while it does not run */
    void (*describe)(struct accel_vcpu *v, char *buf, size_t len); /* one line: RIP and the vector chain */
    /* A hypervisor in the guest runs guests now. Any thread; nested_at_rest: only while the vCPU does not
     * run. */
    bool (*nested_active)(struct accel_vcpu *v);
    bool nested_at_rest;
    const struct accel_debug_ops *debug; /* NULL: this engine cannot be debugged */
};

enum {
    ACCEL_SIGNAL_INTR = 1,
    ACCEL_SIGNAL_NMI = 2,
    ACCEL_SIGNAL_INIT = 4,
    ACCEL_SIGNAL_SIPI = 8,
    ACCEL_SIGNAL_SMI = 64
};

extern const struct accel_ops accel_soft;

#endif
