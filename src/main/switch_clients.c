/* SPDX-License-Identifier: MIT */
/*
 * Requests to a switch: one client a connection, one request at a time, answered at once. Who a client is the
 * kernel says, not the client. Packets are checked like a guest's frames: on a system's switch they come from
 * other users.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "main/switch_parts.h"

/* Root and the owner are always let in. */
enum { OTHERS_MAX = 64, USER_MAX = 16 };

struct client {
    struct client *next;
    struct switch_process *process;
    int fd;
    struct event_watch *watch;
    uid_t user;
};

static void hang_up(struct client *c)
{
    struct switch_process *s = c->process;
    struct client **at = &s->clients;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    event_loop_remove(s->loop, c->watch);
    close(c->fd);
    free(c);
    switch_look_for_idleness(s);
}

static bool may_all(const struct client *c)
{
    return c->user == 0 || c->user == geteuid();
}

/* ---- requests: 0 and *answer, or -1 and err. passed: -1 or a descriptor, closed afterwards unless taken
 * ---- */

typedef int serve(struct switch_process *s, struct client *c, const struct message *q, int *passed,
                  struct message *answer, struct err *err);

static int no_port(struct err *err)
{
    return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                      "The network adapter is not connected to this switch.");
}

static int denied(struct err *err)
{
    return err_set_id(
        err, EXIT_STATUS_USAGE, ERROR_ACCESS_DENIED,
        "Another user has connected this network adapter, and only that user or root may change it.");
}

static int on_plug(struct switch_process *s, struct client *c, const struct message *q, int *passed,
                   struct message *answer, struct err *err)
{
    struct switch_port *old = switch_port_find(s, q->vm, q->adapter_id);
    if (*passed < 0 || !q->vm[0] || !q->adapter_id[0])
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "A port needs an adapter and a cable.");
    if (old && old->owner != c->user && !may_all(c))
        return denied(err);
    if (port_rule_check(&q->rule, err) || switch_port_plug(s, q, *passed, c->user, err))
        return -1;
    *passed = -1;
    return 0;
}

/* NULL and err: it is not there, or not this client's. */
static struct switch_port *port_of(struct switch_process *s, struct client *c, const struct message *q,
                                   struct err *err)
{
    struct switch_port *p = switch_port_find(s, q->vm, q->adapter_id);
    if (!p)
        no_port(err);
    else if (p->owner != c->user && !may_all(c))
        denied(err);
    else
        return p;
    return NULL;
}

static int on_unplug(struct switch_process *s, struct client *c, const struct message *q, int *passed,
                     struct message *answer, struct err *err)
{
    struct switch_port *p = port_of(s, c, q, err);
    if (!p)
        return -1;
    switch_port_unplug(s, p);
    return 0;
}

static int on_rule(struct switch_process *s, struct client *c, const struct message *q, int *passed,
                   struct message *answer, struct err *err)
{
    struct switch_port *p = port_of(s, c, q, err);
    return !p || port_rule_check(&q->rule, err) ? -1 : switch_port_rule(s, p, q, err);
}

static void describe_port(struct switch_process *s, const struct switch_port *p, struct message *answer)
{
    struct message ask = {.type = MESSAGE_PORTS, .port = p->number}, got;
    *answer = p->is;
    if (p->linked && switch_child_call(s, &ask, -1, &got, NULL) == 0 && got.type == MESSAGE_PORT) {
        *answer = got; /* counters; what it says of itself is not taken from the child */
        memcpy(answer->vm, p->is.vm, sizeof(answer->vm));
        memcpy(answer->vm_name, p->is.vm_name, sizeof(answer->vm_name));
        memcpy(answer->adapter_id, p->is.adapter_id, sizeof(answer->adapter_id));
        memcpy(answer->adapter_name, p->is.adapter_name, sizeof(answer->adapter_name));
        answer->rule = p->is.rule;
    }
    answer->type = MESSAGE_PORT;
    answer->port = p->number;
    answer->capturing = p->capture >= 0;
    memcpy(answer->text, answer->capturing ? p->capture_path : "",
           answer->capturing ? sizeof(answer->text) : 1);
}

static int on_ports(struct switch_process *s, struct client *c, const struct message *q, int *passed,
                    struct message *answer, struct err *err)
{
    for (u64 i = q->port; i < SWITCH_PORTS_MAX; i++)
        if (s->ports[i] && (!q->vm[0] || s->ports[i] == switch_port_find(s, q->vm, q->adapter_id))) {
            describe_port(s, s->ports[i], answer);
            return 0;
        }
    *answer = (struct message){.type = MESSAGE_STATUS,
                               .pid = (u64)getpid(),
                               .child = (u64)s->child.pid,
                               .restarts = s->restarts,
                               .ports = s->port_count,
                               .capturing = s->uplink_capture >= 0};
    if (answer->capturing)
        memcpy(answer->text, s->uplink_capture_path, sizeof(answer->text));
    if (switch_config_has_host(&s->config))
        snprintf(answer->host_adapter, sizeof(answer->host_adapter), "%s", s->user_host ? "User" : "Kernel");
    return 0;
}

/* The file of the port that q means, and its number. */
static int *capture_of(struct switch_process *s, struct client *c, const struct message *q, u64 *number,
                       struct err *err)
{
    *number = SWITCH_UPLINK_PORT;
    if (!may_all(c)) {
        denied(err);
        return NULL;
    }
    if (!q->vm[0]) {
        if (s->uplinks.count || s->user_host)
            return &s->uplink_capture;
        no_port(err);
        return NULL;
    }
    struct switch_port *p = port_of(s, c, q, err);
    if (p)
        *number = p->number;
    return p ? &p->capture : NULL;
}

