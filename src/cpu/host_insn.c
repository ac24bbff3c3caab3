/* SPDX-License-Identifier: MIT */
/*
 * Running guest vector and MMX instructions through thunks (host_emit.c makes them).
 *
 * Order within one instruction: faults of state (#UD, #NM, #MF), address and alignment, memory read,
 * execution, SIMD exceptions, memory write, and only then c's MXCSR and flags. Registers are written by the
 * thunk, so an instruction that both writes registers and stores to memory probes the store first.
 */
#include "cpu/host_insn.h"

#include <cpuid.h>
#include <stdlib.h>

#include "base/exec_pages.h"
#include "cpu/meanings.h"
#include "cpu/simd.h"

#define PLAN_BITS  10
#define CODE_BYTES (256 * KIB)

struct host_insns {
    struct host_plan plan[1u << PLAN_BITS]; /* direct-mapped by key */
    struct exec_pages pages;
};

struct host_insns *host_insns_new(struct err *err)
{
    struct host_insns *h = calloc(1, sizeof(*h));
    if (!h) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for the software CPU");
        return NULL;
    }
    if (exec_pages_create(&h->pages, CODE_BYTES, err) < 0) {
        free(h);
        return NULL;
    }
    return h;
}

void host_insns_free(struct host_insns *h)
{
    if (!h)
        return;
    exec_pages_destroy(&h->pages);
    free(h);
}

/* What a thunk's bytes depend on, besides the host. Bit 63 tells a key from an empty place. */
static inline u64 plan_key(const struct cpu *c, const struct insn *in, u32 attr)
{
    u8 flags = in->flags & (INSN_MEM | INSN_VEX_L | INSN_W);
    u64 modrm = attr & ATTR_X87 ? in->modrm : 0;
    return (u64)1 << 63 | in->id | (u64)flags << 16 | (u64)in->size << 24 | modrm << 32 |
           (u64)(u8)in->imm << 40 | (u64)(c->mode == MODE_64) << 48;
}

/* Written through one address and executed through another: a serializing instruction must stand between
 * where a place is used again. SDM 3A 8.1.3 */
static void serialize(void)
{
    unsigned a, b, c, d;
    __cpuid(0, a, b, c, d);
}

static void plans_reset(struct host_insns *h)
{
    memset(h->plan, 0, sizeof(h->plan));
    h->pages.used = 0;
    serialize();
}

static enum outcome run_vector(struct cpu *c, const struct insn *in, const struct host_plan *p);

static void plan_make(struct cpu *c, const struct insn *in, const struct insn_info *info, u64 key,
                      struct host_plan *p)
{
    u8 buf[HOST_THUNK_MAX];
    struct host_plan plan = {.key = key, .attr = info->attr};
    plan.run = info->attr & ATTR_X87 ? host_run_x87 : run_vector;
    plan.byte_high = info->map == 2 && info->prefix == 0xf2 && info->opcode == 0xf0; /* CRC32 r, r/m8 */
    unsigned len = host_emit(in, info, c->mode == MODE_64, &plan, buf);
    plan.code = (host_thunk)exec_pages_add(&c->host->pages, buf, len);
    if (!plan.code) {
        plans_reset(c->host);
        plan.code = (host_thunk)exec_pages_add(&c->host->pages, buf, len);
        bug_on(!plan.code, "no room for a thunk of %u bytes", len);
    }
    serialize();
    *p = plan;
}

const struct host_plan *host_plan_get(struct cpu *c, const struct insn *in)
{
    const struct insn_info *info = &insn_infos[in->id];
    u64 key = plan_key(c, in, info->attr);
    struct host_plan *p = &c->host->plan[key * 0x9e3779b97f4a7c15 >> (64 - PLAN_BITS)];
    if (unlikely(p->key != key))
        plan_make(c, in, info, key, p);
    return p;
}

static inline void fill_args(struct cpu *c, const struct insn *in, const struct host_plan *p,
                             struct host_args *a)
{
    a->v[0] = c->vec[in->reg & 15];
    a->v[1] = c->vec[in->vreg & 15];
    a->v[2] = c->vec[in->rm & 15];
    a->v[3] = c->vec[in->imm >> 4 & (c->mode == MODE_64 ? 15 : 7)];
    a->g[0] = &c->regs[in->reg & 15];
    a->g[1] = &c->regs[in->vreg & 15];
    a->g[2] = &c->regs[in->rm & 15];
    a->regs = c->regs;
    a->xmm0 = c->vec[0];
    a->fl = c->fl;
    a->mxcsr = c->mxcsr;
    if (unlikely(p->byte_high) && !(in->flags & INSN_REX) && in->rm >= 4)
        a->g[2] = (u64 *)((u8 *)&c->regs[in->rm & 3] + 1);
}

/* Everything a thunk may write. */
struct undo {
    u8 vec[16][32];
    u8 x87[512];
    u64 regs[REG_COUNT];
};

static void undo_save(const struct cpu *c, struct undo *u)
{
    memcpy(u->vec, c->vec, sizeof(u->vec));
    memcpy(u->x87, c->x87, sizeof(u->x87));
    memcpy(u->regs, c->regs, sizeof(u->regs));
}

