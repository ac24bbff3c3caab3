/* SPDX-License-Identifier: MIT */
/* Get- and Set-VMNetworkAdapter. An adapter is found again by its Id, "Microsoft:VMID\N". */
#include <ctype.h>
#include <stdlib.h>

#include "cmd/vm/vms.h"

struct state {
    struct vms vms;
    unsigned index; /* of the adapter that is being changed */
};

static struct value show(struct cmdlet_call *c, const struct vm_entry *e, unsigned i)
{
    struct arena *a = call_arena(c);
    const struct vm_adapter *n = &e->config->adapters[i];
    struct value o = object_new(a, call_type(c, "VMNetworkAdapter"));
    object_set(o, "Name", value_string(a, n->name));
    object_set(o, "Id", value_printf(a, "Microsoft:%s\\%u", vm_upper_id(c, e->id), i));
    object_set(o, "IsManagementOs", value_bool(false));
    object_set(o, "VMName", value_string(a, e->config->name));
    object_set(o, "VMId", value_string(a, e->id));
    object_set(o, "SwitchName", value_string(a, n->switch_name));
    object_set(o, "MacAddress", value_string(a, n->mac));
    object_set(o, "MacAddressSpoofing", value_static(n->spoofing ? "On" : "Off"));
    object_set(o, "Connected", value_bool(false));
    object_set(o, "Status", value_array(a, NULL, 0));
    object_set(o, "IPAddresses", value_array(a, NULL, 0));
    return o;
}

static bool chosen(struct cmdlet_call *c, const struct vm_adapter *n)
{
    const char *name = arg_string(c, "Name");
    return !name || wildcard_match(name, n->name);
}

static int get_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    for (unsigned i = 0; i < e->config->adapter_count; i++)
        if (chosen(c, &e->config->adapters[i]) && emit(c, show(c, e, i)))
            return -1;
    return 0;
}

static int get_all(struct cmdlet_call *c, struct vms *v)
{
    for (unsigned i = 0; i < v->count; i++)
        if (v->list[i].config && get_one(c, v, &v->list[i]))
            return -1;
    return 0;
}

static int get_adapter(struct cmdlet_call *c)
{
    return arg_switch(c, "All") ? get_all(c, call_state(c)) : vms_each(c, "VMName", "VM", get_one);
}
const struct cmdlet_ops cmdlet_get_vm_network_adapter = VMS_OPS(get_adapter);

/* ---- Set-VMNetworkAdapter ---- */

/* "00-15-5D-01-02-03", with colons or without anything, to twelve digits. */
static bool parse_mac(const char *text, char out[13])
{
    unsigned n = 0;
    for (; *text; text++) {
        if ((*text == '-' || *text == ':') && n && n % 2 == 0 && n < 12)
            continue;
        if (n == 12 || !isxdigit((u8)*text))
            return false;
        out[n++] = (char)toupper((u8)*text);
    }
    out[n] = 0;
    return n == 12 && !(strtoul((char[]){out[0], out[1], 0}, NULL, 16) & 1); /* not a group's */
}

static int apply(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    struct state *s = call_state(c);
    if (s->index >= k->adapter_count)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                          "The network adapter is not there any more.");
    struct vm_adapter *n = &k->adapters[s->index];
    if (arg_given(c, "MacAddressSpoofing"))
        n->spoofing = text_equal(arg_string(c, "MacAddressSpoofing"), "On");
    const char *mac = arg_string(c, "StaticMacAddress");
    if (mac && !parse_mac(mac, n->mac))
        return err_set_id(
            err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
            "'%.40s' is no hardware address of one adapter: give twelve hexadecimal digits, such as "
            "02155D010203.",
            mac);
    return 0;
}

static int set_at(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, unsigned i)
{
    static const struct vm_change change = {
        "Network Adapter", "configure the network adapter settings of the virtual machine \"%s\".", apply};
    struct state *s = call_state(c);
    struct vm_entry now;
    int result;
    s->index = i;
    if (!vm_change(c, v, e, &change, &now, &result))
        return result;
    return arg_switch(c, "Passthru") ? emit(c, show(c, &now, i)) : 0;
}

static int set_named(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    bool found = false;
    for (unsigned i = 0; i < e->config->adapter_count; i++) {
        if (!chosen(c, &e->config->adapters[i]))
            continue;
        found = true;
        if (set_at(c, v, e, i))
            return -1;
    }
    if (found)
        return 0;
    return call_error(c, ERROR_NOT_FOUND, e->config->name,
                      "Droste was unable to find a network adapter of that name in '%s'.", e->config->name);
}

static int set_object(struct cmdlet_call *c, struct value o)
{
    struct vms *v = call_state(c);
    struct value vm = object_get(o, "VMId"), id = object_get(o, "Id");
    const char *index = id.kind == VALUE_STRING ? strrchr(id.string, '\\') : NULL;
    struct vm_entry e = {.config = NULL};
    if (vm.kind == VALUE_STRING && index)
        (void)store_load(&v->store, vm.string, &e);
    int r = e.config ? set_at(c, v, &e, (unsigned)strtoul(index + 1, NULL, 10))
                     : call_error(c, ERROR_NOT_FOUND, NULL,
                                  "The network adapter of this object is not there any more.");
    free(e.config);
    return r;
}

static int set_adapter(struct cmdlet_call *c)
{
    for (unsigned i = 0; i < arg_count(c, "VMNetworkAdapter"); i++)
        if (set_object(c, arg_at(c, "VMNetworkAdapter", i)))
            return -1;
    return vms_each(c, "VMName", "VM", set_named);
}
const struct cmdlet_ops cmdlet_set_vm_network_adapter = {
    .begin = vms_begin, .process = set_adapter, .release = vms_release, .state_size = sizeof(struct state)};
