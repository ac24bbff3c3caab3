/* SPDX-License-Identifier: MIT */
/* Addresses and prefixes: text, and what lies in what. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ip_text.h"

static void text_that_is_no_address_is_refused(void **state)
{
    static const char *const bad[] = {"",         "1",    "1.2.3", "1.2.3.256", "1.2.3.4 ",
                                      "01.2.3.4", "fd00", "g::",   "::1::",     "1.2.3.4/24"};
    static const char *const bad_prefix[] = {"",
                                             "/",
                                             "1.2.3.4",
                                             "1.2.3.4/",
                                             "1.2.3.4/33",
                                             "1.2.3.4/-1",
                                             "1.2.3.4/+8",
                                             "1.2.3.4/ 8",
                                             "fd00::/129",
                                             "1.2.3.4/8x",
                                             "1.2.3.4/8/8",
                                             "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8",
                                             "1.2.3.4/18446744073709551624"};
    struct ip_addr a;
    struct ip_prefix p;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(ip_parse(bad[i], &a));
    for (unsigned i = 0; i < ARRAY_SIZE(bad_prefix); i++)
        assert_false(ip_prefix_parse(bad_prefix[i], &p));
}

static void text_comes_back_canonical(void **state)
{
    char out[IP_PREFIX_TEXT_MAX];
    struct ip_prefix p = prefix("FD00:0:0::1/64"),
                     longest = prefix("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128");
    assert_string_equal(ip_prefix_print(&p, out), "fd00::1/64");
    p = ip_prefix_network(&p);
    assert_string_equal(ip_prefix_print(&p, out), "fd00::/64");
    assert_string_equal(ip_prefix_print(&longest, out), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
    p = prefix("192.168.103.77/22");
    p = ip_prefix_network(&p);
    assert_string_equal(ip_prefix_print(&p, out), "192.168.100.0/22");
    p = prefix("1.2.3.4/0");
    p = ip_prefix_network(&p);
    assert_string_equal(ip_prefix_print(&p, out), "0.0.0.0/0");
}

static void prefixes_overlap_when_one_holds_the_other(void **state)
{
    static const struct {
        const char *a, *b;
        bool overlap;
    } cases[] = {{"10.0.0.0/8", "10.200.0.0/16", true},
                 {"10.0.0.0/8", "11.0.0.0/8", false},
                 {"192.168.100.0/24", "192.168.101.0/24", false},
                 {"192.168.100.0/23", "192.168.101.0/24", true},
                 {"192.168.100.5/24", "192.168.100.0/25", true},
                 {"192.168.100.128/25", "192.168.100.0/25", false},
                 {"0.0.0.0/0", "192.168.1.0/24", true},
                 {"0.0.0.0/0", "fd00::/64", false},
                 {"fd00::/63", "fd00:0:0:1::/64", true},
                 {"fd00::/64", "fd00:0:0:1::/64", false},
                 {"1.2.3.4/32", "1.2.3.4/32", true},
                 {"1.2.3.4/32", "1.2.3.5/32", false}};
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ip_prefix a = prefix(cases[i].a), b = prefix(cases[i].b);
        assert_int_equal(ip_prefix_overlaps(&a, &b), cases[i].overlap);
        assert_int_equal(ip_prefix_overlaps(&b, &a), cases[i].overlap);
    }
}

static void edges_are_no_hosts(void **state)
{
    static const struct {
        const char *prefix, *addr;
        bool edge;
    } cases[] = {{"192.168.100.0/24", "192.168.100.0", true},
                 {"192.168.100.0/24", "192.168.100.255", true},
                 {"192.168.100.0/24", "192.168.100.1", false},
                 {"192.168.100.0/31", "192.168.100.0", false},
                 {"192.168.100.0/32", "192.168.100.0", false},
                 {"192.168.100.0/22", "192.168.101.255", false},
                 {"fd00::/64", "fd00::", true},
                 {"fd00::/64", "fd00::ffff:ffff:ffff:ffff", false},
                 {"fd00::/127", "fd00::", false}};
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ip_prefix p = prefix(cases[i].prefix);
        struct ip_addr a = addr(cases[i].addr);
        assert_int_equal(ip_prefix_is_edge(&p, &a), cases[i].edge);
        assert_true(ip_prefix_has(&p, &a));
    }
}

static void only_some_addresses_are_hosts(void **state)
{
    static const char *const hosts[] = {"1.2.3.4", "10.0.0.0", "169.254.1.1", "fd00::1", "fe80::1"},
                             *const others[] = {"0.0.0.0",         "0.1.2.3", "127.0.0.1", "224.0.0.1",
                                                "255.255.255.255", "::",      "::1",       "ff02::1"};
    for (unsigned i = 0; i < ARRAY_SIZE(hosts); i++) {
        struct ip_addr a = addr(hosts[i]);
        assert_true(ip_is_host(&a));
    }
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        struct ip_addr a = addr(others[i]);
        assert_false(ip_is_host(&a));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_is_no_address_is_refused),
        cmocka_unit_test(text_comes_back_canonical),
        cmocka_unit_test(prefixes_overlap_when_one_holds_the_other),
        cmocka_unit_test(edges_are_no_hosts),
        cmocka_unit_test(only_some_addresses_are_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
