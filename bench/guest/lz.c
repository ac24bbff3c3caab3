/* SPDX-License-Identifier: MIT */
/* A small compressor of the LZ77 kind: a hash table of the last place of four bytes; tokens of literals and
 * copies. */
#include "bench.h"

#define INPUT 4096

static uint8_t input[INPUT], packed[2 * INPUT], output[INPUT];

void lz_prepare(void)
{
    static const char *const words[] = {"the ",   "guest ", "host ",   "page ", "a ",
                                        "table ", "of ",    "entry\n", "is ",   "not "};
    uint32_t r = 5;
    size_t at = 0;
    while (at < INPUT - 8) {
        const char *w = words[random_next(&r) % 10];
        memcpy(input + at, w, strlen(w));
        at += strlen(w);
    }
}

static uint32_t word_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static size_t pack(void)
{
    static uint16_t last[1024];
    size_t out = 0, start = 0, at = 0;
    memset(last, 0, sizeof(last));
    while (at + 4 < INPUT) {
        uint32_t h = word_at(input + at) * 2654435761u >> 22;
        size_t from = last[h];
        last[h] = (uint16_t)at;
        if (from >= at || word_at(input + from) != word_at(input + at)) {
            at++;
            continue;
        }
        size_t len = 4;
        while (at + len < INPUT && len < 255 && input[from + len] == input[at + len])
            len++;
        while (start < at || len) {
            size_t literals = at - start < 255 ? at - start : 255, copy = start + literals == at ? len : 0;
            packed[out++] = (uint8_t)literals;
            for (size_t i = 0; i < literals; i++)
                packed[out++] = input[start + i];
            packed[out++] = (uint8_t)copy;
            packed[out++] = (uint8_t)((at - from) & 255);
            packed[out++] = (uint8_t)((at - from) >> 8);
            start += literals;
            len -= copy;
            if (copy) {
                at += copy;
                start = at;
            }
        }
    }
    return out;
}

static size_t unpack(size_t n)
{
    size_t out = 0;
    for (size_t in = 0; in < n;) {
        for (unsigned literals = packed[in++]; literals; literals--)
            output[out++] = packed[in++];
        unsigned copy = packed[in], back = packed[in + 1] | packed[in + 2] << 8;
        in += 3;
        for (; copy; copy--, out++)
            output[out] = output[out - back];
    }
    return out;
}

uint64_t lz_run(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        input[i % 64] = (uint8_t)i;
        sum += unpack(pack());
    }
    return sum + output[9];
}
