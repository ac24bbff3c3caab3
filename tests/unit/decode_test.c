/* SPDX-License-Identifier: MIT */
/*
 * The decoder against Zydis: prefixes x map x opcode x ModRM x SIB in all three modes. Compared are validity,
 * length, memory operand, registers, immediate, and what the list says of an operand's size and access. Where
 * the two may differ is in `deviations`, with the reason; everything else fails.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>
#include <Zydis/Zydis.h>

#include "insn_ids.h"
#include "x86/decode_table.h"
#include "x86/disasm.h"
#include "x86/insn.h"

enum { TAIL = 12, SHOWN = 500 };

struct decoding {
    enum decode_mode mode;
    u8 bytes[24];
    unsigned len;
    struct insn in;
    enum decode_result result;
    ZydisDecodedInstruction z;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    bool valid; /* by Zydis */
};

struct sweep {
    ZydisDecoder decoders[3];
    unsigned long count, ours, both, failed;
    char seen[SHOWN][64];
};

/* Instruction sets we do not offer: Zydis decodes them, here they are #UD. */
static const ZydisISAExt absent[] = {
    ZYDIS_ISA_EXT_AMD3DNOW,  ZYDIS_ISA_EXT_AMD_INVLPGB, ZYDIS_ISA_EXT_AMX_BF16,
    ZYDIS_ISA_EXT_AMX_INT8,  ZYDIS_ISA_EXT_AMX_TILE,    ZYDIS_ISA_EXT_AVX512EVEX,
    ZYDIS_ISA_EXT_AVX512VEX, ZYDIS_ISA_EXT_AVX_VNNI,    ZYDIS_ISA_EXT_CET,
    ZYDIS_ISA_EXT_ENQCMD,    ZYDIS_ISA_EXT_FMA4,        ZYDIS_ISA_EXT_GFNI,
    ZYDIS_ISA_EXT_HRESET,    ZYDIS_ISA_EXT_KEYLOCKER,   ZYDIS_ISA_EXT_KEYLOCKER_WIDE,
    ZYDIS_ISA_EXT_KNC,       ZYDIS_ISA_EXT_KNCE,        ZYDIS_ISA_EXT_KNCV,
    ZYDIS_ISA_EXT_MCOMMIT,   ZYDIS_ISA_EXT_MONITORX,    ZYDIS_ISA_EXT_MOVDIR,
    ZYDIS_ISA_EXT_PADLOCK,   ZYDIS_ISA_EXT_PCONFIG,     ZYDIS_ISA_EXT_PKU,
    ZYDIS_ISA_EXT_PT,        ZYDIS_ISA_EXT_RDPRU,       ZYDIS_ISA_EXT_RTM,
    ZYDIS_ISA_EXT_SERIALIZE, ZYDIS_ISA_EXT_SGX,         ZYDIS_ISA_EXT_SGX_ENCLV,
    ZYDIS_ISA_EXT_SMX,       ZYDIS_ISA_EXT_SNP,         ZYDIS_ISA_EXT_SSE4A,
    ZYDIS_ISA_EXT_TBM,       ZYDIS_ISA_EXT_TDX,         ZYDIS_ISA_EXT_TSX_LDTRK,
    ZYDIS_ISA_EXT_UINTR,     ZYDIS_ISA_EXT_WAITPKG,     ZYDIS_ISA_EXT_XOP,
};

