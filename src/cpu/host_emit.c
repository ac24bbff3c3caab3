/* SPDX-License-Identifier: MIT */
/*
 * Thunks: how a guest instruction becomes a host function.
 *
 * The guest's registers are renamed: ModRM.reg is XMM1/MM1/RSI, VEX.vvvv XMM2/RCX, ModRM.rm XMM3/MM3/RBX, is4
 * XMM4, memory is [RDI], the bounce buffer at the start of host_args, which RDI points to throughout. XMM0,
 * RAX, RCX and RDX stay free for implicit operands. RAX is also the scratch register and carries flags (LAHF,
 * SETO). All chosen registers are below 8, so REX is needed for W only.
 *
 * Order: flags in, general registers, vectors, MXCSR, the instruction, MXCSR, flags out, results. Nothing
 * between "flags in" and the instruction may change a flag.
 */
#include "cpu/host_insn.h"

struct code {
    u8 *b;
    unsigned n;
};

enum slot { SLOT_REG, SLOT_VEX, SLOT_RM, SLOT_IS4, SLOTS };
enum slot_class { CLASS_NONE, CLASS_XMM, CLASS_MMX, CLASS_GPR };

struct use {
    u8 class;
    u8 access;
};

/* Implicit operands. */
enum { IMP_XMM0_IN = 1, IMP_XMM0_OUT = 2, IMP_RAX_IN = 4, IMP_RDX_IN = 8, IMP_RCX_OUT = 16 };

struct shape {
    struct use use[SLOTS];
    bool vex, w, mem, flags, o16, ymm;
    bool imm;
    u8 implicit;
};

static const u8 host_vec[SLOTS] = {1, 2, 3, 4};
static const u8 host_gpr[3] = {RSI, RCX, RBX};

static void put(struct code *k, u8 byte)
{
    bug_on(k->n >= HOST_THUNK_MAX, "thunk too long");
    k->b[k->n++] = byte;
}

static void put_bytes(struct code *k, const char *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        put(k, (u8)bytes[i]);
}
#define PUT(k, s) put_bytes(k, s, sizeof(s) - 1)

/* ModRM for [rdi + field], reg. */
static void put_field(struct code *k, unsigned reg, size_t field)
{
    put(k, (u8)(0x87 | reg << 3));
    for (unsigned i = 0; i < 4; i++)
        put(k, (u8)(field >> 8 * i));
}

#define FIELD(f) offsetof(struct host_args, f)

/* mov reg64, [rdi + field] */
static void load_field(struct code *k, unsigned reg, size_t field)
{
    PUT(k, "\x48\x8b");
    put_field(k, reg, field);
}

/* Moves between host register and [rax]. */
static void move_gpr(struct code *k, unsigned reg, bool store)
{
    put(k, 0x48);
    put(k, store ? 0x89 : 0x8b);
    put(k, (u8)(reg << 3));
}

static void move_vec(struct code *k, const struct shape *s, u8 class, unsigned reg, bool store)
{
    if (class == CLASS_MMX) {
        put(k, 0x0f);
        put(k, store ? 0x7f : 0x6f); /* movq */
    } else if (s->vex) {
        PUT(k, "\xc5\xfc"); /* vmovups ymm */
        put(k, store ? 0x11 : 0x10);
    } else {
        put(k, 0x0f); /* movups */
        put(k, store ? 0x11 : 0x10);
    }
    put(k, (u8)(reg << 3));
}

static void move_slot(struct code *k, const struct shape *s, unsigned i, bool store)
{
    if (s->use[i].class == CLASS_GPR) {
        load_field(k, RAX, FIELD(g) + 8 * i);
        move_gpr(k, host_gpr[i], store);
        return;
    }
    load_field(k, RAX, FIELD(v) + 8 * i);
    move_vec(k, s, s->use[i].class, host_vec[i], store);
}

static void emit_flags_in(struct code *k)
{
    PUT(k, "\x0f\xb7"); /* movzx eax, word [fl] */
    put_field(k, RAX, FIELD(fl));
    PUT(k, "\x04\x7f\x9e"); /* add al, 0x7f; sahf */
}

static void emit_flags_out(struct code *k)
{
    PUT(k, "\x9f\x0f\x90\xc0\x66\x89"); /* lahf; seto al; mov [fl], ax */
    put_field(k, RAX, FIELD(fl));
}

/* stmxcsr [from]; ldmxcsr [to] */
static void emit_mxcsr_swap(struct code *k, size_t from, size_t to)
{
    PUT(k, "\x0f\xae");
    put_field(k, 3, from);
    PUT(k, "\x0f\xae");
    put_field(k, 2, to);
}

static void emit_implicit_in(struct code *k, const struct shape *s)
{
    if (s->implicit & IMP_XMM0_IN) {
        load_field(k, RAX, FIELD(xmm0));
        move_vec(k, s, CLASS_XMM, 0, false);
    }
    if (!(s->implicit & (IMP_RAX_IN | IMP_RDX_IN)))
        return;
    load_field(k, RDX, FIELD(regs));
    if (s->implicit & IMP_RAX_IN)
        PUT(k, "\x48\x8b\x02"); /* mov rax, [rdx + 8 * RAX] */
    PUT(k, "\x48\x8b\x52\x10"); /* mov rdx, [rdx + 8 * RDX] */
}

