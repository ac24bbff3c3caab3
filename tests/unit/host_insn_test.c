/* SPDX-License-Identifier: MIT */
/*
 * Vector, MMX and x87 meanings against the processor this test runs on: each instruction of host_insn_list.h
 * is executed natively and through its meaning on the same random state, and everything it can change is
 * compared. Then what the host cannot show directly: faults of state and address, unmasked exceptions,
 * partial gathers, XSAVE.
 *
 * Linked with the files under test only; memory is one readable and writable page at MEM, one read-only page
 * behind it.
 */
#undef _GNU_SOURCE /* whose <signal.h> has a REG_RIP of its own */
#define _DEFAULT_SOURCE
#include "cpu/host_insn.h"

#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <ucontext.h>

#include <cmocka.h>

#include "base/exec_pages.h"
#include "cpu/fpu.h"
#include "cpu/meanings.h"
#include "cpu/mmu.h"
#include "insn_ids.h"

/* Meanings this test does not link are NULL. */
#define MEANING(name) __attribute__((weak)) extern const struct meaning m_##name;
#include "insn_meanings.inc"
#undef MEANING
static const struct meaning *const meaning_table[] = {
#define MEANING_OF(row, name) [ID_##row] = &m_##name,
#include "insn_meaning_table.inc"
#undef MEANING_OF
};

enum { MEM = 0x10000, PAGE = 4096 };

static u8 memory[2 * PAGE] __attribute__((aligned(4096)));

/* What the meanings need of the rest of cpu/. */

enum outcome fault_plain(struct cpu *c, u8 vector)
{
    c->fault = (struct fault){.vector = vector};
    return FAULT;
}

enum outcome fault_error(struct cpu *c, u8 vector, u32 error)
{
    c->fault = (struct fault){.vector = vector, .has_error = true, .error = error};
    return FAULT;
}

static enum outcome page_fault(struct cpu *c, u64 lin)
{
    fault_error(c, VEC_PF, 0);
    c->fault.cr2 = lin;
    return FAULT;
}

enum outcome mmu_read_slow(struct cpu *c, u64 lin, void *buf, unsigned size, enum mmu_as as)
{
    if (lin - MEM > sizeof(memory) - size)
        return page_fault(c, lin);
    memcpy(buf, memory + (lin - MEM), size);
    return DONE;
}

enum outcome mmu_probe_write(struct cpu *c, u64 lin, unsigned size, enum mmu_as as)
{
    return lin - MEM > PAGE - size ? page_fault(c, lin) : DONE;
}

enum outcome mmu_write_slow(struct cpu *c, u64 lin, const void *buf, unsigned size, enum mmu_as as)
{
    if (mmu_probe_write(c, lin, size, as) != DONE)
        return FAULT;
    memcpy(memory + (lin - MEM), buf, size);
    return DONE;
}

enum outcome mmu_linear_legacy(struct cpu *c, unsigned seg, u64 offset, unsigned size, bool write, u64 *lin)
{
    *lin = (u32)(c->seg[seg].base + offset);
    return DONE;
}

/* The guest */

/* The guest has what this host has, as the machine's models are made too. */
static bool host_has(enum feature f)
{
    const struct feature_info *i = &feature_infos[f];
    u32 r[4];
    if (f == FEAT_NONE || i->need != NEED_HOST)
        return true;
    return __get_cpuid_count(i->leaf, i->subleaf, &r[CPUID_EAX], &r[CPUID_EBX], &r[CPUID_ECX],
                             &r[CPUID_EDX]) &&
           (r[i->reg] >> i->bit & 1);
}

static struct cpu_model model;
static struct tlb tlb;
static struct tlb_view empty;

static struct cpu *guest_new(void)
{
    struct cpu *c = aligned_alloc(64, ALIGN_UP(sizeof(*c), 64));
    memset(c, 0, sizeof(*c));
    for (unsigned i = 0; i < TLB_SIZE; i++)
        empty.read[i].tag = empty.write[i].tag = TLB_EMPTY(i);
    tlb.view = &empty;
    tlb.x = empty.read;
    for (enum feature f = FEAT_NONE; f < FEAT_COUNT; f++)
        if (host_has(f))
            model.features[f / 64] |= BIT(f % 64);
    model.xcr0_mask = 7;
    c->tlb = &tlb;
    c->model = &model;
    c->host = host_insns_new(NULL);
    assert_non_null(c->host);
    fpu_reset(c, false);
    fpu_init_x87(c);
    c->mode = MODE_64;
    c->cr0 = CR0_PE | CR0_NE | CR0_MP | CR0_PG;
    c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    c->xcr0 = 7;
    c->regs[RDI] = MEM;
    c->regs[RDX] = 0;
    return c;
}

static void guest_free(struct cpu *c)
{
    host_insns_free(c->host);
    free(c);
}

static enum outcome run(struct cpu *c, const u8 *bytes, unsigned len)
{
    struct insn in;
    assert_int_equal(insn_decode(c->mode, bytes, len, &in), DECODE_OK);
    assert_int_equal(in.len, len);
    const struct meaning *m = meaning_table[in.id];
    assert_non_null(m);
    c->regs[REG_RIP] = c->rip + len;
    return (in.flags & INSN_MEM ? m->mem : m->reg)[3](c, &in);
}
#define RUN(c, ...) run(c, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

