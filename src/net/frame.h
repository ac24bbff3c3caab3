/* SPDX-License-Identifier: MIT */
/*
 * An Ethernet frame on its way, without FCS, and the work its sender left to whoever sends it on.
 *
 * A frame lies in two pieces. `head` is its beginning, which nobody changes while the call lasts that hands
 * the frame over; decisions are taken by it alone. A frame that comes from a port has its first FRAME_HEAD
 * bytes there, or all. `body` is the rest and may lie in memory that a hostile process still writes to: it is
 * copied or summed up, never judged. Both belong to the caller and end with the call; who keeps a frame
 * copies it.
 *
 * Offloads have the meaning of struct virtio_net_hdr (virtio 1.3 5.1.6), in host byte order. They are claims
 * until frame_check() said yes: whoever takes frames from a port asks it before anything else.
 */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include <sys/uio.h>

#include "base/types.h"

#define FRAME_MIN     14    /* bytes: an Ethernet header */
#define FRAME_MAX     65553 /* bytes: the largest IP packet, an Ethernet header and a VLAN tag */
#define FRAME_HEAD    256   /* bytes of head in what comes from a port, or all there are */
#define FRAME_GSO_MIN 48    /* smallest gso_size: no frame becomes more than 1366 */
#define FRAME_TAG     4     /* bytes of a VLAN tag; a head has FRAME_HEAD + FRAME_TAG bytes at most */

enum { FRAME_NEEDS_CSUM = 1, FRAME_DATA_VALID = 2 }; /* frame_offload.flags */
enum {
    FRAME_GSO_NONE = 0,
    FRAME_GSO_TCP4 = 1,
    FRAME_GSO_TCP6 = 4,
    FRAME_GSO_UDP = 5, /* only host interfaces give such frames; no receiver takes them as they are */
    FRAME_GSO_ECN = 0x80,
};

struct frame_offload {
    u8 flags;
    u8 gso;          /* FRAME_GSO_*; _ECN may be added to _TCP4 and _TCP6 */
    u16 hdr_len;     /* a hint, never trusted */
    u16 gso_size;    /* payload bytes of each segment */
    u16 csum_start;  /* the sum goes from here to the end ... */
    u16 csum_offset; /* ... and belongs so many bytes after csum_start */
};

struct frame {
    const u8 *head;
    size_t head_len;
    const u8 *body;
    size_t body_len;
    struct frame_offload offload;
};

/* What a receiver takes unfinished; net/segment.h finishes the rest for it. */
enum {
    FRAME_ACCEPTS_CSUM = 1, /* frames with NEEDS_CSUM; without it neither TSO nor DATA_VALID */
    FRAME_ACCEPTS_TSO4 = 2,
    FRAME_ACCEPTS_TSO6 = 4,
    FRAME_ACCEPTS_ECN = 8,
    FRAME_ACCEPTS_ALL = 15,
    FRAME_ACCEPTS_USO = 16, /* no receiver so far */
};

static inline size_t frame_len(const struct frame *f)
{
    return f->head_len + f->body_len;
}

/* A finished frame that lies in one piece and that nobody else writes to. */
static inline struct frame frame_plain(const u8 *data, size_t len)
{
    size_t head = len < FRAME_HEAD ? len : FRAME_HEAD;
    return (struct frame){data, head, data + head, len - head, {0}};
}

/* Copies the whole frame; to has room for frame_len(f) bytes. Returns their number. */
static inline size_t frame_copy(const struct frame *f, u8 *to)
{
    memcpy(to, f->head, f->head_len);
    if (f->body_len)
        memcpy(to + f->head_len, f->body, f->body_len);
    return frame_len(f);
}

/* Fills one or two vectors (a system call only reads through them); returns their number. */
static inline int frame_iov(const struct frame *f, struct iovec iov[2])
{
    iov[0] = (struct iovec){(void *)f->head, f->head_len};
    iov[1] = (struct iovec){(void *)f->body, f->body_len};
    return f->body_len ? 2 : 1;
}

/* Where the layers of a frame to be segmented lie, counted from its start. upper: TCP, or UDP. */
struct frame_layers {
    u16 ip, upper, payload;
    bool v6, udp;
};

/* True if length, pieces and offloads fit together and with the headers: a checksum field that lies in head;
 * for segmentation an IPv4 or IPv6 header (behind at most two VLAN tags, of IPv6's extension headers options
 * alone) and a TCP or UDP header that are whole, in head, and where csum_start says. */
bool must_check frame_check(const struct frame *f);
/* The layers of a frame that frame_check() passed and whose gso is not NONE. */
struct frame_layers frame_layers(const struct frame *f);
/* The FRAME_ACCEPTS_* a receiver must have to get f as it is; 0: it is finished. */
u32 frame_needs(const struct frame *f);

#endif
