/* SPDX-License-Identifier: MIT */
/*
 * Get- and Set-VMNetworkAdapter. An adapter is found again by its Id, "Microsoft:VMID\\ADAPTERID", whatever
 * its place and name are then.
 */
#include "cmd/vm/adapters.h"

#include <stdlib.h>

#include "cmd/vm/switches.h"
#include "mgmt/adapters.h"
#include "mgmt/mac_pool.h"

enum { NOTICE_SIZE = sizeof(((struct message *)0)->notice) };

static const struct adapter_params all_params = {"VMName", "VM", "VMNetworkAdapter", "Name"};

/* ---- which ---- */

static int of_vm(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    struct adapters_state *s = call_state(c);
    const char *name = s->params->name ? arg_string(c, s->params->name) : NULL;
    bool found = false;
    for (unsigned i = 0; i < e->config->adapter_count; i++) {
        if (name && !wildcard_match(name, e->config->adapters[i].name))
            continue;
        found = true;
        if (s->act(c, v, e, i))
            return -1;
    }
    if (found || !name || wildcard_has(name))
        return 0;
    return call_error(
        c, ERROR_NOT_FOUND, e->config->name,
        "Droste was unable to find a network adapter named '%s' in '%s'.\nGet-VMNetworkAdapter lists "
        "them.",
        name, e->config->name);
}

static int of_object(struct cmdlet_call *c, struct vms *v, struct value o, adapter_act *act)
{
    struct value vm = object_get(o, "VMId"), id = object_get(o, "Id");
    const char *adapter = id.kind == VALUE_STRING ? strrchr(id.string, '\\') : NULL;
    struct vm_entry e = {.config = NULL};
    int r = -2;
    if (vm.kind == VALUE_STRING && adapter)
        (void)store_load(&v->store, vm.string, &e);
    for (unsigned i = 0; e.config && i < e.config->adapter_count && r == -2; i++)
        if (text_equal(e.config->adapters[i].id, adapter + 1))
            r = act(c, v, &e, i);
    free(e.config);
    if (r != -2)
        return r;
    return call_error(c, ERROR_NOT_FOUND, NULL,
                      value_truth(object_get(o, "IsManagementOs"))
                          ? "The host's adapter on a virtual switch is not changed so: Set-VMSwitch."
                          : "The network adapter of this object is not there any more.");
}

int adapters_each(struct cmdlet_call *c, const struct adapter_params *p, adapter_act *act)
{
    struct adapters_state *s = call_state(c);
    s->params = p;
    s->act = act;
    for (unsigned i = 0; p->objects && i < arg_count(c, p->objects); i++)
        if (of_object(c, &s->vms, arg_at(c, p->objects, i), act))
            return -1;
    return vms_each(c, p->vm_names, p->vms, of_vm);
}

/* ---- shown ---- */

const char *adapter_vlans(struct cmdlet_call *c, const struct vm_adapter *a)
{
    if (a->vlan_mode == PORT_ACCESS)
        return arena_printf(call_arena(c), "%u", (unsigned)a->vlan);
    if (a->vlan_mode == PORT_TRUNK)
        return arena_printf(call_arena(c), "%u,%s", (unsigned)a->native_vlan, a->trunk_vlans);
    return "";
}

static const char *on_off(bool on)
{
    return on ? "On" : "Off";
}

static void set_rules(struct cmdlet_call *c, struct value o, const struct vm_adapter *n)
{
    struct arena *a = call_arena(c);
    object_set(o, "MacAddress", value_string(a, n->mac));
    object_set(o, "DynamicMacAddressEnabled", value_bool(!n->static_mac));
    object_set(o, "MacAddressSpoofing", value_static(on_off(n->spoofing)));
    object_set(o, "DhcpGuard", value_static(on_off(n->dhcp_guard)));
    object_set(o, "RouterGuard", value_static(on_off(n->router_guard)));
    object_set(o, "PortMirroringMode", value_static(port_mirroring_words[n->mirroring]));
    object_set(o, "MaximumBandwidth", value_int((i64)n->maximum_bandwidth));
    const char *vlans = adapter_vlans(c, n);
    object_set(o, "VlanSetting",
               value_printf(a, "%s%s%s", port_vlan_words[n->vlan_mode], *vlans ? " " : "", vlans));
}

