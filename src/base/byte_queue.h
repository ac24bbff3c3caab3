/* SPDX-License-Identifier: MIT */
/*
 * Bytes that threads give one by one and one function takes in larger pieces: a guest's console output. They
 * go out once per turn of an event loop, and from the giver's own thread when there are too many.
 */
#ifndef BASE_BYTE_QUEUE_H
#define BASE_BYTE_QUEUE_H

#include "base/event_loop.h"
#include "base/types.h"

struct byte_queue;

/* Takes all of it. Never called twice at once; on any thread that gives bytes, and on the loop's. It may
 * block, and the giver then waits; it must not wait for the loop's thread. */
typedef void byte_sink(void *opaque, const u8 *data, size_t len);

/* NULL: out of memory. */
struct byte_queue *byte_queue_new(byte_sink *sink, void *opaque);
void byte_queue_free(struct byte_queue *q); /* before its loop; NULL is fine */

/* From here on the loop empties it; what was given before waits for this. Before any other thread gives. */
void byte_queue_attach(struct byte_queue *q, struct event_loop *loop);

void byte_queue_give(struct byte_queue *q, u8 byte); /* any thread */
void byte_queue_flush(struct byte_queue *q);         /* any thread: what was given before is with the sink */

/* Between the two the sink does not run: for what it and another thread share. */
void byte_queue_hold(struct byte_queue *q);
void byte_queue_release(struct byte_queue *q);

#endif
