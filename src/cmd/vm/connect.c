/* SPDX-License-Identifier: MIT */
/*
 * Connect-VM: a terminal and a VM's serial console, joined until the escape key, the end of the VM, or a
 * signal. Signals are taken as data meanwhile, so that the terminal is put right before the process obeys
 * them.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/terminal.h"
#include "cmd/vm/vms.h"

enum { ESCAPE_WAIT_MS = 400, CHUNK = 4096 };

struct joint {
    int socket, signals;
    bool terminal;       /* stdin is one, raw now */
    bool input;          /* stdin has not ended */
    bool escape_pressed; /* once, and nothing since */
    bool left;
    int signal; /* that ended it */
};

static bool write_all(const char *p, size_t len)
{
    while (len) {
        ssize_t n = write(STDOUT_FILENO, p, len);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
    return true;
}

static void from_guest(struct joint *j)
{
    char buf[CHUNK];
    ssize_t n = recv(j->socket, buf, sizeof(buf), 0);
    if (n <= 0 || !write_all(buf, (size_t)n))
        j->left = true;
}

/* Takes the escape keys out; false: the user wants to leave. */
static bool filter(struct joint *j, char *buf, size_t *len)
{
    size_t out = 0;
    for (size_t i = 0; i < *len; i++) {
        bool key = buf[i] == TERMINAL_ESCAPE;
        if (j->escape_pressed && !key)
            return false;
        j->escape_pressed = key && !j->escape_pressed;
        if (!j->escape_pressed)
            buf[out++] = buf[i];
    }
    *len = out;
    return true;
}

static void from_user(struct joint *j)
{
    char buf[CHUNK];
    ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0) {
        j->input = false;
        return;
    }
    size_t len = (size_t)n;
    if (j->terminal && !filter(j, buf, &len))
        j->left = true;
    else if (len && send(j->socket, buf, len, MSG_NOSIGNAL) < 0)
        j->left = true;
}

static void from_system(struct joint *j)
{
    struct signalfd_siginfo info;
    if (read(j->signals, &info, sizeof(info)) == sizeof(info))
        j->signal = (int)info.ssi_signo;
    j->left = true;
}

static void join(struct joint *j)
{
    while (!j->left) {
        struct pollfd p[] = {{.fd = j->socket, .events = POLLIN},
                             {.fd = j->input ? STDIN_FILENO : -1, .events = POLLIN},
                             {.fd = j->signals, .events = POLLIN}};
        int n = poll(p, ARRAY_SIZE(p), j->escape_pressed ? ESCAPE_WAIT_MS : -1);
        if (n == 0)
            return; /* the escape key, and nothing after it */
        if (n > 0 && p[2].revents)
            from_system(j);
        else if (n > 0 && p[1].revents)
            from_user(j);
        else if (n > 0 && p[0].revents)
            from_guest(j);
    }
}

static void join_terminal(struct joint *j)
{
    static const int handled[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct terminal terminal = {0};
    sigset_t set, old;
    sigemptyset(&set);
    for (unsigned i = 0; i < ARRAY_SIZE(handled); i++)
        sigaddset(&set, handled[i]);
    sigprocmask(SIG_BLOCK, &set, &old);
    j->signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (j->terminal)
        terminal_enter(&terminal);
    join(j);
    terminal_leave(&terminal);
    if (j->signals >= 0)
        close(j->signals);
    if (j->signal)
        raise(j->signal); /* delivered by the line below */
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static int connect_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct vm_deed deed = {"Failed to connect.", "cannot be connected to"};
    struct err err = {0};
    struct finding refusal;
    struct vm_status now;
    worker_status(&v->store, e->id, &now);
    if (!rules_action(ACTION_attach, now.state, &refusal))
        return vm_refuse(c, e, deed, &refusal);
    struct joint j = {.signals = -1, .terminal = terminal_usable(), .input = true};
    j.socket = worker_connect(&v->store, e->id, 5, &err);
    if (j.socket < 0 || worker_call(j.socket, MESSAGE_ATTACH, -1, NULL, &err)) {
        if (j.socket >= 0)
            close(j.socket);
        return vm_error(c, e, deed, &err);
    }
    setsockopt(j.socket, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0}, sizeof(struct timeval));
    setsockopt(j.socket, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){0}, sizeof(struct timeval));
    if (j.terminal)
        call_host(
            c, "Connected to \"%s\". Press " TERMINAL_ESCAPE_NAME " to leave, twice to send it to the guest.",
            e->config->name);
    join_terminal(&j);
    close(j.socket);
    if (j.terminal)
        call_host(c, "\r\nDisconnected.");
    return 0;
}

static int connect_vm(struct cmdlet_call *c)
{
    return vms_each(c, "Name", "VM", connect_one);
}
const struct cmdlet_ops cmdlet_connect_vm = VMS_OPS(connect_vm);
