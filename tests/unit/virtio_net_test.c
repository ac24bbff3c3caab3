/* SPDX-License-Identifier: MIT */
/* virtio-net against a recording port and against the packet socket port; virtio-rng and -console, as simple.
 */
#include "dev/virtio/virtio_net.h"
#include "dev/virtio/virtio_console.h"
#include "dev/virtio/virtio_rng.h"
#include "net/port_socket.h"
#include "net_text.h"
#include "virtio_rig.h"

#include <linux/virtio_net.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HEADER 12
#define BUFFER (RIG_DATA + 0x1000)

enum { RX, TX };

struct bed {
    struct rig rig;
    struct net_port port;
    u8 sent[FRAME_MAX];
    size_t sent_len;
    struct frame_offload offload; /* of the last one sent */
    unsigned sends, closes, flushes;
    u32 accepts, told; /* by the port; to the port */
    bool full;
    char printed[4096];
    size_t printed_len;
};

static const u8 mac[6] = {2, 0, 0, 0, 0, 7};

static bool port_send(struct net_port *p, const struct frame *f)
{
    struct bed *b = container_of(p, struct bed, port);
    if (b->full)
        return false;
    b->sent_len = frame_copy(f, b->sent);
    b->offload = f->offload;
    b->sends++;
    return true;
}

static void port_close(struct net_port *p)
{
    container_of(p, struct bed, port)->closes++;
}

static void port_flush(struct net_port *p)
{
    container_of(p, struct bed, port)->flushes++;
}

static u32 port_accepts(struct net_port *p)
{
    return container_of(p, struct bed, port)->accepts;
}

static void port_set_accepts(struct net_port *p, u32 accept)
{
    container_of(p, struct bed, port)->told = accept;
}

static const struct net_port_ops port_ops = {.send = port_send,
                                             .flush = port_flush,
                                             .accepts = port_accepts,
                                             .set_accepts = port_set_accepts,
                                             .close = port_close};

static struct bed *bed_new(enum clock_mode mode)
{
    struct bed *b = calloc(1, sizeof(*b));
    rig_open(&b->rig, mode);
    b->port.ops = &port_ops;
    return b;
}

static int set_up_net(void **state, enum clock_mode mode)
{
    struct bed *b = bed_new(mode);
    b->rig.dev = virtio_net_new(&b->rig.env, b->rig.bus, RIG_SLOT, &b->port, mac, &b->rig.err);
    rig_assign(&b->rig);
    *state = b;
    return b->rig.dev ? 0 : -1;
}

static int set_up(void **state)
{
    return set_up_net(state, CLOCK_MODE_REAL);
}

static int set_up_counted(void **state)
{
    return set_up_net(state, CLOCK_MODE_ICOUNT);
}

static void print(void *opaque, const u8 *data, size_t len)
{
    struct bed *b = opaque;
    if (len > sizeof(b->printed) - b->printed_len)
        len = sizeof(b->printed) - b->printed_len;
    memcpy(b->printed + b->printed_len, data, len);
    b->printed_len += len;
}

static int set_up_console(void **state)
{
    struct bed *b = bed_new(CLOCK_MODE_REAL);
    struct console_out out = {print, b};
    b->rig.dev = virtio_console_new(&b->rig.env, b->rig.bus, RIG_SLOT, &out, &b->rig.err);
    rig_assign(&b->rig);
    *state = b;
    return b->rig.dev ? 0 : -1;
}

static void count_up(void *opaque, void *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((u8 *)buf)[i] = (u8)(i + 1);
}

static int set_up_rng(void **state)
{
    struct bed *b = bed_new(CLOCK_MODE_REAL);
    struct random_source src = {count_up, NULL};
    b->rig.dev = virtio_rng_new(&b->rig.env, b->rig.bus, RIG_SLOT, &src, &b->rig.err);
    rig_assign(&b->rig);
    *state = b;
    return b->rig.dev ? 0 : -1;
}

static int tear_down(void **state)
{
    struct bed *b = *state;
    rig_close(&b->rig);
    free(b);
    return 0;
}

static void start(struct bed *b, u64 features)
{
    assert_int_equal(rig_start(&b->rig, features | BIT(VIRTIO_NET_F_MAC), 2, true), 15);
}

