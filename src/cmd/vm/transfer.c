/* SPDX-License-Identifier: MIT */
/*
 * Export-VM and Import-VM. An export is a folder of its own,
 *
 *   PATH/NAME/Virtual Machines/ID/definition.json
 *   PATH/NAME/Virtual Hard Disks/   images
 *   PATH/NAME/Boot/                 kernel and initial RAM disk
 *
 * filled under another name and renamed at the end. Its definition names the files by where they were put; an
 * import looks for them beside it first, so that an export may be moved.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/vm/vms.h"
#include "mgmt/mac_pool.h"
#include "mgmt/copy_file.h"

#define MACHINES "Virtual Machines"
#define DISKS    "Virtual Hard Disks"
#define BOOT     "Boot"

static const char *base_of(struct cmdlet_call *c, const char *path)
{
    return basename(arena_copy(call_arena(c), path, strlen(path)));
}

static int make_folder(const char *path, struct err *err)
{
    return mkdir(path, 0700) && errno != EEXIST
               ? err_set_id(err, EXIT_STATUS_USAGE, ERROR_OPERATION_FAILED,
                            "The folder %.300s cannot be made: %s.", path, strerror(errno))
               : 0;
}

/* Each file that a definition names, in one order. NULL at the end. */
static char *file_of(struct vm_config *k, unsigned i, const char **folder)
{
    *folder = i < 2 ? BOOT : DISKS;
    if (i == 0)
        return k->kernel;
    if (i == 1)
        return k->initrd;
    return i - 2 < k->disk_count ? k->disks[i - 2].path : NULL;
}

static int set_file(char *file, const char *path, struct err *err)
{
    if (strlen(path) >= sizeof(((struct vm_disk *)0)->path))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER, "The path %.100s... is too long.",
                          path);
    memmove(file, path, strlen(path) + 1);
    return 0;
}

/* Copies k's files into folders below `into`; k then names them as below `finally`. */
static int copy_files(struct cmdlet_call *c, struct vm_config *k, const char *into, const char *finally,
                      struct err *err)
{
    struct arena *a = call_arena(c);
    const char *folder;
    char *file;
    for (unsigned i = 0; (file = file_of(k, i, &folder)); i++) {
        if (!*file)
            continue;
        const char *name = base_of(c, file), *to = arena_printf(a, "%s/%s/%s", into, folder, name);
        for (unsigned n = 2; access(to, F_OK) == 0; n++) { /* two images of one name */
            name = arena_printf(a, "%u-%s", n, base_of(c, file));
            to = arena_printf(a, "%s/%s/%s", into, folder, name);
        }
        if (copy_file(file, to, err) ||
            set_file(file, arena_printf(a, "%s/%s/%s", finally, folder, name), err))
            return -1;
    }
    return 0;
}

static int make_folders(struct cmdlet_call *c, const char *root, struct err *err)
{
    static const char *const folders[] = {"", "/" BOOT, "/" DISKS};
    for (unsigned i = 0; i < ARRAY_SIZE(folders); i++)
        if (make_folder(arena_printf(call_arena(c), "%s%s", root, folders[i]), err))
            return -1;
    return 0;
}

static int write_definition(struct cmdlet_call *c, const struct vm_config *k, const char *root,
                            struct err *err)
{
    struct arena *a = call_arena(c);
    const char *machines = arena_printf(a, "%s/" MACHINES, root),
               *own = arena_printf(a, "%s/%s", machines, k->id);
    if (make_folder(machines, err) || make_folder(own, err))
        return -1;
    int dir = open(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = dir < 0 ? err_set(err, EXIT_STATUS_HOST, "The folder %.300s cannot be opened.", own)
                    : vm_config_write(k, dir, STORE_DEFINITION, err);
    if (dir >= 0)
        close(dir);
    return r;
}

/* Plain files and folders, as an export has them. */
static void delete_tree(struct cmdlet_call *c, const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *f; d && (f = readdir(d));) {
        const char *below = arena_printf(call_arena(c), "%s/%s", path, f->d_name);
        if (strcmp(f->d_name, ".") && strcmp(f->d_name, "..") && unlink(below))
            delete_tree(c, below);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

/* ---- Export-VM ---- */

/* A VM's name as the name of one folder. */
static const char *folder_name(struct cmdlet_call *c, const char *name)
{
    char *out = arena_copy(call_arena(c), name, strlen(name));
    for (char *p = out; *p; p++)
        *p = *p == '/' ? '_' : *p;
    if (*out == '.')
        *out = '_';
    return out;
}

static int export_to(struct cmdlet_call *c, struct vm_config *k, const char *root, struct err *err)
{
    const char *draft = arena_printf(call_arena(c), "%s.part", root);
    if (access(root, F_OK) == 0)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_EXISTS,
                          "%.300s is there already: choose another -Path.", root);
    delete_tree(c, draft);
    if (make_folders(c, draft, err) || copy_files(c, k, draft, root, err) ||
        write_definition(c, k, draft, err)) {
        delete_tree(c, draft);
        return -1;
    }
    return rename(draft, root)
               ? err_set(err, EXIT_STATUS_HOST, "%.300s cannot be made: %s.", root, strerror(errno))
               : 0;
}

static int export_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct vm_deed deed = {"Failed to export.", "failed to be exported"};
    struct vm_folder f;
    struct vm_status now;
    struct finding refusal;
    struct err err = {0};
    int result = 0;
    const char *path = vm_path(c, arg_string(c, "Path"), true, &err);
    if (!path)
        return vm_error(c, e, deed, &err);
    if (!call_should(c, "export the virtual machine \"%s\" to \"%s\".", e->config->name, path) ||
        !vm_take(c, v, e, &f, &now, &result))
        return result;
    const char *root = arena_printf(call_arena(c), "%s/%s", path, folder_name(c, f.config->name));
    bool done = false;
    if (!rules_action(ACTION_copy, now.state, &refusal))
        result = vm_refuse(c, e, deed, &refusal);
    else if (export_to(c, f.config, root, &err))
        result = vm_error(c, e, deed, &err);
    else
        done = true;
    store_release(&f);
    return done ? vm_passthru(c, v, e) : result;
}

