/* SPDX-License-Identifier: MIT */
/*
 * One event's way through the IVT or IDT to its handler. SDM 3A 6.12, 6.14, 20.1.4; SDM 2A INT n for the
 * order of the checks and the error codes.
 *
 * Everything is read and checked, then the frame is written, then registers change: a fault on the way leaves
 * the processor as it was. A task gate is task.c's.
 */
#include "cpu/last_branch.h"
#include "cpu/nested/nested.h"
#include "cpu/system.h"
#include "cpu/task.h"

/* EXT: the fault happened while something the program did not ask for was delivered. SDM 3A 6.13 */
static u32 ext_bit(const struct event *e)
{
    return e->kind == EVENT_EXTERNAL || e->kind == EVENT_EXCEPTION || e->kind == EVENT_INT1;
}

static bool is_software(const struct event *e)
{
    return e->kind == EVENT_INT_N || e->kind == EVENT_INT3;
}

static enum outcome vector_error(struct cpu *c, const struct event *e, u8 fault)
{
    return fault_error(c, fault, (u32)e->vector << 3 | 2 | ext_bit(e));
}

static u64 pushed_flags(const struct cpu *c, const struct event *e)
{
    return cpu_rflags(c) | (e->set_rf ? FLAG_RF : 0);
}

static enum outcome arrive(struct cpu *c, u64 rip, u64 clear)
{
    c->rflags &= ~clear;
    c->rip = c->regs[REG_RIP] = rip;
    c->step_armed = false;
    cpu_privilege_changed(c);
    return END;
}

/* SDM 3A 20.1.4 */
static enum outcome deliver_real(struct cpu *c, const struct event *e)
{
    u32 entry = e->vector * 4u;
    u64 target;
    if (entry + 3 > c->idtr.limit)
        return vector_error(c, e, VEC_GP);
    if (mmu_load_system(c, c->idtr.base + entry, 4, &target) != DONE)
        return FAULT;
    struct stack_frame f;
    frame_current(c, 2, &f);
    frame_add(&f, pushed_flags(c, e));
    frame_add(&f, c->seg[CS].sel);
    frame_add(&f, e->rip);
    if (frame_push(c, &f) != DONE)
        return FAULT;
    frame_commit_sp(c, &f);
    segment_set_real(c, CS, (u16)(target >> 16));
    return arrive(c, target & 0xffff, FLAG_IF | FLAG_TF | FLAG_RF | FLAG_AC);
}

struct gate {
    u64 low, high;
    u16 sel;
    u64 offset;
    u64 cs;         /* target code segment's descriptor */
    unsigned cpl;   /* new CPL */
    unsigned size;  /* bytes an item on the stack: 2, 4, 8 */
    bool interrupt; /* clears IF */
};

static bool gate_type_ok(const struct cpu *c, unsigned type)
{
    if (type == SYS_INT || type == SYS_TRAP)
        return true;
    return !long_mode(c) && (type == SYS_INT16 || type == SYS_TRAP16);
}

/* END: it leads to a task, and the exit was taken. */
static enum outcome read_gate(struct cpu *c, const struct event *e, struct gate *g)
{
    bool lm = long_mode(c);
    unsigned entry_size = lm ? 16 : 8, at = e->vector * entry_size;
    u64 raw[2] = {0, 0};
    if (at + entry_size - 1 > c->idtr.limit)
        return vector_error(c, e, VEC_GP);
    if (system_read(c, c->idtr.base + at, raw, entry_size) != DONE)
        return FAULT;
    unsigned type = desc_type(raw[0]);
    bool task = type == SYS_TASK && !lm;
    if (desc_s(raw[0]) || !(task || gate_type_ok(c, type)))
        return vector_error(c, e, VEC_GP);
    if (is_software(e) && desc_dpl(raw[0]) < c->cpl)
        return fault_error(c, VEC_GP, (u32)e->vector << 3 | 2);
    if (!desc_present(raw[0]))
        return vector_error(c, e, VEC_NP);
    if (task) {
        struct task_switch t = {.tss = (u16)bits(raw[0], 31, 16), .source = TASK_GATE, .event = e};
        return task_switch(c, &t, ext_bit(e));
    }
    g->low = raw[0];
    g->high = raw[1];
    g->sel = (u16)bits(raw[0], 31, 16);
    g->offset = bits(raw[0], 15, 0) | bits(raw[0], 63, 48) << 16;
    g->size = lm ? 8 : type & 8 ? 4 : 2;
    if (lm)
        g->offset |= raw[1] << 32;
    if (g->size == 2)
        g->offset &= 0xffff;
    g->interrupt = type == SYS_INT || type == SYS_INT16;
    return DONE;
}

