/* SPDX-License-Identifier: MIT */
/*
 * A random loop of the kind that traces are made of: memory operands by a few registers that walk, branches
 * that are mostly taken one way, calls, ways through several pages of code. What it does to memory that is
 * not there is up to the test.
 */
#ifndef TESTS_UNIT_TRACE_LOOP_H
#define TESTS_UNIT_TRACE_LOOP_H

#include <string.h>

#include "base/types.h"
#include "x86/insn.h"

enum { LOOP_PAGES = 4, LOOP_BYTES = LOOP_PAGES * 4096, LOOP_POINTERS = 3, LOOP_PATCHES = 8 };
enum { NO_REG = 16, BY_RIP = 17 };
enum { DEEP = 255 }; /* no element lies so deep in others */

struct loop {
    u64 random; /* xorshift64 */
    u8 code[LOOP_BYTES];
    unsigned at, cursor[LOOP_PAGES]; /* where the next byte goes; where each page has room */
    unsigned start;                  /* its first instruction */
    unsigned count;                  /* instructions of an iteration, roughly */
    u8 pointer[LOOP_POINTERS], index, counter;
    bool avx;
    unsigned patch[LOOP_PATCHES], patches; /* bytes of immediates that may be changed at any time */
};

struct loop_mem {
    u8 base, index, scale;
    i32 disp; /* BY_RIP: where it lies in the code */
};

static inline unsigned below(struct loop *g, unsigned n)
{
    g->random ^= g->random << 13;
    g->random ^= g->random >> 7;
    g->random ^= g->random << 17;
    return (unsigned)((g->random >> 20) % n);
}

static inline bool one_in(struct loop *g, unsigned n)
{
    return below(g, n) == 0;
}

static inline void put(struct loop *g, u64 value, unsigned n)
{
    for (; n; n--, value >>= 8)
        g->code[g->at++ % LOOP_BYTES] = (u8)value;
}

/* ---- encoding ---- */

/* opcode: bytes, the first one lowest; imm: how many bytes of immediate will follow. */
static inline void put_op(struct loop *g, unsigned prefix, bool wide, unsigned opcode, unsigned reg,
                          const struct loop_mem *m, unsigned rm, unsigned imm)
{
    unsigned base = m ? m->base : rm, index = m ? m->index : 0, low = base & 7;
    if (base == BY_RIP)
        base = 0, index = 0;
    if (index == NO_REG)
        index = 0;
    unsigned rex = wide << 3 | reg >> 3 << 2 | index >> 3 << 1 | base >> 3;
    if (prefix)
        put(g, prefix, 1);
    if (rex || one_in(g, 8))
        put(g, 0x40 | rex, 1);
    for (; opcode; opcode >>= 8)
        put(g, opcode & 0xff, 1);
    reg = (reg & 7) << 3;
    if (!m) {
        put(g, 0xc0 | reg | low, 1);
    } else if (m->base == BY_RIP) {
        put(g, reg | 5, 1);
        put(g, (u64)(m->disp - (i32)(g->at + 4 + imm)), 4);
    } else {
        bool sib = m->index != NO_REG || low == 4, small = m->disp == (i8)m->disp && !one_in(g, 8);
        put(g, (small ? 0x40 : 0x80) | reg | (sib ? 4 : low), 1);
        if (sib)
            put(g, (unsigned)m->scale << 6 | (m->index == NO_REG ? 4 : index & 7) << 3 | low, 1);
        put(g, (u64)m->disp, small ? 1 : 4);
    }
}

/* ---- operands ---- */

/* A register that holds data: none of those that lead somewhere. */
static inline unsigned data_reg(struct loop *g)
{
    for (;;) {
        unsigned r = below(g, 16);
        if (r != RSP && r != g->counter && r != g->index && r != g->pointer[0] && r != g->pointer[1] &&
            r != g->pointer[2])
            return r;
    }
}

