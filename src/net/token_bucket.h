/* SPDX-License-Identifier: MIT */
/*
 * A bandwidth limit, as the generic cell rate algorithm has it: each frame moves the moment at which all sent
 * so far would be through at the given rate; a frame that finds this moment too far ahead is over the limit.
 */
#ifndef NET_TOKEN_BUCKET_H
#define NET_TOKEN_BUCKET_H

#include "net/frame.h"

struct token_bucket {
    u64 bits_per_second; /* 0: no limit */
    u64 burst_ns;
    u64 through_at;
};

/* A burst is a tenth of a second, and never so short that two of the largest frames are too much. */
static inline struct token_bucket token_bucket(u64 bits_per_second)
{
    u64 frames = bits_per_second ? 2 * FRAME_MAX * 8 * 1000000000ull / bits_per_second : 0;
    return (struct token_bucket){bits_per_second, frames > 100000000 ? frames : 100000000, 0};
}

static inline bool token_bucket_take(struct token_bucket *b, size_t bytes, u64 now)
{
    if (!b->bits_per_second)
        return true;
    if (b->through_at < now)
        b->through_at = now;
    if (b->through_at - now > b->burst_ns)
        return false;
    b->through_at += bytes * 8 * 1000000000ull / b->bits_per_second;
    return true;
}

#endif
