/* SPDX-License-Identifier: MIT */
/*
 * Stages between ports, with captures as their witnesses: segmentation, pcapng in and out, outlets.
 *
 * A capture file is read back block by block here (draft-ietf-opsawg-pcapng), by its own arithmetic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/capture.h"
#include "net/outlet.h"
#include "net/segment.h"
#include "net/vswitch.h"
#include "net_text.h"

/* --- segments --- */

struct pieces {
    unsigned count;
    size_t len[1400];
    u8 bytes[1400][1600];
};

static void keep(void *opaque, const struct frame *f)
{
    struct pieces *p = opaque;
    assert_true(p->count < 1400 && frame_len(f) <= 1600);
    assert_int_equal(frame_needs(f), 0);
    p->len[p->count] = frame_copy(f, p->bytes[p->count]);
    p->count++;
}

/* RFC 1071, byte by byte. */
static u16 sum(u32 s, const u8 *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        s += i & 1 ? p[i] : (u32)p[i] << 8;
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return (u16)s;
}

static void checksum_is_right(const u8 *p, size_t len, size_t upper, u8 protocol)
{
    bool v6 = p[14] >> 4 == 6;
    u16 pseudo = v6 ? sum(0, p + 22, 32) : sum(0, p + 26, 8);
    assert_int_equal(sum((u32)pseudo + protocol + (u32)(len - upper), p + upper, len - upper), 0xffff);
}

static void checksums_are_right(const u8 *p, size_t len, bool v6)
{
    const u8 *ip = p + 14;
    checksum_is_right(p, len, v6 ? 54 : 34, ip[v6 ? 6 : 9]);
    if (!v6)
        assert_int_equal(sum(0, ip, 20), 0xffff);
}

static void segment(const char *text, size_t payload, size_t size)
{
    static struct net_text t;
    static struct pieces p;
    bool v6 = strstr(text, "tcp6") != NULL;
    size_t headers = 14 + (v6 ? 40 : 20) + 20, done = 0;
    p.count = 0;
    net_text_build(&t, text);
    struct frame f = net_text_frame(&t);
    assert_true(frame_check(&f));
    frame_finish(&f, 0, keep, &p);
    assert_int_equal(p.count, payload ? (payload + size - 1) / size : 1);
    for (unsigned i = 0; i < p.count; i++) {
        const u8 *s = p.bytes[i], *ip = s + 14, *tcp = s + headers - 20;
        size_t n = p.len[i] - headers;
        bool last = i + 1 == p.count;
        assert_int_equal(n, last ? payload - done : size);
        assert_memory_equal(s, t.bytes, 14);
        assert_int_equal(load_be16(ip + (v6 ? 4 : 2)), p.len[i] - 14 - (v6 ? 40 : 0));
        if (!v6)
            assert_int_equal(load_be16(ip + 4), i);
        assert_int_equal(load_be32(tcp + 4), 1000 + done);
        assert_int_equal(tcp[13], 0x10 | (i ? 0 : 0x80) | (last ? 9 : 0)); /* ACK; CWR first; PSH, FIN last */
        assert_memory_equal(s + headers, t.bytes + headers + done, n);
        checksums_are_right(s, p.len[i], v6);
        done += n;
    }
    assert_int_equal(done, payload);
}

static void large_frames_become_segments(void **state)
{
    segment("A>B tcp4:4000 tso:1448", 4000, 1448);
    segment("A>B tcp4:4344 tso:1448", 4344, 1448);
    segment("A>B tcp6:4000 tso:1428", 4000, 1428);
    segment("A>B tcp4:65000 tso:1448", 65000, 1448);
    segment("A>B tcp6:65000 tso:48", 65000, 48); /* pieces that begin in the head */
    segment("A>B tcp4:151 tso:50", 151, 50);
    segment("A>B tcp4:303 tso:101", 303, 101); /* pieces of odd length */
    segment("A>B tcp4:0 tso:1448", 0, 1448);
}

