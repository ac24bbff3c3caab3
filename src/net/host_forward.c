/* SPDX-License-Identifier: MIT */
/*
 * IPv4 asks the interface a packet came in by (ip_forward of the kernel's net/ipv4/route.c); IPv6 has one
 * switch for all, which also sets every interface's own, and those decide who listens to router
 * advertisements: they are put back at once.
 */
#include "net/host_forward.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "net/nat_nft.h"

#define TABLE      "droste-forwarding"
#define CONF       "/proc/sys/net/%s/conf/%s/forwarding"
#define LOCK_NAME  "\0droste-forwarding" /* abstract: of this network namespace, and gone with its holder */
#define LOCK_TRIES 500
#define PATH_SIZE  128
#define V6_FOR_ALL "all" /* no interface can have this name: it is a folder of the kernel's */

/* ---- one at a time ---- */

static int lock(struct err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t len = offsetof(struct sockaddr_un, sun_path) + sizeof(LOCK_NAME) - 1;
    memcpy(a.sun_path, LOCK_NAME, sizeof(LOCK_NAME) - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (unsigned i = 0; fd >= 0 && i < LOCK_TRIES; i++) {
        if (bind(fd, (struct sockaddr *)&a, len) == 0)
            return fd;
        if (errno != EADDRINUSE)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    err_set(err, EXIT_STATUS_HOST,
            "cannot change what passes through this host: another command is at it, %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* ---- the kernel's switches ---- */

static int read_switch(const char *family, const char *interface)
{
    char path[PATH_SIZE], c = 0;
    snprintf(path, sizeof(path), CONF, family, interface);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool got = fd >= 0 && read(fd, &c, 1) == 1;
    if (fd >= 0)
        close(fd);
    return got ? c != '0' : -1;
}

static int write_switch(const char *family, const char *interface, bool on, struct err *err)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), CONF, family, interface);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, on ? "1" : "0", 1) == 1;
    int why = errno;
    if (fd >= 0)
        close(fd);
    return written ? 0
                   : err_set(err, EXIT_STATUS_HOST,
                             "cannot write %s: %s; NAT needs it (or New-VMSwitch -HostNetwork User)", path,
                             strerror(why));
}

int host_forward_adapter(const char *interface, bool on, struct err *err)
{
    return read_switch("ipv4", interface) == on ? 0 : write_switch("ipv4", interface, on, err);
}

/* Every interface's own switch, as it is. */
static void put_back(char (*names)[HOST_LINK_NAME_MAX], const bool *on, unsigned count)
{
    struct err ignored = {0}; /* it may be gone meanwhile */
    for (unsigned i = 0; i < count; i++)
        if (read_switch("ipv6", names[i]) != on[i])
            (void)!write_switch("ipv6", names[i], on[i], &ignored);
}

static int switch_v6(bool all, struct err *err)
{
    enum { MOST = 256 };
    char names[MOST][HOST_LINK_NAME_MAX];
    bool on[MOST];
    unsigned count = 0;
    DIR *d = opendir("/proc/sys/net/ipv6/conf");
    for (struct dirent *f; d && count < MOST && (f = readdir(d));) {
        int now =
            f->d_name[0] == '.' || strcmp(f->d_name, V6_FOR_ALL) == 0 ? -1 : read_switch("ipv6", f->d_name);
        if (now < 0)
            continue;
        snprintf(names[count], HOST_LINK_NAME_MAX, "%.15s", f->d_name);
        on[count++] = now;
    }
    if (d)
        closedir(d);
    if (write_switch("ipv6", V6_FOR_ALL, all, err))
        return -1;
    put_back(names, on, count);
    return 0;
}

/* ---- what is remembered ---- */

void nft_set_words(const char *listing, const char *name, void (*each)(void *arg, const char *word),
                   void *arg)
{
    char head[40], word[HOST_LINK_NAME_MAX];
    snprintf(head, sizeof(head), "set %.20s {", name);
    const char *p = strstr(listing, head), *end = p ? strchr(p + strlen(head), '}') : NULL;
    for (p = p ? p + strlen(head) : NULL; p && end && (p = strchr(p, '"')) && p < end;) {
        const char *close = strchr(++p, '"');
        if (!close)
            return;
        if ((size_t)(close - p) < sizeof(word)) {
            snprintf(word, sizeof(word), "%.*s", (int)(close - p), p);
            each(arg, word);
        }
        p = close + 1;
    }
}

