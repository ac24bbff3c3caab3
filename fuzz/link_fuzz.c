/* SPDX-License-Identifier: MIT */
/*
 * A peer that has a link's memory and writes into it what it likes, between and within our own sends and
 * receives, with its end of the socket to ring and to close.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "input.h"
#include "net/link.h"
#include "net/ring.h"

#define MEMORY (2 * (RING_HEADER + (size_t)LINK_RING))

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct bed {
    struct event_loop *loop;
    struct net_port *port;
    int peer;
    u8 *memory;
    unsigned downs;
    u64 sum;
};

static void receive(void *opaque, const struct frame *f)
{
    static u8 copy[FRAME_MAX];
    struct bed *b = opaque;
    bug_on(frame_len(f) > FRAME_MAX || !frame_len(f), "a length nobody may have");
    for (size_t i = 0, n = frame_copy(f, copy); i < n; i += 61)
        b->sum += copy[i];
    bug_on(b->downs, "a frame from a port that is down");
}

static void down(void *opaque, const char *why)
{
    bug_on(((struct bed *)opaque)->downs++, "down twice");
}

static void stop(void *loop)
{
    event_loop_stop(loop);
}

static void run(struct bed *b)
{
    event_loop_post(b->loop, stop, b->loop);
    event_loop_run(b->loop);
}

/* The memory out of the peer's own end. */
static void take_memory(struct bed *b)
{
    u8 room[CMSG_SPACE(sizeof(int))], hello[64];
    struct iovec iov = {hello, sizeof(hello)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    int fd;
    bug_on(recvmsg(b->peer, &m, 0) <= 0, "no hello");
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
    b->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    bug_on(b->memory == MAP_FAILED, "no memory");
    close(fd);
}

/* A record that is nearly right, and the index that shows it. */
static void put_record(struct bed *b, struct input *in)
{
    struct ring_shared *s = (struct ring_shared *)(b->memory + RING_HEADER);
    struct ring_record r = {.len = (u32)take(in, 2) + (u32)take(in, 1)};
    u32 tail = s->tail;
    memcpy(b->memory + 2 * RING_HEADER + LINK_RING + (tail & (LINK_RING - 1) & ~15u), &r, sizeof(r));
    s->tail = tail + (u32)ALIGN_UP(r.len + sizeof(r), RING_ALIGN);
}

static void send_some(struct bed *b, struct input *in)
{
    static u8 bytes[FRAME_MAX];
    struct frame f = frame_plain(bytes, take(in, 2));
    for (unsigned n = (unsigned)take(in, 1) & 31; n; n--)
        b->sum += b->port->ops->send(b->port, &f);
    net_port_flush(b->port);
    b->sum += net_port_accepts(b->port);
}

static void step(struct bed *b, struct input *in)
{
    u8 op = (u8)take(in, 1);
    u32 at;
    switch (op & 7) {
    case 0:
        put_record(b, in);
        break;
    case 1: /* an index or a flag */
        at = (op >> 3 & 1 ? RING_HEADER : 0) + (op >> 4 & 1 ? 64 : 0) + (op >> 5 & 3) * 4;
        store_le(b->memory + at, 4, take(in, 4));
        break;
    case 2: /* anything */
        store_le(b->memory + take(in, 3) % (MEMORY - 8), 8, take(in, 8));
        break;
    case 3:
        send_some(b, in);
        break;
    case 4:
        if (b->peer >= 0 && op & 0x80) {
            close(b->peer);
            b->peer = -1;
        }
        break;
    case 5:
        net_port_set_accepts(b->port, op);
        break;
    default:
        if (b->peer >= 0)
            send(b->peer, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        run(b);
        break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct input in = {data, data + size};
    struct err err = {0};
    struct bed b = {.loop = event_loop_new(NULL, &err)};
    int ends[2];
    bug_on(link_pair(ends, &err) < 0, "%s", err.text);
    b.peer = ends[1];
    take_memory(&b);
    b.port = net_port_link(ends[0], b.loop, &err);
    bug_on(!b.port, "%s", err.text);
    b.port->sink = (struct frame_sink){.receive = receive, .down = down, .opaque = &b};
    run(&b);
    for (unsigned steps = 0; in.at < in.end && steps < 300; steps++)
        step(&b, &in);
    b.port->ops->close(b.port);
    run(&b); /* what was posted finds that it is gone */
    event_loop_free(b.loop);
    munmap(b.memory, MEMORY);
    if (b.peer >= 0)
        close(b.peer);
    return 0;
}
