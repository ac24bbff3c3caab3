/* SPDX-License-Identifier: MIT */
/*
 * Reads insn.def (as strings, through its own macro) and writes what follows from it:
 *   ids       enum insn_id: ID_<row>, counted from 1; ID_NONE is 0
 *   tables    insn_infos[], decode_rows[], decode_index[]
 *   meanings  MEANING(name), once per distinct name
 *   by-row    MEANING_OF(row, name), for each row
 * Runs at build time. A row it does not understand ends the build with the row's name: never guess.
 */
#include <stdio.h>
#include <stdlib.h>
#include <ctype.h>

#include "x86/decode_table.h"
#include "x86/flags.h"
#include "x86/insn.h"

struct text {
    const char *id, *enc, *ops, *flags, *gate, *attr, *meaning;
};

static const struct text texts[] = {
#define INSN(id, enc, ops, flags, gate, attr, meaning) {#id, enc, ops, flags, #gate, attr, #meaning},
#include "x86/insn.def"
#undef INSN
};

static const char *const gates[] = {
    "NONE",
#define FEATURE(name, text, leaf, subleaf, reg, bit, intel, amd, need) #name,
#include "x86/features.def"
#undef FEATURE
};

enum { ROWS = ARRAY_SIZE(texts), OPS = ARRAY_SIZE(((struct insn_info *)0)->op) };

struct row {
    const struct text *text;
    struct insn_info info;
    struct decode_row dec;
    unsigned span; /* opcodes it covers: 1, 8 or 16 */
    bool modrm, vex, mod_given, fixed_size;
};

static struct row rows[ROWS];

struct word {
    const char *name;
    u32 value;
};

static void bad(const struct row *r, const char *what, const char *where)
{
    fprintf(stderr, "insn.def: row %s: %s '%s'\n", r->text->id, what, where);
    exit(1);
}

static const struct word *find(const struct word *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i].name, name))
            return &list[i];
    return NULL;
}
#define FIND(list, name) find(list, ARRAY_SIZE(list), name)

/* The next word of *s, cut at one of `stop`; false at the end. */
static bool next_word(const char **s, const char *stop, char *word, size_t cap)
{
    *s += strspn(*s, " ");
    *s += strspn(*s, stop);
    *s += strspn(*s, " ");
    size_t n = strcspn(*s, stop);
    if (!n)
        return false;
    size_t keep = n < cap ? n : cap - 1;
    memcpy(word, *s, keep);
    word[keep] = 0;
    while (keep && word[keep - 1] == ' ')
        word[--keep] = 0;
    *s += n;
    return true;
}

/* Facts: a group starts with everything allowed; naming a member narrows it. */

static u64 group(unsigned first, unsigned width)
{
    return (BIT(width) - 1) << first;
}

static void restrict_to(struct row *r, unsigned first, unsigned width, unsigned mask)
{
    r->dec.allow &= ~group(first, width) | (u64)mask << first;
    if (!(r->dec.allow & group(first, width)))
        bad(r, "contradictory encoding", r->text->enc);
}

/* Encoding */

static const struct word prefixes[] = {{"NP", 1}, {"66", 2}, {"F3", 4}, {"F2", 8}};

static unsigned prefix_mask(struct row *r, const char *text)
{
    unsigned mask = 0;
    char word[8];
    while (next_word(&text, "|", word, sizeof(word))) {
        const struct word *w = FIND(prefixes, word);
        if (!w)
            bad(r, "unknown prefix", word);
        mask |= w->value;
    }
    return mask;
}

/* Named alone, 66, F3 or F2 is part of the opcode. */
static void set_prefix(struct row *r, unsigned mask)
{
    restrict_to(r, FACT_PREFIX, 4, mask);
    r->info.prefix = mask == 2 ? 0x66 : mask == 4 ? 0xf3 : mask == 8 ? 0xf2 : 0;
    if (mask == 2)
        r->dec.bits |= ROW_OWN66;
    else if (r->info.prefix)
        r->dec.bits |= ROW_OWNREP;
}