/* The handler's code segment. */
static enum outcome check_target(struct cpu *c, const struct event *e, struct gate *g)
{
    u32 ext = ext_bit(e), error = (g->sel & ~3u) | ext;
    bool ok;
    if (!(g->sel & ~3))
        return fault_error(c, VEC_GP, ext);
    if (descriptor_read(c, g->sel, &g->cs, &ok) != DONE)
        return FAULT;
    if (!ok || !desc_code(g->cs) || desc_dpl(g->cs) > c->cpl)
        return fault_error(c, VEC_GP, error);
    if (long_mode(c) && (!desc_l(g->cs) || desc_d(g->cs)))
        return fault_error(c, VEC_GP, error);
    if (!desc_present(g->cs))
        return fault_error(c, VEC_NP, error);
    g->cpl = desc_conforming(g->cs) ? c->cpl : desc_dpl(g->cs);
    if (v86_mode(c) && g->cpl != 0)
        return fault_error(c, VEC_GP, error);
    return descriptor_set_accessed(c, g->sel, g->cs);
}

static void push_return(struct cpu *c, const struct event *e, struct stack_frame *f)
{
    frame_add(f, pushed_flags(c, e));
    frame_add(f, c->seg[CS].sel);
    frame_add(f, e->rip);
    if (e->has_error)
        frame_add(f, e->error);
}

static u64 gate_clears(const struct gate *g)
{
    return FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM | (g->interrupt ? FLAG_IF : 0);
}

/* SDM 3A 6.14 */
static enum outcome deliver_long(struct cpu *c, const struct event *e, struct gate *g)
{
    unsigned ist = (unsigned)bits(g->low, 34, 32);
    struct stack_frame f = {
        .flat = true, .mask = ~0ull, .size = 8, .sp = c->regs[RSP], .ss_error = ext_bit(e)};
    bool inner = g->cpl != c->cpl;
    if ((inner || ist) && tss_stack64(c, g->cpl, ist, ext_bit(e), &f.sp) != DONE)
        return FAULT;
    if (!canonical(g->offset))
        return fault_error(c, VEC_GP, ext_bit(e));
    f.super = inner;
    f.sp &= ~15ull;
    frame_add(&f, c->seg[SS].sel);
    frame_add(&f, c->regs[RSP]);
    push_return(c, e, &f);
    if (frame_push(c, &f) != DONE)
        return FAULT;
    c->regs[RSP] = f.sp;
    load_cs(c, g->sel, g->cs, g->cpl);
    if (inner)
        load_ss_null(c, g->cpl);
    return arrive(c, g->offset, gate_clears(g));
}

static void push_v86_segments(struct cpu *c, struct stack_frame *f)
{
    static const u8 order[] = {GS, FS, DS, ES};
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        frame_add(f, c->seg[order[i]].sel);
}

/* SDM 3A 6.12.1, 20.3.1.1 */
static enum outcome deliver_legacy(struct cpu *c, const struct event *e, struct gate *g)
{
    bool inner = g->cpl != c->cpl, v86 = v86_mode(c);
    struct stack_frame f;
    frame_current(c, g->size, &f);
    f.ss_error = ext_bit(e);
    u64 ss = 0;
    if (inner) {
        if (tss_stack(c, g->cpl, ext_bit(e), &f, &ss) != DONE)
            return FAULT;
        if (v86)
            push_v86_segments(c, &f);
        frame_add(&f, c->seg[SS].sel);
        frame_add(&f, c->regs[RSP]);
    }
    push_return(c, e, &f);
    struct segment target = descriptor_decode(g->sel, g->cs);
    if (g->offset > target.limit)
        return fault_error(c, VEC_GP, ext_bit(e));
    if (frame_push(c, &f) != DONE)
        return FAULT;
    if (inner)
        load_ss(c, f.ss.sel, ss);
    frame_commit_sp(c, &f);
    load_cs(c, g->sel, g->cs, g->cpl);
    if (v86) {
        for (unsigned s = ES; s <= GS; s++)
            if (s != CS && s != SS)
                c->seg[s] = segment_null(0, 0);
    }
    return arrive(c, g->offset, gate_clears(g));
}

static enum outcome deliver(struct cpu *c, const struct event *e)
{
    struct gate g;
    if (real_mode(c))
        return deliver_real(c, e);
    enum outcome o = read_gate(c, e, &g);
    if (o != DONE)
        return o;
    if (check_target(c, e, &g) != DONE)
        return FAULT;
    return long_mode(c) ? deliver_long(c, e, &g) : deliver_legacy(c, e, &g);
}

enum outcome event_deliver(struct cpu *c, const struct event *e)
{
    u64 from = c->rip;
    bool guest = nested_guest(c);
    enum outcome o = deliver(c, e);
    if (o == FAULT) {
        c->failed_event = *e;
        c->delivery_failed = true;
    } else if (c->record_branches && guest == nested_guest(c)) {
        last_branch_event(c, from, c->rip);
    }
    return o;
}
