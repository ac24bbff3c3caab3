/* SPDX-License-Identifier: MIT */
/*
 * --trace: what is opened before the sandbox closes, what is written at the end, and hashes.
 *
 * Descriptors and files are the process's: a trace that cannot be written is said once and ends no run.
 */
#include "main/worker_trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

void worker_trace_write(struct run_job *job, int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) { /* somebody who shares our stderr made it so */
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, -1);
            continue;
        }
        if (n < 0) {
            if (!atomic_exchange(&job->trace_failed, true))
                log_line("cannot write a trace: %s", strerror(errno));
            return;
        }
        text += n;
        len -= (size_t)n;
    }
}

int worker_trace_begin(struct run_job *job, struct err *err)
{
    job->smaps = -1;
    if (worker_perf_open(job, err) < 0)
        return -1;
    if (!job->config.trace_stats)
        return 0;
    job->smaps = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
    return job->smaps >= 0
               ? 0
               : err_set(err, EXIT_STATUS_HOST, "--trace stats needs /proc/self/smaps: %s", strerror(errno));
}

void worker_trace_hash(void *opaque, unsigned vcpu, u64 retired, u64 hash)
{
    struct run_job *job = opaque;
    char line[80];
    int n = snprintf(line, sizeof(line), "%u %" PRIu64 " %016" PRIx64 "\n", vcpu, retired, hash);
    worker_trace_write(job, job->files.hash, line, (size_t)n);
}

void worker_trace_end(struct run_job *job, struct machine *m)
{
    struct accel_stats s;
    struct err err = {0};
    u64 hash;
    if (job->config.trace_stats)
        worker_stats_end(job, m);
    if (job->config.trace_exits)
        worker_exits_end(job);
    if (job->config.trace_jit)
        worker_jit_end(job, m);
    if (!job->config.hash_path)
        return;
    if (machine_hash(m, &hash, &err)) {
        log_line("%s", err.text);
        return;
    }
    char line[80];
    machine_stats(m, 0, &s);
    worker_trace_write(
        job, job->files.hash, line,
        (size_t)snprintf(line, sizeof(line), "end %" PRIu64 " %016" PRIx64 "\n", s.retired, hash));
}