/* The processor itself */

struct native {
    u8 fx[512];
    u8 ymm[16][32];
    u64 gpr[16];
    u64 rflags;
    u32 mxcsr, host_mxcsr;
    void *code;
} __attribute__((aligned(64)));

void native_run(struct native *n);
asm(".text\n.globl native_run\nnative_run:\n"
    "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "mov %rdi, %rbx\n"
    "stmxcsr 1164(%rbx)\n"
    "fxrstor64 (%rbx)\n"
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovups 512+32*\\n(%rbx), %ymm\\n\n.endr\n"
    "ldmxcsr 1160(%rbx)\n"
    "mov 1024(%rbx), %rax; mov 1032(%rbx), %rcx; mov 1040(%rbx), %rdx\n"
    "mov 1072(%rbx), %rsi; mov 1080(%rbx), %rdi; mov 1088(%rbx), %r8; mov 1096(%rbx), %r9\n"
    "push 1152(%rbx); popfq\n"
    "call *1168(%rbx)\n"
    "pushfq; pop 1152(%rbx); cld\n"
    "mov %rax, 1024(%rbx); mov %rcx, 1032(%rbx); mov %rdx, 1040(%rbx)\n"
    "mov %rsi, 1072(%rbx); mov %rdi, 1080(%rbx); mov %r8, 1088(%rbx); mov %r9, 1096(%rbx)\n"
    "stmxcsr 1160(%rbx)\n"
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovups %ymm\\n, 512+32*\\n(%rbx)\n.endr\n"
    "fxsave64 (%rbx)\n"
    "fninit; ldmxcsr 1164(%rbx); vzeroupper\n"
    "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "ret\n");
_Static_assert(offsetof(struct native, gpr) == 1024 && offsetof(struct native, rflags) == 1152 &&
                   offsetof(struct native, mxcsr) == 1160 && offsetof(struct native, code) == 1168,
               "native_run's offsets");

extern const u8 insn_list[];
#include "host_insn_list.h"

static u64 seed = 0x243f6a8885a308d3;
static u64 rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1d;
}

/* Floating-point corner values among random bits, in every element width. */
static u64 lane(void)
{
    static const u64 corner[] = {
        0,
        0x8000000080000000,
        0x3f8000003f800000,
        0x3ff0000000000000,
        0x7ff0000000000000,
        0x7f800000ff800000,
        0x7ff8000000000000,
        0x7fa000017fc00000,
        0x7ff4000000000001,
        0x0000000000000001,
        0x0000000100000001,
        0x800fffffffffffff,
        0x7fefffffffffffff,
        0x7f7fffff00800000,
        0x0010000000000000,
        0x41dfffffffc00000,
        0xc3e0000000000000,
        0x4f0000005f000000,
    };
    u64 r = rnd();
    return r & 3 ? r >> 8 ^ r << 40 : corner[(r >> 8) % ARRAY_SIZE(corner)];
}

static void fill(void *p, size_t size)
{
    for (size_t i = 0; i < size; i += 8)
        store_le((u8 *)p + i, 8, lane());
}

/* 80-bit values: random, and doubles' relatives. */
static void fill_st(struct cpu *c)
{
    fpu_init_x87(c);
    c->x87[X87_TAG] = (u8)(rnd() | rnd());
    store_le(c->x87 + X87_SW, 2, rnd() & 0x7900); /* TOP, condition codes, no exceptions yet */
    store_le(c->x87 + X87_CW, 2, 0x7f | (rnd() & 0xc00) | (rnd() & 1 ? 0x300 : rnd() & 1 ? 0x200 : 0));
    for (unsigned i = 0; i < 8; i++) {
        u64 m = lane();
        u16 e = (u16)(rnd() % 8 ? 0x3fc0 + rnd() % 128 : rnd());
        if (rnd() % 16)
            m |= 1ull << 63;
        if (rnd() % 16 == 0)
            e = rnd() & 1 ? 0x7fff : 0, m = rnd() & 1 ? m : 1ull << 63;
        store_le(fpu_st(c, i), 8, m);
        store_le(fpu_st(c, i) + 8, 8, (u64)e | (rnd() & 0x8000));
    }
}

static u16 fl_of(u64 rflags)
{
    return (u16)((rflags & 0xd5) << 8 | (rflags >> 11 & 1));
}

static u16 fl_mask(u32 flags)
{
    return (u16)((flags & 0xd5) << 8 | (flags >> 11 & 1));
}

/* Both sides start from the same state. */
static void prepare(struct cpu *c, struct native *n, u8 *native_mem)
{
    static const u32 rounding[] = {0, 0x2000, 0x4000, 0x6000};
    fill(c->vec, sizeof(c->vec));
    fill(memory, 256);
    fill_st(c);
    c->mxcsr = 0x1f80 | rounding[rnd() & 3] | (rnd() % 4 ? 0 : 0x8000) | (rnd() % 4 ? 0 : 0x40);
    c->fl = fl_of(rnd());
    for (unsigned r = RAX; r <= R9; r++)
        c->regs[r] = r == RAX || r == RDX ? rnd() % 32 : lane();
    c->regs[RDI] = MEM;
    memcpy(n->fx, c->x87, 512);
    memcpy(n->ymm, c->vec, sizeof(n->ymm));
    memcpy(n->gpr, c->regs, sizeof(n->gpr));
    n->mxcsr = c->mxcsr;
    n->rflags = 2 | (c->fl >> 8 & 0xd5) | (u64)(c->fl & 1) << 11;
    n->gpr[RDI] = (u64)native_mem;
    memcpy(native_mem, memory, 256);
}

