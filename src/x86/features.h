/* SPDX-License-Identifier: MIT */
/* CPU features by name: CPUID places, which model has them, what they need. Source: features.def. */
#ifndef X86_FEATURES_H
#define X86_FEATURES_H

#include "base/types.h"

enum cpu_vendor { VENDOR_INTEL, VENDOR_AMD };
enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

enum feature {
    FEAT_NONE,
#define FEATURE(name, text, leaf, subleaf, reg, bit, intel, amd, need) FEAT_##name,
#include "x86/features.def"
#undef FEATURE
    FEAT_COUNT
};

/* What an offered feature rests on. */
enum feature_need {
    NEED_NOTHING, /* ours alone */
    NEED_HOST,    /* its instructions execute on the host: absent there, absent here and #UD */
    NEED_NESTED,  /* offered only with virtualization extensions exposed */
};

struct feature_info {
    const char *name; /* as /proc/cpuinfo spells it; --cpu-features takes it */
    u32 leaf, subleaf;
    u8 reg, bit;
    bool intel, amd; /* in that vendor's model by default */
    u8 need;
};

extern const struct feature_info feature_infos[FEAT_COUNT];

/* Enum value by name, or FEAT_NONE. */
enum feature feature_by_name(const char *name);

#endif
