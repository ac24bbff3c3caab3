/* SPDX-License-Identifier: MIT */
/*
 * Links: frames through the rings between two threads, ends that are refused, and a peer that writes into the
 * shared memory what it likes. Layout of the memory: net/ring.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/link.h"
#include "net/ring.h"

#define FRAMES 60000

/* --- two threads --- */

static size_t length(unsigned n)
{
    u32 x = n * 2654435761u;
    return n % 97 == 0 ? FRAME_MAX - x % 1000 : 1 + x % 1600;
}

static void fill(u8 *p, size_t len, unsigned n)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (u8)(n + i);
}

static bool filled(const struct frame *f, unsigned n)
{
    for (size_t i = 0; i < f->head_len; i++)
        if (f->head[i] != (u8)(n + i))
            return false;
    for (size_t i = 0; i < f->body_len; i++)
        if (f->body[i] != (u8)(n + f->head_len + i))
            return false;
    return true;
}

static void *sender(void *opaque)
{
    struct link *l = opaque;
    for (unsigned n = 0; n < FRAMES;) {
        size_t len = length(n);
        u8 *room = link_reserve(l, len);
        if (!room) {
            link_flush(l);
            sched_yield();
            continue;
        }
        struct frame_offload o = {.gso_size = (u16)n};
        fill(room, len, n);
        link_commit(l, len, &o);
        if (n % 7 == 0)
            link_flush(l);
        if (n % 1000 == 0)
            usleep(100); /* long enough for the other side to fall asleep */
        n++;
    }
    link_flush(l);
    return NULL;
}

/* Waits for a bell; one that does not come in ten seconds was lost. */
static void await_bell(struct link *l)
{
    struct pollfd p = {.fd = link_fd(l), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_true(link_wake(l));
}

static void receive_all(struct link *l)
{
    struct frame f;
    for (unsigned n = 0; n < FRAMES; n++) {
        int r;
        while ((r = link_peek(l, &f)) == 0)
            if (link_sleep(l))
                await_bell(l);
        assert_int_equal(r, 1);
        assert_int_equal(frame_len(&f), length(n));
        assert_int_equal(f.offload.gso_size, (u16)n);
        assert_true(filled(&f, n));
        link_release(l);
    }
    assert_int_equal(link_peek(l, &f), 0);
}

static void open_pair(struct link *l[2])
{
    struct err err = {0};
    int ends[2];
    assert_int_equal(link_pair(ends, &err), 0);
    for (unsigned i = 0; i < 2; i++) {
        l[i] = link_open(ends[i], &err);
        assert_non_null(l[i]);
    }
}

static void frames_pass_in_order_between_threads(void **state)
{
    for (unsigned way = 0; way < 2; way++) {
        struct link *l[2];
        pthread_t t;
        open_pair(l);
        pthread_create(&t, NULL, sender, l[way]);
        receive_all(l[1 - way]);
        pthread_join(t, NULL);
        link_close(l[0]);
        link_close(l[1]);
    }
}

static void a_full_ring_takes_no_more(void **state)
{
    struct link *l[2];
    struct frame f;
    struct frame_offload o = {0};
    unsigned n = 0;
    open_pair(l);
    while (link_reserve(l[0], FRAME_MAX)) {
        link_commit(l[0], FRAME_MAX, &o);
        n++;
    }
    assert_int_equal(n, LINK_RING / ALIGN_UP(FRAME_MAX + 16, RING_ALIGN));
    link_flush(l[0]);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(link_peek(l[1], &f), 1);
        link_release(l[1]);
    }
    assert_int_equal(link_peek(l[1], &f), 0); /* gives the room back */
    assert_non_null(link_reserve(l[0], FRAME_MAX));
    assert_null(link_reserve(l[0], 0));
    assert_null(link_reserve(l[0], FRAME_MAX + 1));
    assert_null(link_broken(l[0]));
    link_close(l[0]);
    link_close(l[1]);
}

static unsigned bells(struct link *l)
{
    u8 b;
    unsigned n = 0;
    while (recv(link_fd(l), &b, 1, MSG_DONTWAIT) == 1)
        n++;
    return n;
}

