/* SPDX-License-Identifier: MIT */
/* Add-, Remove-, Rename-, Connect- and Disconnect-VMNetworkAdapter, and the VLANs. */
#include "cmd/vm/adapters.h"
#include "mgmt/adapters.h"

static const struct adapter_params all_params = {"VMName", "VM", "VMNetworkAdapter", "Name"};

/* ---- Add-VMNetworkAdapter ---- */

static int apply_add(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    const char *mac = arg_string(c, "StaticMacAddress");
    if (mac && arg_switch(c, "DynamicMacAddress"))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "An address is static or dynamic: give -StaticMacAddress or -DynamicMacAddress.");
    return adapter_add(k, arg_string(c, "Name"), mac, arg_string(c, "SwitchName"), err);
}

static int add_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct vm_change change = {
        "Network Adapter", "add a network adapter to the virtual machine \"%s\".", .apply = apply_add};
    struct vm_entry now;
    int result;
    if (!vm_change(c, v, e, &change, &now, &result))
        return result;
    return arg_switch(c, "Passthru") ? emit(c, adapter_object(c, &now, now.config->adapter_count - 1)) : 0;
}

static int add_adapter(struct cmdlet_call *c)
{
    return vms_each(c, "VMName", "VM", add_one);
}
const struct cmdlet_ops cmdlet_add_vm_network_adapter = ADAPTERS_OPS(add_adapter);

/* ---- Remove-VMNetworkAdapter ---- */

static int apply_remove(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    struct vm_adapter *n = adapter_changed(c, k, err);
    if (!n)
        return -1;
    memmove(n, n + 1, (size_t)(k->adapters + k->adapter_count - (n + 1)) * sizeof(*n));
    k->adapter_count--;
    return 0;
}

static int remove_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, unsigned adapter)
{
    static const struct vm_change change = {"Network Adapter",
                                            "remove a network adapter from the virtual machine \"%s\".",
                                            .apply = apply_remove};
    struct adapters_state *s = call_state(c);
    struct value was = adapter_object(c, e, adapter);
    struct vm_entry now;
    int result;
    memcpy(s->adapter, e->config->adapters[adapter].id, sizeof(s->adapter));
    if (!vm_change(c, v, e, &change, &now, &result))
        return result;
    return arg_switch(c, "Passthru") ? emit(c, was) : 0;
}

static int remove_adapter(struct cmdlet_call *c)
{
    return adapters_each(c, &all_params, remove_one);
}
const struct cmdlet_ops cmdlet_remove_vm_network_adapter = ADAPTERS_OPS(remove_adapter);

/* ---- Rename-VMNetworkAdapter ---- */

static int apply_rename(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    struct vm_adapter *n = adapter_changed(c, k, err);
    return n ? adapter_rename(n, arg_string(c, "NewName"), err) : -1;
}

static int rename_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, unsigned adapter)
{
    static const struct vm_change change = {"Network Adapter",
                                            "rename a network adapter of the virtual machine \"%s\".",
                                            apply_rename, adapter_tell_rules};
    return adapter_change(c, v, e, adapter, &change, adapter_object);
}

static int rename_adapter(struct cmdlet_call *c)
{
    return adapters_each(c, &all_params, rename_one);
}
const struct cmdlet_ops cmdlet_rename_vm_network_adapter = ADAPTERS_OPS(rename_adapter);

/* ---- Connect- and Disconnect-VMNetworkAdapter ---- */

static int tell_connection(struct cmdlet_call *c, const struct vm_config *k, struct err *err)
{
    struct vms *v = call_state(c);
    const struct vm_adapter *n = adapter_changed(c, (struct vm_config *)k, err);
    return n ? adapter_connect(&v->store, k, (unsigned)(n - k->adapters), err) : -1;
}

static int apply_connect(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    struct vm_adapter *n = adapter_changed(c, k, err);
    struct value name = object_get(arg_value(c, "VMSwitch"), "Name");
    if (!n)
        return -1;
    return adapter_name_switch(n, name.kind == VALUE_STRING ? name.string : arg_string(c, "SwitchName"), err);
}

static int connect_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, unsigned adapter)
{
    static const struct vm_change change = {"Network Adapter",
                                            "connect a network adapter of the virtual machine \"%s\".",
                                            apply_connect, tell_connection};
    return adapter_change(c, v, e, adapter, &change, adapter_object);
}

static const struct adapter_params connect_params = {"VMName", NULL, "VMNetworkAdapter", "Name"};

static int connect_adapter(struct cmdlet_call *c)
{
    return adapters_each(c, &connect_params, connect_one);
}
const struct cmdlet_ops cmdlet_connect_vm_network_adapter = ADAPTERS_OPS(connect_adapter);

