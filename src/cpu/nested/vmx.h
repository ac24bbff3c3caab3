/* SPDX-License-Identifier: MIT */
/*
 * VMX, inside: one vCPU's state and what its files promise each other.
 *
 * `v` is the current VMCS, which the processor holds from its first use until another becomes current or it
 * is cleared: VMREAD, VMWRITE, entries and exits all work on it, and nothing on its page. Only vmx_enter()
 * and vmx_exit() change between root and non-root operation.
 */
#ifndef CPU_NESTED_VMX_H
#define CPU_NESTED_VMX_H

#include "cpu/nested/nested.h"
#include "cpu/nested/trace.h"
#include "cpu/nested/vmcs.h"

/* Why and how the guest stopped. What an exit has no use for stays 0. */
struct vmx_exit {
    u32 reason;              /* enum vmx_reason */
    u32 info, error;         /* VM-exit interruption information */
    u32 idt_info, idt_error; /* IDT-vectoring information */
    u32 length, insn_info;
    bool rf; /* the saved RFLAGS image has RF: faults */
    u64 qualification, linear, physical;
};

/* What translate() stopped, until fault() comes for it. */
struct second_fault {
    u32 reason;
    u64 qualification, linear, physical;
};

struct vmx {
    struct cpu *cpu;
    bool on;
    bool host_nmi_blocked; /* while virtual NMIs are on in the guest */
    u64 vmxon, current;    /* pointers; current: VMCS_NONE */
    bool held;             /* v is the current one; else its page is, if there is one */
    bool checked_v86;      /* RFLAGS.VM when all checks passed */
    struct vmcs v;
    struct timer timer; /* of struct nested_state's deadline, the preemption timer's */
    struct second_fault second;
    bool trap_flag;       /* a VM exit is due when c->stepping is TAKEN */
    bool virtual_pending; /* a pending virtual interrupt is recognized */
    u16 apic_write;       /* virtualized write to be emulated at the boundary: 1 + its offset; 0: none */
    bool pause_seen;      /* since VM entry, at CPL 0 */
    u64 pause_first, pause_last; /* host's TSC at the first PAUSE of a loop, at the latest */
    unsigned failed;             /* the row the last entry failed, or 0 */
    u8 saved_stepping;           /* struct cpu's */
    bool saved_guest;            /* struct nested_state's, as a saved state holds them */
    u64 saved_entries, saved_last_entry, saved_deadline;
};

static inline struct vmx *vmx_of(const struct cpu *c)
{
    return c->nested->vmx;
}

/* Interruption information fields. SDM 3C tables 24-15, 24-16, 24-17 */
enum {
    INTR_EXTERNAL = 0,
    INTR_NMI = 2,
    INTR_HARDWARE = 3,
    INTR_SOFT_INT = 4,
    INTR_PRIVILEGED = 5,
    INTR_SOFT_EXCEPTION = 6,
    INTR_OTHER = 7,
    INTR_ERROR_VALID = 1 << 11,
    INTR_NMI_UNBLOCKING = 1 << 12,
};
#define INTR_VALID   (1u << 31)
#define ENTRY_FAILED (1u << 31)

/* Interruptibility and activity. SDM 3C tables 24-3, 24.4.2 */
enum { BLOCK_STI = 1, BLOCK_MOV_SS = 2, BLOCK_SMI = 4, BLOCK_NMI = 8 };
enum { ACTIVITY_ACTIVE, ACTIVITY_HLT, ACTIVITY_SHUTDOWN, ACTIVITY_WAIT_SIPI };

/* VM-instruction errors: ERR_*. ERR_INVALID: VMfailInvalid. */
enum vmx_error {
#define VMX_ERROR(number, name, text) ERR_##name = number,
#include "x86/vmx_errors.def"
#undef VMX_ERROR
};

/* vmx.c: the current VMCS, or NULL without one (or without RAM where it should be). */
struct vmcs *vmx_current(struct cpu *c);
/* Another becomes current, or none (VMCS_NONE). */
void vmx_set_current(struct cpu *c, u64 pointer);

/* vmx_entry.c: VMLAUNCH and VMRESUME once their operands are settled. END, or DONE after a VMfail. */
enum outcome vmx_enter(struct cpu *c, bool launch);
/* vmx_exit.c: to root operation. */
void vmx_exit(struct cpu *c, const struct vmx_exit *x);
/* A VM entry that failed once guest state was being checked: nothing of the guest is saved. check: what did
 * not hold. */
void vmx_entry_failure(struct cpu *c, u32 reason, u64 qualification, const char *check);
void vmx_set_nested(struct cpu *c); /* vmx_entry.c: what of struct nested_state follows from the VMCS */

