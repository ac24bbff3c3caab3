/* SPDX-License-Identifier: MIT */
/*
 * Doorbells of virtio queues (dev/doorbell.h): one a queue, at its notification address (virtio 1.3 4.1.4.4),
 * hung up while the driver drives the device and its registers are mapped. A ring is a kick on the event
 * loop's thread; one that comes after a reset finds a queue that does not run, and is nothing.
 */
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include "dev/virtio/virtio.h"

static void on_ring(void *opaque, int events)
{
    struct virtio_doorbell *b = opaque;
    struct virtio *v = b->virtio;
    u64 rings;
    if (read(b->fd, &rings, sizeof(rings)) != sizeof(rings))
        return;
    dev_lock(&v->pci.dev);
    virtio_notified(v, b->queue);
    dev_unlock(&v->pci.dev);
}

static void move(struct virtio_doorbell *b, u64 at)
{
    const struct doorbell_port *port = &b->virtio->pci.dev.env->doorbell;
    if (b->at == at)
        return;
    if (b->at)
        port->take_down(port->opaque, b->at, b->fd);
    b->at = at && port->hang(port->opaque, at, b->fd) == 0 ? at : 0;
}

static bool driven(const struct virtio *v)
{
    return (v->status & VIRTIO_CONFIG_S_DRIVER_OK) && !(v->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

void virtio_doorbells_update(struct virtio *v)
{
    for (unsigned q = 0; q < v->queues; q++)
        if (v->bell[q].watch)
            move(&v->bell[q], driven(v) ? virtio_notify_address(v, q) : 0);
}

/* Without descriptors or memory for them kicks come the plain way. */
void virtio_doorbells_open(struct virtio *v)
{
    const struct dev_env *env = v->pci.dev.env;
    for (unsigned q = 0; q < v->queues && env->doorbell.hang; q++) {
        struct virtio_doorbell *b = &v->bell[q];
        *b = (struct virtio_doorbell){.virtio = v, .queue = q, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
        if (b->fd >= 0)
            b->watch = event_loop_add(env->loop, b->fd, EVENT_READ, on_ring, b);
    }
}

void virtio_doorbells_close(struct virtio *v)
{
    for (unsigned q = 0; q < v->queues; q++) {
        struct virtio_doorbell *b = &v->bell[q];
        if (!b->virtio)
            continue;
        move(b, 0);
        event_loop_remove(v->pci.dev.env->loop, b->watch);
        if (b->fd >= 0)
            close(b->fd);
    }
}
