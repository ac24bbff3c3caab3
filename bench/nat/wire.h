/* SPDX-License-Identifier: MIT */
/*
 * What a machine without a guest sends and gets frames by: the same for a link to our switch and for a
 * socket.
 */
#ifndef BENCH_NAT_WIRE_H
#define BENCH_NAT_WIRE_H

#include "base/types.h"
#include "net/frame.h"

struct wire {
    const char *name;
    bool offloads; /* frames may be unfinished, as a guest's with virtio-net are */
    u32 gateway;   /* its address, and ours is gateway | 0x0f in the last byte */
    bool (*send)(struct wire *w, const u8 *frame, size_t len, const struct frame_offload *o);
    void (*flush)(struct wire *w);
    /* The next frame, copied; 0: none is there. */
    size_t (*receive)(struct wire *w, u8 *frame, size_t room);
    bool (*wait)(struct wire *w, int ms); /* for a frame */
    void (*close)(struct wire *w);
};

/* libslirp in a switch of ours, in a process of its own: through a link, or one frame a packet of a socket.
 */
struct wire *wire_ours(bool link);
/* QEMU's -netdev user behind its -netdev dgram, without a machine. NULL: there is no QEMU, told on stderr. */
struct wire *wire_qemu(void);

#endif
