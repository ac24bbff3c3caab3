/* SPDX-License-Identifier: MIT */
/*
 * The CPUID table of a model. One socket, `cpus` cores, one thread a core, APIC id = vCPU number, told alike
 * by every leaf that tells it. SDM 2A CPUID; APM 3 appendix E; Linux Documentation/virt/kvm/x86/cpuid.rst for
 * 4000_00xxH.
 *
 * The model has no speculative execution a guest could exploit, so it says it is free of each known weakness
 * rather than offering mitigations for them.
 */
#include "vm/cpu_model.h"

#include <cpuid.h>

#include "vm/cpu_features.h"

/* The input of APIC timer and TSC (leaf 15H) and what 4000_0010H tells. */
#define BUS_HZ 1000000000ull

static void add(struct cpu_model *m, u32 leaf, int subleaf, u32 eax, u32 ebx, u32 ecx, u32 edx)
{
    bug_on(m->cpuid_count == MODEL_CPUID_MAX, "the CPUID table is full");
    m->cpuid[m->cpuid_count++] = (struct cpuid_entry){.leaf = leaf,
                                                      .subleaf = subleaf < 0 ? 0 : (u32)subleaf,
                                                      .has_subleaf = subleaf >= 0,
                                                      .reg = {eax, ebx, ecx, edx}};
}

static void add_text(struct cpu_model *m, u32 leaf, const char text[16])
{
    u32 r[4];
    memcpy(r, text, 16);
    add(m, leaf, -1, r[0], r[1], r[2], r[3]);
}

/* Feature bits of one register of one leaf. */
static u32 feature_bits(const struct cpu_model *m, u32 leaf, u32 subleaf, enum cpuid_reg reg)
{
    u32 v = 0;
    for (int f = FEAT_NONE + 1; f < FEAT_COUNT; f++) {
        const struct feature_info *i = &feature_infos[f];
        if (i->leaf == leaf && i->subleaf == subleaf && i->reg == reg && model_has(m, f))
            v |= 1u << i->bit;
    }
    return v;
}

/* Bits an id of n things takes. */
static unsigned id_bits(unsigned n)
{
    return n > 1 ? 32 - (unsigned)__builtin_clz(n - 1) : 0;
}

static u32 signature(unsigned family, unsigned model, unsigned stepping)
{
    unsigned low = family > 15 ? 15 : family;
    return (family - low) << 20 | (model >> 4) << 16 | low << 8 | (model & 15) << 4 | stepping;
}

static u32 signature_of(const struct cpu_model *m)
{
    return m->vendor == VENDOR_INTEL ? signature(6, 106, 6) : signature(25, 1, 1);
}

struct cache {
    u8 level, type; /* type 1 data, 2 instruction, 3 unified */
    u8 ways;
    u32 sets; /* of 64-byte lines */
};

static const struct cache intel_caches[] = {
    {1, 1, 12, 64}, {1, 2, 8, 64}, {2, 3, 20, 1024}, {3, 3, 16, 16384}};
static const struct cache amd_caches[] = {{1, 1, 8, 64}, {1, 2, 8, 64}, {2, 3, 8, 1024}, {3, 3, 16, 32768}};

/* Leaves 4 and 8000_001DH have one form. */
static void add_caches(struct cpu_model *m, u32 leaf, const struct cache c[4], u32 cores_field)
{
    for (unsigned i = 0; i < 4; i++) {
        u32 sharing = c[i].level == 3 ? (leaf == 4 ? (1u << id_bits(m->cpus)) - 1 : m->cpus - 1) : 0;
        add(m, leaf, (int)i, c[i].type | (u32)c[i].level << 5 | 1 << 8 | sharing << 14 | cores_field,
            63 | (u32)(c[i].ways - 1) << 22, c[i].sets - 1, c[i].level == 3 ? 2 : 0);
    }
    add(m, leaf, 4, 0, 0, 0, 0);
}