/* Where the two may differ. NULL: any. */
static const struct {
    const char *what, *theirs, *ours, *why;
} deviations[] = {
    {"flags read", NULL, "jcc", "one row for sixteen conditions"},
    {"flags read", NULL, "setcc", "one row for sixteen conditions"},
    {"flags read", NULL, "cmovcc", "one row for sixteen conditions"},
    {"access", NULL, "nop", "operands are not touched"},
    {"access rm", NULL, "nop", "operands are not touched"},
    {"access", NULL, "prefetchw", "operands are not touched"},
    {"access rm", NULL, "prefetchw", "operands are not touched"},
    {"access", NULL, "ud0", "operands are not touched"},
    {"access rm", NULL, "ud0", "operands are not touched"},
    {"access", NULL, "ud1", "operands are not touched"},
    {"access rm", NULL, "ud1", "operands are not touched"},
    {"operand", NULL, "prefetchw", "one row for memory and register form"},
    {"access rm", NULL, "invlpg", "only the address counts"},
    {"access", NULL, "bsf", "a zero source keeps the destination"},
    {"access", NULL, "bsr", "a zero source keeps the destination"},
    {"access rm", NULL, "ffree", "the register's tag is written"},
    {"access rm", NULL, "ffreep", "the register's tag is written"},
    {"flags read", NULL, "syscall", "R11 takes them"},
    {"flags touched", NULL, "rsm", "#UD outside SMM"},
    {"flags touched", NULL, "vmcall", "DF is not part of VMfail; VM entry is no flag result"},
    {"flags touched", NULL, "vmlaunch", "DF is not part of VMfail; VM entry is no flag result"},
    {"flags touched", NULL, "vmresume", "DF is not part of VMfail; VM entry is no flag result"},
    {"flags touched", NULL, "vmxoff", "DF is not part of VMfail; VM entry is no flag result"},
    {"flags read", NULL, "cmps", "ZF is read after the comparison only"},
    {"flags read", NULL, "scas", "ZF is read after the comparison only"},
    {"validity", "(none)", "mov", "LOCK MOV CR0 is CR8 on AMD, gated by cr8_legacy"},
    {"flags touched", NULL, "vptest", "SDM: the other four are cleared"},
    {"flags touched", NULL, "vtestps", "SDM: the other four are cleared"},
    {"flags touched", NULL, "vtestpd", "SDM: the other four are cleared"},
    {"mem_size", NULL, "movsxd", "SDM: r/m16 at operand size 16"},
    {"mem_size", NULL, "clflush", "faults as a byte read"},
    {"mem_size", NULL, "clflushopt", "faults as a byte read"},
    {"mem_size", NULL, "clwb", "faults as a byte read"},
};

/* Rows whose size is fixed or unused; Zydis gives the mode's operand size. */
static const char *const size_differs[] = {
    "aad",       "aam",   "andn", "arpl",   "bextr",    "blsi",     "blsmsk",   "blsr",     "bzhi",
    "cmpxchg8b", "crc32", "ins",  "invlpg", "lahf",     "lldt",     "lmsw",     "ltr",      "mov",
    "movnti",    "mulx",  "nop",  "outs",   "pdep",     "pext",     "rdfsbase", "rdgsbase", "rdpid",
    "rorx",      "sahf",  "salc", "sarx",   "shlx",     "shrx",     "sldt",     "smsw",     "str",
    "syscall",   "verr",  "verw", "vmxon",  "wrfsbase", "wrgsbase", "xlat",
};

static bool matches(const char *pattern, const char *s)
{
    return !pattern || !strcmp(pattern, s);
}

static bool expected(const struct decoding *d, const char *what, const char *theirs, const char *ours)
{
    for (unsigned i = 0; i < ARRAY_SIZE(absent); i++)
        if (d->valid && !d->in.id && d->z.meta.isa_ext == absent[i])
            return true;
    for (unsigned i = 0; i < ARRAY_SIZE(deviations); i++)
        if (!strcmp(deviations[i].what, what) && matches(deviations[i].theirs, theirs) &&
            matches(deviations[i].ours, ours))
            return true;
    for (unsigned i = 0; i < ARRAY_SIZE(size_differs); i++)
        if (!strcmp(what, "size") && !strcmp(ours, size_differs[i]))
            return true;
    return false;
}

