/* SPDX-License-Identifier: MIT */
/* Measure-VM and Enable-, Disable- and Reset-VMResourceMetering. */
#include <sys/stat.h>
#include <time.h>

#include "cmd/vm/vms.h"

static int apply_enable(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    struct vms *v = call_state(c);
    if (!k->metering || text_equal(call_name(c), "Reset-VMResourceMetering"))
        worker_meter_from_now(&v->store, k->id, k);
    return 0;
}

static int apply_reset(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    if (k->metering)
        return apply_enable(c, k, err);
    return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_STATE,
                      "Resource metering is not enabled. Enable-VMResourceMetering enables it.");
}

static int apply_disable(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    k->metering = false;
    return 0;
}

static int change(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, const struct vm_change *ch)
{
    struct vm_entry now;
    int result;
    return vm_change(c, v, e, ch, &now, &result) ? 0 : result;
}

static int enable_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct vm_change ch = {NULL, "enable resource metering of the virtual machine \"%s\".",
                                        .apply = apply_enable};
    return change(c, v, e, &ch);
}

static int disable_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct vm_change ch = {NULL, "disable resource metering of the virtual machine \"%s\".",
                                        .apply = apply_disable};
    return change(c, v, e, &ch);
}

static int reset_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct vm_change ch = {NULL, "reset resource metering of the virtual machine \"%s\".",
                                        .apply = apply_reset};
    return change(c, v, e, &ch);
}

static int enable(struct cmdlet_call *c)
{
    return vms_each(c, "VMName", "VM", enable_one);
}
const struct cmdlet_ops cmdlet_enable_vm_resource_metering = VMS_OPS(enable);

static int disable(struct cmdlet_call *c)
{
    return vms_each(c, "VMName", "VM", disable_one);
}
const struct cmdlet_ops cmdlet_disable_vm_resource_metering = VMS_OPS(disable);

static int reset(struct cmdlet_call *c)
{
    return vms_each(c, "VMName", "VM", reset_one);
}
const struct cmdlet_ops cmdlet_reset_vm_resource_metering = VMS_OPS(reset);

/* ---- Measure-VM ---- */

static i64 disk_megabytes(const struct vm_config *k)
{
    i64 sum = 0;
    struct stat st;
    for (unsigned i = 0; i < k->disk_count; i++)
        if (stat(k->disks[i].path, &st) == 0)
            sum += st.st_size;
    return sum / (i64)MIB;
}

static int measure_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    const struct vm_config *k = e->config;
    struct host_facts host;
    if (!k->metering)
        return call_error(c, ERROR_INVALID_STATE, k->name,
                          "Resource metering is not enabled for '%s'. Enable-VMResourceMetering enables it.",
                          k->name);
    vm_host_processor(c, &host);
    i64 seconds = (i64)time(NULL) - (i64)k->metered_since, memory = (i64)(k->memory / MIB);
    u64 cpu_ms = worker_metered_cpu(&v->store, e->id, k);
    struct value o = vm_part(c, "VMMeteringReport", e);
    object_set(o, "MeteringDuration", value_span((seconds > 0 ? seconds : 0) * 10000000));
    object_set(o, "AverageProcessorUsage",
               value_int((i64)(cpu_ms * host.mhz / 1000 / (u64)(seconds > 1 ? seconds : 1))));
    object_set(o, "ProcessorTime", value_span((i64)cpu_ms * 10000));
    object_set(o, "AverageMemoryUsage", value_int(memory));
    object_set(o, "MinimumMemoryUsage", value_int(memory));
    object_set(o, "MaximumMemoryUsage", value_int(memory));
    object_set(o, "TotalDiskAllocation", value_int(disk_megabytes(k)));
    object_set(o, "NetworkInbound", value_int(0));
    object_set(o, "NetworkOutbound", value_int(0));
    return emit(c, o);
}

static int measure_vm(struct cmdlet_call *c)
{
    return vms_each(c, "Name", "VM", measure_one);
}
const struct cmdlet_ops cmdlet_measure_vm = VMS_OPS(measure_vm);
