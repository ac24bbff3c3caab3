/* SPDX-License-Identifier: MIT */
/* The virtio device status machine, features, and interrupts (virtio 1.3 2, 3). */
#include "dev/virtio/virtio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#define ISR_QUEUE  1
#define ISR_CONFIG 2
#define TRANSPORT_FEATURES                                                                                   \
    (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))
#define STATUS_BITS                                                                                          \
    (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK |                      \
     VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)

bool virtio_has(const struct virtio *v, unsigned feature_bit)
{
    return (v->status & VIRTIO_CONFIG_S_FEATURES_OK) && (v->driver_features >> feature_bit & 1);
}

bool virtio_running(const struct virtio *v)
{
    return (v->status & VIRTIO_CONFIG_S_DRIVER_OK) && !(v->status & VIRTIO_CONFIG_S_NEEDS_RESET) &&
           pci_bus_master(&v->pci);
}

/* --- interrupts: MSI-X when it is on, else INTx through the ISR byte (4.1.4.5) --- */

static void interrupt(struct virtio *v, u16 vector, u8 isr)
{
    if (pci_msix_enabled(&v->pci)) {
        pci_msix_raise(&v->pci, vector);
        return;
    }
    v->isr |= isr;
    pci_intx_set(&v->pci, 1);
}

void virtio_interrupt(struct virtio *v, unsigned q)
{
    if (vq_wants_interrupt(&v->vq[q]))
        interrupt(v, v->vq[q].vector, ISR_QUEUE);
    if (v->vq[q].broken)
        virtio_needs_reset(v);
}

void virtio_config_changed(struct virtio *v)
{
    v->generation++;
    if (v->status & VIRTIO_CONFIG_S_DRIVER_OK)
        interrupt(v, v->config_vector, ISR_CONFIG);
}

void virtio_needs_reset(struct virtio *v)
{
    if (v->status & VIRTIO_CONFIG_S_NEEDS_RESET)
        return;
    v->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    virtio_config_changed(v);
}

int virtio_pop(struct virtio *v, unsigned q, struct vq_chain *c)
{
    if (!virtio_running(v))
        return 0;
    int r = vq_pop(&v->vq[q], c);
    if (r < 0)
        virtio_needs_reset(v);
    return r;
}

/* --- requests served on the event loop --- */

#define DRAIN_MAX 256 /* requests in one go, so that one queue cannot keep the loop */

static void run_deferred(void *opaque)
{
    struct virtio *v = opaque;
    dev_lock(&v->pci.dev);
    u8 queues = v->deferred;
    v->deferred = 0;
    for (unsigned q = 0; q < v->queues; q++)
        if ((queues >> q & 1) && v->ops->run(v, q))
            virtio_defer(v, q);
    dev_unlock(&v->pci.dev);
}

static bool counted(const struct virtio *v)
{
    return clock_mode(v->pci.dev.env->clock) == CLOCK_MODE_ICOUNT;
}

void virtio_defer(struct virtio *v, unsigned q)
{
    if (counted(v)) { /* another thread would be done at another instruction each time */
        while (v->ops->run(v, q))
            ;
        return;
    }
    bool first = !v->deferred;
    v->deferred |= (u8)BIT(q);
    if (first)
        event_loop_post(v->pci.dev.env->loop, run_deferred, v);
}

bool virtio_drain(struct virtio *v, unsigned q, struct vq_chain *c,
                  u32 (*serve)(struct virtio *v, struct vq_chain *c))
{
    struct virtqueue *vq = &v->vq[q];
    unsigned n = 0;
    vq_want_notify(vq, false);
    for (; n < DRAIN_MAX && virtio_pop(v, q, c) > 0; n++)
        vq_push(vq, c->head, serve(v, c));
    if (n < DRAIN_MAX)
        vq_want_notify(vq, true);
    if (n)
        virtio_interrupt(v, q);
    return virtio_running(v) && !vq_empty(vq);
}

/* --- status --- */

static void reset(struct virtio *v)
{
    v->status = 0; /* from here on nothing is taken from the queues */
    virtio_doorbells_update(v);
    if (v->ops->stop)
        v->ops->stop(v);
    for (unsigned q = 0; q < v->queues; q++)
        vq_reset(&v->vq[q]);
    v->driver_features = 0;
    v->device_select = v->driver_select = 0;
    v->queue_select = 0;
    v->config_vector = VQ_NO_VECTOR;
    v->isr = 0;
    pci_intx_set(&v->pci, 0);
}

static bool features_acceptable(const struct virtio *v)
{
    return !(v->driver_features & ~v->offered) && (v->driver_features & BIT(VIRTIO_F_VERSION_1));
}

