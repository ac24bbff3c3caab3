/* SPDX-License-Identifier: MIT */
/*
 * --trace stats: what a run cost. Numbers are gathered once, behind the end of the run.
 *
 * Memory is read from a descriptor of /proc/self/smaps opened before the sandbox closed: resident pages of
 * guest RAM's mappings are the guest's, all others Droste's own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "main/worker_trace.h"

struct memory_use {
    u64 guest, own; /* resident bytes */
};

/* Sums and what is printed of them. */
struct figures {
    struct accel_stats s;
    u64 cpu_ns, wall_ns, first_ns;
    struct memory_use memory;
};

/* Whether a mapping holds guest RAM: banks that lie side by side may have become one. */
static bool is_guest(struct machine *m, u64 start, u64 end)
{
    static const u64 parts[] = {0, LEGACY_ROM_BASE, HIGH_RAM_BASE};
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        u64 len, at = parts[i], host;
        for (; (host = (u64)space_ram(machine_memory(m), at, &len)); at += len)
            if (host < end && start < host + len)
                return true;
    }
    return false;
}

static void count_memory(struct machine *m, int fd, struct memory_use *u)
{
    FILE *f = fdopen(fd, "r");
    char line[512];
    bool guest = false;
    u64 start, end, kb;
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
            guest = is_guest(m, start, end);
        else if (sscanf(line, "Rss: %" SCNu64, &kb) == 1)
            *(guest ? &u->guest : &u->own) += kb * KIB;
    }
}

static void add(struct figures *f, const struct accel_stats *s)
{
    const u64 *from = (const u64 *)s;
    u64 *to = (u64 *)&f->s;
    for (unsigned i = 0; i < sizeof(*s) / sizeof(u64); i++)
        to[i] += from[i];
}

static void gather(struct run_job *job, struct machine *m, struct figures *f)
{
    for (unsigned i = 0; i < job->config.cpus; i++) {
        struct accel_stats s;
        struct machine_times t;
        machine_stats(m, i, &s);
        machine_times(m, i, &t);
        add(f, &s);
        f->cpu_ns += t.cpu_ns;
        if (i == 0) {
            f->first_ns = t.started_ns - job->start_ns;
            f->wall_ns = t.ended_ns - t.started_ns;
        }
    }
    count_memory(m, job->smaps, &f->memory);
}

static double mips(u64 retired, u64 ns)
{
    return ns ? (double)retired * 1e3 / (double)ns : 0;
}

static double native_share(const struct accel_stats *s)
{
    return s->native + s->called ? 100.0 * (double)s->native / (double)(s->native + s->called) : 0;
}

static void print_table(struct run_job *job, struct machine *m, const struct figures *f, FILE *out)
{
    const struct accel_stats *s = &f->s;
    for (unsigned i = 0; i < job->config.cpus; i++) {
        struct accel_stats one;
        struct machine_times t;
        machine_stats(m, i, &one);
        machine_times(m, i, &t);
        fprintf(out, "vCPU %-3u       %14" PRIu64 " instructions  %9.3f s CPU  %8.1f million a second\n", i,
                one.retired, (double)t.cpu_ns / 1e9, mips(one.retired, t.cpu_ns));
    }
    fprintf(out, "wall time      %18.3f s, the first instruction %.1f ms after the start\n",
            (double)f->wall_ns / 1e9, (double)f->first_ns / 1e6);
    fprintf(out,
            "decoded        %14" PRIu64 " instructions in %" PRIu64 " blocks, %" PRIu64
            " overwritten, emptied %" PRIu64 " times\n",
            s->decoded, s->blocks, s->stale, s->resets);
    fprintf(out,
            "translated     %14" PRIu64 " instructions in %" PRIu64
            " blocks, %.1f %% native, a part of the cache emptied %" PRIu64 " times\n",
            s->native + s->called, s->translated, native_share(s), s->evictions);
    fprintf(out, "memory         %14" PRIu64 " KiB for the guest, %" PRIu64 " KiB beside it\n",
            f->memory.guest >> 10, f->memory.own >> 10);
}

static void print_json(struct run_job *job, struct machine *m, const struct figures *f, FILE *out)
{
    const struct accel_stats *s = &f->s;
    fputs("{\"vcpus\": [", out);
    for (unsigned i = 0; i < job->config.cpus; i++) {
        struct accel_stats one;
        struct machine_times t;
        machine_stats(m, i, &one);
        machine_times(m, i, &t);
        fprintf(out, "%s{\"retired\": %" PRIu64 ", \"cpu_ns\": %" PRIu64 "}", i ? ", " : "", one.retired,
                t.cpu_ns);
    }
    fprintf(out,
            "],\n \"retired\": %" PRIu64 ", \"cpu_ns\": %" PRIu64 ", \"wall_ns\": %" PRIu64
            ", \"mips\": %.2f, \"first_instruction_ns\": %" PRIu64 ",\n",
            s->retired, f->cpu_ns, f->wall_ns, mips(s->retired, f->cpu_ns), f->first_ns);
    fprintf(out,
            " \"decoded\": %" PRIu64 ", \"blocks\": %" PRIu64 ", \"stale\": %" PRIu64 ", \"resets\": %" PRIu64
            ",\n",
            s->decoded, s->blocks, s->stale, s->resets);
    fprintf(out,
            " \"translated\": %" PRIu64 ", \"native\": %" PRIu64 ", \"called\": %" PRIu64
            ", \"evictions\": %" PRIu64 ",\n",
            s->translated, s->native, s->called, s->evictions);
    fprintf(out, " \"guest_resident\": %" PRIu64 ", \"own_resident\": %" PRIu64 "}\n", f->memory.guest,
            f->memory.own);
}

void worker_stats_end(struct run_job *job, struct machine *m)
{
    struct figures f = {0};
    bool json = job->config.stats_path;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    gather(job, m, &f);
    if (out) {
        (json ? print_json : print_table)(job, m, &f, out);
        fclose(out);
        worker_trace_write(job, json ? job->files.stats : STDERR_FILENO, text, len);
    }
    free(text);
}