static inline struct loop_mem operand(struct loop *g)
{
    struct loop_mem m = {.base = g->pointer[below(g, one_in(g, 2) ? LOOP_POINTERS : 1)], .index = NO_REG};
    m.disp = (i32)below(g, 64) - 16;
    if (one_in(g, 2))
        m.disp &= ~7;
    if (one_in(g, 6))
        m.disp *= (i32)below(g, 24);
    if (one_in(g, 8))
        m = (struct loop_mem){.base = RSP, .index = NO_REG, .disp = (i32)below(g, 80) - 16};
    if (one_in(g, 5))
        m.index = g->index, m.scale = (u8)below(g, 4);
    if (one_in(g, 24)) /* where nothing is but data of its own */
        m = (struct loop_mem){.base = BY_RIP,
                              .disp = (i32)(below(g, LOOP_PAGES) * 4096 + 0x780 + below(g, 64))};
    return m;
}

/* Of 1, 2, 4 or 8 bytes: the operand-size prefix and REX.W; the opcode's low bit. */
struct loop_size {
    unsigned prefix, bytes;
    bool wide, word;
};

static inline struct loop_size size_of(struct loop *g)
{
    unsigned k = below(g, 6);
    return k == 0   ? (struct loop_size){0, 1, false, false}
           : k == 1 ? (struct loop_size){0x66, 2, false, true}
           : k < 4  ? (struct loop_size){0, 4, false, true}
                    : (struct loop_size){0, 8, true, true};
}

/* Byte registers without a prefix may be AH to BH: of data, too. */
static inline unsigned sized_reg(struct loop *g, struct loop_size s)
{
    for (;;) {
        unsigned r = data_reg(g);
        if (s.word || r < 4 || r > 7)
            return r;
    }
}

/* ---- elements ---- */

static inline void put_alu(struct loop *g, unsigned depth)
{
    struct loop_size s = size_of(g);
    struct loop_mem m = operand(g);
    unsigned op = below(g, 8) << 3 | s.word, kind = below(g, 4);
    if (one_in(g, 2))
        op = 0x88 | s.word; /* MOV */
    if (kind == 0)
        put_op(g, s.prefix, s.wide, op, sized_reg(g, s), NULL, sized_reg(g, s), 0);
    else if (kind == 1)
        put_op(g, s.prefix, s.wide, op, sized_reg(g, s), &m, 0, 0);
    else
        put_op(g, s.prefix, s.wide, op | 2, sized_reg(g, s), &m, 0, 0);
}

static inline void put_alu_imm(struct loop *g, unsigned depth)
{
    struct loop_size s = size_of(g);
    struct loop_mem m = operand(g);
    bool mem = one_in(g, 2);
    put_op(g, s.prefix, s.wide, s.word ? 0x83 : 0x80, below(g, 8), mem ? &m : NULL, mem ? 0 : sized_reg(g, s),
           1);
    if (g->patches < LOOP_PATCHES && one_in(g, 2))
        g->patch[g->patches++] = g->at;
    put(g, below(g, 256), 1);
}

/* INC, DEC, NOT, NEG, shifts by 1 and by immediates. */
static inline void put_unary(struct loop *g, unsigned depth)
{
    struct loop_size s = size_of(g);
    struct loop_mem m = operand(g);
    bool mem = one_in(g, 2);
    unsigned kind = below(g, 4), rm = sized_reg(g, s);
    static const u8 shifts[] = {0, 1, 2, 3, 4, 5, 7};
    if (kind == 0)
        put_op(g, s.prefix, s.wide, 0xfe | s.word, below(g, 2), mem ? &m : NULL, rm, 0);
    else if (kind == 1)
        put_op(g, s.prefix, s.wide, 0xf6 | s.word, 2 + below(g, 2), mem ? &m : NULL, rm, 0);
    else
        put_op(g, s.prefix, s.wide, (kind == 2 ? 0xd0 : 0xc0) | s.word, shifts[below(g, ARRAY_SIZE(shifts))],
               mem ? &m : NULL, rm, kind == 3);
    if (kind == 3)
        put(g, below(g, 40), 1);
}