void virtio_kick_all(struct virtio *v)
{
    for (unsigned q = 0; q < v->queues && virtio_running(v); q++)
        if (v->vq[q].enabled)
            v->ops->kick(v, q);
}

/* A driver only adds bits (2.1.1), or writes 0 to reset. */
void virtio_write_status(struct virtio *v, u8 status)
{
    u8 before = v->status;
    if (!status) {
        reset(v);
        return;
    }
    status &= STATUS_BITS & ~before;
    if ((status & VIRTIO_CONFIG_S_FEATURES_OK) && !features_acceptable(v))
        status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
    if (!((before | status) & VIRTIO_CONFIG_S_FEATURES_OK))
        status &= ~VIRTIO_CONFIG_S_DRIVER_OK;
    v->status = before | status;
    if (status & VIRTIO_CONFIG_S_DRIVER_OK) {
        virtio_doorbells_update(v);
        virtio_kick_all(v);
    }
}

void virtio_notified(struct virtio *v, unsigned q)
{
    if (v->vq[q].enabled && virtio_running(v))
        v->ops->kick(v, q);
}

void virtio_enable_queue(struct virtio *v, unsigned q)
{
    struct virtqueue *vq = &v->vq[q];
    if (vq->enabled)
        return;
    vq->event_idx = virtio_has(v, VIRTIO_RING_F_EVENT_IDX);
    vq_enable(vq);
    if (vq->broken)
        virtio_needs_reset(v);
}

/* --- life --- */

int virtio_init(struct virtio *v, const struct dev_class *class, const struct dev_env *env,
                struct pci_bus *bus, unsigned slot, const struct virtio_ops *ops, u64 features,
                const u8 *config, struct err *err)
{
    const struct pci_ident id = {
        .vendor = 0x1af4,
        .device = (u16)(0x1040 + ops->type),
        .sub_vendor = 0x1af4,
        .sub_device = 0x1100,
        .class_code = ops->class_code,
        .revision = 1,
        .intx_pin = 1,
    };
    if (slot > 31)
        return err_set(err, EXIT_STATUS_USAGE, "too many PCI devices: a bus has 32 slots");
    if (pci_function_init(&v->pci, class, env, bus, (u8)(slot << 3), &id, virtio_pci_function_ops(), err) < 0)
        return -1;
    v->ops = ops;
    v->config = config;
    v->offered = (ops->features & features) | TRANSPORT_FEATURES;
    while (v->queues < VIRTIO_QUEUES_MAX && ops->queue_size[v->queues]) {
        vq_init(&v->vq[v->queues], env->memory, ops->queue_size[v->queues]);
        v->queues++;
    }
    virtio_pci_setup(v);
    virtio_doorbells_open(v);
    virtio_reset(&v->pci.dev);
    return 0;
}

void virtio_fini(struct virtio *v)
{
    virtio_doorbells_close(v);
    pci_function_fini(&v->pci);
}

void virtio_reset(struct dev *d)
{
    struct virtio *v = (struct virtio *)d;
    reset(v);
    v->generation = 0;
    pci_function_reset(&v->pci);
}

static void kick_after_load(void *opaque)
{
    struct virtio *v = opaque;
    dev_lock(&v->pci.dev);
    virtio_kick_all(v);
    dev_unlock(&v->pci.dev);
}

static u16 known_vector(const struct virtio *v, u16 vector)
{
    return vector < v->pci.msix_count ? vector : VQ_NO_VECTOR;
}

/* The file may be anybody's: only values that a driver could have brought about stay. */
int virtio_loaded(void *obj)
{
    struct virtio *v = obj;
    pci_function_loaded(&v->pci);
    v->status &= STATUS_BITS | VIRTIO_CONFIG_S_NEEDS_RESET;
    if ((v->status & VIRTIO_CONFIG_S_FEATURES_OK) && !features_acceptable(v))
        return -1;
    v->config_vector = known_vector(v, v->config_vector);
    for (unsigned q = 0; q < v->queues; q++) {
        v->vq[q].vector = known_vector(v, v->vq[q].vector);
        v->vq[q].event_idx = virtio_has(v, VIRTIO_RING_F_EVENT_IDX);
        vq_check(&v->vq[q]);
    }
    v->isr &= ISR_QUEUE | ISR_CONFIG;
    virtio_doorbells_update(v);
    pci_intx_set(&v->pci, v->isr != 0);
    if (!counted(v)) /* else nothing was under way */
        event_loop_post(v->pci.dev.env->loop, kick_after_load, v);
    return 0;
}
