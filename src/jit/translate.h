/* SPDX-License-Identifier: MIT */
/* One block to host code. */
#ifndef JIT_TRANSLATE_H
#define JIT_TRANSLATE_H

#include "cpu/code.h"
#include "cpu/cpu.h"

/* How translated code ended: the outcome, and in which instruction of the block (its index), or count when it
 * ran through. Two registers, so that code returns it without memory. */
struct jit_end {
    u64 outcome, index;
};
typedef struct jit_end (*jit_code)(struct cpu *c);

#define TRANSLATE_MAX 8192 /* bytes of host code a block can need */

struct translation {
    u8 code[TRANSLATE_MAX];
    size_t len;
    unsigned native, called;
};

/* uops: the block's instructions at a place that lives as long as the code. The code is position-independent.
 * False: it did not fit. */
bool translate(const struct uop *uops, unsigned count, struct translation *t);

#endif
