/* SPDX-License-Identifier: MIT */
/*
 * One block on its way to host code: what the files that emit it share.
 *
 * A lowering function emits one instruction and returns true, or returns false having emitted nothing, and
 * the instruction becomes a call of its meaning. Whatever its code cannot settle (a soft TLB miss, a target
 * that is not canonical, an operand across a line) is a slow case: a jump out of line, taken before the
 * instruction has changed anything, to a call of the meaning, which starts it afresh.
 */
#ifndef JIT_GEN_H
#define JIT_GEN_H

#include "cpu/code.h"
#include "jit/emit.h"
#include "jit/frame.h"
#include "jit/hostmap.h"
#include "jit/trace.h"

/* How an instruction is lowered. */
enum lowering {
    LOWER_NONE, /* calls its meaning */
#define LOWER_KIND(kind, function) LOWER_##kind,
#include "jit/lower.def"
#undef LOWER_KIND
};

/* Meanings, numbered. */
enum meaning_no {
#define MEANING(name) NO_##name,
#include "insn_meanings.inc"
#undef MEANING
    MEANINGS
};

/* REP CMPS that leads a trace to another page: 4 of its own, 2 of the page, 1 between its misses. */
#define SLOW_JUMPS 8

/* How flags are made again: flags_recipe.c. op: a guest register below 16, RECIPE_KEPT (in frame.kept[] of
 * the same index) or RECIPE_IMM. A last instruction that leaves some of them alone: `tail`, if not 0, its
 * size, its result (op[RECIPE_TAIL]) and how far it rotates. */
enum { RECIPE_KEPT = 16, RECIPE_IMM };
enum { RECIPE_TAIL = 2, RECIPE_OPS };
struct recipe {
    u8 how, size, op[RECIPE_OPS];
    u8 tail, tail_size, tail_by;
    i32 imm;
};
#define WAITS_MAX (2 * TRACE_MAX)

/* How the guest's flags can be had: one of the first three is true. flags.c */
struct flags_state {
    bool host;          /* the host's are right */
    bool saved;         /* frame.fl is right, or frame.fix is not 0 and names what makes it right */
    bool has_recipe;    /* `recipe` makes them */
    bool in_fl;         /* saved in frame.fl itself */
    bool recipe_if_fix; /* the recipe is right only where frame.fix is not 0 */
    struct recipe recipe;
};

/* Flags are looked for in frame.fl, but frame.fix is not 0; or (load) it is. */
struct flags_miss {
    size_t from, back;
    bool load;
};
#define FLAGS_MISSES_MAX (2 * TRACE_MAX)

struct slow {
    size_t from[SLOW_JUMPS];
    unsigned jumps;
    size_t back;
    bool flags_host;  /* the host's flags are the guest's where it comes back to */
    bool flags_saved; /* as in struct flags_state, before the instruction; if not: recipe */
    struct recipe recipe;
    u8 vec;                    /* VEC_* that must hold where it comes back to */
    u8 vec_need;               /* what the instruction looked for in frame.vec; 0: nothing */
    size_t vec_from, vec_back; /* where it did not find it, and goes on when it is there */
};

/* A jump to another page that is not linked here: what it still has to do. */
struct far {
    size_t from;
    unsigned exit, index;
    bool check, push; /* the target may not be canonical; it is a call */
};

/* Where a jump that is looked up goes when it is not found at once. */
struct miss {
    size_t from;
    bool check; /* the target may not be canonical: the instruction's slow case */
    unsigned index;
    i32 release; /* what RSP still rises by */
};

/* An access that the stack's page does not hold. */
struct stack_miss {
    size_t from, back;
    unsigned index;
    i32 disp;
    u16 size;
    bool write;
    struct twin *twin; /* as in struct slot_miss */
};
/* Two an instruction: PUSH [RSP]; a call to another page in place and, not linked, out of line; a group and
 * its twin. */
#define STACK_MISSES_MAX (2 * TRACE_MAX)

