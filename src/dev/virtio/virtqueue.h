/* SPDX-License-Identifier: MIT */
/*
 * A split virtqueue as the device sees it (virtio 1.3 2.7): indirect descriptors and event index included.
 *
 * Everything in the ring is the guest's and may change while it is read: each value is fetched once, checked,
 * then used. Rings and buffers must lie in RAM, so no DMA ever ends in a device's registers (where it could
 * come back to us). Whatever breaks a rule breaks the queue: it stays stopped until the driver resets the
 * device.
 *
 * A chain's addresses stay valid as guest addresses; host pointers made from them (vq_iov) may be kept for
 * the time of one request. Not thread-safe: the device's lock.
 */
#ifndef DEV_VIRTIO_VIRTQUEUE_H
#define DEV_VIRTIO_VIRTQUEUE_H

#include <sys/uio.h>

#include "mem/space.h"

#define VQ_SIZE_MAX  256
#define VQ_SEGS_MAX  256 /* descriptors in a chain */
#define VQ_NO_VECTOR 0xffff

struct virtqueue {
    struct space *memory;
    u16 size_max; /* what the device offers; a power of two <= VQ_SIZE_MAX; 0: no such queue */
    u16 size;     /* what the driver took */
    u16 vector;   /* MSI-X vector, VQ_NO_VECTOR none */
    u8 enabled;
    u8 broken;
    u8 event_idx;               /* VIRTIO_F_EVENT_IDX was negotiated */
    u8 signalled_valid;         /* signalled says something */
    u16 last_avail;             /* next entry of the available ring to take */
    u16 used;                   /* next entry of the used ring to fill */
    u16 signalled;              /* `used` when the driver was last interrupted */
    u64 desc, avail, used_ring; /* guest addresses */
};

/* Fields of a struct virtqueue for a device's state table; m: its path inside type. */
#define VIRTQUEUE_STATE(type, m)                                                                             \
    STATE_FIELD(type, m.size), STATE_FIELD(type, m.vector), STATE_FIELD(type, m.enabled),                    \
        STATE_FIELD(type, m.broken), STATE_FIELD(type, m.event_idx), STATE_FIELD(type, m.signalled_valid),   \
        STATE_FIELD(type, m.last_avail), STATE_FIELD(type, m.used), STATE_FIELD(type, m.signalled),          \
        STATE_FIELD(type, m.desc), STATE_FIELD(type, m.avail), STATE_FIELD(type, m.used_ring)

struct vq_seg {
    u64 gpa;
    u32 len;
};

/* One request: out segments (the device reads), then in segments (the device writes). All in RAM. */
struct vq_chain {
    u16 head;
    u16 n_out, n_in;
    u64 out_len, in_len; /* bytes */
    struct vq_seg seg[VQ_SEGS_MAX];
};

void vq_init(struct virtqueue *vq, struct space *memory, u16 size_max);
void vq_reset(struct virtqueue *vq);
/* The driver enables the queue: checks size and places; a bad one is broken at once. */
void vq_enable(struct virtqueue *vq);
/* After loading state: a size or place that cannot be makes the queue broken. */
void vq_check(struct virtqueue *vq);

/* 1: c is the next request; 0: there is none; -1: the queue is broken. */
int vq_pop(struct virtqueue *vq, struct vq_chain *c);
/* Takes back the last n pops. */
void vq_unpop(struct virtqueue *vq, unsigned n);
bool vq_empty(struct virtqueue *vq);

/* Copies at most len bytes from byte off of the out (in) segments; returns how many there were. */
size_t vq_read(const struct virtqueue *vq, const struct vq_chain *c, u64 off, void *buf, size_t len);
size_t vq_write(const struct virtqueue *vq, const struct vq_chain *c, u64 off, const void *buf, size_t len);
/* Host addresses of bytes [off, off+len) of the in or out segments, fewer when the chain ends earlier.
 * Returns the number of vectors used, or -1: max is too small. Whoever writes through them calls vq_written()
 * after. */
int vq_iov(const struct virtqueue *vq, const struct vq_chain *c, bool in, u64 off, u64 len, struct iovec *iov,
           int max);
void vq_written(const struct virtqueue *vq, const struct vq_chain *c, u64 off, u64 len);

/* Puts a request on the used ring as the n-th not yet shown, then shows n of them. */
void vq_fill(struct virtqueue *vq, unsigned n, u16 head, u32 written);
void vq_show(struct virtqueue *vq, unsigned n);
static inline void vq_push(struct virtqueue *vq, u16 head, u32 written)
{
    vq_fill(vq, 0, head, written);
    vq_show(vq, 1);
}

/* True if the driver wants an interrupt for what was shown since the last time this returned true. */
bool vq_wants_interrupt(struct virtqueue *vq);
/* Asks the driver for a notification with the next request (on), or spares it (off). After on: look again. */
void vq_want_notify(struct virtqueue *vq, bool on);

#endif
