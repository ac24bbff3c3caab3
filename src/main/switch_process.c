/* SPDX-License-Identifier: MIT */
/*
 * `droste switch ID`: the supervisor of one virtual switch, started by mgmt/switch.c, which says what
 * descriptors it finds. It opens what needs privilege, starts the child, and then serves. The child dies with
 * it; a child that dies is started again, at once the first time and with growing delays when it does not
 * live.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main/run.h"
#include "main/switch_host.h"
#include "main/switch_parts.h"

enum { CALL_SECONDS = 5, IDLE_SECONDS = 10, LOOK_SECONDS = 30, LIVES_NS = 2000000000 };
#define SECOND_NS 1000000000ull

/* ---- talking to the child ---- */

int switch_child_call(struct switch_process *s, const struct message *m, int pass, struct message *answer,
                      struct err *err)
{
    struct err why = {0};
    struct message got;
    if (!s->child.pid)
        return err_set_id(err, EXIT_STATUS_HOST, ERROR_OPERATION_FAILED, "The switch is being started anew.");
    if (message_send(s->child.calls, m, pass, &why) == 0 &&
        message_receive(s->child.calls, &got, NULL, &why) > 0) {
        if (answer)
            *answer = got;
        return got.type == MESSAGE_ERROR ? message_to_err(&got, err) : 0;
    }
    kill(s->child.pid, SIGKILL); /* it does not answer, or nonsense; its end is seen in the loop */
    return err_set_id(err, EXIT_STATUS_HOST, ERROR_OPERATION_FAILED,
                      "The switch's child does not answer%s%s.", why.text[0] ? ": " : "", why.text);
}

static void on_told(void *opaque, int events)
{
    struct switch_process *s = opaque;
    struct message m;
    int r = message_receive(s->child.events, &m, NULL, NULL);
    if (r == 0)
        kill(s->child.pid, SIGKILL); /* it ended, or is not what it was; seen by its process */
    if (r <= 0)
        return;
    struct switch_port *p = switch_port_numbered(s, m.port);
    if (p && m.type == MESSAGE_SPOOFED)
        switch_port_spoofed(s, p);
    else if (p && m.type == MESSAGE_DOWN)
        switch_port_down(s, p);
}

/* ---- its life ---- */

static void forget_child(struct switch_process *s)
{
    event_loop_remove(s->loop, s->child.life);
    event_loop_remove(s->loop, s->child.told);
    if (s->child.process >= 0)
        close(s->child.process);
    close(s->child.calls);
    close(s->child.events);
    s->child.pid = 0;
}

static void on_child_end(void *opaque, int events)
{
    struct switch_process *s = opaque;
    int status = 0;
    bool lived = clock_now(s->clock) - s->child.started > LIVES_NS;
    waitpid(s->child.pid, &status, 0);
    forget_child(s);
    for (unsigned i = 0; i < SWITCH_PORTS_MAX; i++)
        if (s->ports[i])
            s->ports[i]->linked = false;
    s->failures = lived ? 0 : s->failures + 1;
    s->restarts++;
    log_line("the child of switch %s ended (status 0x%x) and is started again", s->config.name, status);
    switch_repair_soon(s);
}

/* A port that the child makes by itself (switch_host.h). */
static void tell_of_own(struct switch_process *s, u64 port, const char *kind)
{
    struct message m = {.type = MESSAGE_UPLINK, .port = port};
    struct err err = {0};
    snprintf(m.text, sizeof(m.text), "%s", kind);
    snprintf(m.mac, sizeof(m.mac), "%s", s->config.mac);
    if (switch_child_call(s, &m, -1, NULL, &err))
        log_line("the host's network: %s", err.text);
}

static void tell_of_uplinks(struct switch_process *s)
{
    struct err err = {0};
    for (unsigned i = 0; i < s->uplinks.count; i++) {
        struct message m = {.type = MESSAGE_UPLINK, .port = SWITCH_UPLINK_PORT + i};
        snprintf(m.text, sizeof(m.text), "%s", s->uplinks.ways[i].kind);
        if (switch_child_call(s, &m, s->uplinks.ways[i].fd, NULL, &err))
            log_line("way out %s: %s", s->uplinks.ways[i].kind, err.text);
    }
    if (s->user_host)
        tell_of_own(s, SWITCH_UPLINK_PORT + s->uplinks.count, "user");
    if (s->user_host || s->uplinks.kernel)
        tell_of_own(s, SWITCH_UPLINK_PORT + s->uplinks.count + 1, "dhcp");
}

