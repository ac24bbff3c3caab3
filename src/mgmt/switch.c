/* SPDX-License-Identifier: MIT */
/*
 * ID.lock in RUN says whether a supervisor lives: the command that starts one takes it and hands it on, open,
 * so it is never free in between, and the kernel frees it with the last process that has it. Who finds it
 * taken and nobody listening waits: a supervisor is about to come, or to go.
 */
#include "mgmt/switch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/errors.h"
#include "mgmt/process.h"
#include "mgmt/worker.h"

enum { ANSWER_SECONDS = 10, START_SECONDS = 30, STEP_MS = 20, START_STEPS = 500 };

static void file_name(char out[VM_ID_SIZE + 8], const char *id, const char *end)
{
    snprintf(out, VM_ID_SIZE + 8, "%.36s%s", id, end);
}

static void socket_address(const struct switch_store *s, const char *id, struct sockaddr_un *a)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/%.36s.sock", s->run, id);
}

/* ---- talking ---- */

int switch_connect(const struct switch_store *s, const char *id)
{
    struct sockaddr_un a;
    socket_address(s, id, &a);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    message_set_patience(fd, ANSWER_SECONDS);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

static int gone(struct err *err)
{
    err_set_id(err, EXIT_STATUS_HOST, ERROR_OPERATION_FAILED,
               "The virtual switch's process ended before it answered.");
    return SWITCH_GONE;
}

int switch_call(int fd, const struct message *request, int pass, struct message *answer, struct err *err)
{
    struct message m;
    if (message_send(fd, request, pass, NULL))
        return gone(err);
    int r = message_receive(fd, &m, NULL, err);
    if (r == 0)
        return gone(err);
    if (r < 0 || m.type == MESSAGE_ERROR)
        return r < 0 ? -1 : message_to_err(&m, err);
    if (answer)
        *answer = m;
    return 0;
}

int switch_ports(int fd, void (*each)(void *opaque, const struct message *port), void *opaque,
                 struct message *status, struct err *err)
{
    struct message ask = {.type = MESSAGE_PORTS}, got;
    for (;;) {
        if (switch_call(fd, &ask, -1, &got, err))
            return -1;
        if (got.type == MESSAGE_STATUS)
            break;
        if (got.type != MESSAGE_PORT || got.port < ask.port)
            return err_set(err, EXIT_STATUS_HOST, "The virtual switch's process gives a wrong answer.");
        ask.port = got.port + 1;
        if (each)
            each(opaque, &got);
    }
    if (status)
        *status = got;
    return 0;
}

/* ---- starting ---- */

static int bind_socket(const struct switch_store *s, const char *id, struct err *err)
{
    struct sockaddr_un a;
    char name[VM_ID_SIZE + 8];
    gid_t group;
    file_name(name, id, ".sock");
    unlinkat(s->run, name, 0); /* the lock is ours: what is there is stale */
    socket_address(s, id, &a);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a))) {
        err_set(err, EXIT_STATUS_HOST, "cannot make a control socket in %.200s: %s", s->run_path,
                strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (switch_store_group(&group) && fchownat(s->run, name, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW) == 0)
        (void)!fchmodat(s->run, name, 0660, 0);
    return fd;
}

/* The process's last line, of its log. */
static int report_death(const struct switch_store *s, const char *log, struct err *err)
{
    char text[400];
    int fd = openat(s->run, log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    return err_set(err, EXIT_STATUS_HOST, "the virtual switch's process ended at its start%s%s",
                   text[0] ? ": " : "", text);
}

static int wait_started(const struct switch_store *s, int fd, const char *log, struct err *err)
{
    struct message m;
    message_set_patience(fd, START_SECONDS);
    int r = message_receive(fd, &m, NULL, err);
    if (r > 0)
        return m.type == MESSAGE_OK ? 0 : message_to_err(&m, err);
    return r < 0 ? -1 : report_death(s, log, err);
}

static int start_with(const struct switch_store *s, const char *id, int lock, int listening, struct err *err)
{
    char name[VM_ID_SIZE + 8];
    int pair[2];
    file_name(name, id, ".log");
    int log = openat(s->run, name, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log < 0)
        return err_set(err, EXIT_STATUS_HOST, "cannot write %s: %s", name, strerror(errno));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
        close(log);
        return err_set(err, EXIT_STATUS_HOST, "cannot start a process: %s", strerror(errno));
    }
    const int fds[] = {pair[1], listening, lock};
    int r = process_start("switch", id, fds, ARRAY_SIZE(fds), log, err);
    close(pair[1]);
    close(log);
    if (r == 0)
        r = wait_started(s, pair[0], name, err);
    close(pair[0]);
    return r;
}

static int start(const struct switch_store *s, const char *id, int lock, struct err *err)
{
    char name[VM_ID_SIZE + 8];
    int listening = bind_socket(s, id, err);
    if (listening < 0)
        return -1;
    int r = start_with(s, id, lock, listening, err);
    close(listening);
    if (r) {
        file_name(name, id, ".sock");
        unlinkat(s->run, name, 0);
    }
    return r;
}

/* The open lock if it is ours now; -1: another's, or removed meanwhile. */
static int take_lock(const struct switch_store *s, const char *id)
{
    struct stat ours, now;
    char name[VM_ID_SIZE + 8];
    file_name(name, id, ".lock");
    int lock = openat(s->run, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return -1;
    if (flock(lock, LOCK_EX | LOCK_NB) == 0 && fstat(lock, &ours) == 0 &&
        fstatat(s->run, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && ours.st_ino == now.st_ino)
        return lock;
    close(lock);
    return -1;
}

/* One try: 1: connected, *fd; 0: later; -1 and err. */
static int try_ensure(const struct switch_store *s, const char *id, int *fd, struct err *err)
{
    if ((*fd = switch_connect(s, id)) >= 0)
        return 1;
    int lock = take_lock(s, id), r = lock < 0 ? 0 : start(s, id, lock, err);
    if (lock >= 0)
        close(lock);
    else
        poll(NULL, 0, STEP_MS);
    return r;
}

int switch_ensure(const struct switch_store *s, const char *id, struct err *err)
{
    int fd = -1, r = 0;
    if (s->system) {
        fd = switch_connect(s, id);
        return fd >= 0 ? fd
                       : err_set_id(
                             err, EXIT_STATUS_USAGE, ERROR_INVALID_STATE,
                             "The virtual switch is root's and does not run, or you may not use it. Root "
                             "starts it: sudo droste Start-VMSwitch; its users are the members of the group "
                             "droste.");
    }
    for (unsigned i = 0; i < START_STEPS && r == 0; i++)
        r = try_ensure(s, id, &fd, err);
    if (r > 0)
        return fd;
    return r < 0 ? -1
                 : err_set_id(err, EXIT_STATUS_HOST, ERROR_TIMED_OUT,
                              "The virtual switch's process lives, but does not listen.");
}

int switch_set_host(const struct switch_store *s, const char *id, int file, struct err *err)
{
    struct message m = {.type = MESSAGE_HOST};
    int fd = switch_connect(s, id);
    if (fd < 0)
        return 0;
    int r = switch_call(fd, &m, file, NULL, err);
    close(fd);
    return r == SWITCH_GONE ? 0 : r;
}

/* The lock, when the supervisor is gone; -1: it is not. */
static int wait_gone(const struct switch_store *s, const char *id, unsigned milliseconds)
{
    int lock = take_lock(s, id);
    for (unsigned waited = 0; lock < 0 && waited <= milliseconds; waited += STEP_MS) {
        poll(NULL, 0, STEP_MS);
        lock = take_lock(s, id);
    }
    return lock;
}

static void clear_file(const struct switch_store *s, const char *id, const char *end)
{
    char name[VM_ID_SIZE + 8];
    file_name(name, id, end);
    unlinkat(s->run, name, 0);
}

void switch_clear_socket(const struct switch_store *s, const char *id)
{
    clear_file(s, id, ".sock");
}

void switch_clear_files(const struct switch_store *s, const char *id)
{
    clear_file(s, id, ".sock");
    clear_file(s, id, ".log");
    clear_file(s, id, ".lock");
}

int switch_stop(const struct switch_store *s, const char *id, struct err *err)
{
    struct message m = {.type = MESSAGE_STOP};
    int fd = switch_connect(s, id), lock = -1;
    if (fd >= 0) {
        message_set_patience(fd, 3);
        if (switch_call(fd, &m, -1, NULL, NULL) || (lock = wait_gone(s, id, 5000)) < 0)
            process_kill_peer(fd);
        close(fd);
    }
    if (lock < 0)
        lock = wait_gone(s, id, 3000);
    if (lock < 0)
        return err_set_id(err, EXIT_STATUS_HOST, ERROR_TIMED_OUT,
                          "The virtual switch's process does not end.");
    switch_clear_files(s, id);
    close(lock);
    return 0;
}

/* ---- by name ---- */

int switch_of_name(const char *name, struct switch_store *store, struct switch_entry *e, struct err *err)
{
    struct err none = {0};
    if (switch_store_open(store, err))
        return -1;
    if (switch_store_find(store, name, e, &none) == 0)
        return 0;
    switch_store_close(store);
    if (switch_store_open_system(store)) {
        if (switch_store_find(store, name, e, NULL) == 0)
            return 0;
        switch_store_close(store);
    }
    return err_set_id(err, none.status, none.id, "%s", none.text);
}

int switch_ensure_name(const char *name, struct err *err)
{
    struct switch_store s;
    struct switch_entry e;
    if (switch_of_name(name, &s, &e, err))
        return -1;
    int fd = switch_ensure(&s, e.id, err);
    switch_store_close(&s);
    return fd;
}

int switch_connect_name(const char *name)
{
    struct switch_store s;
    struct switch_entry e;
    if (switch_of_name(name, &s, &e, NULL))
        return -1;
    int fd = switch_connect(&s, e.id);
    switch_store_close(&s);
    return fd;
}

static int plug_once(const char *switch_name, const struct message *plug, int end, struct err *err)
{
    int fd = switch_ensure_name(switch_name, err);
    if (fd < 0)
        return -1;
    int r = switch_call(fd, plug, end, NULL, err);
    close(fd);
    return r;
}

int switch_plug(const char *switch_name, const struct message *plug, struct err *err)
{
    int pair[2];
    struct err first = {0};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return err_set(err, EXIT_STATUS_HOST, "cannot make a cable: %s", strerror(errno));
    int r = plug_once(switch_name, plug, pair[1], &first);
    if (r == SWITCH_GONE) /* as it ended because nobody used it; the next one does not end at once */
        r = plug_once(switch_name, plug, pair[1], err);
    else if (r)
        err_set_id(err, first.status, first.id, "%s", first.text);
    close(pair[1]);
    if (r)
        close(pair[0]);
    return r ? -1 : pair[0];
}
