/* SPDX-License-Identifier: MIT */
/* NATs, mappings and addresses as rows: what is refused and why, and the file that holds them. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "config/errors.h"
#include "mgmt/network.h"

static struct network_config c;
static struct err err;

static int begin(void **state)
{
    memset(&c, 0, sizeof(c));
    return 0;
}

static int nat(const char *name, const char *prefix)
{
    struct network_nat n = {0};
    err = (struct err){0};
    snprintf(n.name, sizeof(n.name), "%s", name);
    snprintf(n.prefix, sizeof(n.prefix), "%s", prefix);
    return network_add_nat(&c, &n, &err);
}

static int mapping(const char *name, const char *external, unsigned port, const char *internal,
                   const char *remote)
{
    struct network_mapping m = {.external_port = port, .internal_port = 80};
    err = (struct err){0};
    snprintf(m.nat, sizeof(m.nat), "%s", name);
    snprintf(m.external, sizeof(m.external), "%s", external);
    snprintf(m.internal, sizeof(m.internal), "%s", internal);
    snprintf(m.remote, sizeof(m.remote), "%s", remote);
    return network_add_mapping(&c, &m, &err);
}

static int address(const char *adapter, const char *text, unsigned len, const char *gateway)
{
    struct network_address a = {.length = len};
    err = (struct err){0};
    snprintf(a.adapter, sizeof(a.adapter), "%s", adapter);
    snprintf(a.address, sizeof(a.address), "%s", text);
    snprintf(a.gateway, sizeof(a.gateway), "%s", gateway);
    return network_add_address(&c, &a, &err);
}

static void overlapping_nats_are_refused_with_the_other_ones_name(void **state)
{
    assert_int_equal(nat("one", "192.168.100.0/24"), 0);
    assert_int_equal(nat("two", "192.168.101.0/24"), 0);
    assert_int_equal(nat("six", "FD00:1::/64"), 0);
    assert_string_equal(c.nats[2].prefix, "fd00:1::/64");
    assert_int_equal(nat("three", "192.168.100.128/25"), -1);
    assert_non_null(strstr(err.text, "'one'"));
    assert_int_equal(nat("three", "192.168.0.0/16"), -1);
    assert_int_equal(nat("ONE", "10.0.0.0/8"), -1);
    assert_int_equal(err.id, ERROR_OBJECT_EXISTS);
    assert_int_equal(c.nat_count, 3);
}

static void a_prefix_is_a_network(void **state)
{
    static const char *const bad[] = {"",
                                      "192.168.100.0",
                                      "192.168.100.1/24",
                                      "192.168.100.0/31",
                                      "127.0.0.0/8",
                                      "224.0.0.0/8",
                                      "0.0.0.0/0",
                                      "10.0.0.0/7",
                                      "fd00::/127",
                                      "x/24"};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(nat("n", bad[i]), -1);
    assert_int_equal(nat("n", "192.168.100.1/24"), -1);
    assert_non_null(strstr(err.text, "192.168.100.0/24"));
    assert_int_equal(nat("", "10.0.0.0/8"), -1);
}

static void a_mapping_has_one_endpoint(void **state)
{
    assert_int_equal(nat("n", "10.1.0.0/16"), 0);
    assert_int_equal(mapping("N", "0.0.0.0", 8080, "10.1.0.2", "0.0.0.0/0"), 0);
    assert_string_equal(c.mappings[0].nat, "n");
    assert_int_equal(mapping("n", "1.2.3.4", 8080, "10.1.0.3", "0.0.0.0/0"), -1);
    assert_int_equal(mapping("n", "1.2.3.4", 8081, "10.1.0.3", "0.0.0.0/0"), 0);
    assert_int_equal(mapping("n", "1.2.3.5", 8081, "10.1.0.3", "192.168.5.7/16"), 0);
    assert_string_equal(c.mappings[2].remote, "192.168.0.0/16");
    assert_int_equal(mapping("n", "1.2.3.5", 9, "10.2.0.3", "0.0.0.0/0"), -1); /* outside */
    assert_int_equal(mapping("n", "1.2.3.5", 9, "10.1.255.255", "0.0.0.0/0"), -1);
    assert_int_equal(mapping("m", "1.2.3.5", 9, "10.1.0.3", "0.0.0.0/0"), -1);
    assert_int_equal(mapping("n", "::", 9, "10.1.0.3", "::/0"), -1);
    assert_int_equal(mapping("n", "1.2.3.5", 0, "10.1.0.3", "0.0.0.0/0"), -1);
    network_remove_mapping(&c, &c.mappings[0]);
    assert_int_equal(mapping("n", "0.0.0.0", 7, "10.1.0.3", "0.0.0.0/0"), 0);
    assert_int_equal(c.mappings[2].id, 0); /* the lowest that is free */
    network_remove_nat(&c, network_find_nat(&c, "n"));
    assert_int_equal(c.nat_count + c.mapping_count, 0);
}