static void counters(struct bed *b, u64 tx, u64 tx_dropped, u64 rx, u64 rx_dropped)
{
    struct virtio_net_counters c;
    virtio_net_counters(b->rig.dev, &c);
    assert_int_equal(c.tx, tx);
    assert_int_equal(c.tx_dropped, tx_dropped);
    assert_int_equal(c.rx, rx);
    assert_int_equal(c.rx_dropped, rx_dropped);
}

static void shows_its_address(void **state)
{
    struct bed *b = *state;
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(rig_reg(&b->rig, 0x2000 + i, 1), mac[i]);
    assert_int_equal(rig_reg(&b->rig, 0x2006, 2), VIRTIO_NET_S_LINK_UP);
}

static void sends_frames(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    u32 id, len;
    start(b, 0);
    for (unsigned i = 0; i < 60; i++)
        rig_poke(r, BUFFER + HEADER + i, 1, i);
    rig_put_desc(r, TX, 0, BUFFER, HEADER, VRING_DESC_F_NEXT, 1); /* as Linux may: header apart */
    rig_put_desc(r, TX, 1, BUFFER + HEADER, 60, 0, 0);
    rig_offer(r, TX, 0);
    rig_put_desc(r, TX, 2, BUFFER, HEADER + 30, 0, 0); /* and in one */
    rig_offer(r, TX, 2);
    rig_kick(r, TX);
    assert_int_equal(b->sends, 0); /* not on the vCPU's thread */
    rig_loop(r);
    assert_int_equal(b->sends, 2);
    assert_int_equal(b->sent_len, 30);
    assert_int_equal(b->sent[29], 29);
    assert_true(rig_take(r, TX, &id, &len));
    assert_true(rig_take(r, TX, &id, &len));
    assert_int_equal(id, 2);
    assert_int_equal(r->msi_last, 2);
    counters(b, 2, 0, 0, 0);
}

static void counted_clock_sends_at_once(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    u32 id, len;
    start(b, 0);
    rig_put_desc(r, TX, 0, BUFFER, HEADER + 60, 0, 0);
    rig_offer(r, TX, 0);
    rig_kick(r, TX);
    assert_int_equal(b->sends, 1);
    assert_true(rig_take(r, TX, &id, &len));
}

static void odd_frames_are_dropped(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    u32 id, len;
    start(b, 0);
    const u32 lens[] = {1, HEADER, HEADER + 13, HEADER + FRAME_MAX + 1, 2 * MIB};
    for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
        rig_put_desc(r, TX, 0, BUFFER, lens[i], 0, 0);
        rig_offer(r, TX, 0);
        rig_kick(r, TX);
        rig_loop(r);
        assert_true(rig_take(r, TX, &id, &len));
    }
    assert_int_equal(b->sends, 0);
    rig_put_desc(r, TX, 0, BUFFER, HEADER + FRAME_MAX, 0, 0);
    rig_offer(r, TX, 0);
    rig_kick(r, TX);
    rig_loop(r);
    assert_int_equal(b->sent_len, FRAME_MAX);
    b->full = true;
    rig_offer(r, TX, 0);
    rig_kick(r, TX);
    rig_loop(r);
    counters(b, 1, ARRAY_SIZE(lens) + 1, 0, 0);
    assert_int_equal(rig_status(r), 15);
}

static void full_ring_of_requests_is_sent(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    start(b, BIT(VIRTIO_RING_F_EVENT_IDX));
    for (unsigned i = 0; i < RIG_QSIZE; i++) {
        rig_put_desc(r, TX, i, BUFFER, HEADER + 60, 0, 0);
        rig_offer(r, TX, (u16)i);
    }
    rig_kick(r, TX);
    rig_loop(r);
    assert_int_equal(b->sends, RIG_QSIZE);
    /* The device asks for a notification with the next one. */
    assert_int_equal(rig_peek(r, rig_used(TX) + 4 + 8 * RIG_QSIZE, 2), RIG_QSIZE);
}

static void receive(struct bed *b, size_t len)
{
    static u8 frame[FRAME_MAX];
    for (size_t i = 0; i < len; i++)
        frame[i] = (u8)(i * 3 + i / 256);
    struct frame f = frame_plain(frame, len);
    b->port.sink.receive(b->port.sink.opaque, &f);
    b->port.sink.flush(b->port.sink.opaque);
}

