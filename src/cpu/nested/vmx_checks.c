/* SPDX-License-Identifier: MIT */
/*
 * The checks at VM entry: x86/vmx_checks.def is the table, here is what must hold as expressions over the
 * current VMCS. SDM 3C 26.2 (VMX controls, host state), 26.3.1 (guest state)
 */
#include "cpu/control.h"
#include "cpu/nested/vmx.h"
#include "cpu/system.h"

#define F(name) (v->f[VMCS_##name])
#define RULE(id, expr)                                                                                       \
    static bool holds_##id(struct cpu *c, const struct vmcs *v)                                              \
    {                                                                                                        \
        return expr;                                                                                         \
    }

static bool group_valid(const struct vmcs *v, enum vmcs_field group)
{
    u32 x = (u32)v->f[group], must = vmx_must_be_1(group);
    return (x & must) == must && !(x & ~vmx_may_be_1(group));
}

static bool page_valid(const struct cpu *c, u64 a)
{
    return !(a & 0xfff) && !(a & physical_reserved(c));
}

static bool area_valid(const struct cpu *c, u64 a, u64 count)
{
    u64 last = a + (u32)count * 16ull - 1;
    return !(u32)count || (!(a & 15) && !(a & physical_reserved(c)) && !(last & physical_reserved(c)));
}

static bool pat_valid(u64 v)
{
    for (unsigned i = 0; i < 8; i++) {
        u8 t = (u8)(v >> (8 * i));
        if (t == 2 || t == 3 || t > 7)
            return false;
    }
    return true;
}

static bool efer_valid(u64 v, bool wide)
{
    bool lma = v & EFER_LMA;
    return !(v & ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) && lma == wide;
}

/* Control fields. 26.2.1 */
RULE(pin, group_valid(v, VMCS_PIN))
RULE(proc, group_valid(v, VMCS_PROC))
RULE(proc2, !ctl(v, PROC, SECONDARY) || group_valid(v, VMCS_PROC2))
RULE(cr3_targets, (u32)F(CR3_TARGETS) <= VMX_CR3_TARGETS)
RULE(io_bitmaps,
     !ctl(v, PROC, IO_BITMAPS) || (page_valid(c, F(IO_BITMAP_A)) && page_valid(c, F(IO_BITMAP_B))))
RULE(msr_bitmap, !ctl(v, PROC, MSR_BITMAPS) || page_valid(c, F(MSR_BITMAP)))
RULE(virtual_apic, !ctl(v, PROC, TPR_SHADOW) || page_valid(c, F(VIRTUAL_APIC)))
RULE(threshold, !ctl(v, PROC, TPR_SHADOW) || ctl2(v, VIRTUAL_INTERRUPTS) || !(F(TPR_THRESHOLD) & 0xfffffff0))

static bool holds_threshold_met(struct cpu *c, const struct vmcs *v)
{
    if (!ctl(v, PROC, TPR_SHADOW) || ctl2(v, APIC_ACCESSES) || ctl2(v, VIRTUAL_INTERRUPTS))
        return true;
    u8 tpr = 0;
    (void)space_read(c->memory, F(VIRTUAL_APIC) + 0x80, &tpr, 1);
    return (F(TPR_THRESHOLD) & 15) <= tpr >> 4;
}

RULE(apic_without_tpr,
     ctl(v, PROC, TPR_SHADOW) || !(ctl2(v, X2APIC) || ctl2(v, APIC_REGISTERS) || ctl2(v, VIRTUAL_INTERRUPTS)))
