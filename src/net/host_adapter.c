/* SPDX-License-Identifier: MIT */
#include "net/host_adapter.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool ask(int fd, const char *name, void *command)
{
    struct ifreq r = {.ifr_data = command};
    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
    return ioctl(fd, SIOCETHTOOL, &r) == 0;
}

/* Mbit/s. The kernel header's own function shifts a sign bit out. */
static u32 speed_of(const struct ethtool_cmd *link)
{
    return (u32)link->speed_hi << 16 | link->speed;
}

void host_adapter_look(const char *name, const char *kind, char description[64], u64 *speed)
{
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    struct ethtool_cmd link = {.cmd = ETHTOOL_GSET};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool driven = fd >= 0 && ask(fd, name, &driver);
    u32 mbits = fd >= 0 && ask(fd, name, &link) ? speed_of(&link) : 0;
    *speed = mbits == (u32)SPEED_UNKNOWN ? 0 : mbits * 1000000ull;
    snprintf(description, 64, "%.60s", driven ? driver.driver : kind[0] ? kind : "network interface");
    if (fd >= 0)
        close(fd);
}
