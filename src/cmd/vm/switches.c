/* SPDX-License-Identifier: MIT */
/* Get- and Start-VMSwitch; which switches a call means, and how they are shown. */
#include "cmd/vm/switches.h"

#include <stdlib.h>
#include <unistd.h>

#include "cmd/vm/stores.h"

/* ---- which ---- */

static int append_all(struct switches *s, const struct switch_store *from, struct err *err)
{
    struct switch_entry *list = NULL;
    unsigned count = 0;
    if (switch_store_list(from, &list, &count, err))
        return -1;
    struct switch_entry *all = realloc(s->list, (s->count + count + 1) * sizeof(*all));
    if (all) {
        s->list = all;
        for (unsigned i = 0; i < count; i++)
            all[s->count++] = list[i];
    }
    free(list);
    return all ? 0 : err_set(err, EXIT_STATUS_HOST, "out of memory for the list of switches");
}

int switches_read(struct switches *s, struct err *err)
{
    *s = (struct switches){.own = {.data = -1, .run = -1}, .system = {.data = -1, .run = -1}};
    if (switch_store_open(&s->own, err) || append_all(s, &s->own, err))
        return -1;
    s->has_system = switch_store_open_system(&s->system);
    return s->has_system ? append_all(s, &s->system, err) : 0;
}

void switches_forget(struct switches *s)
{
    free(s->list);
    switch_store_close(&s->own);
    switch_store_close(&s->system);
    s->list = NULL;
    s->count = 0;
}

int switches_begin(struct cmdlet_call *c)
{
    struct err err = {0};
    return switches_read(call_state(c), &err) ? call_fail(c, ERROR_OPERATION_FAILED, NULL, "%s", err.text)
                                              : 0;
}

void switches_release(struct cmdlet_call *c)
{
    switches_forget(call_state(c));
}

const struct switch_store *switches_store(const struct switches *s, const struct switch_entry *e)
{
    return e->system ? &s->system : &s->own;
}

static int by_name(struct cmdlet_call *c, struct switches *s, const char *name, switch_act *act)
{
    bool found = false, wild = wildcard_has(name);
    for (unsigned i = 0; i < s->count && !(found && !wild); i++) { /* the own store's stand first */
        const struct switch_entry *e = &s->list[i];
        if (e->fault.status ||
            !(wild ? wildcard_match(name, e->config.name) : text_equal(name, e->config.name)))
            continue;
        found = true;
        if (act(c, s, e))
            return -1;
    }
    if (found || wild)
        return 0;
    return call_error(
        c, ERROR_NOT_FOUND, name,
        "Droste was unable to find a virtual switch with name \"%s\".\nGet-VMSwitch lists them.", name);
}

