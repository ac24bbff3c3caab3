/* SPDX-License-Identifier: MIT */
/*
 * One frame a system call. Offloads pass through as the header tells them; what the sink does not take is
 * finished here (net/segment.h), as the kernel's claims are those of whoever sent the frame to it.
 */
#include "net/vnet_port.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/segment.h"
#include "net/wire.h"

#define BURST 64 /* frames before the loop's other work gets its turn */

struct vnet_port {
    struct net_port port; /* first */
    int fd;
    bool tags_aside, dead;
    u32 accept, accepts; /* what the sink takes, what we take, unfinished */
    struct event_loop *loop;
    struct event_watch *watch;
    u8 buffer[FRAME_TAG + FRAME_MAX]; /* room for a tag that was aside */
};

/* ---- to the kernel ---- */

static bool port_send(struct net_port *p, const struct frame *f)
{
    struct vnet_port *v = (struct vnet_port *)p;
    struct virtio_net_hdr h = {.flags = f->offload.flags & FRAME_NEEDS_CSUM,
                               .gso_type = f->offload.gso,
                               .hdr_len = f->offload.hdr_len,
                               .gso_size = f->offload.gso_size,
                               .csum_start = f->offload.csum_start,
                               .csum_offset = f->offload.csum_offset};
    struct iovec iov[3] = {{&h, sizeof(h)}};
    int n = frame_iov(f, iov + 1);
    if (h.gso_type && !h.hdr_len)
        h.hdr_len = frame_layers(f).payload;
    return writev(v->fd, iov, 1 + n) >= 0; /* a full queue drops */
}

static u32 port_accepts(struct net_port *p)
{
    return ((struct vnet_port *)p)->accepts;
}

static void port_set_accepts(struct net_port *p, u32 accept)
{
    __atomic_store_n(&((struct vnet_port *)p)->accept, accept, __ATOMIC_RELAXED);
}

/* ---- from the kernel ---- */

/* The tag that a packet socket tells beside a frame, put back; returns where the frame begins. */
static u8 *put_tag_back(struct vnet_port *v, struct msghdr *m)
{
    u8 *frame = v->buffer + FRAME_TAG;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        struct tpacket_auxdata aux;
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA ||
            c->cmsg_len < CMSG_LEN(sizeof(aux)))
            continue;
        memcpy(&aux, CMSG_DATA(c), sizeof(aux));
        if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
            continue;
        u16 tpid = aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETHERTYPE_VLAN;
        memmove(v->buffer, frame, 12);
        store_be16(v->buffer + 12, tpid);
        store_be16(v->buffer + 14, aux.tp_vlan_tci);
        return v->buffer;
    }
    return frame;
}

static void give(void *opaque, const struct frame *f)
{
    struct vnet_port *v = opaque;
    if (v->port.sink.receive)
        v->port.sink.receive(v->port.sink.opaque, f);
}

static void deliver(struct vnet_port *v, u8 *frame, size_t len, const struct virtio_net_hdr *h)
{
    u16 moved = frame == v->buffer ? FRAME_TAG : 0;
    struct frame f = frame_plain(frame, len);
    f.offload = (struct frame_offload){.flags = h->flags & (FRAME_NEEDS_CSUM | FRAME_DATA_VALID),
                                       .gso = h->gso_type,
                                       .gso_size = h->gso_size};
    if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        f.offload.csum_start = (u16)(h->csum_start + moved);
        f.offload.csum_offset = h->csum_offset;
    }
    u32 accept = __atomic_load_n(&v->accept, __ATOMIC_RELAXED);
    if (frame_needs(&f) & ~accept) {
        if (frame_check(&f))
            frame_finish(&f, accept, give, v);
    } else {
        give(v, &f);
    }
}

static ssize_t receive_one(struct vnet_port *v, struct virtio_net_hdr *h, u8 **frame)
{
    u8 control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    struct iovec iov[2] = {{h, sizeof(*h)}, {v->buffer + FRAME_TAG, FRAME_MAX}};
    struct msghdr m = {
        .msg_iov = iov, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t n = v->tags_aside ? recvmsg(v->fd, &m, MSG_DONTWAIT) : readv(v->fd, iov, 2);
    *frame = v->buffer + FRAME_TAG;
    if (n < (ssize_t)sizeof(*h))
        return n < 0 ? -1 : 0;
    n -= (ssize_t)sizeof(*h);
    if (!v->tags_aside || n < FRAME_MIN)
        return n;
    *frame = m.msg_flags & MSG_CTRUNC ? *frame : put_tag_back(v, &m);
    return *frame == v->buffer ? n + FRAME_TAG : n;
}

static void go_down(struct vnet_port *v)
{
    v->dead = true;
    event_loop_remove(v->loop, v->watch);
    v->watch = NULL;
    if (v->port.sink.down)
        v->port.sink.down(v->port.sink.opaque, "the host's network interface is gone");
}

static void on_event(void *opaque, int events)
{
    struct vnet_port *v = opaque;
    struct virtio_net_hdr h;
    u8 *frame;
    ssize_t n = 0;
    unsigned got = 0;
    for (; got < BURST && (n = receive_one(v, &h, &frame)) >= 0; got++)
        if (n >= FRAME_MIN)
            deliver(v, frame, (size_t)n, &h);
    /* An interface that is switched off says so once, and is waited for. */
    bool gone = n < 0 && errno != EAGAIN && errno != EINTR && errno != ENETDOWN && errno != ENOBUFS;
    if (got && v->port.sink.flush)
        v->port.sink.flush(v->port.sink.opaque);
    if (gone)
        go_down(v);
}

/* ---- life ---- */

static void port_close(struct net_port *p)
{
    struct vnet_port *v = (struct vnet_port *)p;
    event_loop_remove(v->loop, v->watch);
    close(v->fd);
    free(v);
}

static const struct net_port_ops ops = {
    .send = port_send, .accepts = port_accepts, .set_accepts = port_set_accepts, .close = port_close};

struct net_port *vnet_port_new(int fd, bool tags_aside, u32 accepts, struct event_loop *loop, struct err *err)
{
    struct vnet_port *v = calloc(1, sizeof(*v));
    if (v) {
        v->port.ops = &ops;
        v->fd = fd;
        v->tags_aside = tags_aside;
        v->accepts = accepts;
        v->loop = loop;
        v->watch = event_loop_add(loop, fd, EVENT_READ, on_event, v);
    }
    if (v && v->watch)
        return &v->port;
    free(v);
    err_set(err, EXIT_STATUS_HOST, "no memory for a port of the host's");
    return NULL;
}