RULE(virtual_nmi, ctl(v, PIN, NMI) || !ctl(v, PIN, VIRTUAL_NMI))
RULE(nmi_window, ctl(v, PIN, VIRTUAL_NMI) || !ctl(v, PROC, NMI_WINDOW))
RULE(apic_page, !ctl2(v, APIC_ACCESSES) || page_valid(c, F(APIC_ACCESS)))
RULE(x2apic, !ctl2(v, X2APIC) || !ctl2(v, APIC_ACCESSES))
RULE(virtual_interrupts, !ctl2(v, VIRTUAL_INTERRUPTS) || ctl(v, PIN, EXTERNAL_INTERRUPT))
RULE(posted, !ctl(v, PIN, POSTED_INTERRUPTS) || (ctl2(v, VIRTUAL_INTERRUPTS) && ctl(v, EXIT, ACKNOWLEDGE)))
RULE(posted_vector, !ctl(v, PIN, POSTED_INTERRUPTS) || !(F(POSTED_VECTOR) & 0xff00))
RULE(posted_descriptor, !ctl(v, PIN, POSTED_INTERRUPTS) ||
                            (!(F(POSTED_DESCRIPTOR) & 63) && !(F(POSTED_DESCRIPTOR) & physical_reserved(c))))
RULE(vpid, !ctl2(v, VPID) || (u16)F(VPID))
RULE(eptp, !ctl2(v, EPT) || vmx_eptp_valid(c, F(EPTP)))
RULE(pml, !ctl2(v, PML) || (ctl2(v, EPT) && page_valid(c, F(PML_ADDRESS))))
RULE(unrestricted, !ctl2(v, UNRESTRICTED) || ctl2(v, EPT))
RULE(vm_functions, !ctl2(v, VM_FUNCTIONS) || !(F(VM_FUNCTIONS) & ~(u64)VMX_FUNCTIONS))
RULE(eptp_switching, !ctl2(v, VM_FUNCTIONS) || !(F(VM_FUNCTIONS) & VMX_EPTP_SWITCHING) ||
                         (ctl2(v, EPT) && page_valid(c, F(EPTP_LIST))))
RULE(shadowing, !ctl2(v, SHADOWING) || (page_valid(c, F(VMREAD_BITMAP)) && page_valid(c, F(VMWRITE_BITMAP))))
RULE(exit_controls, group_valid(v, VMCS_EXIT))
RULE(save_timer, ctl(v, PIN, TIMER) || !ctl(v, EXIT, SAVE_TIMER))
RULE(exit_store, area_valid(c, F(EXIT_MSR_STORE), F(EXIT_MSR_STORE_COUNT)))
RULE(exit_load, area_valid(c, F(EXIT_MSR_LOAD), F(EXIT_MSR_LOAD_COUNT)))
RULE(entry_controls, group_valid(v, VMCS_ENTRY))

static bool vector_has_error(unsigned vector)
{
    return vector < 32 && (0x00027d00u >> vector & 1);
}

static bool holds_inject_type(struct cpu *c, const struct vmcs *v)
{
    u32 i = (u32)F(INJECT_INFO);
    unsigned type = i >> 8 & 7, vector = i & 0xff;
    if (!(i & INTR_VALID))
        return true;
    if (type == 1 || (i & 0x7ffff000))
        return false;
    if (type == INTR_OTHER) /* a pending MTF VM exit */
        return vector == 0;
    return type == INTR_NMI ? vector == 2 : type != INTR_HARDWARE || vector < 32;
}

static bool holds_inject_error(struct cpu *c, const struct vmcs *v)
{
    u32 i = (u32)F(INJECT_INFO);
    bool real = ctl2(v, UNRESTRICTED) && !(F(CR0) & CR0_PE);
    bool want = !real && (i >> 8 & 7) == INTR_HARDWARE && vector_has_error(i & 0xff);
    if (!(i & INTR_VALID))
        return true;
    return !(i & INTR_ERROR_VALID) == !want && (!want || !(F(INJECT_ERROR) & 0xffff0000));
}

static bool holds_inject_length(struct cpu *c, const struct vmcs *v)
{
    u32 i = (u32)F(INJECT_INFO);
    unsigned type = i >> 8 & 7;
    bool software = type >= INTR_SOFT_INT && type <= INTR_SOFT_EXCEPTION;
    return !(i & INTR_VALID) || !software || (u32)F(INJECT_LENGTH) <= 15;
}