static void addresses_are_hosts_and_gateways_their_neighbours(void **state)
{
    assert_int_equal(address("vEthernet (a)", "192.168.100.1", 24, ""), 0);
    assert_int_equal(address("vEthernet (b)", "192.168.100.1", 24, ""), -1);
    assert_int_equal(err.id, ERROR_OBJECT_EXISTS);
    assert_int_equal(address("eth0", "192.168.100.2", 24, "192.168.100.1"), 0);
    assert_int_equal(address("eth0", "192.168.100.3", 24, "192.168.101.1"), -1);
    assert_int_equal(address("eth0", "192.168.100.3", 24, "192.168.100.3"), -1);
    assert_int_equal(address("eth0", "192.168.100.255", 24, ""), -1);
    assert_int_equal(address("eth0", "192.168.100.7", 33, ""), -1);
    assert_int_equal(address("eth0", "127.0.0.1", 8, ""), -1);
    assert_int_equal(address("", "10.0.0.1", 8, ""), -1);
    assert_int_equal(address("eth0", "FD00::1", 64, ""), 0);
    assert_string_equal(c.addresses[2].address, "fd00::1");
}

static void fill(void)
{
    struct network_resolver r = {"eth0", "10.1.0.1"};
    assert_int_equal(nat("n", "10.1.0.0/16"), 0);
    assert_int_equal(mapping("n", "0.0.0.0", 8080, "10.1.0.2", "0.0.0.0/0"), 0);
    assert_int_equal(mapping("n", "0.0.0.0", 8081, "10.1.0.2", "0.0.0.0/0"), 0);
    assert_int_equal(address("vEthernet (a)", "10.1.0.1", 16, ""), 0);
    assert_int_equal(network_add_resolver(&c, &r, &err), 0);
    assert_int_equal(network_add_resolver(&c, &r, &err), 0);
    network_remove_mapping(&c, &c.mappings[0]);
}

static void what_is_printed_is_read_again(void **state)
{
    struct network_config *again = calloc(1, sizeof(*again));
    fill();
    char *text = network_print(&c, &err);
    assert_non_null(text);
    assert_int_equal(network_parse(again, text, strlen(text), &err), 0);
    assert_int_equal(again->nat_count, 1);
    assert_int_equal(again->mapping_count, 1);
    assert_int_equal(again->mappings[0].id, 1);
    assert_int_equal(again->resolver_count, 1);
    assert_string_equal(again->addresses[0].adapter, "vEthernet (a)");
    for (size_t n = 0; n < strlen(text); n++) /* truncated anywhere */
        assert_int_equal(network_parse(again, text, n, &err), -1);
    free(text);
    free(again);
}

static void hostile_files_are_refused(void **state)
{
    static const char overlapping[] =
        "{\"format\":1,\"nats\":[{\"name\":\"a\",\"internalPrefix\":\"10.0.0.0/30\"},"
        "{\"name\":\"b\",\"internalPrefix\":\"10.0.0.0/8\"}]}";
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"format\":2}",
        "{\"format\":1,\"nats\":{}}",
        "{\"format\":1,\"cats\":[]}",
        "{\"format\":1,\"nats\":[{\"name\":\"a\"}]}",
        "{\"format\":1,\"nats\":[1]}",
        overlapping,
        "{\"format\":1,\"mappings\":[{\"nat\":\"a\",\"internalAddress\":\"10.0.0.1\"}]}",
        "{\"format\":1,\"addresses\":[{\"adapter\":\"a\",\"address\":\"10.0.0.1\",\"prefixLength\":129}]}"};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        err = (struct err){0};
        assert_int_equal(network_parse(&c, bad[i], strlen(bad[i]), &err), -1);
        assert_true(err.text[0]);
    }
}

static void it_is_kept(void **state)
{
    char home[] = "/tmp/droste-network-XXXXXX", command[100];
    struct store store;
    struct network n;
    assert_non_null(mkdtemp(home));
    setenv("DROSTE_HOME", home, 1);
    assert_int_equal(store_open(&store, &err), 0);
    assert_int_equal(network_take(&store, &n, &err), 0);
    assert_int_equal(n.config->nat_count, 0);
    fill();
    *n.config = c;
    assert_int_equal(network_put(&store, &n, &err), 0);
    network_release(&n);
    struct network_config *read = network_read(&store, &err);
    assert_int_equal(read->nat_count, 1);
    free(read);
    snprintf(command, sizeof(command), "echo '{\"format\":9}' >%s/" NETWORK_DEFINITION, home);
    assert_int_equal(system(command), 0);
    assert_int_equal(network_take(&store, &n, &err), -1);
    assert_non_null(strstr(err.text, "newer program"));
    store_close(&store);
    snprintf(command, sizeof(command), "rm -rf %s", home);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(overlapping_nats_are_refused_with_the_other_ones_name, begin),
        cmocka_unit_test_setup(a_prefix_is_a_network, begin),
        cmocka_unit_test_setup(a_mapping_has_one_endpoint, begin),
        cmocka_unit_test_setup(addresses_are_hosts_and_gateways_their_neighbours, begin),
        cmocka_unit_test_setup(what_is_printed_is_read_again, begin),
        cmocka_unit_test_setup(hostile_files_are_refused, begin),
        cmocka_unit_test_setup(it_is_kept, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