/* An access by a slot whose page is another. A slot pays when a trace runs so often between two misses. */
struct slot_miss {
    size_t from, opened, back; /* opened: where it goes on by its slot */
    unsigned index;
    bool direct; /* R10 is not the address, which lies `by` behind the operand's */
    i32 by;
    u16 size;
    struct jit_slot_use use;
    struct twin *twin; /* of a group's first operand: for when its bytes lie on two pages */
};
#define SLOT_PAYS 16

/* The first operand of a group by itself, and away behind it. */
struct twin {
    size_t from;
    unsigned index;
    struct flags_state flags;
    u8 vec;
};

/* A memory operand, and operands near each other, of which the first one finds the page: coalesce.c */
enum access_role { ACCESS_ALONE, ACCESS_FIRST, ACCESS_LATER };
struct access {
    u8 role, group;
    i64 at; /* in its group's terms */
};
struct group {
    i64 low, high;     /* its bytes */
    bool write, stack; /* stack: by RSP alone */
    u8 first, last;    /* instructions */
    u8 window;
};
#define GROUPS_MAX TRACE_MAX

/* The way out of a trace at its instruction `index`. */
struct side {
    size_t from;
    i64 target;
    unsigned index;
    struct flags_state flags;
};

/* An access whose page the soft TLB's tables may not hold. */
struct tlb_miss {
    size_t from, back;
    unsigned index;
    u32 refill;
};
#define TLB_MISSES_MAX (3 * TRACE_MAX)

struct gen {
    struct emit e;
    u32 base; /* where e.buf will lie in the code cache */
    const struct jit_runtime *rt;
    const struct block *b;
    const struct trace *trace; /* b is its, or NULL */
    struct jit_site *site;     /* of instructions that may call their meaning */
    unsigned sites;
    struct jit_exit *exit; /* as translate()'s */
    size_t near;           /* struct translation */

    /* The current instruction. */
    unsigned index;
    const struct insn *in;
    const struct insn_info *info;
    u32 at, next; /* offsets in the page of it and of the next one */

    struct flags_state flags;
    bool recipe_ends; /* the current instruction changes its registers */
    bool set_flags;   /* and has set flags */
    bool in_twin;
    u32 looked;      /* the pages of the trace that are surely mapped, a mask */
    unsigned relies; /* slow cases of instructions before this one do not come back, so that they stay so */
    i32 rsp_due;     /* how far guest RSP still has to move */
    struct mem operand; /* of the current instruction in host memory: operand_address() */
    const struct group *at_r10,
        *at_r11;     /* R10 is its window while e.r10 is false; or NULL; the same of R11 */
    bool spares_r11; /* the current one uses R11 for its operand's address or not at all */
    u8 vec;          /* VEC_* that hold here */

    unsigned exits, fars, misses, sides, slot_misses, twins, stack_misses, tlb_misses, waits, flags_misses,
        groups;
    unsigned stack_misses_out; /* so many are emitted */
    /* Undefined beyond their counts, or the block's. */
    size_t exit_from[TRACE_EXITS];
    struct far far[TRACE_EXITS];
    struct miss miss[TRACE_EXITS];
    struct side side[TRACE_EXITS];
    struct slot_miss slot_miss[TRACE_MAX];
    struct twin twin[TRACE_MAX];
    struct stack_miss stack_miss[STACK_MISSES_MAX];
    struct tlb_miss tlb_miss[TLB_MISSES_MAX];
    struct {
        size_t place; /* of the number that goes to frame.fix */
        u32 code;
        struct recipe recipe;
    } wait[WAITS_MAX];
    struct flags_miss flags_miss[FLAGS_MISSES_MAX];

    /* Of each instruction. */
    u8 how[TRACE_MAX];         /* enum lowering */
    u16 offset[TRACE_MAX + 1]; /* in the page; last, of what follows */
    /* Arithmetic flags that after it something may read or see; or see, that is, not only the guest's own
     * instructions. */
    u16 live[TRACE_MAX], seen[TRACE_MAX];
    u8 site_no[TRACE_MAX]; /* from 1; 0: none yet */
    struct slow slow[TRACE_MAX];
    struct access access[TRACE_MAX];
    struct group group[GROUPS_MAX];
};

