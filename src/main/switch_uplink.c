/* SPDX-License-Identifier: MIT */
/*
 * The host's adapter is a TAP. The way out of an External switch is a packet socket on a network device or
 * VXLAN device, or a TAP that is put into a bridge or Open vSwitch bridge, where the ports of a bridge
 * belong.
 */
#include "main/switch_uplink.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/errors.h"
#include "config/port_rule.h"
#include "main/host_network.h"
#include "net/host_link.h"
#include "net/packet.h"
#include "net/tap.h"

/* What closing needs. */
struct opened {
    char ovs_port[HOST_LINK_NAME_MAX]; /* in an Open vSwitch bridge; "": none */
};

static int add(struct switch_uplinks *u, const char *kind, int fd)
{
    snprintf(u->ways[u->count].kind, sizeof(u->ways->kind), "%s", kind);
    u->ways[u->count++].fd = fd;
    return 0;
}

/* ---- the host's adapter ---- */

static int name_adapter(const struct switch_config *c, unsigned index, struct err *err)
{
    char name[128];
    u8 mac[6];
    host_adapter_name(c->name, name);
    for (unsigned i = 0; i < 6; i++)
        if (sscanf(c->mac + 2 * i, "%2hhx", &mac[i]) != 1)
            return err_set(err, EXIT_STATUS_USAGE, "the switch '%s' has no hardware address for the host",
                           c->name);
    return host_link_set_mac(index, mac, err) || host_link_set_alt(index, name, err) ||
                   host_link_set_up(index, true, err)
               ? -1
               : 0;
}

static int open_adapter(const struct switch_config *c, struct switch_uplinks *u, struct err *err)
{
    char name[HOST_LINK_NAME_MAX];
    unsigned index;
    snprintf(name, sizeof(name), HOST_ADAPTER_INTERFACE, c->id);
    int fd = tap_open(name, &index, err);
    if (fd < 0)
        return -1;
    if (name_adapter(c, index, err)) {
        close(fd);
        return -1;
    }
    u->kernel = true;
    return add(u, "tap", fd);
}

static int wanted_adapter(const struct switch_config *c, struct switch_uplinks *u, struct err *err)
{
    struct err why = {0};
    if (!switch_config_has_host(c) || c->host_network == HOST_NETWORK_USER)
        return 0;
    if (open_adapter(c, u, &why) == 0)
        return 0;
    if (c->host_network == HOST_NETWORK_AUTO && c->type == SWITCH_INTERNAL) {
        log_line("the host's adapter is in user mode: %s", why.text);
        return 0;
    }
    return err_set(err, why.status, "%s", why.text);
}

/* ---- the way out ---- */

/* Its exit status; 127: there is no ovs-vsctl. */
static int run_ovs(char *const *words)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(open("/dev/null", O_RDWR | O_CLOEXEC), STDERR_FILENO);
        execvp("ovs-vsctl", words);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* With the kernel's datapath the bridge's own port is of kind openvswitch, without it a TAP. */
static bool is_ovs_bridge(const struct host_link *l)
{
    return (strcmp(l->kind, "openvswitch") == 0 || strcmp(l->kind, "tun") == 0) &&
           run_ovs((char *[]){"ovs-vsctl", "--timeout=10", "br-exists", (char *)l->name, NULL}) == 0;
}

static int join_ovs(const struct host_link *l, const char *name, struct opened *o, struct err *err)
{
    int status =
        run_ovs((char *[]){"ovs-vsctl", "--timeout=10", "add-port", (char *)l->name, (char *)name, NULL});
    snprintf(o->ovs_port, sizeof(o->ovs_port), "%s", name);
    return status == 0 ? 0
                       : err_set(err, EXIT_STATUS_HOST,
                                 "ovs-vsctl add-port %s %s ended with status %d: be root, and see its log",
                                 l->name, name, status);
}

static int open_in_bridge(const struct switch_config *c, const struct host_link *l, struct switch_uplinks *u,
                          struct err *err)
{
    char name[HOST_LINK_NAME_MAX];
    unsigned index;
    bool bridge = strcmp(l->kind, "bridge") == 0, whole = strcmp(l->kind, "tun") == 0;
    snprintf(name, sizeof(name), "vu-%.8s", c->id);
    int fd = tap_open(name, &index, err);
    if (fd < 0)
        return -1;
    if (host_link_set_up(index, true, err) ||
        (bridge ? host_link_set_master(index, l->index, err) : join_ovs(l, name, u->opaque, err))) {
        close(fd);
        return -1;
    }
    return add(u, whole ? "tap-whole" : "tap", fd);
}

static int open_out(const struct switch_config *c, const struct host_link *l, struct switch_uplinks *u,
                    struct err *err)
{
    if (!l)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                          "There is no network interface '%s' on this host: Get-NetAdapter lists them.",
                          c->uplink);
    if (!l->ethernet)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER, "'%s' carries no Ethernet frames.",
                          c->uplink);
    if (strcmp(l->kind, "bridge") == 0 || is_ovs_bridge(l))
        return open_in_bridge(c, l, u, err);
    int fd = packet_open(l->index, err);
    return fd < 0 || host_link_set_up(l->index, true, err) ? -1 : add(u, "packet", fd);
}

static int wanted_out(const struct switch_config *c, struct switch_uplinks *u, struct err *err)
{
    struct host_link *links;
    unsigned count;
    if (c->type != SWITCH_EXTERNAL)
        return 0;
    if (host_links(&links, &count, err))
        return -1;
    int r = open_out(c, host_link_find(links, count, c->uplink), u, err);
    free(links);
    return r;
}

/* ---- all of it ---- */

static int apply(struct err *err)
{
    struct store s;
    struct network n;
    if (store_open(&s, err))
        return -1;
    int r = network_take(&s, &n, err);
    if (r == 0) {
        r = host_network_apply_kernel(&s, n.config, err);
        network_release(&n);
    }
    store_close(&s);
    return r;
}

int switch_uplinks_open(const struct switch_config *c, struct switch_uplinks *out, struct err *err)
{
    *out = (struct switch_uplinks){.opaque = calloc(1, sizeof(struct opened))};
    if (!out->opaque)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for a switch");
    if (wanted_out(c, out, err) == 0 && wanted_adapter(c, out, err) == 0 && (!out->kernel || apply(err) == 0))
        return 0;
    switch_uplinks_close(out);
    return -1;
}

void switch_uplinks_close(struct switch_uplinks *u)
{
    struct opened *o = u->opaque;
    struct err err = {0};
    bool kernel = u->kernel;
    if (o && o->ovs_port[0])
        (void)!run_ovs((char *[]){"ovs-vsctl", "--timeout=10", "--if-exists", "del-port", o->ovs_port, NULL});
    for (unsigned i = 0; i < u->count; i++)
        close(u->ways[i].fd);
    free(o);
    *u = (struct switch_uplinks){0};
    if (kernel && apply(&err)) /* NAT without its adapter is gone */
        log_line("%s", err.text);
}

struct net_port *switch_uplink_port(const char *kind, int fd, struct event_loop *loop, struct err *err)
{
    if (strcmp(kind, "tap") == 0 || strcmp(kind, "tap-whole") == 0)
        return net_port_tap(fd, kind[3] != 0, loop, err);
    if (strcmp(kind, "packet") == 0)
        return net_port_packet(fd, loop, err);
    err_set(err, EXIT_STATUS_HOST, "there is no way out of kind %.20s", kind);
    return NULL;
}
