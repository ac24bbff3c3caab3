/* SPDX-License-Identifier: MIT */
/* The column of encodings: prefixes, map, opcode, ModRM forms, immediates. */
#include "insn_rows.h"

#include <ctype.h>
#include <stdlib.h>

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

void parse_encoding(struct row *r)
{
    char word[40] = "";
    const char *s = r->text->enc;
    r->dec.allow = BIT(FACT_END) - 1;
    parse_head(r, &s, word, sizeof(word));
    parse_opcode(r, word);
    while (next_word(&s, " ", word, sizeof(word)))
        parse_suffix(r, word);
}