static void options_of_ipv6_stay_with_each_segment(void **state)
{
    static struct net_text t;
    static struct pieces p;
    p.count = 0;
    net_text_build(&t, "A>B ext6:2 tcp6:4000 tso:1500");
    struct frame f = net_text_frame(&t);
    assert_true(frame_check(&f));
    frame_finish(&f, 0, keep, &p);
    assert_int_equal(p.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(p.len[i], 14 + 40 + 16 + 20 + (i < 2 ? 1500 : 1000));
        assert_int_equal(load_be16(p.bytes[i] + 18), p.len[i] - 54);
        assert_memory_equal(p.bytes[i] + 54, t.bytes + 54, 16);
        checksum_is_right(p.bytes[i], p.len[i], 70, IP_TCP);
    }
}

/* UDP: datagrams of their own, each with its length. */
static void long_datagrams_become_short_ones(void **state)
{
    static struct net_text t;
    static struct pieces p;
    const char *texts[] = {"A>B udp4:1>2 long:2000 uso:500", "A>B udp6:1>2 long:2000 uso:500"};
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        size_t headers = i ? 62 : 42, done = 0;
        p.count = 0;
        net_text_build(&t, texts[i]);
        struct frame f = net_text_frame(&t);
        assert_true(frame_check(&f));
        assert_true(frame_needs(&f) & ~FRAME_ACCEPTS_ALL);
        frame_finish(&f, FRAME_ACCEPTS_ALL, keep, &p);
        assert_int_equal(p.count, 5); /* 2040 bytes */
        for (unsigned k = 0; k < p.count; k++) {
            const u8 *s = p.bytes[k];
            size_t n = k < 4 ? 500 : 40;
            assert_int_equal(p.len[k], headers + n);
            assert_int_equal(load_be16(s + headers - 4), 8 + n);
            assert_memory_equal(s + headers, t.bytes + headers + done, n);
            checksums_are_right(s, p.len[k], i);
            done += n;
        }
    }
}

static void a_checksum_is_finished_alone(void **state)
{
    static struct net_text t;
    static struct pieces p;
    const char *texts[] = {"A>B tcp4:1001 csum", "A>B tcp6:1000 csum", "A>B tcp4:1 csum"};
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        p.count = 0;
        net_text_build(&t, texts[i]);
        bool v6 = strstr(texts[i], "tcp6") != NULL;
        /* What a sender leaves in the field: the pseudo header's sum. */
        u8 *ip = t.bytes + 14, *tcp = t.bytes + t.offload.csum_start;
        u32 tcp_len = (u32)(t.bytes + t.len - tcp);
        store_be16(tcp + 16, sum(6 + tcp_len, v6 ? ip + 8 : ip + 12, v6 ? 32 : 8));
        if (!v6)
            store_be16(ip + 10, (u16)~sum(0, ip, 20));
        struct frame f = net_text_frame(&t);
        frame_finish(&f, 0, keep, &p);
        assert_int_equal(p.count, 1);
        assert_int_equal(p.len[0], t.len);
        checksums_are_right(p.bytes[0], p.len[0], v6);
    }
}

static void count_frame(void *opaque, const struct frame *f)
{
    *(unsigned *)opaque += 1;
}

static void what_is_accepted_stays_as_it_is(void **state)
{
    static struct net_text t;
    unsigned n = 0;
    net_text_build(&t, "A>B tcp4:4000 tso:1448");
    struct frame f = net_text_frame(&t);
    frame_finish(&f, FRAME_ACCEPTS_CSUM | FRAME_ACCEPTS_TSO4, count_frame, &n);
    assert_int_equal(n, 1);
    frame_finish(&f, FRAME_ACCEPTS_CSUM | FRAME_ACCEPTS_TSO6, count_frame, &n);
    assert_int_equal(n, 4);
    f.offload.gso |= FRAME_GSO_ECN;
    frame_finish(&f, FRAME_ACCEPTS_CSUM | FRAME_ACCEPTS_TSO4, count_frame, &n);
    assert_int_equal(n, 7);
}

/* --- captures --- */

struct reader {
    u8 bytes[1 << 20];
    size_t len, at;
};

static void read_file(struct reader *r, int fd)
{
    ssize_t n = pread(fd, r->bytes, sizeof(r->bytes), 0);
    assert_true(n > 0);
    r->len = (size_t)n;
    r->at = 0;
}

