/* SPDX-License-Identifier: MIT */
/* The values of `droste run`'s options: one parser an option, named run_parse_<id> after
 * config/run_options.def. */
#ifndef CMD_RUN_VALUES_H
#define CMD_RUN_VALUES_H

#include "cmd/run_options.h"

struct run_value {
    struct run_config *config;
    const char *option, *form; /* for messages */
    const char *text;
};

typedef int run_value_parser(struct run_value *v, struct err *err);

#define RUN_OPTION(id, ...) run_value_parser run_parse_##id;
#include "config/run_options.def"
#undef RUN_OPTION

#endif
