/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder: prefixes, opcode, row, ModRM, immediates, in the order of the bytes. Everything
 * that tells one instruction from another is in the generated tables (decode_table.h); here is only what all
 * have in common.
 *
 * It must stay pure and total: any bytes, any length, no state, no byte read beyond `len` or the fifteenth.
 * SDM 2A 2 and Appendix A; APM 3 1.
 */
#include "x86/insn.h"
#include "x86/decode_table.h"

enum { MAX_LEN = 15, NO_SEG = 0xff };

struct decoder {
    const u8 *start, *p, *end;
    struct insn *in;
    const struct decode_row *row;
    u8 mode;
    u8 rex; /* the byte, 0: none */
    u8 seg; /* override that counts, or NO_SEG */
    u8 rep; /* last of F2 and F3, or 0 */
    bool p66, p67, lock;
    bool vex, r, x, b, w, l;
    u8 pp; /* mandatory prefix as VEX.pp counts */
    u8 map;
    u8 vvvv;
    bool mem;
};

/* A byte that is not there: longer than any instruction, or just not fetched yet. */
static enum decode_result short_of_bytes(const struct decoder *d)
{
    return d->end - d->start >= MAX_LEN ? DECODE_TOO_LONG : DECODE_SHORT;
}

static inline bool have_bytes(const struct decoder *d, unsigned n)
{
    return (size_t)(d->end - d->p) >= n;
}

static inline u64 take(struct decoder *d, unsigned n)
{
    u64 v = load_le(d->p, n);
    d->p += n;
    return v;
}

/* Prefixes */

enum prefix_kind { NOT_PREFIX, PREFIX_SEG, PREFIX_66, PREFIX_67, PREFIX_LOCK, PREFIX_REP, PREFIX_REX };

static const u8 prefix_kinds[256] = {
    [0x26] = PREFIX_SEG,  [0x2e] = PREFIX_SEG, [0x36] = PREFIX_SEG, [0x3e] = PREFIX_SEG,
    [0x64] = PREFIX_SEG,  [0x65] = PREFIX_SEG, [0x66] = PREFIX_66,  [0x67] = PREFIX_67,
    [0xf0] = PREFIX_LOCK, [0xf2] = PREFIX_REP, [0xf3] = PREFIX_REP, [0x40 ... 0x4f] = PREFIX_REX,
};

/* In 64-bit mode only FS and GS count; an ES, CS, SS or DS prefix is as if it were not there. SDM 2A 2.1.1 */
static void segment_prefix(struct decoder *d, u8 byte)
{
    if (byte >= 0x64)
        d->seg = byte == 0x64 ? FS : GS;
    else if (d->mode != MODE_64)
        d->seg = byte >> 3 & 3;
}

static enum decode_result take_prefixes(struct decoder *d)
{
    for (; d->p < d->end; d->p++) {
        u8 byte = *d->p;
        u8 kind = prefix_kinds[byte];
        if (kind == NOT_PREFIX || (kind == PREFIX_REX && d->mode != MODE_64))
            return DECODE_OK;
        d->rex = 0; /* REX counts only right before the opcode */
        switch (kind) {
        case PREFIX_SEG:
            segment_prefix(d, byte);
            break;
        case PREFIX_66:
            d->p66 = true;
            break;
        case PREFIX_67:
            d->p67 = true;
            break;
        case PREFIX_LOCK:
            d->lock = true;
            break;
        case PREFIX_REP:
            d->rep = byte;
            break;
        default:
            d->rex = byte;
            break;
        }
    }
    return short_of_bytes(d);
}

/* Opcode */

/* C4, C5 in 16- and 32-bit mode are LES and LDS unless what would be their ModRM names a register. */
static bool is_vex(const struct decoder *d, u8 byte)
{
    return (byte == 0xc4 || byte == 0xc5) && (d->mode == MODE_64 || *d->p >= 0xc0);
}

