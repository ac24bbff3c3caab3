/* SPDX-License-Identifier: MIT */
/* SHA-256's compression function in plain C. FIPS 180-4 6.2.2 */
#include "bench.h"

static uint32_t k[64], h[8], message[16];

/* The constants' sizes matter, not their values. */
void sha256_prepare(void)
{
    uint32_t r = 7;
    for (int i = 0; i < 64; i++)
        k[i] = random_next(&r);
    for (int i = 0; i < 8; i++)
        h[i] = random_next(&r);
    for (int i = 0; i < 16; i++)
        message[i] = random_next(&r);
}

static uint32_t turn(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

static void compress(void)
{
    uint32_t w[64], s[8];
    memcpy(w, message, sizeof(message));
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    memcpy(s, h, sizeof(s));
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25);
        uint32_t t1 = s[7] + s1 + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t s0 = turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22);
        uint32_t t2 = s0 + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t1;
        s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        h[i] += s[i];
}

uint64_t sha256_run(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        message[i & 15] += h[0];
        compress();
    }
    return h[0];
}
