/* SPDX-License-Identifier: MIT */
/*
 * Whether the guest is a hypervisor at work: extensions switched on, and an entry within the last minute.
 *
 * Entries are counted by KVM per vCPU (nested_run in the binary statistics, Documentation/virt/kvm/api.rst
 * KVM_GET_STATS_FD); the time of the last one is that of the last look that found the count changed. A kernel
 * that does not count is answered for by the first condition alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "accel/kvm_parts.h"

#define RECENT_NS    60000000000ull
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

void kvm_nested_forget(struct accel_vcpu *v)
{
    v->nested_runs = runs(v);
    v->nested_ns = 0;
}

static bool ran_lately(struct accel_vcpu *v)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    u64 now = (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec, n = runs(v);
    if (n != v->nested_runs) {
        v->nested_runs = n;
        v->nested_ns = now;
    }
    return !v->nested_run_at || (v->nested_ns && now - v->nested_ns < RECENT_NS);
}

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
