/* SPDX-License-Identifier: MIT */
#include "cmd/net/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mgmt/switch.h"

int net_begin(struct cmdlet_call *c)
{
    struct nets *n = call_state(c);
    struct err err = {0};
    n->opened = store_open(&n->store, &err) == 0;
    n->switches_opened = n->opened && switch_store_open(&n->switches, &err) == 0;
    return n->switches_opened ? 0 : call_fail(c, ERROR_OPERATION_FAILED, NULL, "%s", err.text);
}

void net_release(struct cmdlet_call *c)
{
    struct nets *n = call_state(c);
    if (n->switches_opened)
        switch_store_close(&n->switches);
    if (n->opened)
        store_close(&n->store);
    n->opened = n->switches_opened = false;
}

const struct network_ops *net_host(struct cmdlet_call *c)
{
    const struct host_probe *probe = call_commands(c)->context;
    bug_on(!probe || !probe->network, "the program did not say how to reach its host's network");
    return probe->network;
}

/* ---- definitions ---- */

const struct network_config *net_read(struct cmdlet_call *c)
{
    struct nets *n = call_state(c);
    struct err err = {0};
    struct network_config *read = network_read(&n->store, &err);
    if (!read) {
        call_fail(c, ERROR_OPERATION_FAILED, NULL, "%s", err.text);
        return NULL;
    }
    struct network_config *out = arena_alloc(call_arena(c), sizeof(*out));
    *out = *read;
    free(read);
    return out;
}

/* The definitions are stored, and the host does what they say. */
static int follow(struct cmdlet_call *c, struct network *n, const struct network_config *wanted,
                  struct err *err)
{
    struct nets *s = call_state(c);
    *n->config = *wanted;
    return network_put(&s->store, n, err) || net_host(c)->apply(&s->store, n->config, err) ? -1 : 0;
}

/* A host that cannot follow to where it was either has another trouble than this change, which then stands.
 */
static int store_and_follow(struct cmdlet_call *c, struct network *n, const struct network_config *before,
                            struct err *err)
{
    struct err back = {0}, again = {0};
    struct network_config *now = malloc(sizeof(*now));
    if (!now)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for a definition");
    *now = *n->config;
    int r = follow(c, n, now, err);
    if (r && follow(c, n, before, &back)) {
        (void)!follow(c, n, now, &again);
        call_warning(c, "It is kept, but the host's network is not as it says: %s", back.text);
        *err = (struct err){0};
        r = 0;
    }
    free(now);
    return r;
}

int net_change(struct cmdlet_call *c, int (*edit)(void *arg, struct network_config *n, struct err *err),
               void *arg, struct err *err)
{
    struct nets *s = call_state(c);
    struct network n;
    struct network_config *before = malloc(sizeof(*before));
    if (!before)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for a definition");
    int r = network_take(&s->store, &n, err);
    if (r == 0) {
        *before = *n.config;
        r = edit(arg, n.config, err);
        if (r == 0)
            r = store_and_follow(c, &n, before, err);
        network_release(&n);
    }
    free(before);
    return r;
}

/* ---- adapters ---- */

/* A number for what the kernel does not count, above all it does, and always the same. */
static unsigned made_up_index(const char *id)
{
    return 0x40000000u |
           (unsigned)(strtoul((char[]){id[0], id[1], id[2], id[3], id[4], id[5], id[6], 0}, NULL, 16) &
                      0xfffffff);
}

static void add_switch(struct cmdlet_call *c, const struct switch_entry *e, struct net_adapter *list,
                       unsigned *count)
{
    struct nets *n = call_state(c);
    char name[128], interface[16];
    struct net_adapter *a = NULL;
    host_adapter_name(e->config.name, name);
    snprintf(interface, sizeof(interface), HOST_ADAPTER_INTERFACE, e->id);
    for (unsigned i = 0; i < *count; i++)
        if (strcmp(list[i].host.interface, interface) == 0)
            a = &list[i];
        else if (text_equal(list[i].host.name, name)) /* another store's: our own has the name */
            memcpy(list[i].host.name, list[i].host.interface, sizeof(list[i].host.interface));
    if (!a) {
        a = &list[(*count)++];
        *a = (struct net_adapter){.host.index = made_up_index(e->id), .host.has_mac = true, .host.up = true};
        a->host.bits_per_second = 10000000000;
        snprintf(a->host.description, sizeof(a->host.description), HOST_ADAPTER_DESCRIPTION);
        for (unsigned i = 0; i < 6; i++)
            (void)!sscanf(e->config.mac + 2 * i, "%2hhx", &a->host.mac[i]);
        int fd = switch_connect(&n->switches, e->id);
        a->connected = fd >= 0;
        if (fd >= 0)
            close(fd);
    }
    a->of_switch = true;
    snprintf(a->host.name, sizeof(a->host.name), "%s", name);
    snprintf(a->switch_id, sizeof(a->switch_id), "%s", e->id);
}

int net_adapters(struct cmdlet_call *c, struct net_adapter **list, unsigned *count)
{
    struct nets *n = call_state(c);
    struct err err = {0};
    struct host_adapter *hosts = NULL;
    struct switch_entry *switches = NULL;
    unsigned host_count, switch_count;
    if (net_host(c)->adapters(&hosts, &host_count, &err) ||
        switch_store_list(&n->switches, &switches, &switch_count, &err)) {
        free(hosts);
        return call_fail(c, ERROR_OPERATION_FAILED, NULL, "%s", err.text);
    }
    *list = arena_alloc(call_arena(c), (host_count + switch_count + 1) * sizeof(**list));
    *count = 0;
    for (unsigned i = 0; i < host_count; i++)
        (*list)[(*count)++] = (struct net_adapter){
            .host = hosts[i], .kernel = true, .connected = hosts[i].up && hosts[i].carrier};
    for (unsigned i = 0; i < switch_count; i++)
        if (!switches[i].fault.status && switch_config_has_host(&switches[i].config))
            add_switch(c, &switches[i], *list, count);
    free(hosts);
    free(switches);
    return 0;
}

const struct net_adapter *net_adapter_find(const struct net_adapter *list, unsigned count, const char *name,
                                           i64 index)
{
    for (unsigned i = 0; i < count; i++)
        if (name ? strcmp(list[i].host.name, name) == 0 : list[i].host.index == index)
            return &list[i];
    for (unsigned i = 0; i < count && name; i++)
        if (text_equal(list[i].host.name, name) || text_equal(list[i].host.interface, name))
            return &list[i];
    return NULL;
}

/* ---- queries ---- */

bool net_matches(struct cmdlet_call *c, const char *param, const char *value)
{
    unsigned count = arg_count(c, param);
    for (unsigned i = 0; i < count; i++)
        if (wildcard_match(arg_string_at(c, param, i), value))
            return true;
    return count == 0;
}

bool net_matches_number(struct cmdlet_call *c, const char *param, i64 value)
{
    unsigned count = arg_count(c, param);
    for (unsigned i = 0; i < count; i++)
        if (arg_at(c, param, i).integer == value)
            return true;
    return count == 0;
}

int net_not_found(struct cmdlet_call *c, const char *object, const char *property, const char *value)
{
    return call_error(c, ERROR_OBJECT_NOT_FOUND, value,
                      "No MSFT_%s objects found with property '%s' equal to '%s'.  Verify the value of the "
                      "property and retry.",
                      object, property, value);
}
