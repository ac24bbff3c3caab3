/* SPDX-License-Identifier: MIT */
/*
 * Which features a model offers. What executes the host's own instruction (NEED_HOST) is offered only where
 * the host processor, and for AVX its operating system, has it. What rests on a missing feature goes with it.
 */
#include "vm/cpu_features.h"

#include <cpuid.h>
#include <stdio.h>

/* Feature, and what it cannot be without. */
static const struct {
    enum feature feature, needs;
} rests_on[] = {
    {FEAT_SSE, FEAT_FXSR},         {FEAT_SSE2, FEAT_SSE},          {FEAT_SSE3, FEAT_SSE2},
    {FEAT_SSSE3, FEAT_SSE3},       {FEAT_SSE41, FEAT_SSSE3},       {FEAT_SSE42, FEAT_SSE41},
    {FEAT_AES, FEAT_SSE2},         {FEAT_PCLMUL, FEAT_SSE2},       {FEAT_SHA, FEAT_SSE2},
    {FEAT_XSAVE, FEAT_FXSR},       {FEAT_AVX, FEAT_XSAVE},         {FEAT_AVX2, FEAT_AVX},
    {FEAT_FMA, FEAT_AVX},          {FEAT_F16C, FEAT_AVX},          {FEAT_VAES, FEAT_AVX},
    {FEAT_VPCLMUL, FEAT_AVX},      {FEAT_BMI1, FEAT_AVX},          {FEAT_BMI2, FEAT_AVX},
    {FEAT_XSAVEOPT, FEAT_XSAVE},   {FEAT_XSAVEC, FEAT_XSAVE},      {FEAT_XGETBV1, FEAT_XSAVE},
    {FEAT_XSAVES, FEAT_XSAVEC},    {FEAT_PCID, FEAT_LM},           {FEAT_INVPCID, FEAT_PCID},
    {FEAT_X2APIC, FEAT_APIC},      {FEAT_TSC_DEADLINE, FEAT_APIC}, {FEAT_RDTSCP, FEAT_TSC},
    {FEAT_TSC_ADJUST, FEAT_TSC},   {FEAT_PDPE1GB, FEAT_LM},        {FEAT_LM, FEAT_PAE},
    {FEAT_XSAVEERPTR, FEAT_XSAVE},
};

static bool host_has(const struct feature_info *f)
{
    u32 r[4];
    if (!__get_cpuid_count(f->leaf, f->subleaf, &r[CPUID_EAX], &r[CPUID_EBX], &r[CPUID_ECX], &r[CPUID_EDX]))
        return false;
    return r[f->reg] >> f->bit & 1;
}

/* The operating system saves YMM state. SDM 1 14.3 */
static bool host_os_avx(void)
{
    u32 eax, ebx, ecx, edx, low, high;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE))
        return false;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}

static bool host_allows(enum feature f, const struct accel_limits *limits)
{
    const struct feature_info *i = &feature_infos[f];
    if (limits)
        return limits->features[f / 64] >> (f % 64) & 1;
    if (i->need != NEED_HOST)
        return true;
    return host_has(i) && (f != FEAT_AVX || host_os_avx());
}

static void drop_dependents(struct cpu_model *m)
{
    for (bool again = true; again;) {
        again = false;
        for (unsigned i = 0; i < ARRAY_SIZE(rests_on); i++) {
            if (!model_has(m, rests_on[i].feature) || model_has(m, rests_on[i].needs))
                continue;
            cpu_feature_set(m, rests_on[i].feature, false);
            again = true;
        }
    }
}

static bool in_model(const struct cpu_model *m, enum feature f)
{
    return m->vendor == VENDOR_INTEL ? feature_infos[f].intel : feature_infos[f].amd;
}

/* Edit distance, small alphabets, names under 32 characters. */
static unsigned distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    unsigned row[40];
    if (la >= ARRAY_SIZE(row) || lb >= ARRAY_SIZE(row))
        return 99;
    for (unsigned j = 0; j <= lb; j++)
        row[j] = j;
    for (unsigned i = 1; i <= la; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= lb; j++) {
            unsigned above = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[lb];
}

static int unknown(const char *name, struct err *err)
{
    char near[200] = "";
    size_t used = 0;
    for (int f = FEAT_NONE + 1; f < FEAT_COUNT; f++) {
        const char *n = feature_infos[f].name;
        bool close = distance(name, n) <= 2 || (strlen(name) >= 3 && (strstr(n, name) || strstr(name, n)));
        if (close && used + strlen(n) + 3 < sizeof(near))
            used += (size_t)sprintf(near + used, "%s%s", used ? ", " : "", n);
    }
    if (used)
        return err_set(err, EXIT_STATUS_USAGE, "unknown CPU feature '%s'; near names: %s", name, near);
    return err_set(
        err, EXIT_STATUS_USAGE,
        "unknown CPU feature '%s'; names are those of the flags line in /proc/cpuinfo, such as avx2", name);
}