static int by_id(struct cmdlet_call *c, struct switches *s, const char *id, switch_act *act)
{
    struct switch_entry e;
    char lower[VM_ID_SIZE];
    snprintf(lower, sizeof(lower), "%s", id);
    for (char *p = lower; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    if (switch_store_load(&s->own, lower, &e) || (s->has_system && switch_store_load(&s->system, lower, &e)))
        return e.fault.status ? call_error_from(c, &e.fault, id, "The virtual switch cannot be used.")
                              : act(c, s, &e);
    return call_error(c, ERROR_NOT_FOUND, id, "Droste was unable to find a virtual switch with id \"%s\".",
                      id);
}

/* Read anew: what stands before in the pipeline may just have made it. */
static int refresh(struct cmdlet_call *c, struct switches *s)
{
    if (!call_piped(c))
        return 0;
    switches_forget(s);
    return switches_begin(c);
}

int switches_each(struct cmdlet_call *c, const char *objects, switch_act *act)
{
    struct switches *s = call_state(c);
    for (unsigned i = 0; objects && i < arg_count(c, objects); i++) {
        struct value id = object_get(arg_at(c, objects, i), "Id");
        if (by_id(c, s, id.kind == VALUE_STRING ? id.string : "", act))
            return -1;
    }
    if (refresh(c, s))
        return -1;
    for (unsigned i = 0; i < arg_count(c, "Name"); i++)
        if (by_name(c, s, arg_string_at(c, "Name", i), act))
            return -1;
    return 0;
}

/* ---- objects ---- */

static bool status_of(const struct switch_store *s, const char *id, struct message *status)
{
    int fd = switch_connect(s, id);
    bool known = fd >= 0 && switch_ports(fd, NULL, NULL, status, NULL) == 0;
    if (fd >= 0)
        close(fd);
    return known;
}

struct value switch_object(struct cmdlet_call *c, const struct switches *s, const struct switch_entry *e)
{
    struct arena *a = call_arena(c);
    const struct switch_config *k = &e->config;
    struct message status = {.type = MESSAGE_STATUS};
    bool runs = status_of(switches_store(s, e), e->id, &status);
    struct value o = object_new(a, call_type(c, "VMSwitch"));
    object_set(o, "Name", value_string(a, k->name));
    object_set(o, "Id", value_string(a, e->id));
    object_set(o, "Notes", value_string(a, k->notes));
    object_set(o, "SwitchType", value_static(switch_type_words[k->type]));
    object_set(o, "AllowManagementOS", value_bool(switch_config_has_host(k)));
    object_set(o, "NetAdapterInterfaceDescription", value_string(a, k->uplink));
    object_set(o, "NetAdapterName", value_string(a, k->uplink));
    object_set(o, "HostNetwork", value_static(host_network_words[k->host_network]));
    object_set(o, "HostNetworkInUse", value_string(a, runs ? status.host_adapter : ""));
    object_set(o, "Store", value_static(e->system ? "System" : "User"));
    object_set(o, "Running", value_bool(runs));
    object_set(o, "Ports", value_int(runs ? (i64)status.ports : 0));
    object_set(o, "Restarts", value_int(runs ? (i64)status.restarts : 0));
    object_set(o, "ProcessId", value_int(runs ? (i64)status.pid : 0));
    return o;
}

static struct value host_adapter_object(struct cmdlet_call *c, const struct switches *s,
                                        const struct switch_entry *e)
{
    struct arena *a = call_arena(c);
    struct message status = {.type = MESSAGE_STATUS};
    bool runs = status_of(switches_store(s, e), e->id, &status);
    struct value ok = value_static("Ok"), o = object_new(a, call_type(c, "VMNetworkAdapter"));
    object_set(o, "Name", value_string(a, e->config.name));
    object_set(o, "Id", value_printf(a, "Microsoft:%s", e->id));
    object_set(o, "IsManagementOs", value_bool(true));
    object_set(o, "VMName", value_static(""));
    object_set(o, "SwitchName", value_string(a, e->config.name));
    object_set(o, "SwitchId", value_string(a, e->id));
    object_set(o, "InterfaceAlias", value_printf(a, "vEthernet (%s)", e->config.name));
    object_set(o, "Connected", value_bool(true));
    object_set(o, "MacAddress", value_string(a, e->config.mac));
    object_set(o, "HostNetworkInUse", value_string(a, status.host_adapter));
    object_set(o, "Status", value_array(a, &ok, runs ? 1 : 0));
    object_set(o, "IPAddresses", value_array(a, NULL, 0));
    return o;
}

int switch_host_adapters(struct cmdlet_call *c, const char *name, const char *switch_name)
{
    struct switches s;
    struct err err = {0};
    int r = switches_read(&s, &err) ? call_fail(c, ERROR_OPERATION_FAILED, NULL, "%s", err.text) : 0;
    for (unsigned i = 0; i < s.count && r == 0; i++) {
        const struct switch_entry *e = &s.list[i];
        if (!e->fault.status && switch_config_has_host(&e->config) &&
            (!name || wildcard_match(name, e->config.name)) &&
            (!switch_name || wildcard_match(switch_name, e->config.name)))
            r = emit(c, host_adapter_object(c, &s, e));
    }
    switches_forget(&s);
    return r;
}

/* ---- Get-VMSwitch ---- */

static bool of_type(struct cmdlet_call *c, const struct switch_entry *e)
{
    unsigned count = arg_count(c, "SwitchType");
    for (unsigned i = 0; i < count; i++)
        if (text_equal(arg_string_at(c, "SwitchType", i), switch_type_words[e->config.type]))
            return true;
    return !count;
}

static int give(struct cmdlet_call *c, struct switches *s, const struct switch_entry *e)
{
    return of_type(c, e) ? emit(c, switch_object(c, s, e)) : 0;
}

static int give_all(struct cmdlet_call *c, struct switches *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct switch_entry *e = &s->list[i];
        if (e->fault.status)
            call_warning(c, "The virtual switch %s cannot be used and was left as it is: %s.", e->id,
                         e->fault.text);
        else if (give(c, s, e))
            return -1;
    }
    stores_tell_others(c, STORES_SWITCHES);
    return 0;
}

static int get_vm_switch(struct cmdlet_call *c)
{
    struct switches *s = call_state(c);
    for (unsigned i = 0; i < arg_count(c, "Id"); i++)
        if (by_id(c, s, arg_string_at(c, "Id", i), give))
            return -1;
    if (arg_given(c, "Id"))
        return 0;
    if (arg_given(c, "Name"))
        return switches_each(c, NULL, give);
    return refresh(c, s) ? -1 : give_all(c, s);
}
const struct cmdlet_ops cmdlet_get_vm_switch = SWITCHES_OPS(get_vm_switch);

/* ---- Start-VMSwitch ---- */

static int start_one(struct cmdlet_call *c, struct switches *s, const struct switch_entry *e)
{
    struct err err = {0};
    if (!call_should(c, "start the virtual switch \"%s\".", e->config.name))
        return 0;
    int fd = switch_ensure(switches_store(s, e), e->id, &err);
    if (fd < 0)
        return call_error_from(c, &err, e->config.name, "Failed to start the virtual switch.");
    close(fd);
    return arg_switch(c, "Passthru") ? emit(c, switch_object(c, s, e)) : 0;
}

static int start_vm_switch(struct cmdlet_call *c)
{
    return switches_each(c, "VMSwitch", start_one);
}
const struct cmdlet_ops cmdlet_start_vm_switch = SWITCHES_OPS(start_vm_switch);
