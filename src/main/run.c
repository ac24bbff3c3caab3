/* SPDX-License-Identifier: MIT */
/*
 * `droste run` from its first process: command line, files, cables, then the network process and the worker
 * by fork, then waiting. Everything that can be refused is refused before the first child starts.
 */
#include "main/run.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cmd/run_gdb.h"
#include "cmd/run_supervise.h"
#include "main/engine.h"
#include "main/last_words.h"
#include "main/nested_kept.h"
#include "main/run_cables.h"

static bool has_user_net(const struct run_job *job)
{
    for (unsigned i = 0; i < job->config.net_count; i++)
        if (job->net_switch[i] >= 0)
            return true;
    return false;
}

/* The network process reports how its start went as one message: an err. */
static int start_network(struct supervisor *s, struct run_job *job, struct err *err)
{
    struct err started = {0};
    int control;
    if (!has_user_net(job))
        return 0;
    s->network = supervisor_start(s, "droste-net", run_user_net, job, &control, err);
    if (s->network < 0)
        return -1;
    if (recv(control, &started, sizeof(started), 0) != sizeof(started))
        return err_set(err, EXIT_STATUS_HOST, "the network process ended at its start");
    started.text[sizeof(started.text) - 1] = 0;
    for (unsigned i = 0; i < job->config.net_count; i++)
        if (job->net_switch[i] >= 0)
            close(job->net_switch[i]);
    return started.status ? err_set(err, started.status, "%s", started.text) : 0;
}

static int start_worker(struct supervisor *s, struct run_job *job, struct err *err)
{
    s->timeout_ms = job->config.timeout_ms;
    if (nested_kept_prepare(job, err))
        return -1;
    s->worker = supervisor_start(s, "droste-vm", run_worker, job, &s->worker_control, err);
    if (s->worker < 0)
        return -1;
    return run_cables_keep(job, s);
}

static int run_guest(struct run_job *job, struct err *err)
{
    struct supervisor s;
    int status = EXIT_STATUS_HOST;
    job->terminal = job->config.serial == RUN_SERIAL_STDIO && terminal_usable();
    if (job->config.name)
        prctl(PR_SET_NAME, job->config.name);
    if (job->terminal)
        log_line("press " TERMINAL_ESCAPE_NAME " to quit, twice to send it to the guest");
    if (supervisor_begin(&s, err) == 0 && run_cables_connect(job, err) == 0 &&
        start_network(&s, job, err) == 0) {
        if (job->terminal)
            terminal_enter(&s.terminal);
        if (start_worker(&s, job, err) == 0) {
            status = supervisor_wait(&s);
            terminal_leave(&s.terminal);
            last_words(&s, job, status);
        }
    }
    supervisor_end(&s);
    run_gdb_unlink(&job->config);
    return err->status ? err->status : status;
}

static u64 time_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

int main_run(int argc, char *const *argv)
{
    struct err err = {0};
    int status = EXIT_STATUS_OK;
    /* What the loader did before main() it did without waiting. */
    u64 start = time_of(CLOCK_MONOTONIC) - time_of(CLOCK_PROCESS_CPUTIME_ID);
    struct run_job *job = calloc(1, sizeof(*job));
    if (job)
        job->start_ns = start;
    if (!job || run_config_parse(&job->config, argc, argv, &err) < 0) {
        status = job ? err.status : EXIT_STATUS_HOST;
    } else if (job->config.action == RUN_HELP) {
        run_options_help(stdout);
    } else if (job->config.action == RUN_VERSION) {
        puts("droste " DROSTE_VERSION);
    } else if (run_files_open(&job->files, &job->config, &err) == 0 && engine_choose(job, &err) == 0) {
        status = run_guest(job, &err);
    }
    if (err.status) {
        log_line("%s", err.text);
        status = err.status;
    }
    if (job)
        run_config_free(&job->config);
    free(job);
    return status;
}
