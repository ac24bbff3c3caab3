/* SPDX-License-Identifier: MIT */
/*
 * The child of a switch: ports and the switch between them, in a sandbox. All it works with comes through its
 * two sockets: requests of the supervisor, each answered, and what it has to tell. It opens nothing and
 * knows no names. When the supervisor ends it is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "main/switch_host.h"
#include "main/switch_parts.h"
#include "net/capture.h"
#include "net/link.h"
#include "net/vswitch.h"

enum { WAYS_MAX = SWITCH_UPLINKS_MAX, PLACES = SWITCH_PORTS_MAX + WAYS_MAX, CALLS_MAX = 128 };

/* Shares of the table of addresses: it holds those of every port there may be, and of two ways out. */
enum { PORT_MACS = 192, UPLINK_MACS = 8192 };
_Static_assert(SWITCH_PORTS_MAX *PORT_MACS + 2 * UPLINK_MACS <= VSWITCH_MACS_MAX,
               "no port goes without a share");

struct place {
    struct child *child;
    u64 number;                /* as the supervisor calls it */
    struct vswitch_port *port; /* NULL: free */
    struct capture *capture;
};

struct child {
    struct event_loop *loop;
    struct vswitch *sw;
    struct switch_host *host;
    int calls, events;
    struct place places[PLACES];
};

static struct place *place_of(struct child *c, u64 number)
{
    if (number < SWITCH_PORTS_MAX)
        return &c->places[number];
    u64 way = number - SWITCH_UPLINK_PORT;
    return number >= SWITCH_UPLINK_PORT && way < WAYS_MAX ? &c->places[SWITCH_PORTS_MAX + way] : NULL;
}

static u64 time_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

static u64 now(void *opaque)
{
    return time_of(CLOCK_MONOTONIC);
}

static u64 wall(void *opaque)
{
    return time_of(CLOCK_REALTIME);
}

/* ---- what it has to tell ---- */

static void tell(struct child *c, enum message_type type, u64 number)
{
    struct message m = {.type = type, .port = number};
    (void)!message_send(c->events, &m, -1, NULL); /* a supervisor that does not listen asks later, or not */
}

static void on_spoofed(void *opaque, const u8 source[6])
{
    struct place *p = opaque;
    tell(p->child, MESSAGE_SPOOFED, p->number);
}

static void end_capture(struct place *p)
{
    if (!p->capture)
        return;
    vswitch_port_capture(p->port, NULL);
    capture_free(p->capture);
    p->capture = NULL;
}

static void clear(struct place *p)
{
    if (!p->port)
        return;
    end_capture(p);
    vswitch_port_remove(p->port);
    p->port = NULL;
}

static void on_down(void *opaque, const char *why)
{
    struct place *p = opaque;
    clear(p);
    tell(p->child, MESSAGE_DOWN, p->number);
}

/* ---- requests ---- */

static struct port_policy policy_of(const struct port_rule *r)
{
    static const enum vlan_mode modes[] = {[PORT_UNTAGGED] = VLAN_MODE_UNTAGGED,
                                           [PORT_ACCESS] = VLAN_MODE_ACCESS,
                                           [PORT_TRUNK] = VLAN_MODE_TRUNK};
    static const enum mirror_mode mirrors[] = {[PORT_MIRROR_NONE] = MIRROR_NONE,
                                               [PORT_MIRROR_DESTINATION] = MIRROR_DESTINATION,
                                               [PORT_MIRROR_SOURCE] = MIRROR_SOURCE};
    struct vlan_set allowed;
    struct port_policy p = {.spoofing = r->spoofing,
                            .dhcp_guard = r->dhcp_guard,
                            .router_guard = r->router_guard,
                            .vlan_mode = modes[r->vlan_mode],
                            .vlan = (u16)r->vlan,
                            .native = (u16)r->native_vlan,
                            .mirror = mirrors[r->mirroring],
                            .bits_per_second = r->maximum_bandwidth,
                            .mac_limit = PORT_MACS};
    port_rule_mac(r, p.mac);
    if (vlan_set_parse(&allowed, r->trunk_vlans, NULL) == 0)
        memcpy(p.trunk, allowed.bits, sizeof(p.trunk));
    return p;
}

