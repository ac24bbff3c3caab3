/* SPDX-License-Identifier: MIT */
/*
 * A hash table with chains, and for each share a list of its learned addresses by age (net/mac_table.h).
 *
 * The hash is multiplication by a secret odd number: nobody outside can choose addresses that meet in one
 * chain. VLANs are left out of it, so that a fixed address, which has none, is found in the same chain.
 */
#include "net/mac_table.h"

#include <stdlib.h>

#define REFRESH_NS 1000000000ull /* an address in use is moved to the young end so often at most */

struct mac_table {
    u32 left; /* places not reserved */
    u64 max_age, factor;
    unsigned shift;
    bool (*member)(const struct mac_share *s, u16 vlan);
    struct mac_entry *chains[];
};

static u64 key(const u8 mac[6])
{
    return load_le(mac, 6);
}

static struct mac_entry **chain(struct mac_table *t, u64 mac)
{
    return &t->chains[mac * t->factor >> t->shift];
}

struct mac_table *mac_table_new(u32 max, u64 max_age_ns, u64 seed,
                                bool (*member)(const struct mac_share *s, u16 vlan))
{
    unsigned bits = 10;
    while (bits < 20 && (1u << bits) < max)
        bits++;
    struct mac_table *t = calloc(1, sizeof(*t) + (sizeof(t->chains[0]) << bits));
    if (t) {
        t->left = max;
        t->max_age = max_age_ns;
        t->factor = seed | 1;
        t->shift = 64 - bits;
        t->member = member;
    }
    return t;
}

void mac_table_free(struct mac_table *t)
{
    free(t);
}

/* --- lists --- */

static void unlist(struct mac_entry *e)
{
    struct mac_share *s = e->share;
    *(e->older ? &e->older->younger : &s->oldest) = e->younger;
    *(e->younger ? &e->younger->older : &s->newest) = e->older;
}

static void list_newest(struct mac_entry *e)
{
    struct mac_share *s = e->share;
    e->older = s->newest;
    e->younger = NULL;
    *(s->newest ? &s->newest->younger : &s->oldest) = e;
    s->newest = e;
}

static void hash(struct mac_table *t, struct mac_entry *e)
{
    struct mac_entry **head = chain(t, e->mac);
    e->next = *head;
    *head = e;
}

static void unhash(struct mac_table *t, struct mac_entry *e)
{
    struct mac_entry **link = chain(t, e->mac);
    while (*link != e)
        link = &(*link)->next;
    *link = e->next;
}

static void forget(struct mac_entry *e)
{
    struct mac_share *s = e->share;
    unhash(s->table, e);
    unlist(e);
    s->count--;
    free(e);
}

/* --- shares --- */

void mac_share_open(struct mac_table *t, struct mac_share *s, const u8 mac[6], u32 quota)
{
    *s = (struct mac_share){.table = t, .quota = quota < t->left ? quota : t->left};
    t->left -= s->quota;
    s->own = (struct mac_entry){.share = s, .mac = key(mac), .fixed = true};
    if (s->own.mac)
        hash(t, &s->own);
}

void mac_share_close(struct mac_share *s)
{
    while (s->oldest)
        forget(s->oldest);
    if (s->own.mac)
        unhash(s->table, &s->own);
    s->table->left += s->quota;
    *s = (struct mac_share){0};
}

/* --- frames --- */

static bool is_old(const struct mac_table *t, const struct mac_entry *e, u64 now)
{
    return now - e->seen > t->max_age;
}

/* The entry that says where frames for the address go: an adapter's own before a learned one. */
static struct mac_entry *lookup(struct mac_table *t, u64 mac, u16 vlan)
{
    struct mac_entry *learned = NULL;
    for (struct mac_entry *e = *chain(t, mac); e; e = e->next) {
        if (e->mac != mac)
            continue;
        if (e->fixed && t->member(e->share, vlan))
            return e;
        if (!e->fixed && e->vlan == vlan)
            learned = e;
    }
    return learned;
}

static struct mac_entry *new_entry(struct mac_share *s)
{
    if (s->count && (s->count == s->quota || is_old(s->table, s->oldest, s->newest->seen)))
        forget(s->oldest);
    struct mac_entry *e = s->count < s->quota ? calloc(1, sizeof(*e)) : NULL;
    s->count += e != NULL;
    return e;
}

void mac_learn(struct mac_share *s, const u8 mac[6], u16 vlan, u64 now)
{
    struct mac_entry *e = lookup(s->table, key(mac), vlan);
    if (e && (e->fixed || (e->share == s && now - e->seen < REFRESH_NS)))
        return;
    if (e && e->share != s) { /* it moved here */
        if (!s->quota)
            return;
        forget(e);
        e = NULL;
    }
    if (e) {
        unlist(e);
    } else {
        e = new_entry(s);
        if (!e)
            return;
        *e = (struct mac_entry){.share = s, .mac = key(mac), .vlan = vlan};
        hash(s->table, e);
    }
    e->seen = now;
    list_newest(e);
}

struct mac_share *mac_find(struct mac_table *t, const u8 mac[6], u16 vlan, u64 now)
{
    struct mac_entry *e = lookup(t, key(mac), vlan);
    return e && (e->fixed || !is_old(t, e, now)) ? e->share : NULL;
}

static void show(const struct mac_entry *e, u64 now, void (*cb)(void *opaque, const struct mac_seen *m),
                 void *opaque)
{
    struct mac_seen m = {.vlan = e->vlan, .fixed = e->fixed, .age_ns = e->fixed ? 0 : now - e->seen};
    store_le(m.mac, 6, e->mac);
    cb(opaque, &m);
}

void mac_each(const struct mac_share *s, u64 now, void (*cb)(void *opaque, const struct mac_seen *m),
              void *opaque)
{
    if (s->own.mac)
        show(&s->own, now, cb, opaque);
    for (const struct mac_entry *e = s->oldest; e; e = e->younger)
        if (!is_old(s->table, e, now))
            show(e, now, cb, opaque);
}