static void setup_decoders(struct sweep *s)
{
    static const ZydisMachineMode modes[] = {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32,
                                             ZYDIS_MACHINE_MODE_LONG_64};
    static const ZydisStackWidth widths[] = {ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32,
                                             ZYDIS_STACK_WIDTH_64};
    static const ZydisDecoderMode off[] = {ZYDIS_DECODER_MODE_MPX,      ZYDIS_DECODER_MODE_CET,
                                           ZYDIS_DECODER_MODE_CLDEMOTE, ZYDIS_DECODER_MODE_WBNOINVD,
                                           ZYDIS_DECODER_MODE_KNC,      ZYDIS_DECODER_MODE_AMD_BRANCHES};
    for (unsigned m = 0; m < 3; m++) {
        assert_true(ZYAN_SUCCESS(ZydisDecoderInit(&s->decoders[m], modes[m], widths[m])));
        for (unsigned i = 0; i < ARRAY_SIZE(off); i++)
            ZydisDecoderEnableMode(&s->decoders[m], off[i], ZYAN_FALSE);
    }
}

static void complain(struct sweep *s, const struct decoding *d, const char *what, u64 ours, u64 theirs)
{
    char key[64];
    const char *theirs_name = d->valid ? ZydisMnemonicGetString(d->z.mnemonic) : "(none)";
    const char *ours_name = d->in.id ? insn_infos[d->in.id].mnemonic : "(none)";
    if (expected(d, what, theirs_name, ours_name))
        return;
    snprintf(key, sizeof(key), "%s: %s/%s", what, theirs_name, ours_name);
    s->failed++;
    for (unsigned i = 0; i < SHOWN; i++) {
        if (!strcmp(s->seen[i], key))
            return;
        if (!s->seen[i][0]) {
            memcpy(s->seen[i], key, sizeof(key));
            break;
        }
        if (i == SHOWN - 1)
            return;
    }
    fprintf(stderr, "mode %d:", 16 << d->mode);
    for (unsigned i = 0; i < d->len; i++)
        fprintf(stderr, " %02x", d->bytes[i]);
    fprintf(stderr, ": %s: ours %llx, Zydis' %llx (ext %s set %s id %u)\n", key, (unsigned long long)ours,
            (unsigned long long)theirs, d->valid ? ZydisISAExtGetString(d->z.meta.isa_ext) : "",
            d->valid ? ZydisISASetGetString(d->z.meta.isa_set) : "", d->in.id);
}

/* Registers: both as a byte offset into the file, so that AH..BH compare too. */
static unsigned register_place(ZydisRegister r)
{
    if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH)
        return 8 * (r - ZYDIS_REGISTER_AH) + 1;
    if (r >= ZYDIS_REGISTER_SPL && r <= ZYDIS_REGISTER_DIL)
        return 8 * (RSP + r - ZYDIS_REGISTER_SPL);
    if (r >= ZYDIS_REGISTER_R8B && r <= ZYDIS_REGISTER_R15B)
        return 8 * (R8 + r - ZYDIS_REGISTER_R8B);
    return 8 * (unsigned)ZydisRegisterGetId(r);
}

static u8 address_register(ZydisRegister r)
{
    if (r == ZYDIS_REGISTER_NONE)
        return REG_ZERO;
    if (r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP)
        return REG_RIP;
    return (u8)ZydisRegisterGetId(r);
}

static bool in_set(const char *set, u8 kind)
{
    return strchr(set, kind) != NULL;
}

/* Our row's operand for a place in the encoding. */
static const struct operand_info *our_operand(const struct insn_info *info, ZydisOperandEncoding e)
{
    static const char reg[] = {OP_G, OP_V, OP_P, OP_S, OP_C, OP_D, 0}, vvvv[] = {OP_H, OP_B, 0};
    static const char rm[] = {OP_E, OP_M, OP_R, OP_W, OP_U, OP_Q, OP_N, OP_ST, OP_VSIB, 0},
                      opcode[] = {OP_Z, 0};
    const char *set = e == ZYDIS_OPERAND_ENCODING_MODRM_REG  ? reg
                      : e == ZYDIS_OPERAND_ENCODING_MODRM_RM ? rm
                      : e == ZYDIS_OPERAND_ENCODING_NDSNDD   ? vvvv
                      : e == ZYDIS_OPERAND_ENCODING_OPCODE   ? opcode
                                                             : NULL;
    for (unsigned i = 0; set && i < ARRAY_SIZE(info->op); i++)
        if (info->op[i].kind && in_set(set, info->op[i].kind) &&
            !(info->op[i].kind == OP_ST && info->op[i].arg != 0xff))
            return &info->op[i];
    return NULL;
}

