/* SPDX-License-Identifier: MIT */
#include "config/port_rule.h"

#include <stdlib.h>

const char *const port_vlan_words[] = {"Untagged", "Access", "Trunk"};
const char *const port_mirroring_words[] = {"None", "Destination", "Source"};

/* A VLAN's number at *p, which moves behind it; -1: there is none. */
static int parse_vlan(const char **p)
{
    unsigned n = 0, digits = 0;
    for (; **p >= '0' && **p <= '9' && digits < 5; ++*p, digits++)
        n = n * 10 + (unsigned)(**p - '0');
    return digits && n <= VLAN_ID_MAX ? (int)n : -1;
}

static void skip_blanks(const char **p)
{
    while (**p == ' ')
        ++*p;
}

static bool parse_range(struct vlan_set *s, const char **p)
{
    skip_blanks(p);
    int first = parse_vlan(p), last = first;
    if (**p == '-') {
        ++*p;
        last = parse_vlan(p);
    }
    skip_blanks(p);
    if (first < 0 || last < first)
        return false;
    for (int v = first; v <= last; v++)
        s->bits[v / 64] |= BIT(v % 64);
    return true;
}

int vlan_set_parse(struct vlan_set *s, const char *text, struct err *err)
{
    const char *p = text;
    *s = (struct vlan_set){0};
    while (*p) {
        if (parse_range(s, &p) && (!*p || (*p == ',' && p[1]))) {
            p += *p == ',';
            continue;
        }
        return err_set(
            err, EXIT_STATUS_USAGE,
            "'%.60s' is no list of VLANs: give numbers and ranges from 0 to 4094, such as 1-100,200", text);
    }
    return 0;
}

bool vlan_set_has(const struct vlan_set *s, unsigned vlan)
{
    return vlan <= VLAN_ID_MAX && (s->bits[vlan / 64] & BIT(vlan % 64));
}

int port_rule_check(const struct port_rule *r, struct err *err)
{
    struct vlan_set s;
    if (r->vlan_mode == PORT_ACCESS && !r->vlan)
        return err_set(err, EXIT_STATUS_USAGE, "a network adapter: accessVlanId is missing in mode Access");
    return vlan_set_parse(&s, r->trunk_vlans, err);
}

bool port_rule_mac(const struct port_rule *r, u8 mac[6])
{
    for (unsigned i = 0; r->mac[0] && i < 6; i++)
        mac[i] = (u8)strtoul((char[]){r->mac[2 * i], r->mac[2 * i + 1], 0}, NULL, 16);
    return r->mac[0];
}