/* SDM 2A 2.3.5 */
static enum decode_result take_vex(struct decoder *d, u8 byte)
{
    unsigned n = byte == 0xc4 ? 2 : 1;
    if (!have_bytes(d, n + 1))
        return short_of_bytes(d);
    bool bad_prefix = d->p66 || d->rep || d->lock || d->rex;
    u8 first = (u8)take(d, 1), last = n == 2 ? (u8)take(d, 1) : first;
    d->vex = true;
    d->r = !(first & 0x80);
    d->map = 1;
    if (n == 2) {
        d->x = !(first & 0x40);
        d->b = d->mode == MODE_64 && !(first & 0x20);
        d->w = last & 0x80;
        d->map = first & 0x1f;
    }
    d->vvvv = ~last >> 3 & 15;
    d->l = last & 4;
    d->pp = last & 3;
    if (bad_prefix || d->map < 1 || d->map > 3)
        return DECODE_UD;
    d->map += 4;
    d->in->opcode = (u8)take(d, 1);
    return DECODE_OK;
}

static void use_rex(struct decoder *d)
{
    d->w = d->rex & 8;
    d->r = d->rex & 4;
    d->x = d->rex & 2;
    d->b = d->rex & 1;
    d->pp = d->rep == 0xf3 ? 2 : d->rep ? 3 : d->p66;
}

static enum decode_result take_opcode(struct decoder *d)
{
    u8 byte = (u8)take(d, 1);
    if (byte == 0xc4 || byte == 0xc5) {
        if (!have_bytes(d, 1))
            return short_of_bytes(d);
        if (is_vex(d, byte))
            return take_vex(d, byte);
    }
    use_rex(d);
    while (byte == (d->map == 0 ? 0x0f : 0x38) || (d->map == 1 && byte == 0x3a)) {
        if (!have_bytes(d, 1))
            return short_of_bytes(d);
        d->map = d->map == 0 ? 1 : byte == 0x38 ? 2 : 3;
        byte = (u8)take(d, 1);
        if (d->map > 1)
            break;
    }
    d->in->opcode = byte;
    return DECODE_OK;
}

/* Row */

static const struct decode_row *find_row(const struct decoder *d, const struct decode_entry *e)
{
    u64 have = BIT(FACT_PREFIX + d->pp) | BIT(FACT_MODE + d->mode) | BIT(FACT_W + d->w) | BIT(FACT_L + d->l) |
               BIT(FACT_B + d->b) | BIT(FACT_LOCK + d->lock);
    if (e->modrm) {
        u8 m = d->in->modrm;
        have |= BIT(FACT_MOD + (m >= 0xc0)) | BIT(FACT_REG + (m >> 3 & 7)) | BIT(FACT_RM + (m & 7));
    }
    const struct decode_row *row = &decode_rows[e->first];
    for (unsigned i = 0; i < e->count; i++)
        if (!(have & ~row[i].allow))
            return &row[i];
    return NULL;
}

static enum decode_result choose_row(struct decoder *d)
{
    const struct decode_entry *e = &decode_index[d->map][d->in->opcode];
    if (!e->count)
        return DECODE_UD;
    if (e->modrm) {
        if (!have_bytes(d, 1))
            return short_of_bytes(d);
        d->in->modrm = (u8)take(d, 1);
    }
    d->row = find_row(d, e);
    if (!d->row)
        return DECODE_UD;
    d->mem = e->modrm && d->in->modrm < 0xc0 && !(d->row->bits & ROW_MODX);
    d->in->id = d->row->id;
    return DECODE_OK;
}

/* Sizes. SDM 1 3.6.1 */

static u8 default_size(const struct decoder *d)
{
    bool p66 = d->p66 && !(d->row->bits & ROW_OWN66 && d->pp == 1);
    if (d->w && d->mode == MODE_64)
        return 8;
    return (d->mode == MODE_16) == p66 ? 4 : 2;
}

