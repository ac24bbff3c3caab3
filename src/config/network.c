/* SPDX-License-Identifier: MIT */
/* The rows of network.json: rules, and the file's text. FORMAT is as in vm_config.c. */
#include "config/network.h"

#include <stdio.h>
#include <strings.h>

#include "config/definition.h"
#include "config/errors.h"
#include "config/versions.h"

#define FORMAT 1

const char *const network_protocol_words[] = {"TCP", "UDP"};

#include "config/as_rows.h"

#define OBJECT network_nat
static const struct setting nat_settings[] = {
#define NETWORK_NAT
#include "config/network.def"
#undef NETWORK_NAT
};
#undef OBJECT
#define OBJECT network_mapping
static const struct setting mapping_settings[] = {
#define NETWORK_MAPPING
#include "config/network.def"
#undef NETWORK_MAPPING
};
#undef OBJECT
#define OBJECT network_address
static const struct setting address_settings[] = {
#define NETWORK_ADDRESS
#include "config/network.def"
#undef NETWORK_ADDRESS
};
#undef OBJECT
#define OBJECT network_resolver
static const struct setting resolver_settings[] = {
#define NETWORK_RESOLVER
#include "config/network.def"
#undef NETWORK_RESOLVER
};
#undef OBJECT

static const struct schema nat_schema = {"a NAT", nat_settings, ARRAY_SIZE(nat_settings)};
static const struct schema mapping_schema = {"a static mapping", mapping_settings,
                                             ARRAY_SIZE(mapping_settings)};
static const struct schema address_schema = {"an address", address_settings, ARRAY_SIZE(address_settings)};
static const struct schema resolver_schema = {"a name server", resolver_settings,
                                              ARRAY_SIZE(resolver_settings)};

#define refuse(err, id, ...) err_set_id(err, EXIT_STATUS_USAGE, id, __VA_ARGS__)

static int need_room(unsigned count, unsigned most, const char *what, struct err *err)
{
    return count < most ? 0
                        : refuse(err, ERROR_INVALID_PARAMETER, "There are %u %s already, which is the most.",
                                 most, what);
}

static int need_address(const char *text, const char *what, struct ip_addr *out, struct err *err)
{
    return ip_parse(text, out)
               ? 0
               : refuse(err, ERROR_INVALID_PARAMETER,
                        "'%.60s' is no %s: give an address such as 192.168.100.1 or fd00::1.", text, what);
}

/* ---- NATs ---- */

struct ip_prefix network_nat_prefix(const struct network_nat *n)
{
    struct ip_prefix p = {0};
    bug_on(!ip_prefix_parse(n->prefix, &p), "a NAT whose prefix nobody checked");
    return p;
}

struct network_nat *network_find_nat(struct network_config *c, const char *name)
{
    for (unsigned i = 0; i < c->nat_count; i++)
        if (strcasecmp(c->nats[i].name, name) == 0)
            return &c->nats[i];
    return NULL;
}

const struct network_nat *network_nat_of(const struct network_config *c, const struct ip_addr *a)
{
    for (unsigned i = 0; i < c->nat_count; i++) {
        struct ip_prefix p = network_nat_prefix(&c->nats[i]);
        if (ip_prefix_has(&p, a))
            return &c->nats[i];
    }
    return NULL;
}

static int check_nat_prefix(const char *text, struct ip_prefix *p, struct err *err)
{
    if (!ip_prefix_parse(text, p))
        return refuse(
            err, ERROR_INVALID_PARAMETER,
            "'%.60s' is no prefix of a network: give one such as 192.168.100.0/24 or fd00:100::/64.", text);
    struct ip_prefix network = ip_prefix_network(p);
    char whole[IP_PREFIX_TEXT_MAX];
    if (!ip_equal(&network.addr, &p->addr))
        return refuse(err, ERROR_INVALID_PARAMETER,
                      "%.60s has bits set behind the prefix: %s is the network.", text,
                      ip_prefix_print(&network, whole));
    if (p->len < 8 || p->len + 2u > ip_bits(&p->addr) || !ip_is_host(&p->addr))
        return refuse(err, ERROR_INVALID_PARAMETER,
                      "A NAT's network is not %.60s: it has a prefix length from 8 to %u.", text,
                      ip_bits(&p->addr) - 2);
    return 0;
}

