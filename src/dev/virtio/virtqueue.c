/* SPDX-License-Identifier: MIT */
/*
 * Split virtqueues, device side (virtio 1.3 2.7).
 *
 * The order of memory accesses is the whole protocol. Indices, flags and event fields are read and written
 * sequentially consistent: that orders entries before the index that shows them, and our store of one side
 * before our load of the other's (2.7.7.1, 2.7.10.1), which acquire and release alone would not.
 */
#include "dev/virtio/virtqueue.h"

#include <linux/virtio_ring.h>

#define AVAIL_BYTES(n) (4 + 2 * (n) + 2)
#define USED_BYTES(n)  (4 + 8 * (n) + 2)

/* --- places in guest memory --- */

/* Host address of len bytes, all in one bank of RAM; NULL otherwise. */
static void *ram(const struct virtqueue *vq, u64 gpa, u64 len)
{
    u64 room;
    void *p = space_ram(vq->memory, gpa, &room);
    return p && len <= room ? p : NULL;
}

static int break_queue(struct virtqueue *vq)
{
    vq->broken = 1;
    return -1;
}

static bool read_u16(struct virtqueue *vq, u64 gpa, u16 *v)
{
    const u16 *p = ram(vq, gpa, 2);
    if (!p) {
        break_queue(vq);
        return false;
    }
    *v = __atomic_load_n(p, __ATOMIC_SEQ_CST);
    return true;
}

static void write_u16(struct virtqueue *vq, u64 gpa, u16 v)
{
    u16 *p = ram(vq, gpa, 2);
    if (!p) {
        break_queue(vq);
        return;
    }
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);
    space_written(vq->memory, gpa, 2);
}

/* Where the parts of the ring lie. */
static u64 avail_idx(const struct virtqueue *vq)
{
    return vq->avail + 2;
}

static u64 avail_entry(const struct virtqueue *vq, u16 i)
{
    return vq->avail + 4 + 2 * (i & (vq->size - 1));
}

static u64 used_event(const struct virtqueue *vq)
{
    return vq->avail + 4 + 2 * vq->size;
}

static u64 used_idx(const struct virtqueue *vq)
{
    return vq->used_ring + 2;
}

static u64 avail_event(const struct virtqueue *vq)
{
    return vq->used_ring + 4 + 8 * vq->size;
}

/* --- life --- */

void vq_init(struct virtqueue *vq, struct space *memory, u16 size_max)
{
    *vq = (struct virtqueue){.memory = memory, .size_max = size_max};
    vq_reset(vq);
}

void vq_reset(struct virtqueue *vq)
{
    *vq = (struct virtqueue){
        .memory = vq->memory, .size_max = vq->size_max, .size = vq->size_max, .vector = VQ_NO_VECTOR};
}

static bool size_ok(const struct virtqueue *vq)
{
    return vq->size && vq->size <= vq->size_max && !(vq->size & (vq->size - 1));
}

/* 2.7: alignment of the three parts. */
static bool places_ok(const struct virtqueue *vq)
{
    return !(vq->desc & 15) && !(vq->avail & 1) && !(vq->used_ring & 3) &&
           ram(vq, vq->desc, 16ull * vq->size) && ram(vq, vq->avail, AVAIL_BYTES(vq->size)) &&
           ram(vq, vq->used_ring, USED_BYTES(vq->size));
}

void vq_check(struct virtqueue *vq)
{
    if (vq->enabled && (!size_ok(vq) || !places_ok(vq)))
        vq->broken = 1;
    if (!size_ok(vq))
        vq->size = vq->size_max;
}

void vq_enable(struct virtqueue *vq)
{
    vq->enabled = 1;
    vq_check(vq);
}

/* --- taking requests --- */

/* How many entries the driver has made available; a jump beyond the ring breaks the queue. */
static int available(struct virtqueue *vq)
{
    u16 idx;
    if (!vq->enabled || vq->broken)
        return vq->broken ? -1 : 0;
    if (!read_u16(vq, avail_idx(vq), &idx))
        return -1;
    u16 n = (u16)(idx - vq->last_avail);
    return n > vq->size ? break_queue(vq) : n;
}

