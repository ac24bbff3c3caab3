/* SPDX-License-Identifier: MIT */
/*
 * New-, Get- and Remove-NetIPAddress. An address is in two stores: what is in force (the kernel's, or a
 * switch's process's), and network.json, from which it is put in force again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/net/net.h"
#include "mgmt/switch.h"

enum { ACTIVE = 1, PERSISTENT = 2 };

static int wanted_stores(struct cmdlet_call *c)
{
    int word = arg_word(c, "PolicyStore");
    return word < 0 ? ACTIVE | PERSISTENT : word == 0 ? ACTIVE : PERSISTENT;
}

/* ---- as objects ---- */

static struct value lifetime(u32 seconds)
{
    return seconds == ~0u ? value_static("Infinite ([TimeSpan]::MaxValue)")
                          : value_span((i64)seconds * 10000000);
}

static const char *state_of(const struct host_ip *a)
{
    return a->duplicate    ? "Duplicate"
           : a->tentative  ? "Tentative"
           : a->deprecated ? "Deprecated"
                           : "Preferred";
}

static struct value show(struct cmdlet_call *c, const struct net_adapter *n, const struct host_ip *ip,
                         const char *state, const char *store)
{
    struct arena *a = call_arena(c);
    char text[IP_TEXT_MAX];
    bool automatic = ip->dynamic || (ip->link_scope && ip->prefix.addr.v6);
    struct value o = object_new(a, call_type(c, "NetIPAddress"));
    object_set(o, "IPAddress", value_string(a, ip_print(&ip->prefix.addr, text)));
    object_set(o, "InterfaceIndex", value_int(n->host.index));
    object_set(o, "InterfaceAlias", value_string(a, n->host.name));
    object_set(o, "AddressFamily", value_static(ip->prefix.addr.v6 ? "IPv6" : "IPv4"));
    object_set(o, "Type", value_static("Unicast"));
    object_set(o, "PrefixLength", value_int(ip->prefix.len));
    object_set(o, "PrefixOrigin",
               value_static(!automatic       ? "Manual"
                            : ip->link_scope ? "WellKnown"
                                             : "Other"));
    object_set(o, "SuffixOrigin", value_static(!automatic ? "Manual" : ip->link_scope ? "Link" : "Other"));
    object_set(o, "AddressState", value_static(state));
    object_set(o, "ValidLifetime", lifetime(ip->valid));
    object_set(o, "PreferredLifetime", lifetime(ip->preferred));
    object_set(o, "SkipAsSource", value_bool(false));
    object_set(o, "PolicyStore", value_static(store));
    return o;
}

static struct host_ip as_ip(const struct network_address *a)
{
    return (struct host_ip){.prefix = network_address_prefix(a), .valid = ~0u, .preferred = ~0u};
}

/* ---- which adapter ---- */

/* The adapter that the call names, by the names and numbers of today. */
static const struct net_adapter *find_adapter(struct cmdlet_call *c, const char *alias, i64 index,
                                              struct err *err)
{
    struct net_adapter *list;
    unsigned count;
    if (net_adapters(c, &list, &count)) {
        err_set(err, EXIT_STATUS_HOST, "the host's adapters cannot be listed");
        return NULL;
    }
    const struct net_adapter *n = net_adapter_find(list, count, alias, index);
    if (!n && alias)
        err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                   "There is no network adapter '%s' on this host: Get-NetAdapter lists them.", alias);
    else if (!n)
        err_set_id(
            err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
            "There is no network adapter with the number %lld on this host: Get-NetAdapter lists them.",
            (long long)index);
    return n;
}

static int check_force(struct cmdlet_call *c, const struct net_adapter *n, struct err *err)
{
    if (n->of_switch || arg_switch(c, "Force"))
        return 0;
    return err_set_id(
        err, EXIT_STATUS_USAGE, ERROR_NOT_SUPPORTED,
        "'%s' is an adapter of this host itself, not of a virtual switch: -Force changes it all the same.",
        n->host.name);
}

/* A switch's adapter is the kernel's only while the switch runs. */
static const struct net_adapter *started(struct cmdlet_call *c, const struct net_adapter *n, struct err *err)
{
    struct nets *s = call_state(c);
    if (!n->of_switch || n->connected)
        return n;
    int fd = switch_ensure(&s->switches, n->switch_id, err);
    if (fd < 0)
        return NULL;
    close(fd);
    return find_adapter(c, n->host.name, -1, err);
}

