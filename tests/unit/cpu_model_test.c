/* SPDX-License-Identifier: MIT */
/* CPU models: what CPUID and MSRs say of a machine, --cpu-features, and that the processor's state survives
 * saving. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "vm/cpu_model.h"

#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/msr.h"
#include "cpu/world.h"

#define TSC_HZ 2596148000ull

static struct cpu_model build(enum cpu_vendor v, const char *edits, unsigned cpus)
{
    struct cpu_model m;
    struct err err = {0};
    assert_int_equal(cpu_model_build(&m, v, edits, false, cpus, TSC_HZ, &err), 0);
    return m;
}

static void refuse(const char *edits, bool nested, const char *words)
{
    struct cpu_model m;
    struct err err = {0};
    assert_int_equal(cpu_model_build(&m, VENDOR_INTEL, edits, nested, 1, TSC_HZ, &err), -1);
    assert_int_equal(err.status, EXIT_STATUS_USAGE);
    assert_non_null(strstr(err.text, words));
}

static void test_edits(void **state)
{
    struct cpu_model m = build(VENDOR_INTEL, "-pcid,-x2apic", 1);
    assert_false(model_has(&m, FEAT_PCID));
    assert_false(model_has(&m, FEAT_INVPCID)); /* rests on it */
    assert_false(model_has(&m, FEAT_X2APIC));
    assert_true(model_has(&m, FEAT_SMEP));
    m = build(VENDOR_AMD, "-xsave", 1);
    assert_false(model_has(&m, FEAT_AVX2));
    assert_int_equal(m.xcr0_mask, 3);
    refuse("+smpe", false, "smep");
    refuse("+nothing_like_it", false, "/proc/cpuinfo");
    refuse("smep", false, "+ or -");
    refuse("+vmx", false, "--nested on");
    refuse("+svm", false, "intel model");
    refuse("+vme", false, "not available");
    refuse("-fpu", false, "cannot be taken away");
    refuse("+pcid,-lm", false, "needs 'lm'");
}

static void test_nested_features(void **state)
{
    struct cpu_model m;
    assert_int_equal(cpu_model_build(&m, VENDOR_AMD, NULL, true, 1, TSC_HZ, NULL), 0);
    assert_true(model_has(&m, FEAT_SVM));
    assert_int_equal(cpu_model_build(&m, VENDOR_AMD, NULL, false, 1, TSC_HZ, NULL), 0);
    assert_false(model_has(&m, FEAT_SVM));
}

struct rig {
    struct cpu_model model;
    struct space *memory, *ports;
    struct clock *clock;
    struct world *world;
    struct cpu *cpu;
};

static void rig_open(struct rig *r, enum cpu_vendor v, unsigned cpus, unsigned index)
{
    r->model = build(v, NULL, cpus);
    r->memory = space_new(1ull << 32);
    r->ports = space_new(0x10000);
    r->clock = clock_new(CLOCK_MODE_ICOUNT, 0);
    r->world = world_new();
    struct cpu_init init = {.index = index,
                            .memory = r->memory,
                            .ports = r->ports,
                            .clock = r->clock,
                            .world = r->world,
                            .model = &r->model};
    r->cpu = cpu_new(&init, NULL);
    assert_non_null(r->cpu);
}

static void rig_close(struct rig *r)
{
    cpu_free(r->cpu);
    world_free(r->world);
    clock_free(r->clock);
    space_free(r->ports);
    space_free(r->memory);
}