static void show(const u8 *b, unsigned len, const char *what)
{
    print_error("%s differs after", what);
    for (unsigned i = 0; i < len; i++)
        print_error(" %02x", b[i]);
    print_error("\n");
}

static void show_bytes(const char *side, const void *p, unsigned n)
{
    print_error("  %s:", side);
    for (unsigned i = n; i--;)
        print_error("%02x", ((const u8 *)p)[i]);
    print_error("\n");
}

static bool same(const u8 *b, unsigned len, const char *what, const void *ours, const void *theirs,
                 unsigned n)
{
    if (!memcmp(ours, theirs, n))
        return true;
    show(b, len, what);
    if (n <= 64) {
        show_bytes("ours", ours, n);
        show_bytes("host", theirs, n);
    }
    return false;
}

static bool compare(struct cpu *c, const struct native *n, const u8 *native_mem, const u8 *b, unsigned len)
{
    struct insn in;
    insn_decode(MODE_64, b, len, &in);
    const struct insn_info *info = &insn_infos[in.id];
    bool ok = same(b, len, "memory", memory, native_mem, 256);
    for (unsigned i = 0; i < 16; i++)
        ok &= same(b, len, "vector", c->vec[i], n->ymm[i], 32);
    for (unsigned r = RAX; r <= RDX; r++)
        ok &= same(b, len, "register", &c->regs[r], &n->gpr[r], 8);
    ok &= same(b, len, "RSI", &c->regs[RSI], &n->gpr[RSI], 8);
    ok &= same(b, len, "R8", &c->regs[R8], &n->gpr[R8], 8);
    ok &= same(b, len, "MXCSR", &c->mxcsr, &n->mxcsr, 4);
    ok &= same(b, len, "x87 control, status, tag", c->x87, n->fx, 5);
    for (unsigned i = 0; i < 8; i++)
        ok &= same(b, len, "ST", fpu_st(c, i), n->fx + 32 + 16 * i, 10);
    u16 mask = fl_mask(0x8d5 & ~info->flags_undefined), ours = c->fl & mask, theirs = fl_of(n->rflags) & mask;
    ok &= same(b, len, "flags", &ours, &theirs, 2);
    return ok;
}

/* Every row with vector, MMX or x87 operands has an instruction in the list, or is of those with a test of
 * their own. */
static unsigned rows_missed(const bool *hit)
{
    static const char *const own[] = {"ldmxcsr", "stmxcsr", "vldmxcsr", "vstmxcsr", "fldcw",
                                      "fldenv",  "fnstenv", "fnsave",   "frstor"};
    unsigned missed = 0;
    for (unsigned id = 1; id < insn_count; id++) {
        const struct insn_info *info = &insn_infos[id];
        bool skip = hit[id] || !(info->attr & (ATTR_X87 | ATTR_MMX | ATTR_SSE | ATTR_AVX)) ||
                    strstr(info->mnemonic, "gather");
        for (unsigned i = 0; i < ARRAY_SIZE(own); i++)
            skip |= !strcmp(own[i], info->mnemonic);
        if (skip)
            continue;
        print_error("row %u (%s, map %u, opcode %02x, prefix %02x) is not in the list\n", id, info->mnemonic,
                    info->map, info->opcode, info->prefix);
        missed++;
    }
    return missed;
}

static void test_against_host(void **state)
{
    static bool hit[4096];
    struct cpu *c = guest_new();
    struct exec_pages pages;
    static struct native n;
    static u8 native_mem[256] __attribute__((aligned(64)));
    unsigned bad = 0, count = 0;
    assert_int_equal(exec_pages_create(&pages, 1 << 20, NULL), 0);
    for (const u8 *p = insn_list; *p; p += 1 + *p, count++) {
        u8 code[16];
        memcpy(code, p + 1, *p);
        code[*p] = 0xc3;
        n.code = exec_pages_add(&pages, code, *p + 1u);
        struct insn in;
        if (insn_decode(MODE_64, code, *p, &in) != DECODE_OK || in.len != *p) {
            show(code, *p, "decoding");
            bad++;
            continue;
        }
        hit[in.id] = true;
        if (!model_has(&model, insn_infos[in.id].gate))
            continue;
        for (unsigned i = 0; i < 200 && bad < 60; i++) {
            prepare(c, &n, native_mem);
            native_run(&n);
            if (run(c, code, *p) != DONE || !compare(c, &n, native_mem, code, *p)) {
                show(code, *p, "outcome or state");
                bad++;
                break;
            }
        }
    }
    print_message("%u instructions\n", count);
    exec_pages_destroy(&pages);
    guest_free(c);
    assert_int_equal(bad, 0);
    assert_int_equal(rows_missed(hit), 0);
}

/* Unmasked SIMD exceptions: the host's SIGFPE says whether there is one and which flags MXCSR has then. */

static sigjmp_buf trap;
static u32 trap_mxcsr;

static void on_fpe(int sig, siginfo_t *info, void *context)
{
    trap_mxcsr = ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;
    siglongjmp(trap, 1);
}

