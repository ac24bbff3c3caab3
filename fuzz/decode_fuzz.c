/* SPDX-License-Identifier: MIT */
/*
 * The decoder on any bytes: it must not read beyond what it is given (the copies are exact-sized, so the
 * address sanitizer sees it), must say the same of an instruction whatever follows it, and must call every
 * proper part of one short.
 */
#include <stdlib.h>

#include "x86/insn.h"

static void require(bool truth)
{
    if (!truth)
        abort();
}

static enum decode_result decode_exact(enum decode_mode mode, const u8 *bytes, unsigned len, struct insn *in)
{
    u8 *copy = malloc(len ? len : 1);
    require(copy != NULL);
    memcpy(copy, bytes, len);
    enum decode_result r = insn_decode(mode, copy, len, in);
    free(copy);
    return r;
}

static void check_instruction(enum decode_mode mode, const u8 *bytes, unsigned len, const struct insn *in)
{
    struct insn other;
    require(in->len >= 1 && in->len <= 15 && in->len <= len);
    require(in->id > 0 && in->id < insn_count);
    require(in->base < REG_COUNT && in->index < REG_COUNT && in->scale < 4 && in->seg <= GS);
    require(decode_exact(mode, bytes, in->len, &other) == DECODE_OK);
    require(!memcmp(&other, in, sizeof(other)));
    for (unsigned n = 0; n < in->len; n++)
        require(decode_exact(mode, bytes, n, &other) == DECODE_SHORT);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    unsigned len = size < 20 ? (unsigned)size : 20;
    for (enum decode_mode mode = MODE_16; mode <= MODE_64; mode++) {
        struct insn in;
        enum decode_result r = decode_exact(mode, data, len, &in);
        if (r == DECODE_OK)
            check_instruction(mode, data, len, &in);
        else if (r == DECODE_SHORT)
            require(len < 15);
        else if (r == DECODE_TOO_LONG)
            require(len >= 15);
        require(in.len <= 15);
    }
    return 0;
}