static void send_one(struct link *l)
{
    struct frame_offload o = {0};
    memset(link_reserve(l, 60), 1, 60);
    link_commit(l, 60, &o);
    link_flush(l);
}

static void only_a_sleeper_hears_the_bell(void **state)
{
    struct link *l[2];
    struct frame f;
    open_pair(l);
    send_one(l[0]);
    assert_int_equal(bells(l[1]), 0);
    assert_false(link_sleep(l[1])); /* there is a frame */
    assert_int_equal(link_peek(l[1], &f), 1);
    link_release(l[1]);
    assert_true(link_sleep(l[1]));
    link_flush(l[0]); /* nothing new */
    assert_int_equal(bells(l[1]), 0);
    send_one(l[0]);
    send_one(l[0]);
    assert_int_equal(bells(l[1]), 1);
    link_close(l[0]);
    assert_false(link_wake(l[1]));
    assert_int_equal(link_peek(l[1], &f), 1); /* what was sent before is still there */
    link_close(l[1]);
}

static void what_the_other_side_accepts_is_seen(void **state)
{
    struct link *l[2];
    open_pair(l);
    assert_int_equal(link_accepts(l[0]), 0);
    link_set_accepts(l[1], ~0u);
    assert_int_equal(link_accepts(l[0]), FRAME_ACCEPTS_ALL);
    assert_int_equal(link_accepts(l[1]), 0);
    link_close(l[0]);
    link_close(l[1]);
}

/* --- ends that are refused --- */

