/* SPDX-License-Identifier: MIT */
#include "main/switch_uplink.h"

#include "config/errors.h"

int switch_uplinks_open(const struct switch_config *c, struct switch_uplinks *out, struct err *err)
{
    return err_set_id(err, EXIT_STATUS_USAGE, ERROR_NOT_SUPPORTED,
                      "Switches of type %s are not built into this version: use type Private.",
                      switch_type_words[c->type]);
}

void switch_uplinks_close(struct switch_uplinks *u) {}

struct net_port *switch_uplink_port(const char *kind, int fd, struct event_loop *loop, struct err *err)
{
    err_set(err, EXIT_STATUS_HOST, "there is no way out of kind %s", kind);
    return NULL;
}
