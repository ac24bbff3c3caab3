/* SPDX-License-Identifier: MIT */
/*
 * VM-entry checks that are left out because nothing they depend on was written since they passed: whatever is
 * written, in whatever order, the outcome is that of looking at all of them. Fields change by bits and by
 * values that matter, from guests of several kinds, and with them what is no field.
 */
#include "cpu/nested/vmx.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "cpu/system.h"
#include "vm/cpu_model.h"

enum {
    STEPS = 400000,
    RAM = 1 << 20,
    LINK_AT = 0x5000,
    APIC_AT = 0x6000,
    PDPTES_AT = 0x7000,
    AREA_AT = 0x8000
};

struct rig {
    struct cpu_model model;
    struct cpu *c;
    struct vmx *x;
    u64 random;
    unsigned failed[VMX_CHECK_END]; /* how often a row was the first, with something left out */
};

static u64 draw(struct rig *r, u64 below)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return (r->random >> 11) % below;
}

/* ---- guests that may be entered ---- */

static void put_segment(struct vmcs *v, unsigned s, u16 sel, u64 base, u32 limit, u32 ar)
{
    v->f[VMCS_ES_SEL + s] = sel;
    v->f[VMCS_ES_BASE + s] = base;
    v->f[VMCS_ES_LIMIT + s] = limit;
    v->f[VMCS_ES_AR + s] = ar;
}

static void put_controls(struct vmcs *v, u32 proc2)
{
    v->f[VMCS_PIN] = vmx_must_be_1(VMCS_PIN);
    v->f[VMCS_PROC] = vmx_must_be_1(VMCS_PROC) | 1u << PROC_SECONDARY_BIT;
    v->f[VMCS_PROC2] = proc2;
    v->f[VMCS_EXIT] = vmx_must_be_1(VMCS_EXIT) | 1u << EXIT_HOST_64_BIT;
    v->f[VMCS_ENTRY] = vmx_must_be_1(VMCS_ENTRY);
    v->f[VMCS_EPTP] = 0x1000 | 3 << 3 | 6;
    v->f[VMCS_VPID] = 1;
    v->f[VMCS_LINK] = ~0ull;
    v->f[VMCS_VIRTUAL_APIC] = APIC_AT;
}

static void put_host(struct vmcs *v)
{
    v->f[VMCS_HOST_CR0] = CR0_PE | CR0_NE | (u64)CR0_PG;
    v->f[VMCS_HOST_CR4] = CR4_PAE | CR4_VMXE;
    v->f[VMCS_HOST_CS_SEL] = 8;
    v->f[VMCS_HOST_TR_SEL] = 0x40;
    v->f[VMCS_HOST_EFER] = EFER_LME | EFER_LMA;
}

static void put_guest_64(struct vmcs *v)
{
    v->f[VMCS_ENTRY] |= 1u << ENTRY_GUEST_64_BIT;
    v->f[VMCS_CR0] = CR0_PE | CR0_NE | (u64)CR0_PG;
    v->f[VMCS_CR4] = CR4_PAE | CR4_VMXE;
    v->f[VMCS_EFER] = EFER_LME | EFER_LMA;
    v->f[VMCS_RFLAGS] = FLAG_R1;
    for (unsigned s = ES; s <= GS; s++)
        put_segment(v, s, 0x10, 0, ~0u, 0xc093);
    put_segment(v, CS, 8, 0, ~0u, 0xa09b);
}

/* PAE paging, so that PDPTEs are looked at. */
static void put_guest_32(struct vmcs *v)
{
    put_guest_64(v);
    v->f[VMCS_ENTRY] &= ~(u64)(1u << ENTRY_GUEST_64_BIT);
    v->f[VMCS_EFER] = 0;
    v->f[VMCS_CR3] = PDPTES_AT;
    v->f[VMCS_CS_AR] = 0xc09b;
}

static void put_guest_v86(struct vmcs *v)
{
    put_guest_32(v);
    v->f[VMCS_RFLAGS] = FLAG_R1 | FLAG_VM;
    for (unsigned s = ES; s <= GS; s++)
        put_segment(v, s, 0x100, 0x1000, 0xffff, 0xf3);
}

static void put_guest_real(struct vmcs *v)
{
    put_guest_32(v);
    v->f[VMCS_CR0] = CR0_NE;
    for (unsigned s = ES; s <= GS; s++)
        put_segment(v, s, 0x100, 0x1000, 0xffff, 0x93);
    v->f[VMCS_CS_AR] = 0x9b;
}

