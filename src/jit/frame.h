/* SPDX-License-Identifier: MIT */
/*
 * What translated code runs on: where guest state lies while it runs, and how it meets C.
 *
 * Guest registers are host registers of the same number, except:
 *  - guest RSP: host R8. Guest R8 to R11, the four least used: frame.home[].
 *  - Arithmetic flags: the host's, or frame.fl in the shape of cpu.fl (FL_*), or what frame.fix makes of
 *    registers and frame.kept; flags.c keeps track. Direction, interrupt and the other flags stay in struct
 *    cpu; the host's DF is 0.
 *  - RIP: frame.rip_page plus a constant of the instruction.
 *  - XMM, YMM, MXCSR and x87: in struct cpu until a block needs them, then the host's until a meaning runs;
 *    frame.vec says which (runtime_vec.c).
 * Host R9 points into what data accesses see of the soft TLB (struct tlb_view, VIEW_AT()); R10 and R11 are
 * scratch; RSP points to the frame, where `left` counts down the instructions that may still run.
 *
 * The frame lies on the host's stack, so that short displacements reach it. What of the guest's state it
 * holds or tells (`home`, `left`, `fl`, `fix` with `kept`, `vec`) is written to struct cpu before a meaning
 * runs and before translated code is left. Two functions run without that, and neither look at nor change
 * what is elsewhere: jit_look_up() and, even with vectors in the host's registers, mmu_refill().
 */
#ifndef JIT_FRAME_H
#define JIT_FRAME_H

#include "cpu/cpu.h"
#include "cpu/tlb.h"

enum { WINDOWS_MAX = 6 };

struct jit_frame {
    u64 home[4];
    u64 rip_page; /* guest-linear address of the page the code lies in */
    u64 left;     /* instructions that may still run; below 0 only on the way out */
    u64 tlb_x;    /* struct tlb's table of fetches */
    u64 cpu;
    u16 fl;
    u8 vec;    /* VEC_* */
    u8 wide;   /* how many reads went by wide entries, about */
    u32 mxcsr; /* scratch */
    /* 0, or where code lies that makes flags of registers and of `kept`, not of fl, and jumps to fix_back;
     * R11 is lost. flags_recipe.c */
    u64 fix;
    u64 kept[3];
    u64 window[WINDOWS_MAX]; /* host addresses of what a block uses again: coalesce.c */
    u64 scratch;             /* of an instruction or a routine */
    /* Seldom looked at. */
    u64 places;     /* table of entries, by host address */
    u64 end;        /* retired instructions when `left` is 0: the slice's end */
    u64 limit;      /* the same for the whole run */
    u64 changes_at; /* where space_code_changes() lies */
    u64 changes;    /* what it was when the run began */
    u64 samples;    /* table of how often a slice ended at a block: jit_sample_of() */
    /* How it ended; until then scratch, as is `spare`. */
    u64 reason; /* enum jit_reason */
    u64 what;   /* its argument */
    u64 spare, fix_back, fix_return;
    u8 image[512] __attribute__((aligned(16))); /* for FXSAVE */
};
_Static_assert(offsetof(struct jit_frame, fix) < 128, "short displacements reach what is hot");
_Static_assert(sizeof(struct jit_frame) % 16 == 0, "the stack stays aligned");

/* How far a field of struct tlb_view lies from R9: tables above, slots below. */
#define VIEW_AT(field) ((i32)offsetof(struct tlb_view, field) - (i32)offsetof(struct tlb_view, read))
static inline i32 jit_slot_at(unsigned slot)
{
    return VIEW_AT(slot) + (i32)(slot * sizeof(struct tlb_slot));
}

/* The slot of the stack's page, which may be read and written; accesses through it are at most that wide. */
enum { JIT_STACK_SLOT = TLB_SLOTS - 1, JIT_STACK_SIZE = 16, JIT_STACK_ROOM = PAGE_SIZE - JIT_STACK_SIZE + 1 };
/* The same for several accesses at once. */
enum {
    JIT_STACK_SPAN = 128,
    JIT_SPAN_SLOT = TLB_SLOTS - 1 - TLB_SLOTS / 8,
    JIT_SPAN_ROOM = PAGE_SIZE - JIT_STACK_SPAN + 1
};

/* The slots of places in traces, by what they are opened for: reads or writes, of at most so many bytes.
 * Several places may share one. */
static const u16 jit_slot_widths[] = {8, 32, 64, 512};
enum { JIT_SLOT_KINDS = 2 * ARRAY_SIZE(jit_slot_widths), JIT_SLOTS_EACH = TLB_SLOTS / JIT_SLOT_KINDS };
_Static_assert(JIT_SLOTS_EACH == TLB_SLOTS / 8, "the last slot of a kind is no place's");

