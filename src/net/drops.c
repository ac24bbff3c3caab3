/* SPDX-License-Identifier: MIT */
#include "net/drops.h"

static const struct {
    const char *name, *text;
} drops[DROP_COUNT] = {
#define DROP(id, word, why) {#word, why},
#include "net/drops.def"
#undef DROP
};

const char *net_drop_name(enum net_drop d)
{
    return drops[d].name;
}

const char *net_drop_text(enum net_drop d)
{
    return drops[d].text;
}