static const char *vendor_name(const struct cpu_model *m)
{
    return m->vendor == VENDOR_INTEL ? "intel" : "amd";
}

static int add(struct cpu_model *m, enum feature f, bool nested, const struct accel_limits *limits,
               struct err *err)
{
    const char *name = feature_infos[f].name;
    if (feature_infos[f].need == NEED_NESTED && in_model(m, f) && !nested)
        return err_set(err, EXIT_STATUS_USAGE,
                       "CPU feature '%s' comes with virtualization extensions; use --nested on", name);
    /* A vendor's list holds what we can do; the optional ones outside it are named here. */
    bool optional = f == FEAT_MONITOR || f == FEAT_VAES || f == FEAT_VPCLMUL;
    if (!in_model(m, f) && !optional)
        return err_set(err, EXIT_STATUS_USAGE,
                       "CPU feature '%s' is not available in the %s model; leave it out", name,
                       vendor_name(m));
    if (!host_allows(f, limits))
        return err_set(err, EXIT_STATUS_USAGE,
                       "CPU feature '%s' needs a host processor that has it; leave it out", name);
    cpu_feature_set(m, f, true);
    return 0;
}

static int edit_one(struct cpu_model *m, const char *item, bool nested, const struct accel_limits *limits,
                    struct err *err)
{
    if (*item != '+' && *item != '-')
        return err_set(err, EXIT_STATUS_USAGE, "CPU feature '%s' wants a + or - in front of its name", item);
    enum feature f = feature_by_name(item + 1);
    if (f == FEAT_NONE)
        return unknown(item + 1, err);
    if (*item == '+')
        return add(m, f, nested, limits, err);
    if (f == FEAT_FPU || f == FEAT_MSR || f == FEAT_APIC || f == FEAT_HT)
        return err_set(err, EXIT_STATUS_USAGE,
                       "CPU feature '%s' cannot be taken away: the machine rests on it", item + 1);
    cpu_feature_set(m, f, false);
    return 0;
}

static int edit(struct cpu_model *m, const char *edits, bool nested, const struct accel_limits *limits,
                struct err *err)
{
    char item[64];
    while (*edits) {
        size_t len = strcspn(edits, ",");
        if (len >= sizeof(item))
            return err_set(err, EXIT_STATUS_USAGE, "a CPU feature's name is at most %zu characters long",
                           sizeof(item) - 2);
        memcpy(item, edits, len);
        item[len] = 0;
        if (len && edit_one(m, item, nested, limits, err))
            return -1;
        edits += len + (edits[len] == ',');
    }
    return 0;
}

/* What was asked for by name must not vanish silently. */
static int check_kept(const struct cpu_model *m, const char *edits, struct err *err)
{
    for (int f = FEAT_NONE + 1; f < FEAT_COUNT; f++) {
        char item[64];
        snprintf(item, sizeof(item), "+%s", feature_infos[f].name);
        const char *at = strstr(edits, item);
        if (!at || model_has(m, f) || (at[strlen(item)] && at[strlen(item)] != ','))
            continue;
        for (unsigned i = 0; i < ARRAY_SIZE(rests_on); i++)
            if (rests_on[i].feature == (enum feature)f && !model_has(m, rests_on[i].needs))
                return err_set(err, EXIT_STATUS_USAGE,
                               "CPU feature '%s' needs '%s'; add that or leave both out",
                               feature_infos[f].name, feature_infos[rests_on[i].needs].name);
    }
    return 0;
}

void cpu_features_missing(enum cpu_vendor v, const struct accel_limits *limits, char *buf, size_t len)
{
    size_t used = 0;
    *buf = 0;
    for (int f = FEAT_NONE + 1; f < FEAT_COUNT; f++) {
        const struct feature_info *i = &feature_infos[f];
        bool ours = (v == VENDOR_INTEL ? i->intel : i->amd) && i->need != NEED_NESTED;
        if (ours && !host_allows(f, limits) && used + strlen(i->name) + 2 < len)
            used += (size_t)sprintf(buf + used, "%s%s", used ? " " : "", i->name);
    }
}

int cpu_features_select(struct cpu_model *m, const char *edits, bool nested,
                        const struct accel_limits *limits, struct err *err)
{
    if (nested && limits && limits->no_nested[m->vendor][0])
        return err_set(err, EXIT_STATUS_NO_ENGINE, "--nested on: %s", limits->no_nested[m->vendor]);
    memset(m->features, 0, sizeof(m->features));
    for (int f = FEAT_NONE + 1; f < FEAT_COUNT; f++) {
        bool on =
            in_model(m, f) && host_allows(f, limits) && (feature_infos[f].need != NEED_NESTED || nested);
        cpu_feature_set(m, f, on);
    }
    if (edits && edit(m, edits, nested, limits, err))
        return -1;
    drop_dependents(m);
    return edits ? check_kept(m, edits, err) : 0;
}
