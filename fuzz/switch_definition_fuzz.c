/* SPDX-License-Identifier: MIT */
/* A switch's definition file of any bytes is refused, or printed again as what it means. */
#include <stdlib.h>

#include "config/switch_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct switch_config a, b;
    struct err err = {0};
    if (switch_config_parse(&a, (const char *)data, size, &err)) {
        bug_on(!err.status, "refused without a reason");
        return 0;
    }
    char *text = switch_config_print(&a, &err);
    bug_on(!text || switch_config_parse(&b, text, strlen(text), &err), "not read again: %s", err.text);
    char *again = switch_config_print(&b, &err);
    bug_on(!again || strcmp(text, again), "read again as something else");
    free(again);
    free(text);
    return 0;
}
