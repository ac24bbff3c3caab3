/* SPDX-License-Identifier: MIT */
/*
 * MOVS STOS LODS CMPS SCAS: with RSI and RDI led into host memory for as long as the host's own instruction
 * runs.
 *
 * One element, or with REP as many as lie before the end of a page at each side; what reaches beyond, goes
 * downward (DF), or misses the soft TLB is for the meaning, which takes any number in chunks (cpu/string.c).
 * So nothing here can fault or be interrupted halfway.
 */
#include "jit/gen.h"

enum { MOVS = 0xa4, CMPS = 0xa6, STOS = 0xaa, LODS = 0xac, SCAS = 0xae }; /* with bit 0: not of bytes */
enum { XCHG = 0x87, TEST_IMM = 0xf7, NOT_NEG = 0xf7, NEG = 3 };

static unsigned operation(const struct insn *in)
{
    return in->opcode & ~1u;
}

static unsigned scale_of(const struct insn *in)
{
    return (unsigned)__builtin_ctz(in->size);
}

static void check_upward(struct gen *g)
{
    flags_spare(g);
    emit_mem(&g->e, X_MOV, 8, H_R10, FRAME(cpu));
    emit_op_mem(&g->e, (struct prefixes){0}, TEST_IMM, 0, MEM(H_R10, (i32)offsetof(struct cpu, rflags)));
    emit32(&g->e, FLAG_DF);
    go_slow(g, CC_NE);
    flags_lost(g);
}

/* R10: host address of the element at a guest register, R11 is lost. */
static void side(struct gen *g, enum host_reg at, bool write)
{
    emit_lea(&g->e, H_R10, MEM(at, 0));
    host_address(g, g->in->size, write);
}

/* The same, and RCX elements lie before the end of the page. */
static void side_repeated(struct gen *g, enum host_reg at, bool write)
{
    struct emit *e = &g->e;
    side(g, at, write);
    emit_reg(e, X_MOV, 8, H_R11, H_R10);
    emit_imm(e, X_IMM_OR, 8, H_R11, -(i32)PAGE_SIZE);
    emit_op_reg(e, (struct prefixes){.rex_w = true}, NOT_NEG, NEG, H_R11);
    if (scale_of(g->in))
        emit_shift(e, X_SHR, 8, H_R11, (u8)scale_of(g->in));
    emit_reg(e, X_CMP, 8, H_R11, H_RCX);
    go_slow(g, CC_B);
}

/* The host's instruction as the guest has it. */
static void emit_string(struct gen *g, bool repeated)
{
    const struct insn *in = g->in;
    if (repeated)
        emit8(&g->e, in->flags & INSN_REPNE ? 0xf2 : 0xf3);
    if (in->size == 2)
        emit8(&g->e, 0x66);
    if (in->size == 8)
        emit8(&g->e, 0x48);
    emit8(&g->e, in->opcode);
}

static struct mem elements_on(const struct gen *g, enum host_reg at, enum host_reg count)
{
    return (struct mem){.base = at, .index = count, .scale = (u8)scale_of(g->in)};
}

/* REP MOVS, REP STOS: R10 and R11 hold the guest's RDI and RSI meanwhile, the frame its RCX. */
static void fill_or_copy(struct gen *g, bool copy)
{
    struct emit *e = &g->e;
    if (copy) {
        side_repeated(g, H_RSI, false);
        emit_mem(e, X_MOV_TO, 8, H_R10, FRAME(scratch));
    }
    side_repeated(g, H_RDI, true);
    emit_mem(e, X_MOV_TO, 8, H_RCX, FRAME(what));
    if (copy) {
        emit_mem(e, X_MOV, 8, H_R11, FRAME(scratch));
        emit_reg(e, XCHG, 8, H_RSI, H_R11);
    }
    emit_reg(e, XCHG, 8, H_RDI, H_R10);
    emit_string(g, true);
    emit_mem(e, X_MOV, 8, H_RDI, FRAME(what));
    if (copy)
        emit_lea(e, H_RSI, elements_on(g, H_R11, H_RDI));
    emit_lea(e, H_RDI, elements_on(g, H_R10, H_RDI));
}

