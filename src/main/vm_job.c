/* SPDX-License-Identifier: MIT */
/* A definition becomes a struct run_config; everything behind it is `droste run`'s. */
#include "main/vm_job.h"

#include <unistd.h>

#include "main/engine.h"

static enum run_engine engine_of(const struct vm_config *c, const char *forced)
{
    static const enum run_engine engines[] = {RUN_ENGINE_AUTO, RUN_ENGINE_SOFT, RUN_ENGINE_KVM};
    if (forced[0])
        return strcmp(forced, "kvm") == 0 ? RUN_ENGINE_KVM : RUN_ENGINE_SOFT;
    return engines[c->engine];
}

/* A bound for growth that any host can set: it never has more. Dynamic memory has its own below. */
static u64 host_memory(void)
{
    return (u64)sysconf(_SC_PHYS_PAGES) * (u64)sysconf(_SC_PAGESIZE);
}

static void translate(struct run_config *r, const struct vm_config *c, const struct vm_state_origin *saved)
{
    *r = (struct run_config){
        .name = c->name,
        .engine = engine_of(c, saved ? saved->engine : ""),
        .vendor = c->vendor == VM_VENDOR_AMD ? RUN_VENDOR_AMD : RUN_VENDOR_INTEL,
        .memory = saved ? saved->memory : c->memory,
        .memory_most = saved ? saved->memory_most : host_memory(),
        .cpus = (unsigned)c->processors,
        .kernel = c->kernel,
        .append = c->cmdline[0] ? c->cmdline : NULL,
        .serial = RUN_SERIAL_NONE,
        .nested = c->expose,
    };
    if (c->initrd[0])
        r->modules[r->module_count++] = (struct run_module){c->initrd, ""};
    for (unsigned i = 0; i < c->disk_count; i++)
        r->disks[r->disk_count++] = (struct run_disk){.file = c->disks[i].path};
    for (unsigned i = 0; i < c->adapter_count; i++) {
        struct run_net *n = &r->nets[r->net_count++];
        *n = (struct run_net){.switch_name = c->adapters[i].switch_name};
        n->has_mac = port_rule_mac(&c->adapters[i].rule, n->mac);
    }
}

int vm_job_open(struct run_job *job, const struct vm_config *c, const struct vm_state_origin *saved,
                struct err *err)
{
    _Static_assert((int)VM_DISKS_MAX <= (int)RUN_DISKS_MAX && (int)VM_ADAPTERS_MAX <= (int)RUN_NETS_MAX,
                   "what a definition has, a run takes");
    translate(&job->config, c, saved);
    for (unsigned i = 0; i < RUN_NETS_MAX; i++)
        job->net_worker[i] = -1; /* cables come by message */
    job->smaps = -1;
    return run_files_open(&job->files, &job->config, err) || engine_choose(job, err) ? -1 : 0;
}