static void offer_rx(struct rig *r, unsigned n, u32 len)
{
    for (unsigned i = 0; i < n; i++) {
        rig_put_desc(r, RX, i, BUFFER + 0x1000 * i, len, VRING_DESC_F_WRITE, 0);
        rig_offer(r, RX, (u16)i);
    }
}

static void receives_into_one_buffer(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    u32 id, len;
    start(b, 0);
    receive(b, 60); /* no buffers */
    offer_rx(r, 1, 100);
    receive(b, 89); /* does not fit */
    assert_false(rig_take(r, RX, &id, &len));
    receive(b, 88);
    assert_true(rig_take(r, RX, &id, &len));
    assert_int_equal(len, 100);
    assert_int_equal(rig_peek(r, BUFFER + 10, 2), 1); /* num_buffers */
    assert_int_equal(rig_peek(r, BUFFER + HEADER + 87, 1), (u8)(87 * 3));
    assert_int_equal(r->msi_last, 1);
    receive(b, 13); /* no Ethernet header */
    counters(b, 0, 0, 1, 3);
}

static void spreads_a_frame_over_buffers(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    u32 id, len, want[3] = {512, 512, 200};
    start(b, BIT(VIRTIO_NET_F_MRG_RXBUF));
    offer_rx(r, 2, 512);
    receive(b, 1212); /* 1224 bytes: three buffers, there are two */
    assert_false(rig_take(r, RX, &id, &len));
    rig_put_desc(r, RX, 2, BUFFER + 0x2000, 512, VRING_DESC_F_WRITE, 0);
    rig_offer(r, RX, 2);
    receive(b, 1212);
    assert_int_equal(rig_peek(r, BUFFER + 10, 2), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(rig_take(r, RX, &id, &len));
        assert_int_equal(id, i);
        assert_int_equal(len, want[i]);
    }
    assert_int_equal(rig_peek(r, BUFFER + 0x2000 + 199, 1), (u8)(1211 * 3 + 1211 / 256));
    assert_false(rig_take(r, RX, &id, &len));
    counters(b, 0, 0, 1, 1);
}

static void hostile_receive_buffers_hurt_nobody(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    u32 id, len;
    start(b, BIT(VIRTIO_NET_F_MRG_RXBUF));
    offer_rx(r, RIG_QSIZE, 0); /* empty ones */
    receive(b, 60);
    assert_false(rig_take(r, RX, &id, &len));
    start(b, BIT(VIRTIO_NET_F_MRG_RXBUF));
    offer_rx(r, 4, 5); /* the header does not fit */
    receive(b, 14);
    assert_false(rig_take(r, RX, &id, &len));
    start(b, 0);
    rig_put_desc(r, RX, 0, ~0ull - 50, 100, VRING_DESC_F_WRITE, 0);
    rig_offer(r, RX, 0);
    receive(b, 60);
    assert_true(rig_status(r) & VIRTIO_CONFIG_S_NEEDS_RESET);
    counters(b, 0, 0, 0, 3);
}

static void frames_before_the_driver_are_dropped(void **state)
{
    struct bed *b = *state;
    receive(b, 60);
    counters(b, 0, 0, 0, 1);
}

/* --- offloads --- */

#define ALL_OFFLOADS                                                                                         \
    (BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |                    \
     BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) |              \
     BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_MRG_RXBUF))

/* The guest sends a frame given in words (net_text.h). */
static void transmit_text(struct bed *b, const char *text)
{
    static struct net_text t;
    struct rig *r = &b->rig;
    u32 id, len;
    net_text_build(&t, text);
    struct virtio_net_hdr_v1 h = {.flags = t.offload.flags,
                                  .gso_type = t.offload.gso,
                                  .hdr_len = t.offload.hdr_len,
                                  .gso_size = t.offload.gso_size,
                                  .csum_start = t.offload.csum_start,
                                  .csum_offset = t.offload.csum_offset};
    space_write(r->env.memory, BUFFER, &h, HEADER);
    space_write(r->env.memory, BUFFER + HEADER, t.bytes, t.len);
    rig_put_desc(r, TX, 0, BUFFER, (u32)(HEADER + t.len), 0, 0);
    rig_offer(r, TX, 0);
    rig_kick(r, TX);
    rig_loop(r);
    assert_true(rig_take(r, TX, &id, &len));
}

