/* SPDX-License-Identifier: MIT */
/*
 * The routines that all translated blocks share: the way in, the way out, the way to a meaning, the next
 * slice. They are, with runtime_vec.c, the only places where guest registers move between the host's
 * registers and struct cpu.
 * System V ABI towards C.
 */
#include "jit/runtime.h"

#include "jit/hostmap.h"
#include "jit/watch.h"

#define SITE(field) ((i32)offsetof(struct jit_site, field))
#define FRAME_SIZE  ((i32)sizeof(struct jit_frame))

/* bias: how far the frame lies above RSP. */
static struct mem slot(size_t off, i32 bias)
{
    return MEM(H_RSP, (i32)off + bias);
}
#define SLOT(field, bias) slot(offsetof(struct jit_frame, field), bias)

void runtime_tlb_index(struct emit *e)
{
    emit_reg(e, X_MOV, 8, H_R11, H_R10);
    emit_shift(e, X_SHR, 8, H_R11, PAGE_SHIFT - 4);
    emit_imm(e, X_IMM_AND, 4, H_R11, (TLB_SIZE - 1) << 4);
}

static void move_gprs(struct emit *e, bool store, enum host_reg cpu)
{
    for (unsigned g = 0; g < 16; g++)
        if (host_reg_of[g] != H_NONE)
            emit_mem(e, store ? X_MOV_TO : X_MOV, 8, host_reg_of[g], MEM(cpu, CPU(regs) + 8 * (i32)g));
}

/* R10: struct cpu, which has the guest registers that are not at home. RAX and RCX are lost. */
static void store_rest(struct emit *e, i32 bias)
{
    for (unsigned i = 0; i < 4; i++) {
        emit_mem(e, X_MOV, 8, H_RAX, slot(8 * i, bias));
        emit_mem(e, X_MOV_TO, 8, H_RAX, MEM(H_R10, CPU(regs) + 8 * (i32)(R8 + i)));
    }
    emit_mem(e, X_MOVZX16, 4, H_RAX, SLOT(fl, bias));
    emit_mem(e, X_MOV_TO, 2, H_RAX, MEM(H_R10, CPU(fl)));
    runtime_vec_store(e, bias);
}

void runtime_load_view(struct emit *e)
{
    emit_mem(e, X_MOV, 8, H_R9, MEM(H_R10, CPU(tlb)));
    emit_mem(e, X_MOV, 8, H_R9, MEM(H_R9, offsetof(struct tlb, view)));
    emit_lea(e, H_R9, MEM(H_R9, (i32)offsetof(struct tlb_view, read)));
}

/* R10: struct cpu. */
static void load_all(struct emit *e, i32 bias)
{
    for (unsigned i = 0; i < 4; i++) {
        emit_mem(e, X_MOV, 8, H_RAX, MEM(H_R10, CPU(regs) + 8 * (i32)(R8 + i)));
        emit_mem(e, X_MOV_TO, 8, H_RAX, slot(8 * i, bias));
    }
    emit_mem(e, X_MOVZX16, 4, H_RAX, MEM(H_R10, CPU(fl)));
    emit_mem(e, X_MOV_TO, 2, H_RAX, SLOT(fl, bias));
    emit_mem(e, X_MOV, 8, H_RCX, MEM(H_R10, CPU(tlb)));
    runtime_load_view(e);
    emit_mem(e, X_MOV, 8, H_RAX, MEM(H_RCX, offsetof(struct tlb, x)));
    emit_mem(e, X_MOV_TO, 8, H_RAX, SLOT(tlb_x, bias));
    emit_op_mem(e, wide, 0xc7, 0, SLOT(fix, bias));
    emit32(e, 0);
    move_gprs(e, false, H_R10);
}

static void copy(struct emit *e, struct mem to, struct mem from)
{
    emit_mem(e, X_MOV, 8, H_RAX, from);
    emit_mem(e, X_MOV_TO, 8, H_RAX, to);
}
#define FRAME_OF(reg, field) MEM(reg, (i32)offsetof(struct jit_frame, field))

