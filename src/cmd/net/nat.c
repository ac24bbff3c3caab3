/* SPDX-License-Identifier: MIT */
/* New-, Get- and Remove-NetNat, Add-, Get- and Remove-NetNatStaticMapping. */
#include <stdio.h>
#include <stdlib.h>

#include "cmd/net/net.h"

/* How long the host's kernel keeps a connection that says nothing, by the name of its setting; what the
 * kernel does not say, because it has no NAT yet, is null. */
static struct value kernel_timeout(const char *name)
{
    char path[100];
    unsigned seconds = 0;
    snprintf(path, sizeof(path), "/proc/sys/net/netfilter/nf_conntrack_%s", name);
    FILE *f = fopen(path, "re");
    bool read = f && fscanf(f, "%u", &seconds) == 1;
    if (f)
        fclose(f);
    return read ? value_int(seconds) : NULL_VALUE;
}

static struct value nat_object(struct cmdlet_call *c, const struct network_nat *n)
{
    struct arena *a = call_arena(c);
    struct value o = object_new(a, call_type(c, "NetNat"));
    object_set(o, "Name", value_string(a, n->name));
    object_set(o, "ExternalIPInterfaceAddressPrefix", value_static(""));
    object_set(o, "InternalIPInterfaceAddressPrefix", value_string(a, n->prefix));
    object_set(o, "IcmpQueryTimeout", kernel_timeout("icmp_timeout"));
    object_set(o, "TcpEstablishedConnectionTimeout", kernel_timeout("tcp_timeout_established"));
    object_set(o, "TcpTransientConnectionTimeout", kernel_timeout("tcp_timeout_syn_sent"));
    object_set(o, "TcpFilteringBehavior", value_static("AddressDependentFiltering"));
    object_set(o, "UdpFilteringBehavior", value_static("AddressDependentFiltering"));
    object_set(o, "UdpIdleSessionTimeout", kernel_timeout("udp_timeout_stream"));
    object_set(o, "UdpInboundRefresh", value_bool(true));
    object_set(o, "Store", value_static("Local"));
    object_set(o, "Active", value_bool(true));
    object_set(o, "Dhcp", value_bool(n->dhcp));
    object_set(o, "InstanceID", value_printf(a, "%s;0", n->name));
    object_set(o, "InternalRoutingDomainId", value_static("{00000000-0000-0000-0000-000000000000}"));
    return o;
}

static struct value mapping_object(struct cmdlet_call *c, const struct network_mapping *m)
{
    struct arena *a = call_arena(c);
    struct value o = object_new(a, call_type(c, "NetNatStaticMapping"));
    object_set(o, "StaticMappingID", value_int((i64)m->id));
    object_set(o, "NatName", value_string(a, m->nat));
    object_set(o, "Protocol", value_static(network_protocol_words[m->protocol]));
    object_set(o, "RemoteExternalIPAddressPrefix", value_string(a, m->remote));
    object_set(o, "ExternalIPAddress", value_string(a, m->external));
    object_set(o, "ExternalPort", value_int((i64)m->external_port));
    object_set(o, "InternalIPAddress", value_string(a, m->internal));
    object_set(o, "InternalPort", value_int((i64)m->internal_port));
    object_set(o, "InternalRoutingDomainId", value_static("{00000000-0000-0000-0000-000000000000}"));
    object_set(o, "Active", value_bool(true));
    return o;
}

/* Text of a user's into a row's field; false: it does not fit. */
static bool put(char *to, size_t size, const char *text)
{
    return snprintf(to, size, "%s", text ? text : "") < (int)size;
}
#define PUT(field, text) put(field, sizeof(field), text)

static int too_long(struct err *err)
{
    return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER, "A name or address is too long.");
}

/* ---- New-NetNat ---- */

/* What this host is in already would not be reached by machines behind the NAT, nor they by what is there. */
static int check_host(struct cmdlet_call *c, const char *text, struct err *err)
{
    struct ip_prefix *list, wanted;
    unsigned count;
    int r = 0;
    if (!ip_prefix_parse(text, &wanted)) /* network_add_nat() says it */
        return 0;
    if (net_host(c)->networks(&list, &count, err))
        return -1;
    for (unsigned i = 0; i < count && r == 0; i++) {
        char there[IP_PREFIX_TEXT_MAX];
        if (ip_prefix_overlaps(&list[i], &wanted))
            r = err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                           "%s overlaps %s, a network that this host is in: take another one.", text,
                           ip_prefix_print(&list[i], there));
    }
    free(list);
    return r;
}

static int add_nat(void *arg, struct network_config *n, struct err *err)
{
    const struct network_nat *row = arg;
    return network_add_nat(n, row, err);
}