static void emit_implicit_out(struct code *k, const struct shape *s)
{
    if (s->implicit & IMP_XMM0_OUT) {
        load_field(k, RAX, FIELD(xmm0));
        move_vec(k, s, CLASS_XMM, 0, true);
    }
    if (s->implicit & IMP_RCX_OUT) {
        load_field(k, RAX, FIELD(regs));
        PUT(k, "\x48\x89\x48\x08"); /* mov [rax + 8 * RCX], rcx */
    }
}

static u8 vex_pp(u8 prefix)
{
    return prefix == 0x66 ? 1 : prefix == 0xf3 ? 2 : prefix == 0xf2 ? 3 : 0;
}

static void emit_prefixes(struct code *k, const struct shape *s, const struct insn *in,
                          const struct insn_info *info)
{
    unsigned map = info->map & 3;
    if (s->vex) {
        unsigned v = s->use[SLOT_VEX].class == CLASS_XMM   ? host_vec[SLOT_VEX]
                     : s->use[SLOT_VEX].class == CLASS_GPR ? host_gpr[SLOT_VEX]
                                                           : 0;
        put(k, 0xc4);
        put(k, (u8)(0xe0 | map));
        put(k, (u8)(s->w << 7 | (~v & 15) << 3 | s->ymm << 2 | vex_pp(info->prefix)));
        return;
    }
    if (s->o16 && info->prefix != 0x66)
        put(k, 0x66);
    if (info->prefix)
        put(k, info->prefix);
    if (s->w)
        put(k, 0x48);
    if (map)
        put(k, 0x0f);
    if (map >= 2)
        put(k, map == 2 ? 0x38 : 0x3a);
}

static void emit_insn(struct code *k, const struct shape *s, const struct insn *in,
                      const struct insn_info *info)
{
    static const u8 reg_of[] = {[CLASS_XMM] = 1, [CLASS_MMX] = 1, [CLASS_GPR] = RSI};
    unsigned reg = s->use[SLOT_REG].class ? reg_of[s->use[SLOT_REG].class] : in->modrm >> 3 & 7;
    emit_prefixes(k, s, in, info);
    put(k, in->opcode);
    if (s->mem)
        put(k, (u8)(reg << 3 | RDI));
    else
        put(k, (u8)(0xc0 | reg << 3 | 3)); /* XMM3, MM3 and RBX are all number 3 */
    if (s->use[SLOT_IS4].class)
        put(k, (u8)(host_vec[SLOT_IS4] << 4 | (in->imm & 15)));
    else if (s->imm)
        put(k, (u8)in->imm);
}

static void use_slot(struct shape *s, unsigned slot, u8 class, u8 access)
{
    s->use[slot].class = class;
    s->use[slot].access |= access;
}

static void use_operand(struct shape *s, const struct insn *in, const struct operand_info *o)
{
    switch (o->kind) {
    case OP_V:
        use_slot(s, SLOT_REG, CLASS_XMM, o->access);
        break;
    case OP_H:
        use_slot(s, SLOT_VEX, CLASS_XMM, o->access);
        break;
    case OP_L:
        use_slot(s, SLOT_IS4, CLASS_XMM, o->access);
        break;
    case OP_P:
        use_slot(s, SLOT_REG, CLASS_MMX, o->access);
        break;
    case OP_G:
        use_slot(s, SLOT_REG, CLASS_GPR, o->access);
        break;
    case OP_B:
        use_slot(s, SLOT_VEX, CLASS_GPR, o->access);
        break;
    case OP_W:
    case OP_U:
        if (!s->mem)
            use_slot(s, SLOT_RM, CLASS_XMM, o->access);
        break;
    case OP_Q:
    case OP_N:
        if (!s->mem)
            use_slot(s, SLOT_RM, CLASS_MMX, o->access);
        break;
    case OP_E:
    case OP_R:
        if (!s->mem)
            use_slot(s, SLOT_RM, CLASS_GPR, o->access);
        break;
    case OP_I:
        s->imm = true;
        break;
    default:
        break;
    }
    if ((o->kind == OP_G || o->kind == OP_E) && (o->size == SZ_V || o->size == SZ_Y) && in->size == 2)
        s->o16 = true;
}

/* Operands that no field of the instruction names. */
static u8 implicit_operands(const struct insn_info *info)
{
    unsigned map = info->map & 3;
    bool vex = info->map & 4;
    u8 op = info->opcode;
    if (map == 2 && !vex &&
        ((info->prefix == 0x66 && (op == 0x10 || op == 0x14 || op == 0x15)) || (!info->prefix && op == 0xcb)))
        return IMP_XMM0_IN; /* BLENDVPS and kin, SHA256RNDS2 */
    if (map == 3 && info->prefix == 0x66 && op >= 0x60 && op <= 0x63)
        return (op < 0x62 ? IMP_RAX_IN | IMP_RDX_IN : 0) |
               (op & 1 ? IMP_RCX_OUT : IMP_XMM0_OUT); /* PCMPxSTRx */
    if (map == 2 && vex && op == 0xf6 && info->prefix == 0xf2)
        return IMP_RDX_IN; /* MULX */
    return 0;
}