static bool native_traps(struct native *n)
{
    if (sigsetjmp(trap, 1))
        return true;
    native_run(n);
    return false;
}

static bool unmasked_once(struct cpu *c, struct native *n, u8 *native_mem, const u8 *code, unsigned len)
{
    static u8 before[16][32];
    struct insn in;
    insn_decode(MODE_64, code, len, &in);
    prepare(c, n, native_mem);
    c->mxcsr = n->mxcsr = (u32)(rnd() & 0xff80) | (rnd() & 1 ? 0 : (u32)rnd() & 0x3f);
    memcpy(before, c->vec, sizeof(before));
    u16 fl = c->fl;
    bool traps = native_traps(n);
    enum outcome o = run(c, code, len);
    if (!traps)
        return o == DONE && compare(c, n, native_mem, code, len);
    bool ok = o == FAULT && c->fault.vector == VEC_XM && c->fl == fl;
    /* host_insn.c's known gaps: PE beside an unmasked overflow or underflow; dot products round in steps. */
    if (insn_infos[in.id].map % 4 == 3 && insn_infos[in.id].opcode / 2 == 0x20)
        trap_mxcsr = c->mxcsr;
    if (trap_mxcsr & ~(trap_mxcsr >> 7) & 0x18)
        trap_mxcsr |= c->mxcsr & 0x20;
    ok &= same(code, len, "vector despite #XM", c->vec, before, sizeof(before));
    ok &= same(code, len, "MXCSR at #XM", &c->mxcsr, &trap_mxcsr, 4);
    return ok;
}

static void test_unmasked_simd(void **state)
{
    struct sigaction act = {.sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO}, old;
    struct cpu *c = guest_new();
    struct exec_pages pages;
    static struct native n;
    static u8 native_mem[256] __attribute__((aligned(64)));
    unsigned bad = 0, traps = 0;
    assert_int_equal(exec_pages_create(&pages, 1 << 20, NULL), 0);
    assert_int_equal(sigaction(SIGFPE, &act, &old), 0);
    for (const u8 *p = insn_list; *p; p += 1 + *p) {
        u8 code[16];
        struct insn in;
        memcpy(code, p + 1, *p);
        code[*p] = 0xc3;
        insn_decode(MODE_64, code, *p, &in);
        if (!(insn_infos[in.id].attr & ATTR_FPEXC) || !model_has(&model, insn_infos[in.id].gate))
            continue;
        n.code = exec_pages_add(&pages, code, *p + 1u);
        for (unsigned i = 0; i < 300 && bad < 20; i++) {
            bool ok = unmasked_once(c, &n, native_mem, code, *p);
            traps += c->fault.vector == VEC_XM;
            c->fault.vector = 0;
            if (ok)
                continue;
            show(code, *p, "unmasked: outcome or state");
            bad++;
            break;
        }
    }
    sigaction(SIGFPE, &old, NULL);
    exec_pages_destroy(&pages);
    guest_free(c);
    assert_int_equal(bad, 0);
    assert_true(traps > 1000);
}

#define EXPECT_FAULT(v, ...)                                                                                 \
    do {                                                                                                     \
        assert_int_equal(RUN(c, __VA_ARGS__), FAULT);                                                        \
        assert_int_equal(c->fault.vector, v);                                                                \
    } while (0)
#define EXPECT_DONE(...) assert_int_equal(RUN(c, __VA_ARGS__), DONE)

#define ADDPS      0x0f, 0x58, 0xd3       /* addps %xmm3, %xmm2 */
#define ADDPS_MEM  0x0f, 0x58, 0x17       /* addps (%rdi), %xmm2 */
#define MOVUPS_MEM 0x0f, 0x10, 0x17       /* movups (%rdi), %xmm2 */
#define MOVAPS_ST  0x0f, 0x29, 0x17       /* movaps %xmm2, (%rdi) */
#define MOVUPS_ST  0x0f, 0x11, 0x17       /* movups %xmm2, (%rdi) */
#define VADDPS     0xc5, 0xe8, 0x58, 0xcb /* vaddps %xmm3, %xmm2, %xmm1 */
#define VADDPS_MEM 0xc5, 0xe8, 0x58, 0x0f /* vaddps (%rdi), %xmm2, %xmm1 */
#define VMOVAPS    0xc5, 0xfc, 0x28, 0x0f /* vmovaps (%rdi), %ymm1 */
#define PADDB_MMX  0x0f, 0xfc, 0xd3       /* paddb %mm3, %mm2 */
#define FADD       0xd8, 0xc1             /* fadd %st(1), %st */
#define FDIV       0xd8, 0xf1             /* fdiv %st(1), %st */
#define FNSTSW     0xdf, 0xe0             /* fnstsw %ax */
#define FSTPS      0xd9, 0x1f             /* fstps (%rdi) */
#define FWAIT      0x9b

