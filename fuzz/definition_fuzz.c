/* SPDX-License-Identifier: MIT */
/* A definition file of any bytes is refused, or printed again as what it means. */
#include <stdlib.h>

#include "config/vm_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vm_config a, b;
    struct err err = {0};
    if (vm_config_parse(&a, (const char *)data, size, &err)) {
        bug_on(!err.status, "refused without a reason");
        return 0;
    }
    char *text = vm_config_print(&a, &err);
    bug_on(!text || vm_config_parse(&b, text, strlen(text), &err), "not read again: %s", err.text);
    char *again = vm_config_print(&b, &err);
    bug_on(!again || strcmp(text, again), "read again as something else");
    free(again);
    free(text);
    return 0;
}
