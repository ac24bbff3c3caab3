/* SPDX-License-Identifier: MIT */
/* The file is a network.json (config/network.h) that holds one switch's part of the whole one. */
#include "main/switch_host.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "main/host_network.h"
#include "main/host_resolver.h"
#include "mgmt/network.h"
#include "net/dhcp_server.h"
#include "net/user_host.h"

#define FILE_MAX (4 * MIB)

/* NULL: not here. */
struct switch_host {
    struct user_host *host;
    struct dhcp_server *dhcp;
};

/* libslirp's: IP sockets, and resolv.conf, read again when it changes; landlock leaves openat nothing else.
 */
const int switch_host_calls[] = {
    SCMP_SYS(socket),      SCMP_SYS(connect),
    SCMP_SYS(bind),        SCMP_SYS(listen),
    SCMP_SYS(accept),      SCMP_SYS(accept4),
    SCMP_SYS(shutdown),    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt),  SCMP_SYS(getsockname),
    SCMP_SYS(getpeername), SCMP_SYS(ioctl),
    SCMP_SYS(openat),      SCMP_SYS(fcntl),

    SCMP_SYS(getppid),     -1,
};
const char *const switch_host_files[] = {"/etc/resolv.conf", "/dev/urandom", NULL};

/* ---- supervisor ---- */

/* What a DHCP server tells machines to ask for names. */
static void add_resolvers(struct network_config *part)
{
    struct ip_addr list[DHCP_RESOLVERS_MAX];
    unsigned count = host_resolver_list(list, DHCP_RESOLVERS_MAX);
    for (unsigned i = 0; i < count; i++)
        ip_print(&list[i], part->resolvers[i].address);
    part->resolver_count = count;
}

static char *part_of(const struct switch_config *c, struct err *err)
{
    struct store s;
    char *text = NULL;
    if (store_open(&s, err))
        return NULL;
    struct network_config *whole = network_read(&s, err), *part = malloc(sizeof(*part));
    if (whole && part) {
        host_network_of_switch(whole, c->name, part);
        add_resolvers(part);
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

static u64 seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec;
}

struct switch_host *switch_host_new(struct err *err)
{
    struct switch_host *h = calloc(1, sizeof(*h));
    if (!h)
        err_set(err, EXIT_STATUS_HOST, "out of memory for a host's network");
    return h;
}

/* Beside the adapter the DHCP server has an address of its own, which is marked as a local one. */
struct net_port *switch_host_add(struct switch_host *h, const char *kind, struct event_loop *loop,
                                 const u8 mac[6], struct err *err)
{
    u8 own[6];
    memcpy(own, mac, sizeof(own));
    own[0] ^= 2;
    if (strcmp(kind, "user") == 0 && !h->host) {
        h->host = user_host_new(loop, err);
        return h->host ? user_host_port(h->host) : NULL;
    }
    if (strcmp(kind, "dhcp") == 0 && !h->dhcp) {
        h->dhcp = dhcp_server_new(loop, own, seconds, err);
        return h->dhcp ? dhcp_server_port(h->dhcp) : NULL;
    }
    err_set(err, EXIT_STATUS_HOST, "a switch's host has no second port '%.20s'", kind);
    return NULL;
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
    if (text && lseek(file, 0, SEEK_SET) == 0 && read(file, text, *len) == (ssize_t)*len)
        return text;
    free(text);
    err_set(err, EXIT_STATUS_HOST, "cannot read the host's network");
    return NULL;
}

static int set_user(struct switch_host *h, const struct network_config *c, struct err *err)
{
    struct user_address addresses[USER_HOST_ADDRESSES_MAX];
    struct nat_mapping *mappings = calloc(c->mapping_count + 1, sizeof(*mappings));
    unsigned count = c->address_count < USER_HOST_ADDRESSES_MAX ? c->address_count : USER_HOST_ADDRESSES_MAX;
    if (!mappings)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for a user-mode host");
    for (unsigned i = 0; i < count; i++) {
        struct ip_prefix p = network_address_prefix(&c->addresses[i]);
        const struct network_nat *nat = network_nat_of(c, &p.addr);
        addresses[i] = (struct user_address){p, nat != NULL, nat && nat->dhcp && p.addr.v6};
    }
    for (unsigned i = 0; i < c->mapping_count; i++)
        mappings[i] = host_network_mapping(&c->mappings[i]);
    int r = user_host_set(h->host, addresses, count, mappings, c->mapping_count, err);
    free(mappings);
    return r;
}

/* In user mode the gateway answers DNS. */
static void set_resolvers(const struct switch_host *h, const struct network_config *c, struct dhcp_network *n)
{
    if (h->host) {
        n->resolvers[0] = n->gateway.addr;
        n->resolver_count = 1;
        return;
    }
    for (unsigned i = 0; i < c->resolver_count && n->resolver_count < DHCP_RESOLVERS_MAX; i++)
        n->resolver_count += ip_parse(c->resolvers[i].address, &n->resolvers[n->resolver_count]);
}

static int set_dhcp(struct switch_host *h, const struct network_config *c, struct err *err)
{
    struct dhcp_network n = {0};
    unsigned networks = 0;
    for (unsigned i = 0; i < c->address_count; i++) {
        struct ip_prefix p = network_address_prefix(&c->addresses[i]);
        const struct network_nat *nat = network_nat_of(c, &p.addr);
        if (!nat || !nat->dhcp || p.addr.v6)
            continue;
        n.gateway = p;
        n.gateway.len = network_nat_prefix(nat).len; /* an address may have been given with a longer one */
        networks++;
    }
    set_resolvers(h, c, &n);
    dhcp_server_set(h->dhcp, networks == 1 ? &n : NULL);
    return networks <= 1 ? 0
                         : err_set(err, EXIT_STATUS_USAGE,
                                   "a switch gives addresses of one network by DHCP, not of %u", networks);
}

static int set(struct switch_host *h, const struct network_config *c, struct err *err)
{
    int user = h->host ? set_user(h, c, err) : 0, dhcp = h->dhcp ? set_dhcp(h, c, err) : 0;
    return user || dhcp ? -1 : 0;
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
