/* SPDX-License-Identifier: MIT */
/* New-VM, Get-VM, Set-VM, Rename-VM, Update-VMVersion: definitions. */
#include <stdio.h>
#include <stdlib.h>

#include "cmd/vm/adapters.h"
#include "cmd/vm/disks.h"
#include "cmd/vm/stores.h"
#include "cmd/vm/vms.h"

/* ---- New-VM ---- */

static int set_version(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    const char *text = arg_string(c, "Version");
    if (!text)
        return 0;
    if (version_parse(text, &k->version) && version_known(k->version))
        return 0;
    return err_set_id(
        err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
        "'%.40s' is no configuration version of this host. Get-VMHostSupportedVersion lists them.", text);
}

static int set_name(char out[101], const char *name, struct err *err)
{
    if (!*name)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "A virtual machine's name is not empty.");
    if (strlen(name) > 100)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "A virtual machine's name has at most 100 bytes; this one has %zu.", strlen(name));
    strcpy(out, name);
    return 0;
}

static int set_vendor(struct cmdlet_call *c, struct vm_config *k)
{
    struct host_facts host;
    if (arg_given(c, "Vendor"))
        return arg_word(c, "Vendor");
    vm_host_processor(c, &host);
    return (int)host.vendor;
}

static int compose(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    const char *name = arg_string(c, "Name");
    const char *disk = arg_given(c, "VHDPath") ? arg_string(c, "VHDPath") : arg_string(c, "NewVHDPath");
    vm_config_init(k);
    k->vendor = (unsigned)set_vendor(c, k);
    if (arg_given(c, "Engine"))
        k->engine = (unsigned)arg_word(c, "Engine");
    if (adapter_add(k, NULL, NULL, arg_string(c, "SwitchName"), err) ||
        set_name(k->name, name ? name : "New virtual machine", err) ||
        vm_set_memory(&k->memory, arg_int(c, "MemoryStartupBytes", 512 * (i64)MIB), err) ||
        set_version(c, k, err))
        return -1;
    if (!disk)
        return 0;
    if (arg_given(c, "NewVHDPath"))
        return disk_make(c, disk, arg_int(c, "NewVHDSizeBytes", 0), err) || disk_add(c, k, disk, -1, -1, err)
                   ? -1
                   : 0;
    return disk_add(c, k, disk, -1, -1, err);
}

static int new_vm(struct cmdlet_call *c)
{
    struct vms *v = call_state(c);
    struct err err = {0};
    struct vm_entry e = {.config = arena_alloc(call_arena(c), sizeof(*e.config))};
    const char *name = arg_string(c, "Name");
    struct vm_deed d = {"Failed to create the virtual machine.", "failed to be created"};
    int result = 0;
    if (!call_should(c, "create the virtual machine \"%s\".", name ? name : "New virtual machine"))
        return 0;
    if (compose(c, e.config, &err))
        return call_error_from(c, &err, name, d.text);
    struct rule_case rc = {.occasion = ON_CREATE, .after = e.config};
    if (!vm_rules(c, &e, d, &rc, &result))
        return result;
    if (store_create(&v->store, e.config, &err))
        return call_error_from(c, &err, name, d.text);
    memcpy(e.id, e.config->id, sizeof(e.id));
    return emit(c, vm_object(c, v, &e));
}
const struct cmdlet_ops cmdlet_new_vm = VMS_OPS(new_vm);

/* ---- Get-VM ---- */

static int give(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    return emit(c, vm_object(c, v, e));
}

static int give_all(struct cmdlet_call *c, struct vms *v)
{
    for (unsigned i = 0; i < v->count; i++) {
        const struct vm_entry *e = &v->list[i];
        if (!e->config)
            call_warning(c, "The virtual machine %s cannot be used and was left as it is: %s.", e->id,
                         e->fault.text);
        else if (give(c, v, e))
            return -1;
    }
    stores_tell_others(c, STORES_VMS);
    return 0;
}