RULE(entry_load, area_valid(c, F(ENTRY_MSR_LOAD), F(ENTRY_MSR_LOAD_COUNT)))

/* Host state. 26.2.2 to 26.2.4 */
#define CR0_MUST (CR0_PE | CR0_NE | (u64)CR0_PG)
RULE(host_cr0, !(F(HOST_CR0) >> 32) && (F(HOST_CR0) & CR0_MUST) == CR0_MUST)
RULE(host_cr4, !(F(HOST_CR4) & ~cr4_valid(c)) && (F(HOST_CR4) & CR4_VMXE))
RULE(host_cr3, !(F(HOST_CR3) & physical_reserved(c)))
RULE(host_sysenter, canonical(F(HOST_SYSENTER_ESP)) && canonical(F(HOST_SYSENTER_EIP)))
RULE(host_pat, !ctl(v, EXIT, LOAD_PAT) || pat_valid(F(HOST_PAT)))
RULE(host_efer, !ctl(v, EXIT, LOAD_EFER) || (efer_valid(F(HOST_EFER), ctl(v, EXIT, HOST_64)) &&
                                             !(F(HOST_EFER) & EFER_LMA) == !(F(HOST_EFER) & EFER_LME)))
RULE(host_selectors, !((F(HOST_ES_SEL) | F(HOST_CS_SEL) | F(HOST_SS_SEL) | F(HOST_DS_SEL) | F(HOST_FS_SEL) |
                        F(HOST_GS_SEL) | F(HOST_TR_SEL)) &
                       7))
RULE(host_cs_tr, (u16)F(HOST_CS_SEL) && (u16)F(HOST_TR_SEL))
RULE(host_ss, ctl(v, EXIT, HOST_64) || (u16)F(HOST_SS_SEL))
RULE(host_bases, canonical(F(HOST_FS_BASE)) && canonical(F(HOST_GS_BASE)) && canonical(F(HOST_TR_BASE)) &&
                     canonical(F(HOST_GDTR_BASE)) && canonical(F(HOST_IDTR_BASE)))
RULE(host_size, long_mode(c) ? ctl(v, EXIT, HOST_64) : !ctl(v, EXIT, HOST_64) && !ctl(v, ENTRY, GUEST_64))
RULE(host_32, ctl(v, EXIT, HOST_64) ||
                  (!ctl(v, ENTRY, GUEST_64) && !(F(HOST_CR4) & CR4_PCIDE) && !(F(HOST_RIP) >> 32)))
RULE(host_64, !ctl(v, EXIT, HOST_64) || ((F(HOST_CR4) & CR4_PAE) && canonical(F(HOST_RIP))))

/* Guest control registers, debug registers, MSRs. 26.3.1.1 */
static bool holds_guest_cr0(struct cpu *c, const struct vmcs *v)
{
    u64 must = ctl2(v, UNRESTRICTED) ? (u64)CR0_NE : CR0_MUST;
    return !(F(CR0) >> 32) && (F(CR0) & must) == must;
}
RULE(guest_pg, !(F(CR0) & CR0_PG) || (F(CR0) & CR0_PE))
RULE(guest_cr4, !(F(CR4) & ~cr4_valid(c)) && (F(CR4) & CR4_VMXE))
RULE(guest_debugctl, !ctl(v, ENTRY, LOAD_DEBUG) || !(F(DEBUGCTL) & ~3ull))
RULE(guest_64, !ctl(v, ENTRY, GUEST_64) || ((F(CR0) & CR0_PG) && (F(CR4) & CR4_PAE)))
RULE(guest_pcide, ctl(v, ENTRY, GUEST_64) || !(F(CR4) & CR4_PCIDE))
RULE(guest_cr3, !(F(CR3) & physical_reserved(c)))
RULE(guest_dr7, !ctl(v, ENTRY, LOAD_DEBUG) || !(F(DR7) >> 32))
RULE(guest_sysenter, canonical(F(SYSENTER_ESP)) && canonical(F(SYSENTER_EIP)))
RULE(guest_pat, !ctl(v, ENTRY, LOAD_PAT) || pat_valid(F(PAT)))
RULE(guest_efer,
     !ctl(v, ENTRY, LOAD_EFER) || (efer_valid(F(EFER), ctl(v, ENTRY, GUEST_64)) &&
                                   (!(F(CR0) & CR0_PG) || !(F(EFER) & EFER_LMA) == !(F(EFER) & EFER_LME))))