static void compare(struct sweep *s, const struct decoding *d, const char *what, u64 ours, u64 theirs)
{
    if (ours != theirs)
        complain(s, d, what, ours, theirs);
}

static void compare_memory(struct sweep *s, const struct decoding *d, const ZydisDecodedOperand *o)
{
    const struct insn *in = &d->in;
    if (!(in->flags & INSN_MEM)) {
        complain(s, d, "memory", 0, 1);
        return;
    }
    /* SDM 2A table 2-5: SIB base 5 with mod 0 is no base, whatever REX.B; Zydis 4.0.0 takes R13 then. */
    if (d->mode == MODE_64 && in->base == REG_ZERO && o->mem.base &&
        (o->mem.base == ZYDIS_REGISTER_R13 || o->mem.base == ZYDIS_REGISTER_R13D))
        return;
    compare(s, d, "base", in->base, address_register(o->mem.base));
    compare(s, d, "index", in->index, address_register(o->mem.index));
    if (o->mem.index)
        compare(s, d, "scale", 1u << in->scale, o->mem.scale);
    compare(s, d, "disp", (u64)in->disp, (u64)o->mem.disp.value);
    if (o->mem.type != ZYDIS_MEMOP_TYPE_AGEN && o->mem.segment)
        compare(s, d, "seg", in->seg, (u64)ZydisRegisterGetId(o->mem.segment));
    if (o->mem.type == ZYDIS_MEMOP_TYPE_MEM && (in->mem_size || insn_infos[in->id].attr & ATTR_HOST))
        compare(s, d, "mem_size", in->mem_size, o->size / 8);
}

static void compare_access(struct sweep *s, const struct decoding *d, const ZydisDecodedOperand *o)
{
    const struct operand_info *op = our_operand(&insn_infos[d->in.id], o->encoding);
    if (!op) {
        complain(s, d, "operand", 0, o->encoding);
        return;
    }
    u8 theirs = (o->actions & ZYDIS_OPERAND_ACTION_MASK_READ ? ACC_READ : 0) |
                (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE ? ACC_WRITE : 0);
    if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.type != ZYDIS_MEMOP_TYPE_MEM)
        return;
    if (op->size == SZ_DQ && o->size < 128 && theirs == ACC_WRITE)
        theirs |= op->access & ACC_READ; /* the rest of the register stays */
    if (o->actions & ZYDIS_OPERAND_ACTION_CONDWRITE)
        theirs |= op->access & ACC_READ; /* not written: keeps what it had */
    compare(s, d, o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM ? "access rm" : "access", op->access,
            theirs);
}

static void compare_register(struct sweep *s, const struct decoding *d, const ZydisDecodedOperand *o)
{
    const struct insn *in = &d->in;
    unsigned place = register_place(o->reg.value);
    switch (o->encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        compare(s, d, "reg", in->reg_off, place);
        break;
    case ZYDIS_OPERAND_ENCODING_MODRM_RM:
    case ZYDIS_OPERAND_ENCODING_OPCODE:
        compare(s, d, "rm", in->rm_off, place);
        break;
    case ZYDIS_OPERAND_ENCODING_NDSNDD:
        compare(s, d, "vreg", 8u * in->vreg, place);
        break;
    case ZYDIS_OPERAND_ENCODING_IS4:
        compare(s, d, "is4", 8 * (in->imm >> 4 & (d->mode == MODE_64 ? 15 : 7)), place);
        return;
    default:
        return;
    }
    compare_access(s, d, o);
}

