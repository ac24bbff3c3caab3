/* SPDX-License-Identifier: MIT */
/*
 * x87: arithmetic runs in a thunk between FXRSTOR and FXSAVE of the guest's image; control instructions work
 * on the image itself.
 *
 * An unmasked exception cannot trap on the host: the thunk's instruction leaves it pending, FXSAVE does not
 * wait, and FNINIT clears it. The guest gets #MF before its next waiting instruction. SDM 1 8.7 With CR0.NE =
 * 0 the guest is treated as if IGNNE# were asserted: waiting instructions run with everything masked.
 *
 * FIP, FDP and FOP are kept here from guest values (the thunk's would be host addresses). FCS and FDS are not
 * kept and read as 0, as on processors that deprecate them (CPUID.7:EBX[13]).
 */
#include "cpu/fpu.h"
#include "cpu/host_insn.h"
#include "cpu/meanings.h"
#include "cpu/mmu.h"
#include "cpu/operands.h"

enum { SW_ES = 0x80, SW_B = 0x8000, NOT_STORED = 0x1f /* I D Z O U; a precision exception stores */ };

static void set_summary(struct cpu *c)
{
    u16 sw = fpu_sw(c) & ~(SW_ES | SW_B);
    if (fpu_pending(c))
        sw |= SW_ES | SW_B;
    store_le(c->x87 + X87_SW, 2, sw);
}

static void record_pointers(struct cpu *c, const struct insn *in, u64 data)
{
    store_le(c->x87 + X87_FOP, 2, (u64)(in->opcode & 7) << 8 | in->modrm);
    store_le(c->x87 + X87_FIP, 8, c->rip);
    store_le(c->x87 + X87_FDP, 8, data);
}

/* The thunk's part; pointers are kept from before, since FXSAVE wrote the host's. */
static void run_thunk(struct cpu *c, const struct host_plan *p, struct host_args *a)
{
    u8 keep[X87_MXCSR - X87_FOP];
    u16 cw = fpu_cw(c);
    bool ignored = fpu_pending(c);
    memcpy(keep, c->x87 + X87_FOP, sizeof(keep));
    if (unlikely(ignored))
        store_le(c->x87 + X87_CW, 2, cw | 0x3f);
    store_le(c->x87 + X87_MXCSR, 4, MXCSR_RESET);
    p->code(a);
    if (unlikely(ignored)) {
        store_le(c->x87 + X87_CW, 2, cw);
        set_summary(c);
    }
    memcpy(c->x87 + X87_FOP, keep, sizeof(keep));
}

static enum outcome x87_memory_in(struct cpu *c, const struct insn *in, u32 attr, struct host_args *a,
                                  u64 *lin)
{
    unsigned size = in->mem_size;
    bug_on(!size || size > sizeof(a->mem), "row %s: memory operand of %u bytes", insn_infos[in->id].mnemonic,
           size);
    if (insn_linear(c, in, size, attr & ATTR_STORE, lin) != DONE)
        return FAULT;
    return attr & ATTR_LOAD ? mmu_read(c, *lin, a->mem, size) : DONE;
}

/* The store happens last: on a fault the image goes back to what it was. A place that cannot be written is
 * told even when an unmasked exception keeps the value back. */
static enum outcome x87_memory_out(struct cpu *c, const struct insn *in, const struct host_args *a, u64 lin,
                                   const u8 *before)
{
    bool kept = fpu_sw(c) & ~fpu_cw(c) & NOT_STORED;
    if (likely((kept ? mmu_probe_write(c, lin, in->mem_size, AS_CURRENT)
                     : mmu_write(c, lin, a->mem, in->mem_size)) == DONE))
        return DONE;
    memcpy(c->x87, before, 160);
    return FAULT;
}

enum outcome host_run_x87(struct cpu *c, const struct insn *in, const struct host_plan *p)
{
    struct host_args a = {.x87 = c->x87, .fl = c->fl};
    bool mem = in->flags & INSN_MEM, store = mem && (p->attr & ATTR_STORE);
    u64 lin = 0;
    u8 before[160];
    if (unlikely(fpu_check_x87(c) != DONE || fpu_check_pending(c) != DONE))
        return FAULT;
    if (mem && unlikely(x87_memory_in(c, in, p->attr, &a, &lin) != DONE))
        return FAULT;
    if (store)
        memcpy(before, c->x87, sizeof(before));
    run_thunk(c, p, &a);
    if (store && x87_memory_out(c, in, &a, lin, before) != DONE)
        return FAULT;
    record_pointers(c, in, mem ? insn_ea(c, in) : load_le(c->x87 + X87_FDP, 8));
    if (p->flags)
        c->fl = a.fl;
    return DONE;
}

/* Control instructions without memory. */