/* R10 and R11 are lost where the code goes on, in what is emitted elsewhere. */
static inline void scratch_lost(struct gen *g)
{
    g->e.r10 = g->e.r11 = true;
}

#define FRAME(field) MEM(H_RSP, (i32)offsetof(struct jit_frame, field))

static inline struct mem home_of(unsigned guest)
{
    return MEM(H_RSP, (i32)(8 * (guest - R8)));
}

/* The host register of a guest one; one at home is loaded into `scratch`. */
static inline enum host_reg guest_reg(struct gen *g, unsigned guest, enum host_reg scratch)
{
    if (host_reg_of[guest] != H_NONE)
        return host_reg_of[guest];
    emit_mem(&g->e, X_MOV, 8, scratch, home_of(guest));
    return scratch;
}

/* The host register an instruction may put a guest one's new value in; go_home() for `scratch`. */
static inline enum host_reg result_reg(unsigned guest, enum host_reg scratch)
{
    return host_reg_of[guest] != H_NONE ? host_reg_of[guest] : scratch;
}

/* Its memory operand, if it has one, has a 64-bit address and a size. */
static inline bool addressable(const struct insn *in)
{
    return !(in->flags & INSN_MEM) || (in->adsize == 8 && in->mem_size);
}

/* AH, CH, DH or BH is an operand: it may be a call after all. Decoding gives those alone an odd offset. */
static inline bool lower_names_high(const struct insn *in)
{
    return (in->reg_off & 1) || (!(in->flags & INSN_MEM) && (in->rm_off & 1));
}

/* LEA, and it does not call its meaning. */
static inline bool lea_is_native(const struct insn *in)
{
    return in->adsize == 8 && in->size != 2;
}

/* lower.c: an instruction's opcode as emit.h has it; a guest register that was worked on in `scratch` goes
 * back to where it lives. */
u32 opcode_of(const struct insn *in, const struct insn_info *info);
void go_home(struct gen *g, unsigned guest, enum host_reg scratch, bool written);
/* How far a shift or rotation by a constant goes; 0: none, or by CL. */
unsigned lower_count(const struct insn *in);
/* Which arithmetic flags it surely overwrites, whatever they were; the block's instruction i. */
u32 lower_overwrites(const struct insn *in, enum lowering how);
u32 lower_flags_killed(const struct gen *g, unsigned i);
/* The instruction reads flags, or leaves some alone that may be looked at behind it. */
bool flags_outlive(const struct gen *g);
/* R10: a host address; the slow case unless it is a multiple of size. */
void refuse_split(struct gen *g, unsigned size);

/* flags.c. Flags of the host stay; R11 is lost unless it says otherwise. */
void flags_begin(struct gen *g); /* before each instruction; R10 and R11 hold nothing */
void flags_spare(struct gen *g); /* before they are lost: the current instruction's slow case can have them */
void flags_keep(struct gen *g);  /* all routines that lead to C can have them, from here to where they are
                                  * set again: at a block's end, and wherever flags_spare() is not enough */
void flags_settle(struct gen *g);   /* the same, for the routine that runs next */
void flags_lost(struct gen *g);     /* the host's are overwritten by code of ours */
void flags_need(struct gen *g);     /* the host's are right again */
void flags_store(struct gen *g);    /* frame.fl itself is right; the host's may be lost */
void flags_called(struct gen *g);   /* C ran: frame.fl holds them */
void flags_set(struct gen *g);      /* the host's are the guest's new ones; R11 stays */
void flags_set_put(struct gen *g);  /* the same, and recipe_put() ran as recipe_make() asks */
void flags_set_kept(struct gen *g); /* the same, and its slow case comes back behind it */
/* Before the current instruction: r is the recipe of what it leaves, some of which it leaves alone; then
 * flags_set_extended() instead of flags_need() and flags_set(). False: it has none. */