static void undo_restore(struct cpu *c, const struct undo *u)
{
    memcpy(c->vec, u->vec, sizeof(u->vec));
    memcpy(c->x87, u->x87, sizeof(u->x87));
    memcpy(c->regs, u->regs, sizeof(u->regs));
}

/*
 * SIMD floating-point exceptions that the guest unmasked: run with all of them masked and look at the flags.
 * An unmasked underflow is raised by a tiny result even when it is exact, which the masked flag does not
 * show; flushing to zero does. An unmasked invalid, divide or denormal operand stops before results exist: no
 * O, U, P flags then. Returns the exceptions to raise, with every register as it was; 0 when the instruction
 * is done. SDM 1 11.5.2, 10.2.3.3
 */
static __attribute__((noinline)) u32 run_unmasked(struct cpu *c, const struct host_plan *p,
                                                  struct host_args *a)
{
    enum { IE_DE_ZE = 7, UE = 16, MASKS = 0x1f80, FTZ = 0x8000 };
    u32 guest = c->mxcsr, unmasked = ~(guest >> 7) & MXCSR_FLAGS, raised = 0;
    u32 base = (guest & ~(u32)MXCSR_FLAGS) | MASKS;
    struct undo u;
    undo_save(c, &u);
    if (unmasked & UE) {
        struct host_args copy = *a;
        copy.mxcsr = base | FTZ;
        p->code(&copy);
        undo_restore(c, &u);
        raised = copy.mxcsr & UE;
        base &= ~(u32)FTZ; /* without effect while underflow is unmasked */
    }
    a->mxcsr = base;
    p->code(a);
    raised |= a->mxcsr & MXCSR_FLAGS;
    if (raised & unmasked & IE_DE_ZE)
        raised &= IE_DE_ZE;
    a->mxcsr = guest | raised;
    if (raised & unmasked)
        undo_restore(c, &u);
    return raised & unmasked;
}

static enum outcome raise_simd(struct cpu *c, u32 mxcsr)
{
    c->mxcsr = mxcsr;
    return c->cr4 & CR4_OSXMMEXCPT ? fault_plain(c, VEC_XM) : fault_ud(c);
}

static enum outcome memory_in(struct cpu *c, const struct insn *in, u32 attr, struct host_args *a, u64 *lin)
{
    unsigned size = in->mem_size;
    bug_on(!size || size > sizeof(a->mem), "row %s: memory operand of %u bytes", insn_infos[in->id].mnemonic,
           size);
    if (unlikely(insn_linear(c, in, size, attr & ATTR_STORE, lin) != DONE))
        return FAULT;
    if (unlikely((attr & ATTR_ALIGN) && (*lin & (size - 1))))
        return fault_gp0(c);
    if ((attr & ATTR_LOAD) && unlikely(mmu_read(c, *lin, a->mem, size) != DONE))
        return FAULT;
    /* Results other than the memory operand are written by the thunk: be sure of the store first. */
    if ((attr & ATTR_STORE) && (attr & (ATTR_FPEXC | ATTR_MMX)))
        return mmu_probe_write(c, *lin, size, AS_CURRENT);
    return DONE;
}

static void mmx_arguments(struct cpu *c, const struct insn *in, const struct host_plan *p,
                          struct host_args *a)
{
    fpu_mmx_enter(c);
    if (p->mm_used & 1)
        a->v[0] = fpu_mm(c, in->reg);
    if (p->mm_used & 4)
        a->v[2] = fpu_mm(c, in->rm);
}

/* A written MMX register reads as NaN in x87. SDM 1 9.5.1 */
static void mmx_results(const struct host_plan *p, struct host_args *a)
{
    for (unsigned i = 0; i < 4; i++)
        if (p->mm_written >> i & 1)
            memset(a->v[i] + 8, 0xff, 2);
}

static enum outcome run_vector(struct cpu *c, const struct insn *in, const struct host_plan *p)
{
    struct host_args a;
    u64 lin = 0;
    u32 attr = p->attr;
    if (unlikely(simd_check(c, in, attr) != DONE))
        return FAULT;
    if ((in->flags & INSN_MEM) && unlikely(memory_in(c, in, attr, &a, &lin) != DONE))
        return FAULT;
    fill_args(c, in, p, &a);
    if (p->mm_used)
        mmx_arguments(c, in, p, &a);
    if (unlikely((attr & ATTR_FPEXC) && (c->mxcsr & 0x1f80) != 0x1f80)) {
        if (run_unmasked(c, p, &a))
            return raise_simd(c, a.mxcsr);
    } else {
        p->code(&a);
    }
    if (p->mm_written)
        mmx_results(p, &a);
    if ((attr & ATTR_STORE) && (in->flags & INSN_MEM) &&
        unlikely(mmu_write(c, lin, a.mem, in->mem_size) != DONE))
        return FAULT;
    c->mxcsr = a.mxcsr;
    if (p->flags)
        c->fl = a.fl;
    return DONE;
}

enum outcome host_execute(struct cpu *c, const struct insn *in)
{
    const struct host_plan *p = host_plan_get(c, in);
    return p->run(c, in, p);
}

static enum outcome host(struct cpu *c, const struct insn *in)
{
    return host_execute(c, in);
}
DEFINE_MEANING_ONE(host, host);
