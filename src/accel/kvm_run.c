/* SPDX-License-Identifier: MIT */
/*
 * KVM_RUN and what it comes back for.
 *
 * Asking a vCPU to come back: set what is asked, then kvm_run.immediate_exit, then signal the thread in
 * run(). KVM_RUN looks at immediate_exit after the thread is known, and at signals after that, so no request
 * is lost. It is also how a pending access is finished: KVM completes it at the next KVM_RUN, and then leaves
 * at once. So run() returns KICKED from behind KVM_RUN only, where the state is whole and may be saved.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "accel/kvm_kick.h"
#include "accel/kvm_parts.h"

static void come_back(struct accel_vcpu *v)
{
    __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    int tid = atomic_load(&v->tid);
    if (tid)
        kick_thread(tid);
}

void kvm_kick(struct accel_vcpu *v)
{
    atomic_store(&v->kicked, true);
    come_back(v);
}

void kvm_signal(struct accel_vcpu *v, unsigned what)
{
    atomic_fetch_or(&v->signals, what);
    come_back(v);
}

/* ---- accesses ---- */

static void port_io(struct accel_vcpu *v)
{
    struct kvm_run *r = v->run;
    u8 *data = (u8 *)r + r->io.data_offset;
    struct space *ports = v->vm->init.ports;
    for (u32 i = 0; i < r->io.count; i++, data += r->io.size) {
        u64 value = load_le(data, r->io.size);
        if (r->io.direction == KVM_EXIT_IO_OUT) {
            space_io_write(ports, r->io.port, r->io.size, value);
        } else {
            space_io_read(ports, r->io.port, r->io.size, &value);
            store_le(data, r->io.size, value);
        }
    }
}

/* KVM splits at 8 bytes and pages, not to powers of two. */
static void memory_io(struct accel_vcpu *v)
{
    struct kvm_run *r = v->run;
    struct space *memory = v->vm->init.memory;
    u64 at = r->mmio.phys_addr;
    u8 *data = r->mmio.data;
    for (u32 left = r->mmio.len, n; left; at += n, data += n, left -= n) {
        n = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        u64 value = load_le(data, n);
        if (r->mmio.is_write) {
            space_io_write(memory, at, n, value);
        } else {
            space_io_read(memory, at, n, &value);
            store_le(data, n, value);
        }
    }
}

/* ---- other exits ---- */

static enum accel_exit internal_error(struct accel_vcpu *v, struct err *err)
{
    struct kvm_run *r = v->run;
    if (r->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
        return kvm_finish(v, err);
    struct kvm_regs regs = {0};
    kvm_call(v->fd, KVM_GET_REGS, &regs);
    err_set(err, EXIT_STATUS_HOST,
            "engine kvm: the host's KVM gave vCPU %u up at rip=%#llx (internal error %u, %#llx); "
            "use --engine soft",
            v->index, regs.rip, r->internal.suberror,
            r->internal.ndata ? (unsigned long long)r->internal.data[0] : 0);
    return ACCEL_EXIT_ERROR;
}

static enum accel_exit fail_entry(struct accel_vcpu *v, struct err *err)
{
    u64 why = v->run->fail_entry.hardware_entry_failure_reason;
    err_set(err, EXIT_STATUS_HOST,
            "engine kvm: the processor refused vCPU %u's state (VM entry failure %#llx)%s; "
            "use --engine soft",
            v->index, (unsigned long long)why,
            (u32)why == 0x80000021 ? ": it may be one without unrestricted guest" : "");
    return ACCEL_EXIT_ERROR;
}

/* KICKED: handled, go on. */
static enum accel_exit handle(struct accel_vcpu *v, struct err *err)
{
    struct kvm_run *r = v->run;
    switch (r->exit_reason) {
    case KVM_EXIT_IO:
        port_io(v);
        return ACCEL_EXIT_KICKED;
    case KVM_EXIT_MMIO:
        memory_io(v);
        return ACCEL_EXIT_KICKED;
    case KVM_EXIT_IOAPIC_EOI:
        v->vm->init.eoi(v->vm->init.eoi_opaque, r->eoi.vector);
        return ACCEL_EXIT_KICKED;
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_INTR:
    case KVM_EXIT_SET_TPR:
        return ACCEL_EXIT_KICKED;
    case KVM_EXIT_SHUTDOWN:
        return ACCEL_EXIT_SHUTDOWN;
    case KVM_EXIT_INTERNAL_ERROR:
        return internal_error(v, err);
    case KVM_EXIT_FAIL_ENTRY:
        return fail_entry(v, err);
    default:
        err_set(err, EXIT_STATUS_HOST,
                "engine kvm: the host's KVM left vCPU %u for reason %u, which is not known; use "
                "--engine soft",
                v->index, r->exit_reason);
        return ACCEL_EXIT_ERROR;
    }
}

/* ---- the loop ---- */

static int take_signals(struct accel_vcpu *v, struct err *err)
{
    unsigned s = atomic_exchange(&v->signals, 0);
    return s & ACCEL_SIGNAL_NMI ? kvm_want(v->fd, KVM_NMI, NULL, "an NMI", err) : 0;
}

static enum accel_exit failed(struct accel_vcpu *v, struct err *err)
{
    err_set(err, EXIT_STATUS_HOST, "engine kvm: vCPU %u cannot run: %s%s", v->index, strerror(errno),
            errno == ENOMEM || errno == EFAULT ? "; the host may be out of memory" : "; use --engine soft");
    return ACCEL_EXIT_ERROR;
}

static enum accel_exit loop(struct accel_vcpu *v, struct err *err)
{
    for (;;) {
        if (take_signals(v, err) || kvm_offer_extint(v, err))
            return ACCEL_EXIT_ERROR;
        if (ioctl(v->fd, KVM_RUN, 0) == 0) {
            enum accel_exit e = handle(v, err);
            if (e != ACCEL_EXIT_KICKED)
                return e;
        } else if (errno == EINTR || errno == EAGAIN) {
            __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
            if (atomic_exchange(&v->kicked, false))
                return ACCEL_EXIT_KICKED;
        } else {
            return failed(v, err);
        }
    }
}

enum accel_exit kvm_run_vcpu(struct accel_vcpu *v, struct err *err)
{
    if (v->refused.status) {
        *err = v->refused;
        return ACCEL_EXIT_ERROR;
    }
    kick_open();
    atomic_store(&v->tid, kick_self());
    enum accel_exit e = loop(v, err);
    atomic_store(&v->tid, 0);
    return e;
}
