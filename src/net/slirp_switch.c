/* SPDX-License-Identifier: MIT */
/* Each guest's socket is a port (net/port.h), each network a libslirp (user_slirp.h), all on one event loop.
 */
#include "net/slirp_switch.h"

#include <arpa/inet.h>
#include <seccomp.h>
#include <stdlib.h>

#include "base/sandbox.h"
#include "net/port.h"
#include "net/user_slirp.h"

struct slirp_net {
    struct slirp_nets *nets;
    struct slirp_net *next;
    struct net_port *guest; /* NULL once it is gone */
    struct user_slirp *slirp;
    u8 frame[FRAME_MAX]; /* scratch of receive() */
};

struct slirp_nets {
    struct event_loop *loop;
    struct slirp_net *first;
    unsigned guests;
};

static int before_sleep(void *opaque)
{
    struct slirp_nets *s = opaque;
    int patience = -1;
    for (struct slirp_net *n = s->first; n; n = n->next) {
        int t = user_slirp_turn(n->slirp);
        if (patience < 0 || (t >= 0 && t < patience))
            patience = t;
    }
    return patience;
}

struct slirp_nets *slirp_nets_new(struct err *err)
{
    struct slirp_nets *s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(err, EXIT_STATUS_HOST, "the user-mode network cannot start: no memory");
        return NULL;
    }
    s->loop = event_loop_new(NULL, err);
    if (!s->loop) {
        free(s);
        return NULL;
    }
    event_loop_before_sleep(s->loop, before_sleep, s);
    return s;
}

/* ---- a network ---- */

/* To the guest. A full queue drops the frame, as a switch does. */
static void output(void *opaque, const u8 *data, size_t len)
{
    struct slirp_net *n = opaque;
    struct frame f = frame_plain(data, len);
    if (n->guest)
        n->guest->ops->send(n->guest, &f);
}

static void receive(void *opaque, const struct frame *f)
{
    struct slirp_net *n = opaque;
    user_slirp_input(n->slirp, n->frame, frame_copy(f, n->frame));
}

static void guest_gone(void *opaque, const char *why)
{
    struct slirp_net *n = opaque;
    n->guest->ops->close(n->guest);
    n->guest = NULL;
    if (--n->nets->guests == 0)
        event_loop_stop(n->nets->loop);
}

static struct user_slirp_config the_network(void)
{
    struct user_slirp_config c = {.v4.len = 24, .v6 = {.addr.v6 = true, .len = 64}, .routers = true};
    inet_pton(AF_INET, "10.0.2.2", c.v4.addr.bytes);
    inet_pton(AF_INET, "10.0.2.3", c.dns4.bytes);
    inet_pton(AF_INET, "10.0.2.15", c.dhcp4.bytes);
    inet_pton(AF_INET6, "fec0::2", c.v6.addr.bytes);
    inet_pton(AF_INET6, "fec0::3", c.dns6.bytes);
    return c;
}

static void free_net(struct slirp_net *n)
{
    if (n->guest)
        n->guest->ops->close(n->guest);
    user_slirp_free(n->slirp);
    free(n);
}

struct slirp_net *slirp_nets_add(struct slirp_nets *s, int fd, struct err *err)
{
    struct user_slirp_config config = the_network();
    struct slirp_net *n = calloc(1, sizeof(*n));
    if (!n) {
        err_set(err, EXIT_STATUS_HOST, "the user-mode network cannot start: no memory");
        return NULL;
    }
    n->nets = s;
    n->slirp = user_slirp_new(&config, s->loop, output, n, err);
    n->guest = n->slirp ? net_port_socket(fd, s->loop, err) : NULL;
    if (!n->guest) {
        free_net(n);
        return NULL;
    }
    n->guest->sink = (struct frame_sink){.receive = receive, .down = guest_gone, .opaque = n};
    n->next = s->first;
    s->first = n;
    s->guests++;
    return n;
}

void slirp_nets_free(struct slirp_nets *s)
{
    if (!s)
        return;
    event_loop_before_sleep(s->loop, NULL, NULL);
    for (struct slirp_net *n = s->first, *next; n; n = next) {
        next = n->next;
        free_net(n);
    }
    event_loop_free(s->loop);
    free(s);
}

int slirp_net_forward(struct slirp_net *n, u16 host, u16 guest, struct err *err)
{
    struct err cause = {0};
    struct nat_mapping m = {.external_port = host, .internal_port = guest};
    inet_pton(AF_INET, "127.0.0.1", m.external.bytes);
    inet_pton(AF_INET, "10.0.2.15", m.internal.bytes);
    if (user_slirp_map(n->slirp, &m, &cause) == 0)
        return 0;
    return err_set(err, cause.status, "forward=%u:%u: %s", host, guest, cause.text);
}

void slirp_nets_run(struct slirp_nets *s)
{
    if (s->guests)
        event_loop_run(s->loop);
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