bool flags_extend(struct gen *g, struct recipe *r);
void flags_set_extended(struct gen *g, const struct recipe *r);
/* frame.fix names the recipe; R11 stays. */
void flags_wait(struct gen *g, const struct recipe *r);
void flags_emit_rest(struct gen *g); /* out of line */
void flags_liveness(struct gen *g);

/* flags_recipe.c. False: there is none. A memory operand of the instruction is RECIPE_KEPT: what it held, or
 * holds where it is written; and so is the register that a shift changes: what it held. */
bool recipe_make(const struct insn *in, struct recipe *r);
bool recipe_takes_put(const struct recipe *r);
/* r, without a tail, gets the instruction as its tail. False: it is none, or of another kind than that it
 * had. */
bool recipe_extend(const struct insn *in, struct recipe *r);
u32 recipe_registers(const struct recipe *r); /* a mask */
/* Those of its registers that are in the mask are about to change: it looks for their values in the frame.
 * Flags stay, R11 is lost. */
void recipe_keep(struct gen *g, struct recipe *r, u32 registers);
void recipe_put(struct gen *g, unsigned k, enum host_reg reg); /* to frame.kept[k] */
void recipe_emit(struct gen *g, const struct recipe *r);       /* R11 is lost */

/* flags_ahead.c: the recipe stays right until the flags are overwritten, on all ways on. */
bool flags_stay(const struct gen *g);
bool flags_stay_at(const struct gen *g, i64 target);        /* on the current instruction's own way there */
u32 lower_writes(const struct insn *in, enum lowering how); /* guest registers: all where that is not plain */

/* translate.c: i is the current instruction from here on. */
void look_at(struct gen *g, unsigned i);
enum lowering lowering_of_row(u16 id); /* where the meaning is the row's own */
enum meaning_no meaning_no(u16 id);
/* Behind the instruction i its slow case does not come back. */
bool slow_leaves(const struct gen *g, unsigned i);
/* Of the block's instruction i: may it look at the guest's flags before it writes any. */
bool lower_observes(const struct gen *g, unsigned i);
void count_down(struct emit *e, unsigned digit, unsigned count); /* frame.left; flags are lost */

/* address.c */
void go_slow(struct gen *g, u8 cc);           /* the current instruction's slow case */
void slow_from(struct slow *s, size_t place); /* a jump that leads to s, as emit_jcc() has it */
/* `to`: the effective address of the memory operand, or (by) so far behind it; size 4: its lower half. R10
 * and R11 are lost, flags stay. */
void address_to(struct gen *g, enum host_reg to, unsigned size, i32 by);
/* R10: the same, or the linear address. */
void effective_address(struct gen *g, i32 by);
void linear_address(struct gen *g);
/* R10: linear to host address for `size` bytes, or the slow case. Keeps the flags first; R11 is lost. */
void host_address(struct gen *g, unsigned size, bool write);
/* The same without the flags. direct: R10 becomes what is to be added to the address instead. */
void look_in_tlb(struct gen *g, unsigned size, bool write, bool direct);
/* g->operand: the memory operand in host memory, from R10 alone; of no group: what R10 points to. The same.
 */
void operand_address(struct gen *g, unsigned size, bool write);
/* The same, from R10 and registers of the address: for who reaches it once, before he writes any. */
void operand_place(struct gen *g, unsigned size, bool write);
/* What lies at RSP plus disp, from R10 and RSP. The same. */
struct mem stack_place(struct gen *g, i32 disp, unsigned size, bool write);
void emit_stack_misses(struct gen *g); /* out of line, those that were not yet; they may miss in turn */
/* The same of instruction `index`, behind the rest of it. True: there are some, and where they lead to
 * nothing the code goes on behind this. */
bool emit_tlb_misses(struct gen *g, unsigned index);
void check_canonical(struct gen *g); /* R10; flags and R11 are lost */

