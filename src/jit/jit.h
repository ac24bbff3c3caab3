/* SPDX-License-Identifier: MIT */
/*
 * The translator: blocks of guest instructions to host code.
 *
 * It shares decoding, soft TLB and state with the interpreter and joins it through cpu/jit_port.h: what it
 * does not translate itself it translates to a call of the instruction's meaning. One `struct jit` a machine,
 * one attachment a vCPU. jit_new() before the sandbox closes (it maps executable memory); attach before the
 * vCPU runs.
 */
#ifndef JIT_JIT_H
#define JIT_JIT_H

#include "base/err.h"
#include "cpu/cpu.h"

struct jit;

struct jit *jit_new(struct space *memory, struct err *err);
void jit_free(struct jit *j); /* NULL is allowed */
int must_check jit_attach(struct jit *j, struct cpu *c);
void jit_detach(struct cpu *c); /* a vCPU that was never attached is allowed */

struct jit_stats {
    u64 blocks, native, called,
        resets; /* translated blocks; instructions in them translated, called; cache resets */
};
void jit_stats(const struct cpu *c, struct jit_stats *s);

#endif
