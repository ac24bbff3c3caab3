/* SPDX-License-Identifier: MIT */
/*
 * One pass over a block. Moves, add, compare, near branches, loads and stores of 4 and 8 bytes become host
 * code; everything else, and every slow case of these (a soft TLB miss, a non-canonical target), calls the
 * instruction's meaning, which starts the instruction afresh: host code must not have changed anything by
 * then.
 *
 * Registers: RBX is the struct cpu, R12 the guest RIP of the block's first instruction; RAX RCX RDX RSI RDI
 * are free. The code depends on no guest address, so a block serves every mapping of its page.
 */
#include "jit/translate.h"

#include "cpu/meanings.h"
#include "cpu/tlb.h"
#include "jit/emit.h"

#define CPU_OFF(field) ((i32)offsetof(struct cpu, field))
#define GPR_OFF(reg)   (CPU_OFF(regs) + 8 * (reg))

enum {
    OP_ADD_R = 0x01,
    OP_CMP_R = 0x39,
    OP_ADD_M = 0x03,
    OP_CMP_M = 0x3b,
    OP_STORE = 0x89,
    OP_LOAD = 0x8b,
    OP_LEA = 0x8d,
    OP_TEST = 0x85
};

#define SLOW_MAX (2 * BLOCK_MAX)

/* An out-of-line call of a meaning: jumped to from `from`, returns to `back`. */
struct slow {
    size_t from, back;
    unsigned index;
};

struct gen {
    struct emit e;
    const struct uop *uops;
    unsigned count, index; /* instructions in the block, the current one */
    i32 start, next;       /* offsets of the current and the next instruction from the block's RIP */
    struct slow slow[SLOW_MAX];
    unsigned slows;
    size_t exits[4 * BLOCK_MAX]; /* jumps to the common end, outcome and index in RAX and RDX */
    unsigned n_exits;
    unsigned native, called;
};

static void get(struct gen *g, enum host_reg h, unsigned guest, unsigned size)
{
    emit_mem(&g->e, OP_LOAD, h, H_RBX, GPR_OFF(guest), size);
}

/* 32-bit results arrive zero-extended, so the whole register is written. */
static void put(struct gen *g, unsigned guest, enum host_reg h)
{
    emit_mem(&g->e, OP_STORE, h, H_RBX, GPR_OFF(guest), 8);
}

static void lea_rip(struct gen *g, enum host_reg h, i32 off)
{
    emit_reg(&g->e, OP_STORE, h, H_R12, 8);
    emit_imm(&g->e, 0, h, off, 8);
}

/* The end: RIP is what RAX holds; all of the block ran. */
static void end_at_rax(struct gen *g)
{
    emit_mem(&g->e, OP_STORE, H_RAX, H_RBX, CPU_OFF(rip), 8);
    emit_mov_imm(&g->e, H_RAX, DONE);
    emit_mov_imm(&g->e, H_RDX, g->count);
    g->exits[g->n_exits++] = emit_jmp(&g->e);
}

static void call_meaning(struct gen *g, unsigned index, i32 start, i32 next)
{
    struct emit *e = &g->e;
    const struct uop *u = &g->uops[index];
    lea_rip(g, H_RAX, start);
    emit_mem(e, OP_STORE, H_RAX, H_RBX, CPU_OFF(rip), 8);
    lea_rip(g, H_RAX, next);
    emit_mem(e, OP_STORE, H_RAX, H_RBX, GPR_OFF(REG_RIP), 8);
    emit_reg(e, OP_STORE, H_RDI, H_RBX, 8);
    emit_mov_imm(e, H_RSI, (u64)&u->in);
    emit_mov_imm(e, H_RAX, (u64)u->fn);
    emit_bytes(e, "\xff\xd0", 2); /* call rax */
    emit_mov_imm(e, H_RDX, index);
    emit_reg(e, OP_TEST, H_RAX, H_RAX, 4);
    g->exits[g->n_exits++] = emit_jcc(e, 5);
    emit_bytes(e, "\x80\xbb", 2); /* cmp byte [rbx+disp32], 0 */
    emit32(e, (u32)CPU_OFF(code_dirty));
    emit8(e, 0);
    g->exits[g->n_exits++] = emit_jcc(e, 5);
}

static void go_slow(struct gen *g, u8 cc)
{
    g->slow[g->slows++] = (struct slow){.from = emit_jcc(&g->e, cc), .index = g->index};
}

/* Where the last slow case comes back to: here. */
static void slow_returns(struct gen *g)
{
    g->slow[g->slows - 1].back = g->e.len;
}

/* LAHF; SETO AL; MOV [fl], AX. RAX is lost. */
static void save_flags(struct gen *g)
{
    emit_bytes(&g->e, "\x9f\x0f\x90\xc0\x66\x89\x83", 7);
    emit32(&g->e, (u32)CPU_OFF(fl));
}

