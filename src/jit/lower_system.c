/* SPDX-License-Identifier: MIT */
/*
 * What operating systems do at their borders: flags, segments and control registers in struct cpu, and the
 * ways between user and kernel (runtime_system.c goes them).
 *
 * Blocks run only where no instruction needs a look of its own: no single step, no breakpoint
 * (cpu_runs_blocks()). Code here keeps that so, or leaves it to the meaning. What a hypervisor may
 * intercept asks refuse_intercept().
 */
#include "cpu/nested/nested.h"
#include "cpu/tlb.h"
#include "jit/gen.h"

#define CPU(field) ((i32)offsetof(struct cpu, field))

enum { BYTE_CMP_IMM = 0x80, MOV_BYTE_IMM = 0xc6, BYTE_TEST_IMM = 0xf6, TEST_IMM = 0xf7 };

static void change_rflags(struct gen *g, unsigned digit, u32 mask)
{
    flags_spare(g);
    emit_mem(&g->e, X_MOV, 8, H_R10, FRAME(cpu));
    emit_imm_mem(&g->e, digit, 4, MEM(H_R10, CPU(rflags)), (i32)mask);
    flags_lost(g);
}

bool lower_cld(struct gen *g)
{
    change_rflags(g, X_IMM_AND, ~(u32)FLAG_DF);
    return true;
}

bool lower_std(struct gen *g)
{
    change_rflags(g, X_IMM_OR, FLAG_DF);
    return true;
}

void refuse_intercept(struct gen *g, u32 plain)
{
    if (!(g->b->mode & CODE_GUEST))
        return;
    flags_spare(g);
    emit_mem(&g->e, X_MOV, 8, H_R10, FRAME(cpu));
    emit_mem(&g->e, X_MOV, 8, H_R10, MEM(H_R10, CPU(nested)));
    emit_op_mem(&g->e, (struct prefixes){0}, TEST_IMM, 0,
                MEM(H_R10, (i32)offsetof(struct nested_state, plain)));
    emit32(&g->e, plain);
    go_slow(g, CC_E);
    flags_lost(g);
}

static void check_supervisor(struct gen *g)
{
    flags_spare(g);
    emit_mem(&g->e, X_MOV, 8, H_R10, FRAME(cpu));
    emit_op_mem(&g->e, (struct prefixes){0}, BYTE_CMP_IMM, X_IMM_CMP, MEM(H_R10, CPU(cpl)));
    emit8(&g->e, 0);
    go_slow(g, CC_NE);
    flags_lost(g);
}

/* Where more may become possible than was: what others ask of this vCPU comes first. R10: struct cpu. */
static void refuse_requests(struct gen *g)
{
    emit_imm_mem(&g->e, X_IMM_CMP, 4, MEM(H_R10, CPU(requests)), 0);
    go_slow(g, CC_NE);
}

/* Nothing becomes possible that was not, so nobody has to look at requests. */
bool lower_cli(struct gen *g)
{
    check_supervisor(g);
    change_rflags(g, X_IMM_AND, ~(u32)FLAG_IF);
    return true;
}

/* Where a guest of a hypervisor may leave, what the next instruction runs in is asked for: the retired count
 * names it. */
static void note_shadow(struct gen *g)
{
    emit_mem(&g->e, X_MOV, 8, H_R11, FRAME(end));
    emit_mem(&g->e, X_SUB, 8, H_R11, FRAME(left));
    emit_imm(&g->e, X_IMM_SUB, 8, H_R11, g->b->count - g->index - 1);
    emit_mem(&g->e, X_MOV_TO, 8, H_R11, MEM(H_R10, CPU(sti_shadow)));
}

/* With nothing requested there is nothing to hold back. The next instruction follows without a boundary
 * between, so what is requested meanwhile waits for it. */
bool lower_sti(struct gen *g)
{
    if (g->index == g->b->count - 1u)
        return false;
    check_supervisor(g);
    refuse_requests(g);
    if (g->b->mode & CODE_GUEST)
        note_shadow(g);
    change_rflags(g, X_IMM_OR, FLAG_IF);
    return true;
}

/* The global interrupt flag, as the host of a hypervisor's guests has it. APM 3 STGI */
static void set_gif(struct gen *g, bool on)
{
    emit_op_mem(&g->e, (struct prefixes){0}, TEST_IMM, 0, MEM(H_R10, CPU(efer)));
    emit32(&g->e, EFER_SVME);
    go_slow(g, CC_E);
    emit_mem(&g->e, X_MOV, 8, H_R11, MEM(H_R10, CPU(nested)));
    emit_reg(&g->e, X_TEST, 8, H_R11, H_R11);
    go_slow(g, CC_E);
    emit_op_mem(&g->e, (struct prefixes){0}, MOV_BYTE_IMM, 0,
                MEM(H_R11, (i32)offsetof(struct nested_state, gif)));
    emit8(&g->e, on);
}

bool lower_clgi(struct gen *g)
{
    check_supervisor(g);
    set_gif(g, false);
    return true;
}

bool lower_stgi(struct gen *g)
{
    check_supervisor(g);
    refuse_requests(g);
    set_gif(g, true);
    return true;
}

static void call_or_slow(struct gen *g, u32 routine)
{
    call_runtime(g, routine);
    go_slow(g, CC_NE);
}

bool lower_stac(struct gen *g)
{
    check_supervisor(g);
    call_or_slow(g, g->rt->stac);
    return true;
}

bool lower_clac(struct gen *g)
{
    check_supervisor(g);
    call_or_slow(g, g->rt->clac);
    return true;
}

