/* SPDX-License-Identifier: MIT */
/* A network.json of any bytes is refused, or printed again as what it means. */
#include <stdlib.h>

#include "config/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct network_config a, b;
    struct err err = {0};
    if (network_parse(&a, (const char *)data, size, &err)) {
        bug_on(!err.status, "refused without a reason");
        return 0;
    }
    for (unsigned i = 0; i < a.address_count; i++)
        network_address_prefix(&a.addresses[i]);
    char *text = network_print(&a, &err);
    bug_on(!text || network_parse(&b, text, strlen(text), &err), "not read again: %s", err.text);
    bug_on(a.nat_count != b.nat_count || a.mapping_count != b.mapping_count ||
               a.address_count != b.address_count || a.resolver_count != b.resolver_count,
           "read again as something else");
    free(text);
    return 0;
}