static void parse_vex(struct row *r, const char *s)
{
    static const struct word maps[] = {{"0F", 5}, {"0F38", 6}, {"0F3A", 7}};
    static const struct word lengths[] = {{"128", 1}, {"256", 2}, {"LIG", 3}};
    static const struct word widths[] = {{"W0", 1}, {"W1", 2}, {"WIG", 3}};
    char part[5][8];
    for (unsigned i = 0; i < 5; i++)
        if (!next_word(&s, ".", part[i], sizeof(part[i])))
            bad(r, "incomplete VEX", r->text->enc);
    const struct word *l = FIND(lengths, part[1]), *m = FIND(maps, part[3]), *w = FIND(widths, part[4]);
    if (!l || !m || !w)
        bad(r, "unknown VEX", r->text->enc);
    r->vex = true;
    restrict_to(r, FACT_L, 2, l->value);
    set_prefix(r, prefix_mask(r, part[2]));
    restrict_to(r, FACT_W, 2, w->value);
    r->info.map = (u8)m->value;
}

static const struct word immediates[] = {
    {"ib", IMM_IB}, {"ub", IMM_UB}, {"iw", IMM_IW}, {"iz", IMM_IZ},   {"iv", IMM_IV},       {"cb", IMM_CB},
    {"cz", IMM_CZ}, {"ap", IMM_AP}, {"1", IMM_ONE}, {"is4", IMM_IS4}, {"moffs", IMM_MOFFS},
};

static void parse_immediate(struct row *r, unsigned kind)
{
    if (r->dec.imm == IMM_IW && kind == IMM_UB)
        kind = IMM_ENTER;
    else if (r->dec.imm)
        bad(r, "two immediates", r->text->enc);
    r->dec.imm = (u8)kind;
}

static bool hex_byte(const char *s, unsigned *value)
{
    if (!isxdigit((unsigned char)s[0]) || !isxdigit((unsigned char)s[1]))
        return false;
    char *end;
    *value = (unsigned)strtoul(s, &end, 16);
    return end == s + 2;
}

/* A fixed ModRM byte; `span` 8: any rm. */
static void fixed_modrm(struct row *r, unsigned byte, unsigned span)
{
    r->modrm = r->mod_given = true;
    if (byte < 0xc0)
        bad(r, "fixed ModRM names memory", r->text->enc);
    restrict_to(r, FACT_MOD, 2, 2);
    restrict_to(r, FACT_REG, 8, 1u << (byte >> 3 & 7));
    if (span == 1)
        restrict_to(r, FACT_RM, 8, 1u << (byte & 7));
}

/* One word behind the opcode. */
static void parse_suffix(struct row *r, const char *word)
{
    const struct word *imm = FIND(immediates, word);
    unsigned byte;
    if (imm) {
        parse_immediate(r, imm->value);
    } else if (!strcmp(word, "/r")) {
        r->modrm = true;
    } else if (word[0] == '/' && word[1] >= '0' && word[1] <= '7' && !word[2]) {
        r->modrm = true;
        restrict_to(r, FACT_REG, 8, 1u << (word[1] - '0'));
    } else if (!strcmp(word, "mem") || !strcmp(word, "mod3")) {
        r->mod_given = true;
        restrict_to(r, FACT_MOD, 2, word[1] == 'e' ? 1 : 2);
    } else if (!strcmp(word, "modx")) {
        r->mod_given = true;
        r->dec.bits |= ROW_MODX;
    } else if (!strcmp(word, "W0") || !strcmp(word, "W1")) {
        restrict_to(r, FACT_W, 2, word[1] == '0' ? 1 : 2);
    } else if (hex_byte(word, &byte) && (!word[2] || !strcmp(word + 2, "+i"))) {
        fixed_modrm(r, byte, word[2] ? 8 : 1);
    } else {
        bad(r, "unknown word", word);
    }
}

