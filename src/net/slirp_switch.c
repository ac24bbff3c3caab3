/* SPDX-License-Identifier: MIT */
/*
 * libslirp names the descriptors it waits for anew before every sleep, so this process has a poll() loop of
 * its own rather than base/event_loop.h. In `slots` the first entries are the guests' sockets, libslirp's
 * follow.
 */
#include "net/slirp_switch.h"

#include <errno.h>
#include <poll.h>
#include <seccomp.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "net/port.h"

#define TIMERS_MAX 4  /* libslirp has one, for router advertisements */
#define BURST      64 /* frames of one guest before the others get their turn */

struct slirp_timer {
    bool used;
    SlirpTimerCb cb;
    void *opaque;
    i64 expires_ms; /* below 0: not set */
};

struct slirp_net {
    int fd; /* -1 once the guest is gone */
    Slirp *slirp;
    struct slirp_timer timers[TIMERS_MAX];
    struct poll_set *set; /* while one turn lasts */
};

struct poll_set {
    struct pollfd *slots;
    unsigned count, capacity;
};

/* ---- what libslirp asks of us ---- */

static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
    struct slirp_net *n = opaque;
    /* A full queue drops the frame, as a switch does. */
    if (n->fd >= 0 && len)
        send(n->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return (ssize_t)len;
}

static void guest_error(const char *msg, void *opaque)
{
    /* The guest's own affair, and it could fill the terminal with it. */
}

static i64 clock_get_ns(void *opaque)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (i64)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *timer_new_cb(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
    struct slirp_net *n = opaque;
    for (unsigned i = 0; i < TIMERS_MAX; i++)
        if (!n->timers[i].used) {
            n->timers[i] = (struct slirp_timer){true, cb, cb_opaque, -1};
            return &n->timers[i];
        }
    bug_on(true, "libslirp wants more than %d timers", TIMERS_MAX);
}

static void timer_free_cb(void *timer, void *opaque)
{
    ((struct slirp_timer *)timer)->used = false;
}

static void timer_mod_cb(void *timer, i64 expires_ms, void *opaque)
{
    ((struct slirp_timer *)timer)->expires_ms = expires_ms;
}

static void poll_fd_cb(int fd, void *opaque)
{
    /* Descriptors are named anew before every sleep. */
}

static void notify_cb(void *opaque)
{
    /* One thread: nobody sleeps while libslirp calls this. */
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = clock_get_ns,
    .timer_new = timer_new_cb,
    .timer_free = timer_free_cb,
    .timer_mod = timer_mod_cb,
    .register_poll_fd = poll_fd_cb,
    .unregister_poll_fd = poll_fd_cb,
    .notify = notify_cb,
};

/* ---- a network ---- */

static struct in_addr ipv4(u32 a)
{
    return (struct in_addr){htonl(a)};
}

struct slirp_net *slirp_net_new(int fd, struct err *err)
{
    SlirpConfig config = {
        .version = 1,
        .in_enabled = true,
        .vnetwork = ipv4(0x0a000200),
        .vnetmask = ipv4(0xffffff00),
        .vhost = ipv4(0x0a000202),
        .vdhcp_start = ipv4(0x0a00020f),
        .vnameserver = ipv4(0x0a000203),
        .in6_enabled = true,
        .vprefix_len = 64,
    };
    inet_pton(AF_INET6, "fec0::", &config.vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &config.vhost6);
    inet_pton(AF_INET6, "fec0::3", &config.vnameserver6);
    struct slirp_net *n = calloc(1, sizeof(*n));
    if (n) {
        n->fd = fd;
        n->slirp = slirp_new(&config, &callbacks, n);
    }
    if (!n || !n->slirp) {
        free(n);
        err_set(err, EXIT_STATUS_HOST, "the user-mode network cannot start: no memory");
        return NULL;
    }
    return n;
}

void slirp_net_free(struct slirp_net *n)
{
    if (!n)
        return;
    slirp_cleanup(n->slirp);
    if (n->fd >= 0)
        close(n->fd);
    free(n);
}

int slirp_net_forward(struct slirp_net *n, u16 host, u16 guest, struct err *err)
{
    if (slirp_add_hostfwd(n->slirp, 0, ipv4(INADDR_LOOPBACK), host, ipv4(0x0a00020f), guest) < 0)
        return err_set(err, EXIT_STATUS_USAGE,
                       "forward=%u:%u: cannot listen on 127.0.0.1 port %u: %s; take another port", host,
                       guest, host, strerror(errno));
    return 0;
}

/* ---- the loop ---- */

static int add_slot(struct poll_set *s, int fd, short events)
{
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 64;
        s->slots = realloc(s->slots, s->capacity * sizeof(*s->slots));
        bug_on(!s->slots, "no memory for %u descriptors", s->capacity);
    }
    s->slots[s->count] = (struct pollfd){.fd = fd, .events = events};
    return (int)s->count++;
}

