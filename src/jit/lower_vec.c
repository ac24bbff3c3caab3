/* SPDX-License-Identifier: MIT */
/*
 * SSE and AVX: the same instruction on the host's vector registers.
 *
 * Within a block guest XMM n is host XMM n, loaded from struct cpu where it is first read and written back
 * before anything else may run: a call, the block's end, a slow case. Legacy instructions leave the upper
 * half alone, so a register that only they wrote is written back by 16 bytes; VEX ones clear or write it.
 *
 * Floating point runs under the host's MXCSR, which is the guest's as long as that masks every exception and
 * rounds to nearest; flags that were raised reach the guest's at the next way out (runtime.c). Any other
 * MXCSR is for the meaning, and so is a processor state that refuses the instruction.
 */
#include "jit/gen.h"

#include "cpu/fpu.h"

#define CPU_OFF(field) ((i32)offsetof(struct cpu, field))
#define BITS_OF(n)     ((u16)(1u << (n)))

enum { MOVUPS = 0x0f10, MOVUPS_TO = 0x0f11, TEST_IMM = 0xf7, STORE_IMM8 = 0xc6, CMP_IMM8 = 0x80 };

static struct mem vec_of(unsigned n)
{
    return MEM(H_R10, CPU_OFF(vec) + 32 * (i32)n);
}

/* C4, the three-byte form. SDM 2A 2.3.5 */
static void vex(struct gen *g, u8 map, u8 pp, bool w, bool l, unsigned reg, unsigned vvvv, bool rm_high)
{
    const u8 code[] = {0xc4, (u8)((reg < 8) << 7 | 1 << 6 | !rm_high << 5 | map),
                       (u8)(w << 7 | (~vvvv & 15) << 3 | l << 2 | pp)};
    emit_bytes(&g->e, code, sizeof(code));
}

static void move(struct gen *g, unsigned n, bool wide, bool store)
{
    if (!wide) {
        emit_op_mem(&g->e, (struct prefixes){0}, store ? MOVUPS_TO : MOVUPS, n, vec_of(n));
        return;
    }
    i32 at = CPU_OFF(vec) + 32 * (i32)n;
    const u8 op[] = {store ? 0x11 : 0x10, (u8)(0x82 | (n & 7) << 3)}; /* [r10 + disp32] */
    vex(g, 1, 0, false, true, n, 0, true);
    emit_bytes(&g->e, op, sizeof(op));
    emit32(&g->e, (u32)at);
}

static void move_all(struct gen *g, const struct vec_state *v, u16 which, bool store)
{
    if (!which)
        return;
    emit_mem(&g->e, X_MOV, 8, H_R10, FRAME(cpu));
    for (unsigned n = 0; n < 16; n++)
        if (which & BITS_OF(n))
            move(g, n, v->wide & BITS_OF(n), store);
}

void vec_store(struct gen *g, const struct vec_state *v)
{
    move_all(g, v, v->dirty, true);
    if (v->wide)
        emit_bytes(&g->e, "\xc5\xf8\x77", 3); /* vzeroupper: C code need not pay for upper halves */
}

void vec_load(struct gen *g, const struct vec_state *v)
{
    move_all(g, v, v->valid, false);
}

void vec_flush(struct gen *g)
{
    vec_store(g, &g->vec);
    g->vec.valid = g->vec.dirty = g->vec.wide = 0;
}

/* R10 is kept. */
static void need(struct gen *g, unsigned n, bool wide)
{
    struct vec_state *v = &g->vec;
    u16 bit = BITS_OF(n);
    if ((v->valid & bit) && (!wide || (v->wide & bit)))
        return;
    emit_reg(&g->e, X_MOV, 8, H_R11, H_R10);
    emit_mem(&g->e, X_MOV, 8, H_R10, FRAME(cpu));
    if (v->dirty & bit)
        move(g, n, false, true);
    move(g, n, wide, false);
    emit_reg(&g->e, X_MOV, 8, H_R10, H_R11);
    v->valid |= bit;
    v->wide = wide ? v->wide | bit : v->wide;
    v->dirty &= (u16)~bit;
}

