/* SPDX-License-Identifier: MIT */
/*
 * The CPU model as KVM shall show it. The model's features were limited to what this KVM has (kvm_limits());
 * here its table becomes KVM's, per vCPU.
 *
 * Unlike our own processor the host's may have weaknesses that code in the guest can exploit. So what the
 * model says of weaknesses is replaced by what KVM says, and the mitigations KVM offers are passed on.
 * SDM 2A CPUID; APM 3 appendix E; Linux Documentation/virt/kvm/x86/cpuid.rst
 */
#include <errno.h>
#include <stdlib.h>

#include "accel/kvm_parts.h"

/* Register of a leaf: which bits of the model stand whatever KVM says, which of KVM's are added. */
static const struct rule {
    u32 leaf;
    u8 reg;
    u32 keep, add;
} rules[] = {
    {7, CPUID_EDX, ~0u,
     1u << 10 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 31}, /* MD_CLEAR, IBRS, STIBP, L1D, SSBD */
    {0x80000008, CPUID_EBX, 1u << 0 | 1u << 2 | 1u << 9,    /* CLZERO, XSAVEERPTR, WBNOINVD: features */
     1u << 12 | 1u << 14 | 1u << 15 | 1u << 16 | 1u << 17 | 1u << 18 | 1u << 24 | 1u << 26 | 1u << 28 |
         1u << 29},
    {0x80000021, CPUID_EAX, 0, 1u << 2 | 1u << 6 | 1u << 8 | 1u << 27 | 1u << 28 | 1u << 29},
    {0x80000021, CPUID_ECX, 0, 1u << 1 | 1u << 2},
    {0x40000001, CPUID_EAX, 1u << 15, 0}, /* the extended MSI destination is this program's promise */
};

static void apply_rules(struct kvm_cpuid_entry2 *e, const struct kvm_cpuid2 *host, bool same_vendor)
{
    const struct kvm_cpuid_entry2 *h = kvm_cpuid_find(host, e->function, e->index);
    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
        const struct rule *r = &rules[i];
        if (r->leaf != e->function || e->index)
            continue;
        u32 *v = &e->eax + r->reg, theirs = h ? (&h->eax)[r->reg] : 0;
        *v = (*v & (theirs | r->keep)) | (same_vendor ? theirs & r->add : 0);
    }
}

/* What differs from vCPU to vCPU. OSXSAVE and the sizes of leaf 0DH are KVM's to keep. */
static void number(struct kvm_cpuid_entry2 *e, unsigned index)
{
    switch (e->function) {
    case 1:
        e->ebx |= index << 24;
        break;
    case 0xb:
    case 0x1f:
        e->edx = index;
        break;
    case 0x8000001e:
        e->eax = index;
        e->ebx = index & 0xff;
        break;
    }
}

static struct kvm_cpuid2 *translate(const struct accel_vcpu *v, const struct kvm_cpuid2 *host)
{
    const struct cpu_model *m = v->vm->init.model;
    enum cpu_vendor vendor;
    bool same = kvm_host_vendor(host, &vendor) && vendor == m->vendor;
    struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + (MODEL_CPUID_MAX + 1) * sizeof(t->entries[0]));
    for (unsigned i = 0; t && i < m->cpuid_count; i++) {
        const struct cpuid_entry *c = &m->cpuid[i];
        if (c->leaf == 0x8000000a)
            continue; /* of nested SVM: below, as KVM has it */
        struct kvm_cpuid_entry2 *e = &t->entries[t->nent++];
        *e = (struct kvm_cpuid_entry2){.function = c->leaf,
                                       .index = c->has_subleaf ? c->subleaf : 0,
                                       .flags = c->has_subleaf ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
                                       .eax = c->reg[CPUID_EAX],
                                       .ebx = c->reg[CPUID_EBX],
                                       .ecx = c->reg[CPUID_ECX],
                                       .edx = c->reg[CPUID_EDX]};
        apply_rules(e, host, same);
        number(e, v->index);
    }
    const struct kvm_cpuid_entry2 *svm = kvm_cpuid_find(host, 0x8000000a, 0);
    if (t && svm && model_has(m, FEAT_SVM))
        t->entries[t->nent++] = *svm;
    return t;
}