/* The table, with one more element; a chain drops only for what this host did not pass on before. */
#define SETS                                                                                                 \
    "table inet " TABLE                                                                                      \
    " { set ipv4 { type ifname; }; set ipv6 { type ifname; }; set adapters { type ifname; }; }\n"
#define CHAIN(name, what)                                                                                    \
    "table inet " TABLE " { chain " name                                                                     \
    " { type filter hook forward priority filter; policy accept; }; }\n"                                     \
    "flush chain inet " TABLE " " name "\n"                                                                  \
    "add rule inet " TABLE " " name " " what " ct state established,related accept\n"                        \
    "add rule inet " TABLE " " name " " what " ct status dnat accept\n"                                      \
    "add rule inet " TABLE " " name " " what " drop\n"

static int remember(const char *chain, const char *set, const char *interface, struct err *err)
{
    char text[1500];
    snprintf(text, sizeof(text), SETS "%sadd element inet " TABLE " %s { \"%s\" }\n", chain, set, interface);
    return nft_run(text, NULL, err);
}

/* A name that nft could read as something else than a name. */
static bool odd(const char *interface)
{
    return interface[strcspn(interface, "\"\\{};#$\n")] != 0;
}

static int switch_on(const char *interface, struct err *err)
{
    if (read_switch("ipv4", interface) != 0 || odd(interface))
        return 0;
    return remember(CHAIN("forward", "meta nfproto ipv4 iifname @ipv4"), "ipv4", interface, err) ||
                   write_switch("ipv4", interface, true, err)
               ? -1
               : 0;
}

/* Whether a home still has a table, and whether ours is there. */
static int look(bool *others, bool *ours, struct err *err)
{
    char *tables;
    if (nft_run("list tables inet", &tables, err))
        return -1;
    *others = *ours = false;
    for (char *line = strtok(tables, "\n"); line; line = strtok(NULL, "\n")) {
        if (strcmp(line, "table inet " TABLE) == 0)
            *ours = true;
        else
            *others |= strncmp(line, "table inet droste", strlen("table inet droste")) == 0;
    }
    free(tables);
    return 0;
}

int host_forward_on(const char *const *uplinks, unsigned count, struct err *err)
{
    int l = lock(err), r = l < 0 ? -1 : 0;
    for (unsigned i = 0; i < count && r == 0; i++)
        r = switch_on(uplinks[i], err);
    if (l >= 0)
        close(l);
    return r;
}

static int on_v6(const char *const *adapters, unsigned count, struct err *err)
{
    bool others, ours, off = read_switch("ipv6", V6_FOR_ALL) == 0;
    if (look(&others, &ours, err))
        return -1;
    if (!off && !ours) /* this host passes IPv6 on by itself */
        return 0;
    for (unsigned i = 0; i < count; i++)
        if (remember("", "adapters", adapters[i], err))
            return -1;
    if (!off)
        return 0;
    return remember(CHAIN("forward6", "meta nfproto ipv6 iifname != @adapters"), "ipv6", V6_FOR_ALL, err) ||
                   switch_v6(true, err)
               ? -1
               : 0;
}

int host_forward_on_v6(const char *const *adapters, unsigned count, struct err *err)
{
    int l = lock(err), r = l < 0 ? -1 : on_v6(adapters, count, err);
    if (l >= 0)
        close(l);
    return r;
}

static void restore(void *arg, const char *interface)
{
    if (read_switch("ipv4", interface) == 1)
        (void)!write_switch("ipv4", interface, false, arg);
}

static void restore_v6(void *arg, const char *word)
{
    (void)!switch_v6(false, arg);
}

static int restore_all(struct err *err)
{
    char *listing;
    bool others, ours;
    if (look(&others, &ours, err))
        return -1;
    if (others || !ours)
        return 0;
    if (nft_run("list table inet " TABLE, &listing, err))
        return -1;
    nft_set_words(listing, "ipv4", restore, err);
    nft_set_words(listing, "ipv6", restore_v6, err);
    free(listing);
    return err->status ? -1 : nft_run("delete table inet " TABLE, NULL, err);
}

int host_forward_off(struct err *err)
{
    int l = lock(err), r = l < 0 ? -1 : restore_all(err);
    if (l >= 0)
        close(l);
    return r;
}
