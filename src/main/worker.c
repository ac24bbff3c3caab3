/* SPDX-License-Identifier: MIT */
/*
 * The worker of `droste run`: one machine. It is built while the process may still do everything, and runs in
 * the sandbox. The first process hangs up `control` to end it.
 */
#include <unistd.h>

#include "base/host_time.h"
#include "cmd/run_console.h"
#include "main/run.h"
#include "main/worker_gdb.h"
#include "main/worker_parts.h"
#include "main/worker_trace.h"
#include "mgmt/message.h"
#include "vm/machine.h"

struct worker {
    struct run_job *job;
    struct console *console;
    struct machine *machine;
    int control;
    struct worker_gdb *gdb; /* NULL: no --gdb */
    bool quit;              /* by the escape key or the debugger */
};

static int keep_descriptors(const struct run_job *job, int control, struct err *err)
{
    bool stdio = job->config.serial == RUN_SERIAL_STDIO;
    int keep[] = {stdio ? STDIN_FILENO : -1, stdio ? STDOUT_FILENO : -1, control, job->files.gdb};
    return worker_sandbox_fds(job, keep, ARRAY_SIZE(keep), err);
}

static size_t to_guest(void *opaque, const void *data, size_t len)
{
    struct worker *w = opaque;
    return machine_serial_receive(w->machine, data, len);
}

static void on_quit(void *opaque)
{
    struct worker *w = opaque;
    w->quit = true;
    machine_stop(w->machine);
}

/* New cables to switches come from the first process; it hangs up to end the machine. */
static void on_control(void *opaque, int events)
{
    struct worker *w = opaque;
    struct message m;
    struct err err = {0};
    int passed, r = message_receive(w->control, &m, &passed, &err);
    if (r == 0 || (r < 0 && (events & EVENT_HANGUP)))
        machine_stop(w->machine);
    if (r <= 0)
        return;
    if (m.type == MESSAGE_CABLE && cables_give(&w->job->cables, (unsigned)m.adapter, passed, &err) == 0)
        return;
    if (passed >= 0)
        close(passed);
}

static int build(struct worker *w, int control, struct err *err)
{
    struct run_job *job = w->job;
    bool stdio = job->config.serial == RUN_SERIAL_STDIO;
    bool reads =
        stdio && (job->terminal || !isatty(STDIN_FILENO)); /* a background job leaves the terminal alone */
    struct console_config cc = {reads ? STDIN_FILENO : -1, stdio ? STDOUT_FILENO : job->files.serial,
                                job->terminal, job->config.expect};
    w->console = console_new(&cc, err);
    if (!w->console)
        return -1;
    struct serial_sink serial = {console_tx, console_rx_ready, w->console};
    w->machine = worker_machine(job, serial, err);
    if (!w->machine)
        return -1;
    struct console_guest guest = {to_guest, on_quit, w};
    w->control = control;
    if (!event_loop_add(machine_loop(w->machine), control, EVENT_READ, on_control, w))
        return err_set(err, EXIT_STATUS_HOST, "no memory for the worker's control socket");
    if (console_attach(w->console, machine_loop(w->machine), guest, err) < 0)
        return -1;
    if (job->files.gdb >= 0 && !(w->gdb = worker_gdb_begin(job, w->machine, on_quit, w, err)))
        return -1;
    return 0;
}

int run_worker(void *job, int control)
{
    struct worker w = {.job = job};
    struct err err = {0};
    if (keep_descriptors(job, control, &err) < 0 || worker_trace_begin(job, &err) < 0 ||
        sandbox_files(host_time_files, false, &err) < 0 || build(&w, control, &err) < 0 ||
        worker_sandbox_calls(job, w.gdb ? worker_gdb_calls : NULL, &err) < 0) {
        log_line("%s", err.text);
        return err.status;
    }
    struct machine_result r = machine_run(w.machine);
    bool seen = console_finish(w.console);
    worker_trace_end(job, w.machine);
    int status = w.quit ? 128 + 2 /* as SIGINT */ : worker_exit_status(&r);
    if (w.gdb)
        worker_gdb_end(w.gdb, status);
    if (w.quit)
        return status;
    if (status != EXIT_STATUS_OK || seen || r.end == MACHINE_STOPPED)
        return status;
    log_line("the guest ended, but its console never showed '%.200s' (--expect)", w.job->config.expect);
    return EXIT_STATUS_NOT_EXPECTED;
}
