/* SPDX-License-Identifier: MIT */
/*
 * Random cases: an encoding of a given row, then a state in which it has something to do.
 *
 * Encodings are found by trial: random bytes of the row's shape, decoded, kept when they are the row. Values
 * lean to edges. A memory operand is led into the data pages by choosing the registers of its address; a few
 * go to the guard pages, the read-only page, or a non-canonical address instead.
 */
#include "oracle.h"

u64 rng_next(struct rng *r)
{
    u64 a = r->s[0], b = r->s[1]; /* xoroshiro128+ */
    u64 v = a + b;
    b ^= a;
    r->s[0] = (a << 24 | a >> 40) ^ b ^ b << 16;
    r->s[1] = b << 37 | b >> 27;
    return v;
}

static bool one_in(struct rng *r, unsigned n)
{
    return rng_below(r, n) == 0;
}

static u64 edge_value(struct rng *r)
{
    static const u64 edges[] = {0, 1, 2, 3, 7, 8, 9, 15, 16, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x100,
                                0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
                                0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~0ull, ~1ull,
                                /* floats and doubles */
                                0x3f800000, 0x7f800000, 0x7fc00000, 0x00800000, 0x3ff0000000000000,
                                0x7ff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001,
                                0x0010000000000000, 0x000fffffffffffff, 0x3f8000003f800000,
                                0x40490fdbc0490fdb};
    switch (rng_below(r, 8)) {
    case 0:
    case 1:
    case 2:
        return edges[rng_below(r, ARRAY_SIZE(edges))];
    case 3:
        return -edges[rng_below(r, ARRAY_SIZE(edges))];
    case 4:
        return rng_below(r, 256);
    case 5: /* a double of moderate size */
        return (rng_next(r) & 0x800fffffffffffff) | (0x3e0 + rng_below(r, 64)) << 52;
    default:
        return rng_next(r);
    }
}

/* Encoding */

struct writer {
    u8 *p;
};

static void put(struct writer *w, unsigned byte)
{
    *w->p++ = (u8)byte;
}

static void put_legacy(struct rng *r, const struct insn_info *info, enum decode_mode mode, struct writer *w)
{
    static const u8 segments[] = {0x26, 0x2e, 0x36, 0x3e, 0x65, 0x65};
    if (one_in(r, 5))
        put(w, segments[rng_below(r, ARRAY_SIZE(segments))]);
    if (one_in(r, 6))
        put(w, 0x67);
    if (info->prefix != 0x66 && one_in(r, 3))
        put(w, 0x66);
    if (info->attr & ATTR_LOCKABLE && one_in(r, 3))
        put(w, 0xf0);
    if (info->prefix)
        put(w, info->prefix);
    else if (one_in(r, info->attr & ATTR_STRING ? 2 : 12))
        put(w, 0xf2 + rng_below(r, 2));
    if (mode == MODE_64 && one_in(r, 2))
        put(w, 0x40 + rng_below(r, 16));
    if (info->map)
        put(w, 0x0f);
    if (info->map >= 2)
        put(w, info->map == 2 ? 0x38 : 0x3a);
}

static unsigned vex_pp(u8 prefix)
{
    return prefix == 0x66 ? 1 : prefix == 0xf3 ? 2 : prefix == 0xf2 ? 3 : 0;
}

static void put_vex(struct rng *r, const struct insn_info *info, struct writer *w)
{
    unsigned map = info->map - 4u, vvvv = one_in(r, 2) ? 15 : (unsigned)rng_below(r, 16);
    unsigned last = vvvv << 3 | (unsigned)rng_below(r, 2) << 2 | vex_pp(info->prefix);
    if (one_in(r, 5))
        put(w, 0x65);
    if (one_in(r, 8))
        put(w, 0x67);
    if (map == 1 && one_in(r, 2)) {
        put(w, 0xc5);
        put(w, rng_below(r, 2) << 7 | last);
        return;
    }
    put(w, 0xc4);
    put(w, rng_below(r, 8) << 5 | map);
    put(w, rng_below(r, 2) << 7 | last);
}

/* ModRM (if the row has one: else its first immediate byte), SIB, displacement, immediate: any bytes do. */
static bool encode(struct rng *r, unsigned id, struct insn_case *t)
{
    const struct insn_info *info = &insn_infos[id];
    struct writer w = {t->bytes};
    t->mode = one_in(r, 4) ? MODE_32 : MODE_64;
    if (info->map >= 4)
        put_vex(r, info, &w);
    else
        put_legacy(r, info, t->mode, &w);
    put(&w, info->opcode + (one_in(r, 2) ? rng_below(r, 16) : 0));
    while (w.p < t->bytes + 15)
        put(&w, rng_next(r));
    return insn_decode(t->mode, t->bytes, 15, &t->in) == DECODE_OK && t->in.id == id && !excluded_insn(t);
}

/* State */