static void check_topology(enum cpu_vendor v, unsigned cpus, unsigned index)
{
    struct rig rig;
    u32 r[4];
    rig_open(&rig, v, cpus, index);
    cpuid_read(rig.cpu, 1, 0, r);
    assert_int_equal(r[1] >> 24, index);
    assert_int_equal(r[3] >> 28 & 1, cpus > 1);
    assert_true((r[1] >> 16 & 0xff) >= cpus);
    cpuid_read(rig.cpu, 0xb, 0, r);
    assert_int_equal(r[1], 1);
    assert_int_equal(r[3], index);
    cpuid_read(rig.cpu, 0xb, 1, r);
    assert_int_equal(r[1], cpus);
    assert_true(1u << r[0] >= cpus); /* the package's id is 0 for all */
    assert_int_equal(index >> r[0], 0);
    cpuid_read(rig.cpu, 0xb, 2, r);
    assert_int_equal(r[2], 2);
    assert_int_equal(r[3], index);
    if (v == VENDOR_AMD) {
        cpuid_read(rig.cpu, 0x80000008, 0, r);
        assert_int_equal((r[2] & 0xff) + 1, cpus);
        cpuid_read(rig.cpu, 0x8000001e, 0, r);
        assert_int_equal(r[0], index);
        cpuid_read(rig.cpu, 0x8000001d, 3, r);
        assert_int_equal((r[0] >> 14 & 0xfff) + 1, cpus);
    } else {
        cpuid_read(rig.cpu, 4, 0, r);
        assert_true((r[0] >> 26) + 1 >= cpus);
    }
    rig_close(&rig);
}

static void test_topology(void **state)
{
    static const unsigned counts[] = {1, 2, 3, 8};
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        check_topology(VENDOR_INTEL, counts[i], counts[i] - 1);
        check_topology(VENDOR_AMD, counts[i], counts[i] - 1);
    }
}

static void test_leaves(void **state)
{
    struct rig rig;
    u32 r[4];
    rig_open(&rig, VENDOR_INTEL, 1, 0);
    cpuid_read(rig.cpu, 0x40000010, 0, r);
    assert_int_equal(r[0], TSC_HZ / 1000);
    cpuid_read(rig.cpu, 0x15, 0, r);
    assert_int_equal((u64)r[2] * r[1] / r[0], TSC_HZ);
    cpuid_read(rig.cpu, 0xd, 0, r);
    assert_int_equal(r[1], 576);
    rig.cpu->xcr0 = rig.model.xcr0_mask;
    cpuid_read(rig.cpu, 0xd, 0, r);
    assert_int_equal(r[1], r[2]);
    /* Beyond the end: Intel repeats the last leaf, AMD says nothing. */
    u32 last[4];
    cpuid_read(rig.cpu, 0x16, 0, last);
    cpuid_read(rig.cpu, 0x7777, 0, r);
    assert_memory_equal(r, last, sizeof(r));
    rig_close(&rig);
    rig_open(&rig, VENDOR_AMD, 1, 0);
    cpuid_read(rig.cpu, 0x7777, 0, r);
    assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
    cpuid_read(rig.cpu, 0x8000000a, 0, r);
    assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
    rig_close(&rig);
}

static void ascending(u32 number, const char *name, void *arg)
{
    u64 *last = arg;
    if ((u64)number + 1 <= *last)
        fail_msg("%s (%x) stands out of order in msr.def", name, number);
    *last = (u64)number + 1;
}

static void readable(u32 number, const char *name, void *arg)
{
    u64 v;
    struct cpu *c = arg;
    bool apic = number == 0x1b || number == 0x6e0 || (number >= 0x800 && number < 0x900);
    if (!msr_read(c, number, &v) && !apic)
        fail_msg("%s (%x) cannot be read", name, number);
}

static void test_msr_list(void **state)
{
    for (int v = VENDOR_INTEL; v <= VENDOR_AMD; v++) {
        struct rig rig;
        u64 last = 0;
        rig_open(&rig, (enum cpu_vendor)v, 1, 0);
        msr_each(rig.cpu, ascending, &last);
        assert_true(last > 0xc0000103u);
        msr_each(rig.cpu, readable, rig.cpu);
        rig_close(&rig);
    }
}

