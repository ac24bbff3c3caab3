/* SPDX-License-Identifier: MIT */
/* rtnetlink: messages as values, damaged ones, and this host's own loopback. */
#include <stdarg.h>
#include <setjmp.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "net/host_link.h"
#include "net/netlink.h"

static void a_link_message(struct netlink_question *q)
{
    struct ifinfomsg m = {.ifi_type = ARPHRD_ETHER, .ifi_index = 7, .ifi_flags = IFF_UP | IFF_RUNNING};
    static const u8 mac[6] = {0, 0x15, 0x5d, 1, 2, 3};
    u32 master = 3;
    netlink_begin(q, RTM_NEWLINK, 0, &m, sizeof(m));
    netlink_put_text(q, IFLA_IFNAME, "vn-1");
    netlink_put(q, IFLA_ADDRESS, mac, sizeof(mac));
    netlink_put(q, IFLA_MASTER, &master, sizeof(master));
    struct rtattr *info = netlink_nest(q, IFLA_LINKINFO);
    netlink_put_text(q, IFLA_INFO_KIND, "tun");
    netlink_nest_end(q, info);
    struct rtattr *names = netlink_nest(q, IFLA_PROP_LIST);
    netlink_put_text(q, IFLA_ALT_IFNAME, "vEthernet (VmNAT)");
    netlink_nest_end(q, names);
}

static void an_interface_is_read(void **state)
{
    struct netlink_question q;
    struct host_link l;
    a_link_message(&q);
    assert_true(host_link_parse(&q.header, &l));
    assert_int_equal(l.index, 7);
    assert_int_equal(l.master, 3);
    assert_string_equal(l.name, "vn-1");
    assert_string_equal(l.alt, "vEthernet (VmNAT)");
    assert_string_equal(l.kind, "tun");
    assert_true(l.up && l.carrier && l.ethernet && !l.loopback);
    assert_memory_equal(l.mac, ((u8[]){0, 0x15, 0x5d, 1, 2, 3}), 6);
}

static void a_cut_message_is_no_more_than_it_holds(void **state)
{
    struct netlink_question q;
    struct host_link l;
    a_link_message(&q);
    u32 whole = q.header.nlmsg_len;
    for (u32 len = sizeof(q.header); len < whole; len++) {
        u8 *exact = malloc(len); /* a read behind it is seen by the sanitizers */
        q.header.nlmsg_len = len;
        memcpy(exact, &q, len);
        if (host_link_parse((struct nlmsghdr *)exact, &l))
            assert_string_equal(l.name, "vn-1");
        free(exact);
    }
}

static void names_are_found_in_any_case(void **state)
{
    struct host_link list[] = {{.index = 1, .name = "eth0"},
                               {.index = 2, .name = "ETH0"},
                               {.index = 3, .name = "vn-1", .alt = "vEthernet (VmNAT)"}};
    assert_int_equal(host_link_find(list, 3, "ETH0")->index, 2);
    assert_int_equal(host_link_find(list, 3, "Eth0")->index, 1);
    assert_int_equal(host_link_find(list, 3, "vethernet (vmnat)")->index, 3);
    assert_null(host_link_find(list, 3, "vEthernet (other)"));
    assert_null(host_link_find(list, 3, ""));
}

static void an_address_is_read(void **state)
{
    struct netlink_question q;
    struct host_address a;
    char text[IP_PREFIX_TEXT_MAX];
    struct ifaddrmsg m = {
        .ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = 4, .ifa_flags = IFA_F_PERMANENT};
    netlink_begin(&q, RTM_NEWADDR, 0, &m, sizeof(m));
    netlink_put(&q, IFA_LOCAL, (u8[]){192, 168, 100, 1}, 4);
    assert_true(host_address_parse(&q.header, &a));
    assert_string_equal(ip_prefix_print(&a.prefix, text), "192.168.100.1/24");
    assert_false(a.dynamic || a.tentative || a.deprecated);
    assert_int_equal(a.valid, ~0u);
    m.ifa_prefixlen = 33;
    netlink_begin(&q, RTM_NEWADDR, 0, &m, sizeof(m));
    netlink_put(&q, IFA_LOCAL, (u8[]){192, 168, 100, 1}, 4);
    assert_false(host_address_parse(&q.header, &a));
    netlink_begin(&q, RTM_NEWADDR, 0, &m, sizeof(m));
    netlink_put(&q, IFA_LOCAL, (u8[]){192, 168}, 2);
    assert_false(host_address_parse(&q.header, &a));
}

static void this_host_has_a_loopback(void **state)
{
    struct host_link *links;
    struct host_address *addresses;
    unsigned count, n;
    struct err err = {0};
    assert_int_equal(host_links(&links, &count, &err), 0);
    const struct host_link *lo = host_link_find(links, count, "lo");
    assert_true(lo && lo->loopback && !lo->ethernet);
    free(links);
    assert_int_equal(host_addresses(&addresses, &n, &err), 0);
    free(addresses);
}

static void a_missing_right_is_named(void **state)
{
    struct err err = {0};
    assert_int_equal(netlink_fail(&err, EPERM, "set the default gateway"), -1);
    assert_non_null(strstr(err.text, "CAP_NET_ADMIN"));
    assert_non_null(strstr(err.text, "New-NetNat"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interface_is_read),
        cmocka_unit_test(a_cut_message_is_no_more_than_it_holds),
        cmocka_unit_test(names_are_found_in_any_case),
        cmocka_unit_test(an_address_is_read),
        cmocka_unit_test(this_host_has_a_loopback),
        cmocka_unit_test(a_missing_right_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
