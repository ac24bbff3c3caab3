/* SPDX-License-Identifier: MIT */
/*
 * A VM's folder appears and disappears by one rename: it is filled as ".new-ID" and emptied as ".gone-ID".
 * Leftovers of processes that died in between are cleared by the next who holds the store's lock.
 */
#include "mgmt/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config/errors.h"

static int fail(const char *what, const char *path, struct err *err)
{
    return err_set(err, EXIT_STATUS_HOST, "cannot %s %.200s: %s", what, path, strerror(errno));
}

void vm_id_new(char id[VM_ID_SIZE])
{
    u8 b[16];
    bug_on(getrandom(b, sizeof(b), 0) != sizeof(b), "no random numbers");
    b[6] = (b[6] & 0x0f) | 0x40; /* RFC 9562 5.4 */
    b[8] = (b[8] & 0x3f) | 0x80;
    snprintf(id, VM_ID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* ---- folders ---- */

/* Missing parents too, all of them for the user alone. */
static int make_folders(char *path, struct err *err)
{
    for (char *p = path + 1;; p++) {
        char c = *p;
        if (c && c != '/')
            continue;
        *p = 0;
        int r = mkdir(path, 0700);
        *p = c;
        if (r && errno != EEXIST && errno != EROFS && errno != EACCES)
            return fail("make the folder", path, err);
        if (!c)
            return 0;
    }
}

/* A folder that others may write to is no place for definitions and sockets. */
static int check_owner(int fd, const char *path, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st))
        return fail("look at", path, err);
    if (st.st_uid != geteuid())
        return err_set(err, EXIT_STATUS_USAGE,
                       "%.200s belongs to another user: set DROSTE_HOME to a folder of yours", path);
    if (st.st_mode & 022)
        return err_set(err, EXIT_STATUS_USAGE,
                       "%.200s can be written by other users: chmod go-w it, or set DROSTE_HOME", path);
    return 0;
}

static int open_folder(char *path, struct err *err)
{
    if (make_folders(path, err))
        return -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail("open the folder", path, err);
    if (check_owner(fd, path, err) == 0)
        return fd;
    close(fd);
    return -1;
}

static int set_path(char *path, const char *base, const char *rest, struct err *err)
{
    if (base[0] != '/')
        return err_set(err, EXIT_STATUS_USAGE, "the folder '%.200s' is not an absolute path", base);
    int n = snprintf(path, STORE_PATH_SIZE, "%s%s", base, rest);
    return n < STORE_PATH_SIZE ? 0 : err_set(err, EXIT_STATUS_USAGE, "the path %.100s... is too long", path);
}

