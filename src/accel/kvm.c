/* SPDX-License-Identifier: MIT */
/*
 * Engine `kvm`: the same machine on the host's /dev/kvm. The local APICs are KVM's (split irqchip), all other
 * chips ours; guest RAM is the memory space's banks; accesses to anything else come back and go through the
 * space, as the software processor's do.
 *
 * Everything that needs a descriptor or executable memory is made in vm_new() and vcpu_new(); afterwards only
 * the ioctls listed here are used, so that a sandbox can close behind them.
 */
#include "accel/kvm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accel/kvm_kick.h"
#include "accel/kvm_parts.h"
#include "cpu/world.h"

static const u32 ioctls[] = {
    KVM_RUN,
    KVM_GET_REGS,
    KVM_SET_REGS,
    KVM_GET_SREGS,
    KVM_SET_SREGS,
    KVM_GET_XSAVE,
    KVM_SET_XSAVE,
    KVM_GET_XCRS,
    KVM_SET_XCRS,
    KVM_GET_MSRS,
    KVM_SET_MSRS,
    KVM_GET_LAPIC,
    KVM_SET_LAPIC,
    KVM_GET_MP_STATE,
    KVM_SET_MP_STATE,
    KVM_GET_VCPU_EVENTS,
    KVM_SET_VCPU_EVENTS,
    KVM_GET_DEBUGREGS,
    KVM_SET_DEBUGREGS,
    KVM_GET_NESTED_STATE,
    KVM_INTERRUPT,
    KVM_SET_NESTED_STATE,
    KVM_NMI,
    KVM_SIGNAL_MSI,
    KVM_SET_GSI_ROUTING,
    KVM_IRQFD,
    KVM_IOEVENTFD,
    KVM_GET_CLOCK,
    KVM_SET_CLOCK,
    KVM_SET_USER_MEMORY_REGION,
    KVM_CHECK_EXTENSION,
    0,
};

static int kvm_probe(const struct cpu_model *model, struct err *err)
{
    return 0; /* what a host cannot do, kvm_limits() has said */
}

/* ---- the VM ---- */

static int enable(struct accel_vm *vm, u32 cap, u64 arg, const char *what, struct err *err)
{
    struct kvm_enable_cap c = {.cap = cap, .args = {arg}};
    return kvm_want(vm->fd, KVM_ENABLE_CAP, &c, what, err);
}

/* Pages VMX without unrestricted guest needs for real mode, where no PC has anything. api.rst
 * KVM_SET_TSS_ADDR */
#define IDENTITY_MAP 0xfffbc000ull
#define TSS_PAGES    0xfffbd000ull

static int set_up_vm(struct accel_vm *vm, struct err *err)
{
    u64 identity = IDENTITY_MAP;
    u64 wide = KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
    if (kvm_want(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity, "a page for real mode", err) ||
        kvm_want(vm->fd, KVM_SET_TSS_ADDR, (void *)TSS_PAGES, "pages for real mode", err) ||
        enable(vm, KVM_CAP_SPLIT_IRQCHIP, KVM_ROUTES, "a split irqchip", err) ||
        enable(vm, KVM_CAP_X2APIC_API, wide, "wide APIC ids", err))
        return -1;
    if (kvm_has(vm->device, KVM_CAP_EXIT_ON_EMULATION_FAILURE) &&
        enable(vm, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1, "exits on what it cannot emulate", err))
        return -1;
    kvm_find_eventfds(vm);
    vm->nests = kvm_has(vm->device, KVM_CAP_NESTED_STATE) > 0;
    if (kvm_add_ram(vm) < 0)
        return err_set(err, EXIT_STATUS_HOST,
                       "engine kvm: the host's KVM does not take the guest's memory: %s", strerror(errno));
    return 0;
}

static void kvm_vm_free(struct accel_vm *vm)
{
    if (!vm)
        return;
    kvm_nested_unwatch(vm);
    if (vm->fd >= 0)
        close(vm->fd);
    if (vm->own_device && vm->device >= 0)
        close(vm->device);
    if (vm->world)
        world_free(vm->world);
    pthread_mutex_destroy(&vm->lock);
    free(vm);
}