static void tell_of_host(struct switch_process *s)
{
    struct message m = {.type = MESSAGE_HOST};
    struct err err = {0};
    if (s->host_file >= 0 && switch_child_call(s, &m, s->host_file, NULL, &err))
        log_line("the host's network: %s", err.text);
}

static void tell_of_uplink_capture(struct switch_process *s)
{
    struct message m = {.type = MESSAGE_CAPTURE, .port = SWITCH_UPLINK_PORT};
    struct err err = {0};
    if (s->uplink_capture >= 0 && switch_child_call(s, &m, s->uplink_capture, NULL, &err))
        log_line("capture: %s", err.text);
}

/* Does not return. */
static void become_child(const struct switch_process *s, pid_t parent, int calls, int events)
{
    sigset_t none;
    sigemptyset(&none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_STATUS_HOST); /* it ended before the line above took hold */
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NAME, "droste-switch");
    _exit(switch_child_run(s, calls, events));
}

static int watch_child(struct switch_process *s, struct err *err)
{
    s->child.process = (int)syscall(SYS_pidfd_open, s->child.pid, 0);
    s->child.life =
        s->child.process < 0 ? NULL : event_loop_add(s->loop, s->child.process, EVENT_READ, on_child_end, s);
    s->child.told = s->child.life ? event_loop_add(s->loop, s->child.events, EVENT_READ, on_told, s) : NULL;
    return s->child.told ? 0 : err_set(err, EXIT_STATUS_HOST, "cannot watch a process: %s", strerror(errno));
}

static int wait_ready(struct switch_process *s, struct err *err)
{
    struct message m;
    int r = message_receive(s->child.calls, &m, NULL, err);
    if (r > 0)
        return m.type == MESSAGE_OK ? 0 : message_to_err(&m, err);
    return err_set(err, EXIT_STATUS_HOST, "the switch's child ended at its start");
}

static int no_process(struct err *err)
{
    return err_set(err, EXIT_STATUS_HOST, "cannot start a process: %s", strerror(errno));
}

static void close_pair(const int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

/* calls, events: our ends first. */
static int fork_child(struct switch_process *s, const int calls[2], const int events[2], struct err *err)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return no_process(err);
    if (pid == 0)
        become_child(s, parent, calls[1], events[1]);
    s->child.pid = pid;
    s->child.calls = calls[0];
    s->child.events = events[0];
    s->child.started = clock_now(s->clock);
    close(calls[1]);
    close(events[1]);
    return 0;
}

static int make_child(struct switch_process *s, struct err *err)
{
    int calls[2], events[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, calls))
        return no_process(err);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, events)) {
        close_pair(calls);
        return no_process(err);
    }
    if (fork_child(s, calls, events, err) == 0)
        return 0;
    close_pair(calls);
    close_pair(events);
    return -1;
}

static int start_child(struct switch_process *s, struct err *err)
{
    if (make_child(s, err))
        return -1;
    message_set_patience(s->child.calls, CALL_SECONDS);
    if (watch_child(s, err) || wait_ready(s, err)) {
        kill(s->child.pid, SIGKILL);
        waitpid(s->child.pid, NULL, 0);
        forget_child(s);
        return -1;
    }
    tell_of_uplinks(s);
    tell_of_host(s);
    tell_of_uplink_capture(s);
    return 0;
}

static void repair(void *opaque)
{
    struct switch_process *s = opaque;
    struct err err = {0};
    if (!s->child.pid && start_child(s, &err)) {
        log_line("switch %s: %s", s->config.name, err.text);
        s->failures++;
        switch_repair_soon(s);
        return;
    }
    switch_ports_link(s);
}

void switch_repair_soon(struct switch_process *s)
{
    u64 delay = s->failures < 2 ? 1 : s->failures < 7 ? SECOND_NS / 10 << (s->failures - 2) : 5 * SECOND_NS;
    timer_arm(&s->repair, clock_now(s->clock) + delay);
}

/* ---- its own life ---- */

/* A switch that others use, or that the kernel of the host is on, stays. */
static bool may_end(const struct switch_process *s)
{
    gid_t group;
    return !s->port_count && !s->clients && !s->uplinks.count && !switch_store_group(&group);
}

static void on_idle(void *opaque)
{
    struct switch_process *s = opaque;
    if (may_end(s))
        event_loop_stop(s->loop);
}

void switch_look_for_idleness(struct switch_process *s)
{
    if (may_end(s))
        timer_arm(&s->idle, clock_now(s->clock) + IDLE_SECONDS * SECOND_NS);
    else
        timer_cancel(&s->idle);
}