/* Rows of x86/vmx_checks.def, from 1: controls, then host state, then guest state. */
enum vmx_check {
    VMX_CHECK_NONE,
#define VMX_CHECK(name, text, qualification, more) VMX_CHECK_##name,
#include "x86/vmx_checks.def"
#undef VMX_CHECK
    VMX_CHECK_END,
    VMX_CHECK_HOST = VMX_CHECK_host_cr0,
    VMX_CHECK_GUEST = VMX_CHECK_guest_cr0,
};
const char *vmx_check_text(unsigned row);

/* VM-entry checks of the current VMCS, in the manual's order: 0, or the VMfail number. x->failed: the row.
 * Rows that passed are looked at again when something was written that they depend on. */
unsigned vmx_check_controls_and_host(struct cpu *c, struct vmx *x);
/* True: good, and so it stays for what is not written. Else *qualification. */
bool vmx_check_guest(struct cpu *c, struct vmx *x, u64 *qualification);
bool vmx_host_state_valid(struct cpu *c, struct vmx *x); /* of a loaded state */
bool vmx_eptp_valid(const struct cpu *c, u64 eptp);

/* VM-entry and VM-exit MSR areas. 0, or the number (from 1) of the entry that failed. */
u32 vmx_load_msrs(struct cpu *c, u64 area, u32 count);
u32 vmx_store_msrs(struct cpu *c, u64 area, u32 count);

/* The VM exit of an instruction that is done (a trap): RIP behind it. */
void vmx_exit_behind(struct cpu *c, u32 reason, u64 qualification);

/* vmx_intercept.c */
enum outcome vmx_insn(struct cpu *c, const struct insn *in);
u32 vmx_plain(const struct vmcs *v); /* vmx_intercept.c: NESTED_PLAIN_* by the VM-execution controls */

/* vmx_event.c */
bool vmx_fault(struct cpu *c, const struct fault *f, const struct event *during);
enum outcome vmx_boundary(struct cpu *c, unsigned r, u8 shadow);
bool vmx_due(struct cpu *c);
bool vmx_timer_over(const struct cpu *c); /* the preemption timer has run out */
/* REQ_INTR for what came while nobody could take it: at each crossing. */
void vmx_ask_interrupt(struct cpu *c);
/* The host's timer fires at the deadline or before. At exits it is left as it is, since the next deadline is
 * mostly a later one: one that fires for nothing is forgotten. On the vCPU's thread. */
void vmx_keep_timer(struct cpu *c);
/* REQ_NESTED as windows, timer and threshold need it. */
void vmx_arm(struct cpu *c, bool timer_over);
/* A boundary with c->stepping TAKEN: true: exit taken. */
bool vmx_stepped(struct cpu *c, unsigned r);

/* vmx_apic.c: the virtual APIC. Those that return bool: true: the VM exit, a trap, was taken. */
u8 vmx_vtpr(struct cpu *c);
bool vmx_write_cr8(struct cpu *c, u64 value);
bool vmx_apic_msr_read(struct cpu *c, u32 number, u64 *value); /* true: virtualized */
/* DONE: not virtualized. END: done, the VM exit taken perhaps. FAULT: #GP(0). */
enum outcome vmx_apic_msr_write(struct cpu *c, u32 number, u64 value);
/* An access to the APIC-access page at this offset of it: whether the virtual-APIC page serves it. A write is
 * then emulated at the next boundary. */
bool vmx_apic_virtualized(struct cpu *c, u32 offset, unsigned size, bool write);
bool vmx_apic_emulate_write(struct cpu *c);
void vmx_apic_enter(struct cpu *c); /* at VM entry */
/* Takes the pending virtual interrupt to its handler: event_deliver()'s outcome or what came of its fault. */
enum outcome vmx_deliver_virtual(struct cpu *c);
void vmx_take_posted(struct cpu *c); /* posted-interrupt processing */

/* ept.c */
void vmx_select_eptp(struct cpu *c, u64 eptp); /* the second dimension's root from now on */
enum outcome vmx_translate(struct cpu *c, u64 gpa, const struct second_access *a, struct second_found *f);

/* vmx_caps.c: what IA32_VMX_* say. */
u32 vmx_must_be_1(enum vmcs_field group); /* with the TRUE MSRs */
u32 vmx_may_be_1(enum vmcs_field group);
enum { VMX_EPTP_SWITCHING = 1, VMX_FUNCTIONS = VMX_EPTP_SWITCHING }; /* VM-function controls */
enum { VMX_CR3_TARGETS = 4, VMX_TIMER_SHIFT = 5, VMX_MSR_LIST_MAX = 512 };

/* VMsucceed and VMfail. SDM 3C 30.2. The first VMfail of a vCPU is told: its hypervisor's author
 * has only a number. insn: who failed; check: what did not hold, NULL for the number's own words. */
void vmx_succeed(struct cpu *c);
void vmx_fail(struct cpu *c, const char *insn, enum vmx_error error, const char *check);

#endif
