/* SPDX-License-Identifier: MIT */
/* The DHCP server, asked by frames: addresses, who keeps them, who does not get them, and nonsense. */
#include <stdarg.h>
#include <setjmp.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "net/dhcp_server.h"

enum { ETH = 14, IP = 20, UDP = 8, BOOTP = ETH + IP + UDP, OPTIONS = BOOTP + 240 };

static struct event_loop *loop;
static struct dhcp_server *server;
static struct err err;
static u64 seconds;
static u8 got[1000];
static size_t got_len;
static unsigned got_count;

static u64 now(void)
{
    return seconds;
}

static void receive(void *opaque, const struct frame *f)
{
    got_len = frame_copy(f, got);
    got_count++;
}

static struct dhcp_network network(const char *gateway)
{
    struct dhcp_network n = {.resolver_count = 1};
    assert_true(ip_prefix_parse(gateway, &n.gateway));
    assert_true(ip_parse("203.0.113.1", &n.resolvers[0]));
    return n;
}

static int setup(void **state)
{
    static const u8 mac[6] = {2, 0x15, 0x5d, 0, 0, 1};
    struct dhcp_network n = network("192.168.100.1/24");
    seconds = 1000;
    loop = event_loop_new(NULL, &err);
    server = dhcp_server_new(loop, mac, now, &err);
    dhcp_server_port(server)->sink = (struct frame_sink){.receive = receive};
    dhcp_server_set(server, &n);
    return 0;
}

static int teardown(void **state)
{
    dhcp_server_free(server);
    event_loop_free(loop);
    return 0;
}

static u32 address(const char *text)
{
    struct in_addr a;
    assert_int_equal(inet_pton(AF_INET, text, &a), 1);
    return ntohl(a.s_addr);
}

/* Options are code, length and value; 0: not there. */
static size_t make(u8 *f, u8 client, u8 type, u32 wanted, u32 of_server, u32 ciaddr)
{
    u8 *o = f + OPTIONS;
    u32 n;
    memset(f, 0, OPTIONS);
    memset(f, 0xff, 6);
    f[12] = 8;
    f[ETH] = 0x45;
    f[ETH + 9] = 17;
    f[ETH + IP + 3] = 67;
    f[BOOTP] = f[BOOTP + 1] = 1;
    f[BOOTP + 2] = 6;
    f[BOOTP + 7] = 42;
    n = htonl(ciaddr);
    memcpy(f + BOOTP + 12, &n, 4);
    memcpy(f + BOOTP + 28, (u8[]){0, 0x15, 0x5d, 0, 0, client}, 6);
    memcpy(f + BOOTP + 236, (u8[]){99, 130, 83, 99}, 4);
    memcpy(o, (u8[]){53, 1, type}, 3);
    o += 3;
    if (wanted) {
        n = htonl(wanted);
        memcpy(o, (u8[]){50, 4}, 2);
        memcpy(o + 2, &n, 4);
        o += 6;
    }
    if (of_server) {
        n = htonl(of_server);
        memcpy(o, (u8[]){54, 4}, 2);
        memcpy(o + 2, &n, 4);
        o += 6;
    }
    *o++ = 255;
    size_t len = (size_t)(o - f), udp = len - ETH - IP;
    f[ETH + IP + 4] = (u8)(udp >> 8);
    f[ETH + IP + 5] = (u8)udp;
    return len;
}

static void stop(void *opaque)
{
    event_loop_stop(loop);
}

static void give(const u8 *f, size_t len)
{
    struct net_port *p = dhcp_server_port(server);
    struct frame frame = frame_plain(f, len);
    got_count = 0;
    assert_true(p->ops->send(p, &frame));
    assert_int_equal(got_count, 0); /* never from within send() */
    event_loop_post(loop, stop, NULL);
    event_loop_run(loop);
}

static const u8 *option(u8 code)
{
    for (const u8 *o = got + OPTIONS; *o != 255 && o < got + got_len; o += 2 + o[1])
        if (*o == code)
            return o + 2;
    return NULL;
}

/* The type of the answer, or 0; *given: the address in it. */
static u8 ask(u8 client, u8 type, u32 wanted, u32 of_server, u32 ciaddr, u32 *given)
{
    u8 f[600];
    give(f, make(f, client, type, wanted, of_server, ciaddr));
    if (!got_count)
        return 0;
    assert_int_equal(got_count, 1);
    assert_int_equal(got[BOOTP + 7], 42);
    u32 n;
    memcpy(&n, got + BOOTP + 16, 4);
    *given = ntohl(n);
    return *option(53);
}