static void test_state_faults(void **state)
{
    struct cpu *c = guest_new();
    c->cr0 |= CR0_TS;
    EXPECT_FAULT(VEC_NM, ADDPS);
    EXPECT_FAULT(VEC_NM, VADDPS);
    EXPECT_FAULT(VEC_NM, PADDB_MMX);
    EXPECT_FAULT(VEC_NM, FADD);
    EXPECT_FAULT(VEC_NM, FNSTSW);
    EXPECT_FAULT(VEC_NM, FWAIT);
    EXPECT_FAULT(VEC_NM, MOVUPS_MEM);
    c->cr4 &= ~(u64)CR4_OSFXSR;
    EXPECT_FAULT(VEC_UD, ADDPS);
    EXPECT_FAULT(VEC_UD, MOVUPS_MEM);
    EXPECT_FAULT(VEC_NM, PADDB_MMX);
    c->cr4 |= CR4_OSFXSR;
    c->cr0 = (c->cr0 & ~(u64)CR0_TS) | CR0_EM;
    EXPECT_FAULT(VEC_UD, ADDPS);
    EXPECT_FAULT(VEC_UD, PADDB_MMX);
    EXPECT_FAULT(VEC_NM, FADD);
    EXPECT_DONE(VADDPS);
    EXPECT_DONE(FWAIT);
    c->cr0 &= ~(u64)CR0_EM;
    c->xcr0 = 3;
    EXPECT_FAULT(VEC_UD, VADDPS);
    c->xcr0 = 7;
    c->cr4 &= ~(u64)CR4_OSXSAVE;
    EXPECT_FAULT(VEC_UD, VADDPS);
    EXPECT_DONE(ADDPS);
    guest_free(c);
}

static void test_address_faults(void **state)
{
    struct cpu *c = guest_new();
    u8 before[32];
    memset(c->vec, 0x11, sizeof(c->vec));
    memcpy(before, c->vec[2], 32);
    c->regs[RDI] = MEM + 8;
    EXPECT_FAULT(VEC_GP, ADDPS_MEM);
    EXPECT_FAULT(VEC_GP, MOVAPS_ST);
    EXPECT_FAULT(VEC_GP, VMOVAPS);
    EXPECT_DONE(MOVUPS_MEM);
    EXPECT_DONE(VADDPS_MEM);
    memcpy(c->vec[2], before, 32);
    c->regs[RDI] = 0x100;
    EXPECT_FAULT(VEC_PF, ADDPS_MEM);
    EXPECT_FAULT(VEC_PF, MOVUPS_MEM);
    assert_memory_equal(c->vec[2], before, 32);
    c->regs[RDI] = MEM + PAGE; /* read-only */
    EXPECT_FAULT(VEC_PF, MOVUPS_ST);
    EXPECT_DONE(ADDPS_MEM);
    guest_free(c);
}

/* A store that faults pops nothing and records nothing. */
static void test_x87_store_fault(void **state)
{
    struct cpu *c = guest_new();
    EXPECT_DONE(0xd9, 0xe8); /* fld1 */
    u8 before[512];
    c->rip = 0x1234;
    memcpy(before, c->x87, 512);
    c->regs[RDI] = MEM + PAGE;
    EXPECT_FAULT(VEC_PF, FSTPS);
    assert_memory_equal(c->x87, before, 512);
    c->regs[RDI] = MEM;
    EXPECT_DONE(FSTPS);
    assert_int_equal(load_le(memory, 4), 0x3f800000);
    assert_int_equal(load_le(c->x87 + X87_FIP, 8), 0x1234);
    assert_int_equal(load_le(c->x87 + X87_FDP, 8), MEM);
    assert_int_equal(load_le(c->x87 + X87_FOP, 2), 0x11f);
    guest_free(c);
}

static void test_x87_pending(void **state)
{
    struct cpu *c = guest_new();
    memory[0] = 0x7b; /* everything but zero divide masked */
    memory[1] = 0x03;
    EXPECT_DONE(0xd9, 0x2f); /* fldcw (%rdi) */
    EXPECT_DONE(0xd9, 0xee); /* fldz */
    EXPECT_DONE(0xd9, 0xe8); /* fld1 */
    EXPECT_DONE(FDIV);
    assert_true(fpu_pending(c));
    assert_int_equal(load_le(fpu_st(c, 0) + 8, 2), 0x3fff); /* destination unchanged */
    EXPECT_DONE(FNSTSW);
    assert_int_equal(c->regs[RAX] & 0x8084, 0x8084); /* B, ES, ZE */
    EXPECT_FAULT(VEC_MF, FADD);
    EXPECT_FAULT(VEC_MF, FWAIT);
    EXPECT_FAULT(VEC_MF, PADDB_MMX);
    EXPECT_FAULT(VEC_MF, 0xd9, 0x2f);
    EXPECT_DONE(ADDPS);
    c->cr0 &= ~(u64)CR0_NE;
    EXPECT_DONE(FADD); /* as under IGNNE# */
    assert_int_equal(fpu_cw(c), 0x37b);
    c->cr0 |= CR0_NE;
    EXPECT_FAULT(VEC_MF, FADD);
    EXPECT_DONE(0xdb, 0xe2); /* fnclex */
    EXPECT_DONE(FADD);
    guest_free(c);
}

