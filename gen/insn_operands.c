/* SPDX-License-Identifier: MIT */
/* The column of operands, and what their kinds tell about the row. */
#include "insn_rows.h"

static const struct word kinds[] = {
    {"E", OP_E}, {"G", OP_G}, {"M", OP_M},   {"R", OP_R},       {"Z", OP_Z}, {"I", OP_I}, {"J", OP_J},
    {"A", OP_A}, {"O", OP_O}, {"S", OP_S},   {"C", OP_C},       {"D", OP_D}, {"V", OP_V}, {"W", OP_W},
    {"H", OP_H}, {"U", OP_U}, {"L", OP_L},   {"P", OP_P},       {"Q", OP_Q}, {"N", OP_N}, {"B", OP_B},
    {"X", OP_X}, {"Y", OP_Y}, {"1", OP_ONE}, {"VSIB", OP_VSIB},
};

static const struct word registers[] = {
    {"RAX", RAX}, {"EAX", RAX}, {"ECX", RCX}, {"CL", RCX}, {"EDX", RDX},
    {"DX", RDX},  {"RDX", RDX}, {"RDI", RDI}, {"XMM0", 0},
};

static const struct word sizes[] = {
    {"none", SZ_NONE},
    {"b", SZ_B},
    {"w", SZ_W},
    {"d", SZ_D},
    {"q", SZ_Q},
    {"v", SZ_V},
    {"z", SZ_Z},
    {"y", SZ_Y},
    {"dq", SZ_DQ},
    {"qq", SZ_QQ},
    {"x", SZ_X},
    {"ss", SZ_SS},
    {"sd", SZ_SD},
    {"p", SZ_P},
    {"t", SZ_T},
    {"half", SZ_HALF},
    {"quarter", SZ_QUARTER},
    {"eighth", SZ_EIGHTH},
    {"state", SZ_STATE},
    {"s", SZ_S},
    {"a", SZ_A},
};

static u8 parse_access(struct row *r, const char *s)
{
    u8 access = 0;
    for (const char *p = s; *p; p++) {
        if (*p == 'r')
            access |= ACC_READ;
        else if (*p == 'w')
            access |= ACC_WRITE;
        else if (*p != '-')
            bad(r, "unknown access", s);
    }
    return access;
}

static void parse_kind(struct row *r, struct operand_info *op, const char *kind)
{
    const struct word *k = FIND(kinds, kind), *reg = FIND(registers, kind);
    if (k) {
        op->kind = (u8)k->value;
    } else if (!strncmp(kind, "ST", 2) && (!kind[2] || (kind[2] >= '0' && kind[2] <= '7'))) {
        op->kind = OP_ST; /* ST: ST(rm); STn: that one */
        op->arg = kind[2] ? (u8)(kind[2] - '0') : 0xff;
    } else if (reg) {
        op->kind = OP_REG;
        op->arg = (u8)reg->value;
    } else {
        bad(r, "unknown operand", kind);
    }
}

static void parse_operand(struct row *r, struct operand_info *op, const char *text)
{
    char part[3][16] = {"", "", ""};
    for (unsigned i = 0; i < 3 && next_word(&text, ":", part[i], sizeof(part[i])); i++)
        ;
    parse_kind(r, op, part[0]);
    if (op->kind == OP_ONE)
        return;
    const struct word *size = FIND(sizes, part[1]);
    if (!size || !part[2][0])
        bad(r, "incomplete operand", part[0]);
    op->size = (u8)size->value;
    op->access = parse_access(r, part[2]);
}

