/* SPDX-License-Identifier: MIT */
/*
 * VMRUN's consistency checks: x86/svm_checks.def is the table, here are its predicates. APM 2 15.5.1
 * "Canonicalization and Consistency Checks". What no row refuses the processor can run.
 *
 * They see a copy of the VMCB: another vCPU may write it meanwhile.
 */
#include "cpu/control.h"
#include "cpu/msr.h"
#include "cpu/nested/svm.h"

enum { IOPM_SIZE = 0x2001, MSRPM_SIZE = 0x2000 };

struct entry {
    struct cpu *c;
    const struct vmcb_control *ctl;
    const struct vmcb_save *save;
};

static bool intercepted(const struct entry *e, unsigned code)
{
    return e->ctl->intercept[code / 32] >> (code % 32) & 1;
}

static bool bad_vmrun_intercept(const struct entry *e)
{
    return !intercepted(e, SVM_EXIT_VMRUN);
}

static bool bad_asid(const struct entry *e)
{
    return e->ctl->asid == 0;
}

/* The low 12 bits are ignored; the first byte behind the map counts. APM 2 15.10.1, 15.11 */
static bool beyond_physical(const struct cpu *c, u64 base, u64 size)
{
    u64 end = (base & ~(PAGE_SIZE - 1)) + size;
    return (base | end) & physical_reserved(c);
}

static bool bad_iopm(const struct entry *e)
{
    return intercepted(e, SVM_EXIT_IOIO) && beyond_physical(e->c, e->ctl->iopm, IOPM_SIZE);
}

static bool bad_msrpm(const struct entry *e)
{
    return intercepted(e, SVM_EXIT_MSR) && beyond_physical(e->c, e->ctl->msrpm, MSRPM_SIZE);
}

/* APM 2 15.21.10 */
static bool bad_virtual_nmi(const struct entry *e)
{
    return (e->ctl->int_ctl & VINTR_NMI_ENABLE) && !intercepted(e, SVM_EXIT_NMI);
}

/* APM 2 15.20 */
static bool bad_event(const struct entry *e)
{
    u64 v = e->ctl->event_inj;
    u8 vector = (u8)v;
    if (!(v & EVENT_VALID))
        return false;
    switch (bits(v, 10, 8)) {
    case EVENT_TYPE_INTR:
    case EVENT_TYPE_NMI:
    case EVENT_TYPE_SOFT:
        return false;
    case EVENT_TYPE_EXCEPTION:
        return vector > 31 || vector == VEC_NMI;
    default:
        return true;
    }
}

static bool nested(const struct entry *e)
{
    return e->ctl->np_enable & 1;
}

static bool bad_nested_host(const struct entry *e)
{
    return nested(e) && !(e->c->cr0 & CR0_PG);
}

static bool bad_nested_cr3(const struct entry *e)
{
    return nested(e) && (e->ctl->nested_cr3 & physical_reserved(e->c));
}

static bool bad_nested_pat(const struct entry *e)
{
    return nested(e) && !msr_pat_valid(e->save->pat);
}

static bool bad_svme(const struct entry *e)
{
    return !(e->save->efer & EFER_SVME);
}

static bool bad_efer(const struct entry *e)
{
    return e->save->efer & ~msr_efer_valid(e->c);
}

static bool bad_cr0_high(const struct entry *e)
{
    return e->save->cr0 >> 32;
}

static bool bad_cr0_cache(const struct entry *e)
{
    return (e->save->cr0 & CR0_NW) && !(e->save->cr0 & CR0_CD);
}

static bool bad_cr3(const struct entry *e)
{
    return e->save->cr3 & physical_reserved(e->c);
}

static bool bad_cr4(const struct entry *e)
{
    return e->save->cr4 & ~cr4_valid(e->c);
}

static bool bad_dr6(const struct entry *e)
{
    return e->save->dr6 >> 32;
}

static bool bad_dr7(const struct entry *e)
{
    return e->save->dr7 >> 32;
}

static bool bad_long_pae(const struct entry *e)
{
    return svm_long_paging(e->save) && !(e->save->cr4 & CR4_PAE);
}

static bool bad_long_pe(const struct entry *e)
{
    return svm_long_paging(e->save) && !(e->save->cr0 & CR0_PE);
}

static bool bad_long_cs(const struct entry *e)
{
    u16 attr = e->save->cs.attr;
    return svm_long_paging(e->save) && (attr & VMCB_SEG_L) && (attr & VMCB_SEG_D);
}

/* In the order of the rows, each in place: a table of functions took several times as long. */
unsigned svm_check(struct cpu *c, const struct vmcb_control *ctl, const struct vmcb_save *save)
{
    struct entry e = {c, ctl, save};
#define SVM_CHECK(name, text)                                                                                \
    if (unlikely(bad_##name(&e)))                                                                            \
        return SVM_CHECK_##name;
#include "x86/svm_checks.def"
#undef SVM_CHECK
    return SVM_CHECK_NONE;
}

const char *svm_check_text(unsigned row)
{
    static const char *const texts[] = {
#define SVM_CHECK(name, text) [SVM_CHECK_##name] = (text),
#include "x86/svm_checks.def"
#undef SVM_CHECK
    };
    return texts[row];
}