static void parse_opcode(struct row *r, const char *word)
{
    unsigned byte;
    if (!hex_byte(word, &byte))
        bad(r, "no opcode", word);
    r->info.opcode = (u8)byte;
    r->span = !word[2] ? 1 : !strcmp(word + 2, "+r") ? 8 : !strcmp(word + 2, "+cc") ? 16 : 0;
    if (!r->span || byte & (r->span - 1))
        bad(r, "unknown opcode form", word);
    if (r->span == 8)
        r->dec.bits |= ROW_OPREG;
}

/* Prefixes and map. Returns with the opcode word in `word`. */
static void parse_head(struct row *r, const char **s, char *word, size_t cap)
{
    bool lock = false;
    while (next_word(s, " ", word, cap)) {
        if (!strncmp(word, "VEX.", 4)) {
            parse_vex(r, word);
        } else if (!strcmp(word, "LOCK")) {
            lock = true;
            restrict_to(r, FACT_LOCK, 2, 2);
            r->dec.bits |= ROW_CR8;
        } else if (!strcmp(word, "0F") && !r->vex && !r->info.map) {
            r->info.map = 1;
        } else if ((!strcmp(word, "38") || !strcmp(word, "3A")) && !r->vex && r->info.map == 1) {
            r->info.map = word[1] == '8' ? 2 : 3;
        } else if (!r->info.map && (FIND(prefixes, word) || strchr(word, '|'))) {
            set_prefix(r, prefix_mask(r, word));
        } else {
            break;
        }
    }
    if (!lock && !strstr(r->text->attr, "lockable"))
        restrict_to(r, FACT_LOCK, 2, 1);
}

static void parse_encoding(struct row *r)
{
    char word[40] = "";
    const char *s = r->text->enc;
    r->dec.allow = BIT(FACT_END) - 1;
    parse_head(r, &s, word, sizeof(word));
    parse_opcode(r, word);
    while (next_word(&s, " ", word, sizeof(word)))
        parse_suffix(r, word);
}

/* Operands */

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

static void parse_operands(struct row *r)
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

/* Attributes and flags */

static const struct word attributes[] = {
    {"branch", ATTR_BRANCH}, {"end", ATTR_END},           {"fault", ATTR_FAULT},
    {"exit", ATTR_EXIT},     {"lockable", ATTR_LOCKABLE}, {"priv", ATTR_PRIV},
    {"store", ATTR_STORE},   {"load", ATTR_LOAD},         {"x87", ATTR_X87},
    {"mmx", ATTR_MMX},       {"sse", ATTR_SSE},           {"avx", ATTR_AVX},
    {"align", ATTR_ALIGN},   {"fpexc", ATTR_FPEXC},       {"string", ATTR_STRING},
    {"host", ATTR_HOST}, /* given when the meaning is another, faster way of executing it */
};

static const struct word size_words[] = {
    {"byte", SIZE_BYTE},   {"word", SIZE_WORD}, {"y", SIZE_Y},     {"native", SIZE_NATIVE},
    {"max32", SIZE_MAX32}, {"d64", SIZE_D64},   {"f64", SIZE_F64},
};

static const struct word implied_words[] = {
    {"at_rax", IMPLIED_RAX},
    {"at_rbx", IMPLIED_RBX},
    {"at_rdi", IMPLIED_RDI},
};

static void parse_attribute(struct row *r, const char *word)
{
    const struct word *attr = FIND(attributes, word), *size = FIND(size_words, word);
    const struct word *implied = FIND(implied_words, word);
    if (attr)
        r->info.attr |= attr->value;
    else if (size)
        r->dec.size = (u8)size->value;
    else if (implied)
        r->dec.implied = (u8)implied->value;
    else if (!strcmp(word, "i64") || !strcmp(word, "o64"))
        restrict_to(r, FACT_MODE, 3, word[0] == 'i' ? 3 : 4);
    else if (!strcmp(word, "B0"))
        restrict_to(r, FACT_B, 2, 1);
    else
        bad(r, "unknown attribute", word);
}

