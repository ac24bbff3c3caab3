/* SPDX-License-Identifier: MIT */
/*
 * The rings of the vCPUs lie in memory shared with the first process, so they are there whatever the worker
 * died of. That memory is the worker's, and a worker may be the guest's: the first process does not look at
 * it, but starts a child for it that has given up everything except stderr.
 */
#include "main/last_words.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "main/nested_kept.h"

struct speech {
    struct supervisor *supervisor;
    struct run_job *job;
};

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
    nested_kept_print(job);
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
