/* SPDX-License-Identifier: MIT */
/*
 * usage: switch_tap SWITCH TAP. A machine on a virtual switch without a guest: a TAP of this host is plugged
 * into it as a VM's adapter is, by a cable (mgmt/switch.h). Says "ready" when the TAP is there; ends when it
 * is killed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "main/cable.h"
#include "mgmt/store.h"
#include "mgmt/switch.h"
#include "net/outlet.h"
#include "net/segment.h"
#include "net/tap.h"

struct end {
    struct net_port *port, *other;
};

static void pass(void *opaque, const struct frame *f)
{
    struct end *e = opaque;
    e->other->ops->send(e->other, f);
}

static void receive(void *opaque, const struct frame *f)
{
    struct end *e = opaque;
    if (frame_check(f))
        frame_finish(f, net_port_accepts(e->other), pass, e);
}

static void flush(void *opaque)
{
    net_port_flush(((struct end *)opaque)->other);
}

static int plug(const char *name, struct err *err)
{
    struct message m = {.type = MESSAGE_PLUG, .vm_name = "tap", .adapter_name = "tap"};
    vm_id_new(m.vm);
    vm_id_new(m.adapter_id);
    m.rule.spoofing = true;
    return switch_plug(name, &m, err);
}

static int join(const char *name, const char *tap, struct event_loop *loop, struct end ends[2],
                struct err *err)
{
    unsigned index;
    int fd = tap_open(tap, &index, err), end = fd < 0 ? -1 : plug(name, err);
    if (end < 0)
        return -1;
    struct net_port *host = net_port_tap(fd, false, loop, err), *outlet = net_outlet_new(err);
    if (!host || !outlet || !cable_new(end, loop, outlet, err))
        return -1;
    ends[0] = (struct end){host, outlet};
    ends[1] = (struct end){outlet, host};
    for (unsigned i = 0; i < 2; i++) {
        ends[i].port->sink = (struct frame_sink){.receive = receive, .flush = flush, .opaque = &ends[i]};
        net_port_set_accepts(ends[i].port, FRAME_ACCEPTS_ALL);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct end ends[2];
    if (argc != 3) {
        fputs("usage: switch_tap SWITCH TAP\n", stderr);
        return EXIT_STATUS_USAGE;
    }
    struct event_loop *loop = event_loop_new(NULL, &err);
    if (!loop || join(argv[1], argv[2], loop, ends, &err)) {
        log_line("%s", err.text);
        return EXIT_STATUS_HOST;
    }
    puts("ready");
    fflush(stdout);
    event_loop_run(loop);
    return 0;
}
