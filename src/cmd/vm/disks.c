/* SPDX-License-Identifier: MIT */
/* Add-, Get- and Remove-VMHardDiskDrive, New-VHD. */
#include "cmd/vm/disks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- images ---- */

/* The magic numbers of formats that a guest would otherwise see as a raw disk's first sector. */
static const char *foreign_format(int fd)
{
    static const struct {
        const char *magic, *name;
    } formats[] = {{"vhdxfile", "VHDX"}, {"conectix", "VHD"}, {"QFI\xfb", "qcow2"}, {"KDMV", "VMDK"}};
    char head[8] = "";
    if (pread(fd, head, sizeof(head), 0) < 0)
        return NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
        if (memcmp(head, formats[i].magic, strlen(formats[i].magic)) == 0)
            return formats[i].name;
    return NULL;
}

static int check_image(const char *path, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                          "The image %.300s cannot be opened: %s.", path, strerror(errno));
    const char *foreign = foreign_format(fd);
    bool usable = fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
    close(fd);
    if (!usable)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER, "%.300s is no disk image.", path);
    if (foreign)
        return err_set_id(
            err, EXIT_STATUS_USAGE, ERROR_NOT_SUPPORTED,
            "%.300s is a %s image, which is not built into this version: convert it to a raw one "
            "(qemu-img convert -O raw).",
            path, foreign);
    return 0;
}

static int make_at(const char *path, i64 bytes, bool fixed, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_set_id(err, EXIT_STATUS_USAGE,
                          errno == EEXIST ? ERROR_OBJECT_EXISTS : ERROR_OPERATION_FAILED,
                          "The image %.300s cannot be made: %s.", path, strerror(errno));
    int failed = fixed ? posix_fallocate(fd, 0, bytes) : ftruncate(fd, bytes) ? errno : 0;
    if (!failed && fsync(fd))
        failed = errno;
    close(fd);
    if (!failed)
        return 0;
    unlink(path);
    return err_set_id(err, EXIT_STATUS_HOST, ERROR_OPERATION_FAILED, "The image %.300s cannot be made: %s.",
                      path, strerror(failed));
}

static int make_image(struct cmdlet_call *c, const char *path, i64 bytes, bool fixed, struct err *err)
{
    const char *whole = vm_path(c, path, false, err);
    if (!whole)
        return -1;
    if (bytes < 512 || bytes % 512)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "An image's size is a multiple of 512 bytes; %lld is not.", (long long)bytes);
    return make_at(whole, bytes, fixed, err);
}

int disk_make(struct cmdlet_call *c, const char *path, i64 bytes, struct err *err)
{
    return make_image(c, path, bytes, false, err);
}

static int new_vhd_at(struct cmdlet_call *c, const char *path)
{
    struct err err = {0};
    struct arena *a = call_arena(c);
    i64 bytes = arg_int(c, "SizeBytes", 0);
    bool fixed = arg_switch(c, "Fixed");
    if (!call_should(c, "create the virtual hard disk \"%s\".", path))
        return 0;
    if (make_image(c, path, bytes, fixed, &err))
        return call_error_from(c, &err, path, "Failed to create the virtual hard disk.");
    struct value o = object_new(a, call_type(c, "VHD"));
    object_set(o, "Path", value_string(a, vm_path(c, path, true, &err)));
    object_set(o, "VhdFormat", value_static("Raw"));
    object_set(o, "VhdType", value_static(fixed ? "Fixed" : "Dynamic"));
    object_set(o, "FileSize", value_int(fixed ? bytes : 0));
    object_set(o, "Size", value_int(bytes));
    object_set(o, "LogicalSectorSize", value_int(512));
    object_set(o, "Attached", value_bool(false));
    return emit(c, o);
}

static int new_vhd(struct cmdlet_call *c)
{
    for (unsigned i = 0; i < arg_count(c, "Path"); i++)
        if (new_vhd_at(c, arg_string_at(c, "Path", i)))
            return -1;
    return 0;
}
const struct cmdlet_ops cmdlet_new_vhd = {.process = new_vhd};

/* ---- drives of a VM ---- */

/* In the order of places: before it, at it, or behind. */
static int order(const struct vm_disk *d, i64 controller, i64 location)
{
    i64 at = (i64)d->controller * 64 + (i64)d->location, wanted = controller * 64 + location;
    return at < wanted ? -1 : at > wanted;
}

static void first_free(const struct vm_config *k, i64 *controller, i64 *location)
{
    i64 from = *controller < 0 ? 0 : *controller;
    for (*controller = from, *location = 0;; ++*location) {
        bool taken = false;
        for (unsigned i = 0; i < k->disk_count; i++)
            taken |= order(&k->disks[i], *controller, *location) == 0;
        if (!taken)
            return;
    }
}

