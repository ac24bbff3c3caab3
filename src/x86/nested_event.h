/* SPDX-License-Identifier: MIT */
/*
 * What happens between a guest hypervisor and its processor, as records and as words.
 *
 * A record is plain data of fixed size: whoever writes it does not format, allocate or wait. The functions
 * that turn one into text take any bytes: a record may come from the memory of a process that has crashed.
 */
#ifndef X86_NESTED_EVENT_H
#define X86_NESTED_EVENT_H

#include "base/types.h"
#include "x86/features.h"

enum nested_event_kind {
    NESTED_ENTRY,  /* a VM entry that succeeded; code: the injected event, as VMCS or VMCB have it; 0: none */
    NESTED_EXIT,   /* code: exit reason or exit code */
    NESTED_VMFAIL, /* code: VM-instruction error, 0: VMfailInvalid */
    NESTED_REFUSED, /* an entry that failed over guest state or MSRs, or VMEXIT_INVALID; code: as an exit's */
    NESTED_FAULT,   /* code: vector, info1: error code, info2: CR2. In root mode: of a VMX or SVM instruction;
                     * in the guest: any that its hypervisor does not intercept */
    NESTED_WALK,    /* EPT or nested paging that stopped an access, the exit follows; code: as the exit's */
    NESTED_ABORT,   /* VMX abort: the vCPU stops; code: the indicator */
    NESTED_EVENT_KINDS
};

enum { NESTED_LEVELS = 5, NESTED_WHY = 116, NESTED_CHAIN = 8 };

/* Three cache lines: an entry fills the first, an exit two. */
struct nested_event {
    u64 time;    /* ns of the machine's clock; see struct nested_trace */
    u64 retired; /* instructions that the vCPU has completed */
    u64 where;   /* guest-physical address of VMCS or VMCB; ~0: no current one */
    u64 rip;     /* of whoever is left: after an entry the guest's new one */
    u64 code;
    u64 info1, info2; /* qualification and guest-physical address; EXITINFO1 and 2; see the kinds */
    u16 vcpu;
    u8 kind, vendor; /* enum nested_event_kind, enum cpu_vendor */
    u8 depth;        /* WALK: entries read */
    u8 guest;        /* FAULT: met in the guest */
    u8 length;       /* EXIT: of the instruction; on SVM: bytes fetched */
    u8 more;         /* FAULT: there is an error code; VMFAIL, REFUSED: the ring's `failed` is of it */
    union {
        struct {                    /* EXIT */
            u64 linear;             /* VMX: guest-linear address; SVM: nRIP */
            u64 interruption;       /* VMX: information, error code << 32 */
            u64 vectoring;          /* IDT-vectoring information or EXITINTINFO, error code << 32 */
            u32 insn_info;          /* VMX */
            u8 chain[NESTED_CHAIN]; /* of a triple fault: last vectors, newest first; FFH: none */
        };
        u64 entry[NESTED_LEVELS]; /* WALK: from the root on */
        struct {                  /* VMFAIL, REFUSED */
            char insn[12];        /* VMFAIL */
            char why[NESTED_WHY]; /* the check that failed; "": none is known. May be cut */
        };
    };
};

_Static_assert(sizeof(struct nested_event) == 192, "a record is three cache lines");

/* What VMCS or VMCB held when VM entry was refused for it. */
struct nested_failed {
    u64 time, where; /* as the event's; time 0 and where 0: nothing was refused */
    u8 vendor, unused[7];
    union {
        u64 field[512]; /* VMX: by row of vmcs.def */
        u8 page[4096];  /* SVM */
    };
};

/* The last events of a vCPU. One thread writes; others read once it stands. */
#define NESTED_RING_SIZE 1000
struct nested_ring {
    u64 count; /* ever written; number n is at event[n % NESTED_RING_SIZE] */
    u64 unused[7];
    struct nested_event event[NESTED_RING_SIZE];
    struct nested_failed failed; /* the last of its kind */
};

/* Where events go. ring: NULL: the vCPU has its own; else zeroed, and outlives it. Kinds that `wanted` has a
 * bit for go to event() as well, on the vCPU's thread: it must not touch the vCPU and should not wait. Their
 * time is exact; that of other entries is some milliseconds old, and others repeat the last one of the vCPU,
 * because reading the clock costs more than all the rest. tell(): a refusal in words, without a line's end,
 * the first of each kind and vCPU; on its thread; NULL: nobody is told. */
struct nested_trace {
    struct nested_ring *ring;
    unsigned wanted; /* BIT(kind) */
    void (*event)(void *opaque, const struct nested_event *e);
    void (*tell)(void *opaque, unsigned vcpu, const char *text);
    void *opaque;
};

/* "CPUID", "CR_WRITE 3", "GUEST_STATE", "reason 99" */
void nested_exit_name(u8 vendor, u64 code, char *buf, size_t len);
/* What was wrong by a VM-instruction error number; 0: VMfailInvalid. */
const char *nested_error_words(u64 number);

enum { NESTED_TEXT_MAX = 512 };
/* One line, without its end. NESTED_TEXT_MAX bytes hold any. Returns its length. */
size_t nested_event_text(const struct nested_event *e, char *buf, size_t len);
/* One JSON object. Addresses and bit fields are strings of hexadecimal digits, counts and reasons numbers. */
size_t nested_event_json(const struct nested_event *e, char *buf, size_t len);

/* Calls fn for every field of a refused VMCS or VMCB, which may hold anything. */
void nested_failed_each(const struct nested_failed *f, void (*fn)(const char *name, u64 value, void *arg),
                        void *arg);
/* The last one that several vCPUs' rings have, or NULL. */
const struct nested_failed *nested_failed_last(const struct nested_ring *rings, unsigned n);

/* Calls fn for the last NESTED_RING_SIZE events of several vCPUs' rings in the order of time. Rings may hold
 * anything. */
void nested_rings_each(const struct nested_ring *rings, unsigned n,
                       void (*fn)(const struct nested_event *e, void *arg), void *arg);

#endif