static void a_machine_gets_an_address_and_keeps_it(void **state)
{
    u32 a, b, gateway = address("192.168.100.1");
    assert_int_equal(ask(1, 1, 0, 0, 0, &a), 2);
    assert_int_equal(a, address("192.168.100.128"));
    assert_memory_equal(option(1), ((u8[]){255, 255, 255, 0}), 4);
    assert_memory_equal(option(3), ((u8[]){192, 168, 100, 1}), 4);
    assert_memory_equal(option(6), ((u8[]){203, 0, 113, 1}), 4);
    assert_int_equal(ask(1, 3, a, gateway, 0, &b), 5);
    assert_int_equal(a, b);
    assert_int_equal(ask(1, 1, 0, 0, 0, &b), 2);
    assert_int_equal(a, b);
    assert_int_equal(ask(2, 1, 0, 0, 0, &b), 2);
    assert_int_equal(b, a + 1);
    assert_int_equal(ask(1, 3, 0, 0, a, &b), 5); /* renewed */
    assert_memory_equal(got, ((u8[]){0, 0x15, 0x5d, 0, 0, 1}), 6);
}

static void what_another_has_is_refused(void **state)
{
    u32 a, b;
    ask(1, 1, 0, 0, 0, &a);
    assert_int_equal(ask(1, 3, a, 0, 0, &b), 5);
    assert_int_equal(ask(2, 3, a, 0, 0, &b), 6);
    assert_int_equal(ask(2, 3, address("192.168.100.5"), 0, 0, &b), 6); /* outside of what it gives */
    assert_int_equal(ask(2, 3, address("10.0.0.5"), 0, 0, &b), 6);
    assert_int_equal(ask(2, 3, a + 7, 0, 0, &b), 5);                        /* as after a restart of ours */
    assert_int_equal(ask(3, 3, a + 8, address("192.168.100.9"), 0, &b), 0); /* another server's */
    assert_int_equal(ask(1, 7, 0, 0, a, &b), 0);
    assert_int_equal(ask(2, 3, a, 0, 0, &b), 5); /* it was given back */
}

static void leases_end(void **state)
{
    struct dhcp_network n = network("192.168.100.1/28");
    u32 a;
    dhcp_server_set(server, &n);
    for (u8 i = 0; i < 7; i++) {
        assert_int_equal(ask(i, 1, 0, 0, 0, &a), 2);
        assert_int_equal(ask(i, 3, a, 0, 0, &a), 5);
    }
    assert_int_equal(a, address("192.168.100.14"));
    assert_int_equal(ask(8, 1, 0, 0, 0, &a), 0); /* there are no more */
    seconds += DHCP_LEASE_SECONDS + 1;
    assert_int_equal(ask(8, 1, 0, 0, 0, &a), 2);
}

/* Of an address that was given back nothing is left but that it is free. */
static void an_offer_nobody_took_ends(void **state)
{
    u32 a, b;
    ask(1, 1, 0, 0, 0, &a);
    assert_int_equal(ask(1, 3, a, 0, 0, &b), 5);
    assert_int_equal(ask(1, 7, 0, 0, a, &b), 0);
    assert_int_equal(ask(2, 1, 0, 0, 0, &b), 2);
    assert_int_equal(a, b);
    seconds += 61;
    assert_int_equal(ask(3, 1, 0, 0, 0, &b), 2);
    assert_int_equal(a, b);
}

/* RFC 2131 4.3.5. */
static void who_has_an_address_is_told_the_rest(void **state)
{
    u32 a;
    assert_int_equal(ask(1, 8, 0, 0, address("192.168.100.7"), &a), 5);
    assert_int_equal(a, 0);
    assert_memory_equal(option(3), ((u8[]){192, 168, 100, 1}), 4);
    assert_null(option(51));
    assert_null(option(58));
    assert_null(option(59));
}

static void the_gateway_is_not_given_away(void **state)
{
    struct dhcp_network n = network("192.168.100.9/28");
    u32 a;
    dhcp_server_set(server, &n);
    for (u8 i = 0; ask(i, 1, 0, 0, 0, &a); i++)
        assert_int_not_equal(a, address("192.168.100.9"));
    dhcp_server_set(server, NULL);
    assert_int_equal(ask(1, 1, 0, 0, 0, &a), 0);
}

static void nonsense_is_passed_over(void **state)
{
    u8 f[700], bad[700];
    size_t len = make(f, 1, 1, address("192.168.100.130"), 0, 0);
    for (size_t n = 0; n < len; n++) { /* cut anywhere, though lengths say otherwise */
        u8 *exact = malloc(n + 1);
        memcpy(exact, f, n);
        give(exact, n);
        assert_int_equal(got_count, 0);
        free(exact);
    }
    for (unsigned i = 0; i < 20000; i++) { /* bytes changed at random: no crash, that is all */
        memcpy(bad, f, len);
        for (unsigned k = 0; k < 4; k++)
            bad[(unsigned)rand() % len] = (u8)rand();
        give(bad, len);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_machine_gets_an_address_and_keeps_it),
        TEST(what_another_has_is_refused),
        TEST(leases_end),
        TEST(an_offer_nobody_took_ends),
        TEST(who_has_an_address_is_told_the_rest),
        TEST(the_gateway_is_not_given_away),
        TEST(nonsense_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