/* SETcc, CMOVcc, MOVZX, MOVSX, MOVSXD, IMUL, BSF, BT, XADD, XCHG, CMPXCHG. */
static inline void put_two_byte(struct loop *g, unsigned depth)
{
    static const u16 ops[] = {0xb60f, 0xb70f, 0xbe0f, 0xbf0f, 0xaf0f, 0xbc0f, 0xbd0f, 0xa30f, 0xc10f, 0xb10f};
    struct loop_mem m = operand(g);
    bool mem = !one_in(g, 4);
    unsigned kind = below(g, 8);
    if (kind < 2)
        put_op(g, 0, false, 0x900f | below(g, 16) << 8, 0, &m, 0, 0);
    else if (kind < 4)
        put_op(g, 0, one_in(g, 2), 0x400f | below(g, 16) << 8, data_reg(g), mem ? &m : NULL, data_reg(g), 0);
    else if (kind == 4)
        put_op(g, 0, true, one_in(g, 2) ? 0x63 : 0x87, data_reg(g), &m, 0, 0);
    else
        put_op(g, one_in(g, 4) ? 0x66 : 0, one_in(g, 2), ops[below(g, ARRAY_SIZE(ops))], data_reg(g),
               mem ? &m : NULL, data_reg(g), 0);
}

static inline void put_locked(struct loop *g, unsigned depth)
{
    struct loop_mem m = operand(g);
    put(g, 0xf0, 1);
    if (one_in(g, 2))
        put_op(g, 0, one_in(g, 2), 0xc10f, data_reg(g), &m, 0, 0);
    else
        put_op(g, 0, one_in(g, 2), 0x01 | below(g, 7) << 3, data_reg(g), &m, 0, 0);
}

static inline void put_stride(struct loop *g, unsigned depth)
{
    unsigned r = g->pointer[below(g, LOOP_POINTERS)], by = below(g, one_in(g, 4) ? 120 : 17);
    struct loop_mem self = {.base = (u8)r, .index = NO_REG, .disp = (i32)by};
    bool wide;
    switch (below(g, 5)) {
    case 0:
        put_op(g, 0, true, 0xff, one_in(g, 4), NULL, r, 0); /* INC, DEC */
        break;
    case 1:
        put_op(g, 0, true, 0x8d, r, &self, 0, 0);
        break;
    case 2:
        put_op(g, 0, true, 0x83, 5, NULL, r, 1);
        put(g, by & 7, 1);
        break;
    default:
        wide = one_in(g, 4);
        put_op(g, 0, true, wide ? 0x81 : 0x83, 0, NULL, r, wide ? 4 : 1);
        put(g, by, wide ? 4 : 1);
    }
}

static inline void put_index(struct loop *g, unsigned depth)
{
    put_op(g, 0, false, 0x83, one_in(g, 2) ? 4 : 0, NULL, g->index, 1);
    put(g, below(g, 32), 1);
}

static inline void put_lea(struct loop *g, unsigned depth)
{
    struct loop_mem m = operand(g);
    put_op(g, 0, true, 0x8d, one_in(g, 6) ? g->pointer[2] : data_reg(g), &m, 0, 0);
}

static inline void put_push(struct loop *g, bool pop)
{
    unsigned r = data_reg(g);
    struct loop_mem m = operand(g);
    if (!pop && one_in(g, 6)) {
        put_op(g, 0, false, 0xff, 6, &m, 0, 0);
        return;
    }
    if (!pop && one_in(g, 4)) {
        put(g, 0x6a, 1);
        put(g, below(g, 256), 1);
        return;
    }
    if (r > 7)
        put(g, 0x41, 1);
    put(g, (pop ? 0x58 : 0x50) | (r & 7), 1);
}