/* Segments. 26.3.1.2 */
#define SEL(s)   ((u16)v->f[VMCS_ES_SEL + (s)])
#define BASE(s)  (v->f[VMCS_ES_BASE + (s)])
#define LIMIT(s) ((u32)v->f[VMCS_ES_LIMIT + (s)])
#define AR(s)    ((u32)v->f[VMCS_ES_AR + (s)])

static bool v86(const struct vmcs *v)
{
    return F(RFLAGS) & FLAG_VM;
}
static bool usable(const struct vmcs *v, unsigned s)
{
    return !(AR(s) & SEG_UNUSABLE);
}
static unsigned dpl(const struct vmcs *v, unsigned s)
{
    return AR(s) >> 5 & 3;
}
static bool each_data(const struct vmcs *v, bool (*holds)(const struct vmcs *, unsigned))
{
    for (unsigned s = ES; s <= GS; s++)
        if (s != CS && !holds(v, s))
            return false;
    return true;
}

RULE(tr_sel, !(SEL(SEG_TR) & 4))
RULE(ldtr_sel, !usable(v, SEG_LDTR) || !(SEL(SEG_LDTR) & 4))
RULE(ss_sel, v86(v) || ctl2(v, UNRESTRICTED) || (SEL(SS) & 3) == (SEL(CS) & 3))

static bool holds_v86_bases(struct cpu *c, const struct vmcs *v)
{
    for (unsigned s = ES; s <= GS && v86(v); s++)
        if (BASE(s) != (u64)SEL(s) << 4)
            return false;
    return true;
}
static bool holds_seg_bases(struct cpu *c, const struct vmcs *v)
{
    if (!canonical(BASE(SEG_TR)) || !canonical(BASE(FS)) || !canonical(BASE(GS)))
        return false;
    if (usable(v, SEG_LDTR) && !canonical(BASE(SEG_LDTR)))
        return false;
    return !(BASE(CS) >> 32) && (!usable(v, SS) || !(BASE(SS) >> 32)) &&
           (!usable(v, DS) || !(BASE(DS) >> 32)) && (!usable(v, ES) || !(BASE(ES) >> 32));
}
static bool holds_v86_limits(struct cpu *c, const struct vmcs *v)
{
    for (unsigned s = ES; s <= GS && v86(v); s++)
        if (LIMIT(s) != 0xffff || AR(s) != 0xf3)
            return false;
    return true;
}