/* A switch whose definition was deleted by hand, with the store maybe, is none any more. */
static void look_for_definition(void *opaque)
{
    struct switch_process *s = opaque;
    struct switch_entry e;
    if (!switch_store_load(&s->store, s->id, &e))
        event_loop_stop(s->loop);
    timer_arm(&s->look, clock_now(s->clock) + LOOK_SECONDS * SECOND_NS);
}

static void on_signal(void *opaque, int events)
{
    struct switch_process *s = opaque;
    event_loop_stop(s->loop);
}

static int watch_signals(struct switch_process *s, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd >= 0 && event_loop_add(s->loop, fd, EVENT_READ, on_signal, s)
               ? 0
               : err_set(err, EXIT_STATUS_HOST, "cannot receive signals: %s", strerror(errno));
}

static int load(struct switch_process *s, const char *id, struct err *err)
{
    struct switch_entry e;
    if (switch_store_open(&s->store, err))
        return -1;
    if (!switch_store_load(&s->store, id, &e))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                          "There is no virtual switch with the id %.40s.", id);
    if (e.fault.status)
        return err_set_id(err, e.fault.status, e.fault.id, "%s", e.fault.text);
    memcpy(s->id, e.id, sizeof(s->id));
    s->config = e.config;
    return 0;
}

static int open_ways(struct switch_process *s, struct err *err)
{
    if (s->config.type != SWITCH_PRIVATE && switch_uplinks_open(&s->config, &s->uplinks, err))
        return -1;
    s->user_host = switch_config_has_host(&s->config) && !s->uplinks.kernel;
    return 0;
}

static int open_host_file(struct switch_process *s, struct err *err)
{
    if (!switch_config_has_host(&s->config))
        return 0;
    s->host_file = switch_host_file(&s->config, err);
    return s->host_file < 0 ? -1 : 0;
}

/* It listens before it reads the host's network: a command that changes that meanwhile is heard when the loop
 * runs. It does not listen before the ways are open, because that waits for such a command. */
static int begin(struct switch_process *s, const char *id, struct err *err)
{
    s->host_file = s->uplink_capture = -1;
    s->clock = clock_new(CLOCK_MODE_REAL, 0);
    s->loop = s->clock ? event_loop_new(s->clock, err) : NULL;
    if (!s->loop)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for a switch");
    timer_init(&s->repair, s->clock, repair, s);
    timer_init(&s->idle, s->clock, on_idle, s);
    timer_init(&s->look, s->clock, look_for_definition, s);
    return watch_signals(s, err) || load(s, id, err) || open_ways(s, err) || switch_clients_begin(s, err) ||
                   open_host_file(s, err) || start_child(s, err)
               ? -1
               : 0;
}

static void answer_start(const struct err *err)
{
    struct message m = err ? message_of_err(err) : (struct message){.type = MESSAGE_OK};
    if (message_send(SWITCH_FD_START, &m, -1, NULL))
        log_line("the command that started this switch is gone");
    close(SWITCH_FD_START);
}

static void find_ports(void *opaque)
{
    struct switch_process *s = opaque;
    switch_ports_find(s);
    switch_look_for_idleness(s);
    look_for_definition(s);
}

/* The socket goes first and the lock last: who connects meanwhile waits, and then starts another one. */
static void end(struct switch_process *s)
{
    switch_clear_socket(&s->store, s->id);
    close(SWITCH_FD_LISTEN); /* who connected and was not seen: it may hold the network that closing needs */
    if (s->child.pid) {
        kill(s->child.pid, SIGKILL);
        waitpid(s->child.pid, NULL, 0);
    }
    switch_uplinks_close(&s->uplinks);
    switch_clear_files(&s->store, s->id);
}

int main_switch(int argc, char *const *argv)
{
    struct err err = {0};
    int domain;
    socklen_t len = sizeof(domain);
    if (argc != 1 || getsockopt(SWITCH_FD_START, SOL_SOCKET, SO_DOMAIN, &domain, &len) || domain != AF_UNIX) {
        log_line("'droste switch' is started by the commands that need a switch, not by hand");
        return EXIT_STATUS_USAGE;
    }
    for (int fd = SWITCH_FD_START; fd <= SWITCH_FD_LOCK; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    struct switch_process *s = calloc(1, sizeof(*s));
    bug_on(!s, "no memory for a switch");
    if (begin(s, argv[0], &err)) {
        log_line("%s", err.text);
        switch_uplinks_close(&s->uplinks);
        answer_start(&err);
        return err.status;
    }
    prctl(PR_SET_NAME, "droste-switches");
    answer_start(NULL);
    event_loop_post(s->loop, find_ports, s);
    event_loop_run(s->loop);
    end(s);
    return EXIT_STATUS_OK;
}