/* REP CMPS, REP SCAS: how far they came is known behind them; the frame holds all three registers. Without an
 * iteration flags stay, which the meaning knows. */
static void compare_many(struct gen *g, bool both)
{
    struct emit *e = &g->e;
    emit_reg(e, X_TEST, 8, H_RCX, H_RCX);
    go_slow(g, CC_E);
    if (both) {
        side_repeated(g, H_RSI, false);
        emit_mem(e, X_MOV_TO, 8, H_R10, FRAME(scratch));
    }
    side_repeated(g, H_RDI, false);
    if (both) {
        emit_mem(e, X_MOV, 8, H_R11, FRAME(scratch));
        emit_mem(e, X_MOV_TO, 8, H_RSI, FRAME(reason));
        emit_reg(e, X_MOV, 8, H_RSI, H_R11);
    }
    emit_mem(e, X_MOV_TO, 8, H_RDI, FRAME(what));
    emit_reg(e, X_MOV, 8, H_RDI, H_R10);
    emit_mem(e, X_MOV_TO, 8, H_RCX, FRAME(scratch));
    emit_string(g, true);
    flags_set(g);
    flags_spare(g);
    emit_mem(e, X_MOV, 8, H_R11, FRAME(scratch));
    emit_reg(e, X_SUB, 8, H_R11, H_RCX);
    flags_lost(g);
    emit_mem(e, X_MOV, 8, H_RDI, FRAME(what));
    emit_lea(e, H_RDI, elements_on(g, H_RDI, H_R11));
    if (!both)
        return;
    emit_mem(e, X_MOV, 8, H_RSI, FRAME(reason));
    emit_lea(e, H_RSI, elements_on(g, H_RSI, H_R11));
}

static void load(struct gen *g, enum host_reg r, bool whole)
{
    unsigned n = g->in->size;
    u32 op = n > 1 ? X_MOV : whole ? X_MOVZX8 : 0x8a;
    emit_mem(&g->e, op, n > 1 ? n : whole ? 4 : 1, r, MEM(H_R10, 0));
}

static void advance(struct gen *g, enum host_reg at)
{
    emit_lea(&g->e, at, MEM(at, g->in->size));
}

static void one(struct gen *g)
{
    struct emit *e = &g->e;
    unsigned op = operation(g->in), n = g->in->size;
    bool source = op == MOVS || op == LODS || op == CMPS, target = op != LODS;
    if (source)
        side(g, H_RSI, false);
    if (source && target) {
        load(g, H_R10, true);
        emit_mem(e, X_MOV_TO, 8, H_R10, FRAME(scratch));
    }
    if (target)
        side(g, H_RDI, op == MOVS || op == STOS);
    if (source && target)
        emit_mem(e, X_MOV, 8, H_R11, FRAME(scratch));
    switch (op) {
    case MOVS:
        emit_mem(e, n == 1 ? 0x88 : X_MOV_TO, n, H_R11, MEM(H_R10, 0));
        break;
    case STOS:
        emit_mem(e, n == 1 ? 0x88 : X_MOV_TO, n, H_RAX, MEM(H_R10, 0));
        break;
    case LODS:
        load(g, H_RAX, false);
        break;
    default:
        emit_mem(e, n == 1 ? 0x3a : X_CMP, n, op == CMPS ? H_R11 : H_RAX, MEM(H_R10, 0));
        flags_set(g);
    }
    if (source)
        advance(g, H_RSI);
    if (target)
        advance(g, H_RDI);
}

bool lower_string(struct gen *g)
{
    const struct insn *in = g->in;
    unsigned op = operation(in);
    bool repeated = in->flags & (INSN_REP | INSN_REPNE);
    if (in->adsize != 8 || in->seg >= FS || (repeated && op == LODS))
        return false;
    check_upward(g);
    if (!repeated)
        one(g);
    else if (op == MOVS || op == STOS)
        fill_or_copy(g, op == MOVS);
    else
        compare_many(g, op == CMPS);
    return true;
}