static void parse_attributes(struct row *r)
{
    char word[24];
    const char *s = r->text->attr;
    while (next_word(&s, " ", word, sizeof(word)))
        parse_attribute(r, word);
    if (!strcmp(r->text->meaning, "host"))
        r->info.attr |= ATTR_HOST;
    if (r->info.attr & ATTR_LOCKABLE)
        r->dec.bits |= ROW_LOCKABLE;
    if (r->info.attr & ATTR_X87)
        r->dec.bits |= ROW_RM7;
    if (r->dec.imm == IMM_MOFFS)
        r->modrm = false;
}

static void parse_flags(struct row *r)
{
    static const struct {
        char letter;
        u32 flag;
    } letters[] = {
        {'C', FLAG_CF}, {'P', FLAG_PF}, {'A', FLAG_AF}, {'Z', FLAG_ZF}, {'S', FLAG_SF},
        {'O', FLAG_OF}, {'D', FLAG_DF}, {'I', FLAG_IF}, {'T', FLAG_TF},
    };
    u32 *const into[3] = {&r->info.flags_read, &r->info.flags_written, &r->info.flags_undefined};
    unsigned field = 0;
    for (const char *p = r->text->flags; *p; p++) {
        size_t i = 0;
        while (i < ARRAY_SIZE(letters) && letters[i].letter != *p)
            i++;
        if (*p == '/' && field < 2)
            field++;
        else if (i < ARRAY_SIZE(letters))
            *into[field] |= letters[i].flag;
        else
            bad(r, "unknown flags", r->text->flags);
    }
    if (field != 2)
        bad(r, "flags need two slashes", r->text->flags);
}

static void parse_gate(struct row *r)
{
    for (size_t i = 0; i < ARRAY_SIZE(gates); i++)
        if (!strcmp(gates[i], r->text->gate)) {
            r->info.gate = (u16)i;
            return;
        }
    bad(r, "unknown feature", r->text->gate);
}

static void parse_row(struct row *r, const struct text *text)
{
    r->text = text;
    parse_encoding(r);
    parse_operands(r);
    parse_attributes(r);
    parse_flags(r);
    parse_gate(r);
    r->dec.id = (u16)(r - rows + 1);
    if (!r->modrm && r->mod_given)
        bad(r, "ModRM form without ModRM", text->enc);
    for (const struct row *o = rows; o < r; o++)
        if (!strcmp(o->text->id, text->id))
            bad(r, "is there twice", text->id);
}

/* Output */

static FILE *create(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        exit(1);
    }
    fputs("/* Generated from insn.def by insn_gen. */\n", f);
    return f;
}

static void finish(FILE *f, const char *path)
{
    if (ferror(f) | fclose(f)) {
        perror(path);
        exit(1);
    }
}

static void write_ids(FILE *f)
{
    fputs("#ifndef INSN_IDS_H\n#define INSN_IDS_H\n\nenum insn_id {\n    ID_NONE,\n", f);
    for (size_t i = 0; i < ROWS; i++)
        fprintf(f, "    ID_%s,\n", texts[i].id);
    fputs("    ID_COUNT\n};\n\n#endif\n", f);
}

static void write_info(FILE *f, const struct row *r)
{
    const struct insn_info *in = &r->info;
    fprintf(f, "    {\"");
    for (const char *p = r->text->id; *p && *p != '_'; p++)
        fputc(tolower((unsigned char)*p), f);
    fprintf(f, "\", 0x%x, %u, %u, 0x%02x, {", in->attr, in->gate, in->map, in->opcode);
    for (unsigned i = 0; i < OPS; i++)
        fprintf(f, "{%u, %u, %u, %u}, ", in->op[i].kind, in->op[i].size, in->op[i].access, in->op[i].arg);
    fprintf(f, "}, 0x%x, 0x%x, 0x%x, 0x%02x},\n", in->flags_read, in->flags_written, in->flags_undefined,
            in->prefix);
}