static void compare_operands(struct sweep *s, const struct decoding *d)
{
    for (unsigned i = 0; i < d->z.operand_count; i++) {
        const ZydisDecodedOperand *o = &d->ops[i];
        if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            compare_register(s, d, o);
        } else if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM) {
            compare_memory(s, d, o);
            compare_access(s, d, o);
        }
    }
}

static void compare_immediate(struct sweep *s, const struct decoding *d)
{
    const struct ZydisDecodedInstructionRawImm_ *a = &d->z.raw.imm[0], *b = &d->z.raw.imm[1];
    if (!a->size)
        return;
    if (a->is_signed || a->is_relative)
        compare(s, d, "imm", d->in.imm, (u64)a->value.s);
    else
        compare(s, d, "imm", d->in.imm & size_mask(a->size / 8), a->value.u);
    if (b->size)
        compare(s, d, "imm2", d->in.imm2, b->value.u);
}

static void compare_sizes(struct sweep *s, const struct decoding *d)
{
    enum { OTHER = ATTR_X87 | ATTR_MMX | ATTR_SSE | ATTR_AVX };
    const struct insn_info *info = &insn_infos[d->in.id];
    compare(s, d, "adsize", 8u * d->in.adsize, d->z.address_width);
    if (!(info->attr & OTHER))
        compare(s, d, "size", 8u * d->in.size, d->z.operand_width);
}

static void compare_flags(struct sweep *s, const struct decoding *d)
{
    enum { ALL = 0xcd5 };
    const struct insn_info *info = &insn_infos[d->in.id];
    const ZydisAccessedFlags *f = d->z.cpu_flags;
    u32 written = f->modified | f->set_0 | f->set_1;
    compare(s, d, "flags read", info->flags_read & ALL, f->tested & ALL);
    compare(s, d, "flags touched", (info->flags_written | info->flags_undefined) & ALL,
            (written | f->undefined) & ALL);
}

static void check(struct sweep *s, struct decoding *d)
{
    s->count++;
    d->result = insn_decode(d->mode, d->bytes, d->len, &d->in);
    d->valid = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&s->decoders[d->mode], d->bytes, d->len, &d->z, d->ops));
    bool ours = d->result == DECODE_OK;
    s->ours += ours;
    if (ours != d->valid) {
        complain(s, d, "validity", ours, d->valid);
        return;
    }
    if (!ours)
        return;
    s->both++;
    compare(s, d, "length", d->in.len, d->z.length);
    compare_operands(s, d);
    compare_immediate(s, d);
    compare_sizes(s, d);
    compare_flags(s, d);
}

/* The bytes behind the opcode: ModRM, SIB, then values with the sign bit set in every size. */
static void sweep_modrm(struct sweep *s, struct decoding *d, unsigned at, bool dense)
{
    static const u8 tail[TAIL] = {0x91, 0x82, 0xf3, 0xe4, 0x85, 0x96, 0xa7, 0xb8, 0xc9, 0xda, 0xeb, 0xfc};
    static const u8 sibs[] = {0x24, 0x65, 0xd3};
    for (unsigned m = 0; m < 256; m++) {
        if (!dense && (m & 7) > 1 && (m & 7) != 4 + (m >> 7))
            continue;
        memcpy(d->bytes + at + 1, tail, TAIL);
        d->bytes[at] = (u8)m;
        d->len = at + 1 + TAIL < 15 ? at + 1 + TAIL : 15;
        bool sib = m < 0xc0 && (m & 7) == 4;
        for (unsigned i = 0; i < (sib ? ARRAY_SIZE(sibs) : 1); i++) {
            d->bytes[at + 1] = sib ? sibs[i] : tail[0];
            check(s, d);
        }
    }
}