/* RDI: struct cpu, RSI: code, RDX: the caller's frame. */
static void emit_enter(struct emit *e)
{
    for (unsigned i = 0; i < ARRAY_SIZE(saved_regs); i++)
        emit_push(e, saved_regs[i]);
    emit_push(e, H_RDX);
    emit_imm(e, X_IMM_SUB, 8, H_RSP, FRAME_SIZE);
    emit_mem(e, X_MOV_TO, 8, H_RDI, SLOT(cpu, 0));
    emit_op_mem(e, none, 0xc6, 0, SLOT(vec, 0));
    emit8(e, 0);
    copy(e, SLOT(rip_page, 0), FRAME_OF(H_RDX, rip_page));
    for (size_t field = offsetof(struct jit_frame, places); field <= offsetof(struct jit_frame, changes);
         field += 8)
        copy(e, slot(field, 0), MEM(H_RDX, (i32)field));
    copy(e, SLOT(samples, 0), FRAME_OF(H_RDX, samples));
    copy(e, SLOT(left, 0), FRAME_OF(H_RDX, left));
    emit_reg(e, X_MOV, 8, H_R10, H_RDI);
    emit_reg(e, X_MOV, 8, H_R11, H_RSI);
    load_all(e, 0);
    emit_op_reg(e, none, CALL_MEM, 4, H_R11);
}

/* The state is in struct cpu; reason and what are in the frame. */
static void emit_leave_done(struct emit *e)
{
    emit_mem(e, X_MOV, 8, H_RDX, MEM(H_RSP, FRAME_SIZE));
    copy(e, FRAME_OF(H_RDX, left), SLOT(left, 0));
    copy(e, FRAME_OF(H_RDX, end), SLOT(end, 0));
    copy(e, FRAME_OF(H_RDX, reason), SLOT(reason, 0));
    copy(e, FRAME_OF(H_RDX, what), SLOT(what, 0));
    emit_imm(e, X_IMM_ADD, 8, H_RSP, FRAME_SIZE);
    emit_pop(e, H_RDX);
    for (unsigned i = ARRAY_SIZE(saved_regs); i-- > 0;)
        emit_pop(e, saved_regs[i]);
    emit8(e, 0xc3);
}

static void set_reason(struct emit *e, enum jit_reason r)
{
    emit_op_mem(e, wide, 0xc7, 0, SLOT(reason, 0));
    emit32(e, r);
}

void runtime_save_flags(struct emit *e)
{
    static const u8 to_ax[] = {0x9f, 0x0f, 0x90, 0xc0}; /* lahf; seto al */
    emit_reg(e, X_MOV, 8, H_R11, H_RAX);
    emit_bytes(e, to_ax, sizeof(to_ax));
    emit_mem(e, X_MOV_TO, 2, H_RAX, SLOT(fl, 0));
    emit_reg(e, X_MOV, 8, H_RAX, H_R11);
    emit_op_mem(e, wide, 0xc7, 0, SLOT(fix, 0));
    emit32(e, 0);
}

/* frame.fl is right from here on. Nothing is lost but the flags. bias 8: a return address lies on the stack.
 */
static void fix_flags(struct emit *e, i32 bias)
{
    emit_op_mem(e, wide, 0x83, X_IMM_CMP, SLOT(fix, bias));
    emit8(e, 0);
    size_t right = emit_jcc(e, CC_E);
    emit_mem(e, X_MOV_TO, 8, H_R11, SLOT(spare, bias));
    if (bias)
        emit_op_mem(e, none, 0x8f, 0, SLOT(fix_return, 0)); /* pop: the address is RSP's after it */
    emit_lea_rip(e, H_R11, 0);
    size_t back = e->len - 4;
    emit_mem(e, X_MOV_TO, 8, H_R11, SLOT(fix_back, 0));
    emit_lea_rip(e, H_R11, 0); /* the code cache begins with these routines */
    emit_mem(e, X_ADD, 8, H_R11, SLOT(fix, 0));
    emit_op_reg(e, none, CALL_MEM, 4, H_R11);
    emit_patch(e, back, e->len);
    runtime_save_flags(e);
    if (bias)
        emit_op_mem(e, none, 0xff, 6, SLOT(fix_return, 0)); /* push */
    emit_mem(e, X_MOV, 8, H_R11, SLOT(spare, bias));
    emit_patch(e, right, e->len);
}

