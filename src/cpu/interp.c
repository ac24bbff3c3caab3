/* SPDX-License-Identifier: MIT */
/*
 * The interpreter's loop: events at block boundaries, then a block of decoded instructions, each a call of
 * its meaning. Whatever needs a look at every instruction (single step, breakpoints, interrupt shadows,
 * instructions that cross a page) goes through step_one(). Between world_enter() and world_leave() the thread
 * is inside the world.
 */
#include "cpu/code.h"
#include "cpu/debug.h"
#include "cpu/points.h"
#include "cpu/event.h"
#include "cpu/jit_port.h"
#include "cpu/last_branch.h"
#include "cpu/meanings.h"
#include "cpu/mmu.h"
#include "cpu/nested/nested.h"
#include "cpu/world.h"

static u64 linear_rip(const struct cpu *c)
{
    return likely(c->mode == MODE_64) ? c->rip : (u32)(c->seg[CS].base + c->rip);
}

/* A non-canonical address reached through SS is a stack fault. SDM 3A 3.3.7.1 */
static void fault_through_ss(struct cpu *c, const struct insn *in)
{
    if (c->fault.noncanonical && (in->flags & INSN_MEM) && in->seg == SS)
        c->fault.vector = VEC_SS;
}

/* Advances or not, by how the instruction ended. */
enum outcome cpu_settle(struct cpu *c, const struct insn *in, enum outcome o)
{
    if (o == FAULT) {
        fault_through_ss(c, in);
        return o;
    }
    if (o != AGAIN && o != SHUTDOWN)
        c->rip = c->regs[REG_RIP];
    return o;
}

/* c->rip and regs[REG_RIP] are stored for the meanings but not read back: only a block's last instruction
 * branches. */
static enum outcome run_block(struct cpu *c, const struct block *b)
{
    const struct uop *u = b->uop, *end = u + b->count;
    u64 rip = c->rip, retired = c->retired;
    do {
        c->rip = rip;
        c->retired = retired++;
        rip += u->in.len;
        c->regs[REG_RIP] = rip;
        enum outcome o = u->fn(c, &u->in);
        if (unlikely(o != DONE)) {
            c->retired += o != FAULT && o != AGAIN;
            return cpu_settle(c, &u->in, o);
        }
        u++;
    } while (u != end && likely(!c->code_dirty));
    c->code_dirty = 0;
    c->retired = retired;
    c->rip = c->regs[REG_RIP];
    return DONE;
}

/* Fetches and decodes one instruction wherever it lies. FAULT: #PF, #GP or #UD is in c->fault. */
static enum outcome fetch_one(struct cpu *c, struct insn *in)
{
    u8 bytes[15];
    unsigned got;
    if (c->mode != MODE_64 && c->rip > c->seg[CS].limit)
        return fault_gp0(c);
    if (mmu_fetch(c, linear_rip(c), bytes, sizeof(bytes), &got) != DONE)
        return FAULT;
    struct fault next_page = c->fault;
    switch (insn_decode(c->mode, bytes, got, in)) {
    case DECODE_OK:
        return DONE;
    case DECODE_SHORT:
        c->fault = next_page;
        return FAULT;
    case DECODE_TOO_LONG:
        return fault_gp0(c);
    default:
        return fault_ud(c);
    }
}

static enum outcome step_one(struct cpu *c)
{
    struct insn in;
    bool debug = debug_active(c), guest = nested_guest(c);
    u64 from = c->rip;
    if (unlikely(c->stepping))
        c->stepping = STEP_TAKEN;
    if (debug && debug_before(c) != DONE)
        return FAULT;
    if (fetch_one(c, &in) != DONE)
        return FAULT;
    c->held_shadow = c->shadow;
    c->shadow = 0;
    c->regs[REG_RIP] = c->rip + in.len;
    enum outcome o = cpu_settle(c, &in, meaning_of(c, &in)(c, &in));
    c->code_dirty = 0;
    if (o == FAULT)
        return o;
    c->held_shadow = 0;
    c->retired += o != AGAIN;
    if (debug) /* a world switch is no branch */
        debug_after(c, o == AGAIN, guest == nested_guest(c) && branch_taken(c, &in), from);
    return o;
}

static enum outcome step_within_budget(struct cpu *c)
{
    if (c->retired >= c->budget_end || (unlikely(c->points != NULL) && points_before(c, linear_rip(c))))
        return LEAVE;
    return step_one(c);
}

bool cpu_attention(const struct cpu *c)
{
    unsigned mask = ~0u;
    if (!(c->rflags & FLAG_IF) && !nested_guest(c))
        mask &= ~(unsigned)REQ_INTR;
    if (c->nmi_blocked && !nested_guest(c))
        mask &= ~(unsigned)REQ_NMI;
    return (atomic_load_explicit(&c->requests, memory_order_relaxed) & mask) | c->pending_dr6 | c->activity;
}

static bool one_by_one(const struct cpu *c)
{
    return c->shadow || debug_active(c) || c->stepping;
}

/* The block of an instruction that crosses the page's end, when its second page is at hand; or NULL. Outside
 * of 64-bit mode limits count. */
static struct block *block_across(struct cpu *c, u64 lin, const u8 *host)
{
    if (c->mode != MODE_64)
        return NULL;
    const u8 *next = tlb_hit(c->tlb->x, (lin | (PAGE_SIZE - 1)) + 1, 1);
    return next ? code_lookup_across(c, host, next) : NULL;
}

