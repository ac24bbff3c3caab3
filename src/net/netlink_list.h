/* SPDX-License-Identifier: MIT */
/* LISTED(row, parse): the function row_list(), which asks for a dump and gathers what parse() makes of its
 * messages as a malloced array of struct row. */
#ifndef NET_NETLINK_LIST_H
#define NET_NETLINK_LIST_H

#include <errno.h>
#include <stdlib.h>

#include "net/netlink.h"

struct netlink_gathering {
    u8 *rows;
    unsigned count, room;
    size_t size;
    bool failed;
    bool (*parse)(const struct nlmsghdr *h, void *row);
};

static inline void netlink_gather(void *arg, const struct nlmsghdr *h)
{
    struct netlink_gathering *g = arg;
    if (g->count == g->room) {
        unsigned room = g->room ? 2 * g->room : 16;
        u8 *rows = realloc(g->rows, room * g->size);
        g->failed |= !rows;
        if (!rows)
            return;
        g->rows = rows;
        g->room = room;
    }
    g->count += g->parse(h, g->rows + g->count * g->size);
}

#define LISTED(row, parse_)                                                                                  \
    static bool row##_into(const struct nlmsghdr *h, void *out)                                              \
    {                                                                                                        \
        return parse_(h, out);                                                                               \
    }                                                                                                        \
    static int row##_list(u16 type, const void *body, size_t len, struct row **list, unsigned *count,        \
                          const char *doing, struct err *err)                                                \
    {                                                                                                        \
        struct netlink_question q;                                                                           \
        struct netlink_gathering g = {.size = sizeof(struct row), .parse = row##_into};                      \
        netlink_begin(&q, type, NLM_F_DUMP, body, len);                                                      \
        int why = netlink_ask(&q, netlink_gather, &g);                                                       \
        *list = (struct row *)g.rows;                                                                        \
        *count = g.count;                                                                                    \
        if (!why && !g.failed)                                                                               \
            return 0;                                                                                        \
        free(g.rows);                                                                                        \
        *list = NULL;                                                                                        \
        *count = 0;                                                                                          \
        return netlink_fail(err, why ? why : ENOMEM, doing);                                                 \
    }

#endif
