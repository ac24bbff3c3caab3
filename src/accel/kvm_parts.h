/* SPDX-License-Identifier: MIT */
/* The inside of engine `kvm`, for the files accel/kvm*.c. Nobody else includes it, or <linux/kvm.h>. */
#ifndef ACCEL_KVM_PARTS_H
#define ACCEL_KVM_PARTS_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>

#include "accel/accel.h"
#include "cpu/cpu.h"

#ifdef __clang__ /* the interface's structs end in arrays of the caller's length, which here lie behind them \
                  */
#pragma clang diagnostic ignored "-Wgnu-variable-sized-type-not-at-end"
#endif

#define KVM_ROUTES     240 /* Linux keeps this number in a byte, unchecked */
#define KVM_SOURCES    256 /* eventfds that send a message: five a virtio function at most */
#define KVM_MSRS_MAX   512
#define KVM_XSAVE_SIZE 4096
#define KVM_NESTED_MAX                                                                                       \
    8448 /* of VMX: a header and two pages. Documentation/virt/kvm/api.rst KVM_GET_NESTED_STATE */
#define KVM_CPUID_MAX 256

/* A vCPU's whole state as KVM gives it. Also what a saved machine holds, under the name "kvm-vcpu". */
struct kvm_vcpu_state {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    u8 xsave[KVM_XSAVE_SIZE];
    struct kvm_xcrs xcrs;
    struct kvm_debugregs debugregs;
    struct kvm_lapic_state lapic;
    struct kvm_mp_state mp_state;
    struct kvm_vcpu_events events;
    u32 msr_count;
    u32 msr_index[KVM_MSRS_MAX];
    u64 msr_value[KVM_MSRS_MAX];
    u8 nested[KVM_NESTED_MAX];
    u64 nested_ns; /* ours, not KVM's: struct accel_vcpu's */
    u8 nested_ran;
};

/* A level-triggered message the I/O APIC sent: KVM reports the end of those it knows as routes. */
struct kvm_level_route {
    u64 address;
    u32 data, used; /* used: order of last use */
};

/* The message behind an eventfd. */
struct kvm_source {
    u64 address;
    u32 data;
};

struct accel_vm {
    struct accel_vm_init init;
    int device, fd;
    bool own_device;
    bool nests;
    struct world *world;  /* of the interpreters that finish what KVM cannot */
    pthread_mutex_t lock; /* of the routes and of what is known of nested entries */
    struct kvm_level_route route[KVM_ROUTES];
    u32 route_count, route_turn;
    struct kvm_source source[KVM_SOURCES];
    u32 source_count, source_max;
    bool doorbells;
    struct accel_vcpu *vcpus;
    struct timer nested_timer;
    unsigned slots;
    u64 piece, pieces; /* of the range of blocks: bytes of one; a bit for each that has a slot */
    u32 msr_count;
    u32 msr_index[KVM_MSRS_MAX]; /* that KVM saves */
    struct kvm_clock_data clock; /* as saved */
};

struct accel_vcpu {
    struct accel_vm *vm;
    unsigned index;
    int fd, stats;
    struct kvm_run *run;
    size_t run_size;
    struct apic_port apic;
    atomic_bool kicked;
    atomic_uint signals;                  /* ACCEL_SIGNAL_* not yet seen */
    atomic_int tid;                       /* of the thread in run(), 0 when there is none */
    struct kvm_vcpu_state *fresh, *state; /* as created; scratch */
    struct cpu *cpu;                      /* finishes instructions */
    u64 nested_run_at;                    /* offset in stats; 0: this kernel does not count */
    u64 nested_runs, nested_ns;           /* under the VM's lock: seen last; when that changed */
    bool nested_ran;                      /* it has changed */
    struct accel_vcpu *next;              /* of the VM's */
    u64 finished;                         /* instructions */
    struct err refused;                   /* KVM did not take a state given outside run(): run() tells */
};