static bool holds_cs_type(struct cpu *c, const struct vmcs *v)
{
    unsigned t = AR(CS) & SEG_TYPE;
    if (v86(v))
        return true;
    return t == 9 || t == 11 || t == 13 || t == 15 || (t == 3 && ctl2(v, UNRESTRICTED));
}
RULE(ss_type, v86(v) || !usable(v, SS) || (AR(SS) & SEG_TYPE) == 3 || (AR(SS) & SEG_TYPE) == 7)
static bool data_type(const struct vmcs *v, unsigned s)
{
    unsigned t = AR(s) & SEG_TYPE;
    return s == SS || !usable(v, s) || ((t & 1) && (!(t & 8) || (t & 2)));
}
RULE(data_types, v86(v) || each_data(v, data_type))
static bool data_s(const struct vmcs *v, unsigned s)
{
    return !usable(v, s) || (AR(s) & SEG_S);
}
RULE(seg_s, v86(v) || ((AR(CS) & SEG_S) && each_data(v, data_s)))
static bool holds_cs_dpl(struct cpu *c, const struct vmcs *v)
{
    unsigned t = AR(CS) & SEG_TYPE;
    if (v86(v))
        return true;
    if (t == 3)
        return dpl(v, CS) == 0;
    return t & 4 ? dpl(v, CS) <= dpl(v, SS) : dpl(v, CS) == dpl(v, SS);
}
static bool holds_ss_dpl(struct cpu *c, const struct vmcs *v)
{
    if (v86(v))
        return true;
    if (!ctl2(v, UNRESTRICTED) && dpl(v, SS) != (SEL(SS) & 3u))
        return false;
    bool zero = (AR(CS) & SEG_TYPE) == 3 || !(F(CR0) & CR0_PE);
    return !zero || dpl(v, SS) == 0;
}
static bool data_dpl(const struct vmcs *v, unsigned s)
{
    return s == SS || !usable(v, s) || (AR(s) & SEG_TYPE) > 11 || dpl(v, s) >= (SEL(s) & 3u);
}
RULE(data_dpls, v86(v) || ctl2(v, UNRESTRICTED) || each_data(v, data_dpl))
static bool data_rest(const struct vmcs *v, unsigned s)
{
    u32 ar = AR(s), limit = LIMIT(s);
    if (!usable(v, s))
        return true;
    if (!(ar & SEG_P) || (ar & 0xfffe0f00))
        return false;
    return !((limit & 0xfff) != 0xfff && (ar & SEG_G)) && !((limit >> 20) && !(ar & SEG_G));
}
RULE(seg_rest, v86(v) || (data_rest(v, CS) && each_data(v, data_rest)))
RULE(cs_usable, usable(v, CS))
RULE(cs_db, v86(v) || !(ctl(v, ENTRY, GUEST_64) && (AR(CS) & SEG_L) && (AR(CS) & SEG_DB)))
static bool holds_tr_ar(struct cpu *c, const struct vmcs *v)
{
    unsigned t = AR(SEG_TR) & SEG_TYPE;
    return usable(v, SEG_TR) && (t == 11 || (t == 3 && !ctl(v, ENTRY, GUEST_64))) && !(AR(SEG_TR) & SEG_S) &&
           data_rest(v, SEG_TR);
}
RULE(ldtr_ar, !usable(v, SEG_LDTR) ||
                  ((AR(SEG_LDTR) & SEG_TYPE) == 2 && !(AR(SEG_LDTR) & SEG_S) && data_rest(v, SEG_LDTR)))
RULE(tables, canonical(F(GDTR_BASE)) && canonical(F(IDTR_BASE)) && !(F(GDTR_LIMIT) & 0xffff0000) &&
                 !(F(IDTR_LIMIT) & 0xffff0000))

/* RIP, RFLAGS. 26.3.1.4 */
RULE(rip, ctl(v, ENTRY, GUEST_64) && (AR(CS) & SEG_L) ? canonical(F(RIP)) : !(F(RIP) >> 32))
RULE(rflags, !(F(RFLAGS) & 0xffffffffffc08028ull) && (F(RFLAGS) & FLAG_R1))
RULE(rflags_vm, !v86(v) || (!ctl(v, ENTRY, GUEST_64) && (F(CR0) & CR0_PE)))

