/* SPDX-License-Identifier: MIT */
#include "net/drops.h"

static const char *const names[DROP_COUNT] = {
#define DROP(id, word) #word,
#include "net/drops.def"
#undef DROP
};

const char *net_drop_name(enum net_drop d)
{
    return names[d];
}