/* ---- MSRs that belong to the model ---- */

#define MSR_FEATURE_CONTROL   0x3a
#define MSR_ARCH_CAPABILITIES 0x10a
#define MSR_MISC_ENABLE       0x1a0
#define MISC_FAST_STRINGS     1

struct one_msr {
    struct kvm_msrs head;
    struct kvm_msr_entry entry;
};

static int set_msr(struct accel_vcpu *v, u32 number, u64 value, struct err *err)
{
    struct one_msr m = {.head.nmsrs = 1, .entry = {.index = number, .data = value}};
    if (kvm_call(v->fd, KVM_SET_MSRS, &m) == 1)
        return 0;
    return err_set(err, EXIT_STATUS_HOST,
                   "engine kvm: the host's KVM refused MSR %#x = %#llx; use --engine soft", number,
                   (unsigned long long)value);
}

static int set_msrs(struct accel_vcpu *v, struct err *err)
{
    const struct cpu_model *m = v->vm->init.model;
    struct one_msr caps = {.head.nmsrs = 1, .entry.index = MSR_ARCH_CAPABILITIES};
    if (model_has(m, FEAT_ARCH_CAPABILITIES) && kvm_has(v->vm->device, KVM_CAP_GET_MSR_FEATURES) &&
        kvm_call(v->vm->device, KVM_GET_MSRS, &caps) == 1)
        kvm_call(v->fd, KVM_SET_MSRS, &caps); /* a KVM that refuses its own value has it there already */
    /* KVM leaves fast strings off. Linux then drops ERMS but keeps FSRM, and its memmove() needs both or
     * neither. SDM 4 table 2-2 */
    struct one_msr misc = {.head.nmsrs = 1, .entry.index = MSR_MISC_ENABLE};
    if (m->vendor == VENDOR_INTEL && kvm_call(v->fd, KVM_GET_MSRS, &misc) == 1 &&
        set_msr(v, MSR_MISC_ENABLE, misc.entry.data | MISC_FAST_STRINGS, err))
        return -1;
    /* Locked with VMXON outside SMX, as firmware leaves it. The VMX capability MSRs are KVM's own. SDM
     * 3C 23.7 */
    return model_has(m, FEAT_VMX) ? set_msr(v, MSR_FEATURE_CONTROL, 5, err) : 0;
}

static int set_tsc(struct accel_vcpu *v, struct err *err)
{
    u64 khz = v->vm->init.model->tsc_hz / 1000;
    int has = kvm_has(v->vm->device, KVM_CAP_GET_TSC_KHZ) ? kvm_call(v->fd, KVM_GET_TSC_KHZ, 0) : 0;
    if (has > 0 && (u64)has == khz)
        return 0;
    if (!kvm_has(v->vm->device, KVM_CAP_TSC_CONTROL))
        return has <= 0 ? 0
                        : err_set(err, EXIT_STATUS_NO_ENGINE,
                                  "engine kvm: this processor's TSC has %d kHz and cannot be scaled; use "
                                  "--engine soft",
                                  has);
    return kvm_want(v->fd, KVM_SET_TSC_KHZ, (void *)khz, "the TSC's rate", err);
}

int kvm_set_model(struct accel_vcpu *v, struct err *err)
{
    struct kvm_cpuid2 *host = kvm_supported_cpuid(v->vm->device, err), *t = host ? translate(v, host) : NULL;
    int r = -1;
    if (host && !t)
        err_set(err, EXIT_STATUS_HOST, "engine kvm: no memory for CPUID");
    else if (t)
        r = kvm_want(v->fd, KVM_SET_CPUID2, t, "the CPU model", err);
    free(t);
    free(host);
    return r || set_tsc(v, err) || set_msrs(v, err) ? -1 : 0;
}
