/* SPDX-License-Identifier: MIT */
/* Why a switch drops a frame (net/drops.def). */
#ifndef NET_DROPS_H
#define NET_DROPS_H

enum net_drop {
#define DROP(id, name) DROP_##id,
#include "net/drops.def"
#undef DROP
    DROP_COUNT
};

const char *net_drop_name(enum net_drop d); /* one word, for messages and tables */

#endif