static void unfinished_frames_go_to_those_who_take_them(void **state)
{
    struct bed *b = *state;
    start(b, ALL_OFFLOADS);
    b->accepts = FRAME_ACCEPTS_ALL;
    transmit_text(b, "A>B tcp4:4000 tso:1000");
    assert_int_equal(b->sends, 1);
    assert_int_equal(b->sent_len, 4054);
    assert_int_equal(b->offload.gso, FRAME_GSO_TCP4);
    assert_int_equal(b->offload.gso_size, 1000);
    assert_int_equal(b->offload.flags, FRAME_NEEDS_CSUM);
    assert_int_equal(b->offload.csum_start, 34);
    assert_true(b->flushes > 0);
    b->accepts = FRAME_ACCEPTS_CSUM | FRAME_ACCEPTS_TSO6;
    transmit_text(b, "A>B tcp4:4000 tso:1000");
    assert_int_equal(b->sends, 5);
    assert_int_equal(b->sent_len, 1054);
    assert_int_equal(b->offload.flags, 0);
    transmit_text(b, "A>B tcp6:4000 tso:1000");
    assert_int_equal(b->sends, 6);
    transmit_text(b, "A>B udp4:1>2 csum");
    assert_int_equal(b->offload.flags, FRAME_NEEDS_CSUM);
    b->accepts = 0;
    transmit_text(b, "A>B udp4:1>2 csum");
    assert_int_equal(b->offload.flags, 0);
    assert_int_not_equal(load_le(b->sent + 40, 2), 0); /* the sum is there */
    counters(b, 8, 0, 0, 0);
}

static void what_was_not_negotiated_is_not_done(void **state)
{
    struct bed *b = *state;
    b->accepts = FRAME_ACCEPTS_ALL;
    start(b, 0);
    transmit_text(b, "A>B udp4:1>2 csum");
    transmit_text(b, "A>B tcp4:4000 tso:1000");
    start(b, BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO6));
    transmit_text(b, "A>B tcp4:4000 tso:1000");
    start(b, BIT(VIRTIO_NET_F_HOST_TSO4)); /* needs CSUM */
    transmit_text(b, "A>B tcp4:4000 tso:1000");
    start(b, ALL_OFFLOADS);
    transmit_text(b, "A>B udp4:1>2 csum@80+5"); /* behind the end */
    transmit_text(b, "A>B udp4:1>2 tso:1000");
    transmit_text(b, "A>B tcp4:4000 tso:0");
    assert_int_equal(b->sends, 0);
    counters(b, 0, 7, 0, 0);
    assert_int_equal(rig_status(&b->rig), 15);
}

static void receive_text(struct bed *b, const char *text)
{
    static struct net_text t;
    net_text_build(&t, text);
    struct frame f = net_text_frame(&t);
    b->port.sink.receive(b->port.sink.opaque, &f);
}

static void offer_large(struct rig *r)
{
    for (unsigned i = 0; i < 8; i++) {
        rig_put_desc(r, RX, i, BUFFER + 0x10000 * i, 0x10000, VRING_DESC_F_WRITE, 0);
        rig_offer(r, RX, (u16)i);
    }
}

