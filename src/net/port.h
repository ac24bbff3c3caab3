/* SPDX-License-Identifier: MIT */
/*
 * An end of an Ethernet link. Both sides look like this, so a frame's way can be tested stage by stage.
 *
 * send() hands a whole frame (no FCS) to the other side and never blocks: false means it was dropped. The
 * receiver copies what it keeps. Frames come back through the sink given at attach, on the owner's event loop
 * thread.
 */
#ifndef NET_PORT_H
#define NET_PORT_H

#include "base/err.h"
#include "base/event_loop.h"
#include "base/types.h"

#define FRAME_MAX 65550 /* bytes: a 64 KiB TSO frame and its headers */

struct frame_sink {
    void (*receive)(void *opaque, const u8 *frame, size_t len);
    void *opaque;
};

struct net_port;
struct net_port_ops {
    bool (*send)(struct net_port *p, const u8 *frame, size_t len);
    void (*close)(struct net_port *p);
};
struct net_port {
    const struct net_port_ops *ops;
    struct frame_sink sink; /* set by the owner before the first frame may come */
};

/* A port over one end of a SOCK_SEQPACKET pair whose other end a switch process holds. Owns fd. */
struct net_port *net_port_socket(int fd, struct event_loop *loop, struct err *err);

#endif
