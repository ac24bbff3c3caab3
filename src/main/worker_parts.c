/* SPDX-License-Identifier: MIT */
/* The machine of `droste run`. Its parts live as long as the process. */
#include "main/worker_parts.h"

#include <seccomp.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "main/engine.h"
#include "main/worker_trace.h"
#include "net/outlet.h"
#include "vm/cpu_model.h"

#define ICOUNT_EPOCH_NS 1735689600000000000ull /* 2025-01-01: a repeatable run starts at the same time */

_Static_assert((int)RUN_NETS_MAX <= (int)CABLES_MAX, "every adapter may have a cable");
_Static_assert((int)RUN_CPUS_MAX <= MACHINE_CPUS_MAX && (int)RUN_MODULES_MAX <= BOOT_MODULES_MAX,
               "what the command line takes, a machine can have");

enum { MORE_MAX = 8 };

int worker_sandbox_fds(const struct run_job *job, const int *more, unsigned count, struct err *err)
{
    int keep[10 + MORE_MAX + RUN_MODULES_MAX + RUN_DISKS_MAX + RUN_NETS_MAX];
    unsigned n = 0;
    bug_on(count > MORE_MAX, "more than %d descriptors of its own", MORE_MAX);
    keep[n++] = STDERR_FILENO;
    keep[n++] = job->device;
    keep[n++] = job->files.kernel;
    keep[n++] = job->files.serial;
    keep[n++] = job->files.stats;
    keep[n++] = job->files.exits;
    keep[n++] = job->files.nested;
    keep[n++] = job->files.jit;
    keep[n++] = job->files.perf;
    keep[n++] = job->files.hash;
    for (unsigned i = 0; i < count; i++)
        keep[n++] = more[i];
    for (unsigned i = 0; i < job->config.module_count; i++)
        keep[n++] = job->files.modules[i];
    for (unsigned i = 0; i < job->config.disk_count; i++)
        keep[n++] = job->files.disks[i];
    for (unsigned i = 0; i < job->config.net_count; i++)
        keep[n++] = job->net_worker[i];
    return sandbox_fds(keep, n, err);
}

int worker_sandbox_calls(const struct run_job *job, const int *more, struct err *err)
{
    static const int calls[] = {
        SCMP_SYS(pread64),  SCMP_SYS(pwrite64), SCMP_SYS(preadv),    SCMP_SYS(pwritev),   SCMP_SYS(preadv2),
        SCMP_SYS(pwritev2), SCMP_SYS(fsync),    SCMP_SYS(fdatasync), SCMP_SYS(fallocate), SCMP_SYS(recvfrom),
        SCMP_SYS(sendto),   SCMP_SYS(recvmsg),  SCMP_SYS(sendmsg),   SCMP_SYS(shutdown),
    };
    int all[ARRAY_SIZE(calls) + MORE_MAX + 1];
    unsigned n = ARRAY_SIZE(calls);
    memcpy(all, calls, sizeof(calls));
    for (; more && *more != -1 && n < ARRAY_SIZE(all) - 1; more++)
        all[n++] = *more;
    all[n] = -1;
    return sandbox_calls_ioctls("worker", all, job->engine->ioctls, err);
}

