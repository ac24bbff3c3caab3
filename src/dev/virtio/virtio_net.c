/* SPDX-License-Identifier: MIT */
/*
 * virtio-net: frames out of queue 1 to the port, frames from the port into queue 0.
 *
 * A header of 12 bytes stands before every frame (5.1.6). Without offloads the device reads nothing from it
 * and writes only num_buffers; checksum and segmentation offload would fill the rest in put_header() and read
 * it in transmit(). A frame that finds no buffers, or no room at the port, is dropped and counted: the
 * guest's protocols expect that of a network, and nothing here ever waits.
 */
#include "dev/virtio/virtio_net.h"

#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdlib.h>

#include "dev/virtio/virtio.h"
#include "net/segment.h"

enum { RX, TX };

#define HEADER     12
#define MERGE_MAX  64 /* buffers one frame may be spread over */
#define CONFIG_LEN 8  /* mac, status */

_Static_assert(sizeof(struct virtio_net_hdr_v1) == HEADER, "the header of virtio 1.x");

struct net {
    struct virtio virtio; /* first */
    struct net_port *port;
    struct virtio_net_counters counters;
    u8 config[CONFIG_LEN];
    struct vq_chain chain, first; /* scratch */
    u8 frame[FRAME_MAX];          /* scratch of transmit() */
};

/* --- guest to port --- */

static u32 transmit(struct virtio *v, struct vq_chain *c)
{
    struct net *n = (struct net *)v;
    u64 len = c->out_len - HEADER;
    bool ok = c->out_len >= HEADER + FRAME_MIN && len <= FRAME_MAX;
    if (ok) {
        vq_read(&v->vq[TX], c, HEADER, n->frame, len);
        struct frame f = frame_plain(n->frame, len);
        ok = n->port->ops->send(n->port, &f);
    }
    *(ok ? &n->counters.tx : &n->counters.tx_dropped) += 1;
    return 0;
}

/* --- port to guest --- */

static void put_header(struct net *n, const struct vq_chain *c, u16 buffers)
{
    struct virtio_net_hdr_v1 h = {.gso_type = VIRTIO_NET_HDR_GSO_NONE, .num_buffers = buffers};
    vq_write(&n->virtio.vq[RX], c, 0, &h, HEADER);
}

/* As much as a buffer takes of the frame's bytes from `done` on. */
static size_t put_bytes(struct virtqueue *vq, const struct vq_chain *c, size_t skip, const struct frame *f,
                        size_t done)
{
    size_t part = 0;
    if (done < f->head_len)
        part = vq_write(vq, c, skip, f->head + done, f->head_len - done);
    if (done + part >= f->head_len)
        part +=
            vq_write(vq, c, skip + part, f->body + (done + part - f->head_len), frame_len(f) - done - part);
    return part;
}

/* Spreads the frame over as many buffers as it takes (5.1.6.4); they show up only once it is whole. */
static bool deliver(struct net *n, const struct frame *f)
{
    struct virtio *v = &n->virtio;
    struct virtqueue *vq = &v->vq[RX];
    unsigned max = virtio_has(v, VIRTIO_NET_F_MRG_RXBUF) ? MERGE_MAX : 1, used = 0;
    size_t done = 0, len = frame_len(f);
    while (used < max && (used == 0 || done < len)) {
        struct vq_chain *c = used ? &n->chain : &n->first;
        if (virtio_pop(v, RX, c) <= 0)
            break;
        size_t skip = used ? 0 : HEADER;
        size_t part = put_bytes(vq, c, skip, f, done);
        done += part;
        vq_fill(vq, used++, c->head, (u32)(part + skip));
    }
    if (done < len || n->first.in_len < HEADER) {
        vq_unpop(vq, used);
        return false;
    }
    put_header(n, &n->first, (u16)used);
    vq_show(vq, used);
    virtio_interrupt(v, RX);
    return true;
}

static void deliver_finished(void *opaque, const struct frame *f)
{
    struct net *n = opaque;
    bool ok = virtio_running(&n->virtio) && deliver(n, f);
    *(ok ? &n->counters.rx : &n->counters.rx_dropped) += 1;
}

static void receive(void *opaque, const struct frame *f)
{
    struct net *n = opaque;
    dev_lock(&n->virtio.pci.dev);
    if (frame_check(f))
        frame_finish(f, 0, deliver_finished, n);
    else
        n->counters.rx_dropped++;
    dev_unlock(&n->virtio.pci.dev);
}

/* --- the device --- */

static void kick(struct virtio *v, unsigned q)
{
    if (q == TX)
        virtio_defer(v, TX);
    else
        vq_want_notify(&v->vq[RX], false); /* buffers are looked for when a frame comes */
}

static bool run(struct virtio *v, unsigned q)
{
    struct net *n = (struct net *)v;
    bool more = virtio_drain(v, q, &n->chain, transmit);
    net_port_flush(n->port);
    return more;
}

void virtio_net_counters(struct dev *d, struct virtio_net_counters *out)
{
    dev_lock(d);
    *out = ((struct net *)d)->counters;
    dev_unlock(d);
}

static void net_destroy(struct dev *d)
{
    struct net *n = (struct net *)d;
    n->port->ops->close(n->port);
    virtio_fini(&n->virtio);
    free(n);
}

static const struct state_field net_fields[] = {VIRTIO_STATE(struct net, virtio), STATE_END};
static const struct state_desc net_state = {
    .name = "virtio-net", .fields = net_fields, .loaded = virtio_loaded};

static const struct dev_class net_class = {
    .name = "virtio-net",
    .reset = virtio_reset,
    .destroy = net_destroy,
    .state = &net_state,
};

static const struct virtio_ops net_ops = {
    .type = VIRTIO_ID_NET,
    .class_code = 0x020000,
    .features = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_MRG_RXBUF),
    .config_len = CONFIG_LEN,
    .queue_size = {256, 256},
    .kick = kick,
    .run = run,
};

struct dev *virtio_net_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot,
                           struct net_port *port, const u8 mac[6], struct err *err)
{
    struct net *n = calloc(1, sizeof(*n));
    if (!n) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for virtio-net");
        return NULL;
    }
    memcpy(n->config, mac, 6);
    store_le(n->config + 6, 2, VIRTIO_NET_S_LINK_UP);
    if (virtio_init(&n->virtio, &net_class, env, bus, slot, &net_ops, ~0ull, n->config, err) < 0) {
        free(n);
        return NULL;
    }
    n->port = port;
    port->sink = (struct frame_sink){.receive = receive, .opaque = n};
    return &n->virtio.pci.dev;
}