static struct accel_vm *kvm_vm_new(const struct accel_vm_init *init, struct err *err)
{
    struct accel_vm *vm = calloc(1, sizeof(*vm));
    if (!vm) {
        err_set(err, EXIT_STATUS_HOST, "no memory for engine kvm");
        return NULL;
    }
    vm->init = *init;
    vm->fd = -1;
    pthread_mutex_init(&vm->lock, NULL);
    vm->device = kvm_device(&init->options, &vm->own_device, err);
    vm->world = world_new();
    if (vm->device >= 0)
        vm->fd = kvm_call(vm->device, KVM_CREATE_VM, NULL);
    if (vm->device < 0 || !vm->world || vm->fd < 0) {
        err_set(err, EXIT_STATUS_NO_ENGINE, "/dev/kvm makes no VM: %s; use --engine soft", strerror(errno));
        kvm_vm_free(vm);
        return NULL;
    }
    if (kick_catch() < 0 || set_up_vm(vm, err)) {
        err_set(err, EXIT_STATUS_HOST, "engine kvm: cannot catch a signal: %s", strerror(errno));
        kvm_vm_free(vm);
        return NULL;
    }
    kvm_nested_watch(vm);
    return vm;
}

/* ---- vCPUs ---- */

static void join_vm(struct accel_vcpu *v)
{
    pthread_mutex_lock(&v->vm->lock);
    v->next = v->vm->vcpus;
    v->vm->vcpus = v;
    pthread_mutex_unlock(&v->vm->lock);
}

static void leave_vm(struct accel_vcpu *v)
{
    pthread_mutex_lock(&v->vm->lock);
    struct accel_vcpu **at = &v->vm->vcpus;
    while (*at && *at != v)
        at = &(*at)->next;
    if (*at)
        *at = v->next;
    pthread_mutex_unlock(&v->vm->lock);
}

static void kvm_vcpu_free(struct accel_vcpu *v)
{
    if (!v)
        return;
    leave_vm(v);
    if (v->run)
        munmap(v->run, v->run_size);
    if (v->stats >= 0)
        close(v->stats);
    if (v->fd >= 0)
        close(v->fd);
    cpu_free(v->cpu);
    free(v->fresh);
    free(v->state);
    free(v);
}

static int map_run(struct accel_vcpu *v, struct err *err)
{
    int size = kvm_call(v->vm->device, KVM_GET_VCPU_MMAP_SIZE, NULL);
    void *p = size > 0 ? mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0) : MAP_FAILED;
    if (p == MAP_FAILED)
        return err_set(err, EXIT_STATUS_HOST, "engine kvm: vCPU %u cannot be mapped: %s", v->index,
                       strerror(errno));
    v->run = p;
    v->run_size = (size_t)size;
    return 0;
}

/* The task priority as the last kvm_finish() took it; its other APIC registers it does not see. */
static u8 finish_get_tpr(void *opaque)
{
    struct accel_vcpu *v = opaque;
    return (u8)(v->state->sregs.cr8 << 4);
}

static void finish_set_tpr(void *opaque, u8 tpr)
{
    struct accel_vcpu *v = opaque;
    v->state->sregs.cr8 = tpr >> 4;
}

static int finish_pending(void *opaque)
{
    return -1; /* events are KVM's */
}

static bool finish_msr_read(void *opaque, u32 msr, u64 *value)
{
    return false;
}

static bool finish_msr_write(void *opaque, u32 msr, u64 value)
{
    return false;
}

static u8 finish_take_sipi(void *opaque)
{
    return 0;
}

static void finish_init(void *opaque) {}