static void load_flags(struct gen *g)
{
    emit_bytes(&g->e, "\x0f\xb7\x83", 3); /* movzx eax, word [rbx+disp32] */
    emit32(&g->e, (u32)CPU_OFF(fl));
    emit_bytes(&g->e, "\x04\x7f\x9e", 3); /* add al, 0x7f: OF; sahf */
}

/* The operand's linear address in RSI, its TLB entry's addend added: a host address. Slow when it misses. */
static void host_address(struct gen *g, const struct insn *in, i32 table)
{
    struct emit *e = &g->e;
    if (in->base == REG_RIP)
        lea_rip(g, H_RSI, g->next);
    else
        get(g, H_RSI, in->base, 8);
    if (in->index != REG_ZERO) {
        get(g, H_RCX, in->index, 8);
        if (in->scale)
            emit_shift(e, 4, H_RCX, in->scale, 8);
        emit_reg(e, OP_ADD_R, H_RSI, H_RCX, 8);
    }
    if (in->disp)
        emit_imm(e, 0, H_RSI, in->disp, 8);
    if (in->seg >= FS)
        emit_mem(e, OP_ADD_M, H_RSI, H_RBX, CPU_OFF(seg) + (i32)(in->seg * sizeof(struct segment)), 8);
    emit_mem(e, OP_LOAD, H_RDI, H_RBX, CPU_OFF(tlb), 8);
    emit_mem(e, OP_LOAD, H_RDI, H_RDI, table, 8);
    emit_reg(e, OP_STORE, H_RAX, H_RSI, 8);
    emit_shift(e, 5, H_RAX, PAGE_SHIFT, 8);
    emit_imm(e, 4, H_RAX, TLB_SIZE - 1, 4);
    emit_shift(e, 4, H_RAX, 4, 4);
    emit_reg(e, OP_ADD_R, H_RDI, H_RAX, 8);
    emit_mem(e, OP_LEA, H_RCX, H_RSI, in->size - 1, 8);
    emit_imm(e, 4, H_RCX, -(i32)PAGE_SIZE, 8);
    emit_mem(e, OP_CMP_M, H_RCX, H_RDI, 0, 8);
    go_slow(g, 5);
    emit_mem(e, OP_ADD_M, H_RSI, H_RDI, 8, 8);
}

_Static_assert(sizeof(struct tlb_entry) == 16 && offsetof(struct tlb_entry, addend) == 8, "ORDER TLB_ENTRY");
_Static_assert(offsetof(struct segment, base) == 0, "ORDER SEGMENT");

static void do_load(struct gen *g, const struct insn *in)
{
    host_address(g, in, offsetof(struct tlb, r));
    emit_mem(&g->e, OP_LOAD, H_RAX, H_RSI, 0, in->size);
    put(g, in->reg, H_RAX);
    slow_returns(g);
}

static void do_store(struct gen *g, const struct insn *in, bool imm)
{
    host_address(g, in, offsetof(struct tlb, w));
    if (imm)
        emit_mov_imm(&g->e, H_RAX, in->imm);
    else
        get(g, H_RAX, in->reg, 8);
    emit_mem(&g->e, OP_STORE, H_RAX, H_RSI, 0, in->size);
    slow_returns(g);
}

static void do_mov_imm(struct gen *g, const struct insn *in)
{
    emit_mov_imm(&g->e, H_RAX, in->size == 8 ? in->imm : (u32)in->imm);
    put(g, in->rm, H_RAX);
}

static void do_mov(struct gen *g, unsigned to, unsigned from, unsigned size)
{
    get(g, H_RAX, from, size);
    put(g, to, H_RAX);
}

/* add or cmp: to op= from (or the immediate). */
static void do_alu(struct gen *g, const struct insn *in, bool cmp, unsigned to, unsigned from, bool imm)
{
    struct emit *e = &g->e;
    get(g, H_RAX, to, in->size);
    if (imm)
        emit_imm(e, cmp ? 7 : 0, H_RAX, (i32)in->imm, in->size);
    else
        emit_mem(e, cmp ? OP_CMP_M : OP_ADD_M, H_RAX, H_RBX, GPR_OFF(from), in->size);
    if (!cmp)
        emit_reg(e, OP_STORE, H_RDX, H_RAX, 8); /* mov keeps flags */
    save_flags(g);
    if (!cmp)
        put(g, to, H_RDX);
}

/* Target in RAX, checked. The slow case raises the fault; it does not come back here. */
static void branch_to(struct gen *g, i64 target)
{
    struct emit *e = &g->e;
    lea_rip(g, H_RAX, (i32)target);
    emit_reg(e, OP_STORE, H_RCX, H_RAX, 8);
    emit_shift(e, 4, H_RCX, 16, 8);
    emit_shift(e, 7, H_RCX, 16, 8);
    emit_reg(e, OP_CMP_R, H_RCX, H_RAX, 8);
    go_slow(g, 5);
    end_at_rax(g);
    slow_returns(g);
}

