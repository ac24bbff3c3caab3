/* SPDX-License-Identifier: MIT */
/*
 * What the host has beside virtual switches: NATs, static mappings, addresses, name servers. network.def is
 * the single source of the rows; one file, network.json, holds them all. Plain data, large: on the heap.
 *
 * The rules that need no host stand here: what a row may say by itself and what two rows may not say
 * together.
 */
#ifndef CONFIG_NETWORK_H
#define CONFIG_NETWORK_H

#include "base/ip.h"
#include "config/as_fields.h"
#include "config/schema.h"

enum network_protocol { NETWORK_TCP, NETWORK_UDP };
enum {
    NETWORK_NATS_MAX = 32,
    NETWORK_MAPPINGS_MAX = 512,
    NETWORK_ADDRESSES_MAX = 128,
    NETWORK_RESOLVERS_MAX = 16
};

struct network_nat {
#define NETWORK_NAT
#include "config/network.def"
#undef NETWORK_NAT
};
struct network_mapping {
#define NETWORK_MAPPING
#include "config/network.def"
#undef NETWORK_MAPPING
};
struct network_address {
#define NETWORK_ADDRESS
#include "config/network.def"
#undef NETWORK_ADDRESS
};
struct network_resolver {
#define NETWORK_RESOLVER
#include "config/network.def"
#undef NETWORK_RESOLVER
};

struct network_config {
    struct network_nat nats[NETWORK_NATS_MAX];
    unsigned nat_count;
    struct network_mapping mappings[NETWORK_MAPPINGS_MAX];
    unsigned mapping_count;
    struct network_address addresses[NETWORK_ADDRESSES_MAX];
    unsigned address_count;
    struct network_resolver resolvers[NETWORK_RESOLVERS_MAX];
    unsigned resolver_count;
};

extern const char *const network_protocol_words[2];

/* Each adds a row, checked alone and against those that are there, its texts made canonical; a refusal names
 * the reason and leaves *c as it was. A mapping is given its id. */
int must_check network_add_nat(struct network_config *c, const struct network_nat *row, struct err *err);
int must_check network_add_mapping(struct network_config *c, const struct network_mapping *row,
                                   struct err *err);
int must_check network_add_address(struct network_config *c, const struct network_address *row,
                                   struct err *err);
/* The same row twice is once. */
int must_check network_add_resolver(struct network_config *c, const struct network_resolver *row,
                                    struct err *err);

/* Without regard to case; NULL: there is none. */
struct network_nat *network_find_nat(struct network_config *c, const char *name);
/* Its mappings go with it. */
void network_remove_nat(struct network_config *c, struct network_nat *nat);
void network_remove_mapping(struct network_config *c, struct network_mapping *m);
void network_remove_address(struct network_config *c, struct network_address *a);
/* What stands in rows that were added, as values. */
struct ip_prefix network_nat_prefix(const struct network_nat *n);
struct ip_prefix network_address_prefix(const struct network_address *a);
/* The NAT whose network holds the address; NULL. */
const struct network_nat *network_nat_of(const struct network_config *c, const struct ip_addr *a);

/* The file as JSON text; free() it. NULL and err: out of memory. */
char *network_print(const struct network_config *c, struct err *err);
/* text: hostile. Damaged or of a newer format: refused, *c is undefined. */
int must_check network_parse(struct network_config *c, const char *text, size_t len, struct err *err);

#endif
