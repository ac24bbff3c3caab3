/* SPDX-License-Identifier: MIT */
/*
 * What is plugged into a switch. A port lives as long as its cable: it survives the child, and each new child
 * gets a new link for it, whose other end goes through the cable. Workers are not trusted: their end is only
 * ever written to, without waiting, and looked at for its end.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "main/switch_parts.h"
#include "mgmt/adapters.h"
#include "mgmt/worker.h"
#include "net/link.h"

enum { OTHERS_PORTS_MAX = 64 };

struct switch_port *switch_port_find(struct switch_process *s, const char *vm, const char *adapter)
{
    for (unsigned i = 0; i < SWITCH_PORTS_MAX; i++)
        if (s->ports[i] && strcmp(s->ports[i]->is.vm, vm) == 0 &&
            strcmp(s->ports[i]->is.adapter_id, adapter) == 0)
            return s->ports[i];
    return NULL;
}

struct switch_port *switch_port_numbered(struct switch_process *s, u64 number)
{
    return number < SWITCH_PORTS_MAX ? s->ports[number] : NULL;
}

void switch_port_unplug(struct switch_process *s, struct switch_port *p)
{
    struct message m = {.type = MESSAGE_UNPLUG, .port = p->number};
    (void)!switch_child_call(s, &m, -1, NULL, NULL); /* it may have seen for itself */
    event_loop_remove(s->loop, p->watch);
    if (p->cable >= 0)
        close(p->cable);
    if (p->capture >= 0)
        close(p->capture);
    s->ports[p->number] = NULL;
    s->port_count--;
    free(p);
    switch_look_for_idleness(s);
}

/* ---- links ---- */

static void capture(struct switch_process *s, struct switch_port *p)
{
    struct message m = {.type = MESSAGE_CAPTURE, .port = p->number};
    struct err err = {0};
    if (p->capture >= 0 && switch_child_call(s, &m, p->capture, NULL, &err))
        log_line("capture: %s", err.text);
}

/* A cable that takes no message is of no use any more: then *dead. */
static int link_port(struct switch_process *s, struct switch_port *p, bool *dead, struct err *err)
{
    int ends[2];
    struct message plug = {.type = MESSAGE_PLUG, .port = p->number, .rule = p->is.rule},
                   hand = {.type = MESSAGE_LINK};
    if (link_pair(ends, err))
        return -1;
    int r = switch_child_call(s, &plug, ends[0], NULL, err);
    p->linked = r == 0;
    if (r == 0)
        *dead = message_send(p->cable, &hand, ends[1], err) != 0;
    close(ends[0]);
    close(ends[1]);
    if (p->linked && !*dead)
        capture(s, p);
    return *dead ? -1 : r;
}

void switch_ports_link(struct switch_process *s)
{
    for (unsigned i = 0; i < SWITCH_PORTS_MAX; i++) {
        struct err err = {0};
        bool dead = false;
        if (!s->ports[i] || s->ports[i]->linked || link_port(s, s->ports[i], &dead, &err) == 0)
            continue;
        log_line("port of '%s': %s", s->ports[i]->is.vm_name, err.text);
        if (dead)
            switch_port_unplug(s, s->ports[i]);
    }
}

/* Not at once, so that a worker that breaks its link again and again costs little; nor later than it is due
 * already, so that it keeps nobody else's down. */
void switch_port_down(struct switch_process *s, struct switch_port *p)
{
    p->linked = false;
    if (timer_deadline(&s->repair) == CLOCK_NEVER)
        timer_arm(&s->repair, clock_now(s->clock) + 1000000000);
}

/* ---- plugging ---- */

/* Another adapter with this address would take its frames. */
static int check_address(struct switch_process *s, const struct message *plug, const struct switch_port *but,
                         struct err *err)
{
    for (unsigned i = 0; i < SWITCH_PORTS_MAX; i++) {
        const struct switch_port *p = s->ports[i];
        if (p && p != but && plug->mac[0] && strcasecmp(p->is.mac, plug->mac) == 0)
            return err_set_id(
                err, EXIT_STATUS_USAGE, ERROR_OBJECT_EXISTS,
                "The hardware address %s is in use on the switch '%s', by '%s'%s%s. Give one of the two "
                "another: Set-VMNetworkAdapter -DynamicMacAddress, or mac= of droste run.",
                plug->mac, s->config.name, p->is.vm_name, p->is.adapter_name[0] ? ": " : "",
                p->is.adapter_name);
    }
    if (plug->mac[0] && strcasecmp(s->config.mac, plug->mac) == 0)
        return err_set_id(
            err, EXIT_STATUS_USAGE, ERROR_OBJECT_EXISTS,
            "The hardware address %s is the host's own on the switch '%s'. Give the adapter another: "
            "Set-VMNetworkAdapter -DynamicMacAddress.",
            plug->mac, s->config.name);
    return 0;
}

