/* SPDX-License-Identifier: MIT */
/*
 * A definition is one file, so it appears by its rename and disappears by its unlink. A damaged one keeps its
 * place and its name is not known; it is reported, and never written over.
 *
 * For the members of the group the folders are searchable and their files readable. A definition is that from
 * a moment after its rename on; a process that dies in between leaves one that only root can read, until it
 * is stored again.
 */
#include "mgmt/switch_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config/errors.h"
#include "mgmt/mac_pool.h"

#define GROUP "droste"

static int fail(const char *what, const char *path, struct err *err)
{
    return err_set(err, EXIT_STATUS_HOST, "cannot %s %.200s: %s", what, path, strerror(errno));
}

/* ---- folders ---- */

bool switch_store_group(gid_t *out)
{
    const char *home = getenv("DROSTE_HOME");
    struct group *g = geteuid() == 0 && !(home && *home) ? getgrnam(GROUP) : NULL;
    if (g)
        *out = g->gr_gid;
    return g;
}

/* The members may pass through what stands above. */
static void let_group_in(int above, int folder)
{
    gid_t group;
    if (switch_store_group(&group) && fchown(folder, (uid_t)-1, group) == 0 && fchmod(folder, 0750) == 0)
        (void)!fchmod(above, 0711);
}

static int open_folder(int above, const char *path, struct err *err)
{
    if (mkdirat(above, "switches", 0700) && errno != EEXIST)
        return fail("make the folder of switches in", path, err);
    int fd = openat(above, "switches", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail("open the folder of switches in", path, err);
    let_group_in(above, fd);
    return fd;
}

int switch_store_open(struct switch_store *s, struct err *err)
{
    struct store base;
    *s = (struct switch_store){.data = -1, .run = -1};
    if (store_open(&base, err))
        return -1;
    memcpy(s->data_path, base.data_path, sizeof(s->data_path));
    memcpy(s->run_path, base.run_path, sizeof(s->run_path));
    int r = (s->data = open_folder(base.data, s->data_path, err)) < 0 ||
                    (s->run = open_folder(base.run, s->run_path, err)) < 0
                ? -1
                : 0;
    store_close(&base);
    if (r)
        switch_store_close(s);
    return r;
}

/* Root's, and nobody else's to write. */
static int open_system_folder(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == 0 && !(st.st_mode & 022))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool switch_store_open_system(struct switch_store *s)
{
    const char *home = getenv("DROSTE_HOME");
    *s = (struct switch_store){
        .data_path = "/var/lib/droste", .run_path = "/run/droste", .data = -1, .run = -1, .system = true};
    if (geteuid() == 0 || (home && *home))
        return false;
    s->data = open_system_folder("/var/lib/droste/switches");
    s->run = open_system_folder("/run/droste/switches");
    if (s->data >= 0 && s->run >= 0)
        return true;
    switch_store_close(s);
    return false;
}

void switch_store_close(struct switch_store *s)
{
    if (s->data >= 0)
        close(s->data);
    if (s->run >= 0)
        close(s->run);
    s->data = s->run = -1;
}

/* ---- listing ---- */

static void file_name(char out[VM_ID_SIZE + 8], const char *id, const char *end)
{
    snprintf(out, VM_ID_SIZE + 8, "%.36s%s", id, end);
}

/* "ID.json", and nothing else. */
static bool id_of_file(const char *name, char id[VM_ID_SIZE])
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx.json";
    if (strlen(name) != sizeof(form) - 1 || strcmp(name + VM_ID_SIZE - 1, ".json"))
        return false;
    snprintf(id, VM_ID_SIZE, "%.36s", name);
    return vm_id_valid(id);
}

static int read_definition(const struct switch_store *s, const char *id, struct switch_config *c,
                           struct err *err)
{
    char name[VM_ID_SIZE + 8];
    file_name(name, id, ".json");
    if (switch_config_read(c, s->data, name, err))
        return -1;
    return strcmp(c->id, id) == 0
               ? 0
               : err_set(err, EXIT_STATUS_USAGE, "the definition in the file %s is of another switch, %s",
                         name, c->id);
}

bool switch_store_load(const struct switch_store *s, const char *id, struct switch_entry *e)
{
    char name[VM_ID_SIZE + 8];
    *e = (struct switch_entry){.system = s->system};
    if (!vm_id_valid(id))
        return false;
    file_name(name, id, ".json");
    if (faccessat(s->data, name, F_OK, AT_SYMLINK_NOFOLLOW))
        return false;
    memcpy(e->id, id, VM_ID_SIZE);
    (void)!read_definition(s, id, &e->config, &e->fault);
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct switch_entry *x = a, *y = b;
    if (x->fault.status || y->fault.status)
        return x->fault.status && y->fault.status ? strcmp(x->id, y->id) : x->fault.status ? 1 : -1;
    int r = strcasecmp(x->config.name, y->config.name);
    return r ? r : strcmp(x->id, y->id);
}

static bool append(struct switch_entry **list, unsigned *count, const struct switch_entry *e)
{
    if ((*count & (*count - 1)) == 0) { /* full at each power of two */
        struct switch_entry *more = realloc(*list, (*count ? *count * 2 : 1) * sizeof(**list));
        if (!more)
            return false;
        *list = more;
    }
    (*list)[(*count)++] = *e;
    return true;
}

