/* SPDX-License-Identifier: MIT */
/*
 * RDTSC and RDTSCP: the machine's clock by the host's TSC, on the line that the meaning kept last (struct
 * cpu's time). Where that does not hold any more, or a guest of a hypervisor sees the time scaled or leaves
 * when it reads it, the meaning is called.
 */
#include "cpu/nested/nested.h"
#include "cpu/system.h"
#include "jit/gen.h"

#define CPU(field)  ((i32)offsetof(struct cpu, field))
#define LINE(field) MEM(H_R10, CPU(time.time) + (i32)offsetof(struct time_line, field))

enum { TEST_IMM = 0xf7, MUL = 4, SHRD_IMM = 0x0fac };

static void compare_dword(struct gen *g, i32 at, u32 with)
{
    emit_op_mem(&g->e, (struct prefixes){0}, 0x81, X_IMM_CMP, MEM(H_R10, at));
    emit32(&g->e, with);
    go_slow(g, CC_NE);
}

/* R10: struct cpu. CR4.TSD at CPL 0 is the meaning's too. */
static void refuse(struct gen *g)
{
    emit_op_mem(&g->e, (struct prefixes){0}, TEST_IMM, 0, MEM(H_R10, CPU(cr4)));
    emit32(&g->e, CR4_TSD);
    go_slow(g, CC_NE);
    if (!(g->b->mode & CODE_GUEST))
        return;
    compare_dword(g, CPU(guest_tsc_ratio), (u32)TSC_RATIO_1);
    compare_dword(g, CPU(guest_tsc_ratio) + 4, TSC_RATIO_1 >> 32);
}

/* RAX: ns of the clock. RDX and R11 are lost. Jumps away where the line does not hold. */
static unsigned read_clock(struct gen *g, bool ordered, size_t away[])
{
    struct emit *e = &g->e;
    unsigned n = 0;
    if (ordered)
        emit_bytes(e, "\x0f\xae\xe8", 3); /* lfence */
    emit_bytes(e, "\x0f\x31", 2);         /* rdtsc */
    emit_shift(e, X_SHL, 8, H_RDX, 32);
    emit_reg(e, X_OR, 8, H_RAX, H_RDX);
    emit_mem(e, X_SUB, 8, H_RAX, LINE(start));
    emit_mem(e, X_CMP, 8, H_RAX, LINE(ticks));
    away[n++] = emit_jcc(e, CC_AE);
    emit_mem(e, X_MOV, 8, H_R11, MEM(H_R10, CPU(clock_changes)));
    emit_mem(e, X_MOV, 4, H_R11, MEM(H_R11, 0));
    emit_mem(e, X_CMP, 4, H_R11, MEM(H_R10, CPU(time.changes)));
    away[n++] = emit_jcc(e, CC_NE);
    emit_op_mem(e, (struct prefixes){.rex_w = true}, TEST_IMM, MUL, LINE(rate));
    emit_op_reg(e, (struct prefixes){.rex_w = true}, SHRD_IMM, H_RDX, H_RAX);
    emit8(e, 32);
    emit_mem(e, X_ADD, 8, H_RAX, LINE(ns));
    if (!(g->b->mode & CODE_GUEST))
        return n;
    emit_mem(e, X_MOV, 8, H_R11, MEM(H_R10, CPU(nested)));
    emit_mem(e, X_CMP, 8, H_RAX, MEM(H_R11, (i32)offsetof(struct nested_state, deadline)));
    away[n++] = emit_jcc(e, CC_AE);
    emit_mem(e, X_ADD, 8, H_RAX, MEM(H_R10, CPU(guest_tsc_offset)));
    return n;
}

/* RAX and RDX are as they were, for the meaning. */
static void emit_away(struct gen *g, const size_t away[], unsigned n)
{
    struct emit *e = &g->e;
    size_t over = emit_jmp(e);
    while (n--)
        emit_patch(e, away[n], e->len);
    emit_mem(e, X_MOV, 8, H_RAX, FRAME(scratch));
    emit_mem(e, X_MOV, 8, H_RDX, FRAME(spare));
    slow_from(&g->slow[g->index], emit_jmp(e));
    emit_patch(e, over, e->len);
}

bool lower_time(struct gen *g)
{
    struct emit *e = &g->e;
    bool with_aux = meaning_no(g->in->id) == NO_rdtscp;
    size_t away[3];
    refuse_intercept(g, with_aux ? NESTED_PLAIN_RDTSCP : NESTED_PLAIN_RDTSC);
    flags_spare(g);
    emit_mem(e, X_MOV, 8, H_R10, FRAME(cpu));
    refuse(g);
    emit_mem(e, X_MOV_TO, 8, H_RAX, FRAME(scratch));
    emit_mem(e, X_MOV_TO, 8, H_RDX, FRAME(spare));
    unsigned n = read_clock(g, with_aux, away);
    emit_mem(e, X_ADD, 8, H_RAX, MEM(H_R10, CPU(tsc_offset)));
    emit_reg(e, X_MOV, 8, H_RDX, H_RAX);
    emit_shift(e, X_SHR, 8, H_RDX, 32);
    emit_reg(e, X_MOV, 4, H_RAX, H_RAX);
    if (with_aux)
        emit_mem(e, X_MOV, 4, H_RCX, MEM(H_R10, CPU(tsc_aux)));
    emit_away(g, away, n);
    flags_lost(g);
    return true;
}
