/* SPDX-License-Identifier: MIT */
/* Start-, Stop- and Get-VMSwitchCapture: the command opens the file, the switch writes it. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cmd/vm/adapters.h"
#include "cmd/vm/switches.h"
#include "mgmt/adapters.h"

static const struct adapter_params params = {"VMName", NULL, "VMNetworkAdapter", "Name"};

static struct value capture_object(struct cmdlet_call *c, const char *switch_name, const struct message *m)
{
    struct arena *a = call_arena(c);
    struct value o = object_new(a, call_type(c, "VMSwitchCapture"));
    object_set(o, "SwitchName", value_string(a, switch_name));
    object_set(o, "VMName", value_string(a, m->vm_name));
    object_set(o, "VMNetworkAdapterName", value_string(a, m->adapter_name));
    object_set(o, "Path", value_string(a, m->text));
    object_set(o, "StatusDescription", value_string(a, m->notice));
    return o;
}

/* ---- Start-VMSwitchCapture ---- */

static int open_file(struct cmdlet_call *c, struct message *m, struct err *err)
{
    const char *path = vm_path(c, arg_string(c, "Path"), false, err);
    if (!path)
        return -1;
    if (strlen(path) >= sizeof(m->text))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER, "The path %.100s... is too long.",
                          path);
    strcpy(m->text, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd >= 0 ? fd
                   : err_set_id(err, EXIT_STATUS_USAGE, ERROR_WRITE_FAILED, "cannot make %.300s: %s", path,
                                strerror(errno));
}

/* Asks the switch of this name; a file that nobody writes to does not stay. */
static int begin(struct cmdlet_call *c, const char *switch_name, struct message *m, struct err *err)
{
    int fd = *switch_name ? switch_connect_name(switch_name) : -1;
    if (fd < 0)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_STATE,
                          "The adapter is not connected to a switch that runs.");
    int file = open_file(c, m, err), r = file < 0 ? -1 : switch_call(fd, m, file, NULL, err);
    if (r && file >= 0)
        unlink(m->text);
    if (file >= 0)
        close(file);
    close(fd);
    return r;
}

static int end(const char *switch_name, struct message *m, struct err *err)
{
    int fd = *switch_name ? switch_connect_name(switch_name) : -1;
    if (fd < 0)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_STATE, "No frames are being captured there.");
    int r = switch_call(fd, m, -1, NULL, err);
    close(fd);
    return r;
}

/* Starts or ends it, as m's type says. whose: "the virtual machine" or "the host on", with its name behind.
 */
static int carry_out(struct cmdlet_call *c, const char *switch_name, struct message *m, const char *whose,
                     const char *name)
{
    bool begins = m->type == MESSAGE_CAPTURE;
    struct err err = {0};
    if (!call_should(c, "%s the frames of %s \"%s\".", begins ? "capture" : "end capturing", whose, name))
        return 0;
    if (begins ? begin(c, switch_name, m, &err) : end(switch_name, m, &err))
        return call_error_from(c, &err, name, begins ? "Failed to capture." : "Failed to end the capture.");
    return begins ? emit(c, capture_object(c, switch_name, m)) : 0;
}

static int of_adapter(struct cmdlet_call *c, const struct vm_entry *e, unsigned adapter,
                      enum message_type type)
{
    struct message m = adapter_plug(e->config, adapter);
    m.type = type;
    return carry_out(c, e->config->adapters[adapter].switch_name, &m, "the virtual machine", e->config->name);
}

static int of_host(struct cmdlet_call *c, enum message_type type)
{
    const char *name = arg_string(c, "SwitchName");
    struct message m = {.type = type};
    return carry_out(c, name, &m, "the host on", name);
}

static int start_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, unsigned adapter)
{
    return of_adapter(c, e, adapter, MESSAGE_CAPTURE);
}

static int start_capture(struct cmdlet_call *c)
{
    return arg_switch(c, "ManagementOS") ? of_host(c, MESSAGE_CAPTURE) : adapters_each(c, &params, start_one);
}
const struct cmdlet_ops cmdlet_start_vm_switch_capture = ADAPTERS_OPS(start_capture);

static int stop_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, unsigned adapter)
{
    return of_adapter(c, e, adapter, MESSAGE_CAPTURE_END);
}

static int stop_capture(struct cmdlet_call *c)
{
    return arg_switch(c, "ManagementOS") ? of_host(c, MESSAGE_CAPTURE_END)
                                         : adapters_each(c, &params, stop_one);
}
const struct cmdlet_ops cmdlet_stop_vm_switch_capture = ADAPTERS_OPS(stop_capture);

/* ---- Get-VMSwitchCapture ---- */

struct found {
    struct cmdlet_call *call;
    const char *switch_name;
    struct values list;
};

static void find_capturing(void *opaque, const struct message *m)
{
    struct found *f = opaque;
    if (m->capturing)
        values_add(&f->list, capture_object(f->call, f->switch_name, m));
}

static int give_captures(struct cmdlet_call *c, const struct switches *s, const struct switch_entry *e)
{
    struct found f = {.call = c, .switch_name = e->config.name, .list = {.arena = call_arena(c)}};
    struct message status = {.type = MESSAGE_STATUS};
    int fd = switch_connect(switches_store(s, e), e->id), r = 0;
    if (fd < 0)
        return 0;
    if (switch_ports(fd, find_capturing, &f, &status, NULL) == 0 && status.capturing)
        find_capturing(&f, &status);
    close(fd);
    for (unsigned i = 0; i < f.list.count && r == 0; i++)
        r = emit(c, f.list.items[i]);
    return r;
}

static int get_capture(struct cmdlet_call *c)
{
    struct switches *s = call_state(c);
    const char *name = arg_string(c, "SwitchName");
    for (unsigned i = 0; i < s->count; i++)
        if (!s->list[i].fault.status && (!name || wildcard_match(name, s->list[i].config.name)) &&
            give_captures(c, s, &s->list[i]))
            return -1;
    return 0;
}
const struct cmdlet_ops cmdlet_get_vm_switch_capture = SWITCHES_OPS(get_capture);
