/* SPDX-License-Identifier: MIT */
/* New-, Get-, Set-, Remove- and Start-VMSwitch. */
#include "cmd/vm/switches.h"

#include <stdlib.h>
#include <unistd.h>

#include "cmd/vm/stores.h"
#include "mgmt/network.h"
#include "mgmt/adapters.h"
#include "mgmt/mac_pool.h"

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

static struct value switch_object(struct cmdlet_call *c, const struct switches *s,
                                  const struct switch_entry *e)
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

/* ---- New-VMSwitch ---- */

static int set_text(char *out, size_t size, const char *what, const char *text, struct err *err)
{
    if (!text)
        return 0;
    if (strlen(text) >= size)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "%s of a virtual switch has at most %zu bytes.", what, size - 1);
    strcpy(out, text);
    return 0;
}

static int compose(struct cmdlet_call *c, struct switch_config *k, struct err *err)
{
    static const enum switch_type types[] = {SWITCH_PRIVATE, SWITCH_INTERNAL};
    switch_config_init(k);
    k->type = arg_given(c, "NetAdapterName") ? SWITCH_EXTERNAL : types[arg_word(c, "SwitchType")];
    if (arg_given(c, "AllowManagementOS"))
        k->management = arg_switch(c, "AllowManagementOS");
    if (arg_given(c, "HostNetwork"))
        k->host_network = (unsigned)arg_word(c, "HostNetwork");
    if (!*arg_string(c, "Name"))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "A virtual switch's name is not empty.");
    return set_text(k->name, sizeof(k->name), "The name", arg_string(c, "Name"), err) ||
                   set_text(k->notes, sizeof(k->notes), "The note", arg_string(c, "Notes"), err) ||
                   set_text(k->uplink, sizeof(k->uplink), "The interface", arg_string(c, "NetAdapterName"),
                            err)
               ? -1
               : 0;
}

/* What the host is on starts at once, and a switch that cannot start is none. */
static int start_new(const struct switch_store *s, const struct switch_config *k, struct err *err)
{
    gid_t group;
    if (k->type == SWITCH_PRIVATE && !switch_store_group(&group))
        return 0;
    int fd = switch_ensure(s, k->id, err);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int create(struct cmdlet_call *c, struct switches *s, struct switch_config *k, struct err *err)
{
    struct switch_folder f;
    if (compose(c, k, err) || switch_store_create(&s->own, k, err))
        return -1;
    if (switch_store_take(&s->own, k->id, call_name(c), &f, err))
        return -1;
    int r = start_new(&s->own, k, err);
    if (r)
        (void)!switch_store_remove(&s->own, &f, err);
    switch_store_release(&f);
    return r;
}

static int new_vm_switch(struct cmdlet_call *c)
{
    struct switches *s = call_state(c);
    struct switch_entry e = {.system = false};
    struct err err = {0};
    const char *name = arg_string(c, "Name");
    if (!call_should(c, "create the virtual switch \"%s\".", name))
        return 0;
    if (create(c, s, &e.config, &err))
        return call_error_from(c, &err, name, "Failed to create the virtual switch.");
    memcpy(e.id, e.config.id, sizeof(e.id));
    return emit(c, switch_object(c, s, &e));
}
const struct cmdlet_ops cmdlet_new_vm_switch = SWITCHES_OPS(new_vm_switch);

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

/* ---- changes ---- */

/* Takes the switch for this call; false: told, *result is what to return. */
static bool take(struct cmdlet_call *c, struct switches *s, const struct switch_entry *e,
                 struct switch_folder *f, int *result)
{
    struct err err = {0};
    if (switch_store_take(switches_store(s, e), e->id, call_name(c), f, &err) == 0)
        return true;
    *result = call_error_from(
        c, &err, e->config.name,
        arena_printf(call_arena(c), "%s did not get the virtual switch '%s'.", call_name(c), e->config.name));
    return false;
}

static int apply_set(struct cmdlet_call *c, struct switch_config *k, struct err *err)
{
    static const enum switch_type types[] = {SWITCH_PRIVATE, SWITCH_INTERNAL};
    if (arg_given(c, "SwitchType") && arg_given(c, "NetAdapterName"))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "-NetAdapterName makes the switch External: leave -SwitchType away.");
    if (arg_given(c, "SwitchType"))
        k->type = types[arg_word(c, "SwitchType")];
    if (arg_given(c, "NetAdapterName"))
        k->type = SWITCH_EXTERNAL;
    if (k->type != SWITCH_EXTERNAL)
        k->uplink[0] = 0;
    if (arg_given(c, "AllowManagementOS") && k->type != SWITCH_EXTERNAL)
        return err_set_id(
            err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
            "-AllowManagementOS is for External switches: on Internal ones the host always is, on Private "
            "ones never.");
    if (arg_given(c, "AllowManagementOS"))
        k->management = arg_switch(c, "AllowManagementOS");
    if (arg_given(c, "HostNetwork"))
        k->host_network = (unsigned)arg_word(c, "HostNetwork");
    if (set_text(k->uplink, sizeof(k->uplink), "The interface", arg_string(c, "NetAdapterName"), err) ||
        set_text(k->notes, sizeof(k->notes), "The note", arg_string(c, "Notes"), err))
        return -1;
    return switch_config_has_host(k) && !k->mac[0] ? mac_pool_take(NULL, k->mac, err) : 0;
}