static bool uses_class(const struct shape *s, u8 class)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (s->use[i].class == class)
            return true;
    return false;
}

static struct shape shape_of(const struct insn *in, const struct insn_info *info, bool mode64)
{
    struct shape s = {.vex = info->map & 4, .mem = in->flags & INSN_MEM};
    for (unsigned i = 0; i < 4; i++)
        use_operand(&s, in, &info->op[i]);
    /* Outside 64-bit mode W does not make a general register wider; the host is always in it. */
    s.w = (in->flags & INSN_W) && (mode64 || !uses_class(&s, CLASS_GPR));
    s.ymm = in->flags & INSN_VEX_L;
    s.flags = info->flags_read | info->flags_written | info->flags_undefined;
    s.implicit = implicit_operands(info);
    return s;
}

/* x87: the whole register file goes in and comes out, so register numbers stay the guest's. */
static unsigned emit_x87(const struct insn *in, const struct insn_info *info, bool flags, u8 *buf)
{
    struct code k = {buf, 0};
    load_field(&k, RSI, FIELD(x87));
    PUT(&k, "\x0f\xae"); /* stmxcsr [host_mxcsr] */
    put_field(&k, 3, FIELD(host_mxcsr));
    PUT(&k, "\x48\x0f\xae\x0e"); /* fxrstor64 [rsi] */
    if (flags)
        emit_flags_in(&k);
    put(&k, in->opcode);
    put(&k, in->flags & INSN_MEM ? (u8)((in->modrm & 0x38) | RDI) : in->modrm);
    if (flags)
        emit_flags_out(&k);
    PUT(&k, "\x48\x0f\xae\x06\xdb\xe3\x0f\xae"); /* fxsave64 [rsi]; fninit; ldmxcsr [host_mxcsr] */
    put_field(&k, 2, FIELD(host_mxcsr));
    put(&k, 0xc3);
    return k.n;
}

static void note_plan(const struct shape *s, struct host_plan *p)
{
    p->flags = s->flags;
    for (unsigned i = 0; i < SLOTS; i++)
        if (s->use[i].class == CLASS_MMX) {
            p->mm_used |= (u8)BIT(i);
            if (s->use[i].access & ACC_WRITE)
                p->mm_written |= (u8)BIT(i);
        }
}

static bool slot_loaded(const struct shape *s, unsigned i)
{
    /* Legacy forms merge into their destination; a GPR's upper part may be kept. */
    return s->use[i].class && (!s->vex || s->use[i].class == CLASS_GPR || (s->use[i].access & ACC_READ));
}

static void emit_slots(struct code *k, const struct shape *s, bool store, bool gpr)
{
    /* Stores run from vvvv down to reg: MULX with equal destinations keeps the high half. */
    for (unsigned n = SLOTS; n--;)
        if ((s->use[n].class == CLASS_GPR) == gpr &&
            (store ? s->use[n].class && (s->use[n].access & ACC_WRITE) : slot_loaded(s, n)))
            move_slot(k, s, n, store);
}

unsigned host_emit(const struct insn *in, const struct insn_info *info, bool mode64, struct host_plan *p,
                   u8 buf[HOST_THUNK_MAX])
{
    struct shape s = shape_of(in, info, mode64);
    note_plan(&s, p);
    if (info->attr & ATTR_X87)
        return emit_x87(in, info, s.flags, buf);
    struct code k = {buf, 0};
    bool rbx = s.use[SLOT_RM].class == CLASS_GPR, mxcsr = info->attr & ATTR_FPEXC;
    if (rbx)
        put(&k, 0x53);
    if (s.flags)
        emit_flags_in(&k);
    emit_slots(&k, &s, false, true);
    emit_slots(&k, &s, false, false);
    emit_implicit_in(&k, &s);
    if (mxcsr)
        emit_mxcsr_swap(&k, FIELD(host_mxcsr), FIELD(mxcsr));
    emit_insn(&k, &s, in, info);
    if (s.flags)
        emit_flags_out(&k);
    if (mxcsr)
        emit_mxcsr_swap(&k, FIELD(mxcsr), FIELD(host_mxcsr));
    emit_slots(&k, &s, true, true);
    emit_slots(&k, &s, true, false);
    emit_implicit_out(&k, &s);
    if (uses_class(&s, CLASS_MMX))
        PUT(&k, "\x0f\x77"); /* emms */
    if (s.vex && (info->attr & ATTR_AVX))
        PUT(&k, "\xc5\xf8\x77"); /* vzeroupper */
    if (rbx)
        put(&k, 0x5b);
    put(&k, 0xc3);
    return k.n;
}
