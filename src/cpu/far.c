/* SPDX-License-Identifier: MIT */
/*
 * Far JMP and CALL, directly and through call gates; far RET. SDM 2A CALL, JMP; 2B RET; SDM 3A 5.8.
 *
 * The target is read and checked first, then the stack is written, then registers change. A task gate or TSS
 * as target is task.c's.
 */
#include "cpu/meanings.h"
#include "cpu/system.h"
#include "cpu/task.h"

struct far_target {
    u16 sel;
    u64 offset;
    u64 cs;       /* descriptor */
    unsigned cpl; /* after the transfer */
};

static bool offset_ok(const struct cpu *c, u64 cs, u64 offset)
{
    if (long_mode(c) && desc_l(cs))
        return canonical(offset);
    return offset <= descriptor_decode(0, cs).limit;
}

static enum outcome transfer(struct cpu *c, const struct far_target *t)
{
    load_cs(c, t->sel, t->cs, t->cpl);
    c->regs[REG_RIP] = t->offset;
    cpu_privilege_changed(c);
    return END;
}

static enum outcome real_jump(struct cpu *c, u16 sel, u64 offset)
{
    if (offset > 0xffff && offset > c->seg[CS].limit)
        return fault_gp0(c);
    segment_set_real(c, CS, sel);
    c->regs[REG_RIP] = offset;
    cpu_privilege_changed(c);
    return END;
}

/* A code segment named directly, not through a gate. */
static enum outcome check_direct(struct cpu *c, u16 sel, u64 d)
{
    u32 error = sel & ~3u;
    bool ok = desc_conforming(d) ? desc_dpl(d) <= c->cpl : desc_dpl(d) == c->cpl && (sel & 3) <= c->cpl;
    if (!ok || (long_mode(c) && desc_l(d) && desc_d(d)))
        return fault_error(c, VEC_GP, error);
    return desc_present(d) ? DONE : fault_error(c, VEC_NP, error);
}

static enum outcome read_selector(struct cpu *c, u16 sel, u64 *d)
{
    bool ok;
    if (!(sel & ~3))
        return fault_gp0(c);
    if (descriptor_read(c, sel, d, &ok) != DONE)
        return FAULT;
    return ok ? DONE : fault_error(c, VEC_GP, sel & ~3u);
}

struct call_gate {
    struct far_target target;
    unsigned size;   /* stack item */
    unsigned params; /* copied to an inner stack */
};

/* The gate in descriptor d, and the code segment it leads to. */
static enum outcome read_gate(struct cpu *c, u16 sel, u64 d, bool call, struct call_gate *g)
{
    unsigned type = desc_type(d);
    u32 error = sel & ~3u;
    if (type != SYS_CALL && (long_mode(c) || type != SYS_CALL16))
        return fault_error(c, VEC_GP, error);
    if (desc_dpl(d) < c->cpl || desc_dpl(d) < (sel & 3))
        return fault_error(c, VEC_GP, error);
    struct far_target *t = &g->target;
    t->offset = bits(d, 15, 0) | bits(d, 63, 48) << 16;
    if (long_mode(c)) {
        u64 high;
        bool ok;
        if (descriptor_read_high(c, sel, &high, &ok) != DONE)
            return FAULT;
        if (!ok || bits(high, 44, 40))
            return fault_error(c, VEC_GP, error);
        t->offset |= high << 32;
    }
    if (!desc_present(d))
        return fault_error(c, VEC_NP, error);
    t->sel = (u16)bits(d, 31, 16);
    g->size = long_mode(c) ? 8 : type == SYS_CALL ? 4 : 2;
    g->params = (unsigned)bits(d, 36, 32);
    if (g->size == 2)
        t->offset &= 0xffff;
    if (read_selector(c, t->sel, &t->cs) != DONE)
        return FAULT;
    error = t->sel & ~3u;
    if (!desc_code(t->cs) || desc_dpl(t->cs) > c->cpl || (long_mode(c) && (!desc_l(t->cs) || desc_d(t->cs))))
        return fault_error(c, VEC_GP, error);
    if (!call && !desc_conforming(t->cs) && desc_dpl(t->cs) != c->cpl)
        return fault_error(c, VEC_GP, error);
    if (!desc_present(t->cs))
        return fault_error(c, VEC_NP, error);
    t->cpl = call && !desc_conforming(t->cs) ? desc_dpl(t->cs) : c->cpl;
    return DONE;
}

static bool names_task(unsigned type)
{
    return type == SYS_TASK || type == SYS_TSS || type == SYS_TSS16 || type == SYS_TSS_BUSY ||
           type == SYS_TSS16_BUSY;
}

