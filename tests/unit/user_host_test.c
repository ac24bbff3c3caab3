/* SPDX-License-Identifier: MIT */
/*
 * The user-mode host as a machine of its network sees it that speaks raw frames: ARP, datagrams to the
 * gateway and beyond, with and without NAT, a mapped port, DNS at the gateway. Field offsets: RFC 826, 791,
 * 768, 793.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "ip_text.h"
#include "net/user_dns.h"
#include "net/user_host.h"
#include "net/wire.h"

enum { ETH = 14, IP = 20, UDP = 8 };

static const u8 our_mac[6] = {0, 0x15, 0x5d, 1, 2, 3};
static const u8 host_mac[6] = {0x52, 0x55, 192, 168, 100, 1};

struct fixture {
    struct clock *clock;
    struct event_loop *loop;
    struct user_host *host;
    struct timer timer;
    bool (*wanted)(const u8 *frame, size_t len);
    u8 got[2000];
    size_t got_len; /* 0: nothing that was wanted */
};

static void receive(void *opaque, const struct frame *frame)
{
    struct fixture *f = opaque;
    if (!f->wanted || f->got_len || frame_len(frame) > sizeof(f->got) ||
        !f->wanted(frame->head, frame_len(frame)))
        return;
    f->got_len = frame_copy(frame, f->got);
    event_loop_stop(f->loop);
}