bool vq_empty(struct virtqueue *vq)
{
    return available(vq) <= 0;
}

/* Adds a descriptor's buffer, which must be RAM, though it may span banks. */
static int add_seg(struct virtqueue *vq, struct vq_chain *c, const struct vring_desc *d)
{
    bool in = d->flags & VRING_DESC_F_WRITE;
    unsigned n = c->n_out + c->n_in;
    if (n == VQ_SEGS_MAX || (!in && c->n_in)) /* 2.7.4.2: readable before writable */
        return -1;
    for (u64 at = 0, room; at < d->len; at += room)
        if (!space_ram(vq->memory, d->addr + at, &room))
            return -1;
    if (!d->len && !space_ram(vq->memory, d->addr, NULL))
        return -1;
    c->seg[n] = (struct vq_seg){d->addr, d->len};
    *(in ? &c->n_in : &c->n_out) += 1;
    *(in ? &c->in_len : &c->out_len) += d->len;
    return 0;
}

/* Walks a table of `size` descriptors from `at`. More steps than descriptors means a loop. 0: the chain
 * ended; 1: it goes on in an indirect table, which *out describes; -1: it is broken. */
static int walk(struct virtqueue *vq, struct vq_chain *c, u64 table, u32 size, u32 at, struct vring_desc *out)
{
    for (u32 steps = 0; steps < size && at < size; steps++) {
        const void *p = ram(vq, table + 16ull * at, 16);
        if (!p)
            return -1;
        memcpy(out, p, sizeof(*out));
        __asm__ volatile("" ::: "memory"); /* the copy is what was checked */
        if (out->flags & VRING_DESC_F_INDIRECT)
            return 1;
        if (add_seg(vq, c, out) < 0)
            return -1;
        if (!(out->flags & VRING_DESC_F_NEXT))
            return 0;
        at = out->next;
    }
    return -1;
}

/* 2.7.5.3: an indirect table holds a whole number of descriptors, and no INDIRECT or beyond-the-end inside
 * it. */
static int walk_indirect(struct virtqueue *vq, struct vq_chain *c, const struct vring_desc *d)
{
    struct vring_desc ignored;
    if (d->flags & VRING_DESC_F_NEXT || !d->len || d->len % 16)
        return -1;
    return walk(vq, c, d->addr, d->len / 16, 0, &ignored) == 0 ? 0 : -1;
}

int vq_pop(struct virtqueue *vq, struct vq_chain *c)
{
    struct vring_desc d;
    int n = available(vq);
    if (n <= 0)
        return n;
    c->n_out = c->n_in = 0;
    c->out_len = c->in_len = 0;
    if (!read_u16(vq, avail_entry(vq, vq->last_avail), &c->head))
        return -1;
    int r = walk(vq, c, vq->desc, vq->size, c->head, &d);
    if (r == 1)
        r = walk_indirect(vq, c, &d);
    if (r < 0)
        return break_queue(vq);
    vq->last_avail++;
    return 1;
}

void vq_unpop(struct virtqueue *vq, unsigned n)
{
    vq->last_avail = (u16)(vq->last_avail - n);
}

/* --- buffers --- */

/* Bytes that lie together in host memory. */
struct piece {
    u64 gpa;
    void *host;
    u64 len;
};

/* A way through [off, off+len) of a chain's in or out half, piece by piece. */
struct cursor {
    const struct virtqueue *vq;
    const struct vq_seg *seg, *end;
    u64 skip; /* bytes of *seg already behind us */
    u64 left; /* bytes still wanted */
};

static struct cursor cursor_at(const struct virtqueue *vq, const struct vq_chain *c, bool in, u64 off,
                               u64 len)
{
    const struct vq_seg *first = c->seg + (in ? c->n_out : 0);
    return (struct cursor){vq, first, first + (in ? c->n_in : c->n_out), off, len};
}

