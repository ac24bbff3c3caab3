/* SPDX-License-Identifier: MIT */
/*
 * Nested virtualization's seam: how VMX and SVM join the processor.
 *
 * The CPU knows root and non-root operation only (VMX's words; SVM's host and guest mode). c->nested is NULL
 * while virtualization extensions are hidden. While c->nested->guest is set, the processor asks `ops` at
 * every place where the architecture may leave to the hypervisor:
 *   - an instruction whose row says ATTR_EXIT, before it runs (insn); blocks are decoded for root and
 * non-root apart
 *   - a fault about to be delivered, and an instruction or event that a second-dimension walk stopped (fault)
 *   - an instruction boundary with something pending (boundary), a triple fault, INIT
 *   - a guest-physical address on its way to memory (translate)
 * One function per vendor crosses the levels in each direction. Crossing flushes nothing: TLB contexts are
 * tagged.
 *
 * A crossing sets c->rip and c->regs[REG_RIP] and ends with cpu_mode_changed(); its caller returns END.
 */
#ifndef CPU_NESTED_NESTED_H
#define CPU_NESTED_NESTED_H

#include "cpu/cpu.h"
#include "cpu/system.h"
#include "cpu/task.h"
#include "x86/nested_event.h"

/* One access on its way through the second dimension. */
struct second_access {
    bool read, write, fetch;
    bool user;         /* the linear access was a user access (and for table walks: always by SVM's rule) */
    bool table;        /* to a guest paging-structure entry */
    u8 size;           /* bytes, when at most 8; else 0 */
    bool linear_valid; /* linear holds the address that caused it */
    bool peek;         /* a debugger's: needs no rights, has no effect, FAULT says only that there is none */
    u64 linear;
};

/* Where a guest-physical address lies. */
struct second_found {
    u64 at;
    u8 may;   /* SECOND_* (second.h): what needs no further look there */
    u8 shift; /* log2 of how much around it, aligned, is translated in the same way */
};

struct nested_ops {
    const char *name;
    const struct state_desc *state; /* of the vendor's struct; NULL: saved elsewhere */
    /* DONE: not intercepted, run it. END: the exit was taken. FAULT: this fault comes first. */
    enum outcome (*insn)(struct cpu *c, const struct insn *in);
    /* f is about to be delivered (or f->exit: translate() stopped the access). during: the event whose
     * delivery met it, or NULL. True: the exit was taken. Always true for f->exit. */
    bool (*fault)(struct cpu *c, const struct fault *f, const struct event *during);
    /* At a boundary, after traps, with REQ_* r and the shadow of the last instruction. END: exit taken or
     * event delivered; DONE: the processor goes on with NMI and INTR itself; AGAIN: neither may be delivered
     * now. */
    enum outcome (*boundary)(struct cpu *c, unsigned r, u8 shadow);
    bool (*due)(struct cpu *c);          /* boundary() would do something: wakes a halted guest */
    bool (*triple_fault)(struct cpu *c); /* true: exit taken */
    bool (*task_switch)(struct cpu *c,
                        const struct task_switch *t); /* checked; true: exit taken. May be NULL */
    bool (*init)(struct cpu *c);                      /* INIT in non-root operation; true: exit taken */
    /* A waiting x87 instruction met an unmasked exception with CR0.NE clear: DONE, or FAULT with
     * c->fault.exit set. NULL: nothing comes of it. */
    enum outcome (*fpu_error)(struct cpu *c);
    bool (*sipi)(struct cpu *c); /* start-up IPI that would end wait-for-SIPI; the same; may be NULL */
    /* At a boundary with c->stepping TAKEN, before traps: true: exit taken. Who sets `stepping` has it. */
    bool (*stepped)(struct cpu *c, unsigned r);
    /* Guest-physical to the machine's physical. DONE with *f, END for the same that holds for this access
     * alone, or FAULT with c->fault.exit set and the details kept for fault(). */
    enum outcome (*translate)(struct cpu *c, u64 gpa, const struct second_access *a, struct second_found *f);
};

/* What in non-root operation does as outside of it: nothing is intercepted nor any value another. */
enum {
    NESTED_PLAIN_RDTSC = 1,
    NESTED_PLAIN_RDTSCP = 2,
    NESTED_PLAIN_PUSHF = 4,
    NESTED_PLAIN_READ_CR2 = 8,
    NESTED_PLAIN_READ_CR3 = 16,
};

struct vmx;
struct svm;
struct second_cache;