static u64 wall_clock(bool icount)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return icount ? ICOUNT_EPOCH_NS : (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

static int add_disk(struct machine *m, const struct run_disk *d, int fd, struct err *err)
{
    struct block *b = block_raw(fd, d->readonly || d->snapshot, err);
    if (b && d->snapshot && !d->readonly)
        b = block_snapshot(b, err);
    return b ? machine_add_disk(m, b, err) : -1;
}

/* What the adapter is plugged into: the user-mode network, or an outlet for cables to switches. */
static struct net_port *net_port_of(struct machine *m, struct run_job *job, unsigned index, struct err *err)
{
    struct cables *c = &job->cables;
    if (!job->config.nets[index].switch_name)
        return net_port_socket(job->net_worker[index], machine_loop(m), err);
    c->loop = machine_loop(m);
    c->outlets[index] = net_outlet_new(err);
    if (!c->outlets[index] ||
        (job->net_worker[index] >= 0 && cables_give(c, index, job->net_worker[index], err)))
        return NULL;
    return c->outlets[index];
}

static int add_net(struct machine *m, struct run_job *job, unsigned index, struct err *err)
{
    const u8 ours[6] = {0x52, 0x54, 0x00, 0x12, 0x34, (u8)(0x56 + index)}; /* locally administered */
    const struct run_net *n = &job->config.nets[index];
    struct net_port *p = net_port_of(m, job, index, err);
    return p ? machine_add_net(m, p, n->has_mac ? n->mac : ours, err) : -1;
}

static int furnish(struct machine *m, struct run_job *job, struct err *err)
{
    const struct run_config *c = &job->config;
    for (unsigned i = 0; i < c->disk_count; i++) {
        struct err why = {0};
        if (add_disk(m, &c->disks[i], job->files.disks[i], &why) < 0)
            return err_set(err, why.status, "disk %.100s: %.280s", c->disks[i].file, why.text);
    }
    for (unsigned i = 0; i < c->net_count; i++)
        if (add_net(m, job, i, err) < 0)
            return -1;
    return 0;
}

static int boot(struct machine *m, struct run_job *job, struct err *err)
{
    const struct run_config *c = &job->config;
    struct boot_file *modules = calloc(RUN_MODULES_MAX, sizeof(*modules)); /* needed again at a reset */
    bug_on(!modules, "no memory for the list of modules");
    for (unsigned i = 0; i < c->module_count; i++)
        modules[i] = (struct boot_file){job->files.modules[i], c->modules[i].file, c->modules[i].args};
    struct boot_source src = {{job->files.kernel, c->kernel, NULL}, modules, c->module_count, c->append};
    return machine_boot(m, &src, err);
}

struct machine *worker_machine(struct run_job *job, struct serial_sink serial, struct err *err)
{
    const struct run_config *c = &job->config;
    struct machine_config cfg = {
        .memory = c->memory,
        .memory_most = c->memory_most,
        .cpus = c->cpus,
        .vendor = run_vendor(c),
        .cpu_features = c->cpu_features,
        .wall_ns = wall_clock(c->icount),
        .nested = c->nested,
        .engine = job->engine,
        .options = {.jit = c->jit != RUN_JIT_OFF,
                    .translator.chaos = c->chaos,
                    .icount = c->icount,
                    .hash = c->hash_path ? worker_trace_hash : NULL,
                    .hash_opaque = job,
                    .device = job->device < 0 ? 0 : job->device},
        .serial = serial,
        .test_devices = c->test_devices,
        .no_reboot = c->no_reboot,
    };
    if (worker_nested_begin(job, &cfg.options.nested_trace, err) < 0 ||
        worker_jit_begin(job, &cfg.options.translator.watch, err) < 0)
        return NULL;
    struct machine *m = machine_new(&cfg, err);
    if (m && furnish(m, job, err) == 0 && boot(m, job, err) == 0)
        return m;
    return NULL; /* the process ends: nothing to take apart */
}

int worker_exit_status(const struct machine_result *r)
{
    switch (r->end) {
    case MACHINE_DEBUG_EXIT:
        return r->code;
    case MACHINE_PANIC:
        log_line("the guest reported a panic");
        return EXIT_STATUS_GUEST_PANIC;
    case MACHINE_TRIPLE_FAULT:
        log_line("triple fault: %s", r->text);
        return EXIT_STATUS_TRIPLE_FAULT;
    case MACHINE_HOST_ERROR:
        log_line("%s", r->text);
        return EXIT_STATUS_HOST;
    default:
        return EXIT_STATUS_OK;
    }
}
