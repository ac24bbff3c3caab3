/* SPDX-License-Identifier: MIT */
/*
 * Nested events on their way out: each as a line (--trace nested), and counted (--trace exits). On the vCPUs'
 * threads: every vCPU has its own counts, lines are one write each.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cpu/nested/exit_counts.h"
#include "main/nested_kept.h"
#include "main/worker_trace.h"

enum {
    CROSSINGS = (1 << NESTED_ENTRY) | (1 << NESTED_EXIT) | (1 << NESTED_REFUSED),
    ALL = (1 << NESTED_EVENT_KINDS) - 1,
};

struct worker_nested {
    struct run_job *job;
    struct exit_counts *counts; /* one a vCPU, or NULL */
};

/* ---- lines ---- */

static void write_line(const char *text, void *arg)
{
    char line[NESTED_TEXT_MAX + 16];
    int n = snprintf(line, sizeof(line), "nested: %s\n", text);
    worker_trace_write(arg, STDERR_FILENO, line, (size_t)n);
}

static void write_text(struct run_job *job, const struct nested_event *e, const struct nested_failed *failed)
{
    char text[NESTED_TEXT_MAX];
    nested_event_text(e, text, sizeof(text));
    write_line(text, job);
    if (failed)
        nested_failed_lines(failed, write_line, job);
}

struct object {
    char text[16 * KIB];
    size_t at;
};

static void add_field(const char *name, u64 value, void *arg)
{
    struct object *o = arg;
    int n = snprintf(o->text + o->at, sizeof(o->text) - o->at, "\"%s\": \"%" PRIx64 "\", ", name, value);
    bug_on(n < 0 || (size_t)n >= sizeof(o->text) - o->at - 4, "a trace's buffer is too small for its fields");
    o->at += (size_t)n;
}

static void write_json(struct run_job *job, const struct nested_event *e, const struct nested_failed *failed)
{
    struct object o;
    o.at = nested_event_json(e, o.text, NESTED_TEXT_MAX);
    if (failed) {
        static const char begin[] = ", \"fields\": {";
        memcpy(o.text + o.at - 1, begin, sizeof(begin)); /* in place of the object's end */
        o.at += sizeof(begin) - 2;
        nested_failed_each(failed, add_field, &o);
        memcpy(o.text + o.at - 2, "}}", 2); /* in place of the last comma */
    }
    o.text[o.at++] = '\n';
    worker_trace_write(job, job->files.nested, o.text, o.at);
}

static void write_event(struct run_job *job, const struct nested_event *e)
{
    bool refused = (e->kind == NESTED_VMFAIL || e->kind == NESTED_REFUSED) && e->more;
    const struct nested_failed *failed = refused ? &job->rings[e->vcpu].failed : NULL;
    (job->config.nested_path ? write_json : write_text)(job, e, failed);
}

static void on_event(void *opaque, const struct nested_event *e)
{
    struct worker_nested *w = opaque;
    if (w->counts)
        exit_counts_feed(&w->counts[e->vcpu], e);
    if (w->job->config.trace_nested)
        write_event(w->job, e);
}

static void on_tell(void *opaque, unsigned vcpu, const char *text)
{
    fprintf(stderr, "droste: vCPU %u: %s\n", vcpu, text);
}

int worker_nested_begin(struct run_job *job, struct nested_trace *out, struct err *err)
{
    const struct run_config *c = &job->config;
    *out = (struct nested_trace){.ring = job->rings, .tell = on_tell};
    if (!c->trace_exits && !c->trace_nested)
        return 0;
    struct worker_nested *w = calloc(1, sizeof(*w));
    if (w && c->trace_exits)
        w->counts = calloc(c->cpus, sizeof(*w->counts));
    if (!w || (c->trace_exits && !w->counts))
        return err_set(err, EXIT_STATUS_HOST, "no memory to count exits; use fewer processors");
    w->job = job;
    job->nested = w;
    out->event = on_event;
    out->opaque = w;
    out->wanted = (c->trace_exits ? CROSSINGS : 0) | (c->trace_nested ? ALL : 0);
    return 0;
}