/* Owns port. */
static int put(struct child *c, u64 number, struct net_port *port, const struct port_policy *policy,
               struct err *err)
{
    struct place *p = place_of(c, number);
    clear(p);
    *p = (struct place){.child = c, .number = number};
    p->port = vswitch_port_add(c->sw, port, policy, p, err);
    if (p->port)
        return 0;
    port->ops->close(port);
    return -1;
}

static int on_plug(struct child *c, const struct message *m, int *passed, struct message *answer,
                   struct err *err)
{
    struct port_policy policy = policy_of(&m->rule);
    struct net_port *port = *passed < 0 ? NULL : net_port_link(*passed, c->loop, err);
    if (!port)
        return err_set(err, EXIT_STATUS_HOST, "a port needs a link");
    *passed = -1;
    return put(c, m->port, port, &policy, err);
}

static int on_unplug(struct child *c, const struct message *m, int *passed, struct message *answer,
                     struct err *err)
{
    clear(place_of(c, m->port));
    return 0;
}

static int no_port(struct err *err)
{
    return err_set(err, EXIT_STATUS_HOST, "the port is down");
}

static int on_rule(struct child *c, const struct message *m, int *passed, struct message *answer,
                   struct err *err)
{
    struct place *p = place_of(c, m->port);
    struct port_policy policy = policy_of(&m->rule);
    if (!p->port)
        return no_port(err);
    vswitch_port_set_policy(p->port, &policy);
    return 0;
}

static void print_drops(const struct port_counters *k, struct message *answer)
{
    size_t n = 0;
    for (unsigned i = 0; i < DROP_COUNT; i++) {
        answer->dropped += k->drops[i];
        if (k->drops[i] && n < sizeof(answer->drops))
            n += (size_t)snprintf(answer->drops + n, sizeof(answer->drops) - n, "%s%s %llu", n ? ", " : "",
                                  net_drop_name(i), (unsigned long long)k->drops[i]);
    }
    answer->spoofed = k->drops[DROP_SPOOFED];
}

static int on_ports(struct child *c, const struct message *m, int *passed, struct message *answer,
                    struct err *err)
{
    struct place *p = place_of(c, m->port);
    struct port_counters k;
    *answer = (struct message){.type = MESSAGE_PORT, .port = m->port};
    if (!p->port)
        return 0;
    vswitch_port_counters(p->port, &k);
    answer->up = vswitch_port_up(p->port);
    answer->frames_in = k.in_frames;
    answer->bytes_in = k.in_bytes;
    answer->frames_out = k.out_frames;
    answer->bytes_out = k.out_bytes;
    print_drops(&k, answer);
    if (p->capture && capture_ended(p->capture))
        snprintf(answer->notice, sizeof(answer->notice), "The capture ended: %.300s",
                 capture_ended(p->capture));
    return 0;
}

static int on_capture(struct child *c, const struct message *m, int *passed, struct message *answer,
                      struct err *err)
{
    struct place *p = place_of(c, m->port);
    if (!p->port)
        return no_port(err);
    end_capture(p);
    p->capture = *passed < 0 ? NULL : capture_new(*passed, m->adapter_name, 0, 0, err);
    if (!p->capture)
        return err_set(err, EXIT_STATUS_HOST, "a capture needs a file");
    *passed = -1;
    vswitch_port_capture(p->port, p->capture);
    return 0;
}

static int on_capture_end(struct child *c, const struct message *m, int *passed, struct message *answer,
                          struct err *err)
{
    end_capture(place_of(c, m->port));
    return 0;
}

/* A way out is trusted: whole networks, or the host, are behind it. */
static int on_uplink(struct child *c, const struct message *m, int *passed, struct message *answer,
                     struct err *err)
{
    const struct port_policy policy = {.spoofing = true, .mac_limit = UPLINK_MACS};
    struct net_port *port = NULL;
    u8 mac[6] = {0};
    if (strcmp(m->text, "user") == 0 || strcmp(m->text, "dhcp") == 0) {
        port_rule_mac(&m->rule, mac);
        if (!c->host)
            c->host = switch_host_new(err);
        port = c->host ? switch_host_add(c->host, m->text, c->loop, mac, err) : NULL;
    } else {
        port = *passed < 0 ? NULL : switch_uplink_port(m->text, *passed, c->loop, err);
        *passed = port ? -1 : *passed;
    }
    return port ? put(c, m->port, port, &policy, err)
                : err_set(err, EXIT_STATUS_HOST, "there is no such way out");
}