static int new_nat(struct cmdlet_call *c)
{
    struct network_nat row = {.dhcp = arg_switch(c, "Dhcp")};
    struct err err = {0};
    const char *name = arg_string(c, "Name"), *prefix = arg_string(c, "InternalIPInterfaceAddressPrefix");
    if (!call_should(c, "create the NAT \"%s\".", name))
        return 0;
    if (!PUT(row.name, name) || !PUT(row.prefix, prefix))
        too_long(&err);
    if (err.status || check_host(c, prefix, &err) || net_change(c, add_nat, &row, &err))
        return call_error_from(c, &err, name, "Failed to create the NAT.");
    const struct network_config *now = net_read(c);
    const struct network_nat *made = now ? network_find_nat((struct network_config *)now, name) : NULL;
    return made ? emit(c, nat_object(c, made)) : now ? 0 : -1;
}
const struct cmdlet_ops cmdlet_new_net_nat = NET_OPS(new_nat);

/* ---- Get-NetNat, Remove-NetNat ---- */

/* For each NAT that -Name means: those that are found, then the names without wildcards that are not. */
static int each_nat(struct cmdlet_call *c, int (*act)(struct cmdlet_call *c, const struct network_nat *n))
{
    const struct network_config *k = net_read(c);
    if (!k)
        return -1;
    for (unsigned i = 0; i < k->nat_count; i++)
        if (net_matches(c, "Name", k->nats[i].name) && act(c, &k->nats[i]))
            return -1;
    for (unsigned i = 0; i < arg_count(c, "Name"); i++) {
        const char *name = arg_string_at(c, "Name", i);
        if (!wildcard_has(name) && !network_find_nat((struct network_config *)k, name) &&
            net_not_found(c, "NetNat", "Name", name))
            return -1;
    }
    return 0;
}

static int show_nat(struct cmdlet_call *c, const struct network_nat *n)
{
    return emit(c, nat_object(c, n));
}

static int get_nat(struct cmdlet_call *c)
{
    return each_nat(c, show_nat);
}
const struct cmdlet_ops cmdlet_get_net_nat = NET_OPS(get_nat);

static int take_nat(void *arg, struct network_config *k, struct err *err)
{
    struct network_nat *n = network_find_nat(k, arg);
    if (!n)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND, "The NAT is not there any more.");
    network_remove_nat(k, n);
    return 0;
}

static int remove_one_nat(struct cmdlet_call *c, const struct network_nat *n)
{
    struct err err = {0};
    if (!call_should(c, "remove the NAT \"%s\".", n->name))
        return 0;
    if (net_change(c, take_nat, (char *)n->name, &err))
        return call_error_from(c, &err, n->name, "Failed to remove the NAT.");
    return arg_switch(c, "PassThru") ? emit(c, nat_object(c, n)) : 0;
}

static int remove_nat(struct cmdlet_call *c)
{
    for (unsigned i = 0; i < arg_count(c, "InputObject"); i++) {
        struct network_nat n = {0};
        struct value name = object_get(arg_at(c, "InputObject", i), "Name"),
                     prefix = object_get(arg_at(c, "InputObject", i), "InternalIPInterfaceAddressPrefix");
        if (name.kind == VALUE_STRING && prefix.kind == VALUE_STRING && PUT(n.name, name.string) &&
            PUT(n.prefix, prefix.string) && remove_one_nat(c, &n))
            return -1;
    }
    return arg_count(c, "Name") ? each_nat(c, remove_one_nat) : 0;
}
const struct cmdlet_ops cmdlet_remove_net_nat = NET_OPS(remove_nat);

/* ---- static mappings ---- */

static int add_row(void *arg, struct network_config *n, struct err *err)
{
    struct network_mapping *m = arg;
    if (network_add_mapping(n, m, err))
        return -1;
    *m = n->mappings[n->mapping_count - 1];
    return 0;
}

/* "0.0.0.0/24" stands for all addresses in Microsoft's own examples. */
static bool put_external(struct network_mapping *m, const char *text)
{
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    if (len >= sizeof(m->external))
        return false;
    snprintf(m->external, sizeof(m->external), "%.*s", (int)len, text);
    struct ip_addr a;
    return !slash || (ip_parse(m->external, &a) && ip_is_any(&a));
}

