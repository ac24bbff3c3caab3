/* SPDX-License-Identifier: MIT */
#include "mgmt/adapters.h"

#include <stdio.h>
#include <unistd.h>

#include "config/errors.h"
#include "mgmt/worker.h"

/* In single quotes, as the command language reads it. */
static void put_quoted(char *out, size_t size, const char *text)
{
    size_t n = 0;
    out[n++] = '\'';
    for (; *text && n + 4 < size; text++) {
        if (*text == '\'')
            out[n++] = '\'';
        out[n++] = *text;
    }
    out[n++] = '\'';
    out[n] = 0;
}

void adapter_spoofing_notice(char *out, size_t size, const char *vm_name, const char *adapter_name)
{
    char vm[2 * sizeof(((struct vm_config *)0)->name) + 4],
        adapter[2 * sizeof(((struct vm_adapter *)0)->name) + 4];
    put_quoted(vm, sizeof(vm), vm_name);
    put_quoted(adapter, sizeof(adapter), adapter_name);
    snprintf(out, size,
             "Frames from other addresses than its own are dropped: Set-VMNetworkAdapter -VMName %s -Name %s "
             "-MacAddressSpoofing On lets them pass",
             vm, adapter);
}

struct message adapter_plug(const struct vm_config *c, unsigned adapter)
{
    const struct vm_adapter *a = &c->adapters[adapter];
    struct message m = {.type = MESSAGE_PLUG};
    memcpy(m.vm, c->id, sizeof(m.vm));
    memcpy(m.vm_name, c->name, sizeof(m.vm_name));
    memcpy(m.adapter_id, a->id, sizeof(m.adapter_id));
    memcpy(m.adapter_name, a->name, sizeof(m.adapter_name));
    m.rule = a->rule;
    return m;
}

/* ---- before a start ---- */

/* The adapter of other whose address one of c's has; NULL: none. */
static const struct vm_adapter *shared_address(const struct vm_config *c, const struct vm_config *other)
{
    for (unsigned i = 0; i < c->adapter_count; i++)
        for (unsigned k = 0; k < other->adapter_count; k++)
            if (c->adapters[i].mac[0] && strcasecmp(c->adapters[i].mac, other->adapters[k].mac) == 0)
                return &other->adapters[k];
    return NULL;
}

static int check_addresses(struct store *s, const struct vm_config *c, struct err *err)
{
    struct vm_entry *list;
    unsigned count;
    int r = 0;
    if (store_list(s, &list, &count, err))
        return -1;
    for (unsigned i = 0; i < count && r == 0; i++) {
        const struct vm_config *other = list[i].config;
        const struct vm_adapter *a = other && strcmp(other->id, c->id) ? shared_address(c, other) : NULL;
        if (a && worker_lives(s, other->id))
            r = err_set_id(
                err, EXIT_STATUS_USAGE, ERROR_OBJECT_EXISTS,
                "Its hardware address %s is that of '%.60s' of '%.60s', which runs. Give one of the two "
                "another: Set-VMNetworkAdapter -DynamicMacAddress.",
                a->mac, a->name, other->name);
    }
    store_list_free(list, count);
    return r;
}

int adapters_prepare(struct store *s, const struct vm_config *c, struct err *err)
{
    bool has_address = false;
    for (unsigned i = 0; i < c->adapter_count; i++) {
        const char *name = c->adapters[i].switch_name;
        struct err why = {0};
        int fd = *name ? switch_ensure_name(name, &why) : -1;
        has_address |= c->adapters[i].mac[0];
        if (*name && fd < 0)
            return err_set_id(
                err, why.status, why.id,
                "Its adapter '%.60s' cannot be connected. %.350s Disconnect-VMNetworkAdapter starts it "
                "without.",
                c->adapters[i].name, why.text);
        if (fd >= 0)
            close(fd);
    }
    return has_address ? check_addresses(s, c, err) : 0;
}

/* ---- of a running one ---- */

int adapter_connect(struct store *s, const struct vm_config *c, unsigned adapter, struct err *err)
{
    struct message plug = adapter_plug(c, adapter);
    const char *name = c->adapters[adapter].switch_name;
    int cable = *name ? switch_plug(name, &plug, err) : -1;
    if (*name && cable < 0)
        return -1;
    int r = worker_give_cable(s, c->id, adapter, cable, err);
    if (cable >= 0)
        close(cable);
    return r;
}

int adapter_tell_rule(const struct vm_config *c, unsigned adapter, struct err *err)
{
    struct message m = adapter_plug(c, adapter);
    const char *name = c->adapters[adapter].switch_name;
    int fd = *name ? switch_connect_name(name) : -1;
    if (fd < 0)
        return 0; /* the switch asks the definition when it starts */
    m.type = MESSAGE_RULE;
    struct err why = {0};
    int r = switch_call(fd, &m, -1, NULL, &why);
    close(fd);
    if (r == 0 || r == SWITCH_GONE || why.id == ERROR_OBJECT_NOT_FOUND)
        return 0; /* a port that is down asks the definition when it comes back */
    return err_set_id(err, why.status, why.id, "%s", why.text);
}

bool adapter_port(const struct vm_config *c, unsigned adapter, struct message *port)
{
    struct message ask = {.type = MESSAGE_PORTS};
    const struct vm_adapter *a = &c->adapters[adapter];
    int fd = a->switch_name[0] ? switch_connect_name(a->switch_name) : -1;
    if (fd < 0)
        return false;
    memcpy(ask.vm, c->id, sizeof(ask.vm));
    memcpy(ask.adapter_id, a->id, sizeof(ask.adapter_id));
    bool found = switch_call(fd, &ask, -1, port, NULL) == 0 && port->type == MESSAGE_PORT;
    close(fd);
    return found;
}
