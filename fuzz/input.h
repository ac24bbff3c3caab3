/* SPDX-License-Identifier: MIT */
/* A fuzzer's input as a program: little-endian numbers in a row, zeros behind its end. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include "base/types.h"

struct input {
    const u8 *at, *end;
};

static inline u64 take(struct input *in, unsigned bytes)
{
    u64 v = 0;
    for (unsigned i = 0; i < bytes && in->at < in->end; i++)
        v |= (u64)*in->at++ << (8 * i);
    return v;
}

#endif