struct nested_state {
    const struct nested_ops *ops;
    bool guest;                        /* non-root operation */
    bool second;                       /* EPT or nested paging is on in it */
    bool iret_keeps_nmi;               /* IRET leaves NMI blocking alone: NMIs are the hypervisor's */
    bool gif;                          /* SVM's global interrupt flag; always true on the Intel model */
    u64 second_root;                   /* EPTP or nCR3: the TLB tag */
    struct second_cache *translations; /* second.h */
    u32 asid;                          /* VPID or ASID: the TLB tag */
    u32 plain;                         /* NESTED_PLAIN_* of the guest that runs */
    u64 deadline; /* the guest leaves when it reads the time from here on, by the machine's clock; CLOCK_NEVER
                   */
    u64 *pdpte;   /* four PDPTE registers that PAE paging uses (EPT), or NULL: from memory at every walk */
    u64 entries;  /* successful VM entries; this and the next two: any thread reads them, atomically */
    u64 last_entry;            /* clock_now() of the last one */
    bool operation;            /* vmx_operation() or svm_operation() */
    struct nested_trace trace; /* trace.h */
    u64 trace_time;            /* the newest that an event of this vCPU has taken */
    bool own_ring;
    u8 told;         /* enum nested_told bits: what was said already */
    struct vmx *vmx; /* one of the two */
    struct svm *svm;
};

static inline bool nested_guest(const struct cpu *c)
{
    return unlikely(c->nested != NULL) && c->nested->guest;
}

/* Nothing wants to be asked at every boundary any more. */
static inline void nested_withdraw_look(struct cpu *c)
{
    if (atomic_load_explicit(&c->requests, memory_order_relaxed) & REQ_NESTED)
        atomic_fetch_and(&c->requests, ~(unsigned)REQ_NESTED);
}

/* For a CPU whose model has VMX or SVM; others get none. trace: copied. 0, or -1 without memory. */
int nested_new(struct cpu *c, const struct nested_trace *trace);
void nested_free(struct cpu *c);
void nested_reset(struct cpu *c); /* reset and INIT leave non-root operation and forget everything */

/* The vendor's state beside the processor's own, which is loaded first. Nothing without one. */
void nested_save(struct cpu *c, struct state_image *img);
int nested_load(struct cpu *c, const struct state_image *img, struct err *err);

/* For a debugger. */
struct nested_view {
    bool vmx, svm;  /* what the model offers; neither: the rest is zero */
    bool operation; /* VMXON was executed; EFER.SVME and VM_HSAVE_PA are set */
    u64 region;     /* VMXON pointer, VM_HSAVE_PA */
    u64 control;    /* the current VMCS or the VMCB that runs; ~0: none */
    u64 entries;
};
void nested_view(const struct cpu *c, struct nested_view *out);

/* The first refusal of each kind is told, a line naming the check: a hypervisor's author has only a
 * number. Later ones are silent. */
enum nested_told { TOLD_ENTRY = 1, TOLD_INSN = 2 };
void nested_tell(struct cpu *c, enum nested_told kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether an L1 hypervisor runs guests now: virtualization is switched on in it, and it entered a guest in
 * the last 60 seconds. Any thread, while the vCPU runs. */
bool nested_active(const struct cpu *c);
/* Call after what vmx_operation() and svm_operation() look at has changed. */
void nested_operation_changed(struct cpu *c);

/* Bits of CR0 and CR4 that VMX operation fixes. */
bool nested_cr0_allowed(const struct cpu *c, u64 v);
bool nested_cr4_allowed(const struct cpu *c, u64 v);

bool nested_blocks_init(const struct cpu *c); /* VMX root operation does, and a guest waiting for a SIPI */

/* Before these control registers are loaded with new values: loads the PDPTE registers if PAE paging will use
 * them. DONE, or FAULT. SDM 3A 4.4.1 */
enum outcome nested_load_pdptes(struct cpu *c, u64 cr0, u64 cr3, u64 cr4);

/* The meaning of every ATTR_EXIT row in non-root operation. */
enum outcome nested_insn(struct cpu *c, const struct insn *in);

/* Each vendor's state. vmx_new() and svm_new() set c->nested->ops. */
int vmx_new(struct cpu *c);
void vmx_free(struct cpu *c);
void vmx_reset(struct cpu *c);
bool vmx_operation(const struct cpu *c); /* between VMXON and VMXOFF */
void vmx_view(const struct cpu *c, struct nested_view *out);
int svm_new(struct cpu *c);
void svm_free(struct cpu *c);
void svm_reset(struct cpu *c);
bool svm_operation(const struct cpu *c); /* EFER.SVME and VM_HSAVE_PA set */
u64 svm_tsc_ratio(const struct cpu *c);  /* struct cpu's guest_tsc_ratio by the TSC_RATIO MSR */
void svm_view(const struct cpu *c, struct nested_view *out);

#endif