static void the_guest_gets_unfinished_frames_if_it_takes_them(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    struct virtio_net_hdr_v1 h;
    u32 id = 0, len = 0;
    assert_int_equal(b->told, 0);
    start(b, ALL_OFFLOADS);
    assert_int_equal(b->told, FRAME_ACCEPTS_ALL);
    offer_large(r);
    receive_text(b, "A>B tcp4:4000 tso:1000");
    assert_true(rig_take(r, RX, &id, &len));
    assert_int_equal(len, HEADER + 4054);
    space_read(r->env.memory, BUFFER, &h, HEADER);
    assert_int_equal(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_int_equal(h.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
    assert_int_equal(h.gso_size, 1000);
    assert_int_equal(h.hdr_len, 54);
    assert_int_equal(h.csum_start, 34);
    assert_int_equal(h.csum_offset, 16);
    assert_int_equal(h.num_buffers, 1);
    start(b, 0);
    assert_int_equal(b->told, 0);
    offer_large(r);
    receive_text(b, "A>B tcp4:4000 tso:1000"); /* four frames for it */
    for (unsigned i = 0; i < 4; i++) {
        assert_true(rig_take(r, RX, &id, &len));
        assert_int_equal(len, HEADER + 1054);
        assert_int_equal(rig_peek(r, BUFFER + 0x10000 * id, 8), 0);
    }
    assert_false(rig_take(r, RX, &id, &len));
    receive_text(b, "A>B tcp4:4000 tso:7"); /* cannot be */
    counters(b, 0, 0, 5, 1);
}

static void a_burst_interrupts_once(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    start(b, 0);
    offer_large(r);
    unsigned before = rig_msis(r);
    for (unsigned i = 0; i < 5; i++)
        receive_text(b, "A>B arp");
    assert_int_equal(rig_msis(r), before);
    b->port.sink.flush(b->port.sink.opaque);
    assert_int_equal(rig_msis(r), before + 1);
    b->port.sink.flush(b->port.sink.opaque);
    assert_int_equal(rig_msis(r), before + 1);
}

/* --- the link --- */

static void the_link_can_go_and_come(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    start(b, BIT(VIRTIO_NET_F_STATUS));
    unsigned before = rig_msis(r);
    b->port.sink.down(b->port.sink.opaque, "gone");
    assert_int_equal(rig_reg(r, 0x2006, 2), 0);
    assert_int_equal(rig_msis(r), before + 1);
    assert_int_equal(r->msi_last, 0); /* the configuration's vector */
    b->port.sink.down(b->port.sink.opaque, "gone");
    assert_int_equal(rig_msis(r), before + 1);
    b->port.sink.up(b->port.sink.opaque);
    assert_int_equal(rig_reg(r, 0x2006, 2), VIRTIO_NET_S_LINK_UP);
    assert_int_equal(rig_msis(r), before + 2);
}

/* A guest that was saved with the link up hears that it is down where it was restored. */
static void a_restored_guest_hears_of_its_link(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    struct state_image img = {0};
    struct err err = {0};
    start(b, BIT(VIRTIO_NET_F_STATUS));
    b->port.sink.down(b->port.sink.opaque, "gone");
    state_save(&img, r->dev->class->state, r->dev->instance, r->dev);
    unsigned before = rig_msis(r);
    assert_int_equal(state_load(&img, r->dev->class->state, r->dev->instance, r->dev, &err), 0);
    rig_loop(r); /* this port says that it is up */
    assert_int_equal(rig_reg(r, 0x2006, 2), VIRTIO_NET_S_LINK_UP);
    assert_true(rig_msis(r) > before);
    state_free(&img);
}

/* --- the packet socket port --- */

struct inbox {
    size_t len;
    unsigned frames;
};

static void into_inbox(void *opaque, const struct frame *f)
{
    struct inbox *in = opaque;
    in->len = frame_len(f);
    in->frames++;
}

static void socket_port_carries_and_drops(void **state)
{
    struct bed *b = *state;
    int pair[2];
    u8 frame[1500] = {1, 2, 3}, back[2000];
    struct inbox in = {0};
    struct frame small = frame_plain(frame, 60), large = frame_plain(frame, sizeof(frame)),
                 none = frame_plain(frame, 0);
    struct net_port_socket_counters c;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct net_port *p = net_port_socket(pair[0], b->rig.env.loop, &b->rig.err);
    assert_non_null(p);
    p->sink = (struct frame_sink){.receive = into_inbox, .opaque = &in};
    assert_true(p->ops->send(p, &small));
    assert_int_equal(recv(pair[1], back, sizeof(back), 0), 60);
    assert_int_equal(back[2], 3);
    assert_int_equal(send(pair[1], frame, 99, 0), 99);
    rig_loop(&b->rig);
    rig_loop(&b->rig);
    assert_int_equal(in.frames, 1);
    assert_int_equal(in.len, 99);
    unsigned n = 0;
    while (n < 100000 && p->ops->send(p, &large))
        n++;
    assert_true(n < 100000); /* it filled up and did not wait */
    assert_false(p->ops->send(p, &none));
    net_port_socket_counters(p, &c);
    assert_int_equal(c.sent, n + 1);
    assert_int_equal(c.send_dropped, 2);
    close(pair[1]);
    rig_loop(&b->rig);
    assert_false(p->ops->send(p, &small)); /* the other side is gone */
    p->ops->close(p);
}

/* --- console --- */

static void console_prints_and_reads(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    u32 id, len;
    static u8 flood[8192];
    assert_int_equal(rig_start(r, 0, 2, true), 15);
    space_write(r->env.memory, BUFFER, "hello world", 11);
    rig_put_desc(r, TX, 0, BUFFER, 6, VRING_DESC_F_NEXT, 1);
    rig_put_desc(r, TX, 1, BUFFER + 6, 5, 0, 0);
    rig_offer(r, TX, 0);
    rig_kick(r, TX);
    rig_loop(r);
    assert_int_equal(b->printed_len, 11);
    assert_string_equal(b->printed, "hello world");
    assert_true(rig_take(r, TX, &id, &len));
    /* Input waits for buffers. */
    assert_int_equal(virtio_console_receive(r->dev, (const u8 *)"abcdef", 6), 6);
    rig_loop(r);
    assert_false(rig_take(r, RX, &id, &len));
    offer_rx(r, 3, 4);
    rig_kick(r, RX);
    rig_loop(r);
    assert_true(rig_take(r, RX, &id, &len));
    assert_int_equal(len, 4);
    assert_int_equal(rig_peek(r, BUFFER, 4), 0x64636261);
    assert_true(rig_take(r, RX, &id, &len));
    assert_int_equal(len, 2);
    assert_false(rig_take(r, RX, &id, &len));
    /* One buffer is left; the ring takes so much and no more. */
    assert_int_equal(virtio_console_receive(r->dev, flood, sizeof(flood)), 4096);
    assert_int_equal(virtio_console_receive(r->dev, flood, 1), 0);
    rig_loop(r);
    assert_int_equal(virtio_console_receive(r->dev, flood, 10), 4);
}

/* --- rng --- */

static void rng_fills(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    u32 id, len;
    assert_int_equal(rig_start(r, 0, 1, true), 15);
    rig_put_desc(r, 0, 0, BUFFER, 64, VRING_DESC_F_WRITE, 0);
    rig_offer(r, 0, 0);
    rig_put_desc(r, 0, 1, BUFFER + 0x1000, 1 << 20, VRING_DESC_F_WRITE, 0);
    rig_offer(r, 0, 1);
    rig_kick(r, 0);
    rig_loop(r);
    assert_true(rig_take(r, 0, &id, &len));
    assert_int_equal(len, 64);
    assert_int_equal(rig_peek(r, BUFFER + 63, 2), 64);
    assert_true(rig_take(r, 0, &id, &len));
    assert_int_equal(len, 4096);
}

static void a_host_rng_differs(void **state)
{
    struct rig r;
    rig_open(&r, CLOCK_MODE_REAL);
    r.dev = virtio_rng_new(&r.env, r.bus, RIG_SLOT, NULL, &r.err);
    rig_assign(&r);
    rig_start(&r, 0, 1, true);
    rig_put_desc(&r, 0, 0, BUFFER, 64, VRING_DESC_F_WRITE, 0);
    rig_offer(&r, 0, 0);
    rig_kick(&r, 0);
    rig_loop(&r);
    assert_true(rig_peek(&r, BUFFER, 8) != rig_peek(&r, BUFFER + 8, 8));
    rig_close(&r);
}

#define CASE(f)    cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define CONSOLE(f) cmocka_unit_test_setup_teardown(f, set_up_console, tear_down)
#define RNG(f)     cmocka_unit_test_setup_teardown(f, set_up_rng, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(shows_its_address),
        CASE(sends_frames),
        cmocka_unit_test_setup_teardown(counted_clock_sends_at_once, set_up_counted, tear_down),
        CASE(odd_frames_are_dropped),
        CASE(full_ring_of_requests_is_sent),
        CASE(receives_into_one_buffer),
        CASE(spreads_a_frame_over_buffers),
        CASE(hostile_receive_buffers_hurt_nobody),
        CASE(frames_before_the_driver_are_dropped),
        CASE(unfinished_frames_go_to_those_who_take_them),
        CASE(what_was_not_negotiated_is_not_done),
        CASE(the_guest_gets_unfinished_frames_if_it_takes_them),
        CASE(a_burst_interrupts_once),
        CASE(the_link_can_go_and_come),
        CASE(a_restored_guest_hears_of_its_link),
        CASE(socket_port_carries_and_drops),
        CONSOLE(console_prints_and_reads),
        RNG(rng_fills),
        cmocka_unit_test(a_host_rng_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
