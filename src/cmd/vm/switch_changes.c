/* SPDX-License-Identifier: MIT */
/* New-, Set- and Remove-VMSwitch. */
#include <unistd.h>

#include "cmd/vm/switches.h"
#include "mgmt/mac_pool.h"
#include "mgmt/network.h"

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
    switch_config_init(k);
    k->type = arg_given(c, "NetAdapterName") ? SWITCH_EXTERNAL : (unsigned)arg_word(c, "SwitchType");
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

static int ensure_runs(const struct switch_store *s, const char *id, struct err *err)
{
    int fd = switch_ensure(s, id, err);
    if (fd >= 0)
        close(fd);
    return fd >= 0 ? 0 : -1;
}

/* What the host is on starts at once, and a switch that cannot start is none. */
static int start_new(const struct switch_store *s, const struct switch_config *k, struct err *err)
{
    gid_t group;
    if (k->type == SWITCH_PRIVATE && !switch_store_group(&group))
        return 0;
    return ensure_runs(s, k->id, err);
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

/* ---- Set-VMSwitch ---- */

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
    if (arg_given(c, "SwitchType") && arg_given(c, "NetAdapterName"))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "-NetAdapterName makes the switch External: leave -SwitchType away.");
    if (arg_given(c, "SwitchType"))
        k->type = (unsigned)arg_word(c, "SwitchType");
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
    if (!restart || ensure_runs(s, f->id, err) == 0)
        return 0;
    f->config = *before;
    if (switch_store_put(s, f, err) == 0)
        (void)!ensure_runs(s, f->id, err);
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
    (void)!store_list(&vms, &list, &count, NULL); /* none, then */
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
