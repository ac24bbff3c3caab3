/* SPDX-License-Identifier: MIT */
/*
 * What the seam tells about itself: one call where the levels are crossed or a crossing fails, which fills a
 * record of the vCPU's ring (x86/nested_event.h) and shows it to whoever listens for its kind. The calls cost
 * some stores and no more while nobody does; they never fail, allocate or format. On the vCPU's thread.
 */
#ifndef CPU_NESTED_TRACE_H
#define CPU_NESTED_TRACE_H

#include "cpu/cpu.h"
#include "x86/nested_event.h"

struct vmx_exit;
struct svm_exit;

/* A VM entry succeeded; guest state is loaded, nothing injected yet. event: what will be, or 0. Counts it and
 * takes the time. */
void nested_entered(struct cpu *c, u64 event);
/* Before the guest's state is left. */
void nested_trace_vmx_exit(struct cpu *c, const struct vmx_exit *x);
void nested_trace_svm_exit(struct cpu *c, const struct svm_exit *x);
/* insn: who failed; check: what did not hold, or NULL. Both are copied. */
void nested_trace_vmfail(struct cpu *c, const char *insn, unsigned error, const char *check);
/* An entry that ended as an exit. why: the check that failed, or NULL. */
void nested_trace_refused(struct cpu *c, u64 code, u64 qualification, const char *why);
void nested_trace_abort(struct cpu *c, u32 indicator);
/* f is delivered to a guest whose hypervisor does not intercept it. */
void nested_trace_guest_fault(struct cpu *c, const struct fault *f);
/* For `return nested_trace_fault(c, fault_gp0(c))`: c->fault is a VMX or SVM instruction's in root mode. */
enum outcome nested_trace_fault(struct cpu *c, enum outcome fault);
/* A second-dimension walk stops an access: entries read, from the root on. */
void nested_trace_walk(struct cpu *c, u64 code, u64 info1, u64 gpa, const u64 *entry, unsigned depth);

#endif