static void end_capture(struct switch_process *s, int *file, u64 number)
{
    struct message m = {.type = MESSAGE_CAPTURE_END, .port = number};
    if (*file < 0)
        return;
    (void)!switch_child_call(s, &m, -1, NULL, NULL); /* without a child it has ended */
    close(*file);
    *file = -1;
}

static int on_capture(struct switch_process *s, struct client *c, const struct message *q, int *passed,
                      struct message *answer, struct err *err)
{
    struct message m = {.type = MESSAGE_CAPTURE};
    int *file = capture_of(s, c, q, &m.port, err);
    if (!file)
        return -1;
    if (*passed < 0)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER, "A capture needs a file.");
    if (*file >= 0)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_STATE,
                          "Frames are being captured there already: Stop-VMSwitchCapture ends that.");
    if (switch_child_call(s, &m, *passed, NULL, err))
        return -1;
    *file = *passed;
    *passed = -1;
    struct switch_port *p = switch_port_numbered(s, m.port);
    memcpy(p ? p->capture_path : s->uplink_capture_path, q->text, sizeof(q->text));
    return 0;
}

static int on_capture_end(struct switch_process *s, struct client *c, const struct message *q, int *passed,
                          struct message *answer, struct err *err)
{
    u64 number;
    int *file = capture_of(s, c, q, &number, err);
    if (file && *file < 0)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_STATE, "No frames are being captured there.");
    if (file)
        end_capture(s, file, number);
    return file ? 0 : -1;
}

static int on_host(struct switch_process *s, struct client *c, const struct message *q, int *passed,
                   struct message *answer, struct err *err)
{
    struct message m = {.type = MESSAGE_HOST};
    if (!may_all(c))
        return denied(err);
    if (*passed < 0)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER, "A host network needs a file.");
    if (s->child.pid && switch_child_call(s, &m, *passed, NULL, err))
        return -1;
    if (s->host_file >= 0)
        close(s->host_file);
    s->host_file = *passed;
    *passed = -1;
    return 0;
}

static int on_stop(struct switch_process *s, struct client *c, const struct message *q, int *passed,
                   struct message *answer, struct err *err)
{
    if (!may_all(c))
        return denied(err);
    event_loop_stop(s->loop);
    return 0;
}

static serve *const requests[MESSAGE_TYPE_COUNT] = {
    [MESSAGE_PLUG] = on_plug,   [MESSAGE_UNPLUG] = on_unplug,   [MESSAGE_RULE] = on_rule,
    [MESSAGE_PORTS] = on_ports, [MESSAGE_CAPTURE] = on_capture, [MESSAGE_CAPTURE_END] = on_capture_end,
    [MESSAGE_HOST] = on_host,   [MESSAGE_STOP] = on_stop,
};

/* ---- connections ---- */

static void answer_one(struct client *c, const struct message *q, int passed)
{
    struct message answer = {.type = MESSAGE_OK};
    struct err err = {0};
    int r = requests[q->type] ? requests[q->type](c->process, c, q, &passed, &answer, &err)
                              : err_set_id(&err, EXIT_STATUS_USAGE, ERROR_NOT_SUPPORTED,
                                           "A switch does not take such messages.");
    if (passed >= 0)
        close(passed);
    if (r)
        answer = message_of_err(&err);
    if (message_send(c->fd, &answer, -1, NULL))
        hang_up(c);
}

static void on_client(void *opaque, int events)
{
    struct client *c = opaque;
    struct message m;
    struct err err = {0};
    int passed, r = message_receive(c->fd, &m, &passed, &err);
    if (r > 0)
        answer_one(c, &m, passed);
    else if (err.id != ERROR_TIMED_OUT || (events & EVENT_HANGUP)) /* which says that nothing was there */
        hang_up(c);
}

static bool has_room(const struct switch_process *s, uid_t user)
{
    unsigned others = 0, same = 0;
    for (const struct client *c = s->clients; c; c = c->next) {
        others += !may_all(c);
        same += c->user == user;
    }
    return user == 0 || user == geteuid() || (others < OTHERS_MAX && same < USER_MAX);
}

static bool begin_client(struct switch_process *s, int fd)
{
    struct ucred who;
    socklen_t len = sizeof(who);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) || !has_room(s, who.uid))
        return false;
    struct client *c = calloc(1, sizeof(*c));
    if (!c)
        return false;
    *c = (struct client){.process = s, .fd = fd, .user = who.uid, .next = s->clients};
    c->watch = event_loop_add(s->loop, fd, EVENT_READ, on_client, c);
    if (!c->watch) {
        free(c);
        return false;
    }
    s->clients = c;
    switch_look_for_idleness(s);
    return true;
}

static void on_connection(void *opaque, int events)
{
    struct switch_process *s = opaque;
    int fd = accept4(SWITCH_FD_LISTEN, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 && !begin_client(s, fd))
        close(fd);
}

int switch_clients_begin(struct switch_process *s, struct err *err)
{
    if (listen(SWITCH_FD_LISTEN, 64))
        return err_set(err, EXIT_STATUS_HOST, "cannot listen on the control socket: %s", strerror(errno));
    return event_loop_add(s->loop, SWITCH_FD_LISTEN, EVENT_READ, on_connection, s)
               ? 0
               : err_set(err, EXIT_STATUS_HOST, "out of memory for the control socket");
}