#define ON(group, name) (v->f[VMCS_##group] |= 1u << group##_##name##_BIT)

/* What may be asked for besides, so that what it brings with it is looked at. */
static void put_more(struct vmcs *v, u64 draw)
{
    static const u32 event[] = {0, 0x80000202, 0x80000480, 0x80000306};
    const u64 pat = 0x0007040600070406;
    v->f[VMCS_PAT] = v->f[VMCS_HOST_PAT] = pat;
    v->f[VMCS_INJECT_LENGTH] = 2;
    v->f[VMCS_EXIT_MSR_STORE] = v->f[VMCS_EXIT_MSR_LOAD] = v->f[VMCS_ENTRY_MSR_LOAD] = AREA_AT;
    v->f[VMCS_INJECT_INFO] = event[draw & 3];
    if (draw & 4)
        ON(ENTRY, LOAD_EFER), ON(EXIT, LOAD_EFER);
    if (draw & 8)
        ON(ENTRY, LOAD_PAT), ON(EXIT, LOAD_PAT);
    if (draw & 16)
        ON(ENTRY, LOAD_DEBUG);
    if (draw & 32)
        ON(PIN, NMI), ON(PIN, VIRTUAL_NMI);
    if (draw & 64)
        ON(PROC, TPR_SHADOW);
    if (draw & 128)
        v->f[VMCS_EXIT_MSR_STORE_COUNT] = v->f[VMCS_EXIT_MSR_LOAD_COUNT] = v->f[VMCS_ENTRY_MSR_LOAD_COUNT] =
            1;
    if (draw & 512)
        ON(PROC, TPR_SHADOW), ON(PROC2, VIRTUAL_INTERRUPTS), ON(PIN, EXTERNAL_INTERRUPT),
            ON(EXIT, ACKNOWLEDGE), ON(PIN, POSTED_INTERRUPTS);
    if (draw & 1024)
        ON(PROC2, EPT), ON(PROC2, PML), ON(PROC2, VM_FUNCTIONS), ON(PROC2, SHADOWING),
            v->f[VMCS_VM_FUNCTIONS] = 1;
    if (draw & 256)
        v->f[VMCS_RFLAGS] |= FLAG_IF;
    if ((draw & (256 | 3)) == 256)
        v->f[VMCS_INJECT_INFO] = 0x80000040;
}

static void put_good(struct vmcs *v, unsigned kind, u64 more)
{
    static void (*const guest[])(struct vmcs *) = {put_guest_64, put_guest_32, put_guest_v86, put_guest_real};
    u32 real = 1u << PROC2_EPT_BIT | 1u << PROC2_UNRESTRICTED_BIT;
    memset(v, 0, sizeof(*v));
    put_controls(v, kind == 3 ? real : kind ? 0 : 1u << PROC2_VPID_BIT);
    put_host(v);
    guest[kind](v);
    put_more(v, more);
    put_segment(v, SEG_LDTR, 0, 0, 0, SEG_UNUSABLE);
    put_segment(v, SEG_TR, 0x40, 0, 0x67, 0x8b);
    v->dirty = GROUP_ALL;
}
enum { KINDS = 4, MORE = 2048 };

/* ---- changes ---- */

static void write_field(struct vmcs *v, unsigned field, u64 value)
{
    unsigned width = vmcs_width((int)field);
    v->f[field] = value & size_mask(width);
    v->dirty |= vmcs_groups[field];
}

static u64 new_value(struct rig *r, unsigned field, u64 old)
{
    static const u64 values[] = {0,
                                 1,
                                 2,
                                 3,
                                 0x10000,
                                 0x80000202,
                                 0x80000040,
                                 0x80000306,
                                 0x80000b0d,
                                 0x80000480,
                                 0x80000700,
                                 0x80000301,
                                 0x20202,
                                 0x202,
                                 0x102,
                                 LINK_AT,
                                 APIC_AT,
                                 0x8000000000000000,
                                 0x800000000000,
                                 ~0ull};
    switch (draw(r, 4)) {
    case 0:
        return values[draw(r, ARRAY_SIZE(values))];
    case 1:
        return old ^ BIT(draw(r, 8));
    default:
        return old ^ BIT(draw(r, 8 * vmcs_width((int)field)));
    }
}

