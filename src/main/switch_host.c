/* SPDX-License-Identifier: MIT */
#include "main/switch_host.h"

const int switch_host_calls[] = {-1};
const char *const switch_host_files[] = {NULL};

int switch_host_file(const struct switch_config *c, struct err *err)
{
    return err_set(err, EXIT_STATUS_HOST, "there is no user-mode host");
}

struct switch_host *switch_host_new(struct event_loop *loop, const u8 mac[6], struct net_port **port,
                                    struct err *err)
{
    err_set(err, EXIT_STATUS_HOST, "there is no user-mode host");
    return NULL;
}

int switch_host_apply(struct switch_host *h, int file, struct err *err)
{
    return err_set(err, EXIT_STATUS_HOST, "there is no user-mode host");
}