static const char *variable(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static int set_paths(struct store *s, struct err *err)
{
    const char *home = variable("DROSTE_HOME"), *data = variable("XDG_DATA_HOME"),
               *run = variable("XDG_RUNTIME_DIR");
    if (home)
        return set_path(s->data_path, home, "", err) || set_path(s->run_path, home, "/run", err) ? -1 : 0;
    if (geteuid() == 0)
        return set_path(s->data_path, "/var/lib/droste", "", err) ||
                       set_path(s->run_path, "/run/droste", "", err)
                   ? -1
                   : 0;
    const char *user = variable("HOME");
    if (!data && !user)
        return err_set(err, EXIT_STATUS_USAGE,
                       "no place for virtual machines: set HOME, XDG_DATA_HOME or DROSTE_HOME");
    if (data ? set_path(s->data_path, data, "/droste", err)
             : set_path(s->data_path, user, "/.local/share/droste", err))
        return -1;
    return run ? set_path(s->run_path, run, "/droste", err)
               : set_path(s->run_path, s->data_path, "/run", err);
}

int store_open(struct store *s, struct err *err)
{
    memset(s, 0, sizeof(*s));
    s->data = s->vms = s->run = -1;
    if (set_paths(s, err) || (s->data = open_folder(s->data_path, err)) < 0 ||
        (s->run = open_folder(s->run_path, err)) < 0)
        goto failed;
    if (mkdirat(s->data, "vm", 0700) && errno != EEXIST) {
        fail("make the folder of VMs in", s->data_path, err);
        goto failed;
    }
    s->vms = openat(s->data, "vm", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (s->vms >= 0)
        return 0;
    fail("open the folder of VMs in", s->data_path, err);
failed:
    store_close(s);
    return -1;
}

void store_close(struct store *s)
{
    int fds[] = {s->data, s->vms, s->run};
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    s->data = s->vms = s->run = -1;
}

int store_folder(const struct store *s, const char *id)
{
    return openat(s->vms, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* ---- listing ---- */

/* As in a folder's name: anything else in there is not ours. */
bool vm_id_valid(const char *name)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (strlen(name) != VM_ID_SIZE - 1)
        return false;
    for (unsigned i = 0; form[i]; i++)
        if (form[i] == '-' ? name[i] != '-' : !strchr("0123456789abcdef", name[i]))
            return false;
    return true;
}

static int read_definition(int dir, const char *id, struct vm_config *c, struct err *err)
{
    if (vm_config_read(c, dir, STORE_DEFINITION, err))
        return -1;
    return strcmp(c->id, id) == 0
               ? 0
               : err_set(err, EXIT_STATUS_USAGE, "the definition in the folder %s is of another VM, %s", id,
                         c->id);
}

bool store_load(const struct store *s, const char *id, struct vm_entry *e)
{
    int dir = vm_id_valid(id) ? store_folder(s, id) : -1;
    *e = (struct vm_entry){0};
    if (dir < 0)
        return false;
    memcpy(e->id, id, VM_ID_SIZE);
    e->config = malloc(sizeof(*e->config));
    if (!e->config || read_definition(dir, id, e->config, &e->fault)) {
        err_set(&e->fault, EXIT_STATUS_HOST, "out of memory for a definition");
        free(e->config);
        e->config = NULL;
    }
    close(dir);
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct vm_entry *x = a, *y = b;
    if (!x->config || !y->config)
        return x->config ? -1 : y->config ? 1 : strcmp(x->id, y->id);
    int r = strcasecmp(x->config->name, y->config->name);
    return r ? r : strcmp(x->id, y->id);
}

static bool append(struct vm_entry **list, unsigned *count, const struct vm_entry *e)
{
    if ((*count & (*count - 1)) == 0) { /* full at each power of two */
        struct vm_entry *more = realloc(*list, (*count ? *count * 2 : 1) * sizeof(**list));
        if (!more)
            return false;
        *list = more;
    }
    (*list)[(*count)++] = *e;
    return true;
}

static DIR *open_list(const struct store *s, struct err *err)
{
    int fd = openat(s->vms, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        fail("list the VMs in", s->data_path, err);
    return d;
}

int store_list(struct store *s, struct vm_entry **list, unsigned *count, struct err *err)
{
    struct vm_entry e;
    *list = NULL;
    *count = 0;
    DIR *d = open_list(s, err);
    if (!d)
        return -1;
    int r = 0;
    for (struct dirent *f; r == 0 && (f = readdir(d));)
        if (vm_id_valid(f->d_name) && store_load(s, f->d_name, &e) && !append(list, count, &e)) {
            free(e.config);
            r = err_set(err, EXIT_STATUS_HOST, "out of memory for the list of VMs");
        }
    closedir(d);
    if (r) {
        store_list_free(*list, *count);
        *list = NULL;
        *count = 0;
    } else if (*count) {
        qsort(*list, *count, sizeof(**list), by_name);
    }
    return r;
}

void store_list_free(struct vm_entry *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        free(list[i].config);
    free(list);
}

/* ---- creating and removing ---- */

/* Blocks: it is held for moments only. */
static int lock_store(const struct store *s, struct err *err)
{
    int fd = openat(s->data, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || flock(fd, LOCK_EX)) {
        fail("lock the store", s->data_path, err);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

/* A VM's folder holds plain files only. */
static void delete_folder(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *f; d && (f = readdir(d));)
        if (strcmp(f->d_name, ".") && strcmp(f->d_name, ".."))
            unlinkat(fd, f->d_name, 0);
    if (d)
        closedir(d);
    unlinkat(parent, name, AT_REMOVEDIR);
}

static void clear_leftovers(const struct store *s)
{
    DIR *d = open_list(s, NULL);
    for (struct dirent *f; d && (f = readdir(d));)
        if (strncmp(f->d_name, ".new-", 5) == 0 || strncmp(f->d_name, ".gone-", 6) == 0)
            delete_folder(s->vms, f->d_name);
    if (d)
        closedir(d);
}

static int create_locked(struct store *s, const struct vm_config *c, struct err *err)
{
    char draft[VM_ID_SIZE + 8];
    snprintf(draft, sizeof(draft), ".new-%.36s", c->id);
    if (mkdirat(s->vms, draft, 0700))
        return fail("make a folder in", s->data_path, err);
    int dir = store_folder(s, draft);
    int r = dir < 0 ? fail("open a folder in", s->data_path, err)
                    : vm_config_write(c, dir, STORE_DEFINITION, err);
    if (dir >= 0)
        close(dir);
    if (r == 0 && faccessat(s->vms, c->id, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        r = err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_EXISTS,
                       "There is a virtual machine with the id %s already.", c->id);
    if (r == 0 && (renameat(s->vms, draft, s->vms, c->id) || fsync(s->vms)))
        r = fail("store a VM in", s->data_path, err);
    if (r)
        delete_folder(s->vms, draft);
    return r;
}

int store_create(struct store *s, struct vm_config *c, struct err *err)
{
    if (!c->id[0]) {
        vm_id_new(c->id);
        c->created = (u64)time(NULL);
    }
    int lock = lock_store(s, err);
    if (lock < 0)
        return -1;
    clear_leftovers(s);
    int r = create_locked(s, c, err);
    close(lock);
    return r;
}

int store_remove(struct store *s, struct vm_folder *f, struct err *err)
{
    char gone[VM_ID_SIZE + 8];
    int lock = lock_store(s, err);
    if (lock < 0)
        return -1;
    snprintf(gone, sizeof(gone), ".gone-%s", f->id);
    int r = renameat(s->vms, f->id, s->vms, gone) || fsync(s->vms)
                ? fail("remove a VM from", s->data_path, err)
                : 0;
    if (r == 0)
        clear_leftovers(s);
    close(lock);
    return r;
}

/* ---- one VM ---- */

/* Who has the lock, as they wrote it: "Start-VM (process 123)". */
static int refuse_taken(int fd, const char *what, struct err *err)
{
    char who[100];
    ssize_t n = pread(fd, who, sizeof(who) - 1, 0);
    who[n > 0 ? n : 0] = 0;
    for (char *p = who; *p; p++)
        if (*p < ' ' || *p > '~')
            *p = 0;
    return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_BUSY,
                      "Another command works on this %s: %s. Try again when it is done.", what,
                      who[0] ? who : "it did not say which");
}

int store_hold(int lock, const char *what, const char *command, struct err *err)
{
    char who[100];
    if (flock(lock, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? refuse_taken(lock, what, err) : fail("lock a", what, err);
    int n = snprintf(who, sizeof(who), "%.60s (process %d)\n", command, (int)getpid());
    return pwrite(lock, who, (size_t)n, 0) < n || ftruncate(lock, n) ? fail("write the lock of a", what, err)
                                                                     : 0;
}

static int lock_vm(struct vm_folder *f, const char *command, struct err *err)
{
    f->lock = openat(f->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return f->lock < 0 ? fail("open the lock of", f->id, err)
                       : store_hold(f->lock, "virtual machine", command, err);
}

/* Whether the folder that is locked still is the VM's: it may have been removed while we came. */
static bool still_there(const struct store *s, const struct vm_folder *f)
{
    struct stat ours, now;
    return fstat(f->dir, &ours) == 0 && fstatat(s->vms, f->id, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == now.st_ino && ours.st_dev == now.st_dev;
}

int store_take(struct store *s, const char *id, const char *command, struct vm_folder *f, struct err *err)
{
    *f = (struct vm_folder){.dir = -1, .lock = -1};
    snprintf(f->id, sizeof(f->id), "%s", id);
    f->dir = vm_id_valid(id) ? store_folder(s, id) : -1;
    if (f->dir < 0)
        return err_set(err, EXIT_STATUS_USAGE, "There is no virtual machine with the id %.40s.", id);
    f->config = malloc(sizeof(*f->config));
    if (!f->config)
        err_set(err, EXIT_STATUS_HOST, "out of memory for a definition");
    else if (lock_vm(f, command, err) == 0) {
        if (!still_there(s, f))
            err_set(err, EXIT_STATUS_USAGE, "The virtual machine was removed by another command.");
        else if (read_definition(f->dir, id, f->config, err) == 0)
            return 0;
    }
    store_release(f);
    return -1;
}

int store_put(struct vm_folder *f, struct err *err)
{
    return vm_config_write(f->config, f->dir, STORE_DEFINITION, err);
}

void store_release(struct vm_folder *f)
{
    free(f->config);
    if (f->lock >= 0)
        close(f->lock);
    if (f->dir >= 0)
        close(f->dir);
    *f = (struct vm_folder){.dir = -1, .lock = -1};
}