/* ---- New-NetIPAddress ---- */

struct wanted {
    const struct net_adapter *adapter;
    struct network_address row;
    struct ip_prefix prefix;
    struct ip_addr gateway;
    bool by_gateway;
};

static int add_row(void *arg, struct network_config *n, struct err *err)
{
    const struct wanted *w = arg;
    return network_add_address(n, &w->row, err);
}

/* The rules that need no host, on a definition that is not kept. */
static int check_row(struct cmdlet_call *c, struct wanted *w, struct err *err)
{
    struct network_config *trial = calloc(1, sizeof(*trial));
    int r = trial ? network_add_address(trial, &w->row, err)
                  : err_set(err, EXIT_STATUS_HOST, "out of memory for a definition");
    if (r == 0) {
        w->row = trial->addresses[0];
        w->prefix = network_address_prefix(&w->row);
        w->by_gateway = w->row.gateway[0] && ip_parse(w->row.gateway, &w->gateway);
    }
    free(trial);
    return r;
}

static int fill(struct cmdlet_call *c, struct wanted *w, struct err *err)
{
    const char *gateway = arg_string(c, "DefaultGateway"), *address = arg_string(c, "IPAddress");
    bool v6 = strchr(address, ':') != NULL;
    int family = arg_word(c, "AddressFamily");
    w->row.length = (u64)arg_int(c, "PrefixLength", v6 ? 128 : 32);
    snprintf(w->row.adapter, sizeof(w->row.adapter), "%s", w->adapter->host.name);
    if (snprintf(w->row.address, sizeof(w->row.address), "%s", address) >= (int)sizeof(w->row.address) ||
        snprintf(w->row.gateway, sizeof(w->row.gateway), "%s", gateway ? gateway : "") >=
            (int)sizeof(w->row.gateway))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER, "'%.60s' is no address.", address);
    if (check_row(c, w, err))
        return -1;
    if (family >= 0 && (family == 1) != w->prefix.addr.v6)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER, "%s is not of the family %s.",
                          address, arg_string(c, "AddressFamily"));
    return 0;
}

/* A process that carries the host has no routes: its gateway is the host itself. */
static int check_user_mode(const struct wanted *w, int stores, struct err *err)
{
    if (w->adapter->kernel)
        return 0;
    if (w->by_gateway)
        return err_set_id(
            err, EXIT_STATUS_USAGE, ERROR_NOT_SUPPORTED,
            "'%s' is in user mode, where the host itself is the gateway: leave -DefaultGateway away.",
            w->adapter->host.name);
    if (stores == ACTIVE)
        return err_set_id(
            err, EXIT_STATUS_USAGE, ERROR_NOT_SUPPORTED,
            "'%s' is in user mode, where an address is in force when it is kept: leave -PolicyStore away.",
            w->adapter->host.name);
    return 0;
}

static int put_in_force(struct cmdlet_call *c, struct wanted *w, int stores, struct err *err)
{
    const struct network_ops *host = net_host(c);
    unsigned index = w->adapter->host.index;
    bool kernel = w->adapter->kernel && stores & ACTIVE;
    if (kernel && host->change_address(index, &w->prefix, w->by_gateway ? &w->gateway : NULL, true, err))
        return -1;
    if (!(stores & PERSISTENT) || net_change(c, add_row, w, err) == 0)
        return 0;
    struct err ignored = {0};
    if (kernel && err->id != ERROR_OBJECT_EXISTS)
        (void)!host->change_address(index, &w->prefix, w->by_gateway ? &w->gateway : NULL, false, &ignored);
    return -1;
}

static int give_address(struct cmdlet_call *c, struct wanted *w, int stores, struct err *err)
{
    const char *alias = arg_string(c, "InterfaceAlias");
    w->adapter = find_adapter(c, alias, arg_int(c, "InterfaceIndex", 0), err);
    if (!w->adapter || check_force(c, w->adapter, err) || fill(c, w, err))
        return -1;
    if (stores & ACTIVE && !(w->adapter = started(c, w->adapter, err)))
        return -1;
    return check_user_mode(w, stores, err) || put_in_force(c, w, stores, err) ? -1 : 0;
}

