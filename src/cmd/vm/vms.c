/* SPDX-License-Identifier: MIT */
/* Which VMs a call means, and VMs as objects. */
#include "cmd/vm/vms.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

int vms_begin(struct cmdlet_call *c)
{
    struct vms *v = call_state(c);
    struct err err = {0};
    v->opened = store_open(&v->store, &err) == 0;
    if (v->opened && store_list(&v->store, &v->list, &v->count, &err) == 0)
        return 0;
    return call_fail(c, ERROR_OPERATION_FAILED, NULL, "%s", err.text);
}

void vms_release(struct cmdlet_call *c)
{
    struct vms *v = call_state(c);
    store_list_free(v->list, v->count);
    if (v->opened)
        store_close(&v->store);
    v->list = NULL;
    v->opened = false;
}

const struct vm_entry *vms_find(const struct vms *v, const char *id)
{
    for (unsigned i = 0; i < v->count; i++)
        if (text_equal(v->list[i].id, id))
            return &v->list[i];
    return NULL;
}

static int told_damaged(struct cmdlet_call *c, const struct vm_entry *e)
{
    return call_error(c, ERROR_OPERATION_FAILED, e->id,
                      "The virtual machine %s cannot be used: %s.\nIts files were left as they are.",
                      vm_upper_id(c, e->id), e->fault.text);
}

static int by_name(struct cmdlet_call *c, struct vms *v, const char *name, vm_act *act)
{
    bool found = false, wild = wildcard_has(name);
    for (unsigned i = 0; i < v->count; i++) {
        const struct vm_entry *e = &v->list[i];
        if (!e->config || !(wild ? wildcard_match(name, e->config->name) : text_equal(name, e->config->name)))
            continue;
        found = true;
        if (act(c, v, e))
            return -1;
    }
    if (found || wild)
        return 0;
    return call_error(c, ERROR_NOT_FOUND, name,
                      "Droste was unable to find a virtual machine with name \"%s\".\nGet-VM lists them.",
                      name);
}

/* Read anew: what stands before in the pipeline may just have made or changed it. */
static int by_object(struct cmdlet_call *c, struct vms *v, struct value o, vm_act *act)
{
    struct value id = object_get(o, "VMId");
    struct vm_entry e;
    if (id.kind != VALUE_STRING || !store_load(&v->store, id.string, &e))
        return call_error(c, ERROR_NOT_FOUND, NULL,
                          "The virtual machine of this object is not there any more.");
    int r = e.config ? act(c, v, &e) : told_damaged(c, &e);
    free(e.config);
    return r;
}

int vms_refresh(struct cmdlet_call *c)
{
    struct vms *v = call_state(c);
    struct err err = {0};
    if (!call_piped(c))
        return 0;
    store_list_free(v->list, v->count);
    v->list = NULL;
    return store_list(&v->store, &v->list, &v->count, &err)
               ? call_fail(c, ERROR_OPERATION_FAILED, NULL, "%s", err.text)
               : 0;
}

int vms_each(struct cmdlet_call *c, const char *names, const char *objects, vm_act *act)
{
    struct vms *v = call_state(c);
    for (unsigned i = 0; objects && i < arg_count(c, objects); i++)
        if (by_object(c, v, arg_at(c, objects, i), act))
            return -1;
    if (!names || !arg_count(c, names))
        return 0;
    if (vms_refresh(c))
        return -1;
    for (unsigned i = 0; i < arg_count(c, names); i++)
        if (by_name(c, v, arg_string_at(c, names, i), act))
            return -1;
    return 0;
}

/* ---- objects ---- */

const char *vm_upper_id(struct cmdlet_call *c, const char *id)
{
    char *out = arena_copy(call_arena(c), id, strlen(id));
    for (char *p = out; *p; p++)
        *p = (char)toupper((u8)*p);
    return out;
}

static struct value computer(struct cmdlet_call *c)
{
    char name[HOST_NAME_MAX + 1] = "localhost";
    gethostname(name, sizeof(name) - 1);
    return value_string(call_arena(c), name);
}

struct value vm_part(struct cmdlet_call *c, const char *type, const struct vm_entry *e)
{
    struct arena *a = call_arena(c);
    struct value o = object_new(a, call_type(c, type));
    object_set(o, "VMName", value_string(a, e->config->name));
    object_set(o, "VMId", value_string(a, e->id));
    object_set(o, "ComputerName", computer(c));
    return o;
}

static const char *status_text(const struct vm_status *s)
{
    if (s->failed)
        return s->reason;
    if (s->state != VM_OFF && s->state != VM_SAVED && !s->responds)
        return "Its process does not respond, or its control socket is in another folder (XDG_RUNTIME_DIR)";
    return s->report.notice[0] ? s->report.notice : "Operating normally";
}

/* Of dynamic memory whose guest says what it uses. */
static const char *memory_status(const struct vm_config *k, const struct message *m)
{
    u64 demand = m->memory_demand;
    if (!k->dynamic || !demand)
        return "";
    return m->memory < demand                                     ? "Warning"
           : m->memory - demand < demand / 100 * k->memory_buffer ? "Low"
                                                                  : "OK";
}