/* Non-register state. 26.3.1.5 */
static bool injects(const struct vmcs *v, unsigned type)
{
    return (F(INJECT_INFO) & INTR_VALID) && (F(INJECT_INFO) >> 8 & 7) == type;
}
RULE(rflags_if, !injects(v, INTR_EXTERNAL) || (F(RFLAGS) & FLAG_IF))
RULE(activity, (u32)F(ACTIVITY) <= ACTIVITY_WAIT_SIPI)
RULE(activity_dpl, F(ACTIVITY) != ACTIVITY_HLT || dpl(v, SS) == 0)
RULE(activity_block, F(ACTIVITY) == ACTIVITY_ACTIVE || !(F(INTERRUPTIBILITY) & (BLOCK_STI | BLOCK_MOV_SS)))
static bool holds_activity_inject(struct cpu *c, const struct vmcs *v)
{
    u8 vector = (u8)F(INJECT_INFO);
    bool mc = injects(v, INTR_HARDWARE) && vector == VEC_MC;
    if (!(F(INJECT_INFO) & INTR_VALID) || F(ACTIVITY) == ACTIVITY_ACTIVE)
        return true;
    if (F(ACTIVITY) != ACTIVITY_HLT)
        return F(ACTIVITY) == ACTIVITY_SHUTDOWN && (injects(v, INTR_NMI) || mc);
    return injects(v, INTR_EXTERNAL) || injects(v, INTR_NMI) || injects(v, INTR_OTHER) || mc ||
           (injects(v, INTR_HARDWARE) && vector == VEC_DB);
}
RULE(block_reserved, !(F(INTERRUPTIBILITY) & 0xfffffff0))
RULE(block_both, (F(INTERRUPTIBILITY) & 3) != 3)
RULE(block_sti, !(F(INTERRUPTIBILITY) & BLOCK_STI) || (F(RFLAGS) & FLAG_IF))
RULE(block_external, !injects(v, INTR_EXTERNAL) || !(F(INTERRUPTIBILITY) & 3))
RULE(block_nmi, !injects(v, INTR_NMI) || !(F(INTERRUPTIBILITY) & BLOCK_MOV_SS))
RULE(block_smi, !(F(INTERRUPTIBILITY) & BLOCK_SMI))
RULE(block_virtual_nmi,
     !injects(v, INTR_NMI) || !ctl(v, PIN, VIRTUAL_NMI) || !(F(INTERRUPTIBILITY) & BLOCK_NMI))
RULE(pending_reserved, !(F(PENDING_DEBUG) & ~0x500full))
static bool holds_pending_bs(struct cpu *c, const struct vmcs *v)
{
    if (!(F(INTERRUPTIBILITY) & (BLOCK_STI | BLOCK_MOV_SS)) && F(ACTIVITY) != ACTIVITY_HLT)
        return true;
    bool btf = ctl(v, ENTRY, LOAD_DEBUG) && (F(DEBUGCTL) & 2);
    bool want = (F(RFLAGS) & FLAG_TF) && !btf;
    return !(F(PENDING_DEBUG) >> 14 & 1) == !want;
}
static bool holds_link(struct cpu *c, const struct vmcs *v)
{
    u32 revision = 0;
    if (F(LINK) == ~0ull)
        return true;
    return page_valid(c, F(LINK)) && !space_read(c->memory, F(LINK), &revision, 4) &&
           revision == (VMCS_REVISION | (ctl2(v, SHADOWING) ? VMCS_SHADOW : 0)) &&
           F(LINK) != vmx_of(c)->current;
}

/* PDPTEs. 26.3.1.6 */
static bool pdpte_valid(struct cpu *c, u64 e)
{
    return !(e & 1) || !(e & (0x1e6ull | physical_reserved(c)));
}
static bool holds_pdptes(struct cpu *c, const struct vmcs *v)
{
    u64 e[4] = {F(PDPTE0), F(PDPTE1), F(PDPTE2), F(PDPTE3)};
    if (!(F(CR0) & CR0_PG) || !(F(CR4) & CR4_PAE) || ctl(v, ENTRY, GUEST_64))
        return true;
    if (!ctl2(v, EPT))
        (void)space_read(c->memory, F(CR3) & 0xffffffe0, e, sizeof(e));
    return pdpte_valid(c, e[0]) && pdpte_valid(c, e[1]) && pdpte_valid(c, e[2]) && pdpte_valid(c, e[3]);
}

static const struct check {
    const char *text;
    u64 qualification; /* guest state only */
} checks[] = {
#define VMX_CHECK(name, text, qualification, more) [VMX_CHECK_##name] = {text, qualification},
#include "x86/vmx_checks.def"
#undef VMX_CHECK
};

