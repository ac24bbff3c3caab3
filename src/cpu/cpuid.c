/* SPDX-License-Identifier: MIT */
/*
 * CPUID: the model's table, and the fields that a vCPU's number and its control registers decide. SDM 2A
 * CPUID; APM 3 appendix E.
 */
#include "cpu/cpuid.h"

#include "cpu/meanings.h"

enum { XSAVE_LEGACY = 576, YMM_OFFSET = 576, YMM_SIZE = 256 };

/* Standard format: AVX at its fixed place; compacted: right behind the header, which is the same place. */
static u32 xsave_size(u64 components)
{
    return components & 4 ? YMM_OFFSET + YMM_SIZE : XSAVE_LEGACY;
}

static const struct cpuid_entry *lookup(const struct cpu_model *m, u32 leaf, u32 subleaf)
{
    for (unsigned i = 0; i < m->cpuid_count; i++) {
        const struct cpuid_entry *e = &m->cpuid[i];
        if (e->leaf == leaf && (!e->has_subleaf || e->subleaf == subleaf))
            return e;
    }
    return NULL;
}

/* Largest leaf of the class `leaf` belongs to. */
static u32 class_max(const struct cpu_model *m, u32 leaf)
{
    const struct cpuid_entry *e = lookup(m, leaf & 0xc0000000, 0);
    return e ? e->reg[CPUID_EAX] : 0;
}

/* Bit 11 of IA32_APIC_BASE clear: there is no local APIC. SDM 3A 10.4.3; APM 2 16.3.2 */
static bool apic_disabled(const struct cpu *c)
{
    u64 base;
    return c->apic.msr_read && c->apic.msr_read(c->apic.opaque, 0x1b, &base) && !(base & BIT(11));
}

static void run_time_fields(const struct cpu *c, u32 leaf, u32 subleaf, u32 r[4])
{
    switch (leaf) {
    case 1:
        r[CPUID_EBX] |= c->index << 24;
        if (c->cr4 & CR4_OSXSAVE)
            r[CPUID_ECX] |= 1u << 27;
        if (apic_disabled(c))
            r[CPUID_EDX] &= ~(1u << 9);
        break;
    case 0xb:
    case 0x1f:
        r[CPUID_EDX] = c->index;
        break;
    case 0xd:
        if (subleaf == 0)
            r[CPUID_EBX] = xsave_size(c->xcr0);
        else if (subleaf == 1 && cpu_has(c, FEAT_XSAVEC))
            r[CPUID_EBX] = xsave_size(c->xcr0 | c->xss);
        break;
    case 0x8000001e:
        r[CPUID_EAX] = c->index;
        r[CPUID_EBX] = c->index & 0xff;
        break;
    default:
        break;
    }
}

void cpuid_read(const struct cpu *c, u32 leaf, u32 subleaf, u32 r[4])
{
    const struct cpu_model *m = c->model;
    /* Beyond the last leaf Intel processors answer with the last basic one, AMD's with nothing. */
    u32 max = class_max(m, leaf);
    if (m->vendor == VENDOR_INTEL && (leaf > max || leaf < (leaf & 0xc0000000)))
        leaf = class_max(m, 0);
    const struct cpuid_entry *e = lookup(m, leaf, subleaf);
    memset(r, 0, 4 * sizeof(r[0]));
    /* Past the last level of a topology leaf ECX still echoes the subleaf. */
    if (!e && (leaf == 0xb || leaf == 0x1f) && lookup(m, leaf, 0)) {
        r[CPUID_ECX] = subleaf & 0xff;
        r[CPUID_EDX] = c->index;
        return;
    }
    if (!e)
        return;
    memcpy(r, e->reg, sizeof(e->reg));
    run_time_fields(c, leaf, subleaf, r);
}

static enum outcome cpuid(struct cpu *c, const struct insn *in)
{
    u32 r[4];
    cpuid_read(c, (u32)c->regs[RAX], (u32)c->regs[RCX], r);
    c->regs[RAX] = r[CPUID_EAX];
    c->regs[RBX] = r[CPUID_EBX];
    c->regs[RCX] = r[CPUID_ECX];
    c->regs[RDX] = r[CPUID_EDX];
    return DONE;
}
DEFINE_MEANING_ONE(cpuid, cpuid);