/* Legacy SSE, aligned or not, and a few of AVX by 32 bytes. */
static inline void put_vector(struct loop *g, unsigned depth)
{
    static const struct {
        u8 prefix;
        u16 op;
        bool aligned;
    } rows[] = {{0, 0x100f, false},    {0, 0x110f, false},    {0, 0x280f, true},     {0, 0x290f, true},
                {0xf3, 0x6f0f, false}, {0xf3, 0x7f0f, false}, {0x66, 0x6f0f, true},  {0x66, 0x7f0f, true},
                {0x66, 0xfe0f, true},  {0x66, 0xef0f, true},  {0x66, 0x740f, true},  {0, 0x580f, true},
                {0xf3, 0x7e0f, false}, {0x66, 0xd60f, false}, {0x66, 0x6e0f, false}, {0x66, 0x7e0f, false},
                {0xf2, 0x580f, false}, {0x66, 0x2e0f, false}};
    unsigned k = below(g, ARRAY_SIZE(rows));
    struct loop_mem m = operand(g);
    if (rows[k].aligned && m.base != BY_RIP) {
        m.index = NO_REG;
        m.disp &= ~15;
    }
    if (g->avx && m.base < 8 && m.index == NO_REG && one_in(g, 4)) { /* VMOVDQU */
        put(g, 0xfec5, 2);
        put(g, one_in(g, 2) ? 0x6f : 0x7f, 1);
        put(g, 0x80 | below(g, 8) << 3 | m.base, 1);
        if (m.base == RSP)
            put(g, 0x24, 1);
        put(g, (u64)m.disp, 4);
        return;
    }
    put_op(g, rows[k].prefix,
           (rows[k].op == 0x6e0f || rows[k].op == 0x7e0f) && rows[k].prefix == 0x66 && one_in(g, 2),
           rows[k].op, below(g, 16), one_in(g, 5) && rows[k].op != 0x6e0f && rows[k].op != 0x7e0f ? NULL : &m,
           below(g, 16), 0);
}

/* An immediate of this loop becomes another one. */
static inline void put_patching(struct loop *g, unsigned depth)
{
    if (!g->patches)
        return;
    struct loop_mem m = {.base = BY_RIP, .disp = (i32)g->patch[below(g, g->patches)]};
    put_op(g, 0, false, 0x88, below(g, 4), &m, 0, 0);
}

static inline void put_jump(struct loop *g, unsigned from, unsigned to)
{
    unsigned at = g->at;
    g->at = from;
    put(g, to - (from + 4), 4);
    g->at = at;
}

static inline void put_element(struct loop *g, unsigned depth);

/* Over some elements, or away to others that come back. */
static inline void put_branch(struct loop *g, unsigned depth)
{
    put(g, 0x800f | below(g, 16) << 8, 2);
    unsigned from = g->at, page = below(g, LOOP_PAGES), n = 1 + below(g, 3);
    put(g, 0, 4);
    if (one_in(g, 2)) {
        while (n--)
            put_element(g, depth + 1);
        put_jump(g, from, g->at);
        return;
    }
    unsigned back = g->at;
    g->at = g->cursor[page];
    g->cursor[page] += 200;
    put_jump(g, from, g->at);
    while (n--)
        put_element(g, depth + 2);
    put(g, 0xe9, 1);
    put(g, back - (g->at + 4), 4);
    g->at = back;
}

/* Goes on elsewhere. */
static inline void put_way(struct loop *g, unsigned depth)
{
    unsigned page = below(g, LOOP_PAGES);
    put(g, 0xe9, 1);
    unsigned to = g->cursor[page];
    g->cursor[page] += 500;
    put(g, to - (g->at + 4), 4);
    g->at = to;
}