/* What open_slot is told in R11. A slot that was opened JIT_SLOT_OFTEN times with fewer than `rare`
 * instructions from one time to the next does not pay. */
struct jit_slot_use {
    u16 number;
    u16 room : 15; /* PAGE_SIZE + 1 - the access's width */
    u16 write : 1;
    u16 slot_room; /* the same of the kind's width */
    u16 rare;
};
_Static_assert(sizeof(struct jit_slot_use) == 8, "ORDER SLOT_USE");
enum { JIT_SLOT_OFTEN = 32 };

/* Accesses that ask the soft TLB's second level, by log2 of their size. Behind the call lies a jump. */
enum { JIT_REFILLS = 10, JIT_REFILL_SIZE = 1 << (JIT_REFILLS - 1), JIT_REFILL_SKIPS = 5 };
static inline unsigned jit_refill_of(unsigned size)
{
    return size > 1 ? 32 - (unsigned)__builtin_clz(size - 1) : 0;
}

/* What is as always in struct jit_options: a slice takes some microseconds. */
enum { JIT_SLICE = 8192, JIT_SAMPLES = 4, JIT_TRACE_EXITS = 32, JIT_LINK_AFTER = 8 };

/* Vector state in the host's registers: XMM, with or without YMM. _FP: and MXCSR masks all exceptions. X87:
 * x87 and MMX, whose control word masks all. */
enum { VEC_XMM = 1, VEC_XMM_FP = 2, VEC_YMM = 4, VEC_YMM_FP = 8, VEC_X87 = 16 };
enum { MXCSR_MASKS = 0x1f80, CW_MASKS = 0x3f };

enum jit_reason {
    JIT_AT,      /* RIP is set: go on there by looking it up */
    JIT_CHAIN,   /* the same, and `what` is the struct jit_exit to be patched */
    JIT_SETTLED, /* all state is in struct cpu, `what` is an enum outcome */
};

/* An instruction that calls its meaning, always or when its own code cannot go on. */
struct jit_site {
    meaning_fn fn;
    struct insn in;
    u16 offset;      /* of the instruction in its page */
    u8 index, count; /* in its block, and the block's length */
    u8 slow;         /* it has code of its own, which could not go on */
};

/* A direct jump to another place. A block has EXITS_MAX at most, a trace TRACE_EXITS.
 *
 * One to another page leads to what lies at one host address, the first that it was seen to go to, and is
 * taken when the present view of the soft TLB says that it does go there from the page that it runs in:
 * struct tlb_view's `link` number `slot` is rip_page + tag. Slot and tag follow from its place in the code
 * cache, which is no other's. So the jump is patched for all vCPUs and all mappings, and each vCPU finds out
 * for itself, for each of its views, where it is right. */
#define EXITS_MAX   2
#define TRACE_EXITS 64
struct jit_exit {
    const u8 *host; /* of the target; NULL: not known yet, it lies on another page */
    u32 place;      /* in the code cache: the displacement to patch, within an aligned quadword */
    i32 target;     /* from the page's start */
    bool far;       /* on another page */
    u8 ref;         /* if not: which of its block's pages (struct jit_page_ref) it is */
    u8 missed;      /* how often it was not there, about; translated code's */
    bool side;      /* of a trace, but not its end */
    u8 rare, begun; /* jit.c: verdicts on an exit of a trace */
    u32 slot;
    i64 key;   /* what the target's address is to be increased by to be the link */
    u64 asked; /* retired instructions when C was asked last */
    /* The cache's (blocks.c). */
    u32 unlinked;                /* the displacement of the way out */
    struct jit_block *from, *to; /* to: NULL while it goes out */
    struct jit_exit *next;       /* of those with the same `to` */
    /* The far entry of `to`; NULL while it goes out; nobody's once it was to go elsewhere: C is not asked any
     * more. */
    const void *code;
};

static inline u32 jit_link_slot(u32 place)
{
    return place / 16 % TLB_NOTES; /* the code of no two such jumps lies that close together */
}
static inline u32 jit_link_tag(u32 place)
{
    return place / 16 / TLB_NOTES + 1;
}

