/* SPDX-License-Identifier: MIT */
/*
 * TAPs and packet sockets with this host's own kernel at the other end, in a network namespace that this
 * process makes for itself; skipped where it may not.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/host_link.h"
#include "net/packet.h"
#include "net/tap.h"

struct fixture {
    struct clock *clock;
    struct event_loop *loop;
    struct timer timer;
    bool (*wanted)(const u8 *frame, size_t len);
    u8 got[2000];
    size_t got_len;
    const char *down;
};

static char why_not[200]; /* "": there is a namespace */
static struct err err;

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        snprintf(why_not, sizeof(why_not), "%s cannot be written", path);
    if (fd >= 0)
        close(fd);
}

static int enter(void **state)
{
    char map[40];
    unsigned uid = getuid(), gid = getgid();
    if (unshare(CLONE_NEWNET) == 0)
        return 0;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
        snprintf(why_not, sizeof(why_not), "no namespaces here: %s", strerror(errno));
        return 0;
    }
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "0 %u 1", uid);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof(map), "0 %u 1", gid);
    write_file("/proc/self/gid_map", map);
    return 0;
}

static void receive(void *opaque, const struct frame *frame)
{
    struct fixture *f = opaque;
    if (f->got_len || !f->wanted || frame_len(frame) > sizeof(f->got) ||
        !f->wanted(frame->head, frame_len(frame)))
        return;
    f->got_len = frame_copy(frame, f->got);
    event_loop_stop(f->loop);
}

static void down(void *opaque, const char *why)
{
    struct fixture *f = opaque;
    f->down = why;
    event_loop_stop(f->loop);
}

static void stop(void *opaque)
{
    event_loop_stop(((struct fixture *)opaque)->loop);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    err = (struct err){0};
    f->clock = clock_new(CLOCK_MODE_REAL, 0);
    f->loop = event_loop_new(f->clock, &err);
    timer_init(&f->timer, f->clock, stop, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    event_loop_free(f->loop);
    clock_free(f->clock);
    free(f);
    return 0;
}

static void run(struct fixture *f, bool (*wanted)(const u8 *frame, size_t len))
{
    f->wanted = wanted;
    f->got_len = 0;
    timer_arm(&f->timer, clock_now(f->clock) + 5000000000ull);
    event_loop_run(f->loop);
    timer_cancel(&f->timer);
}

static void need_namespace(void)
{
    if (why_not[0]) {
        print_message("%s\n", why_not);
        skip();
    }
}

static void attach(struct fixture *f, struct net_port *p)
{
    assert_non_null(p);
    p->sink = (struct frame_sink){.receive = receive, .down = down, .opaque = f};
}

static bool is_arp_reply(const u8 *p, size_t len)
{
    return len >= 42 && p[12] == 8 && p[13] == 6 && p[21] == 2;
}

static void the_host_answers_on_a_tap(void **state)
{
    struct fixture *f = *state;
    unsigned index, count;
    struct ip_prefix p;
    struct host_link *links;
    const u8 mac[6] = {0, 0x15, 0x5d, 9, 9, 9};
    need_namespace();
    int fd = tap_open("vn-test", &index, &err);
    if (fd < 0 && strstr(err.text, "/dev/net/tun")) {
        print_message("%s\n", err.text);
        skip();
    }
    assert_string_equal(err.text, "");
    assert_true(ip_prefix_parse("10.9.0.1/24", &p));
    assert_int_equal(host_link_set_mac(index, mac, &err), 0);
    assert_int_equal(host_link_set_alt(index, "vEthernet (a b)", &err), 0);
    assert_int_equal(host_link_set_up(index, true, &err), 0);
    assert_int_equal(host_address_add(index, &p, &err), 0);
    assert_int_equal(host_address_add(index, &p, &err), 0);
    assert_int_equal(host_links(&links, &count, &err), 0);
    assert_int_equal(host_link_find(links, count, "VETHERNET (A B)")->index, index);
    free(links);
    struct net_port *port = net_port_tap(fd, false, f->loop, &err);
    attach(f, port);
    u8 arp[60] = {[0] = 255, 255, 255,  255,  255, 255, 0, 0x15, 0x5d, 1, 2, 3, 8, 6, 0, 1, 8, 0,  6, 4, 0,
                  1,         0,   0x15, 0x5d, 1,   2,   3, 10,   9,    0, 2, 0, 0, 0, 0, 0, 0, 10, 9, 0, 1};
    struct frame frame = frame_plain(arp, sizeof(arp));
    assert_true(port->ops->send(port, &frame));
    run(f, is_arp_reply);
    assert_true(f->got_len);
    assert_memory_equal(f->got + 22, mac, 6);
    assert_int_equal(host_address_remove(index, &p, &err), 0);
    assert_int_equal(host_address_remove(index, &p, &err), 0);
    int again = tap_open("vn-test", &index, &err);
    assert_int_equal(again, -1);
    assert_non_null(strstr(err.text, "of this name already"));
    port->ops->close(port);
    assert_int_equal(host_links(&links, &count, &(struct err){0}), 0);
    assert_null(host_link_find(links, count, "vn-test")); /* gone with its descriptor */
    free(links);
}

/* ---- a pair of interfaces ---- */

static int watch_links(void)
{
    const struct sockaddr_nl all = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    assert_true(fd >= 0 && bind(fd, (const struct sockaddr *)&all, sizeof(all)) == 0);
    return fd;
}

/* The kernel makes an interface usable some time after it was switched on, and what is sent before is lost;
 * then it says so. */
static void wait_until_usable(int fd, const char *name)
{
    _Alignas(struct nlmsghdr) u8 buf[16384];
    struct host_link link;
    for (;;) {
        ssize_t got = recv(fd, buf, sizeof(buf), 0);
        assert_true(got > 0);
        size_t len = (size_t)got;
        for (const struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len))
            if (host_link_parse(h, &link) && strcmp(link.name, name) == 0 && link.up && link.carrier)
                return;
    }
}