static void sweep_opcodes(struct sweep *s, enum decode_mode mode, const u8 *lead, unsigned n, bool dense)
{
    struct decoding d = {.mode = mode};
    memcpy(d.bytes, lead, n);
    for (unsigned op = 0; op < 256; op++) {
        d.bytes[n] = (u8)op;
        sweep_modrm(s, &d, n + 1, dense);
    }
}

static void report(const char *name, struct sweep *s)
{
    printf("%s: %lu tried, %lu valid, %lu differences\n", name, s->count, s->ours, s->failed);
    assert_int_equal(s->failed, 0);
}

struct lead {
    u8 n;
    u8 bytes[4];
    bool dense;
    u8 modes; /* bit n: enum decode_mode n */
};

static void test_legacy_maps_match_zydis(void **state)
{
    static const struct lead prefixes[] = {
        {0, {0}, true, 7},           {1, {0x66}, true, 7},        {1, {0xf2}, true, 7},
        {1, {0xf3}, true, 7},        {1, {0x67}, true, 7},        {1, {0xf0}, false, 7},
        {1, {0x64}, false, 7},       {1, {0x2e}, false, 7},       {2, {0x66, 0xf2}, false, 7},
        {2, {0xf3, 0x66}, false, 7}, {2, {0xf2, 0xf3}, false, 7}, {2, {0xf3, 0xf2}, false, 7},
        {2, {0x65, 0x36}, false, 7}, {2, {0xf0, 0x66}, false, 7}, {2, {0x66, 0x67}, false, 7},
        {1, {0x48}, true, 4},        {1, {0x40}, false, 4},       {1, {0x45}, true, 4},
        {1, {0x4a}, false, 4},       {2, {0x66, 0x48}, false, 4}, {2, {0xf2, 0x4d}, false, 4},
        {2, {0xf3, 0x4f}, false, 4}, {2, {0xf0, 0x48}, false, 4}, {2, {0x48, 0x66}, false, 4},
        {2, {0x67, 0x47}, false, 4}, {2, {0x66, 0x41}, false, 4},
    };
    static const struct lead maps[] = {
        {0, {0}, 0, 0}, {1, {0x0f}, 0, 0}, {2, {0x0f, 0x38}, 0, 0}, {2, {0x0f, 0x3a}, 0, 0}};
    struct sweep s = {0};
    setup_decoders(&s);
    for (unsigned p = 0; p < ARRAY_SIZE(prefixes); p++)
        for (unsigned m = 0; m < ARRAY_SIZE(maps) * 3; m++) {
            const struct lead *map = &maps[m / 3];
            u8 lead[8];
            if (!(prefixes[p].modes >> m % 3 & 1))
                continue;
            memcpy(lead, prefixes[p].bytes, prefixes[p].n);
            memcpy(lead + prefixes[p].n, map->bytes, map->n);
            sweep_opcodes(&s, m % 3, lead, prefixes[p].n + map->n, prefixes[p].dense);
        }
    report("legacy", &s);
}

static void test_vex_matches_zydis(void **state)
{
    static const u8 vvvvs[] = {15, 12, 2}; /* inverted */
    struct sweep s = {0};
    setup_decoders(&s);
    for (unsigned i = 0; i < 3 * 3 * 16 * ARRAY_SIZE(vvvvs); i++) {
        unsigned mode = i % 3, map = i / 3 % 3 + 1, rest = i / 9;
        u8 last = (u8)((rest & 7) | (rest & 8 ? 0x80 : 0) | vvvvs[rest >> 4] << 3);
        u8 c4[3] = {0xc4, (u8)(0xe0 | map), last}, c5[2] = {0xc5, last | 0x80};
        sweep_opcodes(&s, mode, c4, 3, rest < 16);
        if (map == 1 && !(rest & 8))
            sweep_opcodes(&s, mode, c5, 2, false);
        c4[1] ^= 0xa0; /* R and B */
        if (rest < 16 && mode == MODE_64)
            sweep_opcodes(&s, mode, c4, 3, false);
    }
    report("VEX", &s);
}

