/* SPDX-License-Identifier: MIT */
/*
 * The outlet (net/outlet.h). A vCPU's thread may send while the loop's thread plugs another port in (a clock
 * that counts instructions makes devices send there), hence the lock; frames from the inner port come on the
 * loop's thread, on which it is also replaced.
 */
#include "net/outlet.h"

#include <pthread.h>
#include <stdlib.h>

struct outlet {
    struct net_port port; /* first */
    pthread_mutex_t lock; /* inner, up, accept */
    struct net_port *inner;
    bool up;
    u32 accept;
};

/* --- from the adapter --- */

static bool outlet_send(struct net_port *p, const struct frame *f)
{
    struct outlet *o = (struct outlet *)p;
    pthread_mutex_lock(&o->lock);
    bool sent = o->up && o->inner->ops->send(o->inner, f);
    pthread_mutex_unlock(&o->lock);
    return sent;
}

static void outlet_flush(struct net_port *p)
{
    struct outlet *o = (struct outlet *)p;
    pthread_mutex_lock(&o->lock);
    if (o->up)
        net_port_flush(o->inner);
    pthread_mutex_unlock(&o->lock);
}

/* Nobody there takes anything: frames need not be finished to be dropped. */
static u32 outlet_accepts(struct net_port *p)
{
    struct outlet *o = (struct outlet *)p;
    pthread_mutex_lock(&o->lock);
    u32 accepts = o->up ? net_port_accepts(o->inner) : FRAME_ACCEPTS_ALL;
    pthread_mutex_unlock(&o->lock);
    return accepts;
}

static void outlet_set_accepts(struct net_port *p, u32 accept)
{
    struct outlet *o = (struct outlet *)p;
    pthread_mutex_lock(&o->lock);
    o->accept = accept;
    if (o->inner)
        net_port_set_accepts(o->inner, accept);
    pthread_mutex_unlock(&o->lock);
}

/* --- from the inner port --- */

static void receive(void *opaque, const struct frame *f)
{
    struct frame_sink *sink = &((struct outlet *)opaque)->port.sink;
    if (sink->receive)
        sink->receive(sink->opaque, f);
}

static void flush(void *opaque)
{
    struct frame_sink *sink = &((struct outlet *)opaque)->port.sink;
    if (sink->flush)
        sink->flush(sink->opaque);
}

static void down(void *opaque, const char *why)
{
    struct outlet *o = opaque;
    struct frame_sink *sink = &o->port.sink;
    pthread_mutex_lock(&o->lock);
    o->up = false;
    pthread_mutex_unlock(&o->lock);
    if (sink->down)
        sink->down(sink->opaque, why);
}

/* --- plugging --- */

/* Returns what was there. */
static struct net_port *exchange(struct outlet *o, struct net_port *inner)
{
    pthread_mutex_lock(&o->lock);
    struct net_port *old = o->inner;
    o->inner = inner;
    o->up = inner;
    if (inner)
        net_port_set_accepts(inner, o->accept);
    pthread_mutex_unlock(&o->lock);
    return old;
}

void net_outlet_plug(struct net_port *outlet, struct net_port *inner)
{
    struct outlet *o = (struct outlet *)outlet;
    struct frame_sink *sink = &outlet->sink;
    bool was_up = net_outlet_up(outlet);
    if (inner)
        inner->sink = (struct frame_sink){.receive = receive, .flush = flush, .down = down, .opaque = o};
    struct net_port *old = exchange(o, inner);
    if (old)
        old->ops->close(old);
    if (inner && sink->up)
        sink->up(sink->opaque);
    if (!inner && was_up && sink->down)
        sink->down(sink->opaque, "it was disconnected");
}

bool net_outlet_up(struct net_port *outlet)
{
    struct outlet *o = (struct outlet *)outlet;
    pthread_mutex_lock(&o->lock);
    bool up = o->up;
    pthread_mutex_unlock(&o->lock);
    return up;
}

/* --- life --- */

static void outlet_close(struct net_port *p)
{
    struct outlet *o = (struct outlet *)p;
    if (o->inner)
        o->inner->ops->close(o->inner);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

static const struct net_port_ops outlet_ops = {
    .send = outlet_send,
    .flush = outlet_flush,
    .accepts = outlet_accepts,
    .set_accepts = outlet_set_accepts,
    .up = net_outlet_up,
    .close = outlet_close,
};

struct net_port *net_outlet_new(struct err *err)
{
    struct outlet *o = calloc(1, sizeof(*o));
    if (!o) {
        err_set(err, EXIT_STATUS_HOST, "no memory for a network port");
        return NULL;
    }
    o->port.ops = &outlet_ops;
    pthread_mutex_init(&o->lock, NULL);
    return &o->port;
}