static enum outcome fninit(struct cpu *c, const struct insn *in)
{
    if (fpu_check_x87(c) != DONE)
        return FAULT;
    fpu_init_x87(c);
    return DONE;
}
DEFINE_MEANING_ONE(fninit, fninit);

/* FNENI, FNDISI, FNSETPM: of the 8087 and 80287, nothing since; they wait for no exception. SDM 3B 22.18.9 */
static enum outcome fn_nothing(struct cpu *c, const struct insn *in)
{
    return fpu_check_x87(c);
}
DEFINE_MEANING_ONE(fn_nothing, fn_nothing);

static enum outcome fnclex(struct cpu *c, const struct insn *in)
{
    if (fpu_check_x87(c) != DONE)
        return FAULT;
    store_le(c->x87 + X87_SW, 2, fpu_sw(c) & 0x7f00);
    return DONE;
}
DEFINE_MEANING_ONE(fnclex, fnclex);

static enum outcome fwait(struct cpu *c, const struct insn *in)
{
    u64 both = CR0_MP | CR0_TS;
    if ((c->cr0 & both) == both)
        return fault_plain(c, VEC_NM);
    return fpu_check_pending(c);
}
DEFINE_MEANING_ONE(fwait, fwait);

static enum outcome emms(struct cpu *c, const struct insn *in)
{
    if (fpu_check_mmx(c) != DONE)
        return FAULT;
    fpu_mmx_enter(c);
    c->x87[X87_TAG] = 0;
    return DONE;
}
DEFINE_MEANING_ONE(emms, emms);

/* Control and status word. */

static enum outcome fnstcw(struct cpu *c, const struct insn *in)
{
    return fpu_check_x87(c) == DONE ? operand_store(c, in, 2, fpu_cw(c)) : FAULT;
}
DEFINE_MEANING_ONE(fnstcw, fnstcw);

static enum outcome fnstsw_reg(struct cpu *c, const struct insn *in)
{
    if (fpu_check_x87(c) != DONE)
        return FAULT;
    store_le(&c->regs[RAX], 2, fpu_sw(c));
    return DONE;
}

static enum outcome fnstsw_mem(struct cpu *c, const struct insn *in)
{
    return fpu_check_x87(c) == DONE ? operand_store(c, in, 2, fpu_sw(c)) : FAULT;
}
DEFINE_MEANING_RM(fnstsw, fnstsw_reg, fnstsw_mem);

static enum outcome fldcw(struct cpu *c, const struct insn *in)
{
    u64 v;
    if (fpu_check_x87(c) != DONE || fpu_check_pending(c) != DONE || operand_load(c, in, 2, &v) != DONE)
        return FAULT;
    store_le(c->x87 + X87_CW, 2, v);
    fpu_normalise(c);
    return DONE;
}
DEFINE_MEANING_ONE(fldcw, fldcw);

/* The environment: 14 or 28 bytes, in protected or real-address form. SDM 1 8.1.10 */

struct env {
    u8 b[28];
    unsigned len;
};

static bool env_real(const struct cpu *c)
{
    return !(c->cr0 & CR0_PE) || (c->rflags & FLAG_VM);
}

static unsigned env_length(const struct insn *in)
{
    return in->size == 2 ? 14 : 28;
}

/* Two tag bits of an 80-bit register: 0 valid, 1 zero, 2 special. */
static unsigned tag_of(const u8 *st)
{
    u64 mantissa = load_le(st, 8);
    unsigned exponent = load_le(st + 8, 2) & 0x7fff;
    if (!exponent)
        return mantissa ? 2 : 1;
    return exponent == 0x7fff || !(mantissa >> 63) ? 2 : 0;
}

static u16 full_tags(struct cpu *c)
{
    unsigned tags = 0;
    for (unsigned r = 0; r < 8; r++) {
        bool used = c->x87[X87_TAG] >> r & 1;
        tags |= (used ? tag_of(fpu_st(c, r - fpu_top(c))) : 3) << 2 * r;
    }
    return (u16)tags;
}

static u8 short_tags(u16 tags)
{
    unsigned v = 0;
    for (unsigned r = 0; r < 8; r++)
        v |= (unsigned)((tags >> 2 * r & 3) != 3) << r;
    return (u8)v;
}