static int apply_disconnect(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    struct vm_adapter *n = adapter_changed(c, k, err);
    if (!n)
        return -1;
    n->switch_name[0] = 0;
    return 0;
}

static int disconnect_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, unsigned adapter)
{
    static const struct vm_change change = {"Network Adapter",
                                            "disconnect a network adapter of the virtual machine \"%s\".",
                                            apply_disconnect, tell_connection};
    return adapter_change(c, v, e, adapter, &change, adapter_object);
}

static int disconnect_adapter(struct cmdlet_call *c)
{
    return adapters_each(c, &connect_params, disconnect_one);
}
const struct cmdlet_ops cmdlet_disconnect_vm_network_adapter = ADAPTERS_OPS(disconnect_adapter);

/* ---- VLANs ---- */

static const struct adapter_params vlan_params = {"VMName", "VM", "VMNetworkAdapter", "VMNetworkAdapterName"};

static struct value show_vlan(struct cmdlet_call *c, const struct vm_entry *e, unsigned adapter)
{
    struct arena *a = call_arena(c);
    const struct vm_adapter *n = &e->config->adapters[adapter];
    struct value o = vm_part(c, "VMNetworkAdapterVlanSetting", e);
    object_set(o, "VMNetworkAdapterName", value_string(a, n->name));
    object_set(o, "OperationMode", value_static(port_vlan_words[n->vlan_mode]));
    object_set(o, "AccessVlanId", value_int((i64)n->vlan));
    object_set(o, "NativeVlanId", value_int((i64)n->native_vlan));
    object_set(o, "AllowedVlanIdList", value_string(a, n->trunk_vlans));
    object_set(o, "VlanList", value_string(a, adapter_vlans(c, n)));
    return o;
}

static int give_vlan(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, unsigned adapter)
{
    return emit(c, show_vlan(c, e, adapter));
}

static int get_vlan(struct cmdlet_call *c)
{
    return adapters_each(c, &vlan_params, give_vlan);
}
const struct cmdlet_ops cmdlet_get_vm_network_adapter_vlan = ADAPTERS_OPS(get_vlan);

static int set_access(struct cmdlet_call *c, struct vm_adapter *n, struct err *err)
{
    n->vlan_mode = PORT_ACCESS;
    n->vlan = (u64)arg_int(c, "VlanId", (i64)n->vlan);
    return n->vlan ? 0
                   : err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                                "-Access needs a VLAN: -VlanId 1 to 4094.");
}

static int set_trunk(struct cmdlet_call *c, struct vm_adapter *n, struct err *err)
{
    const char *list = arg_string(c, "AllowedVlanIdList");
    struct vlan_set set;
    if (list && (strlen(list) >= sizeof(n->trunk_vlans) || vlan_set_parse(&set, list, NULL)))
        return err_set_id(
            err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
            "'%.60s' is no list of VLANs: give numbers and ranges from 0 to 4094 in quotes, such as "
            "'1-100,200'.",
            list);
    if (list)
        strcpy(n->trunk_vlans, list);
    if (!n->trunk_vlans[0])
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "-Trunk needs VLANs: -AllowedVlanIdList, such as '1-100,200'.");
    n->vlan_mode = PORT_TRUNK;
    n->native_vlan = (u64)arg_int(c, "NativeVlanId", (i64)n->native_vlan);
    return 0;
}

static int apply_vlan(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    struct vm_adapter *n = adapter_changed(c, k, err);
    bool untagged = arg_switch(c, "Untagged"), access = arg_switch(c, "Access"),
         trunk = arg_switch(c, "Trunk");
    if (!n)
        return -1;
    if (untagged + access + trunk != 1)
        return err_set_id(
            err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
            "Give one mode: -Untagged, -Access with -VlanId, or -Trunk with -AllowedVlanIdList.");
    if ((arg_given(c, "VlanId") && !access) ||
        ((arg_given(c, "AllowedVlanIdList") || arg_given(c, "NativeVlanId")) && !trunk))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "-VlanId belongs to -Access, -AllowedVlanIdList and -NativeVlanId to -Trunk.");
    if (untagged)
        n->vlan_mode = PORT_UNTAGGED;
    return untagged ? 0 : access ? set_access(c, n, err) : set_trunk(c, n, err);
}

static int set_vlan_of(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, unsigned adapter)
{
    static const struct vm_change change = {
        "Network Adapter", "configure the VLANs of a network adapter of the virtual machine \"%s\".",
        apply_vlan, adapter_tell_rules};
    return adapter_change(c, v, e, adapter, &change, show_vlan);
}

static int set_vlan(struct cmdlet_call *c)
{
    return adapters_each(c, &vlan_params, set_vlan_of);
}
const struct cmdlet_ops cmdlet_set_vm_network_adapter_vlan = ADAPTERS_OPS(set_vlan);