static void set_running(struct value o, struct arena *a, const struct vm_config *k, const struct vm_status *s)
{
    object_set(o, "State", value_static(vm_state_words[s->state]));
    object_set(o, "CpuUsage", value_int((i64)s->report.cpu_percent));
    object_set(o, "MemoryAssigned", value_int((i64)s->report.memory));
    object_set(o, "MemoryDemand", value_int((i64)s->report.memory_demand));
    object_set(o, "MemoryStatus", value_static(memory_status(k, &s->report)));
    object_set(o, "Uptime", value_span((i64)s->report.uptime_ms * 10000));
    object_set(o, "Status", value_string(a, status_text(s)));
    object_set(o, "StatusReason", value_string(a, s->reason));
    object_set(o, "NestedVirtualizationActive", value_bool(s->report.nested_active));
    object_set(o, "EngineInUse", value_string(a, s->report.engine));
    object_set(o, "ProcessId", value_int((i64)s->report.pid));
}

static void set_defined(struct cmdlet_call *c, struct value o, struct vms *v, const struct vm_entry *e)
{
    struct arena *a = call_arena(c);
    const struct vm_config *k = e->config;
    char version[VERSION_TEXT_MAX];
    object_set(o, "Version", value_string(a, version_print(k->version, version)));
    object_set(o, "Generation", value_int(1));
    object_set(o, "ProcessorCount", value_int((i64)k->processors));
    object_set(o, "MemoryStartup", value_int((i64)k->memory));
    object_set(o, "MemoryMinimum", value_int((i64)k->memory_minimum));
    object_set(o, "MemoryMaximum", value_int((i64)k->memory_maximum));
    object_set(o, "DynamicMemoryEnabled", value_bool(k->dynamic));
    object_set(o, "ResourceMeteringEnabled", value_bool(k->metering));
    object_set(o, "AutomaticStartAction", value_static(vm_start_action_words[k->start_action]));
    object_set(o, "AutomaticStartDelay", value_int((i64)k->start_delay));
    object_set(o, "AutomaticStopAction", value_static(vm_stop_action_words[k->stop_action]));
    object_set(o, "Id", value_string(a, e->id));
    object_set(o, "VMId", value_string(a, e->id));
    object_set(o, "VMName", value_string(a, k->name));
    object_set(o, "Path", value_printf(a, "%s/vm/%s", v->store.data_path, e->id));
    object_set(o, "Notes", value_string(a, k->notes));
    object_set(o, "ComputerName", computer(c));
}

struct value vm_object(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    struct arena *a = call_arena(c);
    struct vm_status s;
    struct value o = object_new(a, call_type(c, "VirtualMachine"));
    worker_status(&v->store, e->id, &s);
    object_set(o, "Name", value_string(a, e->config->name));
    set_running(o, a, e->config, &s);
    set_defined(c, o, v, e);
    return o;
}

int vm_passthru(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    return arg_switch(c, "Passthru") ? emit(c, vm_object(c, v, e)) : 0;
}

/* ---- refusals ---- */

int vm_refuse(struct cmdlet_call *c, const struct vm_entry *e, struct vm_deed d, const struct finding *f)
{
    return call_error(c, f->error, e->config->name, "%s\n'%s' %s. (Virtual machine ID %s)\n%s", d.text,
                      e->config->name, d.operation, vm_upper_id(c, e->id), f->text);
}

int vm_error(struct cmdlet_call *c, const struct vm_entry *e, struct vm_deed d, const struct err *err)
{
    struct err whole = {.status = err->status, .id = err->id ? err->id : ERROR_OPERATION_FAILED};
    const char *text = arena_printf(call_arena(c), "%s\n'%s' %s. (Virtual machine ID %s)", d.text,
                                    e->config->name, d.operation, vm_upper_id(c, e->id));
    memcpy(whole.text, err->text, sizeof(whole.text));
    return call_error_from(c, &whole, e->config->name, text);
}

bool vm_take(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, struct vm_folder *f,
             struct vm_status *now, int *result)
{
    struct err err = {0};
    if (store_take(&v->store, e->id, call_name(c), f, &err)) {
        const char *text = arena_printf(call_arena(c), "%s did not get the virtual machine '%s'.",
                                        call_name(c), e->config->name);
        *result = call_error_from(c, &err, e->config->name, text);
        return false;
    }
    worker_status(&v->store, e->id, now);
    return true;
}

/* ---- the host ---- */

static void look(struct cmdlet_call *c, struct host_facts *out, bool engines)
{
    const struct host_probe *probe = call_commands(c)->context;
    bug_on(!probe, "the program did not say how to look at its host");
    *out = (struct host_facts){0};
    probe->look(out, engines);
}

void vm_host(struct cmdlet_call *c, struct host_facts *out)
{
    look(c, out, true);
}

void vm_host_processor(struct cmdlet_call *c, struct host_facts *out)
{
    look(c, out, false);
}

const char *vm_path(struct cmdlet_call *c, const char *path, bool exists, struct err *err)
{
    char folder[PATH_MAX];
    const char *out = path;
    if (!*path)
        return "";
    if (exists && access(path, F_OK)) {
        err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND, "There is no file %.300s: %s.", path,
                   strerror(errno));
        return NULL;
    }
    if (*path != '/')
        out = getcwd(folder, sizeof(folder)) ? arena_printf(call_arena(c), "%s/%s", folder, path) : NULL;
    if (out && strlen(out) < sizeof(((struct vm_disk *)0)->path))
        return out;
    err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER, "The path %.100s... is too long.", path);
    return NULL;
}
