/* SPDX-License-Identifier: MIT */
/* Saved state read from hostile bytes. */
#include "base/state.h"

struct chip {
    u8 a;
    u32 b[3];
};

static const struct state_field fields[] = {STATE_FIELD(struct chip, a), STATE_ARRAY(struct chip, b),
                                            STATE_END};
static const struct state_desc desc = {"k", fields, NULL, NULL};

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
    struct chip k = {0};
    struct state_image img = {(u8 *)data, len, len, false};
    if (state_load(&img, &desc, 0, &k, NULL) < 0)
        return 0;
    return 0;
}
