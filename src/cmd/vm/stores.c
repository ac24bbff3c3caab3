/* SPDX-License-Identifier: MIT */
/*
 * A user is told of root's store, and root of the store of the user who called sudo. A folder that cannot be
 * listed is judged by its links: each folder in it is one, where the file system counts so.
 */
#include "cmd/vm/stores.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Entries that are not hidden and, of switches, definitions. -1: it cannot be listed. */
static int count_entries(const char *path, const char *end)
{
    DIR *d = opendir(path);
    int n = 0;
    if (!d)
        return -1;
    for (struct dirent *f; (f = readdir(d));) {
        size_t len = strlen(f->d_name), tail = strlen(end);
        n += f->d_name[0] != '.' && len > tail && strcmp(f->d_name + len - tail, end) == 0;
    }
    closedir(d);
    return n;
}

static bool has_folders(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && st.st_nlink > 2;
}

static bool holds_some(const char *data, enum stores_kind kind)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/%s", data, kind == STORES_VMS ? "vm" : "switches");
    int n = count_entries(path, kind == STORES_VMS ? "" : ".json");
    return n > 0 || (n < 0 && kind == STORES_VMS && has_folders(path));
}

static void tell_user(struct cmdlet_call *c, enum stores_kind kind, const char *what)
{
    /* Switches that this user may use were listed. */
    if (holds_some("/var/lib/droste", kind) &&
        !(kind == STORES_SWITCHES && access("/var/lib/droste/switches", R_OK) == 0))
        call_warning(c, "Root's store holds %s too: sudo droste %s.", what, call_name(c));
}

static void tell_root(struct cmdlet_call *c, enum stores_kind kind, const char *what)
{
    const char *caller = getenv("SUDO_UID");
    struct passwd *p = caller ? getpwuid((uid_t)strtoul(caller, NULL, 10)) : NULL;
    char data[4096];
    if (!p || !p->pw_uid)
        return;
    snprintf(data, sizeof(data), "%s/.local/share/droste", p->pw_dir);
    if (holds_some(data, kind))
        call_warning(c, "The store of %s holds %s too: droste %s without sudo.", p->pw_name, what,
                     call_name(c));
}

void stores_tell_others(struct cmdlet_call *c, enum stores_kind kind)
{
    const char *home = getenv("DROSTE_HOME"),
               *what = kind == STORES_VMS ? "virtual machines" : "virtual switches";
    if (home && *home)
        return;
    if (geteuid() == 0)
        tell_root(c, kind, what);
    else
        tell_user(c, kind, what);
}