/* ---- the counts ---- */

struct exits { /* of one VMCS or VMCB on one vCPU */
    unsigned vcpu, n;
    u8 vendor;
    const struct exit_count *const *count;
    u64 total;
};

static double mean(u64 sum, u64 n)
{
    return n ? (double)sum / (double)n : 0;
}

static void print_table(const struct exits *x, FILE *out)
{
    fprintf(out,
            "%s %" PRIx64 ", vCPU %u: %" PRIu64
            " exits\n  reason                       count    share   mean instructions   mean us\n",
            x->vendor == VENDOR_AMD ? "VMCB" : "VMCS", x->count[0]->where, x->vcpu, x->total);
    for (unsigned i = 0; i < x->n; i++) {
        const struct exit_count *k = x->count[i];
        char name[40];
        nested_exit_name(x->vendor, k->code, name, sizeof(name));
        fprintf(out, "  %-22s %11" PRIu64 "  %5.1f %%", name, k->count, 100 * mean(k->count, x->total));
        if (k->closed)
            fprintf(out, "  %18.1f  %8.3f\n", mean(k->retired, k->closed), mean(k->ns, k->closed) / 1e3);
        else
            fprintf(out, "  %18s  %8s\n", "-", "-");
    }
}

static void print_json(const struct exits *x, FILE *out)
{
    for (unsigned i = 0; i < x->n; i++) {
        const struct exit_count *k = x->count[i];
        char name[40];
        nested_exit_name(x->vendor, k->code, name, sizeof(name));
        fprintf(out,
                "%s{\"vcpu\": %u, \"%s\": \"%" PRIx64 "\", \"reason\": %" PRId64
                ", \"name\": \"%s\", \"count\": %" PRIu64 ", \"share\": %.6f, \"resumed\": %" PRIu64
                ", \"mean_instructions\": %.2f, \"mean_ns\": %.1f}",
                i ? ",\n  " : "", x->vcpu, x->vendor == VENDOR_AMD ? "vmcb" : "vmcs", k->where, (i64)k->code,
                name, k->count, mean(k->count, x->total), k->closed, mean(k->retired, k->closed),
                mean(k->ns, k->closed));
    }
}

/* The part of the sorted counts that begins with one and belongs to one VMCS or VMCB. */
static struct exits group(const struct exit_counts *t, unsigned vcpu, const struct exit_count *const *from,
                          unsigned left)
{
    struct exits x = {.vcpu = vcpu, .vendor = t->vendor, .count = from};
    for (; x.n < left && from[x.n]->where == from[0]->where; x.n++)
        x.total += from[x.n]->count;
    return x;
}

/* Returns what was lost. */
static u64 print_vcpu(const struct exit_counts *t, unsigned vcpu, bool json, bool *first, FILE *out)
{
    const struct exit_count *sorted[EXIT_COUNTS_MAX];
    unsigned n = exit_counts_sort(t, sorted);
    for (unsigned i = 0; i < n;) {
        struct exits x = group(t, vcpu, &sorted[i], n - i);
        if (json && !*first)
            fputs(",\n  ", out);
        *first = false;
        (json ? print_json : print_table)(&x, out);
        i += x.n;
    }
    return t->lost;
}

void worker_exits_end(struct run_job *job)
{
    bool json = job->config.exits_path, first = true;
    char *text = NULL;
    size_t len = 0;
    u64 lost = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return;
    if (json)
        fputs("{\"exits\": [\n  ", out);
    for (unsigned i = 0; i < job->config.cpus; i++)
        lost += print_vcpu(&job->nested->counts[i], i, json, &first, out);
    if (json)
        fprintf(out, "\n ], \"not_counted\": %" PRIu64 "}\n", lost);
    else if (lost)
        fprintf(out, "%" PRIu64 " exits of further VMCSs or VMCBs were not counted\n", lost);
    else if (first)
        fputs("no VM exits\n", out);
    fclose(out);
    worker_trace_write(job, json ? job->files.exits : STDERR_FILENO, text, len);
    free(text);
}
