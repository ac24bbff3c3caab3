/* SPDX-License-Identifier: MIT */
/* Building a struct cpu_model: what the guest's CPUID says, from features.def, the host and the user's edits.
 */
#ifndef VM_CPU_MODEL_H
#define VM_CPU_MODEL_H

#include "accel/accel.h"
#include "base/err.h"
#include "cpu/model.h"

/* edits: NULL or "[+-]NAME,..." in /proc/cpuinfo's spelling. 0, or -1 and err (an unknown name, a feature
 * that this host or this model cannot have). */
int must_check cpu_model_build(struct cpu_model *m, enum cpu_vendor v, const char *edits, bool nested,
                               unsigned cpus, u64 tsc_hz, struct err *err);
/* The same within what an engine's host can offer. */
int must_check cpu_model_build_within(struct cpu_model *m, enum cpu_vendor v, const char *edits, bool nested,
                                      unsigned cpus, u64 tsc_hz, const struct accel_limits *limits,
                                      struct err *err);
/* The host processor's vendor; false when it is neither. */
bool cpu_model_host_vendor(enum cpu_vendor *v);

#endif
