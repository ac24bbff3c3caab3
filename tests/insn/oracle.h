/* SPDX-License-Identifier: MIT */
/*
 * The instruction oracle: one random instruction on one random state, executed by several engines, results
 * compared.
 *
 * An engine takes a case and fills a result; the host processor (engine_host.c) is the one that is right.
 * Adding an engine is one row in insn_oracle.c's table.
 *
 * All engines see one address space: data pages between unmapped guards, one read-only page, two code pages,
 * at fixed addresses that are the same in this process and in the guest.
 */
#ifndef TESTS_INSN_ORACLE_H
#define TESTS_INSN_ORACLE_H

#include "x86/flags.h"
#include "x86/insn.h"

#define AREA_BASE  0x10000000ull        /* start of the region: an unmapped page */
#define DATA_BASE  (AREA_BASE + 0x1000) /* two writable pages */
#define DATA_SIZE  0x2000u
#define RO_BASE    (DATA_BASE + DATA_SIZE) /* one read-only page, then unmapped */
#define RO_SIZE    0x1000u
#define AREA_BYTES (DATA_SIZE + RO_SIZE)
#define CODE_BASE  (AREA_BASE + 0x100000) /* two pages of INT3 */
#define CODE_SIZE  0x2000u
#define GS_BASE    0x1230ull

/* RFLAGS bits that are loaded and compared. */
#define FLAGS_TESTED (FLAGS_ARITH | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID | FLAG_TF)

enum { X87_FCW = 0, X87_FSW = 2, X87_FTW = 4, X87_ST = 32 }; /* offsets in an FXSAVE image */

struct machine_state {
    u64 gpr[16];
    u64 rip;
    u64 rflags;
    u8 vec[16][32];
    u8 x87[160]; /* FXSAVE64 image up to the end of ST7 */
    u32 mxcsr;
};

enum { CASE_BYTES = 400 };

/* One instruction, or a run of them. */
struct insn_case {
    u8 bytes[CASE_BYTES];
    unsigned len;   /* of the bytes */
    unsigned count; /* 1; or of the run's elements, each some instructions: then `in` says nothing */
    struct insn in;
    enum decode_mode mode;      /* MODE_64, or MODE_32: flat 32-bit code in compatibility mode */
    struct machine_state start; /* start.rip: where the bytes lie */
    u8 data[AREA_BYTES];
};

struct case_result {
    bool faulted;
    u8 vector;
    u32 error; /* #PF: P, W, U */
    u64 cr2;
    struct machine_state end;
    u8 data[AREA_BYTES];
};

struct engine {
    const char *name;
    int (*open)(void);
    void (*run)(const struct insn_case *t, struct case_result *r);
    bool runs_only; /* no single instructions */
};
extern u64 oracle_chaos; /* a seed for the translator's, or 0 */
extern const struct engine engine_host, engine_interp, engine_jit, engine_jit_again;

/* case.c: deterministic from the generator's state. */
struct rng {
    u64 s[2];
};
u64 rng_next(struct rng *r);
static inline u64 rng_below(struct rng *r, u64 n)
{
    return rng_next(r) % n;
}
/* False when no encoding of row `id` was found in a reasonable number of tries. */
bool case_make(struct rng *r, unsigned id, struct insn_case *t);
/* Another displacement for an operand that has nothing else; false when its bytes were not found. */
bool case_patch_disp(struct insn_case *t, i32 disp);

/* sequence.c: a run of instructions of the given rows, in 64-bit mode; false: this time not. */
bool sequence_make(struct rng *r, const u16 *rows, unsigned n, struct insn_case *s);
/* Those of n rows that can be in one, to out. */
unsigned sequence_rows(const u16 *rows, unsigned n, u16 *out);

/* exclude.c: why row `id` or this very instruction is not compared, or NULL. */
const char *excluded_row(unsigned id);
const char *excluded_insn(const struct insn_case *t);
/* Bits of RFLAGS that are not compared after this instruction. */
u64 excluded_flags(const struct insn_case *t);
/* True when a page fault's address is not compared. */
bool excluded_address(const struct insn_case *t);
const char *row_name(unsigned id); /* as insn.def spells it */
bool host_has(unsigned feature);

#endif