/* ioctl() that goes on after signals. */
int kvm_call(int fd, unsigned long request, void *arg);
/* The same; -1 and err, naming what was wanted. */
int must_check kvm_want(int fd, unsigned long request, void *arg, const char *what, struct err *err);

/* kvm_host.c */
int kvm_device(const struct accel_options *o, bool *own, struct err *err);
int kvm_has(int device, unsigned capability); /* KVM_CHECK_EXTENSION; 0: no */
int kvm_limits(const struct accel_options *o, struct accel_limits *out, struct err *err);
struct kvm_cpuid2 *kvm_supported_cpuid(int device, struct err *err); /* malloced */
const struct kvm_cpuid_entry2 *kvm_cpuid_find(const struct kvm_cpuid2 *t, u32 leaf, u32 subleaf);
bool kvm_host_vendor(const struct kvm_cpuid2 *t, enum cpu_vendor *v);

/* kvm_cpuid.c: CPUID and the MSRs that go with it. */
int must_check kvm_set_model(struct accel_vcpu *v, struct err *err);

/* kvm_irq.c */
void kvm_msi(struct accel_vm *vm, u64 address, u32 data);
int kvm_msi_bind(struct accel_vm *vm, unsigned *id, int fd, u64 address, u32 data);
int kvm_doorbell(struct accel_vm *vm, u64 gpa, int fd, bool on);
void kvm_find_eventfds(struct accel_vm *vm); /* whether this kernel has the two above */
int must_check kvm_routes_restore(struct accel_vm *vm, struct err *err);
int must_check kvm_offer_extint(struct accel_vcpu *v, struct err *err); /* before KVM_RUN */

/* kvm_memory.c */
int kvm_add_ram(struct accel_vm *vm); /* -1 with errno */
int kvm_blocks_changed(struct accel_vm *vm, u64 gpa, u64 size);

/* kvm_state.c */
int must_check kvm_state_get(struct accel_vcpu *v, struct kvm_vcpu_state *s, struct err *err);
int must_check kvm_state_put(struct accel_vcpu *v, struct kvm_vcpu_state *s, struct err *err);
void kvm_get_regs(struct accel_vcpu *v, struct accel_regs *r);
void kvm_set_regs(struct accel_vcpu *v, const struct accel_regs *r);
void kvm_save(struct accel_vcpu *v, struct state_image *img);
int kvm_load(struct accel_vcpu *v, const struct state_image *img, struct err *err);
void kvm_vcpu_reset(struct accel_vcpu *v, bool bsp);
int must_check kvm_choose_msrs(struct accel_vcpu *v, struct err *err); /* once a VM */
u64 *kvm_gpr(struct kvm_regs *r, unsigned n);
struct kvm_segment *kvm_seg(struct kvm_sregs *s, unsigned n);
u32 kvm_segment_attr(const struct kvm_segment *s);
struct kvm_segment kvm_segment_of(u64 base, u32 limit, u32 attr, u16 sel);

/* kvm_run.c */
enum accel_exit kvm_run_vcpu(struct accel_vcpu *v, struct err *err);
void kvm_kick(struct accel_vcpu *v);
void kvm_signal(struct accel_vcpu *v, unsigned what);

/* kvm_finish.c: one instruction by our own interpreter. */
enum accel_exit kvm_finish(struct accel_vcpu *v, struct err *err); /* KICKED: go on */

/* kvm_nested.c */
void kvm_stats_open(struct accel_vcpu *v);
void kvm_nested_watch(struct accel_vm *vm); /* the VM's entries, from now on */
void kvm_nested_unwatch(struct accel_vm *vm);
bool kvm_nested_active(struct accel_vcpu *v);
bool kvm_in_nested_guest(struct accel_vcpu *v);
void kvm_nested_forget(struct accel_vcpu *v); /* at reset */
void kvm_nested_save(struct accel_vcpu *v, struct kvm_vcpu_state *s);
void kvm_nested_load(struct accel_vcpu *v, const struct kvm_vcpu_state *s);

#endif