static int new_address(struct cmdlet_call *c)
{
    struct wanted w = {0};
    struct err err = {0};
    int stores = wanted_stores(c);
    const char *address = arg_string(c, "IPAddress");
    if (!call_should(c, "give the address %s to a network adapter.", address))
        return 0;
    if (give_address(c, &w, stores, &err))
        return call_error_from(c, &err, address, "Failed to create the IP address.");
    struct host_ip ip = as_ip(&w.row);
    if (stores & ACTIVE && emit(c, show(c, w.adapter, &ip, "Tentative", "ActiveStore")))
        return -1;
    return stores & PERSISTENT ? emit(c, show(c, w.adapter, &ip, "Invalid", "PersistentStore")) : 0;
}
const struct cmdlet_ops cmdlet_new_net_ip_address = NET_OPS(new_address);

/* ---- Get-NetIPAddress ---- */

static bool asked(struct cmdlet_call *c, const struct net_adapter *n, const struct host_ip *ip)
{
    char text[IP_TEXT_MAX];
    int family = arg_word(c, "AddressFamily");
    return (family < 0 || (family == 1) == ip->prefix.addr.v6) &&
           net_matches(c, "InterfaceAlias", n->host.name) &&
           net_matches_number(c, "InterfaceIndex", n->host.index) &&
           net_matches(c, "IPAddress", ip_print(&ip->prefix.addr, text));
}

static int show_kernels(struct cmdlet_call *c, const struct net_adapter *list, unsigned count,
                        unsigned *found)
{
    struct err err = {0};
    struct host_ip *ips;
    unsigned n;
    int r = 0;
    if (net_host(c)->addresses(&ips, &n, &err))
        return call_fail(c, ERROR_OPERATION_FAILED, NULL, "%s", err.text);
    for (unsigned i = 0; i < n && r == 0; i++) {
        const struct net_adapter *a = net_adapter_find(list, count, NULL, ips[i].index);
        if (!a || !asked(c, a, &ips[i]))
            continue;
        ++*found;
        r = emit(c, show(c, a, &ips[i], state_of(&ips[i]), "ActiveStore"));
    }
    free(ips);
    return r;
}

/* Rows of the file: all of them, or those that user mode has in force. */
static int show_rows(struct cmdlet_call *c, const struct net_adapter *list, unsigned count, bool persistent,
                     unsigned *found)
{
    const struct network_config *k = net_read(c);
    for (unsigned i = 0; k && i < k->address_count; i++) {
        const struct net_adapter *n = net_adapter_find(list, count, k->addresses[i].adapter, -1);
        struct net_adapter gone = {0};
        struct host_ip ip = as_ip(&k->addresses[i]);
        if (!persistent && (!n || n->kernel || !n->connected))
            continue;
        snprintf(gone.host.name, sizeof(gone.host.name), "%s", k->addresses[i].adapter);
        if (!asked(c, n ? n : &gone, &ip))
            continue;
        ++*found;
        if (emit(c, show(c, n ? n : &gone, &ip, persistent ? "Invalid" : "Preferred",
                         persistent ? "PersistentStore" : "ActiveStore")))
            return -1;
    }
    return k ? 0 : -1;
}

static int get_address(struct cmdlet_call *c)
{
    struct net_adapter *list;
    unsigned count, found = 0;
    bool persistent = arg_word(c, "PolicyStore") == 1;
    if (net_adapters(c, &list, &count) || (!persistent && show_kernels(c, list, count, &found)) ||
        show_rows(c, list, count, persistent, &found))
        return -1;
    const char *wanted = arg_count(c, "IPAddress") ? arg_string_at(c, "IPAddress", 0) : NULL;
    return !found && wanted && !wildcard_has(wanted) ? net_not_found(c, "NetIPAddress", "IPAddress", wanted)
                                                     : 0;
}
const struct cmdlet_ops cmdlet_get_net_ip_address = NET_OPS(get_address);

/* ---- Remove-NetIPAddress ---- */

struct unwanted {
    const struct net_adapter *adapter;
    struct ip_prefix prefix;
    char address[IP_TEXT_MAX], gateway[IP_TEXT_MAX]; /* the gateway that came with it, or "" */
};

