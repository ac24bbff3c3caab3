/* SPDX-License-Identifier: MIT */
/* As the host starts: what is kept of its network is put in force again. */
#include <stdlib.h>
#include <unistd.h>

#include "cmd/net/net.h"
#include "mgmt/switch.h"

static void start_switches(struct cmdlet_call *c)
{
    struct switch_store s;
    struct switch_entry *list = NULL;
    unsigned count = 0;
    struct err err = {0};
    gid_t group;
    bool shared = switch_store_group(&group); /* its members cannot start them */
    if (switch_store_open(&s, &err)) {
        call_warning(c, "%s", err.text);
        return;
    }
    if (switch_store_list(&s, &list, &count, &err))
        call_warning(c, "%s", err.text);
    for (unsigned i = 0; i < count; i++) {
        struct err why = {0};
        if (list[i].fault.status || !(switch_config_has_host(&list[i].config) || shared))
            continue;
        int fd = switch_ensure(&s, list[i].id, &why);
        if (fd >= 0)
            close(fd);
        else
            call_warning(c, "The virtual switch '%s' does not start: %s", list[i].config.name, why.text);
    }
    free(list);
    switch_store_close(&s);
}

void net_start_with_host(struct cmdlet_call *c, const struct store *store)
{
    struct network n;
    struct err err = {0};
    start_switches(c);
    if (network_take(store, &n, &err)) {
        call_warning(c, "%s", err.text);
        return;
    }
    if (net_host(c)->apply(store, n.config, &err))
        call_warning(c, "The host's network is not as it is kept: %s", err.text);
    network_release(&n);
}
