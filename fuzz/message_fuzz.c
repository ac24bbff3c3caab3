/* SPDX-License-Identifier: MIT */
/* A packet of any bytes is refused, or printed again as what it means. */
#include <stdlib.h>

#include "mgmt/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a switch makes of a port's rule. */
static void check_rule(const struct port_rule *a, const struct port_rule *b)
{
    struct vlan_set set;
    struct err err = {0};
    u8 mac[6] = {0}, again[6] = {0};
    bug_on(port_rule_mac(a, mac) != port_rule_mac(b, again) || memcmp(mac, again, 6), "another address");
    if (port_rule_check(a, &err)) {
        bug_on(!err.status, "refused without a reason");
        return;
    }
    bug_on(a->vlan_mode != b->vlan_mode || a->vlan != b->vlan || a->native_vlan != b->native_vlan ||
               strcmp(a->trunk_vlans, b->trunk_vlans) || a->mirroring != b->mirroring ||
               a->maximum_bandwidth != b->maximum_bandwidth || a->spoofing != b->spoofing,
           "another rule");
    bug_on(vlan_set_parse(&set, a->trunk_vlans, NULL) || vlan_set_has(&set, 4095), "a list that was checked");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message a, b;
    struct err err = {0};
    if (message_parse(&a, (const char *)data, size, &err)) {
        bug_on(!err.status, "refused without a reason");
        return 0;
    }
    char *text = message_print(&a);
    bug_on(!text || strlen(text) > MESSAGE_MAX || message_parse(&b, text, strlen(text), &err),
           "not read again: %s", err.text);
    bug_on(a.type != b.type || strcmp(a.text, b.text) || a.pid != b.pid, "read again as something else");
    check_rule(&a.rule, &b.rule);
    free(text);
    return 0;
}