/* slot.c */
static inline struct mem slot_field(unsigned slot, size_t field)
{
    return MEM(H_R9, jit_slot_at(slot) + (i32)field);
}
/* As look_in_tlb(). direct: or NULL; how far behind the operand's the address is. R10 holds nothing then. */
void look_in_slot(struct gen *g, unsigned size, bool write, const i32 *direct);
void emit_slot_misses(struct gen *g); /* out of line */
struct twin *twin_add(struct gen *g); /* of the current instruction */
/* Where `size` bytes at R10 lie on two pages; R11 and flags are lost. */
void go_to_twin(struct gen *g, struct twin *w, unsigned size);
void twin_set(struct gen *g, const struct twin *w); /* the state it begins with */

/* coalesce.c: finds the groups. */
void coalesce(struct gen *g);
/* Whether a window is noted before, and used behind, the instruction i's end. */
bool window_lives(const struct gen *g, unsigned i);

/* lower_vec.c: it does not call its meaning but in its slow case. */
bool lower_vec_is_native(const struct insn *in);
/* Sees to a bit of VEC_*, before the instruction has emitted anything; R11 and flags are lost.
 */
void vec_need(struct gen *g, u8 bit);
/* Out of line: the way to what s->vec_need says, from and back to the instruction; where it
 * cannot be had the code goes on behind this. And s->vec again, after C ran. R10, R11 and flags are lost. */
void vec_emit_need(struct gen *g, struct slow *s);
void vec_emit_again(struct gen *g, const struct slow *s, unsigned i);
/* What a kind of lowering is done by; lower.def says where. */
#define LOWER_KIND(kind, function) bool lower_##function(struct gen *g);
#include "jit/lower.def"
#undef LOWER_KIND
bool lower_x87(struct gen *g); /* arithmetic, whose rows share their meaning with vectors */
/* lower_system.c: the slow case where a hypervisor intercepts this instruction of its guest: unless all of
 * these NESTED_PLAIN_* are set. Emits nothing outside of guests. Flags are spared first; R10 is lost. */
void refuse_intercept(struct gen *g, u32 plain);
void push_scratch(struct gen *g); /* lower_stack.c: pushes R10, or the slow case */
/* RSP moves: now, or together with the instructions that come next. */
void move_rsp(struct gen *g, i32 by);

/* lower_trace.c: the instruction i is a jump that its trace goes on behind, as recorded; the code of the
 * current one, which is. */
bool trace_inner(const struct gen *g, unsigned i);
void lower_inner(struct gen *g);
/* The way on from the instruction i, or its own last bytes, are on another page: before such a one that is no
 * jump trace_look(), which may lose the flags, and trace_turn() behind it. */
bool trace_turns(const struct gen *g, unsigned i);
unsigned trace_relies(const struct gen *g); /* gen.relies */
void trace_look(struct gen *g);
void trace_turn(struct gen *g);
/* Of the page of the instruction i: where it lies, and how far from the first one's, in linear addresses. */
const u8 *trace_page_at(const struct gen *g, unsigned i);
const struct page_info *trace_info_at(const struct gen *g, unsigned i);
i64 trace_delta(const struct gen *g, unsigned i);
i64 trace_side(const struct gen *g, unsigned i); /* where a conditional jump leads on the other way */
void emit_loop(struct gen *g);                   /* back to the first instruction */
void emit_sides(struct gen *g);                  /* out of line: the ways out */

/* lower_branch.c: the way on to the instruction at an offset from the page's start, which may lie outside it.
 */
void go_to(struct gen *g, i64 target);
void push_next(struct gen *g);  /* pushes the next instruction's RIP. R10 and R11 are lost */
void emit_exits(struct gen *g); /* out-of-line code of go_to() and of jumps that are looked up */
void rip_to(struct gen *g, enum host_reg r, i64 offset); /* r: guest RIP of an offset */
void jump_runtime(struct gen *g, u32 routine);
void call_runtime(struct gen *g, u32 routine);

#endif