static void add_vendor(struct cpu_model *m, u32 leaf, u32 max)
{
    if (m->vendor == VENDOR_INTEL)
        add(m, leaf, -1, max, signature_INTEL_ebx, signature_INTEL_ecx, signature_INTEL_edx);
    else
        add(m, leaf, -1, max, signature_AMD_ebx, signature_AMD_ecx, signature_AMD_edx);
}

static void add_topology(struct cpu_model *m)
{
    add(m, 0xb, 0, 0, 1, 0x100, 0);
    add(m, 0xb, 1, id_bits(m->cpus), m->cpus, 0x201, 0);
}

static void add_xsave(struct cpu_model *m)
{
    if (!model_has(m, FEAT_XSAVE))
        return;
    bool avx = m->xcr0_mask & 4;
    u32 size = avx ? 832 : 576;
    add(m, 0xd, 0, (u32)m->xcr0_mask, 576, size, 0);
    add(m, 0xd, 1, feature_bits(m, 0xd, 1, CPUID_EAX), model_has(m, FEAT_XSAVEC) ? 576 : 0, 0, 0);
    if (avx)
        add(m, 0xd, 2, 256, 576, 0, 0);
}

static void add_basic(struct cpu_model *m)
{
    bool intel = m->vendor == VENDOR_INTEL;
    unsigned ids = 1u << id_bits(m->cpus);
    add_vendor(m, 0, intel ? 0x16 : 0xd);
    add(m, 1, -1, signature_of(m), 8 << 8 | (ids > 255 ? 255 : ids) << 16, feature_bits(m, 1, 0, CPUID_ECX),
        feature_bits(m, 1, 0, CPUID_EDX));
    if (intel) {
        add(m, 2, -1, 0x00feff01, 0, 0, 0); /* leaf 4 has the caches, leaf 18H would have the TLBs */
        add_caches(m, 4, intel_caches, (ids > 64 ? 63 : ids - 1) << 26);
    }
    if (model_has(m, FEAT_MONITOR))
        add(m, 5, -1, 64, 64, 3, 0);
    add(m, 6, -1, feature_bits(m, 6, 0, CPUID_EAX), 0, 0, 0);
    add(m, 7, 0, 0, feature_bits(m, 7, 0, CPUID_EBX), feature_bits(m, 7, 0, CPUID_ECX),
        feature_bits(m, 7, 0, CPUID_EDX));
    add_topology(m);
    add_xsave(m);
    if (intel) {
        u32 mhz = (u32)(m->tsc_hz / 1000000);
        add(m, 0x15, -1, (u32)(BUS_HZ / 1000), (u32)(m->tsc_hz / 1000), (u32)BUS_HZ, 0);
        add(m, 0x16, -1, mhz, mhz, 100, 0);
    }
}

enum {
    KVM_CLOCKSOURCE2 = 1 << 3,
    KVM_NOP_IO_DELAY = 1 << 1,
    KVM_MSI_EXT_DEST_ID = 1 << 15,
    KVM_CLOCK_STABLE = 1 << 24
};

static void add_hypervisor(struct cpu_model *m)
{
    if (!model_has(m, FEAT_HYPERVISOR))
        return;
    u32 name[3];
    memcpy(name, "KVMKVMKVM\0\0", 12);
    add(m, 0x40000000, -1, 0x40000010, name[0], name[1], name[2]);
    add(m, 0x40000001, -1, KVM_CLOCKSOURCE2 | KVM_NOP_IO_DELAY | KVM_MSI_EXT_DEST_ID | KVM_CLOCK_STABLE, 0, 0,
        0);
    add(m, 0x40000010, -1, (u32)(m->tsc_hz / 1000), (u32)(BUS_HZ / 1000), 0, 0);
}

static void add_brand(struct cpu_model *m)
{
    char brand[48] = "Droste Virtual CPU (Intel compatible)";
    if (m->vendor == VENDOR_AMD)
        strcpy(brand, "Droste Virtual CPU (AMD compatible)");
    for (unsigned i = 0; i < 3; i++)
        add_text(m, 0x80000002 + i, brand + 16 * i);
}

/* 8000_0021H. EAX: LFENCE serializes, null selectors clear bases, and the weaknesses of its kind that are
 * absent. */
