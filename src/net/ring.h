/* SPDX-License-Identifier: MIT */
/*
 * A ring of frames in memory that two processes share: one puts in, one takes out, neither trusts the other.
 *
 * The memory is RING_HEADER bytes of indices and `size` bytes of records, which are mapped twice in a row, so
 * that every record is in one piece. A record is a struct ring_record and the frame, padded to RING_ALIGN.
 * Indices count bytes for ever, modulo 2^32. Each side keeps its own index privately and only publishes it;
 * the other's is read into a local, and must lie where it can lie. Sides may be wrong, then ring_*() says
 * "broken" and nothing of the ring is used again.
 *
 * Sleeping is Dekker's protocol: the consumer sets `sleeping`, then looks at tail; the producer moves tail,
 * then looks at `sleeping`; both with a full barrier between, so one of them sees the other.
 */
#ifndef NET_RING_H
#define NET_RING_H

#include "net/frame.h"

#define RING_HEADER 4096u
#define RING_ALIGN  64u

struct ring_record {
    u32 len;
    struct frame_offload offload;
    u16 unused;
};
_Static_assert(sizeof(struct ring_record) == 16, "the layout both sides share");

/* Each side's fields in lines of their own. */
struct ring_shared {
    _Alignas(64) u32 tail; /* the producer's */
    _Alignas(64) u32 head; /* the consumer's, as are the next two */
    u32 accepts;
    u32 sleeping;
};

struct ring {
    struct ring_shared *shared;
    u8 *data;       /* size bytes, and the same size bytes again */
    u32 size;       /* a power of two, 2 * FRAME_MAX at least */
    u32 mine;       /* own index */
    u32 shown;      /* what was last published of it */
    u32 other;      /* the other's index when last read: what is sure */
    bool unflushed; /* committed since the last flush */
    bool broken;
};

void ring_init(struct ring *r, void *header, void *data, u32 size);

/* --- the producer --- */

u8 *ring_reserve(struct ring *r, size_t len);
void ring_commit(struct ring *r, size_t len, const struct frame_offload *offload);
/* Publishes; true: the consumer sleeps and has to be woken. */
bool ring_flush(struct ring *r);
u32 ring_accepts(const struct ring *r);

/* --- the consumer --- */

/* 1: *record is a copy of the next one's, its frame at *data; 0: none; -1: broken. */
int ring_peek(struct ring *r, struct ring_record *record, const u8 **data);
void ring_release(struct ring *r, u32 len); /* len: of the record that was peeked */
/* True: nothing is there and the producer will see that we sleep. */
bool ring_sleep(struct ring *r);
void ring_set_accepts(struct ring *r, u32 accept);

#endif
