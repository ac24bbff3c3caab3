/* SPDX-License-Identifier: MIT */
/*
 * --engine: auto takes kvm where it can run the guest asked for and is worth it, else soft, and says why in
 * one line. kvm itself refuses a host it cannot work on before anything else starts.
 */
#include "main/engine.h"

#include <inttypes.h>
#include <unistd.h>

#include "accel/kvm.h"
#include "vm/cpu_features.h"
#include "vm/cpu_model.h"

enum cpu_vendor run_vendor(const struct run_config *c)
{
    enum cpu_vendor host;
    if (c->vendor != RUN_VENDOR_HOST)
        return c->vendor == RUN_VENDOR_AMD ? VENDOR_AMD : VENDOR_INTEL;
    return cpu_model_host_vendor(&host) ? host : VENDOR_INTEL;
}

bool engine_is_soft(const struct run_job *job)
{
    return job->engine == &accel_soft;
}

static int open_kvm(struct run_job *job, struct accel_limits *limits, struct err *err)
{
    job->device = kvm_open(err);
    struct accel_options o = {.device = job->device};
    if (job->device < 0 || accel_kvm.limits(&o, limits, err))
        return -1;
    const char *why = limits->no_nested[run_vendor(&job->config)];
    return job->config.nested && why[0] ? err_set(err, EXIT_STATUS_NO_ENGINE, "--nested on: %s", why) : 0;
}

/* What the same model has under soft, this host may lack. */
static void tell_missing(const struct run_job *job, const struct accel_limits *limits)
{
    char missing[300];
    cpu_features_missing(run_vendor(&job->config), limits, missing, sizeof(missing));
    if (missing[0])
        log_line("engine kvm: this host's KVM does not have %s; the guest does without", missing);
}

static void take_soft(struct run_job *job)
{
    if (job->device >= 0)
        close(job->device);
    job->device = -1;
    job->engine = &accel_soft;
}

static void choose_auto(struct run_job *job)
{
    struct accel_limits limits;
    struct err err = {0};
    u64 speed = 0;
    bool counted = job->config.icount, traced = job->config.trace_exits || job->config.trace_nested;
    bool debugged = job->config.gdb_port || job->config.gdb_path;
    bool translated = job->config.trace_jit || job->config.trace_perf || job->config.trace_gdbjit;
    if (!counted && !traced && !debugged && !translated && open_kvm(job, &limits, &err) == 0 &&
        kvm_measure(job->device, &speed, &err) == 0 && speed >= KVM_WORTH_IT) {
        job->engine = &accel_kvm;
        log_line("engine kvm (/dev/kvm runs %" PRIu64 " million instructions a second)", speed / 1000000);
        tell_missing(job, &limits);
        return;
    }
    take_soft(job);
    if (counted)
        log_line("engine soft (--icount: kvm counts no instructions)");
    else if (traced)
        log_line(
            "engine soft (--trace exits, --trace nested: kvm shows no exit to a hypervisor in the guest)");
    else if (debugged)
        log_line("engine soft (--gdb: kvm cannot stop and step a guest unseen)");
    else if (translated)
        log_line("engine soft (--trace jit, perf, gdbjit: kvm translates nothing)");
    else if (err.status)
        log_line("engine soft (kvm: %s)", err.text);
    else
        log_line("engine soft (kvm: /dev/kvm interprets here, %" PRIu64 ".%" PRIu64
                 " million instructions a second)",
                 speed / 1000000, speed / 100000 % 10);
}

int engine_choose(struct run_job *job, struct err *err)
{
    struct accel_limits limits;
    job->device = -1;
    job->engine = &accel_soft;
    if (job->config.engine == RUN_ENGINE_AUTO)
        choose_auto(job);
    if (job->config.engine != RUN_ENGINE_KVM)
        return 0;
    if (open_kvm(job, &limits, err))
        return -1;
    job->engine = &accel_kvm;
    tell_missing(job, &limits);
    return 0;
}
