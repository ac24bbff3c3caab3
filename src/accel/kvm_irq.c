/* SPDX-License-Identifier: MIT */
/*
 * Interrupts between our chips and KVM's local APICs (split irqchip).
 *
 * MSIs, the I/O APIC's included, go in by KVM_SIGNAL_MSI. For the end of level-triggered ones to come out,
 * KVM must know their messages: it takes the first KVM_ROUTES routes as an I/O APIC's pins and leaves with
 * KVM_EXIT_IOAPIC_EOI when an interrupt that one of them describes ends. So a level-triggered message becomes
 * a route before it is first sent; the least recently sent one gives way, which is none in service unless a
 * guest has that many level interrupts on their way.
 *
 * Edge-triggered messages of a device that asks for it have a route each, behind those, that an eventfd
 * triggers (irqfd); a doorbell is the same in the other direction (ioeventfd). Both are conveniences: a
 * kernel without them is served by KVM_SIGNAL_MSI and exits.
 *
 * The 8259's interrupt is offered by vCPU 0's own thread before KVM_RUN, when KVM says that it would be
 * accepted, else KVM is asked to leave as soon as it would.
 */
#include <stdlib.h>

#include "accel/kvm_parts.h"

#define MSI_LEVEL BIT(15)

/* KVM_X2APIC_API_USE_32BIT_IDS: destination bits 31:8 are bits 31:8 of the address's high half. Ours are bits
 * 11:5 of the low half (KVM_FEATURE_MSI_EXT_DEST_ID). */
static u32 address_high(u64 address)
{
    return bits(address, 11, 5) << 8;
}

static u32 address_low(u64 address)
{
    return (u32)address & ~0xfe0u;
}

static void add_route(struct kvm_irq_routing *t, u32 gsi, u64 address, u32 data)
{
    struct kvm_irq_routing_entry *e = &t->entries[t->nr++];
    *e = (struct kvm_irq_routing_entry){.gsi = gsi, .type = KVM_IRQ_ROUTING_MSI};
    e->u.msi.address_lo = address_low(address);
    e->u.msi.address_hi = address_high(address);
    e->u.msi.data = data;
}

static int set_routes(struct accel_vm *vm)
{
    u8 buf[sizeof(struct kvm_irq_routing) + (KVM_ROUTES + KVM_SOURCES) * sizeof(struct kvm_irq_routing_entry)]
        __attribute__((aligned(8)));
    struct kvm_irq_routing *t = (struct kvm_irq_routing *)buf;
    memset(buf, 0, sizeof(buf));
    for (u32 i = 0; i < vm->route_count; i++)
        add_route(t, i, vm->route[i].address, vm->route[i].data);
    for (u32 i = 0; i < vm->source_count; i++)
        add_route(t, KVM_ROUTES + i, vm->source[i].address, vm->source[i].data);
    return kvm_call(vm->fd, KVM_SET_GSI_ROUTING, t);
}

static struct kvm_level_route *oldest_route(struct accel_vm *vm)
{
    struct kvm_level_route *oldest = &vm->route[0];
    if (vm->route_count < KVM_ROUTES)
        return &vm->route[vm->route_count++];
    for (u32 i = 1; i < KVM_ROUTES; i++)
        if (vm->route_turn - vm->route[i].used > vm->route_turn - oldest->used)
            oldest = &vm->route[i];
    return oldest;
}

static void know_level(struct accel_vm *vm, u64 address, u32 data)
{
    pthread_mutex_lock(&vm->lock);
    vm->route_turn++;
    for (u32 i = 0; i < vm->route_count; i++) {
        struct kvm_level_route *r = &vm->route[i];
        if (r->address != address || r->data != data)
            continue;
        r->used = vm->route_turn;
        pthread_mutex_unlock(&vm->lock);
        return;
    }
    *oldest_route(vm) = (struct kvm_level_route){address, data, vm->route_turn};
    bug_on(set_routes(vm) < 0, "KVM refused %u routes", vm->route_count);
    pthread_mutex_unlock(&vm->lock);
}

