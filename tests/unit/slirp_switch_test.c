/* SPDX-License-Identifier: MIT */
/*
 * The user-mode network in its own sandboxed process, seen from a guest adapter that speaks raw frames: ARP,
 * DHCP, a datagram to the host, a connection from the host. Field offsets: RFC 826, 791, 768, 793, 2131.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/slirp_switch.h"

enum { ETH = 14, IP = 20, UDP = 8 };

static const u8 our_mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

struct fixture {
    int guest; /* the adapter's end of the cable */
    pid_t pid;
    u16 port; /* forwarded to the guest's port 22 */
};

static u16 free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
    getsockname(s, (struct sockaddr *)&a, &len);
    close(s);
    return ntohs(a.sin_port);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int pair[2];
    f->port = free_port();
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    f->guest = pair[0];
    f->pid = fork();
    if (f->pid == 0) {
        struct err err = {0};
        close(pair[0]);
        struct slirp_nets *nets = slirp_nets_new(&err);
        struct slirp_net *n = nets ? slirp_nets_add(nets, pair[1], &err) : NULL;
        if (!n || slirp_net_forward(n, f->port, 22, &err) < 0 || slirp_sandbox(&err) < 0) {
            log_line("%s", err.text);
            _exit(99);
        }
        slirp_nets_run(nets);
        _exit(0);
    }
    close(pair[1]);
    *state = f;
    return 0;
}

/* The process ends by itself, with 0, once its guest is gone: it did not break its sandbox. */
static int teardown(void **state)
{
    struct fixture *f = *state;
    int status = -1;
    close(f->guest);
    alarm(10);
    waitpid(f->pid, &status, 0);
    alarm(0);
    free(f);
    return status;
}

/* The next frame for which wanted() says yes; others are passed over. */
static size_t receive(struct fixture *f, u8 *frame, size_t size, bool (*wanted)(const u8 *frame, size_t len))
{
    for (;;) {
        struct pollfd p = {.fd = f->guest, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 5000), 1);
        ssize_t n = recv(f->guest, frame, size, 0);
        assert_true(n > 0);
        if (n >= ETH + 20 && wanted(frame, (size_t)n))
            return (size_t)n;
    }
}

static void send_frame(struct fixture *f, const u8 *frame, size_t len)
{
    assert_int_equal(send(f->guest, frame, len, 0), len);
}

static void put16(u8 *p, u16 v)
{
    p[0] = (u8)(v >> 8);
    p[1] = (u8)v;
}

static void put_ethernet(u8 *frame, u16 type)
{
    memset(frame, 0xff, 6);
    memcpy(frame + 6, our_mac, 6);
    put16(frame + 12, type);
}

static void send_arp(struct fixture *f, u16 operation, const char *target)
{
    u8 frame[60] = {0};
    put_ethernet(frame, 0x0806);
    memcpy(frame + ETH, (u8[]){0, 1, 8, 0, 6, 4}, 6);
    put16(frame + ETH + 6, operation);
    memcpy(frame + ETH + 8, our_mac, 6);
    inet_pton(AF_INET, "10.0.2.15", frame + ETH + 14);
    inet_pton(AF_INET, target, frame + ETH + 24);
    send_frame(f, frame, sizeof(frame));
}

