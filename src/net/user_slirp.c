/* SPDX-License-Identifier: MIT */
/*
 * libslirp names the descriptors it waits for anew before every sleep. They are kept as watches of the event
 * loop, and only what changed since the last sleep costs a system call. A descriptor that libslirp closes is
 * named to unregister first: its number may come back as another socket before the next sleep.
 */
#include "net/user_slirp.h"

#include <errno.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TIMERS_MAX 4    /* libslirp has one, for router advertisements */
#define PATIENCE   1000 /* ms between two turns at most, for its slow timers */

struct timer_slot {
    bool used;
    SlirpTimerCb cb;
    void *opaque;
    i64 expires_ms; /* below 0: not set */
};

struct watched {
    struct event_watch *watch; /* NULL: not waited for */
    int fd, wanted, waiting, happened;
};

struct user_slirp {
    struct user_slirp_config config;
    Slirp *slirp;
    struct event_loop *loop;
    void (*output)(void *opaque, const u8 *frame, size_t len);
    void *opaque;
    struct timer_slot timers[TIMERS_MAX];
    struct watched **fds; /* those libslirp waits for, or did before the last sleep */
    unsigned fd_count, fd_room;
};

/* ---- what libslirp asks of us ---- */

static ssize_t send_packet(const void *frame, size_t len, void *opaque)
{
    struct user_slirp *s = opaque;
    if (len)
        s->output(s->opaque, frame, len);
    return (ssize_t)len;
}

static void guest_error(const char *msg, void *opaque)
{
    /* The guest's own affair, and it could fill the log with it. */
}

static i64 now_ns(void *opaque)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (i64)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
    struct user_slirp *s = opaque;
    for (unsigned i = 0; i < TIMERS_MAX; i++)
        if (!s->timers[i].used) {
            s->timers[i] = (struct timer_slot){true, cb, cb_opaque, -1};
            return &s->timers[i];
        }
    bug_on(true, "libslirp wants more than %d timers", TIMERS_MAX);
}

static void timer_free(void *timer, void *opaque)
{
    ((struct timer_slot *)timer)->used = false;
}

static void timer_mod(void *timer, i64 expires_ms, void *opaque)
{
    ((struct timer_slot *)timer)->expires_ms = expires_ms;
}

static void register_fd(int fd, void *opaque)
{
    /* It is named before the next sleep. */
}

static void forget(struct user_slirp *s, unsigned i)
{
    struct watched *w = s->fds[i];
    event_loop_remove(s->loop, w->watch);
    free(w);
    s->fds[i] = s->fds[--s->fd_count];
}

static void unregister_fd(int fd, void *opaque)
{
    struct user_slirp *s = opaque;
    for (unsigned i = 0; i < s->fd_count; i++)
        if (s->fds[i]->fd == fd) {
            forget(s, i);
            return;
        }
}

static void notify(void *opaque)
{
    /* One thread: nobody sleeps while libslirp calls this. */
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = now_ns,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = register_fd,
    .unregister_poll_fd = unregister_fd,
    .notify = notify,
};

/* ---- life ---- */

static struct in_addr in4(const u8 *bytes)
{
    struct in_addr a;
    memcpy(&a, bytes, sizeof(a));
    return a;
}

static struct in6_addr in6(const u8 *bytes)
{
    struct in6_addr a;
    memcpy(&a, bytes, sizeof(a));
    return a;
}

static void set_v4(SlirpConfig *c, const struct user_slirp_config *u)
{
    struct ip_prefix network = ip_prefix_network(&u->v4);
    u32 mask = u->v4.len ? ~0u << (32 - u->v4.len) : 0;
    c->in_enabled = u->v4.len != 0;
    c->vnetwork = in4(network.addr.bytes);
    c->vnetmask.s_addr = htonl(mask);
    c->vhost = in4(u->v4.addr.bytes);
    c->vnameserver = in4((ip_is_any(&u->dns4) ? &network.addr : &u->dns4)->bytes); /* user_dns.h */
    c->disable_dhcp = ip_is_any(&u->dhcp4);
    c->vdhcp_start = in4(u->dhcp4.bytes);
}