/* What the virtual machine sent and got, as its switch has counted since the cable was plugged in. */
static void set_counters(struct cmdlet_call *c, struct value o, const struct message *p)
{
    struct arena *a = call_arena(c);
    object_set(o, "FramesSent", value_int((i64)p->frames_in));
    object_set(o, "BytesSent", value_int((i64)p->bytes_in));
    object_set(o, "FramesReceived", value_int((i64)p->frames_out));
    object_set(o, "BytesReceived", value_int((i64)p->bytes_out));
    object_set(o, "FramesDropped", value_int((i64)p->dropped));
    object_set(o, "DropReasons", value_string(a, p->drops));
    object_set(o, "SpoofedFramesDropped", value_int((i64)p->spoofed));
}

static struct value status_of(struct cmdlet_call *c, const struct message *p)
{
    struct value ok = value_static("Ok");
    return value_array(call_arena(c), &ok, p->up ? 1 : 0);
}

/* p: NULL without a port. */
static const char *describe(struct cmdlet_call *c, const struct vm_adapter *n, const struct vm_entry *e,
                            const struct message *p)
{
    struct vms *v = call_state(c);
    if (!p && n->switch_name[0] && worker_lives(&v->store, e->id))
        return arena_printf(call_arena(c), "Its switch does not run: Start-VMSwitch '%s'", n->switch_name);
    if (!p)
        return "";
    if (!p->spoofed || n->spoofing)
        return "";
    char *text = arena_alloc(call_arena(c), NOTICE_SIZE);
    adapter_spoofing_notice(text, NOTICE_SIZE, e->config->name, n->name);
    return text;
}

struct value adapter_object(struct cmdlet_call *c, const struct vm_entry *e, unsigned i)
{
    struct arena *a = call_arena(c);
    const struct vm_adapter *n = &e->config->adapters[i];
    struct message port = {.type = MESSAGE_PORT};
    struct value o = object_new(a, call_type(c, "VMNetworkAdapter"));
    bool plugged = adapter_port(e->config, i, &port);
    if (!plugged)
        port = (struct message){.type = MESSAGE_PORT};
    object_set(o, "Name", value_string(a, n->name));
    object_set(o, "Id", value_printf(a, "Microsoft:%s\\%s", vm_upper_id(c, e->id), vm_upper_id(c, n->id)));
    object_set(o, "IsLegacy", value_bool(false));
    object_set(o, "IsManagementOs", value_bool(false));
    object_set(o, "VMName", value_string(a, e->config->name));
    object_set(o, "VMId", value_string(a, e->id));
    object_set(o, "SwitchName", value_string(a, n->switch_name));
    object_set(o, "Connected", value_bool(n->switch_name[0]));
    set_rules(c, o, n);
    set_counters(c, o, &port);
    object_set(o, "StatusDescription", value_string(a, describe(c, n, e, plugged ? &port : NULL)));
    object_set(o, "Status", status_of(c, &port));
    object_set(o, "IPAddresses", value_array(a, NULL, 0));
    return o;
}

/* ---- Get-VMNetworkAdapter ---- */

static int give(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, unsigned i)
{
    return emit(c, adapter_object(c, e, i));
}

static int give_all(struct cmdlet_call *c, struct vms *v)
{
    const char *name = arg_string(c, "Name");
    for (unsigned i = 0; i < v->count; i++)
        for (unsigned k = 0; v->list[i].config && k < v->list[i].config->adapter_count; k++)
            if ((!name || wildcard_match(name, v->list[i].config->adapters[k].name)) &&
                give(c, v, &v->list[i], k))
                return -1;
    return switch_host_adapters(c, name, NULL);
}

static int get_adapter(struct cmdlet_call *c)
{
    static const struct adapter_params params = {"VMName", "VM", NULL, "Name"};
    if (arg_switch(c, "All"))
        return give_all(c, call_state(c));
    if (arg_switch(c, "ManagementOS"))
        return switch_host_adapters(c, arg_string(c, "Name"), arg_string(c, "SwitchName"));
    return adapters_each(c, &params, give);
}
const struct cmdlet_ops cmdlet_get_vm_network_adapter = ADAPTERS_OPS(get_adapter);

/* ---- changes ---- */

struct vm_adapter *adapter_changed(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    struct adapters_state *s = call_state(c);
    for (unsigned i = 0; i < k->adapter_count; i++)
        if (strcmp(k->adapters[i].id, s->adapter) == 0)
            return &k->adapters[i];
    err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND, "The network adapter is not there any more.");
    return NULL;
}