static void test_tsc(void **state)
{
    struct rig rig;
    u64 v;
    rig_open(&rig, VENDOR_INTEL, 1, 0);
    clock_advance(rig.clock, 3600ull * 24 * 365 * 1000000000);
    assert_int_equal(tsc_now(rig.cpu), 3600ull * 24 * 365 * TSC_HZ);
    assert_true(msr_write(rig.cpu, 0x10, 5));
    assert_int_equal(tsc_now(rig.cpu), 5);
    clock_advance(rig.clock, 1000000);
    assert_int_equal(tsc_now(rig.cpu), 5 + TSC_HZ / 1000);
    assert_true(msr_read(rig.cpu, 0x3b, &v));
    assert_int_equal(v, 5 - 3600ull * 24 * 365 * TSC_HZ);
    rig_close(&rig);
}

static void test_reset(void **state)
{
    struct rig rig;
    rig_open(&rig, VENDOR_INTEL, 1, 0);
    struct cpu *c = rig.cpu;
    assert_int_equal(c->rip, 0xfff0);
    assert_int_equal(c->seg[CS].base, 0xffff0000);
    assert_int_equal(cpu_rflags(c), 2);
    assert_int_equal(c->regs[RDX], 0x606a6);
    assert_int_equal(c->cr0, 0x60000010);
    c->lstar = 7;
    c->cr0 = CR0_ET;
    c->vec[3][0] = 9;
    cpu_reset(c, true); /* INIT */
    assert_int_equal(c->lstar, 7);
    assert_int_equal(c->cr0, CR0_ET);
    assert_int_equal(c->vec[3][0], 9);
    cpu_reset(c, false);
    assert_int_equal(c->lstar, 0);
    assert_int_equal(c->vec[3][0], 0);
    rig_close(&rig);
}

static void test_state(void **state)
{
    struct rig a, b;
    struct state_image img = {0}, again = {0};
    rig_open(&a, VENDOR_INTEL, 1, 0);
    rig_open(&b, VENDOR_INTEL, 1, 0);
    struct cpu *c = a.cpu;
    for (unsigned i = 0; i < 16; i++)
        c->regs[i] = 0x1111111111111111ull * i;
    c->seg[FS].base = 0x7f0012345678;
    c->cr3 = 0x123000;
    c->cr4 = CR4_PAE;
    c->efer = EFER_SCE | EFER_NXE;
    c->vec[15][31] = 0xaa;
    c->dr7 = 0x402;
    cpu_set_rflags(c, FLAG_R1 | FLAG_CF | FLAG_IF | FLAG_OF);
    assert_true(msr_write(c, 0x250, 0x0606060606060606));
    cpu_request(c, REQ_NMI | REQ_WORLD);
    fpu_normalise(c); /* MXCSR_MASK is the host's, whoever ran last */
    state_save(&img, &cpu_state_desc, 0, c);
    atomic_store(&c->requests, 0);
    assert_int_equal(state_load(&img, &cpu_state_desc, 0, b.cpu, NULL), 0);
    assert_int_equal(b.cpu->regs[R15], 0x1111111111111111ull * 15);
    assert_int_equal(cpu_rflags(b.cpu), cpu_rflags(c));
    assert_int_equal(atomic_load(&b.cpu->requests), REQ_NMI); /* not what is the machine's own */
    assert_true(b.cpu->breakpoints);
    state_save(&again, &cpu_state_desc, 0, b.cpu);
    assert_int_equal(img.len, again.len);
    assert_memory_equal(img.data, again.data, img.len);
    state_free(&again);
    state_free(&img);
    /* What would break the processor is refused. */
    memset(&img, 0, sizeof(img));
    c->cr4 |= BIT(40);
    state_save(&img, &cpu_state_desc, 0, c);
    assert_int_equal(state_load(&img, &cpu_state_desc, 0, b.cpu, NULL), -1);
    state_free(&img);
    rig_close(&a);
    rig_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edits),    cmocka_unit_test(test_nested_features),
        cmocka_unit_test(test_topology), cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_msr_list), cmocka_unit_test(test_tsc),
        cmocka_unit_test(test_reset),    cmocka_unit_test(test_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