static inline void put_call(struct loop *g, unsigned depth)
{
    unsigned page = below(g, LOOP_PAGES), n = below(g, 4);
    put(g, 0xe8, 1);
    put(g, g->cursor[page] - (g->at + 4), 4);
    unsigned back = g->at;
    g->at = g->cursor[page];
    g->cursor[page] += 200;
    while (n--)
        put_element(g, depth + 2);
    put(g, 0xc3, 1);
    g->at = back;
}

static inline void put_odd(struct loop *g, unsigned depth)
{
    struct loop_mem m = operand(g);
    switch (below(g, 5)) {
    case 0: /* GS: */
        put(g, 0x65, 1);
        put_op(g, 0, true, 0x8b, data_reg(g), &m, 0, 0);
        break;
    case 1: /* RCR, which calls its meaning */
        put_op(g, 0, true, 0xd3, 3, &m, 0, 0);
        break;
    case 2: /* by 32-bit registers */
        put(g, 0x67, 1);
        put_op(g, 0, true, 0x8b, data_reg(g), &m, 0, 0);
        break;
    case 3: /* PUSHFQ, POPFQ */
        put(g, 0x9d9c, 2);
        break;
    default: /* LFENCE */
        put(g, 0xe8ae0f, 3);
    }
}

static inline void put_pushed(struct loop *g, unsigned depth)
{
    put_push(g, false);
    put_element(g, 2);
    put_push(g, true);
}

/* depth: of the elements that this one is part of. */
static inline void put_element(struct loop *g, unsigned depth)
{
    static const struct {
        u8 below, depth; /* in a hundred, with those before; where it is less deep */
        void (*put)(struct loop *g, unsigned depth);
    } elements[] = {
        {30, DEEP, put_alu},      {40, DEEP, put_alu_imm}, {47, DEEP, put_unary}, {55, DEEP, put_two_byte},
        {63, DEEP, put_stride},   {66, DEEP, put_index},   {69, DEEP, put_lea},   {81, DEEP, put_vector},
        {90, 2, put_branch},      {92, 1, put_call},       {93, 1, put_way},      {95, DEEP, put_locked},
        {96, DEEP, put_patching}, {97, DEEP, put_odd},     {100, 2, put_pushed},
    };
    unsigned k = below(g, 100), i = 0;
    g->count++;
    while (i < ARRAY_SIZE(elements) && (k >= elements[i].below || depth >= elements[i].depth))
        i++;
    if (i < ARRAY_SIZE(elements))
        elements[i].put(g, depth);
}

static inline void choose_registers(struct loop *g)
{
    u8 pool[15], n = 0;
    for (u8 r = 0; r < 16; r++)
        if (r != RSP)
            pool[n++] = r;
    for (unsigned i = 0; i < 5; i++) {
        unsigned k = i + below(g, 15 - i);
        if (one_in(g, 3) && i < LOOP_POINTERS) /* R8 to R11, if they are free yet */
            k = i > 7 ? k : 7 + below(g, 4);
        u8 r = pool[k];
        pool[k] = pool[i];
        pool[i] = r;
    }
    memcpy(g->pointer, pool, LOOP_POINTERS);
    g->index = pool[3];
    g->counter = pool[4];
}

/* elements: of its body. */
static inline void make_loop(struct loop *g, unsigned elements)
{
    memset(g->code, 0xcc, sizeof(g->code));
    g->patches = g->count = 0;
    for (unsigned p = 0; p < LOOP_PAGES; p++)
        g->cursor[p] = p * 4096 + 0x800;
    choose_registers(g);
    g->at = g->start = one_in(g, 2) ? 0x100 + below(g, 64) : 4096 - below(g, 200);
    while (elements--)
        put_element(g, 0);
    put_op(g, 0, true, 0xff, 1, NULL, g->counter, 0);
    put(g, 0x850f, 2);
    put(g, g->start - (g->at + 4), 4);
    put(g, 0x0b0f, 2);
}

#endif
