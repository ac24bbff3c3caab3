/* SPDX-License-Identifier: MIT */
/* Condition codes against c->fl by table: one load and a shift, no branch. */
#ifndef CPU_FLAGS_H
#define CPU_FLAGS_H

#include "cpu/cpu.h"

/* By LAHF's byte with OF in its bit 3, which LAHF leaves 0: bit n set when condition n holds. */
extern const u16 flags_conditions[256];

static inline bool flags_test(u16 fl, unsigned cc)
{
    return flags_conditions[(fl >> 8) | (fl & FL_OF) << 3] >> (cc & 15) & 1;
}

#endif