int kvm_routes_restore(struct accel_vm *vm, struct err *err)
{
    pthread_mutex_lock(&vm->lock);
    int r = set_routes(vm);
    pthread_mutex_unlock(&vm->lock);
    return r < 0 ? err_set(err, EXIT_STATUS_HOST,
                           "engine kvm: the host's KVM refused the saved interrupt routes")
                 : 0;
}

/* A message that names no processor is delivered to none: KVM's result says so and nobody asks. */
void kvm_msi(struct accel_vm *vm, u64 address, u32 data)
{
    if (address >> 20 != 0xfee)
        return; /* an ordinary address is the sender's to write */
    if (data & MSI_LEVEL)
        know_level(vm, address, data);
    struct kvm_msi m = {
        .address_lo = address_low(address), .address_hi = address_high(address), .data = data};
    kvm_call(vm->fd, KVM_SIGNAL_MSI, &m);
}

/* ---- eventfds ---- */

void kvm_find_eventfds(struct accel_vm *vm)
{
    int routes = kvm_has(vm->device, KVM_CAP_IRQ_ROUTING);
    if (kvm_has(vm->device, KVM_CAP_IRQFD) && routes > KVM_ROUTES)
        vm->source_max = routes - KVM_ROUTES < KVM_SOURCES ? (u32)routes - KVM_ROUTES : KVM_SOURCES;
    vm->doorbells =
        kvm_has(vm->device, KVM_CAP_IOEVENTFD) && kvm_has(vm->device, KVM_CAP_IOEVENTFD_ANY_LENGTH);
}

/* Lock held. A new source's route stands before its eventfd can trigger it. */
static int bind_source(struct accel_vm *vm, unsigned *id, int fd, struct kvm_source message)
{
    bool fresh = !*id;
    if (fresh && vm->source_count == vm->source_max)
        return -1;
    u32 n = fresh ? vm->source_count : *id - 1;
    vm->source[n] = message;
    vm->source_count += fresh;
    struct kvm_irqfd i = {.fd = (u32)fd, .gsi = KVM_ROUTES + n};
    if (set_routes(vm) < 0 || (fresh && kvm_call(vm->fd, KVM_IRQFD, &i) < 0)) {
        vm->source_count -= fresh;
        return -1;
    }
    *id = n + 1;
    return 0;
}

int kvm_msi_bind(struct accel_vm *vm, unsigned *id, int fd, u64 address, u32 data)
{
    if (address >> 20 != 0xfee || data & MSI_LEVEL)
        return -1;
    pthread_mutex_lock(&vm->lock);
    int r = bind_source(vm, id, fd, (struct kvm_source){address, data});
    pthread_mutex_unlock(&vm->lock);
    return r;
}

int kvm_doorbell(struct accel_vm *vm, u64 gpa, int fd, bool on)
{
    struct kvm_ioeventfd e = {.addr = gpa, .fd = fd, .flags = on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN};
    return vm->doorbells ? kvm_call(vm->fd, KVM_IOEVENTFD, &e) : -1;
}

/* ---- the 8259 ---- */

int kvm_offer_extint(struct accel_vcpu *v, struct err *err)
{
    v->run->request_interrupt_window = 0;
    if (!v->apic.pending || v->apic.pending(v->apic.opaque) < 0)
        return 0;
    if (!v->run->ready_for_interrupt_injection) {
        v->run->request_interrupt_window = 1;
        return 0;
    }
    int vector = v->apic.acknowledge(v->apic.opaque);
    if (vector < 0)
        return 0;
    struct kvm_interrupt i = {.irq = (u32)vector};
    v->run->ready_for_interrupt_injection = 0; /* of this one; KVM_RUN tells anew */
    return kvm_want(v->fd, KVM_INTERRUPT, &i, "an interrupt of the 8259", err);
}