/* R10: RIP; R11: what. */
static void emit_leave(struct emit *e, enum jit_reason r, u32 done)
{
    fix_flags(e, 0);
    set_reason(e, r);
    emit_mem(e, X_MOV_TO, 8, H_R11, SLOT(what, 0));
    emit_mem(e, X_MOV, 8, H_R11, SLOT(cpu, 0));
    emit_mem(e, X_MOV_TO, 8, H_R10, MEM(H_R11, CPU(rip)));
    emit_reg(e, X_MOV, 8, H_R10, H_R11);
    move_gprs(e, true, H_R10);
    store_rest(e, 0);
    emit_jmp_to(e, done);
}

/* RBP: site. */
static void emit_count(struct emit *e, u64 (*counts)[2])
{
    _Static_assert(sizeof(counts[0]) == 16, "ORDER COUNTS");
    emit_mem(e, X_MOVZX16, 4, H_RAX, MEM(H_RBP, SITE(in.id)));
    emit_mem(e, X_MOVZX8, 4, H_RCX, MEM(H_RBP, SITE(slow)));
    emit_shift(e, X_SHL, 4, H_RAX, 1);
    emit_reg(e, X_ADD, 4, H_RAX, H_RCX);
    emit_mov_imm(e, H_RCX, (u64)counts);
    emit_op_mem(e, (struct prefixes){.lock = true, .rex_w = true}, 0xff, 0,
                (struct mem){.base = H_RCX, .index = H_RAX, .scale = 3});
}

/* RBX, RBP, R12: struct cpu, site and frame.left from here on. The return address lies below the frame. */
static void emit_call_meaning(struct emit *e, u64 (*counts)[2])
{
    fix_flags(e, 8);
    emit_mem(e, X_MOV, 8, H_R10, SLOT(cpu, 8));
    move_gprs(e, true, H_R10);
    store_rest(e, 8);
    emit_reg(e, X_MOV, 8, H_RBX, H_R10);
    emit_reg(e, X_MOV, 8, H_RBP, H_R11);
    emit_mem(e, X_MOV, 8, H_R12, SLOT(left, 8));
    if (counts)
        emit_count(e, counts);
    emit_mem(e, X_MOVZX16, 4, H_RAX, MEM(H_RBP, SITE(offset)));
    emit_mem(e, X_ADD, 8, H_RAX, SLOT(rip_page, 8));
    emit_mem(e, X_MOV_TO, 8, H_RAX, MEM(H_RBX, CPU(rip)));
    emit_mem(e, X_MOVZX8, 4, H_RCX, MEM(H_RBP, SITE(in.len)));
    emit_reg(e, X_ADD, 8, H_RAX, H_RCX);
    emit_mem(e, X_MOV_TO, 8, H_RAX, MEM(H_RBX, CPU(regs) + 8 * REG_RIP));
    emit_mem(e, X_MOVZX8, 4, H_RCX, MEM(H_RBP, SITE(count)));
    emit_mem(e, X_MOV, 8, H_RAX, SLOT(end, 8));
    emit_reg(e, X_SUB, 8, H_RAX, H_R12);
    emit_reg(e, X_SUB, 8, H_RAX, H_RCX);
    emit_mem(e, X_MOVZX8, 4, H_RCX, MEM(H_RBP, SITE(index)));
    emit_reg(e, X_ADD, 8, H_RAX, H_RCX);
    emit_mem(e, X_MOV_TO, 8, H_RAX, MEM(H_RBX, CPU(retired)));
    emit_reg(e, X_MOV, 8, H_RDI, H_RBX);
    emit_lea(e, H_RSI, MEM(H_RBP, SITE(in)));
    emit_imm(e, X_IMM_SUB, 8, H_RSP, 8);
    emit_op_mem(e, none, CALL_MEM, 2, MEM(H_RBP, SITE(fn)));
    emit_imm(e, X_IMM_ADD, 8, H_RSP, 8);
}