/* FNSTENV, FLDENV, FNSAVE, FRSTOR against the host, both formats. */
static void test_x87_environment(void **state)
{
    static const u8 codes[][4] = {{2, 0xd9, 0x37},       {3, 0x66, 0xd9, 0x37}, {2, 0xdd, 0x37},
                                  {3, 0x66, 0xdd, 0x37}, {2, 0xd9, 0x27},       {3, 0x66, 0xd9, 0x27},
                                  {2, 0xdd, 0x27},       {3, 0x66, 0xdd, 0x27}};
    struct cpu *c = guest_new();
    struct exec_pages pages;
    static struct native n;
    static u8 native_mem[256] __attribute__((aligned(64)));
    assert_int_equal(exec_pages_create(&pages, 1 << 16, NULL), 0);
    for (unsigned k = 0; k < ARRAY_SIZE(codes) * 100; k++) {
        const u8 *code = codes[k % ARRAY_SIZE(codes)] + 1;
        unsigned len = codes[k % ARRAY_SIZE(codes)][0];
        u8 with_ret[4] = {code[0], code[1], len == 3 ? code[2] : 0xc3, 0xc3};
        n.code = exec_pages_add(&pages, with_ret, 4);
        pages.used = 0;
        asm volatile("cpuid" ::"a"(0) : "rbx", "rcx", "rdx", "memory", "cc");
        prepare(c, &n, native_mem);
        /* Loads with pending unmasked exceptions are #MF matter: keep CW's masks. */
        for (unsigned i = 0; i < 2; i++)
            store_le((i ? native_mem : memory), 2, load_le(memory, 2) | 0x3f);
        native_run(&n);
        assert_int_equal(run(c, code, len), DONE);
        /* Pointers are the host's own there: FIP and selectors to FDS. */
        unsigned from = len == 3 ? 6 : 12, to = len == 3 ? 14 : 28;
        if (code[len - 1] == 0x37) {
            memset(memory + from, 0, to - from);
            memset(native_mem + from, 0, to - from);
        }
        assert_true(compare(c, &n, native_mem, code, len));
    }
    exec_pages_destroy(&pages);
    guest_free(c);
}

/* MOVQ %mm through a TOP that is not 0, and what x87 sees then. */
static void test_mmx_aliases_x87(void **state)
{
    struct cpu *c = guest_new();
    EXPECT_DONE(0xd9, 0xe8); /* fld1: TOP 7, so physical register 7 */
    c->regs[RAX] = 0x1122334455667788;
    EXPECT_DONE(0x48, 0x0f, 0x6e, 0xd8); /* movq %rax, %mm3 */
    assert_int_equal(fpu_top(c), 0);
    assert_int_equal(c->x87[X87_TAG], 0xff);
    assert_int_equal(load_le(fpu_st(c, 3), 8), 0x1122334455667788);
    assert_int_equal(load_le(fpu_st(c, 3) + 8, 2), 0xffff);
    assert_int_equal(load_le(fpu_st(c, 7), 8), 1ull << 63);
    guest_free(c);
}

static void test_gather_partial(void **state)
{
    struct cpu *c = guest_new();
    u32 index[8] = {0, 1, 2, 0x1000000, 4, 5, 6, 7};
    memcpy(c->vec[3], index, 32);
    memset(c->vec[2], 0xff, 32);
    memset(c->vec[2] + 4, 0, 4); /* element 1 not selected */
    memset(c->vec[1], 0xaa, 32);
    for (unsigned i = 0; i < 8; i++)
        store_le(memory + 4 * i, 4, 0x100 + i);
    /* vpgatherdd %ymm2, (%rdi,%ymm3,4), %ymm1 */
    EXPECT_FAULT(VEC_PF, 0xc4, 0xe2, 0x6d, 0x90, 0x0c, 0x9f);
    assert_int_equal(c->fault.cr2, MEM + 0x4000000);
    assert_int_equal(load_le(c->vec[1], 4), 0x100);
    assert_int_equal(load_le(c->vec[1] + 4, 4), 0xaaaaaaaa);
    assert_int_equal(load_le(c->vec[1] + 8, 4), 0x102);
    assert_int_equal(load_le(c->vec[2], 4), 0);
    assert_int_equal(load_le(c->vec[2] + 12, 4), 0xffffffff); /* still to do */
    store_le(c->vec[3] + 12, 4, 3);
    EXPECT_DONE(0xc4, 0xe2, 0x6d, 0x90, 0x0c, 0x9f);
    assert_int_equal(load_le(c->vec[1] + 28, 4), 0x107);
    assert_int_equal(load_le(c->vec[1] + 4, 4), 0xaaaaaaaa);
    assert_int_equal(load_le(c->vec[2] + 28, 4), 0);
    guest_free(c);
}

/* Gathers against the host, random masks and small indices, all eight. */
static void test_gather_against_host(void **state)
{
    struct cpu *c = guest_new();
    struct exec_pages pages;
    static struct native n;
    static u8 native_mem[256] __attribute__((aligned(64)));
    assert_int_equal(exec_pages_create(&pages, 1 << 16, NULL), 0);
    for (unsigned k = 0; k < 16 * 50; k++) {
        u8 code[7] = {0xc4, 0xe2, (u8)((k & 8 ? 0xe9 : 0x69) | (k & 4)), (u8)(0x90 | (k & 3)), 0x0c,
                      0x1f, 0xc3};
        n.code = exec_pages_add(&pages, code, 7);
        assert_non_null(n.code);
        if (pages.used > 60000)
            pages.used = 0;
        asm volatile("cpuid" ::"a"(0) : "rbx", "rcx", "rdx", "memory", "cc");
        prepare(c, &n, native_mem);
        for (unsigned i = 0; i < 32; i += k & 1 ? 8 : 4)
            store_le(c->vec[3] + i, k & 1 ? 8 : 4, rnd() % 200);
        memcpy(n.ymm, c->vec, sizeof(n.ymm));
        native_run(&n);
        assert_int_equal(run(c, code, 6), DONE);
        assert_true(compare(c, &n, native_mem, code, 6));
    }
    exec_pages_destroy(&pages);
    guest_free(c);
}