/* What operands of this kind tell about the row. */
static const struct {
    u8 kind;
    u8 mod;   /* ModRM forms: 1 memory, 2 register; 0: says nothing */
    u8 size;  /* enum size_class it makes, or 0 */
    bool mem; /* can be memory */
    u16 bits;
    u32 attr;
} kind_facts[] = {
    {OP_E, 0, 0, true, 0, 0},
    {OP_M, 1, 0, true, 0, 0},
    {OP_R, 2, 0, false, 0, 0},
    {OP_O, 0, 0, true, 0, 0},
    {OP_X, 0, 0, true, 0, 0},
    {OP_Y, 0, 0, true, 0, 0},
    {OP_S, 0, 0, false, ROW_REG7, 0},
    {OP_C, 0, 0, false, ROW_CR, 0},
    {OP_D, 0, 0, false, ROW_DR, 0},
    {OP_B, 0, 0, false, ROW_VVVV, 0},
    {OP_H, 0, SIZE_VECTOR, false, ROW_VVVV, ATTR_SSE},
    {OP_V, 0, SIZE_VECTOR, false, 0, ATTR_SSE},
    {OP_W, 0, SIZE_VECTOR, true, 0, ATTR_SSE},
    {OP_U, 2, SIZE_VECTOR, false, 0, ATTR_SSE},
    {OP_L, 0, SIZE_VECTOR, false, 0, ATTR_SSE},
    {OP_VSIB, 1, SIZE_VECTOR, true, ROW_VSIB, ATTR_SSE},
    {OP_P, 0, SIZE_MMX, false, ROW_REG7, ATTR_MMX},
    {OP_Q, 0, SIZE_MMX, true, ROW_RM7, ATTR_MMX},
    {OP_N, 2, SIZE_MMX, false, ROW_RM7, ATTR_MMX},
    {OP_ST, 0, 0, false, ROW_RM7, ATTR_X87},
};

static void memory_facts(struct row *r, const struct operand_info *op)
{
    if (op->access & ACC_READ)
        r->info.attr |= ATTR_LOAD;
    if (op->access & ACC_WRITE)
        r->info.attr |= ATTR_STORE;
    if (op->kind == OP_X || op->kind == OP_Y) {
        if (!r->dec.implied || op->kind == OP_X)
            r->dec.implied = op->kind == OP_X ? IMPLIED_X : IMPLIED_Y;
    } else if (op->access) {
        r->dec.mem = op->size;
    }
}

static void apply_kind(struct row *r, const struct operand_info *op)
{
    for (size_t i = 0; i < ARRAY_SIZE(kind_facts); i++) {
        if (kind_facts[i].kind != op->kind)
            continue;
        u32 attr = kind_facts[i].attr;
        r->info.attr |= attr == ATTR_SSE && r->vex ? ATTR_AVX : attr;
        r->dec.bits |= kind_facts[i].bits;
        if (kind_facts[i].mod)
            restrict_to(r, FACT_MOD, 2, r->dec.bits & ROW_MODX ? 3 : kind_facts[i].mod);
        if (kind_facts[i].size > r->dec.size)
            r->dec.size = kind_facts[i].size;
        if (kind_facts[i].mem)
            memory_facts(r, op);
    }
    if (op->size == SZ_Y)
        r->dec.bits |= ROW_Y;
    if (op->size == SZ_B && op->kind == OP_G)
        r->dec.bits |= ROW_G8;
    if (op->size == SZ_B && (op->kind == OP_E || op->kind == OP_Z))
        r->dec.bits |= ROW_E8;
    if (op->kind == OP_S && !r->modrm)
        r->dec.bits |= ROW_SEG;
    if (op->kind == OP_S && r->modrm) /* six segment registers; CS is not loaded by MOV */
        restrict_to(r, FACT_REG, 8, op->access & ACC_WRITE ? 0x3d : 0x3f);
}

void parse_operands(struct row *r)
{
    char text[40];
    const char *s = r->text->ops;
    for (unsigned i = 0; next_word(&s, ",", text, sizeof(text)); i++) {
        if (i >= OPS)
            bad(r, "too many operands", text);
        parse_operand(r, &r->info.op[i], text);
        apply_kind(r, &r->info.op[i]);
    }
}
