/* SPDX-License-Identifier: MIT */
/* Get- and Set- of VMProcessor, VMMemory and VMFirmware. */
#include "cmd/vm/vms.h"

/* A part of a VM: how it is shown and how it is changed. */
struct part {
    struct value (*show)(struct cmdlet_call *c, const struct vm_entry *e);
    struct vm_change change;
};

static int set_part(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, const struct part *p)
{
    struct vm_entry now;
    int result;
    if (!vm_change(c, v, e, &p->change, &now, &result))
        return result;
    return arg_switch(c, "Passthru") ? emit(c, p->show(c, &now)) : 0;
}

/* ---- processor ---- */

static struct value show_processor(struct cmdlet_call *c, const struct vm_entry *e)
{
    const struct vm_config *k = e->config;
    struct value o = vm_part(c, "VMProcessor", e);
    object_set(o, "Count", value_int((i64)k->processors));
    object_set(o, "CompatibilityForMigrationEnabled", value_bool(false));
    object_set(o, "CompatibilityForOlderOperatingSystemsEnabled", value_bool(false));
    object_set(o, "HwThreadCountPerCore", value_int(1));
    object_set(o, "ExposeVirtualizationExtensions", value_bool(k->expose));
    object_set(o, "Vendor", value_static(vm_vendor_words[k->vendor]));
    object_set(o, "Engine", value_static(vm_engine_words[k->engine]));
    object_set(o, "Name", value_static("Processor"));
    return o;
}

static int apply_processor(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    k->processors = (u64)arg_int(c, "Count", (i64)k->processors);
    if (arg_given(c, "ExposeVirtualizationExtensions"))
        k->expose = arg_switch(c, "ExposeVirtualizationExtensions");
    if (arg_given(c, "Vendor"))
        k->vendor = (unsigned)arg_word(c, "Vendor");
    if (arg_given(c, "Engine"))
        k->engine = (unsigned)arg_word(c, "Engine");
    return 0;
}

static const struct part processor = {

    show_processor,
    {"Processor", "configure the processor settings of the virtual machine \"%s\".",
     .apply = apply_processor}};

static int get_processor(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    return emit(c, show_processor(c, e));
}

static int get_vm_processor(struct cmdlet_call *c)
{
    return vms_each(c, "VMName", "VM", get_processor);
}
const struct cmdlet_ops cmdlet_get_vm_processor = VMS_OPS(get_vm_processor);

static int set_processor(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    return set_part(c, v, e, &processor);
}

static int set_vm_processor(struct cmdlet_call *c)
{
    return arg_given(c, "VMProcessor") ? vms_each(c, NULL, "VMProcessor", set_processor)
                                       : vms_each(c, "VMName", "VM", set_processor);
}
const struct cmdlet_ops cmdlet_set_vm_processor = VMS_OPS(set_vm_processor);

/* ---- memory ---- */

static struct value show_memory(struct cmdlet_call *c, const struct vm_entry *e)
{
    const struct vm_config *k = e->config;
    struct value o = vm_part(c, "VMMemory", e);
    object_set(o, "DynamicMemoryEnabled", value_bool(k->dynamic));
    object_set(o, "Minimum", value_int((i64)k->memory_minimum));
    object_set(o, "Startup", value_int((i64)k->memory));
    object_set(o, "Maximum", value_int((i64)k->memory_maximum));
    object_set(o, "Buffer", value_int((i64)k->memory_buffer));
    object_set(o, "Priority", value_int((i64)k->memory_priority));
    object_set(o, "Name", value_static("Memory"));
    return o;
}

static int apply_memory(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    if (arg_given(c, "DynamicMemoryEnabled"))
        k->dynamic = arg_switch(c, "DynamicMemoryEnabled");
    k->memory_buffer = (u64)arg_int(c, "Buffer", (i64)k->memory_buffer);
    k->memory_priority = (u64)arg_int(c, "Priority", (i64)k->memory_priority);
    return vm_give_memory(c, "StartupBytes", &k->memory, err) ||
                   vm_give_memory(c, "MinimumBytes", &k->memory_minimum, err) ||
                   vm_give_memory(c, "MaximumBytes", &k->memory_maximum, err)
               ? -1
               : 0;
}

static const struct part memory = {
    show_memory,
    {"Memory", "configure the memory settings of the virtual machine \"%s\".", .apply = apply_memory}};

static int get_memory(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    return emit(c, show_memory(c, e));
}

static int get_vm_memory(struct cmdlet_call *c)
{
    return vms_each(c, "VMName", "VM", get_memory);
}
const struct cmdlet_ops cmdlet_get_vm_memory = VMS_OPS(get_vm_memory);

static int set_memory(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    return set_part(c, v, e, &memory);
}

static int set_vm_memory(struct cmdlet_call *c)
{
    return arg_given(c, "VMMemory") ? vms_each(c, NULL, "VMMemory", set_memory)
                                    : vms_each(c, "VMName", "VM", set_memory);
}
const struct cmdlet_ops cmdlet_set_vm_memory = VMS_OPS(set_vm_memory);

/* ---- firmware ---- */

static struct value show_firmware(struct cmdlet_call *c, const struct vm_entry *e)
{
    struct arena *a = call_arena(c);
    const struct vm_config *k = e->config;
    struct value o = vm_part(c, "VMFirmware", e);
    object_set(o, "KernelPath", value_string(a, k->kernel));
    object_set(o, "InitialRamDiskPath", value_string(a, k->initrd));
    object_set(o, "KernelCommandLine", value_string(a, k->cmdline));
    return o;
}

static int apply_path(struct cmdlet_call *c, const char *param, char *out, struct err *err)
{
    if (!arg_given(c, param))
        return 0;
    const char *path = vm_path(c, arg_string(c, param), true, err);
    if (path)
        strcpy(out, path);
    return path ? 0 : -1;
}

static int apply_firmware(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    const char *line = arg_string(c, "KernelCommandLine");
    if (line && strlen(line) >= sizeof(k->cmdline))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "A kernel's command line has at most %zu bytes.", sizeof(k->cmdline) - 1);
    if (line)
        strcpy(k->cmdline, line);
    return apply_path(c, "KernelPath", k->kernel, err) || apply_path(c, "InitialRamDiskPath", k->initrd, err)
               ? -1
               : 0;
}

static const struct part firmware = {

    show_firmware,
    {"Firmware", "configure the firmware settings of the virtual machine \"%s\".", .apply = apply_firmware}};

static int get_firmware(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    return emit(c, show_firmware(c, e));
}

static int get_vm_firmware(struct cmdlet_call *c)
{
    return vms_each(c, "VMName", "VM", get_firmware);
}
const struct cmdlet_ops cmdlet_get_vm_firmware = VMS_OPS(get_vm_firmware);

static int set_firmware(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    return set_part(c, v, e, &firmware);
}

static int set_vm_firmware(struct cmdlet_call *c)
{
    return arg_given(c, "VMFirmware") ? vms_each(c, NULL, "VMFirmware", set_firmware)
                                      : vms_each(c, "VMName", "VM", set_firmware);
}
const struct cmdlet_ops cmdlet_set_vm_firmware = VMS_OPS(set_vm_firmware);
