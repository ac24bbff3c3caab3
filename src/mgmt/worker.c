/* SPDX-License-Identifier: MIT */
/*
 * Sockets are reached as /proc/self/fd/N/ID.sock: a path in an address holds 107 bytes only, a folder's may
 * be longer.
 *
 * Whether a worker lives is asked of the kernel, by connecting: a socket file without a listener refuses.
 * Such a file is removed by whoever gets the VM's lock, never by others, because a starting command has it
 * too.
 */
#include "mgmt/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "config/whole_file.h"
#include "mgmt/process.h"

enum { ANSWER_SECONDS = 5, SAVE_SECONDS = 600, ENDING_STEPS = 50 };

static void socket_name(const char *id, char name[VM_ID_SIZE + 8])
{
    snprintf(name, VM_ID_SIZE + 8, "%s.sock", id);
}

static void socket_address(const struct store *s, const char *id, struct sockaddr_un *a)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/%s.sock", s->run, id);
}

/* An open connection, or -1 with errno: ENOENT and ECONNREFUSED say that there is no worker. */
static int connect_to(const struct store *s, const char *id, unsigned seconds)
{
    struct sockaddr_un a;
    char name[VM_ID_SIZE + 8];
    socket_name(id, name);
    if (faccessat(s->run, name, F_OK, AT_SYMLINK_NOFOLLOW))
        return -1; /* of many VMs most are off */
    socket_address(s, id, &a);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    message_set_patience(fd, seconds);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

int worker_connect(struct store *s, const char *id, unsigned seconds, struct err *err)
{
    int fd = connect_to(s, id, seconds);
    if (fd >= 0)
        return fd;
    if (errno == ENOENT || errno == ECONNREFUSED)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_STATE,
                          "The virtual machine does not run any more.");
    return err_set(err, EXIT_STATUS_HOST, "The virtual machine's process cannot be reached: %s.",
                   strerror(errno));
}

static int exchange(int fd, const struct message *request, int pass, struct message *answer, struct err *err)
{
    struct message m;
    if (message_send(fd, request, pass, err))
        return -1;
    int r = message_receive(fd, &m, NULL, err);
    if (r == 0)
        return err_set_id(err, EXIT_STATUS_HOST, ERROR_OPERATION_FAILED,
                          "The virtual machine's process ended before it answered.");
    if (r < 0 || m.type == MESSAGE_ERROR)
        return r < 0 ? -1 : message_to_err(&m, err);
    if (answer)
        *answer = m;
    return 0;
}

int worker_call(int fd, enum message_type type, int pass, struct message *answer, struct err *err)
{
    struct message m = {.type = type};
    return exchange(fd, &m, pass, answer, err);
}

int worker_set_memory(struct store *s, const struct vm_config *c, struct err *err)
{
    struct message m = {.type = MESSAGE_MEMORY,
                        .memory = c->memory,
                        .memory_minimum = c->memory_minimum,
                        .memory_maximum = c->memory_maximum,
                        .memory_buffer = c->memory_buffer,
                        .memory_priority = c->memory_priority};
    int fd = worker_connect(s, c->id, ANSWER_SECONDS, err);
    int r = fd < 0 ? -1 : exchange(fd, &m, -1, NULL, err);
    if (fd >= 0)
        close(fd);
    return r;
}

int worker_give_cable(struct store *s, const char *id, unsigned adapter, int cable, struct err *err)
{
    struct message m = {.type = MESSAGE_CABLE, .adapter = adapter};
    int fd = worker_connect(s, id, ANSWER_SECONDS, err);
    int r = fd < 0 ? -1 : exchange(fd, &m, cable, NULL, err);
    if (fd >= 0)
        close(fd);
    return r;
}

bool worker_lives(const struct store *s, const char *id)
{
    int fd = connect_to(s, id, 1);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

int worker_ask(struct store *s, const char *id, enum message_type type, struct message *answer,
               struct err *err)
{
    int fd = worker_connect(s, id, ANSWER_SECONDS, err);
    int r = fd < 0 ? -1 : worker_call(fd, type, -1, answer, err);
    if (fd >= 0)
        close(fd);
    return r;
}

/* ---- life ---- */

int worker_claim(int console_log, struct err *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(console_log, F_OFD_SETLK, &lock) == 0)
        return 0;
    return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_STATE, "The virtual machine runs already: %s.",
                      strerror(errno));
}