/* What rows that are never left out look at. */
static void change_the_rest(struct rig *r)
{
    u32 revision = VMCS_REVISION | (draw(r, 2) ? VMCS_SHADOW : 0) | (draw(r, 8) ? 0 : 2);
    u64 pdpte = draw(r, 2) ? 1 : 3;
    u8 tpr = (u8)(draw(r, 2) << 5);
    assert_int_equal(space_write(r->c->memory, LINK_AT, &revision, 4), 0);
    assert_int_equal(space_write(r->c->memory, PDPTES_AT, &pdpte, 8), 0);
    assert_int_equal(space_write(r->c->memory, APIC_AT + 0x80, &tpr, 1), 0);
    r->c->efer = draw(r, 8) ? EFER_LMA : 0;
    if (draw(r, 2))
        write_field(&r->x->v, VMCS_TPR_THRESHOLD, draw(r, 4) ? 0 : tpr >> 4);
}

/* ---- the same outcome ---- */

static unsigned first_failed(struct rig *r)
{
    u64 qualification;
    if (!vmx_check_controls_and_host(r->c, r->x))
        (void)vmx_check_guest(r->c, r->x, &qualification);
    return r->x->failed;
}

static void compare(struct rig *r, unsigned field)
{
    struct vmx *x = r->x;
    bool v86 = x->checked_v86;
    u32 dirty = x->v.dirty;
    unsigned some = first_failed(r);
    x->v.dirty = GROUP_ALL;
    unsigned all = first_failed(r);
    if (some != all)
        fail_msg("written last: row %u of vmcs.def; left out: \"%s\", found instead: \"%s\"", field,
                 all ? vmx_check_text(all) : "nothing", some ? vmx_check_text(some) : "nothing");
    r->failed[all] += dirty != GROUP_ALL;
    if (all) {
        x->v.dirty = dirty;
        x->checked_v86 = v86;
    }
}

/* A field changes, or a few; then, mostly, they are again what they were. */
static void change_and_compare(struct rig *r)
{
    enum { MOST = 3 };
    struct vmcs *v = &r->x->v;
    unsigned field[MOST], n = 1 + (unsigned)draw(r, MOST);
    u64 old[MOST];
    for (unsigned i = 0; i < n; i++) {
        field[i] = (unsigned)draw(r, VMCS_FIELDS);
        old[i] = v->f[field[i]];
        write_field(v, field[i], new_value(r, field[i], old[i]));
    }
    compare(r, field[n - 1]);
    if (!draw(r, 100))
        return;
    for (unsigned i = n; i-- > 0;)
        write_field(v, field[i], old[i]);
    compare(r, field[0]);
}

static void test_left_out(void **state)
{
    struct rig *r = *state;
    for (unsigned i = 0; i < STEPS; i++) {
        if (i % 200 == 0)
            put_good(&r->x->v, (unsigned)draw(r, KINDS), draw(r, MORE));
        if (!draw(r, 8)) {
            change_the_rest(r);
            compare(r, 0);
        }
        change_and_compare(r);
    }
    unsigned rows = 0;
    for (unsigned row = 1; row < VMX_CHECK_END; row++)
        rows += r->failed[row] > 0;
    assert_true(r->failed[0] > STEPS / 8);
    if (rows < (VMX_CHECK_END - 1) * 9 / 10)
        fail_msg("only %u of %u rows were met", rows, VMX_CHECK_END - 1);
}

static void test_good(void **state)
{
    struct rig *r = *state;
    r->c->efer = EFER_LMA;
    for (unsigned i = 0; i < KINDS * MORE; i++) {
        put_good(&r->x->v, i % KINDS, i / KINDS);
        unsigned row = first_failed(r);
        if (row)
            fail_msg("guest %u: not so: %s", i, vmx_check_text(row));
        assert_int_equal(r->x->v.dirty, 0);
    }
}

static int make(void **state)
{
    static struct rig r = {.random = 0x9e3779b97f4a7c15ull};
    struct err err = {0};
    struct space *memory = space_new(BIT(36)), *ports = space_new(BIT(16));
    assert_int_equal(cpu_model_build(&r.model, VENDOR_INTEL, NULL, true, 1, 1000000000, &err), 0);
    assert_int_equal(space_add_ram(memory, 0, RAM, &err), 0);
    r.c = cpu_new(&(struct cpu_init){.memory = memory, .ports = ports, .model = &r.model}, &err);
    assert_non_null(r.c);
    r.x = vmx_of(r.c);
    *state = &r;
    return 0;
}

static int unmake(void **state)
{
    struct rig *r = *state;
    struct space *memory = r->c->memory, *ports = r->c->ports;
    cpu_free(r->c);
    space_free(memory);
    space_free(ports);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_left_out)};
    return cmocka_run_group_tests(tests, make, unmake);
}
