/* SPDX-License-Identifier: MIT */
/* The feature table, expanded from features.def. */
#include "x86/features.h"

const struct feature_info feature_infos[FEAT_COUNT] = {
#define FEATURE(name, text, leaf, subleaf, reg, bit, intel, amd, need)                                       \
    [FEAT_##name] = {text, leaf, subleaf, reg, bit, intel, amd, need},
#include "x86/features.def"
#undef FEATURE
};

enum feature feature_by_name(const char *name)
{
    for (int f = FEAT_NONE + 1; f < FEAT_COUNT; f++)
        if (!strcmp(feature_infos[f].name, name))
            return (enum feature)f;
    return FEAT_NONE;
}