static void set_v6(SlirpConfig *c, const struct user_slirp_config *u)
{
    struct ip_prefix network = ip_prefix_network(&u->v6);
    c->in6_enabled = u->v6.len != 0;
    c->vprefix_addr6 = in6(network.addr.bytes);
    c->vprefix_len = u->v6.len;
    c->vhost6 = in6(u->v6.addr.bytes);
    c->vnameserver6 = in6((ip_is_any(&u->dns6) ? &network.addr : &u->dns6)->bytes);
}

struct user_slirp *user_slirp_new(const struct user_slirp_config *config, struct event_loop *loop,
                                  void (*output)(void *opaque, const u8 *frame, size_t len), void *opaque,
                                  struct err *err)
{
    SlirpConfig c = {.version = 4};
    struct user_slirp *s = calloc(1, sizeof(*s));
    set_v4(&c, config);
    set_v6(&c, config);
    if (s) {
        s->config = *config;
        s->loop = loop;
        s->output = output;
        s->opaque = opaque;
        s->slirp = slirp_new(&c, &callbacks, s);
    }
    if (s && s->slirp)
        return s;
    free(s);
    err_set(err, EXIT_STATUS_HOST, "the user-mode network cannot start: libslirp does not");
    return NULL;
}

void user_slirp_free(struct user_slirp *s)
{
    if (!s)
        return;
    slirp_cleanup(s->slirp);
    while (s->fd_count)
        forget(s, 0);
    free(s->fds);
    free(s);
}

const struct user_slirp_config *user_slirp_config(const struct user_slirp *s)
{
    return &s->config;
}

/* As libslirp makes them of the gateway's addresses. */
void user_slirp_mac(const struct user_slirp *s, bool v6, u8 mac[6])
{
    mac[0] = 0x52;
    mac[1] = v6 ? 0x56 : 0x55;
    memcpy(mac + 2, v6 ? s->config.v6.addr.bytes + 12 : s->config.v4.addr.bytes, 4);
}

void user_slirp_input(struct user_slirp *s, const u8 *frame, size_t len)
{
    slirp_input(s->slirp, frame, (int)len);
}

/* ---- waiting ---- */

static void on_event(void *opaque, int events)
{
    struct watched *w = opaque;
    w->happened |= events;
}

static struct watched *find(struct user_slirp *s, int fd)
{
    for (unsigned i = 0; i < s->fd_count; i++)
        if (s->fds[i]->fd == fd)
            return s->fds[i];
    if (s->fd_count == s->fd_room) {
        unsigned room = s->fd_room ? 2 * s->fd_room : 64;
        struct watched **fds = realloc(s->fds, room * sizeof(*fds));
        if (!fds)
            return NULL;
        s->fds = fds;
        s->fd_room = room;
    }
    struct watched *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    *w = (struct watched){.fd = fd};
    return s->fds[s->fd_count++] = w;
}

/* The index that libslirp gets is the descriptor itself. */
static int add_poll(int fd, int events, void *opaque)
{
    struct watched *w = find(opaque, fd);
    if (w)
        w->wanted = (events & SLIRP_POLL_IN ? EVENT_READ : 0) | (events & SLIRP_POLL_OUT ? EVENT_WRITE : 0);
    return w ? fd : -1;
}

static int get_events(int fd, void *opaque)
{
    struct user_slirp *s = opaque;
    int events = 0;
    for (unsigned i = 0; fd >= 0 && i < s->fd_count; i++)
        if (s->fds[i]->fd == fd) {
            int happened = s->fds[i]->happened;
            s->fds[i]->happened = 0;
            events = (happened & EVENT_READ ? SLIRP_POLL_IN : 0) |
                     (happened & EVENT_WRITE ? SLIRP_POLL_OUT : 0) |
                     (happened & EVENT_HANGUP ? SLIRP_POLL_HUP | SLIRP_POLL_ERR : 0);
            break;
        }
    return events;
}