static void written(struct gen *g, unsigned n, bool wide)
{
    struct vec_state *v = &g->vec;
    v->valid |= BITS_OF(n);
    v->dirty |= BITS_OF(n);
    if (wide)
        v->wide |= BITS_OF(n);
}

/* ---- what must hold before ---- */

static void test_cpu(struct gen *g, i32 off, u32 mask)
{
    emit_op_mem(&g->e, (struct prefixes){0}, TEST_IMM, 0, MEM(H_R10, off));
    emit32(&g->e, mask);
}

/* Once a block: what changes these ends blocks. */
static void check_state(struct gen *g, bool avx)
{
    if (avx ? g->avx_checked : g->sse_checked)
        return;
    flags_keep(g);
    emit_mem(&g->e, X_MOV, 8, H_R10, FRAME(cpu));
    if (avx) {
        test_cpu(g, CPU_OFF(cr0), CR0_TS);
        go_slow(g, CC_NE);
        test_cpu(g, CPU_OFF(cr4), CR4_OSXSAVE);
        go_slow(g, CC_E);
        emit_mem(&g->e, X_MOV, 4, H_R11, MEM(H_R10, CPU_OFF(xcr0)));
        emit_imm(&g->e, X_IMM_AND, 4, H_R11, XCR0_SSE | XCR0_AVX);
        emit_imm(&g->e, X_IMM_CMP, 4, H_R11, XCR0_SSE | XCR0_AVX);
        go_slow(g, CC_NE);
        g->avx_checked = true;
    } else {
        test_cpu(g, CPU_OFF(cr0), CR0_EM | CR0_TS);
        go_slow(g, CC_NE);
        test_cpu(g, CPU_OFF(cr4), CR4_OSFXSR);
        go_slow(g, CC_E);
        g->sse_checked = true;
    }
    flags_lost(g);
}

/* Each time: where it does not hold, the slow case comes back and it does not hold for the next one either.
 */
static void check_mxcsr(struct gen *g)
{
    flags_keep(g);
    emit_op_mem(&g->e, (struct prefixes){0}, CMP_IMM8, X_IMM_CMP, FRAME(fp_plain));
    emit8(&g->e, 0);
    go_slow(g, CC_E);
    flags_lost(g);
    if (g->fp_noted)
        return;
    emit_op_mem(&g->e, (struct prefixes){0}, STORE_IMM8, 0, FRAME(fp));
    emit8(&g->e, 1);
    g->fp_noted = true;
}

/* ---- the instruction ---- */

struct vec_form {
    int reg, vvvv, rm; /* vector registers named, or -1 */
    bool reg_read, reg_write, rm_read, rm_write;
    bool gpr_reg, gpr_reg_write, gpr_rm, gpr_rm_write;
    bool imm, other; /* other: an operand that is not encoded so */
};

static void add_operand(struct vec_form *f, const struct operand_info *o, const struct insn *in)
{
    bool mem = in->flags & INSN_MEM, read = o->access & ACC_READ, write = o->access & ACC_WRITE;
    switch (o->kind) {
    case OP_NONE:
    case OP_M:
        return;
    case OP_V:
        f->reg = in->reg;
        f->reg_read = read;
        f->reg_write = write;
        return;
    case OP_H:
        f->vvvv = in->vreg;
        f->other |= write;
        return;
    case OP_W:
    case OP_U:
        f->rm = mem ? -1 : in->rm;
        f->rm_read = read;
        f->rm_write = write;
        return;
    case OP_G:
        f->gpr_reg = true;
        f->gpr_reg_write = write;
        f->other |= read;
        return;
    case OP_E:
        f->gpr_rm = !mem;
        f->gpr_rm_write = write;
        return;
    case OP_I:
        f->imm = o->size == SZ_B;
        f->other |= o->size != SZ_B;
        return;
    default:
        f->other = true;
    }
}