static u8 operand_size(const struct decoder *d)
{
    bool long_mode = d->mode == MODE_64;
    u8 size = default_size(d);
    switch ((enum size_class)d->row->size) {
    case SIZE_V:
        return size;
    case SIZE_BYTE:
        return 1;
    case SIZE_WORD:
        return 2;
    case SIZE_Y:
        return long_mode && d->w ? 8 : 4;
    case SIZE_NATIVE:
        return long_mode ? 8 : 4;
    case SIZE_MAX32:
        return size == 8 ? 4 : size;
    case SIZE_D64:
        return long_mode && size == 4 ? 8 : size;
    case SIZE_F64:
        return long_mode ? 8 : size;
    case SIZE_MMX:
        return 8;
    case SIZE_VECTOR:
        return d->l ? 32 : 16;
    }
    return size;
}

static u8 address_size(const struct decoder *d)
{
    if (d->mode == MODE_64)
        return d->p67 ? 4 : 8;
    return (d->mode == MODE_16) == d->p67 ? 4 : 2;
}

static u8 memory_bytes(const struct decoder *d)
{
    static const u8 fixed[SZ_COUNT] = {
        [SZ_B] = 1,   [SZ_W] = 2,  [SZ_D] = 4,  [SZ_Q] = 8,  [SZ_DQ] = 16,
        [SZ_QQ] = 32, [SZ_SS] = 4, [SZ_SD] = 8, [SZ_T] = 10,
    };
    /* A vector row's GPR operand (CVTSI2SD Ey) goes by W, not by the vector. */
    u8 size = d->in->size, vector = d->l ? 32 : 16;
    switch (d->row->mem) {
    case SZ_V:
        return size;
    case SZ_Z:
        return size == 8 ? 4 : size;
    case SZ_Y:
        return d->row->size == SIZE_NATIVE ? size : d->mode == MODE_64 && d->w ? 8 : 4;
    case SZ_X:
        return vector;
    case SZ_HALF:
        return vector / 2;
    case SZ_QUARTER:
        return vector / 4;
    case SZ_EIGHTH:
        return vector / 8;
    case SZ_P:
        return size + 2;
    case SZ_A:
        return 2 * size;
    case SZ_S:
        return d->mode == MODE_64 ? 10 : 6;
    default:
        return fixed[d->row->mem];
    }
}

/* Memory operands */

static void set_memory(struct decoder *d, u8 base, u8 index, u8 seg)
{
    d->in->flags |= INSN_MEM;
    d->in->base = base;
    d->in->index = index;
    d->in->seg = d->seg == NO_SEG ? seg : d->seg;
}

/* SDM 2A table 2-1 */
static enum decode_result take_mem16(struct decoder *d)
{
    static const u8 forms[8][3] = {
        {RBX, RSI, DS},      {RBX, RDI, DS},      {RBP, RSI, SS},      {RBP, RDI, SS},
        {RSI, REG_ZERO, DS}, {RDI, REG_ZERO, DS}, {RBP, REG_ZERO, SS}, {RBX, REG_ZERO, DS},
    };
    u8 mod = d->in->modrm >> 6, rm = d->in->modrm & 7;
    bool bare = mod == 0 && rm == 6;
    unsigned n = bare ? 2 : mod;
    if (d->row->bits & ROW_VSIB)
        return DECODE_UD;
    if (!have_bytes(d, n))
        return short_of_bytes(d);
    if (bare)
        set_memory(d, REG_ZERO, REG_ZERO, DS);
    else
        set_memory(d, forms[rm][0], forms[rm][1], forms[rm][2]);
    if (n)
        d->in->disp = (i32)sign_extend(take(d, n), n);
    return DECODE_OK;
}

/* Returns how many bytes of displacement follow. SDM 2A table 2-3 */
static unsigned take_sib(struct decoder *d, u8 mod)
{
    u8 sib = (u8)take(d, 1);
    u8 base = (sib & 7) | d->b << 3, index = (sib >> 3 & 7) | d->x << 3;
    bool none = mod == 0 && (sib & 7) == 5;
    if (index == RSP && !(d->row->bits & ROW_VSIB))
        index = REG_ZERO;
    else
        d->in->scale = sib >> 6;
    if (none)
        set_memory(d, REG_ZERO, index, DS);
    else
        set_memory(d, base, index, base == RSP || base == RBP ? SS : DS);
    return mod == 0 ? (none ? 4 : 0) : mod == 1 ? 1 : 4;
}