/* Asked without taking the lock, which would be in a starting worker's way. */
static bool is_claimed(int dir)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int fd = openat(dir, WORKER_CONSOLE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool claimed = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    close(fd);
    return claimed;
}

/* ---- status ---- */

static bool has_state(int dir)
{
    struct stat st;
    return fstatat(dir, WORKER_STATE_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           st.st_size > 0;
}

static void boot_id(char out[64])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, 36);
    out[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        close(fd);
}

/* The last line a worker said. */
static void last_words(int dir, char out[300])
{
    char buf[2048];
    int fd = openat(dir, WORKER_LOG_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    out[0] = 0;
    if (fd < 0)
        return;
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t n =
        pread(fd, buf, sizeof(buf) - 1, size > (off_t)sizeof(buf) - 1 ? size - (off_t)sizeof(buf) + 1 : 0);
    close(fd);
    for (; n > 0 && (buf[n - 1] == '\n' || !buf[n - 1]); n--)
        ;
    buf[n > 0 ? n : 0] = 0;
    char *line = strrchr(buf, '\n');
    snprintf(out, 300, "%.299s", line ? line + 1 : buf);
}

/* The record of the last run. False: there is none that can be read. */
static bool read_record(int dir, struct message *m)
{
    char *text;
    size_t len;
    if (whole_file_read(dir, WORKER_OUTCOME_FILE, MESSAGE_MAX, &text, &len, NULL))
        return false;
    bool known = message_parse(m, text, len, NULL) == 0;
    free(text);
    return known;
}

static void read_outcome(int dir, struct vm_status *out)
{
    struct message m;
    char now[64], words[300];
    if (faccessat(dir, WORKER_OUTCOME_FILE, F_OK, AT_SYMLINK_NOFOLLOW))
        return; /* it never ran */
    bool known = read_record(dir, &m);
    if (known && m.type == MESSAGE_ENDED) {
        out->failed = m.failed;
        memcpy(out->reason, m.text, sizeof(out->reason));
        return;
    }
    boot_id(now);
    out->failed = true;
    if (known && strcmp(m.boot, now)) {
        snprintf(out->reason, sizeof(out->reason), "The host was restarted while it ran");
        return;
    }
    last_words(dir, words);
    snprintf(out->reason, sizeof(out->reason), "Its process died: killed, or a crash%s%s",
             words[0] ? "; it said last: " : "", words);
}

/* Removes a dead worker's socket, unless a command works on the VM. */
static void sweep(struct store *s, const char *id, int dir)
{
    char name[VM_ID_SIZE + 8];
    int lock = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return;
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        int fd = connect_to(s, id, 1); /* a command may have started it meanwhile */
        if (fd < 0 && errno == ECONNREFUSED) {
            socket_name(id, name);
            unlinkat(s->run, name, 0);
        }
        if (fd >= 0)
            close(fd);
    }
    close(lock);
}

static bool ask_status(struct store *s, const char *id, int dir, struct vm_status *out)
{
    int fd = connect_to(s, id, 2);
    if (fd < 0) {
        int why = errno;
        if (why == ECONNREFUSED)
            sweep(s, id, dir);
        return why != ENOENT && why != ECONNREFUSED; /* it is there, but reached it cannot be */
    }
    struct err err = {0};
    out->responds = worker_call(fd, MESSAGE_QUERY, -1, &out->report, &err) == 0;
    close(fd);
    return out->responds || err.id != ERROR_OPERATION_FAILED; /* which says that it ended just now */
}

void worker_status(struct store *s, const char *id, struct vm_status *out)
{
    memset(out, 0, sizeof(*out));
    int dir = store_folder(s, id);
    if (dir < 0)
        return;
    if (ask_status(s, id, dir, out))
        out->state = out->responds ? out->report.state : VM_RUNNING;
    else if (is_claimed(dir))
        out->state = VM_RUNNING; /* about to end, or with a socket in another folder */
    else if (has_state(dir))
        out->state = VM_SAVED;
    else
        read_outcome(dir, out);
    close(dir);
}

