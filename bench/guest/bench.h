/* SPDX-License-Identifier: MIT */
/*
 * The programs that bench/run times, natively and in guests.
 *
 * Each is a row of programs.def: prepare() is called once, run() does n operations and returns something that
 * depends on all of them, so that none is optimised away. run() of more operations than a preparation holds
 * goes round in it. One thread, no input.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct program {
    const char *name;
    void (*prepare)(void);
    uint64_t (*run)(uint64_t n);
};

#define PROGRAM(name, id)                                                                                    \
    void id##_prepare(void);                                                                                 \
    uint64_t id##_run(uint64_t n);
#include "programs.def"
#undef PROGRAM

static inline uint32_t random_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static inline void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

#endif