/* Nothing is waited for where nothing is wanted: a hang-up would be told again and again. */
static void wait_for(struct user_slirp *s)
{
    for (unsigned i = 0; i < s->fd_count;) {
        struct watched *w = s->fds[i];
        if (!w->wanted) {
            forget(s, i);
            continue;
        }
        if (!w->watch)
            w->watch = event_loop_add(s->loop, w->fd, w->wanted, on_event, w);
        else if (w->wanted != w->waiting)
            event_loop_change(s->loop, w->watch, w->wanted);
        w->waiting = w->wanted;
        w->wanted = 0;
        i++;
    }
}

static int run_timers(struct user_slirp *s)
{
    i64 now = now_ns(NULL) / 1000000, next = -1;
    for (unsigned i = 0; i < TIMERS_MAX; i++) {
        struct timer_slot *t = &s->timers[i];
        if (t->used && t->expires_ms >= 0 && t->expires_ms <= now) {
            t->expires_ms = -1;
            t->cb(t->opaque);
        }
        if (t->used && t->expires_ms >= 0 && (next < 0 || t->expires_ms - now < next))
            next = t->expires_ms > now ? t->expires_ms - now : 0;
    }
    return (int)(next > PATIENCE ? PATIENCE : next);
}

int user_slirp_turn(struct user_slirp *s)
{
    u32 patience = PATIENCE;
    slirp_pollfds_poll(s->slirp, 0, get_events, s);
    int next = run_timers(s);
    slirp_pollfds_fill(s->slirp, &patience, add_poll, s);
    wait_for(s);
    return s->fd_count == 0 ? next : next >= 0 && next < (int)patience ? next : (int)patience;
}

/* ---- static mappings ---- */

static socklen_t address(struct sockaddr_storage *out, const struct ip_addr *a, u16 port)
{
    memset(out, 0, sizeof(*out));
    if (a->v6) {
        *(struct sockaddr_in6 *)out = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6(a->bytes)};
        return sizeof(struct sockaddr_in6);
    }
    *(struct sockaddr_in *)out =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = in4(a->bytes)};
    return sizeof(struct sockaddr_in);
}

static int flags(const struct nat_mapping *m)
{
    return (m->udp ? SLIRP_HOSTFWD_UDP : 0) | (m->external.v6 ? SLIRP_HOSTFWD_V6ONLY : 0);
}

int user_slirp_map(struct user_slirp *s, const struct nat_mapping *m, struct err *err)
{
    struct sockaddr_storage outside, inside;
    char text[IP_TEXT_MAX];
    ip_print(&m->external, text);
    if (m->remote.len)
        return err_set(err, EXIT_STATUS_USAGE,
                       "the mapping of port %u cannot be for some only: a host in user mode lets in "
                       "everybody who reaches %s",
                       m->external_port, text);
    socklen_t outside_len = address(&outside, &m->external, m->external_port);
    socklen_t inside_len = address(&inside, &m->internal, m->internal_port);
    if (slirp_add_hostxfwd(s->slirp, (struct sockaddr *)&outside, outside_len, (struct sockaddr *)&inside,
                           inside_len, flags(m)) == 0)
        return 0;
    return err_set(err, EXIT_STATUS_USAGE, "cannot listen on %s, %s port %u: %s%s", text,
                   m->udp ? "UDP" : "TCP", m->external_port, strerror(errno),
                   errno == EACCES       ? "; without root take one from 1024 on"
                   : errno == EADDRINUSE ? "; take another port"
                                         : "");
}

void user_slirp_unmap(struct user_slirp *s, const struct nat_mapping *m)
{
    struct sockaddr_storage outside;
    socklen_t len = address(&outside, &m->external, m->external_port);
    slirp_remove_hostxfwd(s->slirp, (struct sockaddr *)&outside, len, flags(m));
}