#define XSAVE    0x48, 0x0f, 0xae, 0x27
#define XSAVEOPT 0x48, 0x0f, 0xae, 0x37
#define XSAVEC   0x48, 0x0f, 0xc7, 0x27
#define XRSTOR   0x48, 0x0f, 0xae, 0x2f
#define XRSTORS  0x48, 0x0f, 0xc7, 0x1f

static void random_guest(struct cpu *c)
{
    fill(c->vec, sizeof(c->vec));
    fill_st(c);
    c->mxcsr = 0x1fa0;
}

static void round_trip(const u8 *save, const u8 *restore)
{
    struct cpu *c = guest_new(), *d = guest_new();
    random_guest(c);
    memset(memory, 0, 1024);
    c->regs[RAX] = d->regs[RAX] = ~0ull;
    c->regs[RDX] = d->regs[RDX] = ~0ull;
    assert_int_equal(run(c, save, 4), DONE);
    random_guest(d);
    d->mxcsr = 0x1f80;
    assert_int_equal(run(d, restore, 4), DONE);
    assert_memory_equal(c->vec, d->vec, sizeof(c->vec));
    assert_memory_equal(c->x87, d->x87, 24);
    for (unsigned i = 0; i < 8; i++)
        assert_memory_equal(fpu_st(c, i), fpu_st(d, i), 10);
    assert_int_equal(c->mxcsr, d->mxcsr);
    guest_free(c);
    guest_free(d);
}

static void test_xsave_round_trips(void **state)
{
    static const u8 save[][4] = {{XSAVE}, {XSAVEOPT}, {XSAVEC}, {0x48, 0x0f, 0xc7, 0x2f}};
    static const u8 restore[][4] = {{XRSTOR}, {XRSTOR}, {XRSTOR}, {XRSTORS}};
    for (unsigned i = 0; i < ARRAY_SIZE(save); i++)
        round_trip(save[i], restore[i]);
}

/* What XSAVE writes against the host's own XSAVE of the same registers, and FXSAVE likewise. */
static void test_xsave_headers(void **state)
{
    struct cpu *c = guest_new();
    c->regs[RAX] = 7;
    memset(memory, 0xcc, 1024);
    memset(memory + 512, 0, 64);
    memset(c->vec, 0, sizeof(c->vec));
    c->vec[4][20] = 1; /* AVX in use, SSE and x87 initial */
    EXPECT_DONE(XSAVE);
    assert_int_equal(load_le(memory + 512, 8), 4);
    assert_int_equal(load_le(memory + 520, 8), 0);
    assert_int_equal(memory[160], 0); /* XSAVE writes what was asked for */
    memset(memory + 160, 0xcc, 16);
    EXPECT_DONE(XSAVEOPT);
    assert_int_equal(memory[160], 0xcc); /* XSAVEOPT only what is in use */
    EXPECT_DONE(XSAVEC);
    assert_int_equal(load_le(memory + 512, 8), 4);
    assert_int_equal(load_le(memory + 520, 8), 7 | 1ull << 63);
    c->regs[RAX] = 3;
    memory[512] = 4;
    EXPECT_DONE(XSAVE);
    assert_int_equal(memory[512], 4); /* bits outside the request stay */
    assert_int_equal(memory[464], 0xcc);
    guest_free(c);
}

static void test_xrstor_refuses(void **state)
{
    struct cpu *c = guest_new();
    c->regs[RAX] = 7;
    memset(memory, 0, 1024);
    store_le(memory + 24, 4, 0x1f80);
    EXPECT_DONE(XRSTOR);
    EXPECT_FAULT(VEC_GP, XRSTORS); /* standard format */
    memory[512] = 8;
    EXPECT_FAULT(VEC_GP, XRSTOR); /* not in XCR0 */
    memory[512] = 0;
    memory[530] = 1;
    EXPECT_FAULT(VEC_GP, XRSTOR); /* reserved header byte */
    memory[530] = 0;
    memory[520] = 1;
    EXPECT_FAULT(VEC_GP, XRSTOR); /* XCOMP_BV in the standard format */
    store_le(memory + 520, 8, 1ull << 63 | 3);
    memory[512] = 4;
    EXPECT_FAULT(VEC_GP, XRSTOR); /* component not in XCOMP_BV */
    memory[512] = 2;
    store_le(memory + 24, 4, 0x10000);
    EXPECT_FAULT(VEC_GP, XRSTOR); /* MXCSR */
    store_le(memory + 24, 4, 0x1f80);
    EXPECT_DONE(XRSTOR);
    c->cpl = 3;
    EXPECT_FAULT(VEC_GP, XRSTORS);
    c->regs[RDI] = MEM + 16;
    EXPECT_FAULT(VEC_GP, XRSTOR); /* alignment */
    c->cr4 &= ~(u64)CR4_OSXSAVE;
    EXPECT_FAULT(VEC_UD, XRSTOR);
    guest_free(c);
}

