/* SPDX-License-Identifier: MIT */
#include "main/cable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "mgmt/message.h"
#include "net/link.h"
#include "net/outlet.h"

struct cable {
    int fd; /* -1: hung up */
    struct event_loop *loop;
    struct event_watch *watch;
    struct net_port *outlet;
    char notice[sizeof(((struct message *)0)->notice)];
};

static void hang_up(struct cable *c)
{
    if (c->fd < 0)
        return;
    event_loop_remove(c->loop, c->watch);
    close(c->fd);
    c->fd = -1;
    net_outlet_plug(c->outlet, NULL);
}

static void take_link(struct cable *c, int end)
{
    struct err err = {0};
    struct net_port *p = net_port_link(end, c->loop, &err);
    if (p) {
        net_outlet_plug(c->outlet, p);
        return;
    }
    log_line("a link of the switch cannot be used: %s", err.text);
    close(end);
}

static void take_notice(struct cable *c, const struct message *m)
{
    memcpy(c->notice, m->notice, sizeof(c->notice));
    if (c->notice[0])
        log_line("%s", c->notice);
}

static void on_packet(void *opaque, int events)
{
    struct cable *c = opaque;
    struct message m;
    struct err err = {0};
    int passed, r = message_receive(c->fd, &m, &passed, &err);
    if (r > 0 && m.type == MESSAGE_LINK && passed >= 0)
        take_link(c, passed);
    else if (r > 0 && passed >= 0)
        close(passed);
    if (r > 0 && m.type == MESSAGE_NOTICE)
        take_notice(c, &m);
    if (r <= 0 && (err.id != ERROR_TIMED_OUT || (events & EVENT_HANGUP)))
        hang_up(c);
}

struct cable *cable_new(int fd, struct event_loop *loop, struct net_port *outlet, struct err *err)
{
    struct cable *c = calloc(1, sizeof(*c));
    if (!c || fcntl(fd, F_SETFL, O_NONBLOCK)) {
        err_set(err, EXIT_STATUS_HOST, "a cable to a switch cannot be used: %s", strerror(errno));
        free(c);
        return NULL;
    }
    *c = (struct cable){.fd = fd, .loop = loop, .outlet = outlet};
    c->watch = event_loop_add(loop, fd, EVENT_READ, on_packet, c);
    if (c->watch)
        return c;
    err_set(err, EXIT_STATUS_HOST, "out of memory for a cable to a switch");
    free(c);
    return NULL;
}

void cable_pull(struct cable *c)
{
    if (!c)
        return;
    hang_up(c);
    free(c);
}

const char *cable_notice(const struct cable *c)
{
    return c ? c->notice : "";
}

int cables_give(struct cables *c, unsigned adapter, int fd, struct err *err)
{
    if (adapter >= CABLES_MAX || !c->outlets[adapter])
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                          "The machine has no such network adapter.");
    cable_pull(c->cables[adapter]);
    c->cables[adapter] = fd < 0 ? NULL : cable_new(fd, c->loop, c->outlets[adapter], err);
    return fd < 0 || c->cables[adapter] ? 0 : -1;
}

const char *cables_notice(const struct cables *c)
{
    for (unsigned i = 0; i < CABLES_MAX; i++)
        if (*cable_notice(c->cables[i]))
            return cable_notice(c->cables[i]);
    return "";
}