int adapter_change(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, unsigned adapter,
                   const struct vm_change *change, adapter_show *show)
{
    struct adapters_state *s = call_state(c);
    struct vm_entry now;
    int result;
    memcpy(s->adapter, e->config->adapters[adapter].id, sizeof(s->adapter));
    if (!vm_change(c, v, e, change, &now, &result))
        return result;
    const struct vm_adapter *a = adapter_changed(c, now.config, NULL);
    return a && show && arg_switch(c, "Passthru")
               ? emit(c, show(c, &now, (unsigned)(a - now.config->adapters)))
               : 0;
}

/* ---- Set-VMNetworkAdapter ---- */

static int give_address(const struct vm_config *k, struct vm_adapter *n, const char *mac, bool dynamic,
                        struct err *err)
{
    if (mac && dynamic)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "An address is static or dynamic: give -StaticMacAddress or -DynamicMacAddress.");
    if (mac && !mac_parse(mac, n->mac))
        return err_set_id(
            err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
            "'%.40s' is no hardware address of one adapter: give twelve hexadecimal digits, such as "
            "02155D010203.",
            mac);
    if (mac || dynamic)
        n->static_mac = mac;
    return dynamic ? mac_pool_take(k, n->mac, err) : 0;
}

static void give_switch(struct cmdlet_call *c, const char *param, bool *on)
{
    if (arg_given(c, param))
        *on = text_equal(arg_string(c, param), "On");
}

static int apply_set(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    struct vm_adapter *n = adapter_changed(c, k, err);
    if (!n)
        return -1;
    give_switch(c, "MacAddressSpoofing", &n->spoofing);
    give_switch(c, "DhcpGuard", &n->dhcp_guard);
    give_switch(c, "RouterGuard", &n->router_guard);
    if (arg_given(c, "PortMirroring"))
        n->mirroring = (unsigned)arg_word(c, "PortMirroring");
    n->maximum_bandwidth = (u64)arg_int(c, "MaximumBandwidth", (i64)n->maximum_bandwidth);
    return give_address(k, n, arg_string(c, "StaticMacAddress"), arg_switch(c, "DynamicMacAddress"), err);
}

int adapter_tell_rules(struct cmdlet_call *c, const struct vm_config *k, struct err *err)
{
    const struct vm_adapter *n = adapter_changed(c, (struct vm_config *)k, err);
    return n ? adapter_tell_rule(k, (unsigned)(n - k->adapters), err) : -1;
}

int adapters_tell_name(struct cmdlet_call *c, const struct vm_config *k, struct err *err)
{
    for (unsigned i = 0; i < k->adapter_count; i++)
        if (adapter_tell_rule(k, i, err))
            return -1;
    return 0;
}

static int set_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, unsigned adapter)
{
    static const struct vm_change change = {
        "Network Adapter", "configure the network adapter settings of the virtual machine \"%s\".", apply_set,
        adapter_tell_rules};
    return adapter_change(c, v, e, adapter, &change, adapter_object);
}

static int set_adapter(struct cmdlet_call *c)
{
    return adapters_each(c, &all_params, set_one);
}
const struct cmdlet_ops cmdlet_set_vm_network_adapter = ADAPTERS_OPS(set_adapter);

/* ---- new ones ---- */

int adapter_rename(struct vm_adapter *n, const char *name, struct err *err)
{
    if (!*name || strlen(name) >= sizeof(n->name))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "A network adapter's name has 1 to %zu bytes; this one has %zu.",
                          sizeof(n->name) - 1, strlen(name));
    strcpy(n->name, name);
    return 0;
}

int adapter_add(struct vm_config *k, const char *name, const char *mac, const char *switch_name,
                struct err *err)
{
    if (k->adapter_count == VM_ADAPTERS_MAX)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "A virtual machine has at most %d network adapters.", VM_ADAPTERS_MAX);
    struct vm_adapter *n = &k->adapters[k->adapter_count];
    memset(n, 0, sizeof(*n));
    schema_defaults(&vm_adapter_schema, n);
    vm_id_new(n->id);
    if ((name && adapter_rename(n, name, err)) || give_address(k, n, mac, !mac, err) ||
        (switch_name && adapter_name_switch(n, switch_name, err)))
        return -1;
    k->adapter_count++;
    return 0;
}

int adapter_name_switch(struct vm_adapter *n, const char *name, struct err *err)
{
    struct switch_store s;
    struct switch_entry e;
    if (switch_of_name(name, &s, &e, err))
        return -1;
    switch_store_close(&s);
    strcpy(n->switch_name, e.config.name); /* as its owner spells it */
    return 0;
}