/* SDM 2A CALL, JMP: TASK-GATE and TASK-STATE-SEGMENT. */
static enum outcome transfer_to_task(struct cpu *c, u16 sel, u64 d, bool call)
{
    struct task_switch t = {.tss = sel, .source = call ? TASK_CALL : TASK_JMP};
    u32 error = sel & ~3u;
    if (desc_dpl(d) < c->cpl || desc_dpl(d) < (sel & 3))
        return fault_error(c, VEC_GP, error);
    if (desc_type(d) == SYS_TASK) {
        if (!desc_present(d))
            return fault_error(c, VEC_NP, error);
        t.tss = (u16)bits(d, 31, 16);
    }
    return task_switch(c, &t, 0);
}

/* The direct target or the gate; *gated says which. END: it was a task, and the exit was taken. */
static enum outcome resolve(struct cpu *c, u16 sel, u64 offset, bool call, struct call_gate *g, bool *gated)
{
    u64 d;
    if (read_selector(c, sel, &d) != DONE)
        return FAULT;
    *gated = !desc_s(d);
    if (*gated && !long_mode(c) && names_task(desc_type(d)))
        return transfer_to_task(c, sel, d, call);
    if (*gated) {
        if (read_gate(c, sel, d, call, g) != DONE)
            return FAULT;
    } else {
        if (!desc_code(d))
            return fault_error(c, VEC_GP, sel & ~3u);
        if (check_direct(c, sel, d) != DONE)
            return FAULT;
        g->target = (struct far_target){.sel = sel, .offset = offset, .cs = d, .cpl = c->cpl};
    }
    if (!offset_ok(c, g->target.cs, g->target.offset))
        return fault_gp0(c);
    return descriptor_set_accessed(c, g->target.sel, g->target.cs);
}

static enum outcome jump_far(struct cpu *c, u16 sel, u64 offset)
{
    struct call_gate g;
    bool gated;
    if (!protected_mode(c))
        return real_jump(c, sel, offset);
    enum outcome o = resolve(c, sel, offset, false, &g, &gated);
    if (o != DONE)
        return o;
    return transfer(c, &g.target);
}

static enum outcome call_same_level(struct cpu *c, const struct far_target *t, unsigned size)
{
    struct stack_frame f;
    frame_current(c, size, &f);
    frame_add(&f, c->seg[CS].sel);
    frame_add(&f, c->regs[REG_RIP]);
    if (frame_push(c, &f) != DONE)
        return FAULT;
    frame_commit_sp(c, &f);
    return transfer(c, t);
}

static enum outcome call_inner64(struct cpu *c, const struct call_gate *g)
{
    struct stack_frame f = {.flat = true, .mask = ~0ull, .size = 8, .super = true};
    if (tss_stack64(c, g->target.cpl, 0, 0, &f.sp) != DONE)
        return FAULT;
    frame_add(&f, c->seg[SS].sel);
    frame_add(&f, c->regs[RSP]);
    frame_add(&f, c->seg[CS].sel);
    frame_add(&f, c->regs[REG_RIP]);
    if (frame_push(c, &f) != DONE)
        return FAULT;
    c->regs[RSP] = f.sp;
    load_ss_null(c, g->target.cpl);
    return transfer(c, &g->target);
}

/* Pushes the parameters in the order they were in; the frame holds 16 items, so they go in two runs. */
static enum outcome push_params(struct cpu *c, struct stack_frame *f, unsigned count)
{
    u64 v[32];
    struct stack_frame old;
    frame_current(c, f->size, &old);
    for (unsigned i = 0; i < count; i++)
        if (frame_pop(c, &old, &v[i]) != DONE)
            return FAULT;
    while (count) {
        frame_add(f, v[--count]);
        if (f->count == ARRAY_SIZE(f->item) || !count) {
            if (frame_push(c, f) != DONE)
                return FAULT;
            f->count = 0;
        }
    }
    return DONE;
}

/* SDM 3A 5.8.5 */
static enum outcome call_inner(struct cpu *c, const struct call_gate *g)
{
    struct stack_frame f = {.size = g->size};
    u64 ss;
    if (tss_stack(c, g->target.cpl, 0, &f, &ss) != DONE)
        return FAULT;
    frame_add(&f, c->seg[SS].sel);
    frame_add(&f, c->regs[RSP]);
    if (frame_push(c, &f) != DONE)
        return FAULT;
    f.count = 0;
    if (push_params(c, &f, g->params) != DONE)
        return FAULT;
    frame_add(&f, c->seg[CS].sel);
    frame_add(&f, c->regs[REG_RIP]);
    if (frame_push(c, &f) != DONE)
        return FAULT;
    load_ss(c, f.ss.sel, ss);
    frame_commit_sp(c, &f);
    return transfer(c, &g->target);
}

