/* SPDX-License-Identifier: MIT */
/*
 * Two buffers: one filled under `fill_lock`, one being given out under `sink_lock`, taken in the order sink,
 * fill. A thread that finds its buffer full gives out itself: a vCPU may hold its UART's lock, so it must not
 * wait for the loop's thread, which may want that lock.
 */
#include "base/byte_queue.h"

#include <pthread.h>
#include <stdlib.h>

enum { SIZE = 65536 };

struct byte_queue {
    byte_sink *sink;
    void *opaque;
    struct event_loop *loop;
    pthread_mutex_t fill_lock, sink_lock;
    u8 *fill, *spare;
    size_t fill_len;
    u8 room[2][SIZE];
};

struct byte_queue *byte_queue_new(byte_sink *sink, void *opaque)
{
    struct byte_queue *q = calloc(1, sizeof(*q));
    if (!q)
        return NULL;
    q->sink = sink;
    q->opaque = opaque;
    q->fill = q->room[0];
    q->spare = q->room[1];
    pthread_mutex_init(&q->fill_lock, NULL);
    pthread_mutex_init(&q->sink_lock, NULL);
    return q;
}

void byte_queue_free(struct byte_queue *q)
{
    if (!q)
        return;
    pthread_mutex_destroy(&q->fill_lock);
    pthread_mutex_destroy(&q->sink_lock);
    free(q);
}

void byte_queue_flush(struct byte_queue *q)
{
    pthread_mutex_lock(&q->sink_lock);
    pthread_mutex_lock(&q->fill_lock);
    u8 *data = q->fill;
    size_t len = q->fill_len;
    q->fill = q->spare;
    q->spare = data;
    q->fill_len = 0;
    pthread_mutex_unlock(&q->fill_lock);
    if (len)
        q->sink(q->opaque, data, len);
    pthread_mutex_unlock(&q->sink_lock);
}

static void flush_posted(void *opaque)
{
    byte_queue_flush(opaque);
}

void byte_queue_attach(struct byte_queue *q, struct event_loop *loop)
{
    q->loop = loop;
    event_loop_post(loop, flush_posted, q);
}

void byte_queue_give(struct byte_queue *q, u8 byte)
{
    for (;;) {
        pthread_mutex_lock(&q->fill_lock);
        bool full = q->fill_len == SIZE, first = q->fill_len == 0;
        if (!full)
            q->fill[q->fill_len++] = byte;
        pthread_mutex_unlock(&q->fill_lock);
        if (first && q->loop)
            event_loop_post(q->loop, flush_posted, q);
        if (!full)
            return;
        byte_queue_flush(q);
    }
}

void byte_queue_hold(struct byte_queue *q)
{
    pthread_mutex_lock(&q->sink_lock);
}

void byte_queue_release(struct byte_queue *q)
{
    pthread_mutex_unlock(&q->sink_lock);
}
