/* SPDX-License-Identifier: MIT */
/*
 * What the translator makes, on its way out: --trace jit (blocks as they are translated, at the end which
 * rows still call their meanings), --trace perf (a map for perf(1): Linux,
 * tools/perf/Documentation/jit-interface.txt), --trace gdbjit (jit/gdb.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "insn_ids.h"
#include "jit/gdb.h"
#include "main/worker_trace.h"

struct worker_jit {
    FILE *out; /* its buffer is there before vCPUs run: their threads' first malloc() would open files */
    u64 counts[ID_COUNT][2];
    struct jit_gdb *gdb;
};

static void write_block(struct run_job *job, unsigned vcpu, const struct jit_view *v)
{
    FILE *out = job->jit->out;
    flockfile(out);
    fprintf(out, "vCPU %u, ", vcpu);
    jit_show(v, NULL, NULL, out);
    if (fflush(out) && !atomic_exchange(&job->trace_failed, true))
        log_line("cannot write a trace: %s", strerror(errno));
    funlockfile(out);
}

static void write_symbol(struct run_job *job, unsigned vcpu, const struct jit_view *v)
{
    char line[96], name[48] = "routines";
    if (v->block)
        snprintf(name, sizeof(name), "%" PRIx64, v->rip);
    int n = snprintf(line, sizeof(line), "%" PRIx64 " %zx guest%u:%s\n", (u64)v->code, v->len, vcpu, name);
    worker_trace_write(job, job->files.perf, line, (size_t)n);
}

static void on_translated(void *opaque, unsigned vcpu, const struct jit_view *v)
{
    struct run_job *job = opaque;
    if (job->config.trace_jit)
        write_block(job, vcpu, v);
    if (job->config.trace_perf)
        write_symbol(job, vcpu, v);
    if (job->config.trace_gdbjit)
        jit_gdb_translated(job->jit->gdb, v);
}

static void on_emptied(void *opaque, unsigned part)
{
    struct run_job *job = opaque;
    if (job->config.trace_gdbjit)
        jit_gdb_emptied(job->jit->gdb, part);
}

/* perf(1) reads a map of a process at this place only, and if it is ours. */
int worker_perf_open(struct run_job *job, struct err *err)
{
    char path[64];
    if (!job->config.trace_perf || job->config.perf_path)
        return 0;
    snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
    job->files.perf = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    return job->files.perf >= 0
               ? 0
               : err_set(err, EXIT_STATUS_HOST, "cannot write %s (%s): use --trace perf=FILE", path,
                         strerror(errno));
}

static int open_blocks(struct run_job *job, struct err *err)
{
    enum { BUFFER = 128 * 1024 };
    char *buffer = malloc(BUFFER);
    job->jit->out = fdopen(job->config.jit_path ? job->files.jit : STDERR_FILENO, "w");
    if (!buffer || !job->jit->out || setvbuf(job->jit->out, buffer, _IOFBF, BUFFER))
        return err_set(err, EXIT_STATUS_HOST, "no memory for --trace jit");
    return 0;
}

int worker_jit_begin(struct run_job *job, struct jit_watch *out, struct err *err)
{
    const struct run_config *c = &job->config;
    if (!c->trace_jit && !c->trace_perf && !c->trace_gdbjit)
        return 0;
    job->jit = calloc(1, sizeof(*job->jit));
    if (!job->jit)
        return err_set(err, EXIT_STATUS_HOST, "no memory for --trace");
    if ((c->trace_jit && open_blocks(job, err) < 0) ||
        (c->trace_gdbjit && !(job->jit->gdb = jit_gdb_new(err))))
        return -1;
    *out = (struct jit_watch){.translated = on_translated,
                              .emptied = on_emptied,
                              .opaque = job,
                              .counts = c->trace_jit ? job->jit->counts : NULL};
    return 0;
}

/* ---- at the end ---- */

struct row {
    unsigned id;
    bool slow;
    u64 count;
};

static const char *row_name(unsigned id)
{
    static const char *const names[] = {
#define MEANING_OF(row, meaning) [ID_##row] = #row,
#include "insn_meaning_table.inc"
#undef MEANING_OF
    };
    return names[id];
}

/* The largest, which leaves; qsort() asks for the host's memory, which the sandbox forbids. */
static struct row take_largest(struct row *rows, unsigned *n)
{
    struct row *most = rows;
    for (struct row *r = rows; r < rows + *n; r++)
        if (r->count > most->count)
            most = r;
    struct row found = *most;
    *most = rows[--*n];
    return found;
}

static void print_rows(u64 (*counts)[2], u64 retired, FILE *out)
{
    struct row *rows = calloc(2 * ID_COUNT, sizeof(*rows));
    bug_on(!rows, "no memory for %u rows", 2 * ID_COUNT);
    u64 all = 0;
    unsigned n = 0;
    for (unsigned i = 0; i < 2 * ID_COUNT; i++) {
        u64 count = counts[i / 2][i % 2];
        all += count;
        if (count)
            rows[n++] = (struct row){i / 2, i % 2, count};
    }
    fprintf(out,
            "calls of meanings: %" PRIu64 " of %" PRIu64
            " instructions retired, by row (slow: its own code could not go on)\n",
            all, retired);
    while (n) {
        struct row r = take_largest(rows, &n);
        fprintf(out, "  %-16s %14" PRIu64 "  %8.4f %%%s\n", row_name(r.id), r.count,
                retired ? 100 * (double)r.count / (double)retired : 0, r.slow ? "  slow" : "");
    }
    free(rows);
}

void worker_jit_end(struct run_job *job, struct machine *m)
{
    struct accel_stats s = {0};
    u64 retired = 0;
    for (unsigned i = 0; i < job->config.cpus; i++) {
        machine_stats(m, i, &s);
        retired += s.retired;
    }
    print_rows(job->jit->counts, retired, job->jit->out);
    fflush(job->jit->out);
}
