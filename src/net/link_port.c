/* SPDX-License-Identifier: MIT */
/*
 * A link as a port on an event loop (net/link.h).
 *
 * A burst is bounded in frames and bytes, so that a busy link neither keeps the loop from its other work nor
 * lets the receivers of its frames sleep through a whole ring. While frames are left the port calls itself
 * again through the loop, by a note that outlives it, since a posted call cannot be taken back.
 */
#include "net/link.h"

#include <stdlib.h>

#define BURST_FRAMES 64
#define BURST_BYTES  (128 * 1024)
#define BURSTS       8 /* before the loop's other work gets its turn */

struct again {
    struct link_port *port; /* NULL: it was closed meanwhile */
    bool posted;
};

struct link_port {
    struct net_port port; /* first */
    struct link *link;
    struct event_loop *loop;
    struct event_watch *watch; /* NULL once it is down */
    struct again *again;
};

/* --- to the link --- */

static bool port_send(struct net_port *p, const struct frame *f)
{
    struct link_port *l = (struct link_port *)p;
    size_t len = frame_len(f);
    u8 *room = link_reserve(l->link, len);
    if (!room)
        return false;
    frame_copy(f, room);
    link_commit(l->link, len, &f->offload);
    return true;
}

static void port_flush(struct net_port *p)
{
    link_flush(((struct link_port *)p)->link);
}

static u32 port_accepts(struct net_port *p)
{
    return link_accepts(((struct link_port *)p)->link);
}

static void port_set_accepts(struct net_port *p, u32 accept)
{
    link_set_accepts(((struct link_port *)p)->link, accept);
}

/* --- from the link --- */

/* False: nothing is left, or the ring is broken. */
static bool burst(struct link_port *l)
{
    struct frame_sink *sink = &l->port.sink;
    struct frame f;
    size_t bytes = 0;
    unsigned n = 0;
    while (n < BURST_FRAMES && bytes < BURST_BYTES && link_peek(l->link, &f) > 0) {
        bytes += frame_len(&f);
        n++;
        if (sink->receive)
            sink->receive(sink->opaque, &f);
        link_release(l->link);
    }
    if (n && sink->flush)
        sink->flush(sink->opaque);
    return n == BURST_FRAMES || bytes >= BURST_BYTES;
}

/* The owner may close the port from within sink.down: nothing of it is touched afterwards. */
static void go_down(struct link_port *l, const char *why)
{
    event_loop_remove(l->loop, l->watch);
    l->watch = NULL;
    if (l->port.sink.down)
        l->port.sink.down(l->port.sink.opaque, why);
}

static void drain(struct link_port *l)
{
    for (unsigned n = 0; n < LINK_RING / BURST_BYTES && burst(l); n++)
        ;
}

static void run_again(void *opaque);

/* rang: the socket has something, a bell or the other side's end, which is looked at once the ring is empty.
 */
static void serve(struct link_port *l, bool rang)
{
    for (unsigned n = 0; n < BURSTS; n++) {
        if (burst(l))
            continue;
        bool there = !rang || link_wake(l->link);
        rang = false;
        if (!there)
            drain(l);
        if (!there || link_broken(l->link)) {
            const char *why = link_broken(l->link);
            go_down(l, why ? why : "the other side closed the link");
            return;
        }
        if (link_sleep(l->link))
            return;
    }
    if (!l->again->posted) {
        l->again->posted = true;
        event_loop_post(l->loop, run_again, l->again);
    }
}

static void run_again(void *opaque)
{
    struct again *a = opaque;
    a->posted = false;
    if (!a->port)
        free(a);
    else if (a->port->watch)
        serve(a->port, false);
}

static void on_event(void *opaque, int events)
{
    serve(opaque, true);
}

/* --- life --- */

static void port_close(struct net_port *p)
{
    struct link_port *l = (struct link_port *)p;
    event_loop_remove(l->loop, l->watch);
    link_close(l->link);
    l->again->port = NULL;
    if (!l->again->posted)
        free(l->again);
    free(l);
}

static const struct net_port_ops link_port_ops = {
    .send = port_send,
    .flush = port_flush,
    .accepts = port_accepts,
    .set_accepts = port_set_accepts,
    .close = port_close,
};

/* The first serve() comes through the loop: frames may have been sent before the other end was opened, and
 * the sender rings no bell for one who never went to sleep. */
static bool start(struct link_port *l)
{
    l->watch = event_loop_add(l->loop, link_fd(l->link), EVENT_READ, on_event, l);
    if (!l->watch)
        return false;
    l->again->posted = true;
    event_loop_post(l->loop, run_again, l->again);
    return true;
}

struct net_port *net_port_link(int end, struct event_loop *loop, struct err *err)
{
    struct link_port *l = calloc(1, sizeof(*l));
    struct again *again = calloc(1, sizeof(*again));
    struct link *link = l && again ? link_open(end, err) : NULL;
    if (link) {
        again->port = l;
        *l = (struct link_port){{&link_port_ops, {0}}, link, loop, NULL, again};
        if (start(l))
            return &l->port;
        link_abandon(link);
    }
    err_set(err, EXIT_STATUS_HOST, "no memory for a network port");
    free(again);
    free(l);
    return NULL;
}
