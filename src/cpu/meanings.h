/* SPDX-License-Identifier: MIT */
/* Every meaning insn.def names, declared from the generated list, and macros to define them in cpu/'s files.
 */
#ifndef CPU_MEANINGS_H
#define CPU_MEANINGS_H

#include "cpu/cpu.h"

#define MEANING(name) extern const struct meaning m_##name;
#include "insn_meanings.inc" /* generated: one MEANING(name) per distinct name in insn.def */
#undef MEANING

/* By enum insn_id. */
extern const struct meaning *const insn_meaning[];

/* The function for a decoded instruction on this CPU: #UD when its feature is not offered. */
meaning_fn meaning_of(const struct cpu *c, const struct insn *in);

/* The same without looking at non-root operation: what nested/ runs when it lets an instruction pass. */
meaning_fn meaning_plain(const struct cpu *c, const struct insn *in);

/* Definitions: one function for all sizes and forms; one for registers and one for memory; four sizes. */
#define DEFINE_MEANING_ONE(name, f)   const struct meaning m_##name = {{f, f, f, f}, {f, f, f, f}}
#define DEFINE_MEANING_RM(name, r, m) const struct meaning m_##name = {{r, r, r, r}, {m, m, m, m}}
#define DEFINE_MEANING_SIZES(name, r)                                                                        \
    const struct meaning m_##name = {{r##_r1, r##_r2, r##_r4, r##_r8}, {r##_m1, r##_m2, r##_m4, r##_m8}}

#endif
