/* SPDX-License-Identifier: MIT */
/*
 * The kernel's lane: a bridge between two TAPs in a network namespace of its own, with the frames' offloads
 * in a vnet header (IFF_VNET_HDR). A TAP takes and gives one frame a system call, without vhost there is no
 * batch; the source's call carries the frame through the bridge into the other TAP's queue, from which the
 * sink reads until it is empty.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lane.h"

#define BRIDGE "bench0"

struct bridge {
    struct lane lane; /* first */
    int in, out;
    struct virtio_net_hdr header;
    u8 sent[FRAME_MAX], got[sizeof(struct virtio_net_hdr) + FRAME_MAX];
};

static bool bridge_put(struct lane *l, u32 number)
{
    struct bridge *b = (struct bridge *)l;
    struct iovec iov[2] = {{&b->header, sizeof(b->header)}, {b->sent, l->sample->len}};
    lane_fill(l, b->sent, number);
    return writev(b->in, iov, 2) > 0;
}

static void bridge_push(struct lane *l) {}

static bool bridge_take(struct lane *l, u32 *number)
{
    struct bridge *b = (struct bridge *)l;
    const size_t header = sizeof(struct virtio_net_hdr);
    ssize_t got;
    do
        got = read(b->out, b->got, sizeof(b->got));
    while (got > 0 && (size_t)got != header + l->sample->len); /* the kernel's own */
    if (got <= 0)
        return false;
    *number = lane_number(b->got + header);
    lane_read(l, b->got + header, (size_t)got - header);
    return true;
}

static void bridge_rest(struct lane *l)
{
    struct pollfd p = {.fd = ((struct bridge *)l)->out, .events = POLLIN};
    poll(&p, 1, 100);
}

static void bridge_close(struct lane *l)
{
    struct bridge *b = (struct bridge *)l;
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq r = {.ifr_name = BRIDGE};
    close(b->in);
    close(b->out);
    ioctl(s, SIOCSIFFLAGS, &r);
    ioctl(s, SIOCBRDELBR, BRIDGE);
    close(s);
    free(b);
}

static const struct lane_ops bridge_ops = {bridge_put, bridge_push, bridge_take, bridge_rest, bridge_close};

static int set_up(int s, const char *name)
{
    struct ifreq r = {.ifr_flags = IFF_UP | IFF_RUNNING};
    strncpy(r.ifr_name, name, IFNAMSIZ - 1);
    return ioctl(s, SIOCSIFFLAGS, &r);
}

/* A TAP in the bridge, without a word of its own (IPv6 is off). */
static int tap(int s, const char *name, struct err *err)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR}, join = {.ifr_name = BRIDGE};
    strncpy(r.ifr_name, name, IFNAMSIZ - 1);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, EXIT_STATUS_HOST, "/dev/net/tun cannot be opened: %s", strerror(errno));
    if (ioctl(fd, TUNSETIFF, &r) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) < 0 ||
        set_up(s, name) < 0)
        return err_set(err, EXIT_STATUS_HOST, "a TAP cannot be made: %s", strerror(errno));
    join.ifr_ifindex = (int)if_nametoindex(name);
    if (ioctl(s, SIOCBRADDIF, &join) < 0)
        return err_set(err, EXIT_STATUS_HOST, "a TAP cannot join the bridge: %s", strerror(errno));
    return fd;
}

static int no_ipv6(void)
{
    int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, "1", 1);
    close(fd);
    return n == 1 ? 0 : -1;
}

/* The bridge learns where the sink is. */
static void introduce(struct bridge *b)
{
    u8 frame[sizeof(b->header) + 60] = {0};
    u8 *ethernet = frame + sizeof(b->header);
    memset(ethernet, 0xff, 6);
    memcpy(ethernet + 6, b->lane.sample->bytes, 6);
    ethernet[12] = 0x88; /* a local experiment's type (IEEE 802, 0x88b5) */
    ethernet[13] = 0xb5;
    if (write(b->out, frame, sizeof(frame)) < 0 || read(b->in, b->got, sizeof(b->got)) < 0)
        return; /* then it floods, to one port */
}

static int plug(struct bridge *b, struct err *err)
{
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    no_ipv6(); /* where there is none, there is nothing to silence */
    if (ioctl(s, SIOCBRADDBR, BRIDGE) < 0 || set_up(s, BRIDGE) < 0)
        return err_set(err, EXIT_STATUS_HOST, "a bridge cannot be made: %s", strerror(errno));
    b->in = tap(s, "bench1", err);
    b->out = b->in < 0 ? -1 : tap(s, "bench2", err);
    close(s);
    return b->out < 0 ? -1 : 0;
}

struct lane *bridge_open(const struct sample *s, struct err *err)
{
    const struct frame_offload *o = &s->offload;
    struct bridge *b = calloc(1, sizeof(*b));
    bug_on(!b, "no memory");
    b->lane = (struct lane){&bridge_ops, s, 0};
    b->header =
        (struct virtio_net_hdr){o->flags, o->gso, o->hdr_len, o->gso_size, o->csum_start, o->csum_offset};
    memcpy(b->sent, s->bytes, s->len);
    if (plug(b, err) < 0)
        return NULL;
    introduce(b);
    return &b->lane;
}