static int add_mapping(struct cmdlet_call *c)
{
    struct network_mapping m = {.protocol = arg_word(c, "Protocol") == 1 ? NETWORK_UDP : NETWORK_TCP,
                                .external_port = (u64)arg_int(c, "ExternalPort", 0)};
    struct err err = {0};
    const char *nat = arg_string(c, "NatName"), *remote = arg_string(c, "RemoteExternalIPAddressPrefix"),
               *internal = arg_string(c, "InternalIPAddress");
    m.internal_port = (u64)arg_int(c, "InternalPort", (i64)m.external_port);
    if (!call_should(c, "add a static mapping to the NAT \"%s\".", nat))
        return 0;
    if (!PUT(m.nat, nat) || !PUT(m.internal, internal) ||
        !PUT(m.remote, remote                  ? remote
                       : strchr(internal, ':') ? "::/0"
                                               : "0.0.0.0/0"))
        too_long(&err);
    else if (!put_external(&m, arg_string(c, "ExternalIPAddress")))
        err_set_id(&err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                   "'%.60s' is no address of this host: give one, or 0.0.0.0 for all.",
                   arg_string(c, "ExternalIPAddress"));
    if (err.status || net_change(c, add_row, &m, &err))
        return call_error_from(c, &err, nat, "Failed to add a static mapping.");
    return emit(c, mapping_object(c, &m));
}
const struct cmdlet_ops cmdlet_add_net_nat_static_mapping = NET_OPS(add_mapping);

static int get_mapping(struct cmdlet_call *c)
{
    const struct network_config *k = net_read(c);
    for (unsigned i = 0; k && i < k->mapping_count; i++)
        if (net_matches(c, "NatName", k->mappings[i].nat) && emit(c, mapping_object(c, &k->mappings[i])))
            return -1;
    for (unsigned i = 0; k && i < arg_count(c, "NatName"); i++) {
        const char *name = arg_string_at(c, "NatName", i);
        if (!wildcard_has(name) && !network_find_nat((struct network_config *)k, name) &&
            net_not_found(c, "NetNatStaticMapping", "NatName", name))
            return -1;
    }
    return k ? 0 : -1;
}
const struct cmdlet_ops cmdlet_get_net_nat_static_mapping = NET_OPS(get_mapping);

static int take_mapping(void *arg, struct network_config *k, struct err *err)
{
    const struct network_mapping *wanted = arg;
    for (unsigned i = 0; i < k->mapping_count; i++)
        if (k->mappings[i].id == wanted->id) {
            network_remove_mapping(k, &k->mappings[i]);
            return 0;
        }
    return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                      "The static mapping is not there any more.");
}

static int remove_one_mapping(struct cmdlet_call *c, struct network_mapping *m)
{
    struct err err = {0};
    if (!call_should(c, "remove the static mapping %llu of the NAT \"%s\".", (unsigned long long)m->id,
                     m->nat))
        return 0;
    if (net_change(c, take_mapping, m, &err))
        return call_error_from(c, &err, m->nat, "Failed to remove a static mapping.");
    return arg_switch(c, "PassThru") ? emit(c, mapping_object(c, m)) : 0;
}

static int remove_queried(struct cmdlet_call *c)
{
    const struct network_config *k = net_read(c);
    bool found = false;
    for (unsigned i = 0; k && i < k->mapping_count; i++) {
        struct network_mapping m = k->mappings[i];
        if (!net_matches(c, "NatName", m.nat) || !net_matches_number(c, "StaticMappingID", (i64)m.id))
            continue;
        found = true;
        if (remove_one_mapping(c, &m))
            return -1;
    }
    if (found || !k)
        return k ? 0 : -1;
    return call_error(
        c, ERROR_OBJECT_NOT_FOUND, NULL,
        "No MSFT_NetNatStaticMapping objects found that are meant.  Get-NetNatStaticMapping lists them.");
}

static int remove_mapping(struct cmdlet_call *c)
{
    const struct network_config *k = net_read(c);
    for (unsigned i = 0; k && i < arg_count(c, "InputObject"); i++) {
        struct value id = object_get(arg_at(c, "InputObject", i), "StaticMappingID");
        for (unsigned n = 0; n < k->mapping_count; n++) {
            struct network_mapping m = k->mappings[n];
            if (id.kind == VALUE_INT && (i64)m.id == id.integer && remove_one_mapping(c, &m))
                return -1;
        }
    }
    if (!k || arg_count(c, "InputObject"))
        return k ? 0 : -1;
    if (!arg_count(c, "NatName") && !arg_count(c, "StaticMappingID"))
        return call_error(c, ERROR_INVALID_PARAMETER, NULL,
                          "Say which: -NatName, -StaticMappingID, or objects of Get-NetNatStaticMapping.");
    return remove_queried(c);
}
const struct cmdlet_ops cmdlet_remove_net_nat_static_mapping = NET_OPS(remove_mapping);
