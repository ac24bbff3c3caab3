/* SPDX-License-Identifier: MIT */
#include "net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/vnet_port.h"

#define DEVICE    "/dev/net/tun"
#define USER_MODE "; without it an Internal switch has a host in user mode (New-VMSwitch -HostNetwork User)"

static int explain(int why, const char *name, struct err *err)
{
    if (why == EPERM || why == EACCES)
        return err_set(err, EXIT_STATUS_USAGE,
                       "cannot make the network interface %s: the right CAP_NET_ADMIN is missing" USER_MODE,
                       name);
    if (why == EBUSY)
        return err_set(err, EXIT_STATUS_USAGE,
                       "cannot make the network interface %s: there is one of this name already", name);
    return err_set(err, EXIT_STATUS_HOST, "cannot make the network interface %s: %s", name, strerror(why));
}

static int open_device(struct err *err)
{
    int fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    return err_set(err, EXIT_STATUS_HOST, "cannot open " DEVICE ": %s; %s" USER_MODE, strerror(errno),
                   errno == ENOENT || errno == ENODEV ? "the kernel's module tun is needed (modprobe tun)"
                                                      : "be root, or give the right to it");
}

int tap_open(const char *name, unsigned *index, struct err *err)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open_device(err);
    if (fd < 0)
        return -1;
    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
    if (ioctl(fd, TUNSETIFF, &r) ||
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)) {
        explain(errno, name, err);
        close(fd);
        return -1;
    }
    *index = if_nametoindex(name);
    return fd;
}

struct net_port *net_port_tap(int fd, bool whole, struct event_loop *loop, struct err *err)
{
    return vnet_port_new(fd, false, whole ? 0 : FRAME_ACCEPTS_ALL, loop, err);
}
