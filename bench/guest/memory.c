/* SPDX-License-Identifier: MIT */
/* Large copies and pointers in random order. */
#include "bench.h"

#define BLOCK 65536

static uint8_t *source, *target;

void memcpy64_prepare(void)
{
    source = must(aligned_alloc(4096, BLOCK));
    target = must(aligned_alloc(4096, BLOCK));
    memset(source, 1, BLOCK);
    memset(target, 1, BLOCK);
}

uint64_t memcpy64_run(uint64_t n)
{
    void *(*volatile copy)(void *, const void *, size_t) = memcpy;
    for (uint64_t i = 0; i < n; i++)
        copy(target, source, BLOCK);
    return target[99];
}

void movsb64_prepare(void)
{
    memcpy64_prepare();
}

uint64_t movsb64_run(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        void *d = target;
        const void *s = source;
        size_t c = BLOCK;
        __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(c) : : "memory");
    }
    return target[99];
}

/* One cycle through every cache line. */
static void **chain(size_t size)
{
    size_t lines = size / 64;
    char *memory = must(aligned_alloc(4096, size));
    uint32_t *order = must(malloc(lines * sizeof(*order))), r = 17;
    for (size_t i = 0; i < lines; i++)
        order[i] = (uint32_t)i;
    for (size_t i = lines - 1; i > 0; i--) {
        size_t k = random_next(&r) % (i + 1);
        uint32_t t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
    for (size_t i = 0; i < lines; i++)
        *(void **)(memory + 64 * (size_t)order[i]) = memory + 64 * (size_t)order[(i + 1) % lines];
    free(order);
    return (void **)memory;
}

static void **at;

void chase1_prepare(void)
{
    at = chain(1 << 20);
}

void chase64_prepare(void)
{
    at = chain(64 << 20);
}

uint64_t chase1_run(uint64_t n)
{
    void **p = at;
    for (uint64_t i = 0; i < n; i++)
        p = *p;
    at = p;
    return (uint64_t)(uintptr_t)p;
}

uint64_t chase64_run(uint64_t n)
{
    return chase1_run(n);
}