bool worker_wait_end(struct store *s, const char *id, unsigned milliseconds)
{
    int fd = connect_to(s, id, 1);
    if (fd >= 0) {
        struct pollfd p = {.fd = fd}; /* hung up by its end */
        int r = poll(&p, 1, (int)milliseconds);
        close(fd);
        if (r == 0)
            return false;
    }
    for (unsigned i = 0; i < ENDING_STEPS; i++) { /* the socket goes a moment before the process */
        struct vm_status now;
        worker_status(s, id, &now); /* sweeps */
        if (now.state == VM_OFF || now.state == VM_SAVED)
            return true;
        if (now.responds)
            return false;
        poll(NULL, 0, 10);
    }
    return false;
}

/* ---- metering ---- */

static u64 counted(const struct vm_config *c, const struct message *m)
{
    u64 before = m->run == c->metered_base_run ? c->metered_base_ms : 0;
    return m->cpu_ms > before ? m->cpu_ms - before : 0;
}

u64 worker_metered_cpu(struct store *s, const char *id, const struct vm_config *c)
{
    struct vm_status now;
    struct message last;
    u64 sum = c->metered_cpu_ms;
    worker_status(s, id, &now);
    if (now.responds)
        return sum + counted(c, &now.report);
    int dir = store_folder(s, id);
    if (dir >= 0 && read_record(dir, &last) && last.type == MESSAGE_ENDED && last.run != c->metered_run)
        sum += counted(c, &last);
    if (dir >= 0)
        close(dir);
    return sum;
}

/* Before a new run's record takes the place of the last one's. A run is added once, whatever dies in between.
 */
static int add_last_run(struct vm_folder *f, struct err *err)
{
    struct message last;
    struct vm_config *c = f->config;
    if (!c->metering || !read_record(f->dir, &last) || last.type != MESSAGE_ENDED ||
        last.run == c->metered_run)
        return 0;
    c->metered_cpu_ms += counted(c, &last);
    c->metered_run = last.run;
    return store_put(f, err);
}

void worker_meter_from_now(struct store *s, const char *id, struct vm_config *c)
{
    struct vm_status now;
    struct message last;
    worker_status(s, id, &now);
    int dir = store_folder(s, id);
    c->metering = true;
    c->metered_since = (u64)time(NULL);
    c->metered_cpu_ms = 0;
    c->metered_base_run = now.report.run;
    c->metered_base_ms = now.report.cpu_ms;
    c->metered_run = dir >= 0 && read_record(dir, &last) && last.type == MESSAGE_ENDED ? last.run : 0;
    if (dir >= 0)
        close(dir);
}

/* ---- with the host ---- */

int worker_mark_running(struct vm_folder *f, struct err *err)
{
    return whole_file_write(f->dir, WORKER_RAN_FILE, "", 0, err);
}

static bool ran_in_another_boot(int dir)
{
    struct message m;
    char now[64];
    boot_id(now);
    return read_record(dir, &m) && m.type == MESSAGE_STARTED && strcmp(m.boot, now);
}