static bool is_cable(int fd)
{
    int domain = 0, type = 0;
    socklen_t len = sizeof(domain);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET &&
           fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

static unsigned ports_of(const struct switch_process *s, uid_t owner)
{
    unsigned n = 0;
    for (unsigned i = 0; i < SWITCH_PORTS_MAX; i++)
        n += s->ports[i] && s->ports[i]->owner == owner;
    return n;
}

static void on_cable_end(void *opaque, int events)
{
    struct switch_port *p = opaque;
    switch_port_unplug(p->process, p);
}

static struct switch_port *new_port(struct switch_process *s, const struct message *plug, int cable,
                                    uid_t owner, struct err *err)
{
    unsigned n = 0;
    while (n < SWITCH_PORTS_MAX && s->ports[n])
        n++;
    struct switch_port *p = n < SWITCH_PORTS_MAX ? calloc(1, sizeof(*p)) : NULL;
    if (!p) {
        err_set_id(err, EXIT_STATUS_USAGE, ERROR_OPERATION_FAILED,
                   "The switch '%s' has all its %d ports in use.", s->config.name, SWITCH_PORTS_MAX);
        return NULL;
    }
    *p = (struct switch_port){
        .process = s, .number = n, .cable = cable, .owner = owner, .capture = -1, .is = *plug};
    p->watch = event_loop_add(s->loop, cable, 0, on_cable_end, p);
    if (p->watch)
        return p;
    free(p);
    err_set(err, EXIT_STATUS_HOST, "out of memory for a port");
    return NULL;
}

int switch_port_plug(struct switch_process *s, const struct message *plug, int cable, uid_t owner,
                     struct err *err)
{
    struct switch_port *old = switch_port_find(s, plug->vm, plug->adapter_id);
    struct err later = {0};
    bool dead = false;
    if (!is_cable(cable))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER, "That descriptor is no cable.");
    if (owner && owner != geteuid() && ports_of(s, owner) >= OTHERS_PORTS_MAX)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OPERATION_FAILED,
                          "A user has at most %d ports on another's switch.", OTHERS_PORTS_MAX);
    if (check_address(s, plug, old, err))
        return -1;
    struct switch_port *p = new_port(s, plug, cable, owner, err);
    if (!p)
        return -1;
    if (old)
        switch_port_unplug(s, old);
    s->ports[p->number] = p;
    s->port_count++;
    switch_look_for_idleness(s);
    if (link_port(s, p, &dead, &later) == 0)
        return 0;
    if (!dead) {
        log_line("port of '%s': %s", p->is.vm_name, later.text);
        switch_port_down(s, p);
        return 0;
    }
    p->cable = -1; /* stays the caller's */
    switch_port_unplug(s, p);
    return err_set(err, later.status, "%s", later.text);
}

int switch_port_rule(struct switch_process *s, struct switch_port *p, const struct message *rule,
                     struct err *err)
{
    struct message m = {.type = MESSAGE_RULE, .port = p->number, .rule = rule->rule},
                   over = {.type = MESSAGE_NOTICE};
    if (check_address(s, rule, p, err))
        return -1;
    memcpy(p->is.vm_name, rule->vm_name, sizeof(p->is.vm_name));
    memcpy(p->is.adapter_name, rule->adapter_name, sizeof(p->is.adapter_name));
    p->is.rule = rule->rule;
    if (p->noticed && rule->spoofing) {
        (void)!message_send(p->cable, &over, -1, NULL);
        p->noticed = false;
    }
    return p->linked ? switch_child_call(s, &m, -1, NULL, err) : 0;
}

/* Told through the cable: the worker puts it into its log and its status. */
void switch_port_spoofed(struct switch_process *s, struct switch_port *p)
{
    struct message m = {.type = MESSAGE_NOTICE};
    if (p->is.spoofing || p->noticed)
        return;
    if (p->is.adapter_name[0])
        adapter_spoofing_notice(m.notice, sizeof(m.notice), p->is.vm_name, p->is.adapter_name);
    else
        snprintf(m.notice, sizeof(m.notice),
                 "frames from other addresses than its own are dropped by the switch: a stored virtual "
                 "machine can let "
                 "them pass (Set-VMNetworkAdapter -MacAddressSpoofing On)");
    p->noticed = message_send(p->cable, &m, -1, NULL) == 0;
}

/* ---- finding ---- */

static void plug_running(struct switch_process *s, struct store *vms, const struct vm_config *c,
                         unsigned adapter)
{
    struct err err = {0};
    struct message plug = adapter_plug(c, adapter);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return;
    if (switch_port_plug(s, &plug, pair[1], geteuid(), &err)) {
        log_line("'%s': %s", c->name, err.text);
        close(pair[1]);
    } else if (worker_give_cable(vms, c->id, adapter, pair[0], &err)) {
        log_line("'%s': %s", c->name, err.text); /* the cable ends below, and the port with it */
    }
    close(pair[0]);
}

void switch_ports_find(struct switch_process *s)
{
    struct store vms;
    struct vm_entry *list;
    unsigned count;
    if (store_open(&vms, NULL))
        return;
    (void)!store_list(&vms, &list, &count, NULL); /* then empty */
    for (unsigned i = 0; i < count; i++) {
        const struct vm_config *c = list[i].config;
        for (unsigned k = 0; c && k < c->adapter_count; k++)
            if (strcasecmp(c->adapters[k].switch_name, s->config.name) == 0 &&
                !switch_port_find(s, c->id, c->adapters[k].id) && worker_lives(&vms, c->id))
                plug_running(s, &vms, c, k);
    }
    store_list_free(list, count);
    store_close(&vms);
}