/* Nothing asks for a look at single instructions but what a block's first one ends unseen: STI's shadow with
 * no event that it holds back, and RF without breakpoints. */
static bool ends_with_next(const struct cpu *c)
{
    return !(c->shadow & ~SHADOW_STI) && !(c->rflags & FLAG_TF) && !c->breakpoints && !c->step_armed &&
           !c->record_branches && !c->stepping && !cpu_attention(c);
}

bool cpu_runs_blocks(const struct cpu *c)
{
    return !c->points && (!one_by_one(c) || ends_with_next(c));
}

/* The block at RIP, or NULL with the outcome of the single instruction that had to be run instead. */
static struct block *block_here(struct cpu *c, struct block *prev, enum outcome *o)
{
    u64 lin = linear_rip(c);
    const u8 *host = tlb_hit(c->tlb->x, lin, 1);
    if (unlikely(!host)) {
        u64 gpa;
        void *p;
        *o = mmu_fetch_page(c, lin, &gpa, &p);
        if (*o != DONE)
            return NULL;
        host = p;
    }
    struct block *b = host ? code_follow(c, prev, host) : NULL;
    if (unlikely(!b && host))
        b = block_across(c, lin, host);
    if (unlikely(!b || (c->mode != MODE_64 && c->rip + b->bytes - 1 > c->seg[CS].limit))) {
        *o = step_within_budget(c);
        return NULL;
    }
    return b;
}

/* last: the block run before, or NULL; only a guess at what follows. */
static enum outcome run_some(struct cpu *c, struct block **last)
{
    enum outcome o = DONE;
    struct block *prev = *last;
    *last = NULL;
    if (unlikely(one_by_one(c)) && (c->points || !ends_with_next(c)))
        return step_within_budget(c);
    struct block *b = block_here(c, prev, &o);
    if (!b)
        return o;
    if (unlikely(c->retired + b->count > c->budget_end))
        return step_within_budget(c);
    if (unlikely(c->points != NULL))
        return points_cover(c, linear_rip(c), b->bytes) ? step_within_budget(c) : run_block(c, b);
    cpu_begin_block(c);
    if (c->jit && c->jit->run(c, b, &o))
        return o;
    *last = b;
    return run_block(c, b);
}

enum outcome cpu_next(struct cpu *c, enum outcome o)
{
    switch (o) {
    case FAULT:
        o = event_fault(c);
        cpu_end_held(c);
        return o == SHUTDOWN ? o : DONE;
    case AGAIN:
        cpu_end_held_shadow(c);
        return DONE;
    case HALTED:
        return event_due(c) ? DONE : HALTED;
    case SHUTDOWN:
    case LEAVE:
        return o;
    default:
        return DONE;
    }
}

/* DONE only for a vCPU that may run: one still halted, whose wake-up came to nothing (another stopped the
 * world), is asked again and never runs past its HLT. */
static enum outcome attend(struct cpu *c)
{
    for (;;) {
        if (atomic_load_explicit(&c->requests, memory_order_relaxed) & REQ_WORLD)
            world_safepoint(c);
        if (c->shadow && !trap_open(c, c->shadow) && !event_stepped(c))
            return DONE; /* one instruction first */
        enum outcome o = cpu_next(c, event_poll(c));
        if (o != DONE || c->activity == CPU_ACTIVE)
            return o;
    }
}

static enum outcome loop(struct cpu *c)
{
    for (struct block *last = NULL;;) {
        if (unlikely(cpu_attention(c))) {
            enum outcome o = attend(c);
            c->code_dirty = 0;
            if (o != DONE)
                return o;
        }
        enum outcome o = run_some(c, &last);
        if (unlikely(o != DONE)) {
            o = cpu_next(c, o);
            c->code_dirty =
                0; /* no block is held: left over, it would cut the next one, where nothing asks to */
            if (o != DONE)
                return o;
        }
    }
}

enum outcome cpu_run(struct cpu *c)
{
    world_enter(c);
    enum outcome o = loop(c);
    world_leave(c);
    return o;
}

enum outcome cpu_step(struct cpu *c)
{
    world_enter(c);
    enum outcome o = cpu_attention(c) ? attend(c) : DONE;
    if (o == DONE)
        o = cpu_next(c, step_one(c));
    world_leave(c);
    return o;
}

/* Where execution goes on: an event that is delivered changes it. */
struct place {
    u64 linear;
    bool guest;
};

static struct place place(const struct cpu *c)
{
    return (struct place){linear_rip(c), nested_guest(c)};
}

/* True: an event was delivered, or the vCPU may not run (*o). */
static bool step_attends(struct cpu *c, enum outcome *o)
{
    struct place before = place(c);
    *o = cpu_attention(c) ? attend(c) : DONE;
    struct place after = place(c);
    return *o != DONE || before.linear != after.linear || before.guest != after.guest;
}

enum outcome cpu_debug_step(struct cpu *c)
{
    enum outcome o;
    unsigned held = 0;
    world_enter(c);
    if (c->activity == CPU_ACTIVE)
        held = atomic_fetch_and(&c->requests, ~(unsigned)(REQ_INTR | REQ_NMI)) & (REQ_INTR | REQ_NMI);
    if (!step_attends(c, &o))
        o = cpu_next(c, step_one(c));
    cpu_request(c, held);
    world_leave(c);
    return c->hit.kind ? LEAVE : o;
}
