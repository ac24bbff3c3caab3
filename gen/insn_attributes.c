/* SPDX-License-Identifier: MIT */
/* The columns of attributes, flags and gates. */
#include "insn_rows.h"

#include "x86/flags.h"

static const char *const gates[] = {
    "NONE",
#define FEATURE(name, text, leaf, subleaf, reg, bit, intel, amd, need) #name,
#include "x86/features.def"
#undef FEATURE
};

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

void parse_attributes(struct row *r)
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

void parse_flags(struct row *r)
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

void parse_gate(struct row *r)
{
    for (size_t i = 0; i < ARRAY_SIZE(gates); i++)
        if (!strcmp(gates[i], r->text->gate)) {
            r->info.gate = (u16)i;
            return;
        }
    bad(r, "unknown feature", r->text->gate);
}
