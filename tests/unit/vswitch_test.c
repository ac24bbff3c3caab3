/* SPDX-License-Identifier: MIT */
/*
 * A switch between four ports a, b, c and d: what goes in where and what comes out where, policy by policy.
 * Frames are words (net_text.h); what comes out is one line, "b: A>B arp; c: A>B v5 arp", in the ports'
 * order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "net/capture.h"
#include "net/vswitch.h"
#include "net_text.h"

enum { PORTS = 4, PARTS = 16 };

struct bed;
struct end {
    struct net_port port;
    struct bed *bed;
    struct vswitch_port *at; /* NULL: not plugged in */
    struct port_policy policy;
    u32 accepts;
    bool full;
    unsigned got, flushes, spoofed_calls, down_calls;
    char out[PARTS][40]; /* what came out since it was last looked at */
};

struct bed {
    struct vswitch *sw;
    struct end end[PORTS];
    u64 now;
    char line[2000];
};

/* --- the ports --- */

static bool end_send(struct net_port *p, const struct frame *f)
{
    struct end *e = (struct end *)p;
    if (e->full)
        return false;
    assert_int_equal(frame_needs(f) & ~e->accepts, 0);
    if (e->got < PARTS)
        net_text_show(e->out[e->got], sizeof(e->out[0]), f);
    e->got++;
    return true;
}

static void end_flush(struct net_port *p)
{
    ((struct end *)p)->flushes++;
}

static u32 end_accepts(struct net_port *p)
{
    return ((struct end *)p)->accepts;
}

static void end_close(struct net_port *p)
{
    ((struct end *)p)->at = NULL;
}

static const struct net_port_ops end_ops = {
    .send = end_send, .flush = end_flush, .accepts = end_accepts, .close = end_close};

/* --- the bed --- */

static u64 bed_now(void *opaque)
{
    return ((struct bed *)opaque)->now;
}

static void on_spoofed(void *opaque, const u8 source[6])
{
    ((struct end *)opaque)->spoofed_calls++;
}

static void on_down(void *opaque, const char *why)
{
    ((struct end *)opaque)->down_calls++;
}

static struct bed *new_bed(u32 macs_max)
{
    struct bed *b = calloc(1, sizeof(*b));
    struct err err = {0};
    const struct vswitch_config c = {.now = bed_now,
                                     .clock_opaque = b,
                                     .max_age_ns = 300,
                                     .macs_max = macs_max,
                                     .hash_seed = 0x9e3779b97f4a7c15,
                                     .spoofed = on_spoofed,
                                     .down = on_down};
    b->sw = vswitch_new(&c, &err);
    assert_non_null(b->sw);
    for (unsigned i = 0; i < PORTS; i++) {
        b->end[i].port.ops = &end_ops;
        b->end[i].bed = b;
        b->end[i].accepts = FRAME_ACCEPTS_ALL;
    }
    return b;
}

static void plug(struct bed *b, char name, const char *text)
{
    struct end *e = &b->end[name - 'a'];
    struct err err = {0};
    e->policy = net_text_policy(text);
    if (e->at) {
        vswitch_port_set_policy(e->at, &e->policy);
        return;
    }
    e->at = vswitch_port_add(b->sw, &e->port, &e->policy, e, &err);
    assert_non_null(e->at);
}

static struct bed *bed(const char *a, const char *b_, const char *c, const char *d)
{
    struct bed *b = new_bed(0);
    const char *texts[PORTS] = {a, b_, c, d};
    for (unsigned i = 0; i < PORTS; i++)
        if (texts[i])
            plug(b, (char)('a' + i), texts[i]);
    return b;
}

static void done(struct bed *b)
{
    vswitch_free(b->sw);
    free(b);
}

/* What came out, in b->line, once. */
static const char *out(struct bed *b)
{
    char *p = b->line;
    *p = 0;
    for (unsigned i = 0; i < PORTS; i++) {
        for (unsigned k = 0; k < b->end[i].got && k < PARTS; k++)
            p += sprintf(p, "%s%c: %s", p == b->line ? "" : "; ", 'a' + i, b->end[i].out[k]);
        b->end[i].got = 0;
    }
    return b->line;
}