enum { AMD_LFENCE_SERIALIZING = 1 << 2, AMD_NULL_SEL_CLEARS_BASE = 1 << 6, AMD_SRSO_NO = 1 << 29 };
enum { AMD_TSA_SQ_NO = 1 << 1, AMD_TSA_L1_NO = 1 << 2 };
enum { AMD_SSB_NO = 1 << 26, AMD_BTC_NO = 1 << 29 }; /* 8000_0008H EBX */

/* 8000_000AH EDX. APM 3 E.4.9. What is not here is not built. */
enum {
    SVM_NP = 1 << 0,
    SVM_LBR = 1 << 1,
    SVM_LOCK = 1 << 2,
    SVM_NRIP = 1 << 3,
    SVM_TSC_RATIO = 1 << 4,
    SVM_VMCB_CLEAN = 1 << 5,
    SVM_FLUSH_BY_ASID = 1 << 6,
    SVM_DECODE_ASSISTS = 1 << 7,
    SVM_PAUSE_FILTER = 1 << 10,
    SVM_PAUSE_THRESHOLD = 1 << 12,
    SVM_VIRTUAL_VMLOAD = 1 << 15,
    SVM_VIRTUAL_GIF = 1 << 16,
    SVM_VIRTUAL_NMI = 1 << 25,
    SVM_ADDRESS_CHECK = 1 << 28,
    SVM_IDLE_HLT = 1 << 30,
};
enum { SVM_REVISION = 1, SVM_ASIDS = 0x8000 };

static void add_svm(struct cpu_model *m)
{
    if (model_has(m, FEAT_SVM))
        add(m, 0x8000000a, -1, SVM_REVISION, SVM_ASIDS, 0,
            SVM_NP | SVM_LBR | SVM_LOCK | SVM_NRIP | SVM_TSC_RATIO | SVM_VMCB_CLEAN | SVM_FLUSH_BY_ASID |
                SVM_DECODE_ASSISTS | SVM_PAUSE_FILTER | SVM_PAUSE_THRESHOLD | SVM_VIRTUAL_VMLOAD |
                SVM_VIRTUAL_GIF | SVM_VIRTUAL_NMI | SVM_ADDRESS_CHECK | SVM_IDLE_HLT);
}

static void add_amd(struct cpu_model *m)
{
    add_svm(m);
    add(m, 0x80000005, -1, 0xff40ff40, 0xff40ff40, 32u << 24 | 8 << 16 | 1 << 8 | 64,
        32u << 24 | 8 << 16 | 1 << 8 | 64);
    add(m, 0x80000006, -1, 0, 0x60000000 | 0x6000, 512u << 16 | 6 << 12 | 1 << 8 | 64,
        64u << 18 | 8 << 12 | 1 << 8 | 64);
    if (model_has(m, FEAT_TOPOEXT)) {
        add_caches(m, 0x8000001d, amd_caches, 0);
        add(m, 0x8000001e, -1, 0, 0, 0, 0);
    }
    add(m, 0x80000021, -1, AMD_LFENCE_SERIALIZING | AMD_NULL_SEL_CLEARS_BASE | (u32)AMD_SRSO_NO, 0,
        AMD_TSA_SQ_NO | AMD_TSA_L1_NO, 0);
}

static void add_extended(struct cpu_model *m)
{
    bool amd = m->vendor == VENDOR_AMD;
    u32 edx1 = feature_bits(m, 0x80000001, 0, CPUID_EDX), cores = 0,
        ebx8 = feature_bits(m, 0x80000008, 0, CPUID_EBX);
    if (amd) {
        edx1 |= feature_bits(m, 1, 0, CPUID_EDX) & 0x0183f3ff; /* AMD repeats these. APM 3 E.4.2 */
        cores = (m->cpus - 1 > 255 ? 255 : m->cpus - 1) | id_bits(m->cpus) << 12;
        ebx8 |= AMD_SSB_NO | AMD_BTC_NO;
    }
    add_vendor(m, 0x80000000, amd ? 0x80000021 : 0x80000008);
    add(m, 0x80000001, -1, amd ? signature_of(m) : 0, 0, feature_bits(m, 0x80000001, 0, CPUID_ECX), edx1);
    add_brand(m);
    if (amd)
        add_amd(m);
    else
        add(m, 0x80000006, -1, 0, 0, 1280u << 16 | 7 << 12 | 64, 0);
    add(m, 0x80000007, -1, 0, 0, 0, feature_bits(m, 0x80000007, 0, CPUID_EDX));
    add(m, 0x80000008, -1, m->phys_bits | 48 << 8, ebx8, cores, 0);
}

