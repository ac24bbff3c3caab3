/* SPDX-License-Identifier: MIT */
/*
 * MOVS CMPS STOS LODS SCAS with and without REP. SDM 1 7.3.9; SDM 2B REP.
 *
 * With REP, work is done in chunks that lie in one page at each end: when the soft TLB has both pages and DF
 * is 0, the host's own REP instruction of the same element size does a chunk (so overlapping operands behave
 * as on hardware, even through two mappings of one page); else elements go one by one. Every chunk leaves
 * RSI, RDI and RCX as after that many iterations, so a fault or a pending request may interrupt between any
 * two.
 */
#include "cpu/string.h"
#include "cpu/host_op.h"

/* A call does at most this much before it looks at requests. */
enum { CHUNKS = 16, SINGLES = 256 };

/* Iterations that may be done from here without meeting a page end, the address size's wrap or a segment's
 * limit, or 0 when the element must go alone. */
static u64 run_length(struct cpu *c, const struct insn *in, unsigned seg, unsigned reg, unsigned n, u64 count,
                      bool write, u64 *lin)
{
    u64 off = string_index(c, in, reg);
    if (offset_linear(c, seg, off, n, write, lin) != DONE)
        return 0;
    u64 room = (PAGE_SIZE - (*lin & (PAGE_SIZE - 1))) / n;
    if (room > count)
        room = count;
    if (c->mode == MODE_64 && in->adsize == 8)
        return room;
    u64 last = off + room * n - 1, lin_all;
    if (room == 0 || last > size_mask(in->adsize))
        return 0;
    if (c->mode != MODE_64 && mmu_linear_legacy(c, seg, off, (unsigned)(room * n), write, &lin_all) != DONE)
        return 0;
    return room;
}

/* The chunk at hand: host pointers of the source (or NULL) and destination (or NULL) and its length. */
struct chunk {
    void *src, *dst;
    u64 count;
};

enum { SRC = 1, DST = 2, DST_WRITE = 4 };

static bool chunk_find(struct cpu *c, const struct insn *in, unsigned n, unsigned sides, u64 count,
                       struct chunk *k)
{
    u64 lin;
    k->count = count;
    if (c->rflags & FLAG_DF)
        return false;
    if (sides & SRC) {
        k->count = run_length(c, in, in->seg, RSI, n, k->count, false, &lin);
        if (!k->count || !(k->src = tlb_hit(c->tlb->view->read, lin, n)))
            return false;
    }
    if (sides & DST) {
        bool write = sides & DST_WRITE;
        k->count = run_length(c, in, ES, RDI, n, k->count, write, &lin);
        if (!k->count || !(k->dst = tlb_hit(write ? c->tlb->view->write : c->tlb->view->read, lin, n)))
            return false;
    }
    return true;
}

static void chunk_done(struct cpu *c, const struct insn *in, unsigned n, unsigned sides, u64 done)
{
    if (sides & SRC)
        string_advance(c, in, RSI, (i64)(done * n));
    if (sides & DST)
        string_advance(c, in, RDI, (i64)(done * n));
    string_advance(c, in, RCX, -(i64)done);
}

/* What one string instruction is made of, per element size. one: a single element, registers moved, RCX not.
 * many: a chunk; returns how many elements it did. stop: the repetition ends by its condition. */
struct string_op {
    enum outcome (*one)(struct cpu *c, const struct insn *in, unsigned n);
    u64 (*many)(struct cpu *c, const struct insn *in, const struct chunk *k);
    unsigned sides;
    bool compares;
};

static bool condition_fails(const struct cpu *c, const struct insn *in)
{
    return !(c->fl & FL_ZF) == !(in->flags & INSN_REPNE);
}

/* Single step traps after every iteration, with RIP on the instruction until the last. SDM 3B 17.3.1.4 */
static cold_path enum outcome repeat_stepped(struct cpu *c, const struct insn *in, unsigned n,
                                             const struct string_op *op)
{
    if (string_index(c, in, RCX) == 0)
        return DONE;
    if (op->one(c, in, n) != DONE)
        return FAULT;
    string_advance(c, in, RCX, -1);
    if (string_index(c, in, RCX) && !(op->compares && condition_fails(c, in)))
        c->regs[REG_RIP] = c->rip;
    return DONE;
}

