/* SPDX-License-Identifier: MIT */
/*
 * Random runs of instructions: what one leaves to the next (flags, partial registers, vector and x87 state)
 * and what faults halfway, lies across two pages, is jumped over or has been overwritten.
 *
 * Each element is a case of case.c; where its operand needs registers, MOVs of constants, which leave flags
 * alone, come before it. Conditional jumps go forward, over one element or none; other branches only to what
 * comes next, for the sake of the blocks they end. An element that is overwritten adds an immediate that the
 * store before it changes. Half of the elements have to do with flags.
 */
#include "oracle.h"

enum { TRIES = 200 };

static bool begins(unsigned id, const char *name)
{
    return !strncmp(row_name(id), name, strlen(name));
}

/* Rows that a run can go through: it ends at others, or they need what a constant in a register cannot give.
 */
static bool chains(unsigned id)
{
    const struct insn_info *info = &insn_infos[id];
    for (unsigned i = 0; i < ARRAY_SIZE(info->op); i++)
        if (info->op[i].kind == OP_VSIB)
            return false;
    return !(info->attr & (ATTR_BRANCH | ATTR_END | ATTR_PRIV)) && !begins(id, "UD") && !begins(id, "POPF") &&
           !begins(id, "XRSTOR") && !begins(id, "FXRSTOR");
}

unsigned sequence_rows(const u16 *rows, unsigned n, u16 *out)
{
    unsigned count = 0;
    for (unsigned i = 0; i < n; i++)
        if (chains(rows[i]))
            out[count++] = rows[i];
    return count;
}

static bool put(struct insn_case *s, const void *bytes, unsigned n)
{
    if (s->len + n > sizeof(s->bytes))
        return false;
    memcpy(s->bytes + s->len, bytes, n);
    s->len += n;
    return true;
}

/* MOV r64, imm64 */
static bool put_constant(struct insn_case *s, unsigned reg, u64 value)
{
    u8 b[10] = {(u8)(0x48 | reg >> 3), (u8)(0xb8 | (reg & 7))};
    store_le(b + 2, 8, value);
    return put(s, b, sizeof(b));
}

/* The registers that lead an element's operands where its case wants them. */
static u32 leading_registers(struct rng *r, const struct insn_case *e)
{
    const struct insn *in = &e->in;
    const struct insn_info *info = &insn_infos[in->id];
    u32 regs = 0;
    if (in->flags & INSN_MEM && in->base < 16)
        regs |= 1u << in->base;
    if (in->flags & INSN_MEM && in->index < 16)
        regs |= 1u << in->index;
    if (in->flags & INSN_MEM && info->op[1].kind == OP_G && begins(in->id, "BT"))
        regs |= 1u << in->reg;
    if (info->attr & ATTR_STRING)
        regs |= 1u << RSI | 1u << RDI | 1u << RCX;
    if (begins(in->id, "MASKMOV") || begins(in->id, "VMASKMOVDQU"))
        regs |= 1u << RDI;
    if (begins(in->id, "LEAVE") || begins(in->id, "ENTER"))
        regs |= 1u << RBP | 1u << RSP;
    if (begins(in->id, "PUSH") || begins(in->id, "POP"))
        regs |= rng_below(r, 4) ? 0 : 1u << RSP;
    return regs;
}

static bool put_leading(struct rng *r, struct insn_case *s, const struct insn_case *e)
{
    u32 regs = leading_registers(r, e);
    for (unsigned i = 0; i < 16; i++)
        if ((regs >> i & 1) && !put_constant(s, i, e->start.gpr[i]))
            return false;
    return !begins(e->in.id, "DIV") || !rng_below(r, 4) || put_constant(s, RDX, 0);
}

static bool put_element(struct rng *r, struct insn_case *s, struct insn_case *e)
{
    if (!put_leading(r, s, e))
        return false;
    if (e->in.flags & INSN_MEM && e->in.base == REG_RIP) {
        u64 target = e->start.rip + e->in.len + (u64)(i64)e->in.disp;
        if (!case_patch_disp(e, (i32)(target - (s->start.rip + s->len + e->in.len))))
            return false;
    }
    return put(s, e->bytes, e->in.len);
}

/* MOV DWORD [RIP+n], imm32 into what follows: ADD EAX, imm32. */
static bool put_overwritten(struct rng *r, struct insn_case *s)
{
    u8 b[10 + 5] = {0xc7, 0x05, 1, 0, 0, 0};
    store_le(b + 6, 4, rng_next(r));
    b[10] = 0x05;
    store_le(b + 11, 4, rng_next(r));
    return put(s, b, sizeof(b));
}