bool lower_mov_from_cr(struct gen *g)
{
    static const i32 field[] = {[0] = CPU(cr0), [2] = CPU(cr2), [3] = CPU(cr3), [4] = CPU(cr4)};
    const struct insn *in = g->in;
    if (in->reg >= ARRAY_SIZE(field) || !field[in->reg] || (in->flags & INSN_LOCK))
        return false;
    if (in->reg != 2 && in->reg != 3 && (g->b->mode & CODE_GUEST))
        return false;
    enum host_reg r = result_reg(in->rm, H_R11);
    refuse_intercept(g, in->reg == 2 ? NESTED_PLAIN_READ_CR2 : NESTED_PLAIN_READ_CR3);
    check_supervisor(g);
    emit_mem(&g->e, X_MOV, 8, r, MEM(H_R10, field[in->reg]));
    go_home(g, in->rm, H_R11, true);
    return true;
}

bool lower_swapgs(struct gen *g)
{
    struct mem base = MEM(H_R10, CPU(seg) + GS * (i32)sizeof(struct segment)),
               kernel = MEM(H_R10, CPU(kernel_gs_base));
    check_supervisor(g);
    emit_mem(&g->e, X_MOV, 8, H_R11, base);
    emit_mem(&g->e, X_MOV_TO, 8, H_R11, FRAME(scratch));
    emit_mem(&g->e, X_MOV, 8, H_R11, kernel);
    emit_mem(&g->e, X_MOV_TO, 8, H_R11, base);
    emit_mem(&g->e, X_MOV, 8, H_R11, FRAME(scratch));
    emit_mem(&g->e, X_MOV_TO, 8, H_R11, kernel);
    return true;
}

/* MOV from a segment register: zero-extended, but for 16 bits. */
bool lower_selector(struct gen *g)
{
    const struct insn *in = g->in;
    unsigned seg = in->reg & 7;
    if ((in->flags & INSN_MEM) || seg > GS)
        return false;
    enum host_reg r = in->size == 2 ? guest_reg(g, in->rm, H_R11) : result_reg(in->rm, H_R11);
    emit_mem(&g->e, X_MOV, 8, H_R10, FRAME(cpu));
    emit_mem(&g->e, in->size == 2 ? X_MOV : X_MOVZX16, in->size == 2 ? 2 : 4, r,
             MEM(H_R10, CPU(seg) + (i32)(seg * sizeof(struct segment) + offsetof(struct segment, sel))));
    go_home(g, in->rm, H_R11, true);
    return true;
}

/* RFLAGS as PUSHF has it, from frame.fl and struct cpu, to the frame. */
bool lower_pushf(struct gen *g)
{
    struct emit *e = &g->e;
    if (g->in->size != 8)
        return false;
    refuse_intercept(g, NESTED_PLAIN_PUSHF);
    flags_store(g);
    emit_mem(e, X_MOVZX16, 4, H_R10, FRAME(fl));
    emit_reg(e, X_MOV, 4, H_R11, H_R10);
    emit_shift(e, X_SHR, 4, H_R11, 8);
    emit_imm(e, X_IMM_AND, 4, H_R11, FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF);
    emit_imm(e, X_IMM_AND, 4, H_R10, 1);
    emit_shift(e, X_SHL, 4, H_R10, 11);
    emit_reg(e, X_ADD, 4, H_R11, H_R10);
    emit_mem(e, X_MOV, 8, H_R10, FRAME(cpu));
    emit_mem(e, X_MOV, 4, H_R10, MEM(H_R10, CPU(rflags)));
    emit_imm(e, X_IMM_AND, 4, H_R10, (i32) ~(u32)(FLAGS_ARITH | FLAG_VM | FLAG_RF));
    emit_imm(e, X_IMM_OR, 4, H_R10, FLAG_R1);
    emit_reg(e, X_ADD, 8, H_R10, H_R11);
    flags_lost(g);
    push_scratch(g);
    return true;
}

/* ---- to another privilege level ---- */

/* EFER.SCE. R10: struct cpu. */
static void check_enabled(struct gen *g)
{
    emit_op_mem(&g->e, (struct prefixes){0}, BYTE_TEST_IMM, 0, MEM(H_R10, CPU(efer)));
    emit8(&g->e, EFER_SCE);
    go_slow(g, CC_E);
}

bool lower_syscall(struct gen *g)
{
    struct emit *e = &g->e;
    flags_store(g);
    emit_mem(e, X_MOV, 8, H_R10, FRAME(cpu));
    check_enabled(g);
    emit_mem(e, X_MOV, 8, H_R10, MEM(H_R10, CPU(lstar)));
    check_canonical(g);
    rip_to(g, H_RCX, g->next);
    call_or_slow(g, g->rt->syscall);
    return true;
}

/* What a single step, alignment checks or a bad address ask for is the meaning's. */
bool lower_sysret(struct gen *g)
{
    struct emit *e = &g->e;
    if (!(g->in->flags & INSN_W))
        return false;
    flags_store(g);
    check_supervisor(g);
    check_enabled(g);
    refuse_requests(g);
    emit_op_mem(e, (struct prefixes){0}, TEST_IMM, 0, home_of(R11));
    emit32(e, FLAG_TF | FLAG_AC);
    go_slow(g, CC_NE);
    emit_reg(e, X_MOV, 8, H_R10, H_RCX);
    check_canonical(g);
    call_or_slow(g, g->rt->sysret);
    return true;
}