enum {
    NONE = GROUP_NONE,
    FLOW = GROUP_FLOW,
    INJECT = GROUP_INJECT,
    ALWAYS = GROUP_ALWAYS,
    EVERY = 1 << 30, /* no group: every row, whatever it depends on */
};

/* The first row of [from, end) that does not hold, or 0, of those that depend on `groups`. Each stands in
 * place, so that what is left of one range and one set of groups is that alone: a table of functions took
 * several times as long. */
static inline __attribute__((always_inline)) unsigned
first_failed(struct cpu *c, const struct vmcs *v, unsigned from, unsigned end, unsigned groups)
{
#define VMX_CHECK(name, text, qualification, more)                                                           \
    if (VMX_CHECK_##name >= from && VMX_CHECK_##name < end && (((more) | EVERY) & groups) &&                 \
        unlikely(!holds_##name(c, v)))                                                                       \
        return VMX_CHECK_##name;
#include "x86/vmx_checks.def"
#undef VMX_CHECK
    return VMX_CHECK_NONE;
}

/* What an event needs of CR0 is the one thing that the checks of controls ask of guest state. */
static unsigned controls_failed(struct cpu *c, const struct vmcs *v)
{
    if (v->dirty & GROUP_CONTROL)
        return first_failed(c, v, 1, VMX_CHECK_HOST, EVERY);
    return v->dirty & (INJECT | GROUP_GUEST) ? first_failed(c, v, 1, VMX_CHECK_HOST, INJECT | ALWAYS)
                                             : first_failed(c, v, 1, VMX_CHECK_HOST, ALWAYS);
}

static unsigned host_failed(struct cpu *c, const struct vmcs *v)
{
    return v->dirty & (GROUP_CONTROL | GROUP_HOST)
               ? first_failed(c, v, VMX_CHECK_HOST, VMX_CHECK_GUEST, EVERY)
               : first_failed(c, v, VMX_CHECK_HOST, VMX_CHECK_GUEST, ALWAYS);
}

/* Of RFLAGS the segments' checks look at VM alone. */
static unsigned guest_failed(struct cpu *c, const struct vmcs *v)
{
    if ((v->dirty & (GROUP_CONTROL | GROUP_GUEST)) || v86(v) != vmx_of(c)->checked_v86)
        return first_failed(c, v, VMX_CHECK_GUEST, VMX_CHECK_END, EVERY);
    return v->dirty & (FLOW | INJECT)
               ? first_failed(c, v, VMX_CHECK_GUEST, VMX_CHECK_END, FLOW | INJECT | ALWAYS)
               : first_failed(c, v, VMX_CHECK_GUEST, VMX_CHECK_END, ALWAYS);
}

unsigned vmx_check_controls_and_host(struct cpu *c, struct vmx *x)
{
    x->failed = controls_failed(c, &x->v);
    if (x->failed)
        return ERR_CONTROLS;
    x->failed = host_failed(c, &x->v);
    return x->failed ? ERR_HOST_STATE : 0;
}

bool vmx_host_state_valid(struct cpu *c, struct vmx *x)
{
    u64 efer = c->efer;
    c->efer = ctl(&x->v, EXIT, HOST_64) ? efer | EFER_LMA : efer & ~(u64)EFER_LMA; /* as at the entry */
    bool good = !first_failed(c, &x->v, VMX_CHECK_HOST, VMX_CHECK_GUEST, EVERY);
    c->efer = efer;
    return good;
}

bool vmx_check_guest(struct cpu *c, struct vmx *x, u64 *qualification)
{
    x->failed = guest_failed(c, &x->v);
    *qualification = checks[x->failed].qualification;
    if (x->failed)
        return false;
    x->v.dirty = 0;
    x->checked_v86 = v86(&x->v);
    return true;
}

const char *vmx_check_text(unsigned row)
{
    return checks[row].text;
}