static void random_x87(struct rng *r, struct machine_state *s)
{
    memset(s->x87, 0, sizeof(s->x87));
    store_le(s->x87 + X87_FCW, 2, 0x37f | rng_below(r, 4) << 10);
    unsigned fsw = (unsigned)rng_below(r, 8) << 11 | (unsigned)(rng_next(r) & 0x4700);
    store_le(s->x87 + X87_FSW, 2, fsw);
    s->x87[X87_FTW] = (u8)(one_in(r, 3) ? 0 : rng_next(r));
    for (unsigned i = 0; i < 8; i++) {
        u8 *st = s->x87 + X87_ST + 16 * i;
        u64 mantissa = edge_value(r);
        unsigned exponent =
            one_in(r, 4) ? 0x7fff * (unsigned)rng_below(r, 2) : 0x3fe0 + (unsigned)rng_below(r, 80);
        store_le(st, 8, one_in(r, 8) ? mantissa : mantissa | 1ull << 63);
        store_le(st + 8, 2, exponent | (rng_next(r) & 0x8000));
    }
}

static void random_state(struct rng *r, struct machine_state *s)
{
    for (unsigned i = 0; i < 16; i++)
        s->gpr[i] = edge_value(r);
    s->gpr[RSP] = DATA_BASE + DATA_SIZE / 2 + rng_below(r, 0x400) - (one_in(r, 4) ? rng_below(r, 8) : 0);
    if (!one_in(r, 4))
        s->gpr[RSP] &= ~7ull;
    s->rflags = (rng_next(r) & (FLAGS_ARITH | FLAG_DF)) | FLAG_R1 | FLAG_IF;
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned j = 0; j < 4; j++)
            store_le(&s->vec[i][8 * j], 8, edge_value(r));
    }
    random_x87(r, s);
    s->mxcsr = 0x1f80 | (u32)rng_below(r, 4) << 13 | (one_in(r, 8) ? 0x8040 : 0);
}

static u64 pick_target(struct rng *r, unsigned size)
{
    u64 at;
    switch (rng_below(r, 24)) {
    case 0: /* across the two data pages */
        at = DATA_BASE + DATA_SIZE / 2 - rng_below(r, 32);
        break;
    case 1: /* into the read-only page */
        at = RO_BASE - 32 + rng_below(r, 64);
        break;
    case 2: /* out of the top */
        at = RO_BASE + RO_SIZE - rng_below(r, 64);
        break;
    case 3: /* out of the bottom */
        at = DATA_BASE - rng_below(r, 64);
        break;
    default:
        at = DATA_BASE + 256 + rng_below(r, DATA_SIZE - 512);
        break;
    }
    if (size && !one_in(r, 4))
        at &= ~(u64)(size - 1); /* size is a power of two wherever alignment matters */
    return at;
}

/* The displacement of an operand without registers lies in the bytes: found by value, replaced. */
bool case_patch_disp(struct insn_case *t, i32 disp)
{
    for (unsigned i = 0; i + 4 <= t->in.len; i++) {
        if ((i32)load_le(t->bytes + i, 4) == t->in.disp) {
            store_le(t->bytes + i, 4, (u32)disp);
            unsigned id = t->in.id;
            return insn_decode(t->mode, t->bytes, 15, &t->in) == DECODE_OK && t->in.id == id;
        }
    }
    return false;
}

static u64 scaled_index(const struct insn_case *t)
{
    return t->in.index < 16 ? t->start.gpr[t->in.index] << t->in.scale : 0;
}

static bool is_vsib(const struct insn_info *info)
{
    for (unsigned i = 0; i < ARRAY_SIZE(info->op); i++) {
        if (info->op[i].kind == OP_VSIB)
            return true;
    }
    return false;
}

/* Small indices, with odd dwords zero, do for 32- and 64-bit ones. */
static void vector_index(struct rng *r, struct insn_case *t)
{
    unsigned reg = t->in.index & 15;
    for (unsigned i = 0; i < 4; i++)
        store_le(&t->start.vec[reg][8 * i], 8, rng_below(r, 100));
}

/* Leads the memory operand to `target` (segment base already taken off). */
static bool aim(struct rng *r, struct insn_case *t, u64 target)
{
    struct insn *in = &t->in;
    u64 *gpr = t->start.gpr, disp = (u64)(i64)in->disp;
    if (is_vsib(&insn_infos[in->id])) {
        vector_index(r, t);
        if (in->base < 16)
            gpr[in->base] = target - disp;
        return true;
    }
    if (in->base == REG_RIP)
        return case_patch_disp(t, (i32)(target - t->start.rip - in->len));
    if (in->base < 16 && in->base != in->index) {
        if (in->index < 16 && !one_in(r, 4))
            gpr[in->index] = rng_below(r, 64);
        gpr[in->base] = target - disp - scaled_index(t);
        return true;
    }
    if (in->base < 16) {
        gpr[in->base] = (target - disp) / ((1u << in->scale) + 1);
        return true;
    }
    if (in->index < 16) {
        gpr[in->index] = (u64)((i64)(target - disp) >> in->scale);
        return true;
    }
    return case_patch_disp(t, (i32)target);
}

