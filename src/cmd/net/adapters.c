/* SPDX-License-Identifier: MIT */
/* Get-NetAdapter. */
#include "cmd/net/net.h"

/* "10 Gbps", "1.5 Mbps", as its column shows it. */
static struct value speed(struct cmdlet_call *c, u64 bits)
{
    static const char *const units[] = {"bps", "Kbps", "Mbps", "Gbps", "Tbps"};
    unsigned unit = 0;
    u64 scale = 1;
    for (; unit + 1 < ARRAY_SIZE(units) && bits >= scale * 1000; unit++)
        scale *= 1000;
    u64 tenths = bits / (scale / 10 ? scale / 10 : 1) % 10;
    if (scale >= 10 && tenths)
        return value_printf(call_arena(c), "%llu.%llu %s", (unsigned long long)(bits / scale),
                            (unsigned long long)tenths, units[unit]);
    return value_printf(call_arena(c), "%llu %s", (unsigned long long)(bits / scale), units[unit]);
}

static struct value mac(struct cmdlet_call *c, const struct host_adapter *a)
{
    const u8 *m = a->mac;
    return a->has_mac ? value_printf(call_arena(c), "%02X-%02X-%02X-%02X-%02X-%02X", m[0], m[1], m[2], m[3],
                                     m[4], m[5])
                      : value_static("");
}

static struct value show(struct cmdlet_call *c, const struct net_adapter *n)
{
    struct arena *a = call_arena(c);
    const struct host_adapter *h = &n->host;
    const char *status = !h->up ? "Disabled" : n->connected ? "Up" : "Disconnected";
    struct value o = object_new(a, call_type(c, "NetAdapter"));
    object_set(o, "Name", value_string(a, h->name));
    object_set(o, "InterfaceDescription", value_string(a, h->description));
    object_set(o, "ifIndex", value_int(h->index));
    object_set(o, "Status", value_static(status));
    object_set(o, "MacAddress", mac(c, h));
    object_set(o, "LinkSpeed", h->bits_per_second ? speed(c, h->bits_per_second) : value_static(""));
    object_set(o, "InterfaceAlias", value_string(a, h->name));
    object_set(o, "ifAlias", value_string(a, h->name));
    object_set(o, "InterfaceIndex", value_int(h->index));
    object_set(o, "KernelInterface", n->kernel ? value_string(a, h->interface) : NULL_VALUE);
    object_set(o, "Virtual", value_bool(!h->physical));
    object_set(o, "Hidden", value_bool(h->hidden));
    return o;
}

static bool asked(struct cmdlet_call *c, const struct net_adapter *n)
{
    return (!n->host.hidden || arg_switch(c, "IncludeHidden")) &&
           (n->host.physical || !arg_switch(c, "Physical")) &&
           (net_matches(c, "Name", n->host.name) ||
            (n->kernel && net_matches(c, "Name", n->host.interface))) &&
           net_matches(c, "InterfaceDescription", n->host.description) &&
           net_matches_number(c, "InterfaceIndex", n->host.index);
}

static int get_adapter(struct cmdlet_call *c)
{
    struct net_adapter *list;
    unsigned count;
    if (net_adapters(c, &list, &count))
        return -1;
    for (unsigned i = 0; i < count; i++)
        if (asked(c, &list[i]) && emit(c, show(c, &list[i])))
            return -1;
    for (unsigned i = 0; i < arg_count(c, "Name"); i++) {
        const char *name = arg_string_at(c, "Name", i);
        if (!wildcard_has(name) && !net_adapter_find(list, count, name, -1) &&
            net_not_found(c, "NetAdapter", "Name", name))
            return -1;
    }
    return 0;
}
const struct cmdlet_ops cmdlet_get_net_adapter = NET_OPS(get_adapter);
