/* SPDX-License-Identifier: MIT */
/*
 * The software processor: one vCPU's architectural state and the promise of its parts to each other.
 *
 * Where state lives. In `struct cpu`, vector and x87 registers included (vec, x87, mxcsr), whenever C runs:
 * all C code, libc and devices among it, may use the host's vector registers freely. Translated code keeps it
 * in the host's registers between its own ways in and out (jit/frame.h, jit/runtime.c, jit/lower_vec.c).
 *
 * Arithmetic flags live in `fl` in the shape LAHF and SETO give them (FL_*), because meanings execute the
 * host's own instruction; all other RFLAGS bits live in `rflags`. Use cpu_rflags() and cpu_set_rflags() for
 * the whole.
 *
 * A meaning is a C function `enum outcome f(struct cpu *, const struct insn *)`. While it runs, c->rip is the
 * instruction's own address and regs[REG_RIP] the next one's; a branch stores regs[REG_RIP]. It returns FAULT
 * having changed nothing but c->fault; it never longjmps. String instructions change state by whole
 * iterations and return AGAIN to be run once more.
 *
 * Threads. A vCPU's state belongs to the thread that runs it. Others touch only `requests` (atomic), through
 * cpu_request(), and everything while the world is stopped (cpu/world.h).
 */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/state.h"
#include "cpu/apic_port.h"
#include "cpu/debug_point.h"
#include "mem/space.h"
#include "x86/features.h"
#include "x86/flags.h"
#include "x86/insn.h"
#include "x86/nested_event.h"

/* Arithmetic flags as `lahf; seto %al` leaves them in AX. */
enum { FL_OF = 1 << 0, FL_CF = 1 << 8, FL_PF = 1 << 10, FL_AF = 1 << 12, FL_ZF = 1 << 14, FL_SF = 1 << 15 };

enum outcome {
    DONE,     /* go on with regs[REG_RIP] */
    FAULT,    /* c->fault holds it; nothing else changed */
    END,      /* done, and decoding, paging, mode or pending events may have changed: leave the block */
    AGAIN,    /* done in part (REP): run the same instruction again after looking at requests */
    HALTED,   /* done, and the vCPU waits for an event (HLT, MWAIT) */
    SHUTDOWN, /* triple fault */
    LEAVE,    /* done, and cpu_run() must return to its caller (debugger, stop request) */
};

struct fault {
    u8 vector;
    bool has_error;
    bool software;      /* INT n, INT3, INTO: RIP pushed is the next one's, DPL checked */
    bool exit;          /* nested/: it is an exit, not an exception; the details are its own */
    bool nmi_unblocked; /* of an IRET that had unblocked NMIs before it faulted */
    bool noncanonical;  /* #GP(0) for an address: becomes #SS(0) when the access went through SS */
    u32 error;
    u64 cr2; /* of #PF */
    u64 dr6; /* of #DB: bits to set */
};

/* One event on its way through IDT or IVT. */
enum event_kind { EVENT_EXTERNAL, EVENT_EXCEPTION, EVENT_INT_N, EVENT_INT3, EVENT_INT1 };
struct event {
    u8 vector;
    enum event_kind kind;
    bool has_error;
    bool set_rf; /* fault-class: RF in the image, so that the restarted instruction does not hit its
                    breakpoint again */
    u32 error;
    u64 rip; /* pushed */
};

struct segment {
    u64 base;
    u32 limit; /* in bytes, granularity applied */
    u32 attr;  /* SEG_* */
    u16 sel;
};

struct dtable {
    u64 base;
    u16 limit;
};

/* c->requests bits: set by any thread, looked at between blocks. */
enum {
    REQ_INTR = 1, /* the local APIC (or PIC) has something: ask apic_port */
    REQ_NMI = 2,
    REQ_INIT = 4,
    REQ_SIPI = 8,
    REQ_WORLD = 16, /* stop at the safepoint, cpu/world.h */
    REQ_LEAVE = 32, /* cpu_run() returns LEAVE */
    REQ_SMI = 64,
    REQ_NESTED = 128, /* nested/ wants to be asked at every boundary */
};

/* c->code_mode: bits beside enum decode_mode. */
enum { CODE_MODE_MASK = 3, CODE_GUEST = 4 };

enum cpu_activity { CPU_ACTIVE, CPU_HLT, CPU_SHUTDOWN_STATE, CPU_WAIT_SIPI };