int disk_add(struct cmdlet_call *c, struct vm_config *k, const char *path, i64 controller, i64 location,
             struct err *err)
{
    const char *whole = vm_path(c, path, true, err);
    if (!whole || check_image(whole, err))
        return -1;
    if (k->disk_count == VM_DISKS_MAX)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "A virtual machine has at most %d hard drives.", VM_DISKS_MAX);
    if (location < 0)
        first_free(k, &controller, &location);
    else if (controller < 0)
        controller = 0;
    unsigned at = 0;
    while (at < k->disk_count && order(&k->disks[at], controller, location) < 0)
        at++;
    if (at < k->disk_count && order(&k->disks[at], controller, location) == 0)
        return err_set_id(
            err, EXIT_STATUS_USAGE, ERROR_OBJECT_EXISTS,
            "Controller %lld, location %lld has a hard drive already. Leave -ControllerLocation away for the "
            "first free place.",
            (long long)controller, (long long)location);
    memmove(&k->disks[at + 1], &k->disks[at], (k->disk_count - at) * sizeof(*k->disks));
    k->disk_count++;
    schema_defaults(&vm_disk_schema, &k->disks[at]);
    k->disks[at].controller = (u64)controller;
    k->disks[at].location = (u64)location;
    strcpy(k->disks[at].path, whole);
    return 0;
}

static struct value show(struct cmdlet_call *c, const struct vm_entry *e, const struct vm_disk *d)
{
    struct arena *a = call_arena(c);
    struct value o = vm_part(c, "HardDiskDrive", e);
    object_set(o, "ControllerType", value_static("SCSI"));
    object_set(o, "ControllerNumber", value_int((i64)d->controller));
    object_set(o, "ControllerLocation", value_int((i64)d->location));
    object_set(o, "DiskNumber", NULL_VALUE);
    object_set(o, "Path", value_string(a, d->path));
    return o;
}

static bool chosen(struct cmdlet_call *c, const struct vm_disk *d)
{
    return (!arg_given(c, "ControllerNumber") || (i64)d->controller == arg_int(c, "ControllerNumber", 0)) &&
           (!arg_given(c, "ControllerLocation") || (i64)d->location == arg_int(c, "ControllerLocation", 0));
}

static int get_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    for (unsigned i = 0; i < e->config->disk_count; i++)
        if (chosen(c, &e->config->disks[i]) && emit(c, show(c, e, &e->config->disks[i])))
            return -1;
    return 0;
}

static int get_drive(struct cmdlet_call *c)
{
    return vms_each(c, "VMName", "VM", get_one);
}
const struct cmdlet_ops cmdlet_get_vm_hard_disk_drive = VMS_OPS(get_drive);

static int apply_add(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    return disk_add(c, k, arg_string(c, "Path"), arg_int(c, "ControllerNumber", -1),
                    arg_int(c, "ControllerLocation", -1), err);
}

/* The drive that is there now and was not before. */
static const struct vm_disk *added(const struct vm_config *before, const struct vm_config *now)
{
    unsigned i = 0;
    while (i < before->disk_count &&
           order(&before->disks[i], (i64)now->disks[i].controller, (i64)now->disks[i].location) == 0)
        i++;
    return &now->disks[i];
}

static int add_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct vm_change change = {"Hard drive", "add a hard drive to the virtual machine \"%s\".",
                                            .apply = apply_add};
    struct vm_entry now;
    int result;
    if (!vm_change(c, v, e, &change, &now, &result))
        return result;
    return arg_switch(c, "Passthru") ? emit(c, show(c, &now, added(e->config, now.config))) : 0;
}

static int add_drive(struct cmdlet_call *c)
{
    return vms_each(c, "VMName", "VM", add_one);
}
const struct cmdlet_ops cmdlet_add_vm_hard_disk_drive = VMS_OPS(add_drive);

/* ---- Remove-VMHardDiskDrive ---- */

static i64 place(struct cmdlet_call *c, const char *name)
{
    struct value o = arg_given(c, "VMHardDiskDrive") ? call_input(c) : NULL_VALUE;
    if (o.kind != VALUE_OBJECT && arg_count(c, "VMHardDiskDrive"))
        o = arg_at(c, "VMHardDiskDrive", 0);
    struct value v = object_get(o, name);
    return v.kind == VALUE_INT ? v.integer : arg_int(c, name, 0);
}

static int apply_remove(struct cmdlet_call *c, struct vm_config *k, struct err *err)
{
    i64 controller = place(c, "ControllerNumber"), location = place(c, "ControllerLocation");
    for (unsigned i = 0; i < k->disk_count; i++)
        if (order(&k->disks[i], controller, location) == 0) {
            memmove(&k->disks[i], &k->disks[i + 1], (k->disk_count - i - 1) * sizeof(*k->disks));
            k->disk_count--;
            return 0;
        }
    return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                      "There is no hard drive at controller %lld, location %lld.", (long long)controller,
                      (long long)location);
}

static int remove_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct vm_change change = {
        "Hard drive", "remove a hard drive from the virtual machine \"%s\".", .apply = apply_remove};
    struct vm_entry now;
    int result;
    return vm_change(c, v, e, &change, &now, &result) ? 0 : result;
}

static int remove_drive(struct cmdlet_call *c)
{
    return arg_given(c, "VMHardDiskDrive") ? vms_each(c, NULL, "VMHardDiskDrive", remove_one)
                                           : vms_each(c, "VMName", NULL, remove_one);
}
const struct cmdlet_ops cmdlet_remove_vm_hard_disk_drive = VMS_OPS(remove_drive);