int network_add_nat(struct network_config *c, const struct network_nat *row, struct err *err)
{
    struct ip_prefix p;
    if (need_room(c->nat_count, NETWORK_NATS_MAX, "NATs", err) || schema_check(&nat_schema, row, err) ||
        check_nat_prefix(row->prefix, &p, err))
        return -1;
    if (row->dhcp && !p.addr.v6 && p.len > 26)
        return refuse(err, ERROR_INVALID_PARAMETER,
                      "DHCP needs a network of at least 64 addresses: a prefix length of 26 at most.");
    if (!row->name[0])
        return refuse(err, ERROR_INVALID_PARAMETER, "A NAT needs a name.");
    if (network_find_nat(c, row->name))
        return refuse(err, ERROR_OBJECT_EXISTS, "There is a NAT with the name '%s' already.", row->name);
    for (unsigned i = 0; i < c->nat_count; i++) {
        struct ip_prefix other = network_nat_prefix(&c->nats[i]);
        if (ip_prefix_overlaps(&p, &other))
            return refuse(
                err, ERROR_INVALID_PARAMETER,
                "%.60s overlaps %s, the network of the NAT '%s': take another one, or remove that NAT.",
                row->prefix, c->nats[i].prefix, c->nats[i].name);
    }
    c->nats[c->nat_count] = *row;
    ip_prefix_print(&p, c->nats[c->nat_count++].prefix);
    return 0;
}

void network_remove_nat(struct network_config *c, struct network_nat *nat)
{
    for (unsigned i = c->mapping_count; i--;)
        if (strcasecmp(c->mappings[i].nat, nat->name) == 0)
            network_remove_mapping(c, &c->mappings[i]);
    size_t at = (size_t)(nat - c->nats);
    memmove(nat, nat + 1, (--c->nat_count - at) * sizeof(*nat));
}

/* ---- static mappings ---- */

static bool same_external(const struct network_mapping *a, const struct ip_addr *external,
                          const struct network_mapping *b)
{
    struct ip_addr other;
    if (a->protocol != b->protocol || a->external_port != b->external_port ||
        !ip_parse(a->external, &other) || other.v6 != external->v6)
        return false;
    return ip_equal(&other, external) || ip_is_any(&other) || ip_is_any(external);
}

static u64 free_mapping_id(const struct network_config *c)
{
    u64 id = 0;
    for (unsigned i = 0; i < c->mapping_count; i++)
        if (c->mappings[i].id == id) {
            id++;
            i = (unsigned)-1; /* ids are in no order */
        }
    return id;
}

static int check_mapping(struct network_config *c, struct network_mapping *m, struct err *err)
{
    struct ip_addr external, internal;
    struct ip_prefix remote, inside;
    const struct network_nat *nat = network_find_nat(c, m->nat);
    if (!nat)
        return refuse(err, ERROR_OBJECT_NOT_FOUND,
                      "There is no NAT with the name '%s': Get-NetNat lists them.", m->nat);
    if (need_address(m->external, "address of this host", &external, err) ||
        need_address(m->internal, "address of a virtual machine", &internal, err))
        return -1;
    if (!ip_prefix_parse(m->remote, &remote) || remote.addr.v6 != external.v6)
        return refuse(err, ERROR_INVALID_PARAMETER,
                      "'%.60s' is no prefix of the external address's family, such as 0.0.0.0/0.", m->remote);
    inside = network_nat_prefix(nat);
    if (!ip_prefix_has(&inside, &internal) || ip_prefix_is_edge(&inside, &internal))
        return refuse(err, ERROR_INVALID_PARAMETER,
                      "%s is no address of a machine in %s, the network of the NAT '%s'.", m->internal,
                      nat->prefix, nat->name);
    if (external.v6 != internal.v6)
        return refuse(err, ERROR_INVALID_PARAMETER, "%s and %s are not of one family.", m->external,
                      m->internal);
    if (!ip_is_any(&external) && !ip_is_host(&external) && external.bytes[0] != 127)
        return refuse(err, ERROR_INVALID_PARAMETER, "%s is no address that a host can have.", m->external);
    for (unsigned i = 0; i < c->mapping_count; i++)
        if (same_external(&c->mappings[i], &external, m))
            return refuse(err, ERROR_OBJECT_EXISTS,
                          "%s port %llu of %s is mapped to %s port %llu already (StaticMappingID %llu).",
                          network_protocol_words[m->protocol], (unsigned long long)m->external_port,
                          c->mappings[i].external, c->mappings[i].internal,
                          (unsigned long long)c->mappings[i].internal_port,
                          (unsigned long long)c->mappings[i].id);
    ip_print(&external, m->external);
    ip_print(&internal, m->internal);
    remote = ip_prefix_network(&remote);
    ip_prefix_print(&remote, m->remote);
    strcpy(m->nat, nat->name);
    return 0;
}

