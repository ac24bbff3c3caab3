/* SPDX-License-Identifier: MIT */
/*
 * What a virtual switch is told of one of its ports: the rows of scope PORT in settings.def. They stand in
 * the definition of the adapter that is connected there, and travel as they are in the message that connects
 * it.
 */
#ifndef CONFIG_PORT_RULE_H
#define CONFIG_PORT_RULE_H

#include "base/err.h"
#include "base/types.h"

enum port_vlan { PORT_UNTAGGED, PORT_ACCESS, PORT_TRUNK };
enum port_mirroring { PORT_MIRROR_NONE, PORT_MIRROR_DESTINATION, PORT_MIRROR_SOURCE };

extern const char *const port_vlan_words[3], *const port_mirroring_words[3];

enum { VLAN_ID_MAX = 4094 };

#include "config/as_fields.h"
struct port_rule {
#define SETTINGS_PORT
#include "config/settings.def"
#undef SETTINGS_PORT
};

/* A set of VLANs: bit n of word n / 64 is VLAN n. */
struct vlan_set {
    u64 bits[64];
};

/* "1-100,200", of 0 to 4094; text: hostile. An empty text is the empty set. */
int must_check vlan_set_parse(struct vlan_set *s, const char *text, struct err *err);
bool vlan_set_has(const struct vlan_set *s, unsigned vlan);

/* What the settings say together. */
int must_check port_rule_check(const struct port_rule *r, struct err *err);

/* The hardware address as bytes; false: it has none. */
bool port_rule_mac(const struct port_rule *r, u8 mac[6]);

#endif