/* c->shadow: what the last instruction holds back for one instruction. SDM 3A 6.8.3 */
enum { SHADOW_STI = 1, SHADOW_MOV_SS = 2 };

/* c->stepping. TAKEN: an instruction ran, or an event was delivered, since it was WANTED. */
enum cpu_stepping { STEP_OFF, STEP_WANTED, STEP_TAKEN };

struct tlb;
struct code_cache;
struct world;
struct cpu_model;
struct host_insns;
struct jit_port;
struct nested_state;
struct debug_points;

/* struct cpu's guest_tsc_ratio */
#define TSC_RATIO_1 BIT(48)

struct cpu {
    /* Hot: the interpreter's and the translator's every-instruction state. Offsets are the translator's ABI.
     */
    u64 regs[REG_COUNT];
    u64 rip;
    u16 fl; /* FL_* */
    u8 cpl;
    u8 mode;              /* enum decode_mode, of CS, EFER and CR0 */
    u8 user_index;        /* which TLB access class data accesses use now: enum tlb_class */
    u8 shadow;            /* SHADOW_* */
    u8 code_dirty;        /* this vCPU wrote decoded code or reached a device: leave the block */
    u8 activity;          /* enum cpu_activity */
    u8 code_mode;         /* what decoded code depends on: mode, and CODE_GUEST */
    u8 stepping;          /* enum cpu_stepping: nested/ wants to be asked right behind one instruction */
    atomic_uint requests; /* REQ_* */
    atomic_uchar poll;    /* a request came: translated code, which looks at nothing else, comes back */
    u64 rflags;           /* all but the arithmetic flags, which read as 0 here; bit 1 set */
    struct tlb *tlb;
    u64 retired;    /* instructions completed since creation; one with REP counts once */
    u64 budget_end; /* retired value at which a block must not start: icount deadlines */

    /* Segments, tables, control. */
    struct segment seg[SEG_COUNT];
    struct dtable gdtr, idtr;
    u64 cr0, cr2, cr3, cr4, efer, xcr0, xss;
    u64 dr[4], dr6, dr7;

    /* MSRs with a field of their own; everything else is in msr.def's storage. */
    u64 star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux, pat;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 tsc_offset, tsc_adjust;
    /* RDTSC gives tsc_host() times ratio (16.48 fixed point) plus offset: 1 and 0 in root operation. */
    u64 guest_tsc_ratio, guest_tsc_offset;
    struct clock_line time; /* of the last RDTSC; none where the TSC is not the clock's nanoseconds */
    const atomic_uint *clock_changes;
    u64 *msr_store; /* by msr.def row; see cpu/msr.h */

    /* Vector and x87 state. */
    u8 vec[16][32] __attribute__((aligned(32))); /* YMM0-15 */
    u8 x87[512] __attribute__((aligned(64)));    /* FXSAVE64 image; its XMM part and MXCSR are not used */
    u32 mxcsr;

    struct fault fault;
    u64 pending_dr6; /* #DB trap due at the next boundary (single step, data breakpoints) */
    bool nmi_blocked;
    bool breakpoints;     /* DR7 enables some: cpu/debug.h */
    bool record_branches; /* cpu/last_branch.h */
    bool step_armed;      /* TF was set when the current instruction began */
    u8 held_shadow; /* the shadow that the current instruction runs in: nested/ saves it when it leaves */
    /* In non-root operation: `retired` of the instruction that STI shadows, and of the one that RF holds for,
     * where they run in a block; ~0: of none. */
    u64 sti_shadow, rf_held;
    bool rf_kept; /* the current instruction loaded RF: it holds for the next one */
    u8 sipi_vector;
    u32 saved_requests;       /* `requests` as a saved state holds them */
    bool delivering;          /* an event is being delivered: faults combine (SDM 3A table 6-5) */
    struct fault first_fault; /* while delivering */
    struct event failed_event;
    bool delivery_failed;              /* c->fault was met while failed_event was delivered */
    const struct debug_points *points; /* NULL: no debugger wants anything. cpu/points.h */
    struct debug_hit hit;              /* why cpu_run() left for it; whoever takes it clears it */
    u8 chain[8]; /* last vectors delivered or attempted, newest first: printed on a triple fault */

