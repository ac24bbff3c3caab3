/* SPDX-License-Identifier: MIT */
/* The file is a network.json (config/network.h) that holds one switch's part of the whole one. */
#include "main/switch_host.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "main/host_network.h"
#include "mgmt/network.h"
#include "net/user_host.h"

#define FILE_MAX (4 * MIB)

struct switch_host {
    struct user_host *host;
};

/* libslirp's: IP sockets, and resolv.conf, read again when it changes; landlock leaves openat nothing else.
 */
const int switch_host_calls[] = {
    SCMP_SYS(socket),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(shutdown),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(ioctl),
    SCMP_SYS(openat),
    SCMP_SYS(fcntl),
    SCMP_SYS(pread64),
    SCMP_SYS(getppid),
    -1,
};
const char *const switch_host_files[] = {"/etc/resolv.conf", "/dev/urandom", NULL};

/* ---- supervisor ---- */

static char *part_of(const struct switch_config *c, struct err *err)
{
    struct store s;
    char *text = NULL;
    if (store_open(&s, err))
        return NULL;
    struct network_config *whole = network_read(&s, err), *part = malloc(sizeof(*part));
    if (whole && part) {
        host_network_of_switch(whole, c->name, part);
        text = network_print(part, err);
    }
    free(whole);
    free(part);
    store_close(&s);
    return text;
}

int switch_host_file(const struct switch_config *c, struct err *err)
{
    char *text = part_of(c, err);
    if (!text)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for a host's network");
    int fd = memfd_create("droste-host", MFD_CLOEXEC);
    ssize_t len = (ssize_t)strlen(text);
    if (fd >= 0 && write(fd, text, (size_t)len) == len) {
        free(text);
        return fd;
    }
    free(text);
    if (fd >= 0)
        close(fd);
    return err_set(err, EXIT_STATUS_HOST, "cannot write a host's network: %s", strerror(errno));
}

/* ---- child ---- */

struct switch_host *switch_host_new(struct event_loop *loop, const u8 mac[6], struct net_port **port,
                                    struct err *err)
{
    struct switch_host *h = calloc(1, sizeof(*h));
    if (h)
        h->host = user_host_new(loop, err);
    if (!h || !h->host) {
        free(h);
        err_set(err, EXIT_STATUS_HOST, "out of memory for a user-mode host");
        return NULL;
    }
    *port = user_host_port(h->host);
    return h;
}

static char *read_file(int file, size_t *len, struct err *err)
{
    struct stat st;
    if (fstat(file, &st) || st.st_size < 0 || (u64)st.st_size > FILE_MAX) {
        err_set(err, EXIT_STATUS_HOST, "the host's network is no file of at most %llu bytes",
                (unsigned long long)FILE_MAX);
        return NULL;
    }
    *len = (size_t)st.st_size;
    char *text = malloc(*len + 1);
    if (text && pread(file, text, *len, 0) == (ssize_t)*len)
        return text;
    free(text);
    err_set(err, EXIT_STATUS_HOST, "cannot read the host's network");
    return NULL;
}

static int set(struct switch_host *h, const struct network_config *c, struct err *err)
{
    struct user_address addresses[USER_HOST_ADDRESSES_MAX];
    struct nat_mapping *mappings = calloc(c->mapping_count + 1, sizeof(*mappings));
    unsigned count = c->address_count < USER_HOST_ADDRESSES_MAX ? c->address_count : USER_HOST_ADDRESSES_MAX;
    if (!mappings)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for a user-mode host");
    for (unsigned i = 0; i < count; i++) {
        struct ip_prefix p = network_address_prefix(&c->addresses[i]);
        const struct network_nat *nat = network_nat_of(c, &p.addr);
        addresses[i] = (struct user_address){p, nat != NULL, nat && nat->dhcp};
    }
    for (unsigned i = 0; i < c->mapping_count; i++)
        mappings[i] = host_network_mapping(&c->mappings[i]);
    int r = user_host_set(h->host, addresses, count, mappings, c->mapping_count, err);
    free(mappings);
    return r;
}

int switch_host_apply(struct switch_host *h, int file, struct err *err)
{
    size_t len;
    char *text = read_file(file, &len, err);
    struct network_config *c = malloc(sizeof(*c));
    int r = text && c ? network_parse(c, text, len, err)
                      : err_set(err, EXIT_STATUS_HOST, "out of memory for a host's network");
    if (r == 0)
        r = set(h, c, err);
    free(text);
    free(c);
    return r;
}
