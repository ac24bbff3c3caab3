/* SPDX-License-Identifier: MIT */
/* Calls through pointers, and calls of itself. */
#include "bench.h"

#define FUNCTION(i, body)                                                                                    \
    __attribute__((noinline)) static uint64_t f##i(uint64_t x)                                               \
    {                                                                                                        \
        return body;                                                                                         \
    }
FUNCTION(0, x + 1)
FUNCTION(1, x ^ 0x55)
FUNCTION(2, x * 3)
FUNCTION(3, x - 7)
FUNCTION(4, x << 1 | x >> 63)
FUNCTION(5, ~x)
FUNCTION(6, x + (x >> 9))
FUNCTION(7, x ^ x >> 3)

static uint64_t (*volatile functions[8])(uint64_t) = {f0, f1, f2, f3, f4, f5, f6, f7};
static uint8_t order[256];

void indirect_prepare(void)
{
    uint32_t r = 3;
    for (int i = 0; i < 256; i++)
        order[i] = random_next(&r) >> 8 & 7;
}

uint64_t indirect_run(uint64_t n)
{
    uint64_t x = 1;
    for (uint64_t i = 0; i < n; i++)
        x = functions[order[i & 255]](x);
    return x;
}

void recursive_prepare(void) {}

/* Without the unrolling that turns one call into many instructions. */
__attribute__((noinline, optimize("no-optimize-sibling-calls", "no-inline"))) static unsigned fib(unsigned n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

uint64_t recursive_run(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += fib(20);
    return sum;
}
