/* SPDX-License-Identifier: MIT */
/* A packet of any bytes is refused, or printed again as what it means. */
#include <stdlib.h>

#include "mgmt/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message a, b;
    struct err err = {0};
    if (message_parse(&a, (const char *)data, size, &err)) {
        bug_on(!err.status, "refused without a reason");
        return 0;
    }
    char *text = message_print(&a);
    bug_on(!text || strlen(text) > MESSAGE_MAX || message_parse(&b, text, strlen(text), &err),
           "not read again: %s", err.text);
    bug_on(a.type != b.type || strcmp(a.text, b.text) || a.pid != b.pid, "read again as something else");
    free(text);
    return 0;
}