/* Routines that all blocks share, as offsets in the code cache. */
struct jit_runtime {
    u16 *next_slot;  /* given: JIT_SLOT_KINDS numbers, changed by who has the cache's lock */
    u64 *chaos;      /* given: what chaos_one_in() draws from, or NULL */
    u32 enter;       /* void (struct cpu *, const void *code, struct jit_frame *) */
    u32 call;        /* R11: struct jit_site; comes back when the meaning says DONE */
    u32 call_last;   /* the same for a block's last instruction: never comes back */
    u32 leave_at;    /* R10: RIP */
    u32 leave_chain; /* R10: RIP, R11: struct jit_exit */
    u32 leave_trace; /* the same of one of a trace: leaves once in so many times, else looks up; flags are
                        lost */
    u32 slice;       /* R10: RIP, R11: its block's near entry, to which it comes back if it may */
    u32 lookup;      /* R10: RIP, canonical; flags and R11 are lost */
    u32 link;        /* the same, R11: struct jit_exit that leads there */
    u32 stack; /* R10: linear address whose page goes to the stack's slots if it may; R11, flags are lost */
    u32 open_slot; /* R10: linear address, R11: struct jit_slot_use. CF: it was not found. R11 is lost */
    /* By write and size. R10, R11: what the check of the soft TLB left. Back with what it leaves where the
     * page is found, R11 being of any entry that says so, or JIT_REFILL_SKIPS bytes further on with nothing.
     * Flags are lost. */
    u32 refill[2][JIT_REFILLS], refill_ask[2]; /* the last: where they go on */
    /* Back with NE and nothing changed: for the meaning. R10, R11 and flags are lost. */
    u32 syscall, sysret; /* checked, frame.fl is right, RCX: RIP to return to; else they do not come back */
    u32 stac, clac;      /* CPL is 0 */
    u32 load_xmm, load_ymm, load_x87; /* as much as may be: `vec` tells. R10, R11 and flags are lost */
    /* R11: VEC_* that must be there, and << 8 the block's instructions still to come: back behind a call of a
     * meaning, or away if not all of it can be had. */
    u32 vec_again;
};

/* Never true without chaos. xorshift64 */
static inline bool chaos_one_in(u64 *state, unsigned n)
{
    if (likely(!state))
        return false;
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (*state >> 20) % n == 0;
}

struct emit;
struct jit_options; /* here without zeroes */
/* Inline, in routines and in blocks: R11 from R10, flags are lost. How far into a soft TLB's table an address
 * has its entry; an eighth of how far into struct tlb_view's notes RIP has its note, a late jump's (lin: RIP,
 * what: the far entry of its translation). */
void runtime_tlb_index(struct emit *e);
void runtime_note_index(struct emit *e);
/* Inline, RSP is the frame: the host's flags to frame.fl, and frame.fix is 0. R11 is lost, flags stay. */
void runtime_save_flags(struct emit *e);
void runtime_emit(struct emit *e, struct jit_runtime *rt, const struct jit_options *options);

/* jit.c: behind a call of a meaning that does not simply go on. Settles the instruction; where translated
 * code goes on, with frame->left, or NULL with `what` filled. left: what it was. */
const void *jit_after(struct cpu *c, const struct jit_site *s, struct jit_frame *f, u64 left, enum outcome o);

/* jit.c: the far entry of the translation at RIP, canonical, or NULL: the interpreter's loop finds out why.
 */
const void *jit_look_up(struct cpu *c, u64 rip);

/* An entry of frame.places, where all that is translated and was looked up lately is found: the low half is
 * where its far entry lies in the code cache, the high half the host address without its low JIT_PLACE_BITS,
 * which follow from the entry's number. All vCPUs share the table. 0: nothing. */
enum { JIT_PLACE_BITS = 16, JIT_HOST_BITS = 47 };
_Static_assert(JIT_PLACE_BITS >= 12 && JIT_PLACE_BITS <= 24 && JIT_HOST_BITS - JIT_PLACE_BITS <= 32,
               "an entry tells its host address");
static inline u64 jit_place(const u8 *host, u32 far)
{
    return (u64)host >> JIT_PLACE_BITS << 32 | far;
}

/* Which entry of frame.samples counts the slices that ended where a near entry lies in host memory. */
enum { JIT_SAMPLE_BITS = 10, JIT_SAMPLE_SHIFT = 4 };
static inline unsigned jit_sample_of(const u8 *near)
{
    return (unsigned)(u64)near >> JIT_SAMPLE_SHIFT & ((1u << JIT_SAMPLE_BITS) - 1);
}

/* Which entry: the same as lookup emits. Functions begin at multiples of 16, so the low bits have to come
 * from the high ones, mixed. */
#define JIT_PLACE_FACTOR 0x1e3779b1
static inline unsigned jit_place_of(const u8 *host)
{
    u32 mixed = (u32)((u64)host >> JIT_PLACE_BITS) * JIT_PLACE_FACTOR >> (32 - JIT_PLACE_BITS);
    return (unsigned)((u64)host ^ mixed) & ((1u << JIT_PLACE_BITS) - 1);
}

#endif