static u16 ip_checksum(const u8 *p)
{
    u32 sum = 0;
    for (int i = 0; i < IP; i += 2)
        sum += (u32)p[i] << 8 | p[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    return (u16) ~(sum + (sum >> 16));
}

/* UDP without a checksum, which RFC 768 allows. */
static void send_udp(struct fixture *f, const char *from, const char *to, u16 sport, u16 dport,
                     const void *data, size_t len)
{
    u8 frame[ETH + IP + UDP + 600] = {0}, *ip = frame + ETH, *udp = ip + IP;
    put_ethernet(frame, 0x0800);
    ip[0] = 0x45;
    put16(ip + 2, (u16)(IP + UDP + len));
    ip[8] = 64;
    ip[9] = 17;
    inet_pton(AF_INET, from, ip + 12);
    inet_pton(AF_INET, to, ip + 16);
    put16(ip + 10, ip_checksum(ip));
    put16(udp, sport);
    put16(udp + 2, dport);
    put16(udp + 4, (u16)(UDP + len));
    memcpy(udp + UDP, data, len);
    send_frame(f, frame, ETH + IP + UDP + len);
}

static bool is_arp_reply(const u8 *p, size_t len)
{
    return p[12] == 8 && p[13] == 6 && p[ETH + 7] == 2;
}

static bool is_udp(const u8 *p, size_t len)
{
    return p[12] == 8 && p[13] == 0 && p[ETH + 9] == 17;
}

static bool is_syn(const u8 *p, size_t len)
{
    return p[12] == 8 && p[13] == 0 && p[ETH + 9] == 6 && len >= ETH + IP + 20 &&
           (p[ETH + IP + 13] & 0x12) == 0x02;
}

static void the_gateway_answers_arp(void **state)
{
    u8 frame[2000], gateway[4] = {10, 0, 2, 2};
    send_arp(*state, 1, "10.0.2.2");
    receive(*state, frame, sizeof(frame), is_arp_reply);
    assert_memory_equal(frame + ETH + 14, gateway, 4);
    assert_memory_equal(frame + ETH + 18, our_mac, 6);
}

static void dhcp_offers_the_first_address(void **state)
{
    u8 frame[2000], discover[300] = {1, 1, 6, 0, 1, 2, 3, 4}, address[4] = {10, 0, 2, 15};
    memcpy(discover + 28, our_mac, 6);
    memcpy(discover + 236, (u8[]){0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255}, 8);
    send_udp(*state, "0.0.0.0", "255.255.255.255", 68, 67, discover, sizeof(discover));
    receive(*state, frame, sizeof(frame), is_udp);
    assert_int_equal(frame[ETH + IP + 3], 68);
    assert_memory_equal(frame + ETH + IP + UDP + 16, address, 4);
}

static void a_datagram_reaches_the_host_and_comes_back(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    u8 frame[2000];
    char got[10];
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&a, len), 0);
    getsockname(s, (struct sockaddr *)&a, &len);
    send_arp(*state, 1, "10.0.2.2");
    send_udp(*state, "10.0.2.15", "10.0.2.2", 1000, ntohs(a.sin_port), "ping", 4);
    struct pollfd p = {.fd = s, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(recvfrom(s, got, sizeof(got), 0, (struct sockaddr *)&a, &len), 4);
    assert_int_equal(sendto(s, "pong!", 5, 0, (struct sockaddr *)&a, len), 5);
    size_t n = receive(*state, frame, sizeof(frame), is_udp);
    assert_true(n >= ETH + IP + UDP + 5);
    assert_memory_equal(frame + ETH + IP + UDP, "pong!", 5);
    close(s);
}

static void a_forwarded_port_reaches_the_guest(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(f->port)};
    u8 frame[2000];
    send_arp(f, 1, "10.0.2.2"); /* teaches it where 10.0.2.15 is */
    receive(f, frame, sizeof(frame), is_arp_reply);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(s, (struct sockaddr *)&a, sizeof(a)), 0);
    receive(f, frame, sizeof(frame), is_syn);
    assert_int_equal(frame[ETH + IP + 3], 22);
    close(s);
}

static void hostile_frames_do_no_harm(void **state)
{
    struct fixture *f = *state;
    u8 frame[1600], reply[2000];
    srand(11);
    for (int i = 0; i < 3000; i++) {
        size_t len = 1 + (size_t)rand() % sizeof(frame);
        for (size_t k = 0; k < len; k++)
            frame[k] = (u8)rand();
        if (len > ETH + IP) {
            put_ethernet(frame, i % 3 ? 0x0800 : 0x86dd);
            frame[ETH] = i % 3 ? 0x45 : 0x60;
        }
        send(f->guest, frame, len, MSG_DONTWAIT);
    }
    usleep(200000);
    send_arp(f, 1, "10.0.2.2");
    receive(f, reply, sizeof(reply), is_arp_reply);
}

static void a_port_in_use_is_an_error_with_its_number(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    int pair[2];
    char number[10];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    struct slirp_nets *nets = slirp_nets_new(&err);
    struct slirp_net *n = slirp_nets_add(nets, pair[0], &err);
    u8 frame[100];
    send_arp(f, 1, "10.0.2.2");
    receive(f, frame, sizeof(frame), is_arp_reply); /* it listens by now */
    assert_int_equal(slirp_net_forward(n, f->port, 22, &err), -1);
    snprintf(number, sizeof(number), "%u", f->port);
    assert_non_null(strstr(err.text, number));
    assert_int_equal(err.status, EXIT_STATUS_USAGE);
    slirp_nets_free(nets);
    close(pair[1]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_gateway_answers_arp),
        TEST(dhcp_offers_the_first_address),
        TEST(a_datagram_reaches_the_host_and_comes_back),
        TEST(a_forwarded_port_reaches_the_guest),
        TEST(hostile_frames_do_no_harm),
        TEST(a_port_in_use_is_an_error_with_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