/* The next block's body; checks its frame. NULL: the file ends, and not within a block. */
static const u8 *next_block(struct reader *r, u32 *type, u32 *len)
{
    if (r->at == r->len)
        return NULL;
    assert_true(r->len - r->at >= 12);
    const u8 *b = r->bytes + r->at;
    *type = (u32)load_le(b, 4);
    *len = (u32)load_le(b + 4, 4);
    assert_true(*len % 4 == 0 && *len >= 12 && *len <= r->len - r->at);
    assert_int_equal(load_le(b + *len - 4, 4), *len);
    r->at += *len;
    return b + 8;
}

static void beginning(struct reader *r)
{
    u32 type, len;
    const u8 *b = next_block(r, &type, &len);
    assert_int_equal(type, 0x0a0d0d0a);
    assert_int_equal(load_le(b, 4), 0x1a2b3c4d);
    b = next_block(r, &type, &len);
    assert_int_equal(type, 1);
    assert_int_equal(load_le(b, 2), 1); /* Ethernet */
    assert_memory_equal(b + 8, "\2\0\4\0lab1\11\0\1\0\11\0\0\0\0\0\0\0", 20);
}

/* The next packet in words, with its way: "in A>B arp". */
static const char *packet(struct reader *r, u64 *time)
{
    static char text[60];
    u32 type, len;
    const u8 *b = next_block(r, &type, &len);
    if (!b)
        return "end";
    assert_int_equal(type, 6);
    *time = load_le(b + 4, 4) << 32 | load_le(b + 8, 4);
    size_t kept = load_le(b + 12, 4);
    const u8 *option = b + 20 + ALIGN_UP(kept, 4);
    assert_memory_equal(option, "\2\0\4\0", 4);
    int n = snprintf(text, sizeof(text), "%s ", option[4] == 1 ? "in" : "out");
    struct frame f = frame_plain(b + 20, kept);
    net_text_show(text + n, sizeof(text) - n, &f);
    return text;
}

static int file(void)
{
    int fd = memfd_create("capture", 0);
    assert_true(fd >= 0);
    return fd;
}

static void capture_text(struct capture *c, u64 at, enum capture_way way, const char *text)
{
    static struct net_text t;
    net_text_build(&t, text);
    struct frame f = net_text_frame(&t);
    capture_frame(c, at, way, &f);
}

static void a_capture_reads_back(void **state)
{
    static struct reader r;
    struct err err = {0};
    u64 at;
    int fd = file();
    struct capture *c = capture_new(dup(fd), "lab1", 0, 0, &err);
    capture_text(c, 1800000000123456789ull, CAPTURE_IN, "A>B arp");
    capture_text(c, 1800000001000000000ull, CAPTURE_OUT, "B>A v5 tcp4:3001");
    capture_text(c, 3, CAPTURE_OUT, "B>A cut:14");
    read_file(&r, fd);
    beginning(&r);
    assert_string_equal(packet(&r, &at), "in A>B arp");
    assert_int_equal(at, 1800000000123456789ull);
    assert_string_equal(packet(&r, &at), "out B>A v5 ip4");
    assert_int_equal(at, 1800000001000000000ull);
    assert_string_equal(packet(&r, &at), "out B>A other");
    assert_string_equal(packet(&r, &at), "end");
    assert_int_equal(capture_frames(c), 3);
    assert_null(capture_ended(c));
    capture_free(c);
    close(fd);
}

static void a_capture_keeps_so_much_of_a_frame(void **state)
{
    static struct reader r;
    struct err err = {0};
    u32 type, len;
    int fd = file();
    struct capture *c = capture_new(dup(fd), "lab1", 33, 0, &err);
    capture_text(c, 0, CAPTURE_IN, "A>B tcp4:3000");
    capture_free(c);
    read_file(&r, fd);
    beginning(&r);
    const u8 *b = next_block(&r, &type, &len);
    assert_int_equal(load_le(b + 12, 4), 33);
    assert_int_equal(load_le(b + 16, 4), 3054);
    close(fd);
}