static void write_decode_row(FILE *f, const struct row *r)
{
    const struct decode_row *d = &r->dec;
    fprintf(f, "    {0x%llx, %u, 0x%x, %u, %u, %u, %u},\n", (unsigned long long)d->allow, d->id, d->bits,
            d->size, d->imm, d->mem, d->implied);
}

/* Writes the rows for one opcode; returns how many. All must agree on whether ModRM follows. */
static unsigned write_opcode(FILE *f, unsigned map, unsigned opcode, bool *modrm)
{
    unsigned n = 0;
    for (const struct row *r = rows; r < rows + ROWS; r++) {
        if (r->info.map != map || opcode < r->info.opcode || opcode >= r->info.opcode + r->span)
            continue;
        if (n && *modrm != r->modrm)
            bad(r, "disagrees with another row on ModRM", r->text->enc);
        *modrm = r->modrm;
        write_decode_row(f, r);
        n++;
    }
    return n;
}

static void write_decode(FILE *f)
{
    static struct decode_entry index[DECODE_MAPS][256];
    unsigned total = 0;
    fputs("\nconst struct decode_row decode_rows[] = {\n", f);
    for (unsigned map = 0; map < DECODE_MAPS; map++)
        for (unsigned op = 0; op < 256; op++) {
            bool modrm = false;
            unsigned n = write_opcode(f, map, op, &modrm);
            index[map][op] = (struct decode_entry){(u16)total, (u8)n, modrm};
            total += n;
        }
    fputs("};\n\nconst struct decode_entry decode_index[DECODE_MAPS][256] = {\n", f);
    for (unsigned map = 0; map < DECODE_MAPS; map++)
        for (unsigned op = 0; op < 256; op++)
            if (index[map][op].count)
                fprintf(f, "    [%u][0x%02x] = {%u, %u, %u},\n", map, op, index[map][op].first,
                        index[map][op].count, index[map][op].modrm);
    fputs("};\n", f);
}

static void write_tables(FILE *f)
{
    fputs("#include \"x86/insn.h\"\n#include \"x86/decode_table.h\"\n\n"
          "const struct insn_info insn_infos[] = {\n    {.mnemonic = \"(bad)\"},\n",
          f);
    for (size_t i = 0; i < ROWS; i++)
        write_info(f, &rows[i]);
    fprintf(f, "};\nconst unsigned insn_count = %u;\n", (unsigned)ROWS + 1);
    write_decode(f);
}

static void write_meanings(FILE *f)
{
    for (size_t i = 0; i < ROWS; i++) {
        size_t j = 0;
        while (strcmp(texts[j].meaning, texts[i].meaning))
            j++;
        if (j == i)
            fprintf(f, "MEANING(%s)\n", texts[i].meaning);
    }
}

static void write_meaning_table(FILE *f)
{
    fputs("MEANING_OF(NONE, ud)\n", f);
    for (size_t i = 0; i < ROWS; i++)
        fprintf(f, "MEANING_OF(%s, %s)\n", texts[i].id, texts[i].meaning);
}

int main(int argc, char **argv)
{
    static void (*const writers[])(FILE *) = {write_ids, write_tables, write_meanings, write_meaning_table};
    if (argc != 1 + ARRAY_SIZE(writers)) {
        fprintf(stderr, "usage: %s ids.h tables.c meanings.inc meaning_table.inc\n", argv[0]);
        return 1;
    }
    for (size_t i = 0; i < ROWS; i++)
        parse_row(&rows[i], &texts[i]);
    for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
        FILE *f = create(argv[i + 1]);
        writers[i](f);
        finish(f, argv[i + 1]);
    }
    return 0;
}