static void end_sequential(struct gen *g)
{
    emit_mem(&g->e, OP_LOAD, H_RAX, H_RBX, GPR_OFF(REG_RIP), 8);
    end_at_rax(g);
}

static void do_jcc(struct gen *g, const struct insn *in)
{
    load_flags(g);
    size_t taken = emit_jcc(&g->e, in->opcode & 15);
    lea_rip(g, H_RAX, g->next);
    end_at_rax(g);
    emit_patch(&g->e, taken, g->e.len);
    branch_to(g, g->next + (i64)in->imm);
    end_sequential(g);
}

static void do_jmp(struct gen *g, const struct insn *in)
{
    branch_to(g, g->next + (i64)in->imm);
    end_sequential(g);
}

static bool fits32(i64 v)
{
    return v == (i32)v;
}

/* Emits host code for the instruction; false: nothing emitted, call its meaning. */
static bool translate_one(struct gen *g, const struct insn *in, const struct meaning *m)
{
    bool mem = in->flags & INSN_MEM;
    if (m == &m_jcc && fits32(g->next + (i64)in->imm))
        return do_jcc(g, in), true;
    if (m == &m_jmp_J && fits32(g->next + (i64)in->imm))
        return do_jmp(g, in), true;
    if ((in->size != 4 && in->size != 8) || (in->flags & INSN_LOCK) || (mem && in->adsize != 8))
        return false;
    if (m == &m_mov_GE)
        return mem ? do_load(g, in) : do_mov(g, in->reg, in->rm, in->size), true;
    if (m == &m_mov_EG)
        return mem ? do_store(g, in, false) : do_mov(g, in->rm, in->reg, in->size), true;
    if (m == &m_mov_EI)
        return mem ? do_store(g, in, true) : do_mov_imm(g, in), true;
    if (mem)
        return false;
    if (m == &m_add_EG || m == &m_cmp_EG)
        return do_alu(g, in, m == &m_cmp_EG, in->rm, in->reg, false), true;
    if (m == &m_add_GE || m == &m_cmp_GE)
        return do_alu(g, in, m == &m_cmp_GE, in->reg, in->rm, false), true;
    if (m == &m_add_EI || m == &m_cmp_EI)
        return do_alu(g, in, m == &m_cmp_EI, in->rm, 0, true), true;
    return false;
}

static void enter(struct gen *g)
{
    emit_bytes(&g->e, "\x53\x41\x54\x50", 4); /* push rbx; push r12; push rax (alignment) */
    emit_reg(&g->e, OP_STORE, H_RBX, H_RDI, 8);
    emit_mem(&g->e, OP_LOAD, H_R12, H_RBX, CPU_OFF(rip), 8);
}

static void leave(struct gen *g)
{
    for (unsigned i = 0; i < g->n_exits; i++)
        emit_patch(&g->e, g->exits[i], g->e.len);
    emit_bytes(&g->e, "\x59\x41\x5c\x5b\xc3", 5); /* pop rcx; pop r12; pop rbx; ret */
}

static void emit_slow_cases(struct gen *g, const i32 *start)
{
    for (unsigned i = 0; i < g->slows; i++) {
        struct slow *s = &g->slow[i];
        emit_patch(&g->e, s->from, g->e.len);
        call_meaning(g, s->index, start[s->index], start[s->index + 1]);
        emit_jmp_to(&g->e, s->back);
    }
}

bool translate(const struct uop *uops, unsigned count, struct translation *t)
{
    struct gen g = {.e = {.buf = t->code, .cap = sizeof(t->code)}, .uops = uops, .count = count};
    i32 start[BLOCK_MAX + 1] = {0};
    bool branched = false;
    enter(&g);
    for (g.index = 0; g.index < count; g.index++) {
        const struct insn *in = &uops[g.index].in;
        g.start = start[g.index];
        g.next = start[g.index + 1] = g.start + in->len;
        const struct meaning *m = insn_meaning[in->id];
        bool same = uops[g.index].fn == (in->flags & INSN_MEM ? m->mem : m->reg)[__builtin_ctz(in->size) & 3];
        branched = false;
        if (same && translate_one(&g, in, m)) {
            g.native++;
            branched = insn_infos[in->id].attr & ATTR_BRANCH;
        } else {
            call_meaning(&g, g.index, g.start, g.next);
            g.called++;
        }
    }
    if (!branched)
        insn_infos[uops[count - 1].in.id].attr &ATTR_BRANCH ? end_sequential(&g)
                                                            : (lea_rip(&g, H_RAX, g.next), end_at_rax(&g));
    emit_slow_cases(&g, start);
    leave(&g);
    t->len = g.e.len;
    t->native = g.native;
    t->called = g.called;
    return !g.e.overflow;
}