static void test_prefix_before_vex_is_refused(void **state)
{
    static const u8 bad[] = {0x66, 0xf2, 0xf3, 0xf0, 0x48}, fine[] = {0x64, 0x67, 0x2e};
    u8 bytes[] = {0, 0xc5, 0xfc, 0x58, 0xc1};
    struct insn in;
    for (unsigned i = 0; i < sizeof(bad); i++) {
        bytes[0] = bad[i];
        assert_int_equal(insn_decode(MODE_64, bytes, sizeof(bytes), &in), DECODE_UD);
    }
    for (unsigned i = 0; i < sizeof(fine); i++) {
        bytes[0] = fine[i];
        assert_int_equal(insn_decode(MODE_64, bytes, sizeof(bytes), &in), DECODE_OK);
        assert_int_equal(in.id, ID_VADDPS);
    }
}

/* Every proper prefix of an instruction is short; fifteen prefixes are too long. */
static void test_length_limits(void **state)
{
    static const u8 mov[] = {0x66, 0x67, 0x48, 0xc7, 0x84, 0x8b, 1, 2, 3, 4, 5, 6, 7, 8};
    u8 prefixes[16];
    struct insn in;
    memset(prefixes, 0x66, sizeof(prefixes));
    for (unsigned n = 0; n < sizeof(mov); n++)
        assert_int_equal(insn_decode(MODE_64, mov, n, &in), DECODE_SHORT);
    assert_int_equal(insn_decode(MODE_64, mov, sizeof(mov), &in), DECODE_OK);
    assert_int_equal(in.len, sizeof(mov));
    assert_int_equal(insn_decode(MODE_64, prefixes, 14, &in), DECODE_SHORT);
    assert_int_equal(insn_decode(MODE_64, prefixes, 15, &in), DECODE_TOO_LONG);
    assert_int_equal(insn_decode(MODE_64, prefixes, 16, &in), DECODE_TOO_LONG);
    prefixes[14] = 0x90;
    assert_int_equal(insn_decode(MODE_64, prefixes, 16, &in), DECODE_OK);
    assert_int_equal(in.len, 15);
    prefixes[14] = 0x05; /* add ax, iw: bytes 15 and 16 do not count */
    assert_int_equal(insn_decode(MODE_64, prefixes, 16, &in), DECODE_TOO_LONG);
}

static void test_fields_beyond_zydis(void **state)
{
    struct insn in;
    assert_int_equal(insn_decode(MODE_32, (u8[]){0x07}, 1, &in), DECODE_OK);
    assert_int_equal(in.reg, ES);
    assert_int_equal(insn_decode(MODE_64, (u8[]){0x0f, 0xa9}, 2, &in), DECODE_OK);
    assert_int_equal(in.reg, GS);
    assert_int_equal(insn_decode(MODE_64, (u8[]){0xd1, 0xe0}, 2, &in), DECODE_OK);
    assert_int_equal(in.imm, 1);
    assert_int_equal(insn_decode(MODE_64, (u8[]){0x41, 0xb4, 0x80}, 3, &in), DECODE_OK);
    assert_int_equal(in.rm_off, 8 * R12);
    assert_int_equal(insn_decode(MODE_64, (u8[]){0xb4, 0x80}, 2, &in), DECODE_OK);
    assert_int_equal(in.rm_off, 1);
    assert_int_equal(insn_decode(MODE_64, (u8[]){0x64, 0xa5}, 2, &in),
                     DECODE_OK); /* movs: source overridden */
    assert_int_equal(in.seg, FS);
    assert_int_equal(in.base, RSI);
    assert_int_equal(insn_decode(MODE_64, (u8[]){0x64, 0xab}, 2, &in), DECODE_OK); /* stos: never */
    assert_int_equal(in.seg, ES);
    assert_int_equal(insn_decode(MODE_32, (u8[]){0xf0, 0x0f, 0x20, 0xc0}, 4, &in), DECODE_OK);
    assert_int_equal(in.id, ID_MOV_RyCy_lock);
    assert_int_equal(in.reg, 8);
    assert_int_equal(insn_decode(MODE_64, (u8[]){0xa1, 1, 2, 3, 4, 5, 6, 7, 8}, 9, &in), DECODE_OK);
    assert_int_equal(in.imm, 0x0807060504030201);
    assert_int_equal(insn_decode(MODE_32, (u8[]){0xc8, 0xff, 0xff, 3}, 4, &in), DECODE_OK);
    assert_int_equal(in.imm, 0xffff);
    assert_int_equal(in.imm2, 3);
    assert_int_equal(insn_decode(MODE_64, (u8[]){0xf3, 0x90}, 2, &in), DECODE_OK);
    assert_int_equal(in.id, ID_PAUSE);
    assert_int_equal(insn_decode(MODE_64, (u8[]){0x49, 0x90}, 2, &in), DECODE_OK);
    assert_int_equal(in.id, ID_XCHG_ZvrAX);
}