/* PUSH imm32, LDMXCSR [RSP]: any rounding, DAZ and FTZ; now and then exceptions unmasked, but not overflow
 * and underflow (docs/limits.md). Bit 17 is AMD's alone. */
static bool put_mxcsr(struct rng *r, struct insn_case *s)
{
    u8 b[5 + 4] = {0x68, 0, 0, 0, 0, 0x0f, 0xae, 0x14, 0x24};
    store_le(b + 1, 4, rng_below(r, 0x10000) | (rng_below(r, 4) ? 0x1f80 : 0xc00));
    return put_constant(s, RSP, DATA_BASE + 0x800) && put(s, b, sizeof(b));
}

/* Jcc rel8, which may go over what is put behind it. */
static bool put_jump(struct rng *r, struct insn_case *s, unsigned *from)
{
    u8 b[2] = {(u8)(0x70 | rng_below(r, 16)), 0};
    *from = rng_below(r, 2) ? s->len + 2 : 0;
    return put(s, b, sizeof(b));
}

/* A jump, call or return to what is put behind it. */
static bool put_branch(struct rng *r, struct insn_case *s)
{
    static const struct {
        u8 head, len, bytes[4];
        bool stack;
    } kinds[] = {
        {0, 2, {0xeb, 0x00}, false},  /* JMP rel8 */
        {0, 5, {0xe8}, true},         /* CALL rel32 */
        {10, 2, {0xff, 0xe2}, false}, /* JMP RDX */
        {10, 2, {0xff, 0xd2}, true},  /* CALL RDX */
        {5, 1, {0xc3}, true},         /* RET */
    };
    unsigned k = (unsigned)rng_below(r, 5);
    u8 b[5] = {0}, push[5] = {0x68};
    memcpy(b, kinds[k].bytes, sizeof(kinds[k].bytes));
    if (kinds[k].stack && !put_constant(s, RSP, DATA_BASE + 0x800))
        return false;
    u64 next = s->start.rip + s->len + kinds[k].head + kinds[k].len;
    store_le(push + 1, 4, next);
    if ((kinds[k].head == 10 && !put_constant(s, RDX, next)) || (kinds[k].head == 5 && !put(s, push, 5)))
        return false;
    return put(s, b, kinds[k].len);
}

/* Half of them read or write arithmetic flags. */
static unsigned choose_row(struct rng *r, const u16 *rows, unsigned n)
{
    unsigned id = rows[rng_below(r, n)];
    bool flags = rng_below(r, 2);
    for (unsigned i = 0; flags && i < TRIES; i++) {
        if ((insn_infos[id].flags_read | insn_infos[id].flags_written) & FLAGS_ARITH)
            break;
        id = rows[rng_below(r, n)];
    }
    return id;
}

static bool add_one(struct rng *r, const u16 *rows, unsigned n, struct insn_case *s)
{
    static struct insn_case e;
    unsigned over = 0, before = s->len;
    bool fits = (rng_below(r, 4) || put_jump(r, s, &over));
    if (rng_below(r, 24) == 0)
        fits = fits && put_overwritten(r, s);
    else if (rng_below(r, 24) == 0)
        fits = fits && put_mxcsr(r, s);
    else if (rng_below(r, 12) == 0)
        fits = fits && put_branch(r, s);
    else
        fits = fits && case_make(r, choose_row(r, rows, n), &e) && e.mode == MODE_64 && put_element(r, s, &e);
    if (!fits)
        s->len = before;
    else if (over && s->len - over < 128)
        s->bytes[over - 1] = (u8)(s->len - over);
    return fits;
}

bool sequence_make(struct rng *r, const u16 *rows, unsigned n, struct insn_case *s)
{
    unsigned most = 2 + (unsigned)rng_below(r, 14);
    do {
        if (!case_make(r, rows[rng_below(r, n)], s))
            return false;
    } while (s->mode != MODE_64);
    if (rng_below(r, 3) == 0)
        s->start.rip = CODE_BASE + CODE_SIZE / 2 - rng_below(r, 100);
    s->count = s->len = 0;
    s->in = (struct insn){0};
    for (unsigned i = 0; i < TRIES && s->count < most; i++)
        s->count += add_one(r, rows, n, s);
    return s->count > 1;
}