/* Some page's code has changed since the run began. RAX is lost. */
static size_t jump_if_changed(struct emit *e, i32 bias)
{
    emit_mem(e, X_MOV, 8, H_RAX, SLOT(changes_at, bias));
    emit_mem(e, X_MOV, 8, H_RAX, MEM(H_RAX, 0));
    emit_mem(e, X_CMP, 8, H_RAX, SLOT(changes, bias));
    return emit_jcc(e, CC_NE);
}

/* What the instruction asked of its own vCPU is seen to where the interpreter does it: behind this block.
 * R12: frame.left, which is to be written back. */
static void end_slice_if_asked(struct emit *e)
{
    emit_op_mem(e, none, BYTE_CMP_IMM, X_IMM_CMP, MEM(H_RBX, CPU(poll)));
    emit8(e, 0);
    size_t no = emit_jcc(e, CC_E);
    emit_mem(e, X_SUB_TO, 8, H_R12, SLOT(end, 8));
    emit_reg(e, X_XOR, 4, H_R12, H_R12);
    emit_patch(e, no, e->len);
}

/* RAX: the outcome. Goes on where jit_after() says, or leaves. */
static void emit_outcome(struct emit *e, u32 done)
{
    emit_reg(e, X_MOV, 4, H_R8, H_RAX);
    emit_reg(e, X_MOV, 8, H_RDI, H_RBX);
    emit_reg(e, X_MOV, 8, H_RSI, H_RBP);
    emit_imm(e, X_IMM_ADD, 8, H_RSP, 8);
    emit_reg(e, X_MOV, 8, H_RDX, H_RSP);
    emit_reg(e, X_MOV, 8, H_RCX, H_R12);
    emit_mov_imm(e, H_RAX, (u64)jit_after);
    emit_op_reg(e, none, CALL_MEM, 2, H_RAX);
    emit_reg(e, X_TEST, 8, H_RAX, H_RAX);
    size_t leave = emit_jcc(e, CC_E);
    emit_reg(e, X_MOV, 8, H_R10, H_RBX);
    emit_reg(e, X_MOV, 8, H_R11, H_RAX);
    load_all(e, 0);
    emit_mem(e, X_MOV, 8, H_R10, SLOT(cpu, 0));
    emit_mem(e, X_MOV, 8, H_R10, MEM(H_R10, CPU(rip)));
    emit_op_reg(e, none, CALL_MEM, 4, H_R11);
    emit_patch(e, leave, e->len);
    set_reason(e, JIT_SETTLED);
    emit_jmp_to(e, done);
}

/* R11: a near entry. Jumps away when this is the time that makes it worth a trace; it leaves then, and jit.c
 * looks at the same count. */
static size_t count_sample(struct emit *e, unsigned samples)
{
    emit_mem(e, X_MOV_TO, 8, H_R11, SLOT(spare, 0));
    emit_shift(e, X_SHR, 4, H_R11, JIT_SAMPLE_SHIFT);
    emit_imm(e, X_IMM_AND, 4, H_R11, (1 << JIT_SAMPLE_BITS) - 1);
    emit_mem(e, X_ADD, 8, H_R11, SLOT(samples, 0));
    emit_op_mem(e, none, 0xfe, 0, MEM(H_R11, 0)); /* inc */
    emit_op_mem(e, none, BYTE_CMP_IMM, X_IMM_CMP, MEM(H_R11, 0));
    emit8(e, (u8)samples);
    emit_mem(e, X_MOV, 8, H_R11, SLOT(spare, 0));
    return emit_jcc(e, CC_E);
}