static void encode(struct gen *g, const struct vec_form *f, unsigned reg, unsigned rm)
{
    const struct insn *in = g->in;
    bool mem = in->flags & INSN_MEM, w = in->flags & INSN_W;
    u8 prefix = g->info->prefix, p = prefix == 0x66 ? 1 : prefix == 0xf3 ? 2 : prefix == 0xf2 ? 3 : 0;
    if (in->flags & INSN_VEX) {
        vex(g, g->info->map & 3, p, w, in->flags & INSN_VEX_L, reg, f->vvvv < 0 ? 0 : (unsigned)f->vvvv,
            mem || rm >= 8);
        const u8 op[] = {in->opcode, (u8)((mem ? 0x02 : 0xc0 | (rm & 7)) | (reg & 7) << 3)}; /* [r10] */
        emit_bytes(&g->e, op, sizeof(op));
    } else if (mem) {
        emit_op_mem(&g->e, (struct prefixes){.rex_w = w, .mandatory = prefix}, opcode_of(in, g->info), reg,
                    MEM(H_R10, 0));
    } else {
        emit_op_reg(&g->e, (struct prefixes){.rex_w = w, .mandatory = prefix}, opcode_of(in, g->info), reg,
                    (enum host_reg)rm);
    }
    if (f->imm)
        emit8(&g->e, (u8)in->imm);
}

/* R10: the operand's host address. */
static void reach_memory(struct gen *g)
{
    const struct insn *in = g->in;
    linear_address(g);
    host_address(g, in->mem_size, g->info->attr & ATTR_STORE);
    if (!(g->info->attr & ATTR_ALIGN))
        return;
    emit_op_reg(&g->e, (struct prefixes){.byte_rm = true}, 0xf6, 0, H_R10);
    emit8(&g->e, (u8)(in->mem_size - 1));
    go_slow(g, CC_NE);
}

static void need_all(struct gen *g, const struct vec_form *f)
{
    bool wide = g->in->flags & INSN_VEX_L;
    if (f->reg >= 0 && f->reg_read)
        need(g, (unsigned)f->reg, wide);
    if (f->vvvv >= 0)
        need(g, (unsigned)f->vvvv, wide);
    if (f->rm >= 0 && f->rm_read)
        need(g, (unsigned)f->rm, wide);
}

bool lower_vec(struct gen *g)
{
    const struct insn *in = g->in;
    u32 attr = g->info->attr;
    bool mem = in->flags & INSN_MEM, is_vex = in->flags & INSN_VEX;
    struct vec_form f = {.reg = -1, .vvvv = -1, .rm = -1};
    for (unsigned i = 0; i < ARRAY_SIZE(g->info->op); i++)
        add_operand(&f, &g->info->op[i], in);
    if (!(attr & (ATTR_SSE | ATTR_AVX)) || (attr & (ATTR_MMX | ATTR_X87)) || f.other ||
        (mem && (in->adsize != 8 || !in->mem_size)))
        return false;
    check_state(g, is_vex);
    if (attr & ATTR_FPEXC)
        check_mxcsr(g);
    if (mem)
        reach_memory(g);
    need_all(g, &f);
    unsigned reg = f.reg >= 0 ? (unsigned)f.reg : in->modrm >> 3 & 7u,
             rm = f.rm >= 0 ? (unsigned)f.rm : in->rm;
    if (f.gpr_reg)
        reg = host_reg_of[in->reg] == H_NONE ? H_R11 : host_reg_of[in->reg];
    if (f.gpr_rm)
        rm = f.gpr_rm_write && host_reg_of[in->rm] == H_NONE ? H_R11 : guest_reg(g, in->rm, H_R11);
    if (g->info->flags_written)
        flags_keep(g);
    encode(g, &f, reg, rm);
    if (f.reg >= 0 && f.reg_write)
        written(g, (unsigned)f.reg, is_vex);
    if (f.rm >= 0 && f.rm_write)
        written(g, (unsigned)f.rm, is_vex);
    go_home(g, in->reg, H_R11, f.gpr_reg && f.gpr_reg_write);
    go_home(g, in->rm, H_R11, f.gpr_rm && f.gpr_rm_write);
    if (g->info->flags_written)
        flags_set(g);
    return true;
}