static int on_host(struct child *c, const struct message *m, int *passed, struct message *answer,
                   struct err *err)
{
    if (!c->host || *passed < 0)
        return err_set(err, EXIT_STATUS_HOST, "this switch does not carry the host's network");
    return switch_host_apply(c->host, *passed, err);
}

static int (*const requests[MESSAGE_TYPE_COUNT])(struct child *c, const struct message *m, int *passed,
                                                 struct message *answer, struct err *err) = {
    [MESSAGE_PLUG] = on_plug,     [MESSAGE_UNPLUG] = on_unplug,   [MESSAGE_RULE] = on_rule,
    [MESSAGE_PORTS] = on_ports,   [MESSAGE_CAPTURE] = on_capture, [MESSAGE_CAPTURE_END] = on_capture_end,
    [MESSAGE_UPLINK] = on_uplink, [MESSAGE_HOST] = on_host,
};

static void on_call(void *opaque, int events)
{
    struct child *c = opaque;
    struct message m, answer = {.type = MESSAGE_OK};
    struct err err = {0};
    int passed, r = message_receive(c->calls, &m, &passed, &err);
    if (r == 0)
        _exit(EXIT_STATUS_OK); /* the supervisor is gone */
    if (r > 0 && requests[m.type] && place_of(c, m.port))
        r = requests[m.type](c, &m, &passed, &answer, &err);
    else
        r = err_set(&err, EXIT_STATUS_HOST, "no such request");
    if (passed >= 0)
        close(passed);
    if (r)
        answer = message_of_err(&err);
    if (message_send(c->calls, &answer, -1, NULL))
        _exit(EXIT_STATUS_HOST);
}

/* ---- start ---- */

static int close_files(const struct switch_process *s, int calls, int events, struct err *err)
{
    const int keep[] = {STDERR_FILENO, calls, events};
    return sandbox_fds(keep, ARRAY_SIZE(keep), err) ||
                   sandbox_files(s->user_host ? switch_host_files : NULL, s->user_host, err)
               ? -1
               : 0;
}

static int limit_calls(const struct switch_process *s, struct err *err)
{
    static const int ours[] = {SCMP_SYS(recvmsg),   SCMP_SYS(sendmsg),
                               SCMP_SYS(recvfrom),  SCMP_SYS(sendto),
                               SCMP_SYS(ftruncate), -1}; /* what a full disk took in part of a capture */
    int all[CALLS_MAX];
    unsigned n = 0;
    for (const int *p = ours; *p != -1; p++)
        all[n++] = *p;
    for (const int *p = switch_host_calls; s->user_host && *p != -1 && n < CALLS_MAX - 1; p++)
        all[n++] = *p;
    all[n] = -1;
    return sandbox_calls("switch", all, err);
}

static int build(struct child *c, int calls, int events, struct err *err)
{
    struct vswitch_config config = {.now = now, .wall = wall, .spoofed = on_spoofed, .down = on_down};
    bug_on(getrandom(&config.hash_seed, sizeof(config.hash_seed), 0) != sizeof(config.hash_seed),
           "no random numbers");
    c->calls = calls;
    c->events = events;
    c->loop = event_loop_new(NULL, err);
    c->sw = c->loop ? vswitch_new(&config, err) : NULL;
    if (!c->sw)
        return -1;
    return event_loop_add(c->loop, calls, EVENT_READ, on_call, c)
               ? 0
               : err_set(err, EXIT_STATUS_HOST, "out of memory");
}

int switch_child_run(const struct switch_process *s, int calls, int events)
{
    struct err err = {0};
    struct message ready = {.type = MESSAGE_OK};
    struct child *c = calloc(1, sizeof(*c));
    bug_on(!c, "no memory for a switch");
    if (close_files(s, calls, events, &err) || build(c, calls, events, &err) || limit_calls(s, &err)) {
        log_line("%s", err.text);
        ready = message_of_err(&err);
    }
    if (message_send(calls, &ready, -1, NULL) || ready.type == MESSAGE_ERROR)
        return EXIT_STATUS_HOST;
    event_loop_run(c->loop);
    return EXIT_STATUS_OK;
}