    /* Handles, given at construction. */
    unsigned index; /* vCPU number; the APIC id is the model's matter */
    struct space *memory, *ports;
    struct clock *clock;
    struct apic_port apic;
    struct world *world;
    void *world_slot;              /* this vCPU's place in it */
    const struct cpu_model *model; /* CPUID, features, MSR rows; not owned */
    struct code_cache *code;
    struct host_insns *host;
    const struct jit_port *jit; /* NULL: interpret only */
    void *jit_state;
    struct nested_state *nested; /* NULL: extensions hidden */
    struct vmcs *vmcs; /* the current VMCS while the processor holds it (cpu/nested/vmx.h); or NULL */
    void (*wake)(void *opaque); /* wakes this vCPU's sleeping thread, from any thread; may be NULL */
    void *wake_opaque;
    u32 pauses; /* PAUSE instructions, of no meaning to the guest */
    u64 random; /* state of the generator behind RDRAND and RDSEED; 0: the host's */
};

typedef enum outcome (*meaning_fn)(struct cpu *c, const struct insn *in);

/* What a row of insn.def means: by log2 of the operand size (1, 2, 4, 8), register and memory forms. */
struct meaning {
    meaning_fn reg[4];
    meaning_fn mem[4];
};

/* Everything a vCPU is built from; all handles outlive it. */
struct cpu_init {
    unsigned index;
    struct space *memory, *ports;
    struct clock *clock;
    struct apic_port apic;
    struct world *world;
    const struct cpu_model *model;
    void (*wake)(void *opaque); /* struct cpu's; NULL: a sleeping vCPU looks at its requests by itself */
    void *wake_opaque;
    u64 random_seed; /* RDRAND and RDSEED repeat from here; 0: they are the host's */
    struct nested_trace nested_trace;
};
struct cpu *cpu_new(const struct cpu_init *init, struct err *err);
void cpu_free(struct cpu *c);
void cpu_reset(struct cpu *c,
               bool init_only); /* SDM 3A 9.1.1; init_only: INIT, which keeps FPU state, MSRs, TSC */
extern const struct state_desc cpu_state_desc;

/* Runs until it halts, shuts down or is asked to leave. Returns HALTED, SHUTDOWN or LEAVE. */
enum outcome cpu_run(struct cpu *c);
/* One instruction (after due events), interpreter only. Same returns, or DONE. */
enum outcome cpu_step(struct cpu *c);
/* Any thread. Sets bits of `requests`; waking a sleeping vCPU thread is the caller's matter. */
static inline void cpu_request(struct cpu *c, unsigned bits)
{
    atomic_fetch_or(&c->requests, bits);
    atomic_store(&c->poll, 1);
}

u64 cpu_rflags(const struct cpu *c);
/* The shadow that the current instruction runs in or, between two, holds back for the next. */
static inline u8 cpu_shadow(const struct cpu *c)
{
    return c->shadow | c->held_shadow | (c->sti_shadow == c->retired ? SHADOW_STI : 0);
}

static inline void cpu_end_held_shadow(struct cpu *c)
{
    c->held_shadow = 0;
    c->sti_shadow = ~0ull;
}

/* RFLAGS as the current instruction found it. */
static inline u64 cpu_rflags_held(const struct cpu *c)
{
    return cpu_rflags(c) | (c->rf_held == c->retired ? FLAG_RF : 0);
}

/* Another instruction, or none, comes next. */
static inline void cpu_end_held(struct cpu *c)
{
    cpu_end_held_shadow(c);
    c->rf_held = ~0ull;
}

void cpu_set_rflags(struct cpu *c, u64 value);
/* Recomputes mode, cpl-dependent TLB class and everything else that is derived from segments, CRs, EFER,
 * RFLAGS. */
void cpu_mode_changed(struct cpu *c);

/* Fault constructors: fill c->fault, return FAULT. */
enum outcome fault_plain(struct cpu *c, u8 vector);            /* #UD, #NM, #DE, ... */
enum outcome fault_error(struct cpu *c, u8 vector, u32 error); /* #GP, #SS, #TS, #NP, #AC */
#define fault_gp0(c) fault_error(c, VEC_GP, 0)
#define fault_ud(c)  fault_plain(c, VEC_UD)

static inline bool cpu_has(const struct cpu *c, enum feature f);

#include "cpu/model.h"

static inline bool cpu_has(const struct cpu *c, enum feature f)
{
    return model_has(c->model, f);
}

#endif
