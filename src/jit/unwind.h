/* SPDX-License-Identifier: MIT */
/*
 * How translated code's stack is unwound: where, at each instruction, lies what its caller goes on with.
 *
 * In blocks that is the same everywhere, for RSP is the frame (frame.h). In the routines it is found by
 * following their code, push by push, from where they begin, so that it is said nowhere twice.
 */
#ifndef JIT_UNWIND_H
#define JIT_UNWIND_H

#include "jit/frame.h"

/* The registers that a C function finds as it left them. */
enum jit_kept {
    JIT_KEPT_THERE, /* are still in their registers */
    JIT_KEPT_SAVED, /* saved_regs, from 16 bytes below the caller's RSP downward */
    JIT_KEPT_LOST,  /* the caller is a block, whose registers are in struct cpu or nowhere */
};

/* From an offset on. */
struct jit_unwind {
    u32 at;
    u16 caller; /* how far above RSP the caller's RSP will be; its address to return to lies right below that
                 */
    u8 kept;    /* enum jit_kept */
};

extern const struct jit_unwind jit_unwind_block;

enum { JIT_ROUTINES_MAX = 64, JIT_UNWIND_MAX = 256 };
struct jit_routine {
    char name[24];
    u32 at;
    bool called; /* by blocks; else jumped to */
};

/* In the order in which they lie; how many. */
unsigned jit_routines(const struct jit_runtime *rt, struct jit_routine out[JIT_ROUTINES_MAX]);

/* Of the routines' code, in order; how many. 0: it was not understood, at the offset out[0].at; such as when
 * that is in no routine that jit_routines() knows. */
unsigned jit_unwind_routines(const struct jit_runtime *rt, const u8 *code, size_t len,
                             struct jit_unwind out[JIT_UNWIND_MAX]);

#endif