static struct cpu *new_finisher(struct accel_vcpu *v, struct err *err)
{
    const struct accel_vm_init *i = &v->vm->init;
    struct cpu_init ci = {.index = v->index,
                          .memory = i->memory,
                          .ports = i->ports,
                          .clock = i->clock,
                          .apic = {.opaque = v,
                                   .pending = finish_pending,
                                   .acknowledge = finish_pending,
                                   .get_tpr = finish_get_tpr,
                                   .set_tpr = finish_set_tpr,
                                   .msr_read = finish_msr_read,
                                   .msr_write = finish_msr_write,
                                   .take_sipi = finish_take_sipi,
                                   .init = finish_init},
                          .world = v->vm->world,
                          .model = i->model};
    return cpu_new(&ci, err);
}

static int set_up_vcpu(struct accel_vcpu *v, struct err *err)
{
    v->fd = kvm_call(v->vm->fd, KVM_CREATE_VCPU, (void *)(u64)v->index);
    if (v->fd < 0)
        return err_set(err, EXIT_STATUS_HOST, "engine kvm: the host's KVM makes no vCPU %u: %s", v->index,
                       strerror(errno));
    if (map_run(v, err) || kvm_set_model(v, err) || (v->index == 0 && kvm_choose_msrs(v, err)) ||
        kvm_state_get(v, v->fresh, err))
        return -1;
    kvm_stats_open(v);
    v->cpu = new_finisher(v, err);
    return v->cpu ? 0 : -1;
}

static struct accel_vcpu *kvm_vcpu_new(struct accel_vm *vm, unsigned index, const struct apic_port *apic,
                                       struct err *err)
{
    struct accel_vcpu *v = calloc(1, sizeof(*v));
    if (!v || !(v->fresh = calloc(1, sizeof(*v->fresh))) || !(v->state = calloc(1, sizeof(*v->state)))) {
        err_set(err, EXIT_STATUS_HOST, "no memory for vCPU %u", index);
        if (v)
            free(v->fresh);
        free(v);
        return NULL;
    }
    v->vm = vm;
    v->index = index;
    v->apic = *apic;
    v->fd = v->stats = -1;
    if (set_up_vcpu(v, err) == 0) {
        join_vm(v);
        return v;
    }
    kvm_vcpu_free(v);
    return NULL;
}

static bool kvm_wants_run(struct accel_vcpu *v)
{
    return true; /* a halted vCPU sleeps inside KVM_RUN */
}

static void kvm_stats(struct accel_vcpu *v, struct accel_stats *out)
{
    *out = (struct accel_stats){0}; /* KVM counts exits, not instructions */
}

static void kvm_describe(struct accel_vcpu *v, char *buf, size_t len)
{
    struct accel_regs r;
    kvm_get_regs(v, &r);
    snprintf(
        buf, len,
        "vCPU %u at rip=%#llx rsp=%#llx cr2=%#llx cr3=%#llx (after a triple fault AMD processors tell no "
        "registers, and KVM no vectors: --engine soft does)",
        v->index, (unsigned long long)r.rip, (unsigned long long)r.gpr[RSP], (unsigned long long)r.cr2,
        (unsigned long long)r.cr3);
}

const struct accel_ops accel_kvm = {
    .name = "kvm",
    .own_lapics = true,
    .ioctls = ioctls,
    .limits = kvm_limits,
    .msi = kvm_msi,
    .msi_bind = kvm_msi_bind,
    .doorbell = kvm_doorbell,
    .blocks_changed = kvm_blocks_changed,
    .probe = kvm_probe,
    .vm_new = kvm_vm_new,
    .vm_free = kvm_vm_free,
    .vcpu_new = kvm_vcpu_new,
    .vcpu_free = kvm_vcpu_free,
    .vcpu_reset = kvm_vcpu_reset,
    .run = kvm_run_vcpu,
    .kick = kvm_kick,
    .wants_run = kvm_wants_run,
    .signal = kvm_signal,
    .get_regs = kvm_get_regs,
    .set_regs = kvm_set_regs,
    .save = kvm_save,
    .load = kvm_load,
    .stats = kvm_stats,
    .describe = kvm_describe,
    .nested_active = kvm_nested_active,
    .nested_at_rest = true, /* KVM answers once KVM_RUN has returned, which may be never */
};