int network_add_mapping(struct network_config *c, const struct network_mapping *row, struct err *err)
{
    struct network_mapping m = *row;
    if (need_room(c->mapping_count, NETWORK_MAPPINGS_MAX, "static mappings", err) ||
        schema_check(&mapping_schema, row, err) || check_mapping(c, &m, err))
        return -1;
    m.id = free_mapping_id(c);
    c->mappings[c->mapping_count++] = m;
    return 0;
}

void network_remove_mapping(struct network_config *c, struct network_mapping *m)
{
    size_t at = (size_t)(m - c->mappings);
    memmove(m, m + 1, (--c->mapping_count - at) * sizeof(*m));
}

/* ---- addresses ---- */

struct ip_prefix network_address_prefix(const struct network_address *a)
{
    struct ip_prefix p = {.len = (u8)a->length};
    bug_on(!ip_parse(a->address, &p.addr), "an address that nobody checked");
    return p;
}

static int check_address(struct network_address *a, struct err *err)
{
    struct ip_prefix p;
    struct ip_addr gateway;
    if (need_address(a->address, "address", &p.addr, err))
        return -1;
    if (a->length > ip_bits(&p.addr))
        return refuse(err, ERROR_INVALID_PARAMETER, "%s has %u bits: no prefix is %llu long.", a->address,
                      ip_bits(&p.addr), (unsigned long long)a->length);
    p.len = (u8)a->length;
    if (!ip_is_host(&p.addr) || ip_prefix_is_edge(&p, &p.addr))
        return refuse(err, ERROR_INVALID_PARAMETER, "%s/%u is no address that a host can have.", a->address,
                      p.len);
    ip_print(&p.addr, a->address);
    if (!a->gateway[0])
        return 0;
    if (need_address(a->gateway, "address of a gateway", &gateway, err))
        return -1;
    if (!ip_prefix_has(&p, &gateway) || ip_equal(&gateway, &p.addr))
        return refuse(err, ERROR_INVALID_PARAMETER, "The gateway %s is not in the network of %s/%u.",
                      a->gateway, a->address, p.len);
    ip_print(&gateway, a->gateway);
    return 0;
}

int network_add_address(struct network_config *c, const struct network_address *row, struct err *err)
{
    struct network_address a = *row;
    if (need_room(c->address_count, NETWORK_ADDRESSES_MAX, "addresses", err) ||
        schema_check(&address_schema, row, err) || check_address(&a, err))
        return -1;
    if (!a.adapter[0])
        return refuse(err, ERROR_INVALID_PARAMETER, "An address needs an adapter.");
    for (unsigned i = 0; i < c->address_count; i++)
        if (strcmp(c->addresses[i].address, a.address) == 0)
            return refuse(err, ERROR_OBJECT_EXISTS, "%s has the address %s already.", c->addresses[i].adapter,
                          a.address);
    c->addresses[c->address_count++] = a;
    return 0;
}

void network_remove_address(struct network_config *c, struct network_address *a)
{
    size_t at = (size_t)(a - c->addresses);
    memmove(a, a + 1, (--c->address_count - at) * sizeof(*a));
}