static void stop(void *opaque)
{
    event_loop_stop(((struct fixture *)opaque)->loop);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err = {0};
    f->clock = clock_new(CLOCK_MODE_REAL, 0);
    f->loop = event_loop_new(f->clock, &err);
    f->host = user_host_new(f->loop, &err);
    assert_non_null(f->host);
    user_host_port(f->host)->sink = (struct frame_sink){.receive = receive, .opaque = f};
    timer_init(&f->timer, f->clock, stop, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    timer_cancel(&f->timer);
    user_host_free(f->host);
    event_loop_free(f->loop);
    clock_free(f->clock);
    free(f);
    return 0;
}

/* Until such a frame came, or the time is over. */
static bool wait_for(struct fixture *f, bool (*wanted)(const u8 *frame, size_t len), unsigned ms)
{
    f->wanted = wanted;
    f->got_len = 0;
    timer_arm(&f->timer, clock_now(f->clock) + ms * 1000000ull);
    event_loop_run(f->loop);
    timer_cancel(&f->timer);
    return f->got_len != 0;
}

static void give(struct fixture *f, const u8 *data, size_t len)
{
    struct frame frame = frame_plain(data, len);
    struct net_port *p = user_host_port(f->host);
    assert_true(p->ops->send(p, &frame));
}

/* By itself, since it is what net/checksum.h is judged by. */
static u32 sum(const u8 *p, size_t n)
{
    u32 s = 0;
    for (size_t i = 0; i + 1 < n; i += 2)
        s += load_be16(p + i);
    return n & 1 ? s + (u32)(p[n - 1] << 8) : s;
}

static u16 fold(u32 s)
{
    s = (s & 0xffff) + (s >> 16);
    return (u16) ~(s + (s >> 16));
}

static void set(struct fixture *f, bool nat, const struct nat_mapping *m)
{
    struct user_address a[2] = {{prefix("192.168.100.1/24"), nat, false},
                                {prefix("fd00:100::1/64"), nat, false}};
    struct err err = {0};
    int r = user_host_set(f->host, a, 2, m, m ? 1 : 0, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(r, 0);
}

static void send_arp(struct fixture *f, const char *target)
{
    u8 frame[60] = {0};
    memset(frame, 0xff, 6);
    memcpy(frame + 6, our_mac, 6);
    store_be16(frame + 12, 0x0806);
    memcpy(frame + ETH, (u8[]){0, 1, 8, 0, 6, 4, 0, 1}, 8);
    memcpy(frame + ETH + 8, our_mac, 6);
    inet_pton(AF_INET, "192.168.100.2", frame + ETH + 14);
    inet_pton(AF_INET, target, frame + ETH + 24);
    give(f, frame, sizeof(frame));
}

/* A datagram with checksums; returns its length. */
static size_t make_udp(u8 *frame, const char *from, const char *to, u16 sport, u16 dport, const char *data)
{
    u8 *ip = frame + ETH, *udp = ip + IP;
    size_t len = strlen(data);
    memset(frame, 0, ETH + IP + UDP);
    memcpy(frame, host_mac, 6);
    memcpy(frame + 6, our_mac, 6);
    store_be16(frame + 12, 0x0800);
    ip[0] = 0x45;
    store_be16(ip + 2, (u16)(IP + UDP + len));
    ip[8] = 64;
    ip[9] = 17;
    inet_pton(AF_INET, from, ip + 12);
    inet_pton(AF_INET, to, ip + 16);
    store_be16(ip + 10, fold(sum(ip, IP)));
    store_be16(udp, sport);
    store_be16(udp + 2, dport);
    store_be16(udp + 4, (u16)(UDP + len));
    memcpy(udp + UDP, data, len);
    store_be16(udp + 6, fold(sum(ip + 12, 8) + 17 + UDP + (u32)len + sum(udp, UDP + len)));
    return ETH + IP + UDP + len;
}

static bool is_arp_reply(const u8 *p, size_t len)
{
    return load_be16(p + 12) == 0x0806 && p[ETH + 7] == 2;
}

static bool is_udp(const u8 *p, size_t len)
{
    return load_be16(p + 12) == 0x0800 && p[ETH + 9] == 17;
}

static bool is_syn(const u8 *p, size_t len)
{
    return load_be16(p + 12) == 0x0800 && p[ETH + 9] == 6 && (p[ETH + IP + 13] & 0x12) == 2;
}

static bool is_router_advertisement(const u8 *p, size_t len)
{
    return load_be16(p + 12) == 0x86dd && p[ETH + 6] == 58 && p[ETH + 40] == 134;
}

static void the_gateway_answers_arp(void **state)
{
    struct fixture *f = *state;
    send_arp(f, "192.168.100.1");
    assert_false(wait_for(f, is_arp_reply, 30)); /* nobody has the address yet */
    set(f, true, NULL);
    send_arp(f, "192.168.100.1");
    assert_true(wait_for(f, is_arp_reply, 5000));
    assert_memory_equal(f->got + ETH + 8, host_mac, 6);
}

/* A UDP socket of this host, bound to an address; its port. */
static int bound(const char *address, int type, u16 *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof(a);
    int s = socket(AF_INET, type | SOCK_NONBLOCK, 0);
    inet_pton(AF_INET, address, &a.sin_addr);
    assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
    getsockname(s, (struct sockaddr *)&a, &len);
    *port = ntohs(a.sin_port);
    return s;
}

static void a_datagram_reaches_this_host_and_comes_back(void **state)
{
    struct fixture *f = *state;
    u8 frame[200];
    char data[10] = "";
    u16 port;
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    int s = bound("127.0.0.1", SOCK_DGRAM, &port);
    set(f, false, NULL);
    send_arp(f, "192.168.100.1"); /* libslirp learns who we are */
    give(f, frame, make_udp(frame, "192.168.100.2", "192.168.100.1", 5000, port, "hello"));
    assert_int_equal(recvfrom(s, data, sizeof(data), 0, (struct sockaddr *)&from, &len), 5);
    assert_int_equal(sendto(s, "world", 5, 0, (struct sockaddr *)&from, len), 5);
    assert_true(wait_for(f, is_udp, 5000));
    assert_memory_equal(f->got + ETH + IP + UDP, "world", 5);
    assert_int_equal(load_be16(f->got + ETH + IP + 2), 5000);
    close(s);
}

/* 127.0.0.2 stands for what lies beyond: libslirp sends it there as it is. */
static void beyond_the_gateway_is_for_nat_only(void **state)
{
    struct fixture *f = *state;
    u8 frame[200];
    char data[10] = "";
    u16 port;
    int s = bound("127.0.0.2", SOCK_DGRAM, &port);
    set(f, false, NULL);
    give(f, frame, make_udp(frame, "192.168.100.2", "127.0.0.2", 5001, port, "hello"));
    assert_int_equal(recv(s, data, sizeof(data), 0), -1);
    set(f, true, NULL);
    give(f, frame, make_udp(frame, "192.168.100.2", "127.0.0.2", 5001, port, "again"));
    assert_int_equal(recv(s, data, sizeof(data), 0), 5);
    assert_memory_equal(data, "again", 5);
    close(s);
}

static void an_unfinished_checksum_is_finished(void **state)
{
    struct fixture *f = *state;
    u8 frame[200];
    char data[10] = "";
    u16 port;
    int s = bound("127.0.0.1", SOCK_DGRAM, &port);
    struct net_port *p = user_host_port(f->host);
    set(f, false, NULL);
    size_t len = make_udp(frame, "192.168.100.2", "192.168.100.1", 5000, port, "hello");
    store_be16(frame + ETH + IP + 6,
               (u16)~fold(sum(frame + ETH + 12, 8) + 17 + UDP + 5)); /* the pseudo header's */
    struct frame fr = frame_plain(frame, len);
    fr.offload = (struct frame_offload){.flags = FRAME_NEEDS_CSUM, .csum_start = ETH + IP, .csum_offset = 6};
    assert_true(p->ops->send(p, &fr));
    assert_int_equal(recv(s, data, sizeof(data), 0), 5);
    close(s);
}

static void a_mapped_port_leads_in_until_it_is_gone(void **state)
{
    struct fixture *f = *state;
    struct nat_mapping m = {.external = addr("127.0.0.1"),
                            .internal = addr("192.168.100.2"),
                            .internal_port = 80,
                            .remote = prefix("0.0.0.0/0")};
    close(bound("127.0.0.1", SOCK_STREAM, &m.external_port));
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(m.external_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    set(f, true, &m);
    set(f, true, &m); /* it stays open */
    send_arp(f, "192.168.100.1");
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(s, (struct sockaddr *)&a, sizeof(a)), -1);
    assert_true(wait_for(f, is_syn, 5000));
    assert_int_equal(load_be16(f->got + ETH + IP + 2), 80);
    close(s);
    set(f, true, NULL);
    s = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(s, (struct sockaddr *)&a, sizeof(a)), -1);
    close(s);
}

static void a_port_that_is_taken_is_named(void **state)
{
    struct fixture *f = *state;
    struct nat_mapping m = {.external = addr("127.0.0.1"),
                            .internal = addr("192.168.100.2"),
                            .internal_port = 80,
                            .remote = prefix("0.0.0.0/0")};
    struct user_address a = {prefix("192.168.100.1/24"), true, false};
    struct err err = {0};
    int s = bound("127.0.0.1", SOCK_STREAM, &m.external_port);
    listen(s, 1);
    assert_int_equal(user_host_set(f->host, &a, 1, &m, 1, &err), -1);
    assert_non_null(strstr(err.text, "another port"));
    err = (struct err){0};
    m.remote = prefix("10.0.0.0/8");
    assert_int_equal(user_host_set(f->host, &a, 1, &m, 1, &err), -1);
    assert_non_null(strstr(err.text, "for some only"));
    close(s);
}

static void nobody_advertises_routers_unasked(void **state)
{
    struct fixture *f = *state;
    struct user_address a = {prefix("fd00:100::1/64"), true, true};
    struct err err = {0};
    u8 solicitation[ETH + 48] = {0x33, 0x33, 0,    0,    0,    2,        [6] = 0, 0x15, 0x5d, 1,
                                 2,    3,    0x86, 0xdd, 0x60, [18] = 0, 8,       58,   255};
    inet_pton(AF_INET6, "fe80::215:5dff:fe01:203", solicitation + ETH + 8);
    inet_pton(AF_INET6, "ff02::2", solicitation + ETH + 24);
    solicitation[ETH + 40] = 133;
    store_be16(solicitation + ETH + 42,
               fold(sum(solicitation + ETH + 8, 32) + 8 + 58 + sum(solicitation + ETH + 40, 8)));
    set(f, true, NULL);
    give(f, solicitation, sizeof(solicitation));
    assert_false(wait_for(f, is_router_advertisement, 50));
    assert_int_equal(user_host_set(f->host, &a, 1, NULL, 0, &err), 0);
    give(f, solicitation, sizeof(solicitation));
    assert_true(wait_for(f, is_router_advertisement, 5000));
}

static void dns_at_the_gateway_goes_to_the_resolver_and_back(void **state)
{
    struct ip_addr gateway = addr("192.168.100.1"), resolver = addr("192.168.100.0");
    u8 frame[200], whole[200];
    size_t len = make_udp(frame, "192.168.100.2", "192.168.100.1", 5000, 53, "question");
    memcpy(whole, frame, len);
    assert_true(user_dns_question(frame, len, &gateway, &resolver));
    assert_memory_equal(frame + ETH + 16, resolver.bytes, 4);
    assert_int_equal(fold(sum(frame + ETH, IP)), 0);
    assert_int_equal(
        fold(sum(frame + ETH + 12, 8) + 17 + (u32)len - ETH - IP + sum(frame + ETH + IP, len - ETH - IP)), 0);
    assert_false(user_dns_question(frame, len, &gateway, &resolver)); /* it is no more for the gateway */
    len = make_udp(frame, "192.168.100.0", "192.168.100.2", 53, 5000, "answer");
    assert_true(user_dns_is_answer(frame, len, &resolver));
    user_dns_answer(frame, len, &gateway);
    assert_memory_equal(frame + ETH + 12, gateway.bytes, 4);
    assert_int_equal(fold(sum(frame + ETH, IP)), 0);
    for (len = 0; len < ETH + IP + UDP; len++) { /* cut anywhere */
        assert_false(user_dns_question(whole, len, &gateway, &resolver));
        assert_false(user_dns_is_answer(frame, len, &gateway));
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_gateway_answers_arp),
        TEST(a_datagram_reaches_this_host_and_comes_back),
        TEST(beyond_the_gateway_is_for_nat_only),
        TEST(an_unfinished_checksum_is_finished),
        TEST(a_mapped_port_leads_in_until_it_is_gone),
        TEST(a_port_that_is_taken_is_named),
        TEST(nobody_advertises_routers_unasked),
        cmocka_unit_test(dns_at_the_gateway_goes_to_the_resolver_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
