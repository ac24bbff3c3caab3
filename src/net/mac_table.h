/* SPDX-License-Identifier: MIT */
/*
 * Which address is behind which port, by VLAN.
 *
 * Every port has a share: its own address, which is fixed, and so many learned ones as it reserved. A full
 * share gives up its own oldest address, so no port can push out another's. Learned addresses older than
 * max_age are not found; they go when their share needs the place. Not thread-safe.
 */
#ifndef NET_MAC_TABLE_H
#define NET_MAC_TABLE_H

#include "base/types.h"

struct mac_table;
struct mac_share;

struct mac_entry {
    struct mac_entry *next;            /* in its chain */
    struct mac_entry *older, *younger; /* in its share's list */
    struct mac_share *share;
    u64 seen;
    u64 mac; /* the six bytes, and two of zero */
    u16 vlan;
    bool fixed;
};

/* Embedded in the port. */
struct mac_share {
    struct mac_table *table;
    struct mac_entry own;              /* fixed; its mac is 0 if there is none */
    struct mac_entry *oldest, *newest; /* learned ones */
    u32 count, quota;
};

/* max: learned addresses of all shares together. member: whether a share's port is in a VLAN, asked for fixed
 * addresses. NULL only when memory is gone. */
struct mac_table *mac_table_new(u32 max, u64 max_age_ns, u64 seed,
                                bool (*member)(const struct mac_share *s, u16 vlan));
void mac_table_free(struct mac_table *t); /* all shares are closed */

/* Reserves quota places, or what is left of the table. mac: its own address; all zero: none. */
void mac_share_open(struct mac_table *t, struct mac_share *s, const u8 mac[6], u32 quota);
void mac_share_close(struct mac_share *s);

/* The address sends from behind s; nothing happens if the address is an adapter's or the share has no place.
 */
void mac_learn(struct mac_share *s, const u8 mac[6], u16 vlan, u64 now);
/* NULL: unknown. */
struct mac_share *mac_find(struct mac_table *t, const u8 mac[6], u16 vlan, u64 now);

struct mac_seen {
    u8 mac[6];
    u16 vlan;
    bool fixed;
    u64 age_ns;
};
void mac_each(const struct mac_share *s, u64 now, void (*cb)(void *opaque, const struct mac_seen *m),
              void *opaque);

#endif