int network_add_resolver(struct network_config *c, const struct network_resolver *row, struct err *err)
{
    struct network_resolver r = *row;
    struct ip_addr a;
    if (schema_check(&resolver_schema, row, err) ||
        need_address(row->address, "name server's address", &a, err))
        return -1;
    ip_print(&a, r.address);
    for (unsigned i = 0; i < c->resolver_count; i++)
        if (strcasecmp(c->resolvers[i].adapter, r.adapter) == 0 &&
            strcmp(c->resolvers[i].address, r.address) == 0)
            return 0;
    if (need_room(c->resolver_count, NETWORK_RESOLVERS_MAX, "name servers", err))
        return -1;
    c->resolvers[c->resolver_count++] = r;
    return 0;
}

/* ---- text ---- */

static int add_any_nat(struct network_config *c, const void *row, struct err *err)
{
    return network_add_nat(c, row, err);
}

/* A file's ids are kept. */
static int add_any_mapping(struct network_config *c, const void *row, struct err *err)
{
    const struct network_mapping *m = row;
    for (unsigned i = 0; i < c->mapping_count; i++)
        if (c->mappings[i].id == m->id)
            return refuse(err, ERROR_INVALID_PARAMETER, "two static mappings have the id %llu",
                          (unsigned long long)m->id);
    if (network_add_mapping(c, m, err))
        return -1;
    c->mappings[c->mapping_count - 1].id = m->id;
    return 0;
}

static int add_any_address(struct network_config *c, const void *row, struct err *err)
{
    return network_add_address(c, row, err);
}

static int add_any_resolver(struct network_config *c, const void *row, struct err *err)
{
    return network_add_resolver(c, row, err);
}

union any_row {
    struct network_nat nat;
    struct network_mapping mapping;
    struct network_address address;
    struct network_resolver resolver;
};

#define LIST(key_, schema_, rows_, count_, add_)                                                             \
    {                                                                                                        \
        key_, &schema_, offsetof(struct network_config, rows_),                                              \
            sizeof(((struct network_config *)0)->rows_[0]), offsetof(struct network_config, count_), add_    \
    }
/* In an order in which each row finds what it refers to. */
static const struct list {
    const char *key;
    const struct schema *schema;
    size_t rows, size, count;
    int (*add)(struct network_config *c, const void *row, struct err *err);
} lists[] = {
    LIST("nats", nat_schema, nats, nat_count, add_any_nat),
    LIST("mappings", mapping_schema, mappings, mapping_count, add_any_mapping),
    LIST("addresses", address_schema, addresses, address_count, add_any_address),
    LIST("resolvers", resolver_schema, resolvers, resolver_count, add_any_resolver),
};

char *network_print(const struct network_config *c, struct err *err)
{
    json_t *o = definition_new(FORMAT);
    int r = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(lists) && o && r == 0; i++) {
        const struct list *l = &lists[i];
        r = definition_store_list(l->schema, (const char *)c + l->rows, l->size,
                                  *(const unsigned *)((const char *)c + l->count), o, l->key, err);
    }
    return definition_print(o, r, err);
}

static int load_rows(struct network_config *c, const struct list *l, const json_t *from, struct err *err)
{
    const json_t *array = json_object_get(from, l->key);
    if (array && !json_is_array(array))
        return err_set(err, EXIT_STATUS_USAGE, "the definition: %s is not a list", l->key);
    for (size_t i = 0; i < json_array_size(array); i++) {
        union any_row row;
        schema_defaults(l->schema, &row);
        if (schema_load(l->schema, &row, json_array_get(array, i), NULL, err) || l->add(c, &row, err))
            return -1;
    }
    return 0;
}

static int load(struct network_config *c, const json_t *o, struct err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)o, key, value)
    {
        bool known = strcmp(key, "format") == 0;
        for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
            known |= strcmp(key, lists[i].key) == 0;
        if (!known)
            return err_set(err, EXIT_STATUS_USAGE, "the definition: there is no setting '%.60s'", key);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
        if (load_rows(c, &lists[i], o, err))
            return -1;
    return 0;
}

int network_parse(struct network_config *c, const char *text, size_t len, struct err *err)
{
    memset(c, 0, sizeof(*c));
    json_t *o = definition_parse(text, len, FORMAT, err);
    int r = o ? load(c, o, err) : -1;
    json_decref(o);
    return r;
}