/* The next contiguous piece of host memory; false at the end. */
static bool next_piece(struct cursor *k, struct piece *out)
{
    while (k->seg < k->end && k->skip >= k->seg->len)
        k->skip -= k->seg++->len;
    if (k->seg == k->end || !k->left)
        return false;
    u64 room, n = k->seg->len - k->skip;
    out->gpa = k->seg->gpa + k->skip;
    out->host = space_ram(k->vq->memory, out->gpa, &room);
    if (!out->host) /* RAM when it was popped; the driver has taken it away since */
        return false;
    n = n < room ? n : room;
    out->len = n < k->left ? n : k->left;
    k->skip += out->len;
    k->left -= out->len;
    return true;
}

size_t vq_read(const struct virtqueue *vq, const struct vq_chain *c, u64 off, void *buf, size_t len)
{
    struct cursor k = cursor_at(vq, c, false, off, len);
    size_t done = 0;
    for (struct piece p; next_piece(&k, &p); done += p.len)
        memcpy((u8 *)buf + done, p.host, p.len);
    return done;
}

size_t vq_write(const struct virtqueue *vq, const struct vq_chain *c, u64 off, const void *buf, size_t len)
{
    struct cursor k = cursor_at(vq, c, true, off, len);
    size_t done = 0;
    for (struct piece p; next_piece(&k, &p); done += p.len) {
        memcpy(p.host, (const u8 *)buf + done, p.len);
        space_written(vq->memory, p.gpa, p.len);
    }
    return done;
}

int vq_iov(const struct virtqueue *vq, const struct vq_chain *c, bool in, u64 off, u64 len, struct iovec *iov,
           int max)
{
    struct cursor k = cursor_at(vq, c, in, off, len);
    int n = 0;
    for (struct piece p; next_piece(&k, &p); n++) {
        if (n == max)
            return -1;
        iov[n] = (struct iovec){p.host, p.len};
    }
    return n;
}

void vq_written(const struct virtqueue *vq, const struct vq_chain *c, u64 off, u64 len)
{
    struct cursor k = cursor_at(vq, c, true, off, len);
    for (struct piece p; next_piece(&k, &p);)
        space_written(vq->memory, p.gpa, p.len);
}

/* --- giving back --- */

void vq_fill(struct virtqueue *vq, unsigned n, u16 head, u32 written)
{
    u64 gpa = vq->used_ring + 4 + 8 * ((vq->used + n) & (vq->size - 1));
    struct vring_used_elem *e = vq->broken ? NULL : ram(vq, gpa, sizeof(*e));
    if (!e)
        return;
    e->id = head;
    e->len = written;
    space_written(vq->memory, gpa, sizeof(*e));
}

void vq_show(struct virtqueue *vq, unsigned n)
{
    if (vq->broken)
        return;
    vq->used = (u16)(vq->used + n);
    write_u16(vq, used_idx(vq), vq->used);
}

bool vq_wants_interrupt(struct virtqueue *vq)
{
    u16 v, old = vq->signalled;
    bool valid = vq->signalled_valid;
    if (!vq->enabled || vq->broken)
        return false;
    if (!vq->event_idx)
        return read_u16(vq, vq->avail, &v) && !(v & VRING_AVAIL_F_NO_INTERRUPT);
    vq->signalled = vq->used;
    vq->signalled_valid = 1;
    if (!read_u16(vq, used_event(vq), &v))
        return false;
    return !valid || vring_need_event(v, vq->used, old);
}

void vq_want_notify(struct virtqueue *vq, bool on)
{
    if (!vq->enabled || vq->broken)
        return;
    if (!vq->event_idx)
        write_u16(vq, vq->used_ring, on ? 0 : VRING_USED_F_NO_NOTIFY);
    else if (on)
        write_u16(vq, avail_event(vq), vq->last_avail);
}