static int get_vm(struct cmdlet_call *c)
{
    struct vms *v = call_state(c);
    const char *id = arg_string(c, "Id");
    if (vms_refresh(c))
        return -1;
    if (!id)
        return arg_given(c, "Name") ? vms_each(c, "Name", NULL, give) : give_all(c, v);
    const struct vm_entry *e = vms_find(v, id);
    if (e && e->config)
        return give(c, v, e);
    return call_error(c, ERROR_NOT_FOUND, id,
                      "Droste was unable to find a virtual machine with id \"%s\".%s%s", id, e ? "\n" : "",
                      e ? e->fault.text : "");
}
const struct cmdlet_ops cmdlet_get_vm = VMS_OPS(get_vm);

/* ---- Set-VM and Rename-VM ---- */

static int apply_set(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    const char *notes = arg_string(c, "Notes");
    if (notes && strlen(notes) >= sizeof(k->notes))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER, "Notes have at most %zu bytes.",
                          sizeof(k->notes) - 1);
    if (notes)
        strcpy(k->notes, notes);
    k->processors = (u64)arg_int(c, "ProcessorCount", (i64)k->processors);
    if (arg_given(c, "AutomaticStartAction"))
        k->start_action = (unsigned)arg_word(c, "AutomaticStartAction");
    k->start_delay = (u64)arg_int(c, "AutomaticStartDelay", (i64)k->start_delay);
    if (arg_given(c, "AutomaticStopAction"))
        k->stop_action = (unsigned)arg_word(c, "AutomaticStopAction");
    if (arg_switch(c, "StaticMemory") && arg_switch(c, "DynamicMemory"))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "Memory is either static or dynamic: give -StaticMemory or -DynamicMemory.");
    if (arg_switch(c, "StaticMemory") || arg_switch(c, "DynamicMemory"))
        k->dynamic = arg_switch(c, "DynamicMemory");
    if (vm_give_memory(c, "MemoryStartupBytes", &k->memory, err) ||
        vm_give_memory(c, "MemoryMinimumBytes", &k->memory_minimum, err) ||
        vm_give_memory(c, "MemoryMaximumBytes", &k->memory_maximum, err))
        return -1;
    return arg_given(c, "NewVMName") ? set_name(k->name, arg_string(c, "NewVMName"), err) : 0;
}

static int set_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct vm_change change = {NULL, "configure the virtual machine \"%s\".", .apply = apply_set,
                                            .tell = adapters_tell_name};
    struct vm_entry now;
    int result;
    return vm_change(c, v, e, &change, &now, &result) ? vm_passthru(c, v, &now) : result;
}

static int set_vm(struct cmdlet_call *c)
{
    return vms_each(c, "Name", "VM", set_one);
}
const struct cmdlet_ops cmdlet_set_vm = VMS_OPS(set_vm);

static int apply_rename(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    return set_name(k->name, arg_string(c, "NewName"), err);
}

static int rename_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct vm_change change = {NULL, "rename the virtual machine \"%s\".", .apply = apply_rename,
                                            .tell = adapters_tell_name};
    struct vm_entry now;
    int result;
    return vm_change(c, v, e, &change, &now, &result) ? vm_passthru(c, v, &now) : result;
}

static int rename_vm(struct cmdlet_call *c)
{
    return vms_each(c, "Name", "VM", rename_one);
}
const struct cmdlet_ops cmdlet_rename_vm = VMS_OPS(rename_vm);

/* ---- Update-VMVersion ---- */

static int apply_update(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    k->version = version_newest();
    return 0;
}

static int update_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct vm_change change = {
        NULL, "update the configuration version of the virtual machine \"%s\".", .apply = apply_update};
    struct vm_entry now;
    int result;
    if (e->config->version == version_newest()) {
        call_warning(c, "The virtual machine \"%s\" has the newest configuration version.", e->config->name);
        return vm_passthru(c, v, e);
    }
    if (!arg_switch(c, "Force") &&
        !call_confirmed(c, "There is no way back from an update of the configuration version of \"%s\".",
                        e->config->name))
        return 0;
    return vm_change(c, v, e, &change, &now, &result) ? vm_passthru(c, v, &now) : result;
}

static int update_vm_version(struct cmdlet_call *c)
{
    return vms_each(c, "Name", "VM", update_one);
}
const struct cmdlet_ops cmdlet_update_vm_version = VMS_OPS(update_vm_version);