/* SDM 2A table 2-2; RIP-relative 2.2.1.6 */
static unsigned plain_mem32(struct decoder *d, u8 mod, u8 rm)
{
    u8 base = rm | d->b << 3;
    if (mod == 0 && rm == 5) {
        set_memory(d, d->mode == MODE_64 ? REG_RIP : REG_ZERO, REG_ZERO, DS);
        return 4;
    }
    set_memory(d, base, REG_ZERO, base == RBP ? SS : DS);
    return mod == 0 ? 0 : mod == 1 ? 1 : 4;
}

static enum decode_result take_mem32(struct decoder *d)
{
    u8 mod = d->in->modrm >> 6, rm = d->in->modrm & 7;
    unsigned n;
    if (rm == 4) {
        if (!have_bytes(d, 1))
            return short_of_bytes(d);
        n = take_sib(d, mod);
    } else if (d->row->bits & ROW_VSIB) {
        return DECODE_UD;
    } else {
        n = plain_mem32(d, mod, rm);
    }
    if (!have_bytes(d, n))
        return short_of_bytes(d);
    if (n)
        d->in->disp = (i32)sign_extend(take(d, n), n);
    return DECODE_OK;
}

static void implied_memory(struct decoder *d)
{
    static const u8 bases[] = {
        [IMPLIED_X] = RSI, [IMPLIED_Y] = RDI, [IMPLIED_RAX] = RAX, [IMPLIED_RBX] = RBX, [IMPLIED_RDI] = RDI,
    };
    set_memory(d, bases[d->row->implied], REG_ZERO, DS);
    if (d->row->implied == IMPLIED_Y) /* no override: SDM 2B STOS */
        d->in->seg = ES;
}

static enum decode_result take_memory(struct decoder *d)
{
    struct insn *in = d->in;
    in->base = in->index = REG_ZERO;
    in->seg = d->seg == NO_SEG ? DS : d->seg;
    if (d->row->implied) {
        implied_memory(d);
        return DECODE_OK;
    }
    if (!d->mem)
        return DECODE_OK;
    in->mem_size = memory_bytes(d);
    return in->adsize == 2 ? take_mem16(d) : take_mem32(d);
}

/* Registers */

static u8 register_offset(const struct decoder *d, u8 n, bool byte)
{
    if (byte && !d->rex && n >= RSP && n <= RDI)
        return 8 * (n - RSP) + 1; /* AH CH DH BH */
    return 8 * n;
}

static void set_registers(struct decoder *d)
{
    struct insn *in = d->in;
    unsigned b = d->row->bits;
    in->reg =
        (in->modrm >> 3 & 7) | (b & (ROW_REG7 | ROW_OPREG) ? 0 : d->r << 3); /* +r: REX.R names nothing */
    in->rm = ((b & ROW_OPREG ? in->opcode : in->modrm) & 7) | (b & ROW_RM7 ? 0 : d->b << 3);
    in->vreg = d->mode == MODE_64 ? d->vvvv : d->vvvv & 7;
    if (b & ROW_SEG)
        in->reg = in->opcode >> 3 & 7;
    if (b & ROW_CR8)
        in->reg |= 8;
    if (d->map == 0 && !in->modrm && !(b & ROW_OPREG) && !decode_index[0][in->opcode].modrm)
        in->rm = 0; /* AL, eAX forms: REX.B names nothing */
    in->reg_off = register_offset(d, in->reg, b & ROW_G8);
    in->rm_off = register_offset(d, in->rm, b & ROW_E8);
}

static bool registers_exist(const struct decoder *d)
{
    enum { CONTROL = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 8 };
    const struct insn *in = d->in;
    unsigned b = d->row->bits;
    if (b & ROW_CR && !(CONTROL >> in->reg & 1))
        return false;
    if (b & ROW_DR && in->reg > 7)
        return false;
    if (d->vex && !(b & ROW_VVVV) && d->vvvv)
        return false;
    /* A gather's three registers differ. SDM 2C VGATHERDPS */
    return !(b & ROW_VSIB) || (in->reg != in->index && in->reg != in->vreg && in->index != in->vreg);
}

