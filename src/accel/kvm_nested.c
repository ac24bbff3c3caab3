/* SPDX-License-Identifier: MIT */
/*
 * Whether the guest is a hypervisor at work: extensions switched on, and an entry within the last minute.
 *
 * Entries are counted by KVM per vCPU (nested_run in the binary statistics, Documentation/virt/kvm/api.rst
 * KVM_GET_STATS_FD), without a time. So the counts of a machine with nesting are looked at every SAMPLE_NS of
 * its clock, on the event loop's thread: a read of eight bytes a vCPU, which disturbs none. The time of the
 * last entry is that of the first look that found the count changed, late by SAMPLE_NS at most. A kernel that
 * does not count (before Linux 5.14) is answered for by the first condition alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "accel/kvm_parts.h"

#define RECENT_NS    60000000000ull
#define SAMPLE_NS    5000000000ull
#define HSAVE_PA     0xc0010117
#define NAME_MAX_LEN 256

static u64 find_stat(int fd, const char *name)
{
    struct kvm_stats_header h;
    if (pread(fd, &h, sizeof(h), 0) != sizeof(h) || h.name_size > NAME_MAX_LEN)
        return 0;
    for (u32 i = 0; i < h.num_desc; i++) {
        u8 raw[sizeof(struct kvm_stats_desc) + NAME_MAX_LEN] __attribute__((aligned(8))) = {0};
        ssize_t size = (ssize_t)(sizeof(struct kvm_stats_desc) + h.name_size);
        if (pread(fd, raw, (size_t)size, h.desc_offset + i * size) != size)
            return 0;
        const struct kvm_stats_desc *d = (const struct kvm_stats_desc *)raw;
        if (strncmp(d->name, name, h.name_size) == 0)
            return h.data_offset + d->offset;
    }
    return 0;
}

void kvm_stats_open(struct accel_vcpu *v)
{
    v->stats = kvm_has(v->vm->device, KVM_CAP_BINARY_STATS_FD) ? kvm_call(v->fd, KVM_GET_STATS_FD, NULL) : -1;
    v->nested_run_at = v->stats >= 0 ? find_stat(v->stats, "nested_run") : 0;
}

static u64 runs(const struct accel_vcpu *v)
{
    u64 n = 0;
    return v->nested_run_at && pread(v->stats, &n, 8, (off_t)v->nested_run_at) == 8 ? n : 0;
}

/* ---- the time of the last entry; the VM's lock held ---- */

static void look(struct accel_vcpu *v)
{
    u64 n = runs(v);
    if (n == v->nested_runs)
        return;
    v->nested_runs = n;
    v->nested_ns = clock_now(v->vm->init.clock);
    v->nested_ran = true;
}

static void look_at_all(void *opaque)
{
    struct accel_vm *vm = opaque;
    pthread_mutex_lock(&vm->lock);
    for (struct accel_vcpu *v = vm->vcpus; v; v = v->next)
        look(v);
    pthread_mutex_unlock(&vm->lock);
    timer_arm(&vm->nested_timer, clock_now(vm->init.clock) + SAMPLE_NS);
}

void kvm_nested_watch(struct accel_vm *vm)
{
    enum feature f = vm->init.model->vendor == VENDOR_AMD ? FEAT_SVM : FEAT_VMX;
    if (!model_has(vm->init.model, f))
        return;
    timer_init(&vm->nested_timer, vm->init.clock, look_at_all, vm);
    timer_arm(&vm->nested_timer, clock_now(vm->init.clock) + SAMPLE_NS);
}

void kvm_nested_unwatch(struct accel_vm *vm)
{
    if (vm->nested_timer.clock)
        timer_cancel(&vm->nested_timer);
}

void kvm_nested_forget(struct accel_vcpu *v)
{
    pthread_mutex_lock(&v->vm->lock);
    v->nested_runs = runs(v);
    v->nested_ran = false;
    pthread_mutex_unlock(&v->vm->lock);
}

void kvm_nested_save(struct accel_vcpu *v, struct kvm_vcpu_state *s)
{
    pthread_mutex_lock(&v->vm->lock);
    look(v);
    s->nested_ns = v->nested_ns;
    s->nested_ran = v->nested_ran;
    pthread_mutex_unlock(&v->vm->lock);
}

void kvm_nested_load(struct accel_vcpu *v, const struct kvm_vcpu_state *s)
{
    kvm_nested_forget(v);
    pthread_mutex_lock(&v->vm->lock);
    v->nested_ns = s->nested_ns;
    v->nested_ran = s->nested_ran != 0;
    pthread_mutex_unlock(&v->vm->lock);
}

static bool ran_lately(struct accel_vcpu *v)
{
    pthread_mutex_lock(&v->vm->lock);
    look(v);
    bool lately = v->nested_ran && clock_now(v->vm->init.clock) - v->nested_ns <= RECENT_NS;
    pthread_mutex_unlock(&v->vm->lock);
    return lately || !v->nested_run_at;
}

/* ---- the state of now ---- */

static bool get(struct accel_vcpu *v, u8 buf[KVM_NESTED_MAX])
{
    struct kvm_nested_state *n = (struct kvm_nested_state *)buf;
    memset(buf, 0, sizeof(*n));
    n->size = KVM_NESTED_MAX;
    return v->vm->nests && kvm_call(v->fd, KVM_GET_NESTED_STATE, buf) == 0;
}

bool kvm_in_nested_guest(struct accel_vcpu *v)
{
    u8 buf[KVM_NESTED_MAX] __attribute__((aligned(8)));
    return get(v, buf) && ((struct kvm_nested_state *)buf)->flags & KVM_STATE_NESTED_GUEST_MODE;
}

/* SVM: EFER.SVME, and a host save area was named. */
static bool svm_on(struct accel_vcpu *v)
{
    struct kvm_sregs s;
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } m = {.head.nmsrs = 1, .entry.index = HSAVE_PA};
    return kvm_call(v->fd, KVM_GET_SREGS, &s) == 0 && (s.efer & EFER_SVME) &&
           kvm_call(v->fd, KVM_GET_MSRS, &m) == 1 && m.entry.data;
}

bool kvm_nested_active(struct accel_vcpu *v)
{
    u8 buf[KVM_NESTED_MAX] __attribute__((aligned(8)));
    const struct kvm_nested_state *n = (const struct kvm_nested_state *)buf;
    if (!ran_lately(v) || !get(v, buf))
        return false;
    return n->format == KVM_STATE_NESTED_FORMAT_VMX ? n->hdr.vmx.vmxon_pa != ~0ull : svm_on(v);
}
