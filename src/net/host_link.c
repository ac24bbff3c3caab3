/* SPDX-License-Identifier: MIT */
/* Interfaces: listing and changing. Addresses and the default route are in host_address.c. */
#include "net/host_link.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "net/netlink.h"
#include "net/netlink_list.h"

static void parse_nested(const struct rtattr *const *a, struct host_link *out)
{
    const struct rtattr *info[IFLA_INFO_MAX + 1];
    const struct rtattr *names = a[IFLA_PROP_LIST];
    if (a[IFLA_LINKINFO]) {
        netlink_attributes(RTA_DATA(a[IFLA_LINKINFO]), RTA_PAYLOAD(a[IFLA_LINKINFO]), info, IFLA_INFO_MAX);
        netlink_get_text(info[IFLA_INFO_KIND], out->kind, sizeof(out->kind));
    }
    if (!names)
        return;
    size_t len = RTA_PAYLOAD(names);
    const struct rtattr *n = RTA_DATA(names);
    if (RTA_OK(n, len) && (n->rta_type & NLA_TYPE_MASK) == IFLA_ALT_IFNAME)
        netlink_get_text(n, out->alt, sizeof(out->alt));
}

bool host_link_parse(const struct nlmsghdr *h, struct host_link *out)
{
    struct ifinfomsg m;
    const struct rtattr *a[IFLA_PROP_LIST + 1];
    if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(m)))
        return false;
    memcpy(&m, NLMSG_DATA(h), sizeof(m));
    netlink_attributes(IFLA_RTA(NLMSG_DATA(h)), h->nlmsg_len - NLMSG_LENGTH(sizeof(m)), a, IFLA_PROP_LIST);
    *out = (struct host_link){.index = (unsigned)m.ifi_index,
                              .ethernet = m.ifi_type == ARPHRD_ETHER,
                              .loopback = m.ifi_flags & IFF_LOOPBACK,
                              .up = m.ifi_flags & IFF_UP,
                              .carrier = m.ifi_flags & IFF_RUNNING};
    netlink_get_text(a[IFLA_IFNAME], out->name, sizeof(out->name));
    (void)netlink_get(a[IFLA_MASTER], &out->master, sizeof(out->master));
    if (out->ethernet)
        (void)netlink_get(a[IFLA_ADDRESS], out->mac, sizeof(out->mac));
    parse_nested(a, out);
    return out->name[0] != 0;
}

LISTED(host_link, host_link_parse)

int host_links(struct host_link **list, unsigned *count, struct err *err)
{
    struct ifinfomsg m = {.ifi_family = AF_UNSPEC};
    return host_link_list(RTM_GETLINK, &m, sizeof(m), list, count, "list the network interfaces", err);
}

const struct host_link *host_link_find(const struct host_link *list, unsigned count, const char *name)
{
    for (unsigned i = 0; i < count && name[0]; i++)
        if (strcmp(list[i].name, name) == 0 || strcmp(list[i].alt, name) == 0)
            return &list[i];
    for (unsigned i = 0; i < count && name[0]; i++)
        if (strcasecmp(list[i].name, name) == 0 || strcasecmp(list[i].alt, name) == 0)
            return &list[i];
    return NULL;
}

int host_link_set_alt(unsigned index, const char *alt, struct err *err)
{
    struct netlink_question q;
    struct ifinfomsg m = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index};
    netlink_begin(&q, RTM_NEWLINKPROP, NLM_F_EXCL | NLM_F_CREATE | NLM_F_APPEND, &m, sizeof(m));
    struct rtattr *nest = netlink_nest(&q, IFLA_PROP_LIST);
    netlink_put_text(&q, IFLA_ALT_IFNAME, alt);
    netlink_nest_end(&q, nest);
    int why = netlink_ask(&q, NULL, NULL);
    if (why == EEXIST)
        return err_set(err, EXIT_STATUS_USAGE,
                       "another network interface of this host has the name '%s' already", alt);
    return why ? netlink_fail(err, why,
                              "name a network interface (alternative names need Linux 5.5 or later)")
               : 0;
}

/* One attribute of an interface, or its switch. */
static int change(unsigned index, u32 flags, u16 type, const void *data, size_t len, const char *doing,
                  struct err *err)
{
    struct netlink_question q;
    struct ifinfomsg m = {.ifi_family = AF_UNSPEC,
                          .ifi_index = (int)index,
                          .ifi_flags = flags,
                          .ifi_change = type ? 0 : IFF_UP};
    netlink_begin(&q, RTM_NEWLINK, 0, &m, sizeof(m));
    if (type)
        netlink_put(&q, type, data, len);
    int why = netlink_ask(&q, NULL, NULL);
    return why ? netlink_fail(err, why, doing) : 0;
}

int host_link_set_up(unsigned index, bool up, struct err *err)
{
    return change(index, up ? IFF_UP : 0, 0, NULL, 0, "switch a network interface on or off", err);
}

int host_link_set_mac(unsigned index, const u8 mac[6], struct err *err)
{
    return change(index, 0, IFLA_ADDRESS, mac, 6, "give a network interface its hardware address", err);
}

int host_link_set_master(unsigned index, unsigned bridge, struct err *err)
{
    return change(index, 0, IFLA_MASTER, &bridge, sizeof(bridge), "put a network interface into a bridge",
                  err);
}