static bool is_tagged(const u8 *p, size_t len)
{
    return len >= 60 && p[12] == 0x81 && p[13] == 0 && p[14] == 0x20 && p[15] == 7 && p[16] == 0x88 &&
           p[17] == 0xb5;
}

static void a_frame_keeps_its_tag(void **state)
{
    struct fixture *f = *state;
    struct host_link *links;
    unsigned count;
    need_namespace();
    int links_change = watch_links();
    if (system(
            "ip link add va type veth peer name vb 2>/dev/null && ip link set va up && ip link set vb up")) {
        print_message("this kernel has no veth, or there is no ip command\n");
        close(links_change);
        skip();
    }
    wait_until_usable(links_change, "va");
    close(links_change);
    assert_int_equal(host_links(&links, &count, &err), 0);
    int a = packet_open(host_link_find(links, count, "va")->index, &err);
    int b = packet_open(host_link_find(links, count, "vb")->index, &err);
    free(links);
    assert_string_equal(err.text, "");
    struct net_port *from = net_port_packet(a, f->loop, &err), *to = net_port_packet(b, f->loop, &err);
    attach(f, to);
    from->sink = (struct frame_sink){0};
    u8 tagged[64] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0x20, 7, 0x88, 0xb5, 42};
    struct frame frame = frame_plain(tagged, sizeof(tagged));
    assert_true(from->ops->send(from, &frame));
    run(f, is_tagged);
    assert_int_equal(f->got_len, sizeof(tagged));
    assert_memory_equal(f->got, tagged, sizeof(tagged));
    from->ops->close(from);
    assert_int_equal(system("ip link del va"), 0);
    to->ops->close(to);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_host_answers_on_a_tap),
        TEST(a_frame_keeps_its_tag),
    };
    return cmocka_run_group_tests(tests, enter, NULL);
}