static void env_build(struct cpu *c, const struct insn *in, struct env *e)
{
    u64 ip = load_le(c->x87 + X87_FIP, 8), dp = load_le(c->x87 + X87_FDP, 8);
    u32 op = (u32)load_le(c->x87 + X87_FOP, 2) & 0x7ff;
    unsigned w = in->size == 2 ? 2 : 4;
    bool real = env_real(c);
    e->len = env_length(in);
    memset(e->b, w == 4 ? 0xff : 0, sizeof(e->b)); /* upper halves of words in the 32-bit form */
    store_le(e->b, 2, fpu_cw(c));
    store_le(e->b + w, 2, fpu_sw(c));
    store_le(e->b + 2 * w, 2, full_tags(c));
    store_le(e->b + 3 * w, w, ip);
    store_le(e->b + 5 * w, w, dp);
    if (w == 2) {
        store_le(e->b + 8, 2, real ? (ip >> 4 & 0xf000) | op : 0);
        store_le(e->b + 12, 2, real ? dp >> 4 & 0xf000 : 0);
    } else if (real) {
        store_le(e->b + 12, 4, ip & 0xffff);
        store_le(e->b + 16, 4, (ip >> 16 & 0xffff) << 12 | op);
        store_le(e->b + 20, 4, dp & 0xffff);
        store_le(e->b + 24, 4, (dp >> 16 & 0xffff) << 12);
    } else {
        store_le(e->b + 16, 4, op << 16);
        store_le(e->b + 26, 2, 0xffff);
        store_le(e->b + 24, 2, 0);
    }
}

static void env_apply(struct cpu *c, const struct insn *in, const u8 *b)
{
    unsigned w = in->size == 2 ? 2 : 4;
    u64 ip = load_le(b + 3 * w, w), dp = load_le(b + 5 * w, w), op = 0;
    if (env_real(c)) {
        u64 hi = load_le(b + 4 * w, w), dhi = load_le(b + 6 * w, w);
        ip = (ip & 0xffff) | (w == 2 ? (hi & 0xf000) << 4 : (hi & 0x0ffff000) << 4);
        dp = (dp & 0xffff) | (w == 2 ? (dhi & 0xf000) << 4 : (dhi & 0x0ffff000) << 4);
        op = hi & 0x7ff;
    } else if (w == 4) {
        op = load_le(b + 18, 2) & 0x7ff;
    }
    fpu_set_top(c, load_le(b + w, 2) >> 11 & 7);
    store_le(c->x87 + X87_CW, 2, load_le(b, 2));
    store_le(c->x87 + X87_SW, 2, load_le(b + w, 2));
    store_le(c->x87 + X87_TAG, 2, short_tags((u16)load_le(b + 2 * w, 2)));
    store_le(c->x87 + X87_FOP, 2, op);
    store_le(c->x87 + X87_FIP, 8, ip);
    store_le(c->x87 + X87_FDP, 8, dp);
    fpu_normalise(c);
}

static enum outcome store_block(struct cpu *c, const struct insn *in, const u8 *b, unsigned len)
{
    u64 lin;
    if (insn_linear(c, in, len, true, &lin) != DONE)
        return FAULT;
    return mmu_write(c, lin, b, len);
}

static enum outcome load_block(struct cpu *c, const struct insn *in, u8 *b, unsigned len)
{
    u64 lin;
    if (insn_linear(c, in, len, false, &lin) != DONE)
        return FAULT;
    return mmu_read(c, lin, b, len);
}

static enum outcome fnstenv(struct cpu *c, const struct insn *in)
{
    struct env e;
    if (fpu_check_x87(c) != DONE)
        return FAULT;
    env_build(c, in, &e);
    if (store_block(c, in, e.b, e.len) != DONE)
        return FAULT;
    store_le(c->x87 + X87_CW, 2, fpu_cw(c) | 0x3f); /* all masked from here on */
    set_summary(c);
    return DONE;
}
DEFINE_MEANING_ONE(fnstenv, fnstenv);

static enum outcome fldenv(struct cpu *c, const struct insn *in)
{
    u8 b[28];
    if (fpu_check_x87(c) != DONE || fpu_check_pending(c) != DONE ||
        load_block(c, in, b, env_length(in)) != DONE)
        return FAULT;
    env_apply(c, in, b);
    return DONE;
}
DEFINE_MEANING_ONE(fldenv, fldenv);

static enum outcome fnsave(struct cpu *c, const struct insn *in)
{
    struct env e;
    u8 b[108];
    if (fpu_check_x87(c) != DONE)
        return FAULT;
    env_build(c, in, &e);
    memcpy(b, e.b, e.len);
    for (unsigned i = 0; i < 8; i++)
        memcpy(b + e.len + 10 * i, fpu_st(c, i), 10);
    if (store_block(c, in, b, e.len + 80) != DONE)
        return FAULT;
    fpu_init_x87(c);
    return DONE;
}
DEFINE_MEANING_ONE(fnsave, fnsave);

static enum outcome frstor(struct cpu *c, const struct insn *in)
{
    u8 b[108];
    unsigned len = env_length(in);
    if (fpu_check_x87(c) != DONE || fpu_check_pending(c) != DONE || load_block(c, in, b, len + 80) != DONE)
        return FAULT;
    env_apply(c, in, b); /* TOP first: the registers come relative to it */
    for (unsigned i = 0; i < 8; i++)
        memcpy(fpu_st(c, i), b + len + 10 * i, 10);
    return DONE;
}
DEFINE_MEANING_ONE(frstor, frstor);