static int take_row(void *arg, struct network_config *k, struct err *err)
{
    struct unwanted *u = arg;
    for (unsigned i = k->address_count; i--;)
        if (strcmp(k->addresses[i].address, u->address) == 0 &&
            text_equal(k->addresses[i].adapter, u->adapter->host.name)) {
            snprintf(u->gateway, sizeof(u->gateway), "%s", k->addresses[i].gateway);
            network_remove_address(k, &k->addresses[i]);
        }
    return 0;
}

static int take_address(struct cmdlet_call *c, struct unwanted *u)
{
    struct err err = {0};
    struct ip_addr gateway;
    ip_print(&u->prefix.addr, u->address);
    if (!call_should(c, "take the address %s from the network adapter \"%s\".", u->address,
                     u->adapter->host.name))
        return 0;
    if (check_force(c, u->adapter, &err) || net_change(c, take_row, u, &err) ||
        (u->adapter->kernel &&
         net_host(c)->change_address(u->adapter->host.index, &u->prefix,
                                     ip_parse(u->gateway, &gateway) ? &gateway : NULL, false, &err)))
        return call_error_from(c, &err, u->address, "Failed to remove the IP address.");
    return 0;
}

/* alias: the adapter's name in an object; NULL: the call's parameters say which. */
static bool meant(struct cmdlet_call *c, const struct net_adapter *n, const char *alias)
{
    return alias ? text_equal(n->host.name, alias) : net_matches(c, "InterfaceAlias", n->host.name);
}

/* The addresses of a list that the call means; each only once, whichever store has it. */
static int take_matching(struct cmdlet_call *c, const char *address, const char *alias,
                         const struct net_adapter *list, unsigned count, unsigned *found)
{
    const struct network_config *k = net_read(c);
    struct host_ip *ips;
    struct err err = {0};
    unsigned n;
    int r = 0;
    if (!k || net_host(c)->addresses(&ips, &n, &err))
        return k ? call_fail(c, ERROR_OPERATION_FAILED, NULL, "%s", err.text) : -1;
    for (unsigned i = 0; i < n && r == 0; i++) {
        struct unwanted u = {net_adapter_find(list, count, NULL, ips[i].index), ips[i].prefix, "", ""};
        char text[IP_TEXT_MAX];
        if (!u.adapter || !wildcard_match(address, ip_print(&u.prefix.addr, text)) ||
            !meant(c, u.adapter, alias))
            continue;
        ++*found;
        r = take_address(c, &u);
    }
    for (unsigned i = 0; i < k->address_count && r == 0; i++) {
        struct unwanted u = {net_adapter_find(list, count, k->addresses[i].adapter, -1),
                             network_address_prefix(&k->addresses[i]), "", ""};
        if (!u.adapter || u.adapter->kernel || !wildcard_match(address, k->addresses[i].address) ||
            !meant(c, u.adapter, alias))
            continue;
        ++*found;
        r = take_address(c, &u);
    }
    free(ips);
    return r;
}

static int remove_one(struct cmdlet_call *c, const char *address, const char *alias)
{
    struct net_adapter *list;
    unsigned count, found = 0;
    if (net_adapters(c, &list, &count) || take_matching(c, address, alias, list, count, &found))
        return -1;
    return found || wildcard_has(address) ? 0 : net_not_found(c, "NetIPAddress", "IPAddress", address);
}

/* An object of either store stands for both. */
static int remove_address(struct cmdlet_call *c)
{
    for (unsigned i = 0; i < arg_count(c, "InputObject"); i++) {
        struct value o = arg_at(c, "InputObject", i), address = object_get(o, "IPAddress"),
                     alias = object_get(o, "InterfaceAlias");
        if (address.kind == VALUE_STRING && alias.kind == VALUE_STRING &&
            remove_one(c, address.string, alias.string))
            return -1;
    }
    for (unsigned i = 0; i < arg_count(c, "IPAddress"); i++)
        if (remove_one(c, arg_string_at(c, "IPAddress", i), NULL))
            return -1;
    return 0;
}
const struct cmdlet_ops cmdlet_remove_net_ip_address = NET_OPS(remove_address);
