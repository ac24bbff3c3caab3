/* SPDX-License-Identifier: MIT */
/* One block to host code. */
#ifndef JIT_TRANSLATE_H
#define JIT_TRANSLATE_H

#include "cpu/code.h"
#include "jit/frame.h"
#include "jit/trace.h"

#define TRANSLATE_MAX 32768 /* bytes of host code a block or trace can need */

/* Of where code lies. At its beginning, and at the displacements of its exits, it is changed while others run
 * it. */
enum { TRANSLATE_ALIGN = 16 };

struct translation {
    u8 code[TRANSLATE_MAX];
    size_t len;
    size_t near; /* the entry of jumps inside the page; the far entry, which sets frame.rip_page, is at 0 */
    size_t body; /* behind its checks: whoever enters here has taken the block's length from frame.left */
    u16 at[TRACE_MAX + 1]; /* of each instruction's code; last, of what is out of line */
    bool trace;
    unsigned sites, exits;   /* how many were needed */
    unsigned native, called; /* instructions as host code and as calls */
};

/* trace: b is its, or NULL. site: room for one an instruction of b; exit: the end of room for EXITS_MAX, or
 * TRACE_EXITS for a trace, filled downward; at places that live as long as the code; both are filled in.
 * base: where in the code cache the code will lie. False: it did not fit. */
bool translate(const struct block *b, const struct trace *trace, struct jit_site *site, struct jit_exit *exit,
               const struct jit_runtime *rt, u32 base, struct translation *t);

#endif