/* IA32_ARCH_CAPABILITIES. SDM 4 table 2-2 */
enum {
    CAP_RDCL_NO = 1 << 0,
    CAP_SKIP_L1DFL = 1 << 3,
    CAP_SSB_NO = 1 << 4,
    CAP_MDS_NO = 1 << 5,
    CAP_PSCHANGE_MC_NO = 1 << 6,
    CAP_TAA_NO = 1 << 8,
    CAP_SBDR_SSDP_NO = 1 << 13,
    CAP_FBSDP_NO = 1 << 14,
    CAP_PSDP_NO = 1 << 15,
    CAP_BHI_NO = 1 << 20,
    CAP_PBRSB_NO = 1 << 24,
    CAP_GDS_NO = 1 << 26,
    CAP_RFDS_NO = 1 << 27,
};
#define CAP_ITS_NO BIT(62)

int cpu_model_build(struct cpu_model *m, enum cpu_vendor v, const char *edits, bool nested, unsigned cpus,
                    u64 tsc_hz, struct err *err)
{
    return cpu_model_build_within(m, v, edits, nested, cpus, tsc_hz, NULL, err);
}

int cpu_model_build_within(struct cpu_model *m, enum cpu_vendor v, const char *edits, bool nested,
                           unsigned cpus, u64 tsc_hz, const struct accel_limits *limits, struct err *err)
{
    memset(m, 0, sizeof(*m));
    m->vendor = v;
    m->cpus = cpus;
    m->tsc_hz = tsc_hz;
    m->phys_bits = v == VENDOR_INTEL ? 46 : 48;
    if (limits && limits->phys_bits < m->phys_bits)
        m->phys_bits = limits->phys_bits;
    if (cpus == 0 || cpus > 255)
        return err_set(err, EXIT_STATUS_USAGE, "a machine has 1 to 255 processors, not %u", cpus);
    if (tsc_hz < 1000000 || tsc_hz >= 1ull << 33)
        return err_set(err, EXIT_STATUS_HOST, "a TSC of %llu Hz cannot be offered; use 1 MHz to 8 GHz",
                       (unsigned long long)tsc_hz);
    if (cpu_features_select(m, edits, nested, limits, err))
        return -1;
    if (cpus > 1)
        cpu_feature_set(m, FEAT_HT, true);
    if (cpus > 1 && v == VENDOR_AMD)
        cpu_feature_set(m, FEAT_CMP_LEGACY, true);
    m->xcr0_mask = 3 | (model_has(m, FEAT_AVX) ? 4 : 0);
    if (v == VENDOR_INTEL)
        m->arch_capabilities = CAP_RDCL_NO | CAP_SKIP_L1DFL | CAP_SSB_NO | CAP_MDS_NO | CAP_PSCHANGE_MC_NO |
                               CAP_TAA_NO | CAP_SBDR_SSDP_NO | CAP_FBSDP_NO | CAP_PSDP_NO | CAP_BHI_NO |
                               CAP_PBRSB_NO | CAP_GDS_NO | CAP_RFDS_NO | CAP_ITS_NO;
    add_basic(m);
    add_hypervisor(m);
    add_extended(m);
    return 0;
}

bool cpu_model_host_vendor(enum cpu_vendor *v)
{
    u32 eax, ebx, ecx, edx;
    if (!__get_cpuid(0, &eax, &ebx, &ecx, &edx))
        return false;
    if (ebx == signature_INTEL_ebx)
        *v = VENDOR_INTEL;
    else if (ebx == signature_AMD_ebx)
        *v = VENDOR_AMD;
    else
        return false;
    return true;
}