/* What a link's end is made of, taken out of it. */
static int take_memory(int end, u8 hello[64], size_t *len)
{
    u8 room[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {hello, 64};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    ssize_t got = recvmsg(end, &m, 0);
    int fd = -1;
    assert_true(got > 0);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
    *len = (size_t)got;
    return fd;
}

static void put_memory(int through, int fd, const u8 *hello, size_t len)
{
    u8 room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {(void *)hello, len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = room;
        m.msg_controllen = sizeof(room);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    assert_int_equal(sendmsg(through, &m, 0), len);
}

/* An end whose hello was replaced: the same words, another memory. */
static void refused(int memory, size_t cut)
{
    struct err err = {0};
    u8 hello[64];
    size_t len;
    int ends[2];
    assert_int_equal(link_pair(ends, &err), 0);
    close(take_memory(ends[0], hello, &len));
    put_memory(ends[1], memory, hello, len - cut);
    assert_null(link_open(ends[0], &err));
    assert_int_equal(err.status, EXIT_STATUS_HOST);
    if (memory >= 0)
        close(memory);
    close(ends[0]);
    close(ends[1]);
}

static int memory(u64 size, int seals)
{
    int fd = memfd_create("test", MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    if (seals)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void untrustworthy_ends_are_refused(void **state)
{
    const u64 size = 2 * (RING_HEADER + (u64)LINK_RING);
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    struct err err = {0};
    int fd[2];
    refused(-1, 0);
    refused(memory(size, 0), 0);
    refused(memory(size, F_SEAL_SHRINK | F_SEAL_GROW), 0); /* could be sealed against writing later */
    refused(memory(size, seals | F_SEAL_WRITE), 0);
    refused(memory(size - 4096, seals), 0);
    refused(memory(size + 4096, seals), 0);
    refused(memory(size, seals), 1);
    refused(open("/dev/zero", O_RDWR), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
    assert_null(link_open(fd[0], &err)); /* does not wait for a hello */
    close(fd[1]);
    assert_null(link_open(fd[0], &err));
    close(fd[0]);
}

/* --- a hostile peer, which has the memory and writes what it likes --- */

struct victim {
    struct event_loop *loop;
    struct net_port *port;
    u8 *memory; /* as the peer sees it */
    struct ring_shared *to_victim, *from_victim;
    int peer;
    unsigned frames, downs;
    char why[100];
};

static void on_frame(void *opaque, const struct frame *f)
{
    ((struct victim *)opaque)->frames++;
}

static void on_down(void *opaque, const char *why)
{
    struct victim *v = opaque;
    v->downs++;
    snprintf(v->why, sizeof(v->why), "%s", why);
}

static int set_up_victim(void **state)
{
    struct victim *v = calloc(1, sizeof(*v));
    struct err err = {0};
    u8 hello[64];
    size_t len;
    int ends[2];
    assert_int_equal(link_pair(ends, &err), 0);
    v->loop = event_loop_new(NULL, &err);
    v->port = net_port_link(ends[0], v->loop, &err); /* side 0: sends in way 0 */
    assert_non_null(v->port);
    v->port->sink = (struct frame_sink){.receive = on_frame, .down = on_down, .opaque = v};
    v->peer = ends[1];
    int fd = take_memory(v->peer, hello, &len);
    v->memory = mmap(NULL, 2 * (RING_HEADER + LINK_RING), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(v->memory, MAP_FAILED);
    close(fd);
    v->from_victim = (struct ring_shared *)v->memory;
    v->to_victim = (struct ring_shared *)(v->memory + RING_HEADER);
    *state = v;
    return 0;
}

static int tear_down_victim(void **state)
{
    struct victim *v = *state;
    if (v->port)
        v->port->ops->close(v->port);
    event_loop_free(v->loop);
    munmap(v->memory, 2 * (RING_HEADER + LINK_RING));
    if (v->peer >= 0)
        close(v->peer);
    free(v);
    return 0;
}

static void stop(void *opaque)
{
    event_loop_stop(opaque);
}

static void run(struct victim *v)
{
    for (int i = 0; i < 3; i++) {
        event_loop_post(v->loop, stop, v->loop);
        event_loop_run(v->loop);
    }
}

static void put_record(struct victim *v, u32 at, u32 len)
{
    struct ring_record r = {.len = len};
    memcpy(v->memory + 2 * RING_HEADER + LINK_RING + at, &r, sizeof(r));
}

static void ring_bell(struct victim *v)
{
    assert_int_equal(send(v->peer, "", 1, 0), 1);
    run(v);
}

static void is_down(struct victim *v, const char *why)
{
    struct frame f = frame_plain((const u8 *)"01234567890123456789", 20);
    assert_int_equal(v->downs, 1);
    assert_non_null(strstr(v->why, why));
    v->port->ops->send(v->port, &f); /* dropped or not: it does no harm */
    net_port_flush(v->port);
    ring_bell(v);
    assert_int_equal(v->downs, 1);
}

static void good_records_are_taken(void **state)
{
    struct victim *v = *state;
    run(v);
    put_record(v, 0, 60);
    put_record(v, 128, FRAME_MAX);
    v->to_victim->tail = 128 + ALIGN_UP(FRAME_MAX + 16, RING_ALIGN);
    ring_bell(v);
    assert_int_equal(v->frames, 2);
    assert_int_equal(v->downs, 0);
    assert_int_equal(v->to_victim->head, v->to_victim->tail);
}

#define WRONG_TAIL(name, value)                                                                              \
    static void name(void **state)                                                                           \
    {                                                                                                        \
        struct victim *v = *state;                                                                           \
        run(v);                                                                                              \
        v->to_victim->tail = value;                                                                          \
        ring_bell(v);                                                                                        \
        is_down(v, "sending index");                                                                         \
        assert_int_equal(v->frames, 0);                                                                      \
    }
WRONG_TAIL(a_tail_beyond_the_ring_brings_it_down, LINK_RING + RING_ALIGN)
WRONG_TAIL(a_tail_that_goes_back_brings_it_down, 0u - RING_ALIGN)
WRONG_TAIL(a_crooked_tail_brings_it_down, 100)

static void wrong_lengths_bring_it_down(void **state)
{
    const u32 lens[] = {0, 4 * RING_ALIGN - 15, FRAME_MAX + 1, 1u << 31, ~0u, ~0u - 63};
    for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
        struct victim *v;
        set_up_victim((void **)&v);
        run(v);
        put_record(v, 0, 60);
        put_record(v, 128, lens[i]);
        v->to_victim->tail = 128 + 4 * RING_ALIGN;
        ring_bell(v);
        assert_int_equal(v->frames, 1);
        is_down(v, "record");
        tear_down_victim((void **)&v);
    }
}

static void a_wrong_head_brings_it_down(void **state)
{
    struct victim *v = *state;
    static u8 bytes[FRAME_MAX];
    struct frame f = frame_plain(bytes, FRAME_MAX);
    run(v);
    while (v->port->ops->send(v->port, &f))
        ;
    v->from_victim->head = 0u - RING_ALIGN; /* took what was never sent */
    assert_false(v->port->ops->send(v->port, &f));
    ring_bell(v);
    is_down(v, "receiving index");
}

static void a_peer_that_went_away_is_seen_at_once(void **state)
{
    struct victim *v = *state;
    run(v);
    put_record(v, 0, 60);
    v->to_victim->tail = 128;
    close(v->peer);
    run(v);
    assert_int_equal(v->frames, 1); /* its last words */
    assert_int_equal(v->downs, 1);
    assert_string_equal(v->why, "the other side closed the link");
    v->peer = -1;
}

static void close_in_down(void *opaque, const char *why)
{
    struct victim *v = opaque;
    v->port->ops->close(v->port);
    v->port = NULL;
}

static void the_port_may_be_closed_in_down(void **state)
{
    struct victim *v = *state;
    v->port->sink.down = close_in_down;
    close(v->peer);
    v->peer = -1;
    run(v);
    assert_null(v->port);
}

static void noise_in_the_socket_does_no_harm(void **state)
{
    struct victim *v = *state;
    static u8 noise[1000];
    run(v);
    for (unsigned i = 0; i < 200 && send(v->peer, noise, sizeof(noise), MSG_DONTWAIT) > 0; i++)
        ;
    for (unsigned i = 0; i < 10; i++)
        run(v);
    int fd = memory(4096, 0);
    put_memory(v->peer, fd, noise, 1);
    close(fd);
    run(v);
    put_record(v, 0, 60);
    v->to_victim->tail = 128;
    ring_bell(v);
    assert_int_equal(v->frames, 1);
    assert_int_equal(v->downs, 0);
}

/* --- ports --- */

static void echo(void *opaque, const struct frame *f)
{
    struct net_port *p = opaque;
    p->ops->send(p, f);
}

static void echo_flush(void *opaque)
{
    net_port_flush(opaque);
}

static void *run_loop(void *loop)
{
    event_loop_run(loop);
    return NULL;
}

/* A port that sends back what it gets, on a thread of its own, against a link that waits for each answer. */
static void ports_answer_one_by_one(void **state)
{
    struct err err = {0};
    int ends[2];
    pthread_t t;
    assert_int_equal(link_pair(ends, &err), 0);
    struct event_loop *loop = event_loop_new(NULL, &err);
    struct net_port *p = net_port_link(ends[0], loop, &err);
    struct link *l = link_open(ends[1], &err);
    assert_true(p && l);
    p->sink = (struct frame_sink){.receive = echo, .flush = echo_flush, .opaque = p};
    pthread_create(&t, NULL, run_loop, loop);
    for (unsigned n = 0; n < 5000; n++) {
        struct frame f;
        send_one(l);
        while (link_peek(l, &f) == 0)
            if (link_sleep(l))
                await_bell(l);
        assert_int_equal(frame_len(&f), 60);
        link_release(l);
    }
    event_loop_stop(loop);
    pthread_join(t, NULL);
    p->ops->close(p);
    event_loop_free(loop);
    link_close(l);
}

int main(void)
{
#define VICTIM(f) cmocka_unit_test_setup_teardown(f, set_up_victim, tear_down_victim)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_pass_in_order_between_threads),
        cmocka_unit_test(a_full_ring_takes_no_more),
        cmocka_unit_test(only_a_sleeper_hears_the_bell),
        cmocka_unit_test(what_the_other_side_accepts_is_seen),
        cmocka_unit_test(untrustworthy_ends_are_refused),
        VICTIM(good_records_are_taken),
        VICTIM(a_tail_beyond_the_ring_brings_it_down),
        VICTIM(a_tail_that_goes_back_brings_it_down),
        VICTIM(a_crooked_tail_brings_it_down),
        cmocka_unit_test(wrong_lengths_bring_it_down),
        VICTIM(a_wrong_head_brings_it_down),
        VICTIM(a_peer_that_went_away_is_seen_at_once),
        VICTIM(the_port_may_be_closed_in_down),
        VICTIM(noise_in_the_socket_does_no_harm),
        cmocka_unit_test(ports_answer_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
