/* SPDX-License-Identifier: MIT */
/*
 * Which adapters are the kernel's is seen by looking: a TAP with the alternative name vEthernet (NAME) is
 * there while its switch runs. A NAT comes to life with the first such adapter that has an address in its
 * network.
 */
#include "main/host_network.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config/errors.h"
#include "main/host_resolver.h"
#include "main/switch_host.h"
#include "mgmt/switch.h"
#include "net/host_adapter.h"
#include "net/host_forward.h"
#include "net/host_link.h"

enum { UPLINKS_MAX = 64 };

/* The host as it is, and what the definitions make of it. */
struct picture {
    const struct network_config *config;
    struct host_link *links;
    unsigned link_count;
    struct switch_entry *switches; /* of this store */
    unsigned switch_count;
    struct nat_network networks[NETWORK_ADDRESSES_MAX];
    unsigned network_count;
    struct nat_mapping mappings[NETWORK_MAPPINGS_MAX];
    unsigned mapping_count;
    bool v6;
};

static bool is_ours(const struct host_link *l)
{
    return strncmp(l->alt, HOST_ADAPTER_PREFIX, strlen(HOST_ADAPTER_PREFIX)) == 0;
}

/* The kernel's adapter of a switch; NULL: there is none now. */
static const struct host_link *link_of_switch(const struct picture *p, const struct switch_entry *e)
{
    char interface[HOST_LINK_NAME_MAX];
    snprintf(interface, sizeof(interface), HOST_ADAPTER_INTERFACE, e->id);
    const struct host_link *l = host_link_find(p->links, p->link_count, interface);
    return l && strcmp(l->name, interface) == 0 ? l : NULL;
}

/* What an address's row means: a switch of this store, by its name, or an interface of the host's. */
static const struct host_link *link_of_row(const struct picture *p, const char *adapter, bool *of_switch)
{
    char name[128];
    *of_switch = false;
    for (unsigned i = 0; i < p->switch_count; i++) {
        host_adapter_name(p->switches[i].config.name, name);
        *of_switch = !p->switches[i].fault.status && strcasecmp(name, adapter) == 0;
        if (*of_switch)
            return link_of_switch(p, &p->switches[i]);
    }
    const struct host_link *l = host_link_find(p->links, p->link_count, adapter);
    return l && !is_ours(l) ? l : NULL;
}

static int look(struct picture *p, const struct network_config *c, struct err *err)
{
    struct switch_store s;
    p->config = c;
    if (switch_store_open(&s, err))
        return -1;
    int r = switch_store_list(&s, &p->switches, &p->switch_count, err) ||
                    host_links(&p->links, &p->link_count, err)
                ? -1
                : 0;
    switch_store_close(&s);
    return r;
}

/* ---- definitions as values ---- */

struct nat_mapping host_network_mapping(const struct network_mapping *m)
{
    struct nat_mapping v = {.udp = m->protocol == NETWORK_UDP,
                            .external_port = (u16)m->external_port,
                            .internal_port = (u16)m->internal_port};
    bug_on(!ip_parse(m->external, &v.external) || !ip_parse(m->internal, &v.internal) ||
               !ip_prefix_parse(m->remote, &v.remote),
           "a mapping that nobody checked");
    return v;
}

static bool has_network(const struct picture *p, const struct ip_prefix *prefix)
{
    for (unsigned i = 0; i < p->network_count; i++)
        if (ip_prefix_overlaps(&p->networks[i].prefix, prefix))
            return true;
    return false;
}

/* An address of a kernel's adapter brings its NAT to life. */
static int add_network(struct picture *p, const struct network_address *a, const struct host_link *l,
                       struct err *err)
{
    struct ip_prefix address = network_address_prefix(a);
    const struct network_nat *nat = network_nat_of(p->config, &address.addr);
    if (!nat)
        return 0;
    if (nat->dhcp && address.addr.v6)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_NOT_SUPPORTED,
                          "The NAT '%s' advertises routers (-Dhcp), which needs a host in user mode "
                          "(New-VMSwitch -HostNetwork User); %s is the kernel's.",
                          nat->name, a->adapter);
    struct ip_prefix prefix = network_nat_prefix(nat);
    struct nat_network *n = &p->networks[p->network_count];
    n->prefix = prefix;
    snprintf(n->interface, sizeof(n->interface), "%s", l->name);
    p->v6 |= prefix.addr.v6;
    if (!has_network(p, &prefix))
        p->network_count++;
    return 0;
}

static void add_mappings(struct picture *p)
{
    for (unsigned i = 0; i < p->config->mapping_count; i++) {
        struct nat_mapping v = host_network_mapping(&p->config->mappings[i]);
        for (unsigned k = 0; k < p->network_count; k++)
            if (ip_prefix_has(&p->networks[k].prefix, &v.internal)) {
                p->mappings[p->mapping_count++] = v;
                break;
            }
    }
}

/* ---- the kernel ---- */

