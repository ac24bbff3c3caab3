/* SPDX-License-Identifier: MIT */
/* A model's feature set: the vendor's list, less what the host lacks, edited by the user. */
#ifndef VM_CPU_FEATURES_H
#define VM_CPU_FEATURES_H

#include "accel/accel.h"
#include "base/err.h"
#include "cpu/model.h"

/* Fills m->features; m->vendor is set. limits: of the engine's host; NULL: our own processor's. */
int must_check cpu_features_select(struct cpu_model *m, const char *edits, bool nested,
                                   const struct accel_limits *limits, struct err *err);

/* The names of what a vendor's model has and the limits take away, separated by spaces. */
void cpu_features_missing(enum cpu_vendor v, const struct accel_limits *limits, char *buf, size_t len);

static inline void cpu_feature_set(struct cpu_model *m, enum feature f, bool on)
{
    u64 bit = BIT(f % 64);
    m->features[f / 64] = on ? m->features[f / 64] | bit : m->features[f / 64] & ~bit;
}

#endif