/* Up to its limit, and what a full disk took in part is cut off. */
static void a_full_disk_ends_a_capture(void **state)
{
    static struct reader r;
    struct err err = {0};
    struct rlimit old, small = {400, RLIM_INFINITY};
    u64 at;
    int fd = file();
    struct capture *c = capture_new(dup(fd), "lab1", 0, 0, &err);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small); /* stands for the disk: the last block is taken in part */
    for (unsigned i = 0; i < 5; i++)
        capture_text(c, 0, CAPTURE_IN, "A>B arp");
    setrlimit(RLIMIT_FSIZE, &old);
    assert_string_equal(capture_ended(c), "the disk is full");
    capture_text(c, 0, CAPTURE_IN, "A>B arp");
    read_file(&r, fd);
    beginning(&r);
    for (u64 n = capture_frames(c); n; n--)
        assert_string_equal(packet(&r, &at), "in A>B arp");
    assert_string_equal(packet(&r, &at), "end");
    capture_free(c);
    close(fd);
}

static void a_capture_has_the_size_that_is_allowed(void **state)
{
    static struct reader r;
    struct err err = {0};
    int fd = file();
    struct capture *c = capture_new(dup(fd), "lab1", 0, 300, &err);
    for (unsigned i = 0; i < 5; i++)
        capture_text(c, 0, CAPTURE_IN, "A>B arp");
    assert_string_equal(capture_ended(c), "the file has the size that was allowed");
    read_file(&r, fd);
    assert_true(r.len <= 300);
    assert_true(capture_frames(c) > 0);
    capture_free(c);
    close(fd);
}

static void pipes_end_a_capture_but_never_hold_it_up(void **state)
{
    struct err err = {0};
    int fd[2];
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(fd), 0);
    struct capture *c = capture_new(fd[1], "lab1", 0, 0, &err);
    for (unsigned i = 0; i < 5000 && !capture_ended(c); i++)
        capture_text(c, 0, CAPTURE_IN, "A>B tcp4:1000");
    assert_string_equal(capture_ended(c), "its reader was not fast enough");
    capture_free(c);
    close(fd[0]);
    assert_int_equal(pipe(fd), 0);
    c = capture_new(fd[1], "lab1", 0, 0, &err);
    close(fd[0]);
    capture_text(c, 0, CAPTURE_IN, "A>B arp");
    assert_string_equal(capture_ended(c), "nobody reads it any more");
    capture_free(c);
    assert_null(capture_new(open("/dev/full", O_WRONLY), "lab1", 0, 0, &err));
    assert_non_null(strstr(err.text, "the disk is full"));
}

/* --- a switch, policy by policy: captures in, captures out --- */

struct recorder {
    struct net_port port;
    unsigned sent;
};

static bool recorder_send(struct net_port *p, const struct frame *f)
{
    ((struct recorder *)p)->sent++;
    return true;
}

static void recorder_close(struct net_port *p) {}

static const struct net_port_ops recorder_ops = {.send = recorder_send, .close = recorder_close};

static u64 no_time(void *opaque)
{
    return 7;
}

static void forget(void *opaque, struct capture *c)
{
    *(struct capture **)opaque = NULL;
}

/* Frames, comma by comma, into a capture. */
static void write_script(int fd, const char *frames)
{
    char text[400], *save = NULL;
    struct err err = {0};
    struct capture *c = capture_new(dup(fd), "lab1", 0, 0, &err);
    snprintf(text, sizeof(text), "%s", frames);
    for (char *f = strtok_r(text, ",", &save); f; f = strtok_r(NULL, ",", &save))
        capture_text(c, 0, CAPTURE_IN, f + (*f == ' '));
    capture_free(c);
}

/* What a capture says in the same form; way: which frames. */
static const char *read_script(int fd, const char *way)
{
    static struct reader r;
    static char text[600];
    u64 at;
    *text = 0;
    read_file(&r, fd);
    beginning(&r);
    for (const char *p = packet(&r, &at); strcmp(p, "end"); p = packet(&r, &at)) {
        assert_int_equal(at, 7);
        assert_int_equal(strncmp(p, way, strlen(way)), 0);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", *text ? ", " : "",
                 p + strlen(way) + 1);
    }
    return text;
}

struct stage {
    const char *a, *b; /* policies; frames go in at a */
    const char *in, *seen_in, *out;
};

static void feed(struct net_port *p, int capture)
{
    static struct reader source;
    u32 type, len;
    read_file(&source, capture);
    beginning(&source);
    for (const u8 *b; (b = next_block(&source, &type, &len));) {
        struct frame f = frame_plain(b + 20, load_le(b + 12, 4));
        p->sink.receive(p->sink.opaque, &f);
    }
    p->sink.flush(p->sink.opaque);
}

