/* SPDX-License-Identifier: MIT */
/*
 * Signals arrive through a signalfd, blocked from before the first fork, so none is lost and no handler
 * exists. A worker is asked to stop by hanging up its control socket; one that does not listen is killed
 * after a while.
 */
#include "cmd/run_supervise.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS 2000000000ull

static const int handled[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD, SIGCONT};

int supervisor_begin(struct supervisor *s, struct err *err)
{
    sigset_t set;
    *s = (struct supervisor){.signals = -1, .worker_control = -1};
    sigemptyset(&set);
    for (unsigned i = 0; i < ARRAY_SIZE(handled); i++)
        sigaddset(&set, handled[i]);
    sigprocmask(SIG_BLOCK, &set, &s->old_mask);
    signal(SIGPIPE, SIG_IGN); /* a reader of stdout that went away is told by write() */
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signals < 0)
        return err_set(err, EXIT_STATUS_HOST, "cannot receive signals: %s", strerror(errno));
    return 0;
}

pid_t supervisor_start(struct supervisor *s, const char *title, int (*body)(void *arg, int control),
                       void *arg, int *control, struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(err, EXIT_STATUS_HOST, "cannot start a process: %s", strerror(errno));
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        close(pair[0]);
        close(pair[1]);
        return err_set(err, EXIT_STATUS_HOST, "cannot start a process: %s", strerror(errno));
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(EXIT_STATUS_HOST); /* it ended before the line above took hold */
        prctl(PR_SET_NAME, title);
        close(pair[0]);
        close(s->signals);
        _exit(body(arg, pair[1]));
    }
    close(pair[1]);
    *control = pair[0];
    return pid;
}

/* ---- waiting ---- */

static void kill_worker(void *opaque)
{
    struct supervisor *s = opaque;
    kill(s->worker, SIGKILL);
}

static void ask_to_stop(struct supervisor *s, int reason)
{
    if (s->reason) { /* asked for the second time */
        kill_worker(s);
        return;
    }
    s->reason = reason;
    shutdown(s->worker_control, SHUT_RDWR);
    timer_arm(&s->patience, clock_now(s->clock) + PATIENCE_NS);
}

static void on_deadline(void *opaque)
{
    struct supervisor *s = opaque;
    if (s->reason)
        return;
    log_line("the guest did not end within %llu.%03llu seconds (--timeout)",
             (unsigned long long)s->timeout_ms / 1000, (unsigned long long)s->timeout_ms % 1000);
    ask_to_stop(s, EXIT_STATUS_TIMEOUT);
}

static void reap(struct supervisor *s)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == s->worker) {
            s->worker = 0;
            s->status = status;
            event_loop_stop(s->loop);
        } else if (pid == s->network) {
            s->network = 0;
            if (s->worker && !s->reason && status) /* status 0: the cable ended, because the worker ends */
                log_line("the network process ended (status 0x%x): the guest goes on without network",
                         status);
        }
    }
}

static void on_signal(void *opaque, int events)
{
    struct supervisor *s = opaque;
    struct signalfd_siginfo info;
    while (read(s->signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            reap(s);
        else if (info.ssi_signo != SIGCONT)
            ask_to_stop(s, 128 + (int)info.ssi_signo);
        else if (s->terminal.raw)
            terminal_enter(&s->terminal); /* whoever stopped us may have changed it */
    }
}

static int exit_status(const struct supervisor *s)
{
    if (s->reason)
        return s->reason;
    if (WIFEXITED(s->status))
        return WEXITSTATUS(s->status);
    int sig = WTERMSIG(s->status);
    if (sig == SIGSYS)
        log_line("the worker broke its sandbox; this is a bug");
    else if (sig == SIGKILL)
        log_line("the worker was killed: by the user, or by the host, which may be short of memory");
    else
        log_line("the worker died of signal %d (%s); this is a bug", sig, strsignal(sig));
    return EXIT_STATUS_HOST;
}

void supervisor_before_wait(struct supervisor *s, void (*begin)(void *opaque), void *opaque)
{
    bug_on(s->more_count == SUPERVISOR_MORE_MAX, "more than %d things to wait for", SUPERVISOR_MORE_MAX);
    s->more[s->more_count].begin = begin;
    s->more[s->more_count++].opaque = opaque;
}

static int wait_prepared(struct supervisor *s)
{
    timer_init(&s->deadline, s->clock, on_deadline, s);
    timer_init(&s->patience, s->clock, kill_worker, s);
    if (s->timeout_ms)
        timer_arm(&s->deadline, s->timeout_ms * 1000000);
    if (!event_loop_add(s->loop, s->signals, EVENT_READ, on_signal, s))
        return -1;
    for (unsigned i = 0; i < s->more_count; i++)
        s->more[i].begin(s->more[i].opaque);
    event_loop_run(s->loop);
    return 0;
}

int supervisor_wait(struct supervisor *s)
{
    struct err err = {0};
    s->clock = clock_new(CLOCK_MODE_REAL, 0);
    s->loop = s->clock ? event_loop_new(s->clock, &err) : NULL;
    if (!s->loop || wait_prepared(s) < 0) {
        kill_worker(s);
        log_line("%s", err.status ? err.text : "no memory to wait for the guest");
        return EXIT_STATUS_HOST;
    }
    return exit_status(s);
}

void supervisor_end(struct supervisor *s)
{
    terminal_leave(&s->terminal);
    pid_t children[] = {s->worker, s->network};
    for (unsigned i = 0; i < ARRAY_SIZE(children); i++)
        if (children[i] > 0) {
            kill(children[i], SIGKILL);
            waitpid(children[i], NULL, 0);
        }
    event_loop_free(s->loop);
    clock_free(s->clock);
    if (s->signals >= 0)
        close(s->signals);
    sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
}