static int apply_address(struct picture *p, const struct network_address *a, const struct host_link *l,
                         bool of_switch, struct err *err)
{
    struct ip_prefix prefix = network_address_prefix(a);
    struct ip_addr gateway;
    struct err ignored = {0}; /* the host may have another default gateway by now */
    if (host_address_add(l->index, &prefix, err))
        return -1;
    if (a->gateway[0] && ip_parse(a->gateway, &gateway))
        (void)!host_gateway_add(l->index, &gateway, &ignored);
    return of_switch ? add_network(p, a, l, err) : 0;
}

static int apply_addresses(struct picture *p, struct err *err)
{
    for (unsigned i = 0; i < p->config->address_count; i++) {
        const struct network_address *a = &p->config->addresses[i];
        bool of_switch;
        const struct host_link *l = link_of_row(p, a->adapter, &of_switch);
        if (l && apply_address(p, a, l, of_switch, err))
            return -1;
    }
    return 0;
}

/* Packets come back by every interface that has an address and is not one of ours. */
static int forward_uplinks(const struct picture *p, struct err *err)
{
    const char *uplinks[UPLINKS_MAX];
    struct host_address *addresses;
    unsigned count, n = 0;
    if (host_addresses(&addresses, &count, err))
        return -1;
    for (unsigned i = 0; i < p->link_count; i++) {
        bool addressed = false;
        for (unsigned k = 0; k < count; k++)
            addressed |= addresses[k].index == p->links[i].index && !addresses[k].prefix.addr.v6;
        if (addressed && !p->links[i].loopback && !is_ours(&p->links[i]) && n < UPLINKS_MAX)
            uplinks[n++] = p->links[i].name;
    }
    free(addresses);
    return host_forward_on(uplinks, n, err);
}

/* The adapters of this store: those under NAT pass packets on, the others do not. */
static int forward_adapters(const struct picture *p, struct err *err)
{
    for (unsigned i = 0; i < p->switch_count; i++) {
        const struct host_link *l = link_of_switch(p, &p->switches[i]);
        bool on = false;
        for (unsigned k = 0; l && k < p->network_count; k++)
            on |= strcmp(p->networks[k].interface, l->name) == 0;
        if (l && host_forward_adapter(l->name, on, err))
            return -1;
    }
    return 0;
}

static int forward_v6(const struct picture *p, struct err *err)
{
    const char *adapters[NETWORK_ADDRESSES_MAX];
    for (unsigned i = 0; i < p->network_count; i++)
        adapters[i] = p->networks[i].interface;
    return p->v6 ? host_forward_on_v6(adapters, p->network_count, err) : 0;
}

/* One table a home: the system's is called droste. */
static void table_name(const struct store *s, char out[32])
{
    u64 hash = 0xcbf29ce484222325ull; /* FNV-1a */
    for (const char *c = s->data_path; *c; c++)
        hash = (hash ^ (u8)*c) * 0x100000001b3ull;
    if (strcmp(s->data_path, "/var/lib/droste") == 0)
        snprintf(out, 32, "droste");
    else
        snprintf(out, 32, "droste-%08x", (u32)(hash ^ hash >> 32));
}

static bool may_change_networks(void)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2] = {0};
    return syscall(SYS_capget, &h, d) == 0 && d[CAP_NET_ADMIN / 32].effective & 1u << CAP_NET_ADMIN % 32;
}

static int apply_nat(const struct store *s, struct picture *p, struct err *err)
{
    char table[32];
    const struct nat_rules rules = {p->networks, p->network_count, p->mappings, p->mapping_count};
    table_name(s, table);
    if (p->network_count)
        return nat_rules_apply(table, &rules, err) || forward_uplinks(p, err) || forward_adapters(p, err) ||
                       forward_v6(p, err)
                   ? -1
                   : 0;
    if (!may_change_networks()) /* so there is no table of ours, nor an adapter */
        return 0;
    if (nft_has_table(table) && (nat_rules_apply(table, &rules, err) || host_forward_off(err)))
        return -1;
    return forward_adapters(p, err);
}

int host_network_apply_kernel(const struct store *s, const struct network_config *c, struct err *err)
{
    struct picture *p = calloc(1, sizeof(*p));
    if (!p)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for the host's network");
    int r = look(p, c, err);
    if (r == 0)
        r = apply_addresses(p, err);
    add_mappings(p);
    if (r == 0)
        r = apply_nat(s, p, err);
    free(p->switches);
    free(p->links);
    free(p);
    return r;
}

/* ---- switches ---- */

void host_network_of_switch(const struct network_config *c, const char *switch_name,
                            struct network_config *out)
{
    char name[128];
    struct err ignored = {0};
    memset(out, 0, sizeof(*out));
    host_adapter_name(switch_name, name);
    for (unsigned i = 0; i < c->address_count; i++) {
        const struct network_address *a = &c->addresses[i];
        struct ip_prefix prefix = network_address_prefix(a);
        const struct network_nat *nat = network_nat_of(c, &prefix.addr);
        if (strcasecmp(a->adapter, name) != 0)
            continue;
        (void)!network_add_address(out, a, &ignored);
        if (nat && !network_find_nat(out, nat->name))
            (void)!network_add_nat(out, nat, &ignored);
    }
    for (unsigned i = 0; i < c->mapping_count; i++)
        if (network_find_nat(out, c->mappings[i].nat))
            (void)!network_add_mapping(out, &c->mappings[i], &ignored);
}

