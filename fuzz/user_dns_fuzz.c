/* SPDX-License-Identifier: MIT */
/* Frames of any bytes on their way to a gateway's resolver: what is changed can be changed back. */
#include <stdlib.h>

#include "base/err.h"
#include "net/user_dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ip_addr gateways[2] = {{{10, 0, 0, 1}, false}, {{0xfd, [15] = 1}, true}},
                                resolvers[2] = {{{10, 0, 0, 0}, false}, {{0xfd}, true}};
    u8 *frame = malloc(size + 1); /* exactly as long, for the sanitizers */
    bug_on(!frame, "no memory");
    memcpy(frame, data, size);
    for (unsigned i = 0; i < 2; i++)
        if (user_dns_question(frame, size, &gateways[i], &resolvers[i]))
            bug_on(user_dns_question(frame, size, &gateways[i], &resolvers[i]),
                   "it is still for the gateway");
    for (unsigned i = 0; i < 2; i++)
        if (user_dns_is_answer(frame, size, &resolvers[i])) {
            user_dns_answer(frame, size, &gateways[i]);
            bug_on(user_dns_is_answer(frame, size, &resolvers[i]), "it still is the resolver's");
        }
    free(frame);
    return 0;
}