/* Row and index agree with the list. */
static void test_rows_are_reachable(void **state)
{
    assert_int_equal(insn_count, ID_COUNT);
    for (unsigned id = 1; id < ID_COUNT; id++) {
        const struct insn_info *info = &insn_infos[id];
        const struct decode_entry *e = &decode_index[info->map][info->opcode];
        bool found = false;
        for (unsigned i = 0; i < e->count; i++)
            found |= decode_rows[e->first + i].id == id;
        assert_true(found);
    }
}

static void test_disassembly_reads(void **state)
{
    char text[96];
    disasm(MODE_64, 0x1000, (u8[]){0x74, 0x0e}, 2, text, sizeof(text));
    assert_string_equal(text, "jz 0x0000000000001010");
    disasm(MODE_16, 0, (u8[]){0x89, 0x47, 0x10}, 3, text, sizeof(text));
    assert_string_equal(text, "mov [bx+0x10], ax");
    disasm(MODE_64, 0, (u8[]){0x06, 0xff}, 2, text, sizeof(text));
    assert_string_equal(text, "db 06 ff");
    disasm(MODE_64, 0, (u8[]){0x06, 0xff}, 2, text, 4);
    assert_string_equal(text, "db");
}

static void bench(void **state)
{
    static const u8 code[] = {
        0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x20, 0x48, 0x8b, 0x47, 0x08, 0x85, 0xc0, 0x74, 0x0a,
        0x0f, 0xb6, 0x04, 0x0a, 0xe8, 0x11, 0x22, 0x33, 0x00, 0xf3, 0x0f, 0x10, 0x45, 0xf8, 0xc5, 0xfc,
        0x58, 0x44, 0x24, 0x40, 0x41, 0x89, 0x84, 0x24, 0x00, 0x01, 0x00, 0x00, 0xc9, 0xc3,
    };
    enum { ROUNDS = 200000 };
    struct timespec t0, t1;
    struct insn in;
    unsigned n = 0;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    for (unsigned r = 0; r < ROUNDS; r++)
        for (unsigned at = 0; at < sizeof(code); at += in.len, n++)
            assert_int_equal(insn_decode(MODE_64, code + at, sizeof(code) - at, &in), DECODE_OK);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    double ns = (double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec);
    printf("insn_decode: %.1f ns an instruction\n", ns / n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy_maps_match_zydis),
        cmocka_unit_test(test_vex_matches_zydis),
        cmocka_unit_test(test_prefix_before_vex_is_refused),
        cmocka_unit_test(test_length_limits),
        cmocka_unit_test(test_fields_beyond_zydis),
        cmocka_unit_test(test_rows_are_reachable),
        cmocka_unit_test(test_disassembly_reads),
        cmocka_unit_test(bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