static const char *in(struct bed *b, char name, const char *text)
{
    static struct net_text t;
    struct end *e = &b->end[name - 'a'];
    net_text_build(&t, text);
    struct frame f = net_text_frame(&t);
    e->port.sink.receive(e->port.sink.opaque, &f);
    e->port.sink.flush(e->port.sink.opaque);
    return out(b);
}

static u64 drops(struct bed *b, char name, enum net_drop d)
{
    struct port_counters c;
    vswitch_port_counters(b->end[name - 'a'].at, &c);
    return c.drops[d];
}

/* The frame goes nowhere, and for that reason. */
static void dropped(struct bed *b, char name, const char *text, enum net_drop why)
{
    u64 before = drops(b, name, why);
    assert_string_equal(in(b, name, text), "");
    assert_int_equal(drops(b, name, why), before + 1);
}

#define BECOMES(b, port, text, expected) assert_string_equal(in(b, port, text), expected)

/* --- forwarding --- */

static void adapters_are_known_from_the_start(void **state)
{
    struct bed *b = bed("A", "B", "C", NULL);
    BECOMES(b, 'a', "A>B arp", "b: A>B arp");
    BECOMES(b, 'b', "B>A arp", "a: B>A arp");
    BECOMES(b, 'a', "A>* arp", "b: A>* arp; c: A>* arp");
    BECOMES(b, 'a', "A>M arp", "b: A>M arp; c: A>M arp");
    BECOMES(b, 'a', "A>A arp", ""); /* to itself */
    BECOMES(b, 'a', "A>L arp", ""); /* nobody may have it */
    done(b);
}

static void addresses_behind_a_port_are_learned(void **state)
{
    struct bed *b = bed("A", "B spoofing", "C spoofing", NULL);
    BECOMES(b, 'a', "A>K arp", "b: A>K arp; c: A>K arp"); /* unknown: to those who may have it */
    BECOMES(b, 'b', "K>A arp", "a: K>A arp");
    BECOMES(b, 'a', "A>K arp", "b: A>K arp");
    BECOMES(b, 'c', "K>A arp", "a: K>A arp"); /* it moved */
    BECOMES(b, 'a', "A>K arp", "c: A>K arp");
    b->now = 301; /* and was silent for too long */
    BECOMES(b, 'a', "A>K arp", "b: A>K arp; c: A>K arp");
    done(b);
}

static void an_adapters_address_cannot_be_learned_away(void **state)
{
    struct bed *b = bed("A", "B", "C spoofing", NULL);
    BECOMES(b, 'c', "B>A arp", "a: B>A arp"); /* spoofing is on: it may send so */
    BECOMES(b, 'a', "A>B arp", "b: A>B arp"); /* but gets nothing of it */
    done(b);
}

static void a_port_that_left_is_forgotten(void **state)
{
    struct bed *b = bed("A", "B spoofing", "C spoofing", NULL);
    in(b, 'b', "K>A arp");
    vswitch_port_remove(b->end[1].at);
    assert_null(b->end[1].at);
    BECOMES(b, 'a', "A>K arp", "c: A>K arp");
    BECOMES(b, 'a', "A>B arp", "c: A>B arp");
    plug(b, 'b', "B");
    BECOMES(b, 'a', "A>B arp", "b: A>B arp");
    done(b);
}

static void a_port_that_went_down_gets_nothing(void **state)
{
    struct bed *b = bed("A", "B", NULL, NULL);
    b->end[1].port.sink.down(b->end[1].port.sink.opaque, "gone");
    assert_int_equal(b->end[1].down_calls, 1);
    assert_false(vswitch_port_up(b->end[1].at));
    BECOMES(b, 'a', "A>B arp", "");
    BECOMES(b, 'a', "A>* arp", "");
    done(b);
}

