/* SPDX-License-Identifier: MIT */
/* The rings of a machine's vCPUs, in memory that all processes of the run share. */
#include "main/nested_kept.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "main/engine.h"
#include "x86/nested_event.h"

int nested_kept_prepare(struct run_job *job, struct err *err)
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

/* ---- a refused VMCS or VMCB ---- */

struct lines {
    void (*line)(const char *text, void *arg);
    void *arg;
    char text[112];
    size_t at;
};

static void add_field(const char *name, u64 value, void *arg)
{
    struct lines *l = arg;
    char field[64];
    int n = snprintf(field, sizeof(field), " %s=%" PRIx64, name, value);
    if (l->at + (size_t)n >= sizeof(l->text)) {
        l->line(l->text, l->arg);
        l->at = 0;
    }
    memcpy(l->text + l->at, field, (size_t)n + 1);
    l->at += (size_t)n;
}

void nested_failed_lines(const struct nested_failed *f, void (*line)(const char *text, void *arg), void *arg)
{
    struct lines l = {line, arg, "", 0};
    char head[64];
    snprintf(head, sizeof(head),
             "%s %" PRIx64 " as it was refused:", f->vendor == VENDOR_AMD ? "VMCB" : "VMCS", f->where);
    line(head, arg);
    nested_failed_each(f, add_field, &l);
    line(l.text, arg);
}

static void say_line(const char *text, void *arg)
{
    log_line("nested: %s", text);
}

/* ---- all ---- */

static u64 recorded(const struct run_job *job)
{
    u64 n = 0;
    for (unsigned i = 0; i < job->config.cpus && n < NESTED_RING_SIZE; i++)
        n += job->rings[i].count < NESTED_RING_SIZE ? job->rings[i].count : NESTED_RING_SIZE;
    return n < NESTED_RING_SIZE ? n : NESTED_RING_SIZE;
}

void nested_kept_print(const struct run_job *job)
{
    u64 n = job->rings ? recorded(job) : 0;
    if (!n)
        return;
    const struct nested_failed *f = nested_failed_last(job->rings, job->config.cpus);
    if (f)
        nested_failed_lines(f, say_line, NULL);
    log_line("the last %u events of nested virtualization (times are those of the last VM entry):",
             (unsigned)n);
    nested_rings_each(job->rings, job->config.cpus, say, NULL);
}
