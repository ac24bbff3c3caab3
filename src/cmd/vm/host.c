/* SPDX-License-Identifier: MIT */
/* Get-VMHost, Get-VMHostSupportedVersion. */
#include <limits.h>
#include <unistd.h>

#include "cmd/vm/vms.h"
#include "mgmt/mac_pool.h"

static struct value engine(struct cmdlet_call *c, const char *name, enum vm_vendor vendor, bool runs,
                           bool nests, const char *reason)
{
    struct arena *a = call_arena(c);
    struct value o = object_new(a, call_type(c, "VMHostEngine"));
    object_set(o, "Engine", value_static(name));
    object_set(o, "Vendor", value_static(vm_vendor_words[vendor]));
    object_set(o, "CanRun", value_bool(runs));
    object_set(o, "CanNest", value_bool(nests));
    object_set(o, "Reason", value_string(a, reason));
    return o;
}

static struct value engines(struct cmdlet_call *c, const struct host_facts *h)
{
    struct value rows[4];
    unsigned n = 0;
    for (enum vm_vendor v = 0; v < 2; v++)
        rows[n++] = engine(c, "Soft", v, true, true, "");
    for (enum vm_vendor v = 0; v < 2; v++)
        rows[n++] =
            engine(c, "KVM", v, h->kvm, h->kvm && h->kvm_nests[v], h->kvm ? h->kvm_no_nested[v] : h->kvm_why);
    return value_array(call_arena(c), rows, n);
}

static struct value chosen(struct cmdlet_call *c, const struct host_facts *h)
{
    struct arena *a = call_arena(c);
    if (!h->kvm)
        return value_printf(a, "Soft: %s", h->kvm_why);
    if (!h->kvm_worth_it)
        return value_printf(a, "Soft: /dev/kvm interprets here, %llu.%llu million instructions a second",
                            (unsigned long long)h->kvm_speed / 1000000,
                            (unsigned long long)h->kvm_speed / 100000 % 10);
    return value_static("KVM");
}

static int get_vm_host(struct cmdlet_call *c)
{
    struct vms *v = call_state(c);
    struct arena *a = call_arena(c);
    struct host_facts h;
    char name[HOST_NAME_MAX + 1] = "localhost", first[13], last[13];
    gethostname(name, sizeof(name) - 1);
    vm_host(c, &h);
    struct value o = object_new(a, call_type(c, "VMHost"));
    object_set(o, "Name", value_string(a, name));
    object_set(o, "ComputerName", value_string(a, name));
    object_set(o, "LogicalProcessorCount", value_int(h.processors));
    object_set(o, "MemoryCapacity", value_int((i64)h.memory));
    object_set(o, "VirtualMachinePath", value_string(a, v->store.data_path));
    if (mac_pool_range(first, last, NULL) == 0) {
        object_set(o, "MacAddressMinimum", value_string(a, first));
        object_set(o, "MacAddressMaximum", value_string(a, last));
    }
    object_set(o, "ProcessorVendor", value_static(vm_vendor_words[h.vendor]));
    object_set(o, "EngineAuto", chosen(c, &h));
    object_set(o, "Engines", engines(c, &h));
    return emit(c, o);
}
const struct cmdlet_ops cmdlet_get_vm_host = VMS_OPS(get_vm_host);

static int get_versions(struct cmdlet_call *c)
{
    struct arena *a = call_arena(c);
    unsigned count;
    const struct vm_version *list = version_list(&count);
    for (unsigned i = 0; i < count; i++) {
        char text[VERSION_TEXT_MAX];
        if (arg_switch(c, "Default") && !list[i].is_default)
            continue;
        struct value o = object_new(a, call_type(c, "VMHostSupportedVersion"));
        object_set(o, "Name", value_printf(a, "Microsoft %s", list[i].name));
        object_set(o, "Version", value_string(a, version_print(list[i].version, text)));
        object_set(o, "IsDefault", value_bool(list[i].is_default));
        if (emit(c, o))
            return -1;
    }
    return 0;
}
const struct cmdlet_ops cmdlet_get_vm_host_supported_version = {.process = get_versions};