int switch_store_list(const struct switch_store *s, struct switch_entry **list, unsigned *count,
                      struct err *err)
{
    struct switch_entry e;
    char id[VM_ID_SIZE];
    *list = NULL;
    *count = 0;
    int fd = openat(s->data, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return fail("list the switches in", s->data_path, err);
    int r = 0;
    for (struct dirent *f; r == 0 && (f = readdir(d));)
        if (id_of_file(f->d_name, id) && switch_store_load(s, id, &e) && !append(list, count, &e))
            r = err_set(err, EXIT_STATUS_HOST, "out of memory for the list of switches");
    closedir(d);
    if (r) {
        free(*list);
        *list = NULL;
    } else if (*count) {
        qsort(*list, *count, sizeof(**list), by_name);
    }
    return r;
}

/* The one of this name; `but`: an id that does not count, or NULL. */
static bool find(const struct switch_store *s, const char *name, const char *but, struct switch_entry *e)
{
    struct switch_entry *list;
    unsigned count;
    bool found = false;
    if (switch_store_list(s, &list, &count, NULL))
        return false;
    for (unsigned i = 0; i < count && !found; i++)
        if (!list[i].fault.status && strcasecmp(list[i].config.name, name) == 0 &&
            !(but && strcmp(but, list[i].id) == 0)) {
            *e = list[i];
            found = true;
        }
    free(list);
    return found;
}

int switch_store_find(const struct switch_store *s, const char *name, struct switch_entry *e, struct err *err)
{
    if (find(s, name, NULL, e))
        return 0;
    return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                      "There is no virtual switch '%.100s'. Get-VMSwitch lists them, New-VMSwitch makes one.",
                      name);
}

/* ---- changing ---- */

/* Blocks: it is held for moments only. */
static int lock_store(const struct switch_store *s, struct err *err)
{
    int fd = openat(s->data, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX) == 0)
        return fd;
    fail("lock the switches of", s->data_path, err);
    if (fd >= 0)
        close(fd);
    return -1;
}

static int write_definition(const struct switch_store *s, const struct switch_config *c, struct err *err)
{
    char name[VM_ID_SIZE + 8];
    struct switch_entry other;
    gid_t group;
    file_name(name, c->id, ".json");
    if (find(s, c->name, c->id, &other))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_EXISTS,
                          "There is a virtual switch '%.100s' already.", other.config.name);
    if (switch_config_write(c, s->data, name, err))
        return -1;
    if (switch_store_group(&group) && fchownat(s->data, name, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW) == 0)
        (void)!fchmodat(s->data, name, 0640, 0);
    return 0;
}

static bool has_definition(const struct switch_store *s, const char *file)
{
    char id[VM_ID_SIZE], name[VM_ID_SIZE + 8];
    snprintf(id, sizeof(id), "%.36s", file);
    file_name(name, id, ".json");
    return faccessat(s->data, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Drafts, and locks of switches that are gone: of commands that died. The store is locked. */
static void clear_leftovers(const struct switch_store *s)
{
    int fd = openat(s->data, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *f; d && (f = readdir(d));) {
        const char *end = strrchr(f->d_name, '.');
        if (end &&
            (strcmp(end, ".part") == 0 || (strcmp(end, ".lock") == 0 && !has_definition(s, f->d_name))))
            unlinkat(s->data, f->d_name, 0);
    }
    if (d)
        closedir(d);
}

int switch_store_create(const struct switch_store *s, struct switch_config *c, struct err *err)
{
    vm_id_new(c->id);
    c->created = (u64)time(NULL);
    if (switch_config_has_host(c) && !c->mac[0] && mac_pool_take(NULL, c->mac, err))
        return -1;
    int lock = lock_store(s, err);
    if (lock < 0)
        return -1;
    clear_leftovers(s);
    int r = write_definition(s, c, err);
    close(lock);
    return r;
}

static int lock_switch(const struct switch_store *s, struct switch_folder *f, const char *command,
                       struct err *err)
{
    char name[VM_ID_SIZE + 8];
    file_name(name, f->id, ".lock");
    f->lock = openat(s->data, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->lock < 0 && errno == EACCES)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_ACCESS_DENIED,
                          "The virtual switch belongs to root: use sudo to change it.");
    if (f->lock < 0)
        return fail("open the lock of", f->id, err);
    return store_hold(f->lock, "virtual switch", command, err);
}

int switch_store_take(const struct switch_store *s, const char *id, const char *command,
                      struct switch_folder *f, struct err *err)
{
    *f = (struct switch_folder){.lock = -1};
    struct switch_entry there;
    if (!switch_store_load(s, id, &there)) /* a lock without a definition would stay for ever */
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                          "There is no virtual switch with the id %.40s.", id);
    memcpy(f->id, id, VM_ID_SIZE);
    if (lock_switch(s, f, command, err) == 0 && read_definition(s, id, &f->config, err) == 0)
        return 0;
    switch_store_release(f);
    return -1;
}

int switch_store_put(const struct switch_store *s, const struct switch_folder *f, struct err *err)
{
    int lock = lock_store(s, err);
    if (lock < 0)
        return -1;
    int r = write_definition(s, &f->config, err);
    close(lock);
    return r;
}

void switch_store_release(struct switch_folder *f)
{
    if (f->lock >= 0)
        close(f->lock);
    f->lock = -1;
}

int switch_store_remove(const struct switch_store *s, const struct switch_folder *f, struct err *err)
{
    char name[VM_ID_SIZE + 8];
    file_name(name, f->id, ".json");
    if (unlinkat(s->data, name, 0) || fsync(s->data))
        return fail("remove a switch from", s->data_path, err);
    file_name(name, f->id, ".lock"); /* who waits for it finds no definition */
    unlinkat(s->data, name, 0);
    return 0;
}
