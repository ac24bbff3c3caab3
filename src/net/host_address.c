/* SPDX-License-Identifier: MIT */
/* Addresses of interfaces, and the default route. */
#include <errno.h>
#include <linux/if_addr.h>
#include <stdio.h>
#include <sys/socket.h>

#include "net/host_link.h"
#include "net/netlink.h"
#include "net/netlink_list.h"

static bool get_ip(const struct rtattr *a, u8 family, struct ip_addr *out)
{
    *out = (struct ip_addr){.v6 = family == AF_INET6};
    return netlink_get(a, out->bytes, ip_bits(out) / 8);
}

static void put_ip(struct netlink_question *q, u16 type, const struct ip_addr *a)
{
    netlink_put(q, type, a->bytes, ip_bits(a) / 8);
}

static bool known_family(u8 family)
{
    return family == AF_INET || family == AF_INET6;
}

bool host_address_parse(const struct nlmsghdr *h, struct host_address *out)
{
    struct ifaddrmsg m;
    struct ifa_cacheinfo times = {.ifa_valid = ~0u, .ifa_prefered = ~0u};
    const struct rtattr *a[IFA_FLAGS + 1];
    if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(m)))
        return false;
    memcpy(&m, NLMSG_DATA(h), sizeof(m));
    netlink_attributes(IFA_RTA(NLMSG_DATA(h)), h->nlmsg_len - NLMSG_LENGTH(sizeof(m)), a, IFA_FLAGS);
    u32 flags = m.ifa_flags;
    (void)netlink_get(a[IFA_FLAGS], &flags, sizeof(flags));
    (void)netlink_get(a[IFA_CACHEINFO], &times, sizeof(times));
    *out = (struct host_address){.index = m.ifa_index,
                                 .prefix.len = m.ifa_prefixlen,
                                 .tentative = flags & IFA_F_TENTATIVE,
                                 .duplicate = flags & IFA_F_DADFAILED,
                                 .deprecated = flags & IFA_F_DEPRECATED,
                                 .dynamic = !(flags & IFA_F_PERMANENT),
                                 .link_scope = m.ifa_scope == RT_SCOPE_LINK,
                                 .valid = times.ifa_valid,
                                 .preferred = times.ifa_prefered};
    /* Of a point-to-point link IFA_ADDRESS is the other end. */
    return known_family(m.ifa_family) &&
           get_ip(a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS], m.ifa_family, &out->prefix.addr) &&
           m.ifa_prefixlen <= ip_bits(&out->prefix.addr);
}

LISTED(host_address, host_address_parse)

int host_addresses(struct host_address **list, unsigned *count, struct err *err)
{
    struct ifaddrmsg m = {.ifa_family = AF_UNSPEC};
    return host_address_list(RTM_GETADDR, &m, sizeof(m), list, count, "list the addresses of this host", err);
}

static int address(u16 type, u16 flags, unsigned index, const struct ip_prefix *p)
{
    struct netlink_question q;
    struct ifaddrmsg m = {
        .ifa_family = p->addr.v6 ? AF_INET6 : AF_INET, .ifa_prefixlen = p->len, .ifa_index = index};
    netlink_begin(&q, type, flags, &m, sizeof(m));
    put_ip(&q, IFA_LOCAL, &p->addr);
    put_ip(&q, IFA_ADDRESS, &p->addr);
    if (!p->addr.v6 && p->len < 31 && type == RTM_NEWADDR) {
        struct ip_addr broadcast = p->addr;
        for (unsigned bit = p->len; bit < 32; bit++)
            broadcast.bytes[bit / 8] |= (u8)(0x80 >> bit % 8);
        put_ip(&q, IFA_BROADCAST, &broadcast);
    }
    return netlink_ask(&q, NULL, NULL);
}

int host_address_add(unsigned index, const struct ip_prefix *p, struct err *err)
{
    int why = address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, p);
    return why && why != EEXIST ? netlink_fail(err, why, "give a network interface an address") : 0;
}

int host_address_remove(unsigned index, const struct ip_prefix *p, struct err *err)
{
    int why = address(RTM_DELADDR, 0, index, p);
    return why && why != EADDRNOTAVAIL && why != ENODEV
               ? netlink_fail(err, why, "take an address from a network interface")
               : 0;
}

static int gateway(u16 type, u16 flags, unsigned index, const struct ip_addr *a)
{
    struct netlink_question q;
    struct rtmsg m = {.rtm_family = a->v6 ? AF_INET6 : AF_INET,
                      .rtm_table = RT_TABLE_MAIN,
                      .rtm_protocol = RTPROT_STATIC,
                      .rtm_scope = RT_SCOPE_UNIVERSE,
                      .rtm_type = RTN_UNICAST};
    netlink_begin(&q, type, flags, &m, sizeof(m));
    put_ip(&q, RTA_GATEWAY, a);
    netlink_put(&q, RTA_OIF, &index, sizeof(index));
    return netlink_ask(&q, NULL, NULL);
}

int host_gateway_add(unsigned index, const struct ip_addr *a, struct err *err)
{
    int why = gateway(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, index, a);
    if (why == EEXIST)
        return err_set(err, EXIT_STATUS_USAGE, "this host has a default gateway already (ip route shows it)");
    return why ? netlink_fail(err, why, "set the default gateway") : 0;
}

int host_gateway_remove(unsigned index, const struct ip_addr *a, struct err *err)
{
    int why = gateway(RTM_DELROUTE, 0, index, a);
    return why && why != ESRCH && why != ENODEV ? netlink_fail(err, why, "take away the default gateway") : 0;
}
