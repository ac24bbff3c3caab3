/* SPDX-License-Identifier: MIT */
/*
 * insn_meaning[]: from the rows of insn.def to the meanings, and the choice of one function for one
 * instruction.
 *
 * An instruction whose feature the CPU model does not offer is #UD here, at decode time: nothing behind it
 * checks again.
 */
#include "cpu/meanings.h"

#include "cpu/nested/nested.h"

#include "insn_ids.h"

const struct meaning *const insn_meaning[] = {
#define MEANING_OF(id, name) [ID_##id] = &m_##name,
#include "insn_meaning_table.inc"
#undef MEANING_OF
};

static unsigned size_index(unsigned size)
{
    switch (size) {
    case 1:
        return 0;
    case 2:
        return 1;
    case 4:
        return 2;
    default:
        return 3;
    }
}

meaning_fn meaning_of(const struct cpu *c, const struct insn *in)
{
    const struct insn_info *i = &insn_infos[in->id];
    if (nested_guest(c) && (i->attr & ATTR_EXIT) && cpu_has(c, i->gate))
        return nested_insn;
    return meaning_plain(c, in);
}

/* A processor without the feature ignores the prefix that tells TZCNT and LZCNT from BSF and BSR. SDM 2B
 * TZCNT */
static const struct meaning *without_feature(const struct insn *in)
{
    switch (in->id) {
    case ID_TZCNT:
        return &m_bsf;
    case ID_LZCNT:
        return &m_bsr;
    default:
        return &m_ud;
    }
}

meaning_fn meaning_plain(const struct cpu *c, const struct insn *in)
{
    bool has = cpu_has(c, insn_infos[in->id].gate);
    const struct meaning *m = has ? insn_meaning[in->id] : without_feature(in);
    unsigned i = size_index(in->size);
    meaning_fn f = in->flags & INSN_MEM ? m->mem[i] : m->reg[i];
    return f ? f : m_ud.reg[0];
}
