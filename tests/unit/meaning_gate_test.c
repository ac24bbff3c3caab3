/* SPDX-License-Identifier: MIT */
/* What CPUID does not offer does not execute: a row's gate decides, whatever the host could do. */
#include "cpu/meanings.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "insn_ids.h"

static struct insn row(unsigned id, unsigned size, bool mem)
{
    return (struct insn){.id = (u16)id, .size = (u8)size, .flags = mem ? INSN_MEM : 0};
}

static void set_feature(struct cpu_model *m, enum feature f, bool on)
{
    m->features[f / 64] = (m->features[f / 64] & ~BIT(f % 64)) | (u64)on << f % 64;
}

/* #UD, but for the two whose prefix an older processor ignores. SDM 2B TZCNT */
static meaning_fn expected(const struct insn *in)
{
    unsigned i = in->size >= 8 ? 3 : in->size == 4 ? 2 : in->size == 2 ? 1 : 0;
    const struct meaning *m = in->id == ID_TZCNT ? &m_bsf : in->id == ID_LZCNT ? &m_bsr : &m_ud;
    meaning_fn f = in->flags & INSN_MEM ? m->mem[i] : m->reg[i];
    return f ? f : m_ud.reg[0];
}

static void test_gates(void **state)
{
    static struct cpu_model model;
    static struct cpu c = {.model = &model};
    unsigned gated = 0;
    for (unsigned id = 1; id < insn_count; id++) {
        enum feature f = insn_infos[id].gate;
        if (f == FEAT_NONE)
            continue;
        memset(model.features, 0xff, sizeof(model.features));
        set_feature(&model, f, false);
        for (unsigned mem = 0; mem < 2; mem++)
            for (unsigned size = 1; size <= 32; size *= 2) {
                struct insn in = row(id, size, mem);
                assert_ptr_equal(meaning_of(&c, &in), expected(&in));
            }
        gated++;
    }
    assert_true(gated > 900);
}

/* And with the feature there is a meaning that is not #UD. */
static void test_open_gates(void **state)
{
    static struct cpu_model model;
    static struct cpu c = {.model = &model};
    memset(model.features, 0xff, sizeof(model.features));
    for (unsigned id = 1; id < insn_count; id++) {
        struct insn in = row(id, 16, true);
        if (insn_infos[id].attr & (ATTR_SSE | ATTR_AVX | ATTR_MMX | ATTR_X87))
            assert_ptr_not_equal(meaning_of(&c, &in), m_ud.reg[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gates), cmocka_unit_test(test_open_gates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