static void a_full_receiver_costs_the_frame(void **state)
{
    struct bed *b = bed("A", "B", "C", NULL);
    b->end[1].full = true;
    BECOMES(b, 'a', "A>* arp", "c: A>* arp");
    assert_int_equal(drops(b, 'b', DROP_FULL), 1);
    done(b);
}

static void a_burst_ends_with_one_flush(void **state)
{
    struct bed *b = bed("A", "B", "C", NULL);
    in(b, 'a', "A>B arp");
    in(b, 'a', "A>B arp");
    assert_int_equal(b->end[1].flushes, 2);
    assert_int_equal(b->end[2].flushes, 0);
    done(b);
}

static void frames_are_counted(void **state)
{
    struct bed *b = bed("A", "B", NULL, NULL);
    struct port_counters c;
    in(b, 'a', "A>B arp");
    in(b, 'a', "A>B udp4:1>2");
    vswitch_port_counters(b->end[0].at, &c);
    assert_int_equal(c.in_frames, 2);
    assert_int_equal(c.in_bytes, 60 + 82);
    vswitch_port_counters(b->end[1].at, &c);
    assert_int_equal(c.out_frames, 2);
    assert_int_equal(c.out_bytes, 60 + 82);
    done(b);
}

/* --- malformed --- */

static void what_cannot_be_is_dropped(void **state)
{
    const char *texts[] = {
        "A>B cut:0",
        "A>B cut:13",
        "*>B arp",
        "M>B arp",
        "0>B arp",
        "A>B v5 cut:17", /* a tag without a type */
        "A>B arp csum@13+0",
        "A>B arp csum@40+19", /* the field lies behind the end */
        "A>B arp csum@65535+65535",
        "A>B v5 udp4:1>2 csum@14+0", /* on the tag */
        "A>B v5 udp4:1>2 csum@17+0",
        "A>B tcp4:4000 uso:1000",       /* no UDP */
        "A>B udp4:1>2 uso:1000 cut:40", /* no whole header */
        "A>B tcp4:4000 tso:0",
        "A>B tcp4:4000 tso:47",
        "A>B udp4:1>2 tso:1000",          /* no TCP */
        "A>B arp tso:1000",               /* no IP */
        "A>B frag4:1 tcp4:4000 tso:99",   /* a fragment */
        "A>B ext6:40 tcp6:4000 tso:1000", /* headers longer than the head */
        "A>B frag6:0 tcp6:4000 tso:1000",
        "A>B tcp4:4000 tso:1000 csum@30+16 tso:1000", /* not where TCP is */
        "A>B tcp4:4000 tso:1000 cut:50",              /* no whole header */
        "A>B tcp6:4000 tso:1000 cut:70",
    };
    struct bed *b = bed("A", "B", "C trunk:5 spoofing", NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        dropped(b, strchr(texts[i], 'v') ? 'c' : 'a', texts[i], DROP_MALFORMED);
    BECOMES(b, 'a', "A>B cut:14", "b: A>B other");
    done(b);
}

static void addresses_of_the_link_itself_are_not_forwarded(void **state)
{
    struct bed *b = bed("A", "B", NULL, NULL);
    dropped(b, 'a', "A>R arp", DROP_RESERVED);
    BECOMES(b, 'a', "A>S arp", "b: A>S arp"); /* spanning tree passes */
    done(b);
}

/* --- spoofing --- */

static void with_spoofing_off_only_the_adapter_sends(void **state)
{
    struct bed *b = bed("A", "B", NULL, NULL);
    struct port_counters c;
    u8 k[6];
    text_mac(k, 'K');
    dropped(b, 'a', "K>B arp", DROP_SPOOFED);
    dropped(b, 'a', "B>A arp", DROP_SPOOFED);
    dropped(b, 'a', "K>* arp", DROP_SPOOFED);
    dropped(b, 'a', "K>B arp", DROP_SPOOFED);
    assert_int_equal(b->end[0].spoofed_calls, 1); /* told once */
    vswitch_port_counters(b->end[0].at, &c);
    assert_memory_equal(c.spoofed_source, k, 6);
    plug(b, 'a', "A spoofing"); /* at once */
    BECOMES(b, 'a', "K>B arp", "b: K>B arp");
    BECOMES(b, 'b', "B>K arp", "a: B>K arp");
    plug(b, 'a', "A");
    BECOMES(b, 'b', "B>K arp", "");
    dropped(b, 'a', "K>B arp", DROP_SPOOFED);
    assert_int_equal(b->end[0].spoofed_calls, 2); /* told again after the change */
    done(b);
}

/* --- the table's bounds --- */

static void flood_of_sources(struct bed *b, char name, unsigned n)
{
    static struct net_text t;
    struct end *e = &b->end[name - 'a'];
    net_text_build(&t, "K>M arp");
    t.bytes[7] = (u8)name; /* none that has a letter */
    for (unsigned i = 0; i < n; i++) {
        store_be32(t.bytes + 8, i);
        struct frame f = net_text_frame(&t);
        e->port.sink.receive(e->port.sink.opaque, &f);
    }
    e->port.sink.flush(e->port.sink.opaque);
    out(b);
}

static void count_mac(void *opaque, const struct vswitch_mac *m)
{
    *(unsigned *)opaque += !m->fixed;
}

static unsigned learned(struct bed *b)
{
    unsigned n = 0;
    vswitch_each_mac(b->sw, count_mac, &n);
    return n;
}

static void no_port_can_exhaust_the_table(void **state)
{
    struct bed *b = new_bed(150);
    plug(b, 'a', "A");
    plug(b, 'b', "B spoofing limit:100");
    plug(b, 'c', "C spoofing limit:100"); /* gets the 50 that are left */
    plug(b, 'd', "D spoofing limit:100"); /* gets none */
    BECOMES(b, 'b', "K>A arp", "a: K>A arp");
    BECOMES(b, 'd', "L>A arp", "a: L>A arp");
    flood_of_sources(b, 'c', 5000);
    flood_of_sources(b, 'd', 5000);
    assert_int_equal(learned(b), 51);
    BECOMES(b, 'a', "A>K arp", "b: A>K arp"); /* still known */
    BECOMES(b, 'a', "A>D arp", "d: A>D arp"); /* as is the adapter without a share */
    BECOMES(b, 'a', "A>L arp", "b: A>L arp; c: A>L arp; d: A>L arp");
    vswitch_port_remove(b->end[1].at); /* its share is free again */
    plug(b, 'd', "D spoofing limit:100");
    flood_of_sources(b, 'd', 5000);
    assert_int_equal(learned(b), 150);
    done(b);
}

/* --- VLANs --- */

static void access_ports_see_their_vlan_alone(void **state)
{
    struct bed *b = bed("A access:5", "B access:5", "C access:6", "D");
    BECOMES(b, 'a', "A>* arp", "b: A>* arp");
    BECOMES(b, 'a', "A>B arp", "b: A>B arp");
    BECOMES(b, 'a', "A>C arp", "");
    BECOMES(b, 'a', "A>D arp", "");
    dropped(b, 'a', "A>B v5 arp", DROP_VLAN);
    dropped(b, 'a', "A>C v6 arp", DROP_VLAN);
    dropped(b, 'd', "D>A v5 arp", DROP_VLAN);
    BECOMES(b, 'a', "A>B v0 arp", "b: A>B arp"); /* a priority tag */
    done(b);
}

static void trunks_tag_and_have_a_native_vlan(void **state)
{
    struct bed *b = bed("A trunk:5,6 native:7", "B access:5", "C access:7", "D spoofing trunk:5,7");
    BECOMES(b, 'b', "B>* arp", "a: B>* v5 arp; d: B>* v5 arp");
    BECOMES(b, 'c', "C>* arp", "a: C>* arp; d: C>* v7 arp");
    BECOMES(b, 'a', "A>* v5/3 arp", "b: A>* arp; d: A>* v5/3 arp");
    BECOMES(b, 'a', "A>* arp", "c: A>* arp; d: A>* v7 arp");
    BECOMES(b, 'a', "A>* v7 arp", "c: A>* arp; d: A>* v7 arp");
    BECOMES(b, 'a', "A>* v0/3 arp", "c: A>* arp; d: A>* v7/3 arp");
    BECOMES(b, 'a', "A>* v6 arp", "");
    dropped(b, 'a', "A>* v8 arp", DROP_VLAN);
    dropped(b, 'a', "A>* v4095 arp", DROP_VLAN);
    dropped(b, 'd', "D>* v6 arp", DROP_VLAN);
    BECOMES(b, 'd', "D>* arp", ""); /* "untagged": nobody else is */
    done(b);
}

static void addresses_are_learned_by_vlan(void **state)
{
    struct bed *b = bed("A trunk:5,6", "B spoofing access:5", "C spoofing access:6", NULL);
    BECOMES(b, 'b', "K>A arp", "a: K>A v5 arp");
    BECOMES(b, 'a', "A>K v5 arp", "b: A>K arp");
    BECOMES(b, 'a', "A>K v6 arp", "c: A>K arp");
    done(b);
}

static void second_tags_are_dropped(void **state)
{
    struct bed *b = bed("A trunk:5,6 native:5", "B trunk:5,6 native:5", "C access:6", NULL);
    dropped(b, 'a', "A>* v5 v6 arp", DROP_TAGS); /* would come out of b as VLAN 6 */
    dropped(b, 'a', "A>* v0 v6 arp", DROP_TAGS);
    dropped(b, 'a', "A>* v6 s6 arp", DROP_TAGS);
    dropped(b, 'a', "A>* v6 q6 arp", DROP_TAGS);
    dropped(b, 'a', "A>* s6 arp", DROP_TAGS);
    dropped(b, 'a', "A>* q6 arp", DROP_TAGS);
    dropped(b, 'c', "C>* v0 v5 arp", DROP_TAGS);
    done(b);
}

static void offloads_move_with_the_tag(void **state)
{
    struct bed *b = bed("A trunk:5", "B access:5", NULL, NULL);
    BECOMES(b, 'a', "A>B v5 tcp4:4000 tso:1000", "b: A>B ip4 tso:1000");
    BECOMES(b, 'b', "B>A tcp6:4000 tso:1000", "a: B>A v5 ip6 tso:1000");
    BECOMES(b, 'b', "B>A udp4:1>2 csum", "a: B>A v5 ip4 csum");
    done(b);
}

/* --- guards --- */

static void dhcp_guard_stops_servers(void **state)
{
    const char *stopped[] = {
        "A>* udp4:67>68 op2",
        "A>* udp4:1000>68 op2",
        "A>* udp4:67>67 op2",     /* to a relay */
        "A>* udp4:67>67 cut:42",  /* says not what it is */
        "A>* frag4:0 udp4:67>68", /* the first fragment */
        "A>* ip4opts udp4:67>68",
        "A>* snap udp4:67>68",
        "A>* udp6:547>546",
        "A>* udp6:547>547 op2",
        "A>* udp6:547>547 op7",
        "A>* udp6:547>547 op10",
        "A>* udp6:547>547 op13",
        "A>* ext6:1 udp6:547>546",
        "A>* ext6:2 frag6:0 ext6:1 udp6:547>546",
        "A>* ext6:40 udp6:1>2",      /* longer than anybody looks */
        "A>* frag6:0 ext6:2 cut:70", /* a chain that does not end in the first fragment */
        "A>* snap v6 udp4:67>68",    /* a tag where none is looked for */
        "A>* udp4:67>100 csum@30+6", /* whose checksum would become the port */
        "A>* udp6:67>100 csum@50+6",
        "A>* snap udp4:1>2 csum@14+6",    /* or the type */
        "A>* frag6:5 udp6:1>2 csum@54+2", /* or the fragment's offset */
        "A>* udp4:1>2 cut:30",
    };
    const char *passes[] = {
        "A>* udp4:68>67 op1",
        "A>* udp6:546>547 op1",
        "A>* udp6:547>547 op12", /* a relay's */
        "A>* udp4:53>53",
        "A>* udp4:1>2 csum",
        "A>* frag4:9 udp4:67>68", /* no first fragment: it comes to nothing */
        "A>* frag6:9 udp6:547>546",
        "A>* icmp6:134",
        "A>* arp",
        "A>* tcp4:100",
        "A>* tcp6:100 csum",
    };
    struct bed *b = bed("A dhcp", "B", NULL, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(stopped); i++)
        dropped(b, 'a', stopped[i], DROP_DHCP_GUARD);
    for (unsigned i = 0; i < ARRAY_SIZE(passes); i++)
        assert_string_not_equal(in(b, 'a', passes[i]), "");
    BECOMES(b, 'b', "B>* udp4:67>68 op2", "a: B>* ip4"); /* without the guard */
    done(b);
}

static void router_guard_stops_routers(void **state)
{
    const char *stopped[] = {
        "A>* icmp6:134",      "A>* icmp6:137",         "A>* icmp4:5",
        "A>* icmp4:9",        "A>* ext6:1 icmp6:134",  "A>* frag6:0 icmp6:134",
        "A>* snap icmp6:134", "A>* icmp6:1 csum@52+2", /* whose checksum would become the type */
    };
    const char *passes[] = {"A>* icmp6:128", "A>* icmp6:135 csum", "A>* icmp4:8", "A>* udp6:547>546",
                            "A>* frag6:3 icmp6:134"};
    struct bed *b = bed("A router", "B", NULL, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(stopped); i++)
        dropped(b, 'a', stopped[i], DROP_ROUTER_GUARD);
    for (unsigned i = 0; i < ARRAY_SIZE(passes); i++)
        assert_string_not_equal(in(b, 'a', passes[i]), "");
    BECOMES(b, 'b', "B>* icmp6:134", "a: B>* ip6");
    done(b);
}

static void guards_look_behind_the_tag(void **state)
{
    struct bed *b = bed("A dhcp router trunk:5", "B access:5", NULL, NULL);
    dropped(b, 'a', "A>* v5 udp4:67>68 op2", DROP_DHCP_GUARD);
    dropped(b, 'a', "A>* v0 udp4:67>68 op2", DROP_DHCP_GUARD);
    dropped(b, 'a', "A>* v5 icmp6:134", DROP_ROUTER_GUARD);
    BECOMES(b, 'a', "A>* v5 udp4:68>67 op1", "b: A>* ip4");
    done(b);
}

/* --- mirrors --- */

static void a_watcher_gets_what_enters_and_leaves(void **state)
{
    struct bed *b = bed("A source", "B", "C destination", "D");
    BECOMES(b, 'a', "A>B arp", "b: A>B arp; c: A>B arp");
    BECOMES(b, 'b', "B>A arp", "a: B>A arp; c: B>A arp");
    BECOMES(b, 'b', "B>D arp", "d: B>D arp");
    BECOMES(b, 'b', "B>* arp", "a: B>* arp; c: B>* arp; d: B>* arp"); /* once */
    BECOMES(b, 'c', "C>A arp", "a: C>A arp");                         /* not its own */
    plug(b, 'c', "C");
    BECOMES(b, 'a', "A>B arp", "b: A>B arp");
    done(b);
}

static void a_watcher_sees_no_other_vlan(void **state)
{
    struct bed *b = bed("A source access:5", "B access:5", "C destination access:6", "D destination trunk:5");
    BECOMES(b, 'a', "A>B arp", "b: A>B arp; d: A>B v5 arp");
    done(b);
}

/* --- bandwidth --- */

static void a_limit_holds_over_time(void **state)
{
    struct bed *b = bed("A bits:8000000", "B", NULL, NULL); /* a million bytes a second */
    u64 passed = 0;
    for (unsigned ms = 0; ms < 4000; ms++) {
        b->now = ms * 1000000ull;
        for (unsigned i = 0; i < 3; i++) /* three million offered */
            passed += *in(b, 'a', "A>B tcp4:946") ? 1000 : 0;
    }
    assert_in_range(passed, 4000000, 4000000 + 2 * FRAME_MAX + 1000); /* and one burst */
    assert_int_equal(drops(b, 'a', DROP_BANDWIDTH), 12000 - passed / 1000);
    plug(b, 'a', "A");
    BECOMES(b, 'a', "A>B tcp4:946", "b: A>B ip4");
    done(b);
}

static void a_small_limit_still_passes_large_frames(void **state)
{
    struct bed *b = bed("A bits:1000", "B", NULL, NULL);
    BECOMES(b, 'a', "A>B tcp4:60000 tso:1448", "b: A>B ip4 tso:1448");
    BECOMES(b, 'a', "A>B tcp4:60000 tso:1448", "b: A>B ip4 tso:1448");
    done(b);
}

/* --- offloads --- */

static void a_receiver_gets_what_it_accepts(void **state)
{
    struct bed *b = bed("A", "B", "C", NULL);
    b->end[1].accepts = FRAME_ACCEPTS_CSUM;
    b->end[2].accepts = 0;
    BECOMES(b, 'a', "A>B tcp4:2500 tso:1000", "b: A>B ip4; b: A>B ip4; b: A>B ip4");
    BECOMES(b, 'a', "A>* udp4:1>2 csum", "b: A>* ip4 csum; c: A>* ip4");
    done(b);
}

/* --- plain data --- */

static void policies_without_sense_are_known(void **state)
{
    struct port_policy p = net_text_policy("A access:4094");
    assert_true(port_policy_ok(&p));
    p.vlan = 4095;
    assert_false(port_policy_ok(&p));
    p.vlan = 0;
    assert_false(port_policy_ok(&p));
    p = net_text_policy("A trunk:1 native:4095");
    assert_false(port_policy_ok(&p));
    p = net_text_policy("M");
    assert_false(port_policy_ok(&p));
    p = net_text_policy("A");
    p.mirror = 9;
    assert_false(port_policy_ok(&p));
}

static void every_drop_has_its_word(void **state)
{
    for (unsigned d = 0; d < DROP_COUNT; d++)
        assert_true(strlen(net_drop_name(d)) > 0 && !strchr(net_drop_name(d), ' '));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adapters_are_known_from_the_start),
        cmocka_unit_test(addresses_behind_a_port_are_learned),
        cmocka_unit_test(an_adapters_address_cannot_be_learned_away),
        cmocka_unit_test(a_port_that_left_is_forgotten),
        cmocka_unit_test(a_port_that_went_down_gets_nothing),
        cmocka_unit_test(a_full_receiver_costs_the_frame),
        cmocka_unit_test(a_burst_ends_with_one_flush),
        cmocka_unit_test(frames_are_counted),
        cmocka_unit_test(what_cannot_be_is_dropped),
        cmocka_unit_test(addresses_of_the_link_itself_are_not_forwarded),
        cmocka_unit_test(with_spoofing_off_only_the_adapter_sends),
        cmocka_unit_test(no_port_can_exhaust_the_table),
        cmocka_unit_test(access_ports_see_their_vlan_alone),
        cmocka_unit_test(trunks_tag_and_have_a_native_vlan),
        cmocka_unit_test(addresses_are_learned_by_vlan),
        cmocka_unit_test(second_tags_are_dropped),
        cmocka_unit_test(offloads_move_with_the_tag),
        cmocka_unit_test(dhcp_guard_stops_servers),
        cmocka_unit_test(router_guard_stops_routers),
        cmocka_unit_test(guards_look_behind_the_tag),
        cmocka_unit_test(a_watcher_gets_what_enters_and_leaves),
        cmocka_unit_test(a_watcher_sees_no_other_vlan),
        cmocka_unit_test(a_limit_holds_over_time),
        cmocka_unit_test(a_small_limit_still_passes_large_frames),
        cmocka_unit_test(a_receiver_gets_what_it_accepts),
        cmocka_unit_test(policies_without_sense_are_known),
        cmocka_unit_test(every_drop_has_its_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
