/* SPDX-License-Identifier: MIT */
/*
 * The rings of the vCPUs lie in memory shared with the first process, so they are there whatever the worker
 * died of. That memory is the worker's, and a worker may be the guest's: the first process does not look at
 * it, but starts a child for it that has given up everything except stderr.
 */
#include "main/last_words.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "main/engine.h"
#include "x86/nested_event.h"

struct speech {
    struct supervisor *supervisor;
    struct run_job *job;
};

int last_words_prepare(struct run_job *job, struct err *err)
{
    job->rings = NULL;
    if (!job->config.nested || !engine_is_soft(job))
        return 0;
    void *p = mmap(NULL, job->config.cpus * sizeof(struct nested_ring), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return err_set(err, EXIT_STATUS_HOST, "no memory to keep nested events: %s", strerror(errno));
    job->rings = p;
    return 0;
}

static void say(const struct nested_event *e, void *arg)
{
    char text[NESTED_TEXT_MAX];
    nested_event_text(e, text, sizeof(text));
    log_line("nested: %s", text);
}

static u64 recorded(const struct run_job *job)
{
    u64 n = 0;
    for (unsigned i = 0; i < job->config.cpus && n < NESTED_RING_SIZE; i++)
        n += job->rings[i].count < NESTED_RING_SIZE ? job->rings[i].count : NESTED_RING_SIZE;
    return n < NESTED_RING_SIZE ? n : NESTED_RING_SIZE;
}

static int speak(void *opaque, int control)
{
    static const int calls[] = {-1};
    const struct speech *sp = opaque;
    const struct run_job *job = sp->job;
    struct err err = {0};
    int keep[] = {STDERR_FILENO, control};
    sigprocmask(SIG_SETMASK, &sp->supervisor->old_mask, NULL); /* the user may have seen enough */
    if (sandbox_fds(keep, ARRAY_SIZE(keep), &err) < 0 || sandbox_files(NULL, false, &err) < 0 ||
        sandbox_calls("last words", calls, &err) < 0) {
        log_line("%s", err.text);
        return EXIT_STATUS_HOST;
    }
    u64 n = recorded(job);
    if (n)
        log_line("the last %u events of nested virtualization (times are those of the last VM entry):",
                 (unsigned)n);
    nested_rings_each(job->rings, job->config.cpus, say, NULL);
    return 0;
}

static bool crashed(const struct supervisor *s, int status)
{
    return !s->reason && (WIFSIGNALED(s->status) || status == EXIT_STATUS_GUEST_PANIC ||
                          status == EXIT_STATUS_TRIPLE_FAULT);
}

void last_words(struct supervisor *s, struct run_job *job, int status)
{
    struct speech speech = {s, job};
    struct err err = {0};
    int control;
    if (!job->rings || job->config.trace_nested || !crashed(s, status))
        return;
    pid_t pid = supervisor_start(s, "droste-words", speak, &speech, &control, &err);
    if (pid < 0) {
        log_line("%s", err.text);
        return;
    }
    waitpid(pid, NULL, 0);
    close(control);
}