static int tell_switch(const struct switch_store *s, const struct switch_entry *e, struct err *err)
{
    int file = switch_host_file(&e->config, err);
    int r = file < 0 ? -1 : switch_set_host(s, e->id, file, err);
    if (file >= 0)
        close(file);
    return r;
}

static int tell_switches(struct picture *p, struct err *err)
{
    struct switch_store s;
    int r = 0;
    if (look(p, NULL, err) || switch_store_open(&s, err))
        return -1;
    for (unsigned i = 0; i < p->switch_count && r == 0; i++)
        if (!p->switches[i].fault.status && switch_config_has_host(&p->switches[i].config))
            r = tell_switch(&s, &p->switches[i], err);
    switch_store_close(&s);
    return r;
}

static int apply(const struct store *s, const struct network_config *c, struct err *err)
{
    struct picture *p = calloc(1, sizeof(*p));
    if (!p)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for the host's network");
    int r = host_network_apply_kernel(s, c, err) || tell_switches(p, err) ? -1 : 0;
    free(p->switches);
    free(p->links);
    free(p);
    return r;
}

/* ---- what commands see ---- */

static int adapters(struct host_adapter **list, unsigned *count, struct err *err)
{
    struct host_link *links;
    if (host_links(&links, count, err))
        return -1;
    *list = calloc(*count + 1, sizeof(**list));
    for (unsigned i = 0; *list && i < *count; i++) {
        struct host_adapter *a = &(*list)[i];
        const struct host_link *l = &links[i];
        *a = (struct host_adapter){.index = l->index,
                                   .has_mac = l->ethernet,
                                   .physical = !l->kind[0] && !l->loopback,
                                   .hidden = l->loopback,
                                   .up = l->up,
                                   .carrier = l->carrier};
        memcpy(a->mac, l->mac, sizeof(a->mac));
        snprintf(a->interface, sizeof(a->interface), "%s", l->name);
        snprintf(a->name, sizeof(a->name), "%s", is_ours(l) ? l->alt : l->name);
        if (is_ours(l)) {
            snprintf(a->description, sizeof(a->description), HOST_ADAPTER_DESCRIPTION);
            a->bits_per_second = 10000000000;
        } else {
            host_adapter_look(l->name, l->kind, a->description, &a->bits_per_second);
        }
    }
    free(links);
    return *list ? 0 : err_set(err, EXIT_STATUS_HOST, "out of memory for a list of network interfaces");
}

static int addresses(struct host_ip **list, unsigned *count, struct err *err)
{
    struct host_address *all;
    if (host_addresses(&all, count, err))
        return -1;
    *list = calloc(*count + 1, sizeof(**list));
    for (unsigned i = 0; *list && i < *count; i++)
        (*list)[i] = (struct host_ip){.index = all[i].index,
                                      .prefix = all[i].prefix,
                                      .tentative = all[i].tentative,
                                      .duplicate = all[i].duplicate,
                                      .deprecated = all[i].deprecated,
                                      .dynamic = all[i].dynamic,
                                      .link_scope = all[i].link_scope,
                                      .valid = all[i].valid,
                                      .preferred = all[i].preferred};
    free(all);
    return *list ? 0 : err_set(err, EXIT_STATUS_HOST, "out of memory for a list of addresses");
}

static int change_address(unsigned index, const struct ip_prefix *p, const struct ip_addr *gateway, bool add,
                          struct err *err)
{
    if (!add)
        return (gateway && host_gateway_remove(index, gateway, err)) || host_address_remove(index, p, err)
                   ? -1
                   : 0;
    if (host_link_set_up(index, true, err) || host_address_add(index, p, err))
        return -1;
    if (!gateway || host_gateway_add(index, gateway, err) == 0)
        return 0;
    struct err ignored = {0};
    (void)!host_address_remove(index, p, &ignored);
    return -1;
}

static int networks(struct ip_prefix **list, unsigned *count, struct err *err)
{
    struct host_link *links;
    struct host_address *all;
    unsigned link_count, n;
    if (host_links(&links, &link_count, err))
        return -1;
    if (host_addresses(&all, &n, err)) {
        free(links);
        return -1;
    }
    *list = calloc(n + 1, sizeof(**list));
    *count = 0;
    for (unsigned i = 0; *list && i < n; i++) {
        bool ours = false;
        for (unsigned k = 0; k < link_count; k++)
            ours |= links[k].index == all[i].index && (is_ours(&links[k]) || links[k].loopback);
        if (!ours && !all[i].link_scope)
            (*list)[(*count)++] = ip_prefix_network(&all[i].prefix);
    }
    free(links);
    free(all);
    return *list ? 0 : err_set(err, EXIT_STATUS_HOST, "out of memory for a list of networks");
}

const struct network_ops host_network_ops = {.adapters = adapters,
                                             .addresses = addresses,
                                             .change_address = change_address,
                                             .apply = apply,
                                             .add_resolver = host_resolver_add,
                                             .networks = networks};