/* One capture in at a; one of a and one of b out. */
static void run_stage(const struct stage *s)
{
    struct recorder port[2] = {{.port.ops = &recorder_ops}, {.port.ops = &recorder_ops}};
    struct port_policy policy[2] = {net_text_policy(s->a), net_text_policy(s->b)};
    const struct vswitch_config config = {.now = no_time};
    struct err err = {0};
    struct vswitch *sw = vswitch_new(&config, &err);
    struct capture *c[2];
    int script = file(), at[2];
    for (unsigned i = 0; i < 2; i++) {
        struct vswitch_port *p = vswitch_port_add(sw, &port[i].port, &policy[i], NULL, &err);
        at[i] = file();
        c[i] = capture_new(dup(at[i]), "lab1", 0, 0, &err);
        vswitch_port_capture(p, c[i]);
    }
    write_script(script, s->in);
    feed(&port[0].port, script);
    assert_string_equal(read_script(at[0], "in"), s->seen_in);
    assert_string_equal(read_script(at[1], "out"), s->out);
    vswitch_free(sw);
    for (unsigned i = 0; i < 2; i++) {
        capture_free(c[i]);
        close(at[i]);
    }
    close(script);
}

static void captures_in_captures_out(void **state)
{
    static const struct stage stages[] = {
        /* What enters is seen as it came, dropped or not. */
        {"A", "B", "A>B arp, K>B arp, A>* v0 arp", "A>B arp, K>B arp, A>* v0 arp", "A>B arp, A>* arp"},
        {"A spoofing", "B", "A>B arp, K>B arp", "A>B arp, K>B arp", "A>B arp, K>B arp"},
        {"A", "B spoofing", "A>K arp, A>B arp", "A>K arp, A>B arp", "A>K arp, A>B arp"},
        {"A", "B", "A>K arp, A>M arp", "A>K arp, A>M arp", "A>M arp"},
        {"A access:5", "B access:5", "A>B arp, A>B v5 arp", "A>B arp, A>B v5 arp", "A>B arp"},
        {"A access:5", "B access:6", "A>B arp, A>* arp", "A>B arp, A>* arp", ""},
        {"A trunk:5,6", "B trunk:5", "A>B v5/3 arp, A>B v6 arp, A>* v5 v6 arp",
         "A>B v5/3 arp, A>B v6 arp, A>* v5 v6 arp", "A>B v5/3 arp"},
        {"A access:5", "B trunk:5", "A>* arp", "A>* arp", "A>* v5 arp"},
        {"A trunk:5 native:6", "B access:6", "A>B arp, A>B v5 arp", "A>B arp, A>B v5 arp", "A>B arp"},
        {"A dhcp", "B", "A>* udp4:67>68, A>* arp", "A>* ip4, A>* arp", "A>* arp"},
        {"A router", "B", "A>* icmp6:134, A>* icmp6:135", "A>* ip6, A>* ip6", "A>* ip6"},
        {"A source", "B destination", "A>K arp", "A>K arp", "A>K arp"},
        {"A bits:1000000", "B", "A>B tcp4:60000, A>B tcp4:60000, A>B tcp4:60000, A>B arp",
         "A>B ip4, A>B ip4, A>B ip4, A>B arp", "A>B ip4, A>B ip4, A>B ip4"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(stages); i++)
        run_stage(&stages[i]);
}

static void a_capture_that_ends_leaves_the_switch_alone(void **state)
{
    struct recorder port[2] = {{.port.ops = &recorder_ops}, {.port.ops = &recorder_ops}};
    static struct capture *held;
    static struct net_text t;
    struct err err = {0};
    const struct vswitch_config config = {.now = no_time, .capture_ended = forget};
    const struct port_policy a = {.mac = {2, 0, 0, 0, 0, 10}}, b = {.mac = {2, 0, 0, 0, 0, 11}};
    struct vswitch *sw = vswitch_new(&config, &err);
    struct vswitch_port *pa = vswitch_port_add(sw, &port[0].port, &a, &held, &err);
    vswitch_port_add(sw, &port[1].port, &b, NULL, &err);
    struct capture *c = held = capture_new(file(), "lab1", 0, 300, &err);
    vswitch_port_capture(pa, c);
    net_text_build(&t, "A>B arp");
    struct frame f = net_text_frame(&t);
    for (unsigned i = 0; i < 10; i++)
        port[0].port.sink.receive(port[0].port.sink.opaque, &f);
    assert_null(held); /* told, once it had ended */
    assert_int_equal(port[1].sent, 10);
    capture_free(c);
    vswitch_free(sw);
}

/* --- outlets --- */

struct adapter {
    unsigned frames, ups, downs;
};

static void adapter_receive(void *opaque, const struct frame *f)
{
    ((struct adapter *)opaque)->frames++;
}

static void adapter_up(void *opaque)
{
    ((struct adapter *)opaque)->ups++;
}

static void adapter_down(void *opaque, const char *why)
{
    ((struct adapter *)opaque)->downs++;
}

struct inner {
    struct net_port port;
    unsigned sent, closes;
    u32 told;
};

static bool inner_send(struct net_port *p, const struct frame *f)
{
    ((struct inner *)p)->sent++;
    return true;
}

static u32 inner_accepts(struct net_port *p)
{
    return FRAME_ACCEPTS_CSUM;
}

static void inner_set_accepts(struct net_port *p, u32 accept)
{
    ((struct inner *)p)->told = accept;
}

static void inner_close(struct net_port *p)
{
    ((struct inner *)p)->closes++;
}

static const struct net_port_ops inner_ops = {
    .send = inner_send, .accepts = inner_accepts, .set_accepts = inner_set_accepts, .close = inner_close};

static void an_outlet_outlives_what_is_in_it(void **state)
{
    struct err err = {0};
    struct adapter a = {0};
    struct inner one = {.port.ops = &inner_ops}, two = {.port.ops = &inner_ops};
    struct frame f = frame_plain((const u8 *)"01234567890123", 14);
    struct net_port *o = net_outlet_new(&err);
    o->sink =
        (struct frame_sink){.receive = adapter_receive, .up = adapter_up, .down = adapter_down, .opaque = &a};
    assert_false(net_outlet_up(o));
    assert_false(o->ops->send(o, &f));
    net_port_set_accepts(o, FRAME_ACCEPTS_TSO4);
    net_outlet_plug(o, &one.port);
    assert_int_equal(one.told, FRAME_ACCEPTS_TSO4);
    assert_int_equal(net_port_accepts(o), FRAME_ACCEPTS_CSUM);
    assert_true(o->ops->send(o, &f));
    one.port.sink.receive(one.port.sink.opaque, &f);
    assert_int_equal(a.frames, 1);
    assert_int_equal(a.ups, 1);
    one.port.sink.down(one.port.sink.opaque, "gone");
    assert_int_equal(a.downs, 1);
    assert_false(net_outlet_up(o));
    assert_false(o->ops->send(o, &f));
    net_outlet_plug(o, &two.port);
    assert_int_equal(one.closes, 1);
    assert_int_equal(a.ups, 2);
    assert_true(o->ops->send(o, &f));
    net_outlet_plug(o, NULL);
    assert_int_equal(two.closes, 1);
    assert_int_equal(a.downs, 2);
    net_outlet_plug(o, NULL);
    assert_int_equal(a.downs, 2); /* it was */
    o->ops->close(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_frames_become_segments),
        cmocka_unit_test(options_of_ipv6_stay_with_each_segment),
        cmocka_unit_test(long_datagrams_become_short_ones),
        cmocka_unit_test(a_checksum_is_finished_alone),
        cmocka_unit_test(what_is_accepted_stays_as_it_is),
        cmocka_unit_test(a_capture_reads_back),
        cmocka_unit_test(a_capture_keeps_so_much_of_a_frame),
        cmocka_unit_test(a_full_disk_ends_a_capture),
        cmocka_unit_test(a_capture_has_the_size_that_is_allowed),
        cmocka_unit_test(pipes_end_a_capture_but_never_hold_it_up),
        cmocka_unit_test(captures_in_captures_out),
        cmocka_unit_test(a_capture_that_ends_leaves_the_switch_alone),
        cmocka_unit_test(an_outlet_outlives_what_is_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