static inline enum outcome repeat(struct cpu *c, const struct insn *in, unsigned n,
                                  const struct string_op *op)
{
    if (unlikely(c->rflags & FLAG_TF))
        return repeat_stepped(c, in, n, op);
    for (unsigned chunks = 0, singles = 0; chunks < CHUNKS && singles < SINGLES;) {
        u64 count = string_index(c, in, RCX);
        struct chunk k;
        if (count == 0)
            return DONE;
        if (op->many && !(c->step_armed | c->stepping) && chunk_find(c, in, n, op->sides, count, &k)) {
            chunk_done(c, in, n, op->sides, op->many(c, in, &k));
            chunks++;
        } else {
            if (op->one(c, in, n) != DONE)
                return FAULT;
            string_advance(c, in, RCX, -1);
            singles++;
        }
        if (op->compares && condition_fails(c, in))
            return DONE;
        if (unlikely(c->step_armed || c->pending_dr6 || c->hit.kind ||
                     c->stepping)) /* traps come after each */
            break;
    }
    return string_index(c, in, RCX) ? AGAIN : DONE;
}

static inline enum outcome string_run(struct cpu *c, const struct insn *in, unsigned n,
                                      const struct string_op *op)
{
    if (in->flags & (INSN_REP | INSN_REPNE))
        return repeat(c, in, n, op);
    return op->one(c, in, n);
}

static inline enum outcome movs_one(struct cpu *c, const struct insn *in, unsigned n)
{
    u64 src, dst, v;
    if (string_source(c, in, n, &src) != DONE || mmu_load(c, src, n, &v) != DONE ||
        string_target(c, in, n, true, &dst) != DONE || mmu_store(c, dst, n, v) != DONE)
        return FAULT;
    string_advance(c, in, RSI, string_step(c, n));
    string_advance(c, in, RDI, string_step(c, n));
    return DONE;
}

static inline enum outcome stos_one(struct cpu *c, const struct insn *in, unsigned n)
{
    u64 dst;
    if (string_target(c, in, n, true, &dst) != DONE || mmu_store(c, dst, n, c->regs[RAX]) != DONE)
        return FAULT;
    string_advance(c, in, RDI, string_step(c, n));
    return DONE;
}

static inline enum outcome lods_one(struct cpu *c, const struct insn *in, unsigned n)
{
    u64 src, v;
    if (string_source(c, in, n, &src) != DONE || mmu_load(c, src, n, &v) != DONE)
        return FAULT;
    reg_set(c, 0, n, v);
    string_advance(c, in, RSI, string_step(c, n));
    return DONE;
}

/* Flags of a - b at n bytes. */
static inline void compare(struct cpu *c, unsigned n, u64 a, u64 b)
{
    unsigned up = 64 - 8 * n;
    u64 fl;
    /* Shifting up keeps CF, ZF, SF and OF; AF and PF come from the low byte. */
    asm("cmpq %[b], %[a]\n\tlahf\n\tseto %%al" : "=&a"(fl) : [a] "r"(a << up), [b] "r"(b << up) : "cc");
    u16 low;
    asm("cmpb %b[b], %b[a]\n\tlahf\n\tseto %%al" : "=&a"(low) : [a] "r"(a), [b] "r"(b) : "cc");
    c->fl = (u16)((fl & (FL_CF | FL_ZF | FL_SF | FL_OF)) | (low & (FL_AF | FL_PF)));
}

static inline enum outcome cmps_one(struct cpu *c, const struct insn *in, unsigned n)
{
    u64 src, dst, a, b;
    if (string_target(c, in, n, false, &dst) != DONE || mmu_load(c, dst, n, &b) != DONE ||
        string_source(c, in, n, &src) != DONE || mmu_load(c, src, n, &a) != DONE)
        return FAULT;
    compare(c, n, a, b);
    string_advance(c, in, RSI, string_step(c, n));
    string_advance(c, in, RDI, string_step(c, n));
    return DONE;
}