static enum outcome call_far(struct cpu *c, u16 sel, u64 offset, unsigned size)
{
    struct call_gate g;
    bool gated;
    if (!protected_mode(c)) {
        struct stack_frame f;
        frame_current(c, size, &f);
        if (offset > 0xffff && offset > c->seg[CS].limit)
            return fault_gp0(c);
        frame_add(&f, c->seg[CS].sel);
        frame_add(&f, c->regs[REG_RIP]);
        if (frame_push(c, &f) != DONE)
            return FAULT;
        frame_commit_sp(c, &f);
        return real_jump(c, sel, offset);
    }
    enum outcome o = resolve(c, sel, offset, true, &g, &gated);
    if (o != DONE)
        return o;
    if (!gated)
        return call_same_level(c, &g.target, size);
    if (g.target.cpl == c->cpl)
        return call_same_level(c, &g.target, g.size);
    return long_mode(c) ? call_inner64(c, &g) : call_inner(c, &g);
}

static enum outcome jmp_far_A(struct cpu *c, const struct insn *in)
{
    return jump_far(c, in->imm2, in->imm & size_mask(in->size));
}
DEFINE_MEANING_ONE(jmp_far_A, jmp_far_A);

static enum outcome call_far_A(struct cpu *c, const struct insn *in)
{
    return call_far(c, in->imm2, in->imm & size_mask(in->size), in->size);
}
DEFINE_MEANING_ONE(call_far_A, call_far_A);

/* AMD has no 64-bit offset in memory: REX.W is ignored there. APM 3 JMP far */
static enum outcome load_pointer(struct cpu *c, const struct insn *in, u16 *sel, u64 *offset, unsigned *size)
{
    u8 image[10];
    u64 lin;
    *size = in->size == 8 && c->model->vendor == VENDOR_AMD ? 4 : in->size;
    if (insn_linear(c, in, *size + 2, false, &lin) != DONE || mmu_read(c, lin, image, *size + 2) != DONE)
        return FAULT;
    *offset = load_le(image, *size);
    *sel = (u16)load_le(image + *size, 2);
    return DONE;
}

static enum outcome jmp_far_M(struct cpu *c, const struct insn *in)
{
    u16 sel;
    u64 offset;
    unsigned size;
    if (load_pointer(c, in, &sel, &offset, &size) != DONE)
        return FAULT;
    return jump_far(c, sel, offset);
}
DEFINE_MEANING_ONE(jmp_far_M, jmp_far_M);

static enum outcome call_far_M(struct cpu *c, const struct insn *in)
{
    u16 sel;
    u64 offset;
    unsigned size;
    if (load_pointer(c, in, &sel, &offset, &size) != DONE)
        return FAULT;
    return call_far(c, sel, offset, size);
}
DEFINE_MEANING_ONE(call_far_M, call_far_M);

static enum outcome return_real(struct cpu *c, unsigned size, unsigned drop)
{
    struct stack_frame f;
    frame_current(c, size, &f);
    u64 rip, cs;
    if (frame_pop(c, &f, &rip) != DONE || frame_pop(c, &f, &cs) != DONE)
        return FAULT;
    if (rip > 0xffff && rip > c->seg[CS].limit)
        return fault_gp0(c);
    f.sp += drop;
    frame_commit_sp(c, &f);
    return real_jump(c, (u16)cs, rip);
}

static enum outcome ret_far_by(struct cpu *c, unsigned size, unsigned drop)
{
    struct stack_frame f;
    frame_current(c, size, &f);
    u64 rip, cs, rsp, ss;
    struct far_return r;
    if (!protected_mode(c))
        return return_real(c, size, drop);
    if (frame_pop(c, &f, &rip) != DONE || frame_pop(c, &f, &cs) != DONE)
        return FAULT;
    if (return_code(c, (u16)cs, rip, &r) != DONE)
        return FAULT;
    f.sp = (f.sp + drop) & f.mask;
    if (r.cpl == c->cpl) {
        frame_commit_sp(c, &f);
    } else {
        if (frame_pop(c, &f, &rsp) != DONE || frame_pop(c, &f, &ss) != DONE)
            return FAULT;
        if (return_stack(c, (u16)ss, &r) != DONE)
            return FAULT;
        rsp += drop;
        return_commit_stack(c, &r, rsp);
    }
    return return_commit_code(c, &r);
}

static enum outcome ret_far(struct cpu *c, const struct insn *in)
{
    return ret_far_by(c, in->size, 0);
}
DEFINE_MEANING_ONE(ret_far, ret_far);

static enum outcome ret_far_I(struct cpu *c, const struct insn *in)
{
    return ret_far_by(c, in->size, (u16)in->imm);
}
DEFINE_MEANING_ONE(ret_far_I, ret_far_I);