static int export_vm(struct cmdlet_call *c)
{
    return vms_each(c, "Name", "VM", export_one);
}
const struct cmdlet_ops cmdlet_export_vm = VMS_OPS(export_vm);

/* ---- Import-VM ---- */

/* The one definition of an export: the file itself, its folder, or the export's. NULL and err. */
static const char *find_definition(struct cmdlet_call *c, const char *path, struct err *err)
{
    struct arena *a = call_arena(c);
    struct stat st;
    const char *found = NULL, *machines = arena_printf(a, "%s/" MACHINES, path);
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
        return path;
    if (access(arena_printf(a, "%s/" STORE_DEFINITION, path), F_OK) == 0)
        return arena_printf(a, "%s/" STORE_DEFINITION, path);
    DIR *d = opendir(machines);
    for (struct dirent *f; d && (f = readdir(d));) {
        const char *file = arena_printf(a, "%s/%s/" STORE_DEFINITION, machines, f->d_name);
        if (access(file, F_OK))
            continue;
        if (found)
            err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                       "%.300s holds several virtual machines: give the " STORE_DEFINITION " of one.", path);
        found = file;
    }
    if (d)
        closedir(d);
    if (!found)
        err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                   "%.300s is no export of a virtual machine.", path);
    return err->status ? NULL : found;
}

/* Files that lie in the export's folders are meant there, wherever it was made. */
static int find_files(struct cmdlet_call *c, struct vm_config *k, const char *definition, struct err *err)
{
    struct arena *a = call_arena(c);
    const char *folder, *root = definition;
    char *file;
    for (unsigned i = 0; i < 3; i++)
        root = dirname(arena_copy(a, root, strlen(root)));
    for (unsigned i = 0; (file = file_of(k, i, &folder)); i++) {
        if (!*file)
            continue;
        const char *here = arena_printf(a, "%s/%s/%s", root, folder, base_of(c, file));
        if (access(here, F_OK) == 0 && set_file(file, here, err))
            return -1;
        if (access(file, R_OK))
            return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                              "The file %.300s is missing: %s.", file, strerror(errno));
    }
    return 0;
}

static int read_export(struct cmdlet_call *c, const char *path, struct vm_config *k, struct err *err)
{
    const char *whole = vm_path(c, path, true, err), *file = whole ? find_definition(c, whole, err) : NULL;
    return !file || vm_config_read(k, AT_FDCWD, file, err) || find_files(c, k, file, err) ? -1 : 0;
}

/* Both may run, so their adapters have other addresses; the ones that the user gave stay. */
static int become_another(struct vm_config *k, struct err *err)
{
    vm_id_new(k->id);
    for (unsigned i = 0; i < k->adapter_count; i++) {
        struct vm_adapter *n = &k->adapters[i];
        vm_id_new(n->id);
        if (!n->static_mac && mac_pool_take(k, n->mac, err))
            return -1;
    }
    return 0;
}

static int copy_in(struct cmdlet_call *c, struct vms *v, struct vm_config *k, struct err *err)
{
    struct arena *a = call_arena(c);
    const char *given = arg_string(c, "VhdDestinationPath");
    const char *root = given ? vm_path(c, given, true, err) : arena_printf(a, "%s/disks", v->store.data_path);
    if (arg_switch(c, "GenerateNewId") && become_another(k, err))
        return -1;
    if (!root || (!given && make_folder(root, err)))
        return -1;
    root = arena_printf(a, "%s/%s", root, k->id);
    if (access(root, F_OK) == 0)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_EXISTS,
                          "%.300s is there already: add -GenerateNewId.", root);
    if (make_folders(c, root, err) == 0 && copy_files(c, k, root, root, err) == 0 &&
        store_create(&v->store, k, err) == 0)
        return 0;
    delete_tree(c, root);
    return -1;
}

static int import_vm(struct cmdlet_call *c)
{
    static const char failed[] = "Failed to import a virtual machine.";
    struct vms *v = call_state(c);
    struct err err = {0};
    const char *path = arg_string(c, "Path");
    struct vm_config *k = arena_alloc(call_arena(c), sizeof(*k));
    struct vm_entry e = {.config = k};
    int result = 0;
    if (!call_should(c, "import the virtual machine in \"%s\".", path))
        return 0;
    if (read_export(c, path, k, &err))
        return call_error_from(c, &err, path, failed);
    memcpy(e.id, k->id, sizeof(e.id));
    struct rule_case rc = {.occasion = ON_CREATE, .after = k};
    if (!vm_rules(c, &e, (struct vm_deed){failed, "failed to be imported"}, &rc, &result))
        return result;
    if (arg_switch(c, "Copy") ? copy_in(c, v, k, &err) : store_create(&v->store, k, &err))
        return call_error_from(c, &err, path, failed);
    memcpy(e.id, k->id, sizeof(e.id));
    return emit(c, vm_object(c, v, &e));
}
const struct cmdlet_ops cmdlet_import_vm = VMS_OPS(import_vm);