static bool uses_stack(const char *name)
{
    static const char *const names[] = {"PUSH", "POP", "CALL", "RET", "LEAVE", "ENTER"};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strncmp(name, names[i], strlen(names[i])) && name[strlen(names[i])] != 'C')
            return true;
    }
    return false;
}

static void string_registers(struct rng *r, struct insn_case *t)
{
    t->start.gpr[RSI] = pick_target(r, t->in.size);
    t->start.gpr[RDI] = one_in(r, 3) ? t->start.gpr[RSI] + rng_below(r, 33) - 16 : pick_target(r, t->in.size);
    t->start.gpr[RCX] = one_in(r, 8) ? rng_below(r, 600) : rng_below(r, 20);
    if (t->in.adsize == 4) {
        t->start.gpr[RSI] |= one_in(r, 2) ? 1ull << 40 : 0;
        t->start.gpr[RCX] |= one_in(r, 2) ? 1ull << 33 : 0;
    }
}

/* Into its own bytes it would run what nobody decoded, or for ever. */
static bool branches_into_itself(const struct insn_case *t)
{
    u64 to = t->in.len + t->in.imm;
    return insn_infos[t->in.id].op[0].kind == OP_J && to < t->in.len;
}

/* A branch through a register or memory goes to the code page now and then, behind where instructions lie. */
static void branch_target(struct rng *r, struct insn_case *t)
{
    if (one_in(r, 4))
        return;
    u64 to = CODE_BASE + CODE_SIZE / 2 + 64 + rng_below(r, 1024);
    if (!(t->in.flags & INSN_MEM) && t->in.modrm && t->in.rm != RSP)
        t->start.gpr[t->in.rm] = to;
    else
        for (unsigned i = 0; i + 8 <= AREA_BYTES; i += 8)
            store_le(t->data + i, 8, to + i % 512);
}

static void random_data(struct rng *r, struct insn_case *t)
{
    static u64 pattern[AREA_BYTES / 8];
    static unsigned age;
    if (age++ % 64 == 0) {
        for (unsigned i = 0; i < ARRAY_SIZE(pattern); i++)
            pattern[i] = edge_value(r);
    }
    memcpy(t->data, pattern, AREA_BYTES);
}

static bool memory_operand(struct rng *r, struct insn_case *t)
{
    const struct insn *in = &t->in;
    const struct insn_info *info = &insn_infos[in->id];
    bool offset_bit = !(in->modrm >= 0xc0) && !strncmp(row_name(in->id), "BT", 2) && info->op[1].kind == OP_G;
    if (offset_bit && in->reg != RSP)
        t->start.gpr[in->reg] = rng_below(r, 4000) - 2000;
    if (one_in(r, 40) && in->base < 16 && in->adsize == 8)
        return true; /* wherever the registers lead; rarely mapped */
    u64 target = pick_target(r, in->mem_size);
    if (in->seg == GS)
        target -= GS_BASE;
    return aim(r, t, target);
}

static bool prepare(struct rng *r, struct insn_case *t)
{
    const struct insn_info *info = &insn_infos[t->in.id];
    random_state(r, &t->start);
    random_data(r, t);
    t->start.rip = CODE_BASE + 1024 + rng_below(r, 1024);
    if (uses_stack(row_name(t->in.id)) && !one_in(r, 8))
        t->start.gpr[RBP] = t->start.gpr[RSP] + rng_below(r, 64) * 8;
    if (info->attr & ATTR_STRING)
        string_registers(r, t);
    if (info->attr & ATTR_BRANCH)
        branch_target(r, t);
    if (!strncmp(row_name(t->in.id), "LOOP", 4) || !strcmp(row_name(t->in.id), "JCXZ"))
        t->start.gpr[RCX] = one_in(r, 2) ? rng_below(r, 3) : edge_value(r);
    if (info->op[0].kind == OP_O || info->op[1].kind == OP_O) {
        u64 old = t->in.imm, to = pick_target(r, t->in.size) - (t->in.seg == GS ? GS_BASE : 0);
        store_le(t->bytes + t->in.len - t->in.adsize, t->in.adsize, to);
        return insn_decode(t->mode, t->bytes, 15, &t->in) == DECODE_OK && t->in.imm != old;
    }
    return t->in.flags & INSN_MEM && !(info->attr & ATTR_STRING) ? memory_operand(r, t) : true;
}

/* Outside 64-bit mode nothing can have put anything above. */
static void narrow(struct insn_case *t)
{
    for (unsigned i = 0; t->mode == MODE_32 && i < 16; i++)
        t->start.gpr[i] = (u32)t->start.gpr[i];
}

bool case_make(struct rng *r, unsigned id, struct insn_case *t)
{
    for (unsigned tries = 0; tries < 2000; tries++) {
        if (!encode(r, id, t) || branches_into_itself(t))
            continue;
        if (!prepare(r, t))
            return false;
        narrow(t);
        t->len = t->in.len;
        t->count = 1;
        return true;
    }
    return false;
}
