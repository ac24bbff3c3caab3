/* SPDX-License-Identifier: MIT */
/* The rules of the kernel's NAT as text, read by libnftables without touching the kernel. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <nftables/libnftables.h>
#include <cmocka.h>

#include "ip_text.h"
#include "net/host_forward.h"
#include "net/nat_nft.h"

static char *rules(bool with_mappings)
{
    const struct nat_network networks[] = {{prefix("192.168.100.0/24"), "vn-1"},
                                           {prefix("fd00:100::/64"), "vn-1"},
                                           {prefix("10.0.0.0/8"), "vn-2"}};
    const struct nat_mapping mappings[] = {
        {false, addr("0.0.0.0"), 8080, 80, addr("192.168.100.2"), prefix("0.0.0.0/0")},
        {true, addr("203.0.113.7"), 53, 5353, addr("10.0.0.9"), prefix("198.51.100.0/24")},
        {false, addr("::"), 443, 443, addr("fd00:100::2"), prefix("::/0")}};
    const struct nat_rules r = {networks, ARRAY_SIZE(networks), mappings,
                                with_mappings ? ARRAY_SIZE(mappings) : 0};
    char *text = nat_rules_text("droste-test", &r);
    assert_non_null(text);
    return text;
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in:\n%s", part, text);
}

static void outward_they_take_the_hosts_address(void **state)
{
    char *text = rules(false);
    has(text, "set internal { type ifname; elements = { \"vn-1\", \"vn-2\" }; }");
    has(text, "ip saddr 192.168.100.0/24 oifname != @internal masquerade");
    has(text, "ip6 saddr fd00:100::/64 oifname != @internal masquerade");
    has(text, "oifname @internal drop");
    assert_null(strstr(text, "dnat ip"));
    free(text);
}

static void mapped_ports_go_inward(void **state)
{
    char *text = rules(true);
    has(text, "meta nfproto ipv4 fib daddr type local tcp dport 8080 dnat ip to 192.168.100.2:80\n");
    has(text, "ip daddr 203.0.113.7 ip saddr 198.51.100.0/24 udp dport 53 dnat ip to 10.0.0.9:5353\n");
    has(text, "meta nfproto ipv6 fib daddr type local tcp dport 443 dnat ip6 to [fd00:100::2]:443\n");
    free(text);
}

static void without_networks_the_table_goes(void **state)
{
    char *text = nat_rules_text("droste-test", &(struct nat_rules){0});
    assert_string_equal(text, "table inet droste-test\ndelete table inet droste-test\n");
    free(text);
}

/* Where this process may not ask the kernel what is there, libnftables says so before it reads anything. */
static void nft_reads_it(void **state)
{
    char *text = rules(true);
    struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
    nft_ctx_set_dry_run(nft, true);
    nft_ctx_buffer_error(nft);
    int r = nft_run_cmd_from_buffer(nft, text);
    const char *told = nft_ctx_get_error_buffer(nft);
    bool unable = r && (strstr(told, "cache initialization") || strstr(told, "Unable to initialize Netlink"));
    if (r && !unable)
        fail_msg("%s", told);
    nft_ctx_free(nft);
    free(text);
    if (unable)
        skip();
}

static void gather(void *arg, const char *word)
{
    strcat(strcat(arg, word), " ");
}

static void a_listing_gives_its_words_back(void **state)
{
    static const char listing[] =
        "table inet droste-forwarding {\n\tset ipv4 {\n\t\ttype ifname\n\t\telements = { \"eth0\",\n"
        "\t\t\t     \"wlan0\" }\n\t}\n\n\tset ipv6 {\n\t\ttype ifname\n\t}\n\n\tset adapters {\n"
        "\t\ttype ifname\n\t\telements = { \"vn-1\" }\n\t}\n}\n";
    char words[100] = "";
    nft_set_words(listing, "ipv4", gather, words);
    assert_string_equal(words, "eth0 wlan0 ");
    words[0] = 0;
    nft_set_words(listing, "ipv6", gather, words);
    nft_set_words(listing, "none", gather, words);
    assert_string_equal(words, "");
    nft_set_words("set ipv4 { \"a", "ipv4", gather, words);
    nft_set_words("set ipv4 { \"a\"", "ipv4", gather, words);
    nft_set_words("set ipv4 { \"an interface's name is not so long\" }", "ipv4", gather, words);
    assert_string_equal(words, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outward_they_take_the_hosts_address), cmocka_unit_test(mapped_ports_go_inward),
        cmocka_unit_test(without_networks_the_table_goes),     cmocka_unit_test(nft_reads_it),
        cmocka_unit_test(a_listing_gives_its_words_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