static const struct {
    int slirp;
    short poll;
} event_names[] = {
    {SLIRP_POLL_IN, POLLIN},   {SLIRP_POLL_OUT, POLLOUT}, {SLIRP_POLL_PRI, POLLPRI},
    {SLIRP_POLL_ERR, POLLERR}, {SLIRP_POLL_HUP, POLLHUP},
};

static int add_poll(int fd, int events, void *opaque)
{
    struct slirp_net *n = opaque;
    short e = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(event_names); i++)
        e |= events & event_names[i].slirp ? event_names[i].poll : 0;
    return add_slot(n->set, fd, e);
}

static int get_revents(int slot, void *opaque)
{
    struct slirp_net *n = opaque;
    int e = 0;
    for (unsigned i = 0; slot >= 0 && i < ARRAY_SIZE(event_names); i++)
        e |= n->set->slots[slot].revents & event_names[i].poll ? event_names[i].slirp : 0;
    return e;
}

static void receive_frames(struct slirp_net *n)
{
    static u8 frame[FRAME_MAX]; /* one thread; too big for a stack */
    for (unsigned i = 0; i < BURST; i++) {
        ssize_t got = recv(n->fd, frame, sizeof(frame), MSG_DONTWAIT | MSG_TRUNC);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            close(n->fd);
            n->fd = -1;
            return;
        }
        if (got < 0)
            return;
        if ((size_t)got <= sizeof(frame))
            slirp_input(n->slirp, frame, (int)got);
    }
}

static void run_timers(struct slirp_net *n)
{
    i64 now = clock_get_ns(NULL) / 1000000;
    for (unsigned i = 0; i < TIMERS_MAX; i++) {
        struct slirp_timer *t = &n->timers[i];
        if (!t->used || t->expires_ms < 0 || t->expires_ms > now)
            continue;
        t->expires_ms = -1;
        t->cb(t->opaque);
    }
}

static u32 until_next_timer(const struct slirp_net *n, u32 timeout)
{
    i64 now = clock_get_ns(NULL) / 1000000;
    for (unsigned i = 0; i < TIMERS_MAX; i++) {
        const struct slirp_timer *t = &n->timers[i];
        if (t->used && t->expires_ms >= 0 && t->expires_ms - now < timeout)
            timeout = t->expires_ms > now ? (u32)(t->expires_ms - now) : 0;
    }
    return timeout;
}

/* False when no guest is left. */
static bool turn(struct slirp_net **nets, unsigned count, struct poll_set *set)
{
    u32 timeout = 60000;
    unsigned guests = 0;
    set->count = 0;
    for (unsigned i = 0; i < count; i++) {
        add_slot(set, nets[i]->fd, POLLIN); /* poll() passes over a negative descriptor */
        guests += nets[i]->fd >= 0;
    }
    for (unsigned i = 0; i < count; i++) {
        nets[i]->set = set;
        slirp_pollfds_fill(nets[i]->slirp, &timeout, add_poll, nets[i]);
        timeout = until_next_timer(nets[i], timeout);
    }
    if (!guests)
        return false;
    int ready = poll(set->slots, set->count, (int)timeout);
    for (unsigned i = 0; i < count; i++) {
        slirp_pollfds_poll(nets[i]->slirp, ready < 0, get_revents, nets[i]);
        run_timers(nets[i]);
        if (ready > 0 && set->slots[i].revents)
            receive_frames(nets[i]);
    }
    return true;
}

void slirp_nets_run(struct slirp_net **nets, unsigned count)
{
    struct poll_set set = {0};
    while (turn(nets, count, &set))
        ;
    free(set.slots);
}

/* ---- sandbox ---- */

int slirp_sandbox(struct err *err)
{
    static const char *const readable[] = {"/etc/resolv.conf", NULL};
    static const int calls[] = {
        SCMP_SYS(socket),
        SCMP_SYS(connect),
        SCMP_SYS(bind),
        SCMP_SYS(listen),
        SCMP_SYS(accept),
        SCMP_SYS(accept4),
        SCMP_SYS(sendto),
        SCMP_SYS(recvfrom),
        SCMP_SYS(sendmsg),
        SCMP_SYS(recvmsg),
        SCMP_SYS(shutdown),
        SCMP_SYS(setsockopt),
        SCMP_SYS(getsockopt),
        SCMP_SYS(getsockname),
        SCMP_SYS(getpeername),
        SCMP_SYS(ioctl),
        SCMP_SYS(openat),
        SCMP_SYS(fcntl),
        -1,
    };
    /* openat is needed for resolv.conf, read again when it changes; landlock leaves it nothing else to open.
     */
    return sandbox_files(readable, true, err) < 0 ? -1 : sandbox_calls("network process", calls, err);
}
