/* SPDX-License-Identifier: MIT */
/*
 * virtio-net: frames out of queue 1 to the port, frames from the port into queue 0.
 *
 * A header of 12 bytes stands before every frame (5.1.6) and says what is left to do: the driver may leave
 * checksums and segmentation to us if it took VIRTIO_NET_F_CSUM and HOST_TSO*, and we to it if it took
 * GUEST_CSUM and GUEST_TSO*. What the far end does not take is done here (net/segment.h). A frame that finds
 * no buffers, or no room at the port, is dropped and counted: the guest's protocols expect that of a network,
 * and nothing here ever waits.
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
    u8 link_up;                   /* as the guest was last told */
    u32 accepts;                  /* as the port was last told */
    bool interrupt;               /* frames were delivered since the last interrupt */
    struct vq_chain chain, first; /* scratch */
    u8 frame[FRAME_MAX];          /* scratch of transmit() */
};

/* --- offloads --- */

/* Rows of what a FRAME_ACCEPTS_* takes of the driver, by the way frames go (5.1.3.1: TSO needs checksums). */
static const struct {
    u32 accept;
    u8 to_port, to_guest;
} offloads[] = {
    {FRAME_ACCEPTS_CSUM, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM},
    {FRAME_ACCEPTS_TSO4, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_GUEST_TSO4},
    {FRAME_ACCEPTS_TSO6, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_GUEST_TSO6},
    {FRAME_ACCEPTS_ECN, VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_GUEST_ECN},
};

static u32 negotiated(const struct net *n, bool to_guest)
{
    u32 accept = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(offloads); i++)
        if (virtio_has(&n->virtio, to_guest ? offloads[i].to_guest : offloads[i].to_port))
            accept |= offloads[i].accept;
    return accept & FRAME_ACCEPTS_CSUM ? accept : 0;
}

static void tell_accepts(struct net *n, u32 accepts)
{
    if (accepts != n->accepts)
        net_port_set_accepts(n->port, accepts);
    n->accepts = accepts;
}

/* --- guest to port --- */

static void send_frame(void *opaque, const struct frame *f)
{
    struct net *n = opaque;
    bool ok = n->port->ops->send(n->port, f);
    *(ok ? &n->counters.tx : &n->counters.tx_dropped) += 1;
}

/* 5.1.6.2: what the driver did not negotiate it must not ask for; hdr_len and DATA_VALID say nothing to us.
 */
static bool take_frame(struct net *n, const struct vq_chain *c, struct frame *f)
{
    struct virtqueue *vq = &n->virtio.vq[TX];
    struct virtio_net_hdr_v1 h;
    u64 len = c->out_len - HEADER;
    if (c->out_len < HEADER + FRAME_MIN || len > FRAME_MAX)
        return false;
    vq_read(vq, c, 0, &h, HEADER);
    vq_read(vq, c, HEADER, n->frame, len);
    *f = frame_plain(n->frame, len);
    f->offload = (struct frame_offload){.flags = h.flags & FRAME_NEEDS_CSUM,
                                        .gso = h.gso_type,
                                        .gso_size = h.gso_size,
                                        .csum_start = h.csum_start,
                                        .csum_offset = h.csum_offset};
    return frame_check(f) && !(frame_needs(f) & ~negotiated(n, false));
}

static u32 transmit(struct virtio *v, struct vq_chain *c)
{
    struct net *n = (struct net *)v;
    struct frame f;
    if (take_frame(n, c, &f))
        frame_finish(&f, net_port_accepts(n->port), send_frame, n);
    else
        n->counters.tx_dropped++;
    return 0;
}

/* --- port to guest --- */

static void put_header(struct net *n, const struct vq_chain *c, const struct frame *f, u16 buffers)
{
    const struct frame_offload *o = &f->offload;
    struct virtio_net_hdr_v1 h = {.flags = o->flags, .gso_type = o->gso, .num_buffers = buffers};
    if (o->flags & FRAME_NEEDS_CSUM) {
        h.csum_start = o->csum_start;
        h.csum_offset = o->csum_offset;
    }
    if (o->gso) {
        h.gso_size = o->gso_size;
        h.hdr_len = frame_layers(f).payload;
    }
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
    put_header(n, &n->first, f, (u16)used);
    vq_show(vq, used);
    n->interrupt = true;
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
        frame_finish(f, negotiated(n, true), deliver_finished, n);
    else
        n->counters.rx_dropped++;
    dev_unlock(&n->virtio.pci.dev);
}

/* One interrupt a burst. */
static void flush(void *opaque)
{
    struct net *n = opaque;
    dev_lock(&n->virtio.pci.dev);
    if (n->interrupt)
        virtio_interrupt(&n->virtio, RX);
    n->interrupt = false;
    dev_unlock(&n->virtio.pci.dev);
}

/* --- the link --- */

static void set_link(struct net *n, bool up)
{
    store_le(n->config + 6, 2, up ? VIRTIO_NET_S_LINK_UP : 0);
    if (n->link_up == up)
        return;
    n->link_up = up;
    virtio_config_changed(&n->virtio);
}

static void look_at_link(void *opaque)
{
    struct net *n = opaque;
    dev_lock(&n->virtio.pci.dev);
    set_link(n, net_port_up(n->port));
    dev_unlock(&n->virtio.pci.dev);
}

static void link_down(void *opaque, const char *why)
{
    struct net *n = opaque;
    dev_lock(&n->virtio.pci.dev);
    set_link(n, false);
    dev_unlock(&n->virtio.pci.dev);
}

/* --- the device --- */

/* Also the first sign that the driver is there and has negotiated. */
static void kick(struct virtio *v, unsigned q)
{
    struct net *n = (struct net *)v;
    tell_accepts(n, negotiated(n, true));
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

static void stop(struct virtio *v)
{
    struct net *n = (struct net *)v;
    n->interrupt = false;
    tell_accepts(n, 0);
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

/* The link may be another one than when the state was saved: the guest hears of it once all is loaded. */
static int net_loaded(void *obj)
{
    struct net *n = obj;
    int r = virtio_loaded(obj);
    n->link_up = n->link_up != 0;
    event_loop_post(n->virtio.pci.dev.env->loop, look_at_link, n);
    return r;
}

static const struct state_field net_fields[] = {VIRTIO_STATE(struct net, virtio),
                                                STATE_FIELD(struct net, link_up), STATE_END};
static const struct state_desc net_state = {.name = "virtio-net", .fields = net_fields, .loaded = net_loaded};

static const struct dev_class net_class = {
    .name = "virtio-net",
    .reset = virtio_reset,
    .destroy = net_destroy,
    .state = &net_state,
};

static const struct virtio_ops net_ops = {
    .type = VIRTIO_ID_NET,
    .class_code = 0x020000,
    .features = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
                BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |
                BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
                BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN),
    .config_len = CONFIG_LEN,
    .queue_size = {256, 256},
    .kick = kick,
    .run = run,
    .stop = stop,
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
    n->port = port;
    n->link_up = net_port_up(port);
    set_link(n, n->link_up);
    if (virtio_init(&n->virtio, &net_class, env, bus, slot, &net_ops, ~0ull, n->config, err) < 0) {
        free(n);
        return NULL;
    }
    port->sink = (struct frame_sink){
        .receive = receive, .flush = flush, .up = look_at_link, .down = link_down, .opaque = n};
    return &n->virtio.pci.dev;
}