static inline enum outcome scas_one(struct cpu *c, const struct insn *in, unsigned n)
{
    u64 dst, b;
    if (string_target(c, in, n, false, &dst) != DONE || mmu_load(c, dst, n, &b) != DONE)
        return FAULT;
    compare(c, n, c->regs[RAX], b);
    string_advance(c, in, RDI, string_step(c, n));
    return DONE;
}

#define CHUNK(n, T, x, ...)                                                                                  \
    static u64 movs_many##n(struct cpu *c, const struct insn *in, const struct chunk *k)                     \
    {                                                                                                        \
        void *src = k->src, *dst = k->dst;                                                                   \
        u64 count = k->count;                                                                                \
        asm volatile("rep movs" x : "+S"(src), "+D"(dst), "+c"(count)::"memory");                            \
        return k->count;                                                                                     \
    }                                                                                                        \
    static u64 stos_many##n(struct cpu *c, const struct insn *in, const struct chunk *k)                     \
    {                                                                                                        \
        void *dst = k->dst;                                                                                  \
        u64 count = k->count;                                                                                \
        asm volatile("rep stos" x : "+D"(dst), "+c"(count) : "a"(c->regs[RAX]) : "memory");                  \
        return k->count;                                                                                     \
    }                                                                                                        \
    static u64 cmps_many##n(struct cpu *c, const struct insn *in, const struct chunk *k)                     \
    {                                                                                                        \
        void *src = k->src, *dst = k->dst;                                                                   \
        u64 count = k->count;                                                                                \
        u16 fl;                                                                                              \
        if (in->flags & INSN_REPNE)                                                                          \
            asm volatile("repne cmps" x FL_SAVE                                                              \
                         : "+S"(src), "+D"(dst), "+c"(count), "=&a"(fl)::"memory", "cc");                    \
        else                                                                                                 \
            asm volatile("repe cmps" x FL_SAVE                                                               \
                         : "+S"(src), "+D"(dst), "+c"(count), "=&a"(fl)::"memory", "cc");                    \
        c->fl = fl;                                                                                          \
        return k->count - count;                                                                             \
    }                                                                                                        \
    static u64 scas_many##n(struct cpu *c, const struct insn *in, const struct chunk *k)                     \
    {                                                                                                        \
        void *dst = k->dst;                                                                                  \
        u64 count = k->count, rax = c->regs[RAX];                                                            \
        if (in->flags & INSN_REPNE)                                                                          \
            asm volatile("repne scas" x FL_SAVE : "+D"(dst), "+c"(count), "+a"(rax)::"memory", "cc");        \
        else                                                                                                 \
            asm volatile("repe scas" x FL_SAVE : "+D"(dst), "+c"(count), "+a"(rax)::"memory", "cc");         \
        c->fl = (u16)rax;                                                                                    \
        return k->count - count;                                                                             \
    }                                                                                                        \
    STRING(movs, n, movs_many##n, SRC | DST | DST_WRITE, false)                                              \
    STRING(stos, n, stos_many##n, DST | DST_WRITE, false)                                                    \
    STRING(lods, n, NULL, SRC, false)                                                                        \
    STRING(cmps, n, cmps_many##n, SRC | DST, true)                                                           \
    STRING(scas, n, scas_many##n, DST, true)

#define STRING(name, n, chunked, memory, comparing)                                                          \
    static enum outcome name##n(struct cpu *c, const struct insn *in)                                        \
    {                                                                                                        \
        static const struct string_op op = {name##_one, chunked, memory, comparing};                         \
        return string_run(c, in, n, &op);                                                                    \
    }

FOR_SIZES(CHUNK)
DEFINE_MEANING_EACH(movs, movs);
DEFINE_MEANING_EACH(stos, stos);
DEFINE_MEANING_EACH(lods, lods);
DEFINE_MEANING_EACH(cmps, cmps);
DEFINE_MEANING_EACH(scas, scas);
