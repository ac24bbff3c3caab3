/* SPDX-License-Identifier: MIT */
/* Sorting, and copying by plain loops. */
#include "bench.h"

#define WORDS 1024

static uint32_t words[WORDS];

/* Other words each time: the host's branch prediction learns those of a few runs, and how many runs there are
 * would decide about the figure. */
static uint32_t sort_random;

void sort_prepare(void)
{
    sort_random = 11;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

uint64_t sort_run(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        for (int k = 0; k < WORDS; k++)
            words[k] = random_next(&sort_random);
        qsort(words, WORDS, sizeof(words[0]), compare);
        sum += words[WORDS / 2];
    }
    return sum;
}

static uint64_t from[2048], to[2048];

void copy8_prepare(void)
{
    memset(from, 1, sizeof(from));
    memset(to, 1, sizeof(to));
}

__attribute__((noinline, optimize("no-tree-vectorize", "no-tree-loop-distribute-patterns"))) static void
copy(uint64_t *d, const uint64_t *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        d[i] = s[i];
}

uint64_t copy8_run(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        copy(to, from, 2048);
    return to[7];
}