/* Goes on with the next slice, unless something is asked of the vCPU, code has changed, or the budget is
 * over. */
static void emit_slice(struct emit *e, const struct jit_options *o, u32 leave_at)
{
    emit_mem(e, X_MOV_TO, 8, H_RAX, SLOT(scratch, 0));
    emit_mem(e, X_MOV, 8, H_RAX, SLOT(cpu, 0));
    emit_op_mem(e, none, BYTE_CMP_IMM, X_IMM_CMP, MEM(H_RAX, CPU(poll)));
    emit8(e, 0);
    size_t asked = emit_jcc(e, CC_NE);
    size_t changed = jump_if_changed(e, 0);
    emit_mem(e, X_MOV, 8, H_RAX, SLOT(limit, 0));
    emit_mem(e, X_SUB, 8, H_RAX, SLOT(end, 0));
    size_t over = emit_jcc(e, CC_E);
    size_t often = count_sample(e, o->samples);
    emit_imm(e, X_IMM_CMP, 8, H_RAX, (i32)o->slice);
    size_t little = emit_jcc(e, CC_BE);
    emit_mov_imm(e, H_RAX, o->slice);
    emit_patch(e, little, e->len);
    emit_mem(e, X_ADD_TO, 8, H_RAX, SLOT(end, 0));
    emit_mem(e, X_ADD_TO, 8, H_RAX, SLOT(left, 0));
    emit_mem(e, X_MOV, 8, H_RAX, SLOT(scratch, 0));
    emit_op_reg(e, none, CALL_MEM, 4, H_R11);
    emit_patch(e, asked, e->len);
    emit_patch(e, changed, e->len);
    emit_patch(e, over, e->len);
    emit_patch(e, often, e->len);
    emit_mem(e, X_MOV, 8, H_RAX, SLOT(scratch, 0));
    emit_jmp_to(e, leave_at);
}

/* The two ways to a meaning: one that comes back, and one for a block's last instruction. */
static void emit_calls(struct emit *e, struct jit_runtime *rt, u64 (*counts)[2], u32 done)
{
    rt->call = (u32)e->len;
    emit_call_meaning(e, counts);
    emit_reg(e, X_TEST, 4, H_RAX, H_RAX);
    size_t out = emit_jcc(e, CC_NE);
    emit_op_mem(e, none, BYTE_CMP_IMM, X_IMM_CMP, MEM(H_RBX, CPU(code_dirty)));
    emit8(e, 0);
    size_t dirty = emit_jcc(e, CC_NE);
    size_t changed = jump_if_changed(e, 8);
    end_slice_if_asked(e);
    emit_reg(e, X_MOV, 8, H_R10, H_RBX);
    emit_mem(e, X_MOV_TO, 8, H_R12, SLOT(left, 8));
    load_all(e, 8);
    emit8(e, 0xc3);
    emit_patch(e, dirty, e->len);
    emit_patch(e, changed, e->len);
    emit_mov_imm(e, H_RAX, DONE);
    emit_patch(e, out, e->len);
    emit_outcome(e, done);
    rt->call_last = (u32)e->len;
    emit_call_meaning(e, counts);
    emit_outcome(e, done);
}

void runtime_emit(struct emit *e, struct jit_runtime *rt, const struct jit_options *options)
{
    rt->enter = (u32)e->len;
    emit_enter(e);
    u32 done = (u32)e->len;
    emit_leave_done(e);
    rt->leave_at = (u32)e->len;
    emit_leave(e, JIT_AT, done);
    rt->leave_chain = (u32)e->len;
    emit_leave(e, JIT_CHAIN, done);
    rt->slice = (u32)e->len;
    emit_slice(e, options, rt->leave_at);
    runtime_jump_emit(e, rt, options);
    runtime_system_emit(e, rt);
    runtime_refill_emit(e, rt);
    runtime_slot_emit(e, rt);
    emit_calls(e, rt, options->watch.counts, done);
    runtime_vec_emit(e, rt);
}