bool worker_ran_before(struct store *s, const char *id)
{
    int dir = store_folder(s, id);
    bool ran = dir >= 0 &&
               (faccessat(dir, WORKER_RAN_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || ran_in_another_boot(dir));
    if (dir >= 0)
        close(dir);
    return ran;
}

/* ---- starting ---- */

/* Bound; the worker itself listens, so that the kernel knows it as the one behind the socket. */
static int bind_socket(struct store *s, const char *id, struct err *err)
{
    struct sockaddr_un a;
    char name[VM_ID_SIZE + 8];
    socket_name(id, name);
    unlinkat(s->run, name, 0); /* the VM is ours and has no worker: what is there is stale */
    socket_address(s, id, &a);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    err_set(err, EXIT_STATUS_HOST, "cannot make a control socket in %.200s: %s", s->run_path,
            strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static int write_started(struct vm_folder *f, struct err *err)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct message m = {.type = MESSAGE_STARTED, .run = (u64)now.tv_sec * 1000000000ull + (u64)now.tv_nsec};
    boot_id(m.boot);
    char *text = message_print(&m);
    int r = text ? whole_file_write(f->dir, WORKER_OUTCOME_FILE, text, strlen(text), err)
                 : err_set(err, EXIT_STATUS_HOST, "out of memory for a record");
    free(text);
    return r;
}

static int wait_started(int fd, struct vm_folder *f, struct err *err)
{
    struct message m;
    char words[300];
    message_set_patience(fd, 60);
    int r = message_receive(fd, &m, NULL, err);
    if (r > 0)
        return m.type == MESSAGE_OK ? 0 : message_to_err(&m, err);
    if (r < 0)
        return -1;
    last_words(f->dir, words);
    return err_set(err, EXIT_STATUS_HOST, "the virtual machine's process ended at its start%s%s",
                   words[0] ? ": " : "", words);
}

static int start_with(struct vm_folder *f, int listening, int log, struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return err_set(err, EXIT_STATUS_HOST, "cannot start a process: %s", strerror(errno));
    const int fds[] = {pair[1], f->dir, listening};
    int r = add_last_run(f, err) || write_started(f, err) ||
                    process_start("worker", f->config->name, fds, 3, log, err)
                ? -1
                : 0;
    close(pair[1]);
    if (r == 0)
        r = wait_started(pair[0], f, err);
    close(pair[0]);
    return r;
}

int worker_start(struct store *s, struct vm_folder *f, struct err *err)
{
    char name[VM_ID_SIZE + 8];
    int listening = bind_socket(s, f->id, err);
    if (listening < 0)
        return -1;
    int log = openat(f->dir, WORKER_LOG_FILE,
                     O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r = log < 0 ? err_set(err, EXIT_STATUS_HOST, "cannot write %s: %s", WORKER_LOG_FILE, strerror(errno))
                    : start_with(f, listening, log, err);
    close(listening);
    if (log >= 0)
        close(log);
    if (r == 0)
        unlinkat(f->dir, WORKER_RAN_FILE, 0); /* the mark was for a start, and that has come */
    if (r) {
        socket_name(f->id, name);
        unlinkat(s->run, name, 0);
        unlinkat(f->dir, WORKER_OUTCOME_FILE, 0);
    } else if (!has_state(f->dir)) {
        unlinkat(f->dir, WORKER_STATE_FILE, 0); /* used, and emptied by the worker */
    }
    return r;
}

/* ---- saving and ending ---- */

static int save_to(int fd, struct vm_folder *f, int draft, struct err *err)
{
    struct message end = {.type = MESSAGE_END};
    if (worker_call(fd, MESSAGE_SAVE, draft, NULL, err))
        return -1;
    if (renameat(f->dir, WORKER_STATE_FILE ".part", f->dir, WORKER_STATE_FILE) || fsync(f->dir))
        return err_set(err, EXIT_STATUS_HOST, "cannot store the state: %s", strerror(errno));
    return message_send(fd, &end, -1, err);
}

int worker_save(struct store *s, struct vm_folder *f, struct err *err)
{
    int draft =
        openat(f->dir, WORKER_STATE_FILE ".part", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (draft < 0)
        return err_set(err, EXIT_STATUS_HOST, "cannot store the state: %s", strerror(errno));
    int fd = worker_connect(s, f->id, SAVE_SECONDS, err);
    int r = fd < 0 ? -1 : save_to(fd, f, draft, err);
    if (fd >= 0)
        close(fd);
    close(draft);
    if (r) {
        unlinkat(f->dir, WORKER_STATE_FILE ".part", 0);
        return -1;
    }
    return worker_wait_end(s, f->id, 10000)
               ? 0
               : err_set_id(err, EXIT_STATUS_HOST, ERROR_TIMED_OUT,
                            "The state is stored, but the process does not end.");
}

int worker_drop_state(struct vm_folder *f, struct err *err)
{
    if (unlinkat(f->dir, WORKER_STATE_FILE, 0) && errno != ENOENT)
        return err_set(err, EXIT_STATUS_HOST, "cannot remove the state: %s", strerror(errno));
    return fsync(f->dir) ? err_set(err, EXIT_STATUS_HOST, "cannot remove the state: %s", strerror(errno)) : 0;
}

static void kill_listener(const struct store *s, const char *id)
{
    int fd = connect_to(s, id, 1);
    if (fd < 0)
        return;
    process_kill_peer(fd);
    close(fd);
}

int worker_turn_off(struct store *s, const char *id, struct err *err)
{
    struct err why = {0};
    if (worker_ask(s, id, MESSAGE_TURN_OFF, NULL, &why) == 0 && worker_wait_end(s, id, 3000))
        return 0;
    kill_listener(s, id);
    return worker_wait_end(s, id, 3000)
               ? 0
               : err_set_id(err, EXIT_STATUS_HOST, ERROR_TIMED_OUT, "Its process does not end. %s", why.text);
}