static void test_xcr0(void **state)
{
    struct cpu *c = guest_new();
    static const struct {
        u64 value;
        bool ok;
    } cases[] = {{1, true}, {3, true}, {7, true}, {0, false}, {2, false}, {5, false}, {0xf, false}};
    c->regs[RCX] = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        c->regs[RAX] = cases[i].value;
        assert_int_equal(RUN(c, 0x0f, 0x01, 0xd1), cases[i].ok ? END : FAULT);
    }
    assert_int_equal(c->xcr0, 7);
    EXPECT_DONE(0x0f, 0x01, 0xd0);
    assert_int_equal(c->regs[RAX], 7);
    c->regs[RCX] = 2;
    EXPECT_FAULT(VEC_GP, 0x0f, 0x01, 0xd0);
    c->regs[RCX] = 0;
    c->cpl = 3;
    EXPECT_FAULT(VEC_GP, 0x0f, 0x01, 0xd1);
    memset(memory, 0xff, 4);
    EXPECT_FAULT(VEC_GP, 0x0f, 0xae, 0x17); /* ldmxcsr */
    guest_free(c);
}

static bool all_bytes_zero(const u8 *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* Bytes a hostile guest might try, in every mode and control state: any outcome will do but a trap on the
 * host. */
static void test_random_bytes(void **state)
{
    static const u8 heads[][3] = {{0x0f},
                                  {0x66, 0x0f},
                                  {0xf3, 0x0f},
                                  {0xf2, 0x0f},
                                  {0x0f, 0x38},
                                  {0x66, 0x0f, 0x38},
                                  {0x66, 0x0f, 0x3a},
                                  {0xc4},
                                  {0xc5},
                                  {0xd9},
                                  {0xdb},
                                  {0xdd},
                                  {0xdf},
                                  {0x66, 0x48, 0x0f}};
    struct cpu *c = guest_new();
    unsigned done = 0;
    for (unsigned i = 0; i < 300000; i++) {
        u8 b[16];
        struct insn in;
        fill(b, sizeof(b));
        unsigned head = (unsigned)(rnd() % ARRAY_SIZE(heads));
        unsigned len = heads[head][1] ? heads[head][2] ? 3 : 2 : 1;
        memcpy(b, heads[head], len);
        if (heads[head][0] == 0xc4)
            b[1] = (u8)((b[1] & 0xe0) | (1 + rnd() % 3));
        c->mode = (u8)(rnd() % 3);
        if (insn_decode(c->mode, b, 15, &in) != DECODE_OK || !model_has(&model, insn_infos[in.id].gate))
            continue;
        const struct meaning *m = meaning_table[in.id];
        if (!m)
            continue;
        if (i % 64 == 0) {
            random_guest(c);
            c->mxcsr = (u32)rnd() & 0xffff;
            store_le(c->x87 + X87_CW, 2, rnd());
            store_le(c->x87 + X87_SW, 2, rnd());
            c->cr0 = (rnd() & (CR0_NE | CR0_MP)) | CR0_PE;
            for (unsigned r = 0; r < 16; r++)
                c->regs[r] = rnd() & 1 ? MEM + rnd() % 4096 : rnd();
        }
        done += (in.flags & INSN_MEM ? m->mem : m->reg)[3](c, &in) == DONE;
        assert_int_equal(load_le(c->x87 + X87_MXCSR, 4), MXCSR_RESET);
        assert_true(all_bytes_zero(c->x87 + 160, 512 - 160));
    }
    assert_true(done > 10000);
    guest_free(c);
}

/* More shapes than the cache's pages hold: it starts again and goes on being right. */
static void test_cache_fills(void **state)
{
    struct cpu *c = guest_new();
    for (unsigned round = 0; round < 3; round++)
        for (unsigned imm = 0; imm < 256; imm++)
            for (unsigned op = 0; op < 8; op++) {
                static const u8 second[8] = {0x0c, 0x0d, 0x0e, 0x0f, 0x42, 0x40, 0x41, 0x08};
                u8 code[6] = {0x66, 0x0f, 0x3a, second[op], 0xd3, (u8)imm};
                assert_int_equal(run(c, code, 6), DONE);
            }
    memset(c->vec[2], 1, 16);
    memset(c->vec[3], 2, 16);
    EXPECT_DONE(0x66, 0x0f, 0xfc, 0xd3); /* paddb */
    assert_int_equal(c->vec[2][7], 3);
    guest_free(c);
}

int main(void)
{
    if (!host_has(FEAT_AVX2)) {
        print_message(
            "skipped: this host has no AVX2, which the comparison loads and stores registers with\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_host),      cmocka_unit_test(test_unmasked_simd),
        cmocka_unit_test(test_state_faults),      cmocka_unit_test(test_address_faults),
        cmocka_unit_test(test_x87_store_fault),   cmocka_unit_test(test_x87_pending),
        cmocka_unit_test(test_x87_environment),   cmocka_unit_test(test_mmx_aliases_x87),
        cmocka_unit_test(test_gather_partial),    cmocka_unit_test(test_gather_against_host),
        cmocka_unit_test(test_xsave_round_trips), cmocka_unit_test(test_xsave_headers),
        cmocka_unit_test(test_xrstor_refuses),    cmocka_unit_test(test_xcr0),
        cmocka_unit_test(test_random_bytes),      cmocka_unit_test(test_cache_fills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
