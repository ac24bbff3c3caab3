/* SPDX-License-Identifier: MIT */
/*
 * One end of a SOCK_SEQPACKET pair as a port: one packet is one frame.
 *
 * Nothing here waits. A full socket drops the frame and counts it, as a switch with full queues does; a peer
 * that went away leaves a port that drops everything. Frames come in at most BURST at a time, so one busy
 * link cannot keep the loop from its other work.
 */
#include "net/port_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BURST       64
#define BUFFER_SIZE (1 << 20) /* bytes the kernel may queue each way, as far as the host's limits let us */

struct socket_port {
    struct net_port port; /* first */
    int fd;
    struct event_loop *loop;
    struct event_watch *watch;
    bool down;
    struct net_port_socket_counters counters; /* atomic, field by field */
    u8 frame[FRAME_MAX];
};

static void count(u64 *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static bool socket_send(struct net_port *p, const struct frame *f)
{
    struct socket_port *s = (struct socket_port *)p;
    size_t len = frame_len(f);
    struct iovec iov[2];
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)frame_iov(f, iov)};
    bool sent =
        len > 0 && len <= FRAME_MAX && sendmsg(s->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
    count(sent ? &s->counters.sent : &s->counters.send_dropped);
    return sent;
}

static void stop_watching(struct socket_port *s)
{
    if (s->watch)
        event_loop_remove(s->loop, s->watch);
    s->watch = NULL;
}

static void go_down(struct socket_port *s)
{
    stop_watching(s);
    s->down = true;
}

/* True while there may be more. */
static bool receive_one(struct socket_port *s)
{
    ssize_t got = recv(s->fd, s->frame, sizeof(s->frame), MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && errno == EINTR)
        return true;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    if (got <= 0) { /* frames are never empty: 0 is the peer's end */
        go_down(s);
        return false;
    }
    if ((size_t)got > sizeof(s->frame) || !s->port.sink.receive) {
        count(&s->counters.receive_dropped);
        return true;
    }
    count(&s->counters.received);
    struct frame f = frame_plain(s->frame, (size_t)got);
    s->port.sink.receive(s->port.sink.opaque, &f);
    return true;
}

static void on_event(void *opaque, int events)
{
    struct socket_port *s = opaque;
    struct frame_sink *sink = &s->port.sink;
    for (int i = 0; i < BURST && receive_one(s); i++)
        ;
    if (sink->flush)
        sink->flush(sink->opaque);
    if (s->down && sink->down) /* the owner may close the port from within it */
        sink->down(sink->opaque, "the other side closed the link");
}

static void socket_close(struct net_port *p)
{
    struct socket_port *s = (struct socket_port *)p;
    stop_watching(s);
    close(s->fd);
    free(s);
}

static const struct net_port_ops socket_ops = {.send = socket_send, .close = socket_close};

void net_port_socket_counters(struct net_port *p, struct net_port_socket_counters *out)
{
    struct socket_port *s = (struct socket_port *)p;
    out->sent = __atomic_load_n(&s->counters.sent, __ATOMIC_RELAXED);
    out->send_dropped = __atomic_load_n(&s->counters.send_dropped, __ATOMIC_RELAXED);
    out->received = __atomic_load_n(&s->counters.received, __ATOMIC_RELAXED);
    out->receive_dropped = __atomic_load_n(&s->counters.receive_dropped, __ATOMIC_RELAXED);
}

struct net_port *net_port_socket(int fd, struct event_loop *loop, struct err *err)
{
    struct socket_port *s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for a network port");
        return NULL;
    }
    int flags = fcntl(fd, F_GETFL), size = BUFFER_SIZE;
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        err_set(err, EXIT_STATUS_HOST, "network port: %s", strerror(errno));
        free(s);
        return NULL;
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* a smaller queue works too */
    s->port.ops = &socket_ops;
    s->fd = fd;
    s->loop = loop;
    s->watch = event_loop_add(loop, fd, EVENT_READ, on_event, s);
    if (!s->watch) {
        err_set(err, EXIT_STATUS_HOST, "network port: the event loop takes no more descriptors");
        free(s);
        return NULL;
    }
    return &s->port;
}
