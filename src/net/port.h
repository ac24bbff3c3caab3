/* SPDX-License-Identifier: MIT */
/*
 * An end of an Ethernet link. Both sides look like this, so a frame's way can be tested stage by stage.
 *
 * send() hands a frame to the other side and never blocks: false means it was dropped. The caller has looked
 * at accepts() and sends nothing that needs more (net/segment.h finishes it). Sent frames may wait until
 * flush(), which ends a burst: whoever sends calls it before it goes to sleep. The receiver copies what it
 * keeps. Frames come back through the sink, on the owner's event loop thread, in bursts that end with flush,
 * and as the other side claims them to be: frame_check() is the first thing a sink does.
 *
 * A port that went down stays: it drops what it is given until it is closed. One thread may send, flush and
 * set_accept while another, the loop's, receives; close() is called on the loop's thread and not from within
 * receive or flush; from within down it may be.
 */
#ifndef NET_PORT_H
#define NET_PORT_H

#include "base/err.h"
#include "base/event_loop.h"
#include "net/frame.h"

struct frame_sink {
    void (*receive)(void *opaque, const struct frame *f);
    void (*flush)(void *opaque); /* NULL: bursts do not matter */
    void (*up)(void *opaque);    /* outlets only (net/outlet.h): frames pass again; may be NULL */
    void (*down)(void *opaque,
                 const char *why); /* no frame passes any more; may be NULL. why: lasts for ever */
    void *opaque;
};

struct net_port;
struct net_port_ops {
    bool (*send)(struct net_port *p, const struct frame *f);
    void (*flush)(struct net_port *p);  /* NULL: send() is enough */
    u32 (*accepts)(struct net_port *p); /* FRAME_ACCEPTS_*, at this moment. NULL: nothing */
    void (*set_accepts)(
        struct net_port *p,
        u32 accept);                /* what the sink takes from now on. NULL: nothing ever comes unfinished */
    bool (*up)(struct net_port *p); /* NULL: it is until sink.down says otherwise */
    void (*close)(struct net_port *p);
};
struct net_port {
    const struct net_port_ops *ops;
    struct frame_sink sink; /* set by the owner before the first frame may come */
};

static inline void net_port_flush(struct net_port *p)
{
    if (p->ops->flush)
        p->ops->flush(p);
}

static inline u32 net_port_accepts(struct net_port *p)
{
    return p->ops->accepts ? p->ops->accepts(p) : 0;
}

static inline void net_port_set_accepts(struct net_port *p, u32 accept)
{
    if (p->ops->set_accepts)
        p->ops->set_accepts(p, accept);
}

static inline bool net_port_up(struct net_port *p)
{
    return !p->ops->up || p->ops->up(p);
}

/* A port over one end of a SOCK_SEQPACKET pair whose other end a switch process holds; one packet is one
 * finished frame. Owns fd from success on. */
struct net_port *net_port_socket(int fd, struct event_loop *loop, struct err *err);

#endif