/* Immediates */

static unsigned immediate_bytes(const struct decoder *d)
{
    u8 size = d->in->size;
    switch ((enum imm_kind)d->row->imm) {
    case IMM_NONE:
    case IMM_ONE:
        return 0;
    case IMM_IB:
    case IMM_UB:
    case IMM_CB:
    case IMM_IS4:
        return 1;
    case IMM_IW:
        return 2;
    case IMM_ENTER:
        return 3;
    case IMM_IZ:
    case IMM_CZ:
        return size == 2 ? 2 : 4;
    case IMM_IV:
        return size;
    case IMM_AP:
        return size == 2 ? 4 : 6;
    case IMM_MOFFS:
        return d->in->adsize;
    }
    return 0;
}

static void moffs(struct decoder *d)
{
    set_memory(d, REG_ZERO, REG_ZERO, DS);
    d->in->disp = (i32)d->in->imm;
    d->in->mem_size = d->in->size;
}

static void set_immediate(struct decoder *d, u64 v, unsigned n)
{
    struct insn *in = d->in;
    in->imm = v;
    switch ((enum imm_kind)d->row->imm) {
    case IMM_IB:
    case IMM_CB:
    case IMM_IZ:
    case IMM_CZ:
    case IMM_IV:
        in->imm = (u64)sign_extend(v, n);
        break;
    case IMM_ONE:
        in->imm = 1;
        break;
    case IMM_AP:
        in->imm2 = (u16)(v >> 8 * (n - 2));
        in->imm = v & size_mask(n - 2);
        break;
    case IMM_ENTER:
        in->imm2 = (u16)(v >> 16);
        in->imm = v & 0xffff;
        break;
    case IMM_MOFFS:
        moffs(d);
        break;
    default:
        break;
    }
}

static enum decode_result take_immediate(struct decoder *d)
{
    unsigned n = immediate_bytes(d);
    if (!have_bytes(d, n))
        return short_of_bytes(d);
    set_immediate(d, n ? take(d, n) : 0, n);
    return DECODE_OK;
}

/* The whole */

static void set_flags(struct decoder *d)
{
    unsigned b = d->row->bits, f = 0;
    if (d->lock)
        f |= INSN_LOCK;
    if (d->rep && !(b & ROW_OWNREP))
        f |= d->rep == 0xf3 ? INSN_REP : INSN_REPNE;
    if (d->rex)
        f |= INSN_REX;
    if (d->vex)
        f |= INSN_VEX;
    if (d->l)
        f |= INSN_VEX_L;
    if (d->w && (d->mode == MODE_64 || !(b & ROW_Y)))
        f |= INSN_W;
    d->in->flags = (u8)f;
}

static enum decode_result decode_operands(struct decoder *d)
{
    set_flags(d);
    d->in->size = operand_size(d);
    d->in->adsize = address_size(d);
    set_registers(d);
    if (d->lock && d->row->bits & ROW_LOCKABLE && !d->mem)
        return DECODE_UD;
    enum decode_result r = take_memory(d);
    if (r == DECODE_OK)
        r = take_immediate(d);
    if (r == DECODE_OK && !registers_exist(d))
        r = DECODE_UD;
    return r;
}

static enum decode_result decode(struct decoder *d)
{
    enum decode_result r = take_prefixes(d);
    if (r == DECODE_OK)
        r = take_opcode(d);
    if (r == DECODE_OK)
        r = choose_row(d);
    if (r == DECODE_OK)
        r = decode_operands(d);
    return r;
}

enum decode_result insn_decode(enum decode_mode mode, const u8 *bytes, unsigned len, struct insn *in)
{
    memset(in, 0, sizeof(*in));
    struct decoder d = {
        .start = bytes,
        .p = bytes,
        .end = bytes + (len < MAX_LEN ? len : MAX_LEN),
        .in = in,
        .mode = (u8)mode,
        .seg = NO_SEG,
    };
    enum decode_result r = decode(&d);
    in->len = (u8)(d.p - d.start);
    return r;
}
