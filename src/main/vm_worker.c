/* SPDX-License-Identifier: MIT */
/*
 * `droste worker`: one stored VM, started by mgmt/worker.c, which says what descriptors it finds. Everything
 * is opened and built first, then the sandbox closes, then the start is answered and the guest runs. After
 * that the process needs nobody.
 *
 * A saved state is emptied when it has been loaded and before the guest executes anything: however this
 * process or the command dies, the state is whole and unused, or gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/host_time.h"
#include "main/host_memory.h"
#include "main/nested_kept.h"
#include "main/vm_control.h"
#include "main/vm_job.h"
#include "main/vm_state.h"
#include "main/worker_parts.h"
#include "mgmt/worker.h"

struct vm_worker {
    struct vm_config config;
    struct run_job job;
    int outcome, console_log, state; /* state: -1 when it starts afresh */
    int host_memory;
    u64 run; /* as the STARTED record has it */
    struct vm_console *console;
    struct vm_control *control;
    struct vm_memory *memory;
    struct machine *machine;
};

static int open_in(const char *name, int flags, struct err *err)
{
    int fd = openat(WORKER_FD_FOLDER, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd >= 0 ? fd : err_set(err, EXIT_STATUS_HOST, "cannot open %s: %s", name, strerror(errno));
}

static int open_state(struct vm_worker *w, struct vm_state_origin *saved, struct err *err)
{
    w->state = openat(WORKER_FD_FOLDER, WORKER_STATE_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (w->state >= 0 && lseek(w->state, 0, SEEK_END) > 0)
        return vm_state_origin(w->state, saved, err);
    if (w->state >= 0)
        close(w->state); /* empty: of a save that was given up */
    w->state = -1;
    return 0;
}

static void read_run(struct vm_worker *w)
{
    char text[MESSAGE_MAX];
    struct message m;
    ssize_t n = pread(w->outcome, text, sizeof(text), 0);
    if (n > 0 && message_parse(&m, text, (size_t)n, NULL) == 0)
        w->run = m.run;
}

static int open_files(struct vm_worker *w, struct err *err)
{
    struct vm_state_origin saved;
    if (vm_config_read(&w->config, WORKER_FD_FOLDER, STORE_DEFINITION, err) ||
        (w->outcome = open_in(WORKER_OUTCOME_FILE, O_RDWR, err)) < 0 ||
        (w->console_log = open_in(WORKER_CONSOLE_FILE, O_RDWR | O_CREAT | O_APPEND, err)) < 0 ||
        worker_claim(w->console_log, err) || (w->host_memory = host_memory_open(err)) < 0 ||
        open_state(w, &saved, err) || vm_job_open(&w->job, &w->config, w->state < 0 ? NULL : &saved, err))
        return -1;
    read_run(w);
    return listen(WORKER_FD_LISTEN, 64)
               ? err_set(err, EXIT_STATUS_HOST, "cannot listen on the control socket: %s", strerror(errno))
               : 0;
}

static int close_files(struct vm_worker *w, struct err *err)
{
    const int keep[] = {STDIN_FILENO, STDOUT_FILENO,  WORKER_FD_START, WORKER_FD_LISTEN,
                        w->outcome,   w->console_log, w->state,        w->host_memory};
    return worker_sandbox_fds(&w->job, keep, ARRAY_SIZE(keep), err) ||
                   sandbox_files(host_time_files, false, err)
               ? -1
               : 0;
}

static int build(struct vm_worker *w, struct err *err)
{
    if (nested_kept_prepare(&w->job, err) || !(w->console = vm_console_new(w->console_log, err)) ||
        !(w->machine = worker_machine(&w->job, vm_console_sink(w->console), err)))
        return -1;
    vm_console_begin(w->console, w->machine);
    if (!(w->memory = vm_memory_new(w->machine, &w->config, w->host_memory, err)))
        return -1;
    w->control = vm_control_new(WORKER_FD_LISTEN, w->machine, w->console, &w->job.cables, w->job.engine->name,
                                w->memory, (unsigned)w->config.processors, w->run, err);
    return w->control ? 0 : -1;
}

static int load_state(struct vm_worker *w, struct err *err)
{
    if (w->state < 0)
        return 0;
    if (vm_state_load(w->state, w->machine, err))
        return -1;
    if (ftruncate(w->state, 0) || fsync(w->state))
        return err_set(err, EXIT_STATUS_HOST, "the used state cannot be emptied: %s", strerror(errno));
    close(w->state);
    return 0;
}

static int prepare(struct vm_worker *w, struct err *err)
{
    static const int calls[] = {SCMP_SYS(accept4), SCMP_SYS(ftruncate), -1};
    return open_files(w, err) || close_files(w, err) || build(w, err) ||
                   worker_sandbox_calls(&w->job, calls, err) || load_state(w, err)
               ? -1
               : 0;
}

/* The command may be gone: the guest runs all the same. */
static void answer_start(const struct err *err)
{
    struct message m = err ? message_of_err(err) : (struct message){.type = MESSAGE_OK};
    if (message_send(WORKER_FD_START, &m, -1, NULL))
        log_line("the command that started this virtual machine is gone");
    close(WORKER_FD_START);
}

static void record(struct vm_worker *w, const struct machine_result *r)
{
    struct message m = vm_control_outcome(w->control, r);
    for (char *p = m.text; *p; p++)
        if ((u8)*p >= 0x80)
            *p = '?';
    char *text = message_print(&m);
    size_t len = text ? strlen(text) : 0;
    if (pwrite(w->outcome, text, len, 0) != (ssize_t)len || ftruncate(w->outcome, (off_t)len) ||
        fsync(w->outcome))
        log_line("cannot record the end: %s", strerror(errno));
    free(text);
}

int main_worker(int argc, char *const *argv)
{
    struct err err = {0};
    int domain;
    socklen_t len = sizeof(domain);
    if (argc != 1 || getsockopt(WORKER_FD_START, SOL_SOCKET, SO_DOMAIN, &domain, &len) || domain != AF_UNIX) {
        log_line("'droste worker' is started by Start-VM, not by hand");
        return EXIT_STATUS_USAGE;
    }
    struct vm_worker *w = calloc(1, sizeof(*w));
    bug_on(!w, "no memory for a worker");
    prctl(PR_SET_NAME, argv[0]);
    if (prepare(w, &err)) {
        log_line("%s", err.text);
        answer_start(&err);
        return err.status;
    }
    answer_start(NULL);
    struct machine_result r = machine_run(w->machine);
    vm_console_end(w->console);
    record(w, &r);
    int status = worker_exit_status(&r);
    if (r.end == MACHINE_PANIC || r.end == MACHINE_TRIPLE_FAULT)
        nested_kept_print(&w->job);
    return status;
}