static bool same_network(const struct switch_config *a, const struct switch_config *b)
{
    return a->type == b->type && a->management == b->management && a->host_network == b->host_network &&
           strcmp(a->uplink, b->uplink) == 0;
}

/* The running switch is started anew with the new definition, and finds what is connected to it; when it
 * cannot start, the old definition is put back. */
static int put(const struct switch_store *s, struct switch_folder *f, const struct switch_config *before,
               struct err *err)
{
    bool restart = !same_network(before, &f->config);
    if ((restart && switch_stop(s, f->id, err)) || switch_store_put(s, f, err))
        return -1;
    int fd = restart ? switch_ensure(s, f->id, err) : -1;
    if (fd >= 0)
        close(fd);
    if (!restart || fd >= 0)
        return 0;
    f->config = *before;
    if (switch_store_put(s, f, err) == 0 && (fd = switch_ensure(s, f->id, err)) >= 0)
        close(fd);
    return -1;
}

static int set_one(struct cmdlet_call *c, struct switches *s, const struct switch_entry *e)
{
    const struct switch_store *store = switches_store(s, e);
    struct switch_folder f;
    struct err err = {0};
    int result = 0;
    if (!call_should(c, "configure the virtual switch \"%s\".", e->config.name) ||
        !take(c, s, e, &f, &result))
        return result;
    struct switch_entry now = *e;
    const struct switch_config before = f.config;
    int r = apply_set(c, &f.config, &err) || put(store, &f, &before, &err) ? -1 : 0;
    now.config = f.config;
    switch_store_release(&f);
    if (r)
        return call_error_from(c, &err, e->config.name, "Failed to modify the virtual switch.");
    return arg_switch(c, "Passthru") ? emit(c, switch_object(c, s, &now)) : 0;
}

static int set_vm_switch(struct cmdlet_call *c)
{
    return switches_each(c, "VMSwitch", set_one);
}
const struct cmdlet_ops cmdlet_set_vm_switch = SWITCHES_OPS(set_vm_switch);

/* ---- Remove-VMSwitch ---- */

static bool names_it(const struct vm_config *k, const char *name)
{
    for (unsigned i = 0; k && i < k->adapter_count; i++)
        if (text_equal(k->adapters[i].switch_name, name))
            return true;
    return false;
}

/* Its adapters name no switch any more; their cables have ended with the switch. */
static int disconnect(struct cmdlet_call *c, struct store *vms, const char *id, const char *name,
                      struct err *err)
{
    struct vm_folder f;
    if (store_take(vms, id, call_name(c), &f, err))
        return -1;
    for (unsigned i = 0; i < f.config->adapter_count; i++)
        if (text_equal(f.config->adapters[i].switch_name, name))
            f.config->adapters[i].switch_name[0] = 0;
    int r = store_put(&f, err);
    store_release(&f);
    return r;
}

static void disconnect_all(struct cmdlet_call *c, const char *name)
{
    struct store vms;
    struct vm_entry *list = NULL;
    unsigned count = 0;
    if (store_open(&vms, NULL))
        return;
    if (store_list(&vms, &list, &count, NULL))
        count = 0;
    for (unsigned i = 0; i < count; i++) {
        struct err err = {0};
        if (names_it(list[i].config, name) && disconnect(c, &vms, list[i].id, name, &err))
            call_warning(c, "'%s' still names the switch: %s", list[i].config->name, err.text);
    }
    store_list_free(list, count);
    store_close(&vms);
}

static int remove_one(struct cmdlet_call *c, struct switches *s, const struct switch_entry *e)
{
    const struct switch_store *store = switches_store(s, e);
    struct switch_folder f;
    struct err err = {0};
    int result = 0;
    if (!arg_switch(c, "Force") &&
        !call_confirmed(c, "This removes the virtual switch \"%s\".", e->config.name))
        return 0;
    if (!call_should(c, "remove the virtual switch \"%s\".", e->config.name) || !take(c, s, e, &f, &result))
        return result;
    int r = switch_stop(store, f.id, &err) || switch_store_remove(store, &f, &err) ? -1 : 0;
    switch_store_release(&f);
    if (r)
        return call_error_from(c, &err, e->config.name, "Failed to remove the virtual switch.");
    disconnect_all(c, e->config.name);
    if (network_forget_switch(e->config.name, &err))
        call_warning(c, "The addresses of the host's adapter are still kept: %s", err.text);
    return 0;
}

static int remove_vm_switch(struct cmdlet_call *c)
{
    return switches_each(c, "VMSwitch", remove_one);
}
const struct cmdlet_ops cmdlet_remove_vm_switch = SWITCHES_OPS(remove_vm_switch);

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
