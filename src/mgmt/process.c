/* SPDX-License-Identifier: MIT */
#include "mgmt/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A shell's handlers go with exec, what it ignores or blocks does not. */
static void default_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int i = 1; i < 32; i++)
        signal(i, SIG_DFL);   /* refused for two of them, which is right */
    signal(SIGPIPE, SIG_IGN); /* a viewer or command that goes away is told by send() */
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void put_at(int from, int to)
{
    if (dup2(from, to) < 0)
        _exit(EXIT_STATUS_HOST);
}

/* Does not return. All descriptors are first moved out of the way of the numbers they shall have. */
static void become(const char *word, const char *argument, const int *fds, unsigned count, int log)
{
    int high[PROCESS_FDS_MAX], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int above = PROCESS_FD_FIRST + PROCESS_FDS_MAX;
    for (unsigned i = 0; i < count; i++)
        high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, above);
    log = fcntl(log, F_DUPFD_CLOEXEC, above);
    null = fcntl(null, F_DUPFD_CLOEXEC, above);
    for (unsigned i = 0; i < count; i++)
        put_at(high[i], PROCESS_FD_FIRST + (int)i);
    put_at(log, STDERR_FILENO);
    put_at(null, STDIN_FILENO);
    put_at(null, STDOUT_FILENO);
    default_signals();
    if (chdir("/") == 0)
        execl("/proc/self/exe", "droste", word, argument, (char *)NULL);
    _exit(EXIT_STATUS_HOST);
}

/* By two forks: the process is nobody's child and leads no session, so no terminal can become its own. */
int process_start(const char *word, const char *argument, const int *fds, unsigned count, int log,
                  struct err *err)
{
    int status;
    bug_on(count > PROCESS_FDS_MAX, "more than %d descriptors for a process", PROCESS_FDS_MAX);
    pid_t child = fork();
    if (child < 0)
        return err_set(err, EXIT_STATUS_HOST, "cannot start a process: %s", strerror(errno));
    if (child == 0) {
        setsid();
        child = fork();
        if (child == 0)
            become(word, argument, fds, count, log);
        _exit(child < 0);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return status ? err_set(err, EXIT_STATUS_HOST, "cannot start a process") : 0;
}

/* It is killed while the connection to it stands: its number cannot have become another's. */
void process_kill_peer(int fd)
{
    struct ucred who;
    socklen_t len = sizeof(who);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) || who.pid <= 1)
        return;
    int process = (int)syscall(SYS_pidfd_open, who.pid, 0);
    struct pollfd p = {.fd = fd};
    if (process >= 0 && poll(&p, 1, 0) == 0)
        syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0);
    if (process >= 0)
        close(process);
}
