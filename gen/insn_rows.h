/* SPDX-License-Identifier: MIT */
/*
 * insn.def's rows as insn_gen reads them: a row's text, what follows from it, and the readers of its columns.
 * What a reader does not understand ends the program with the row's name: never guess.
 */
#ifndef GEN_INSN_ROWS_H
#define GEN_INSN_ROWS_H

#include "x86/decode_table.h"
#include "x86/insn.h"

struct text {
    const char *id, *enc, *ops, *flags, *gate, *attr, *meaning;
};

enum { OPS = ARRAY_SIZE(((struct insn_info *)0)->op) };

struct row {
    const struct text *text;
    struct insn_info info;
    struct decode_row dec;
    unsigned span; /* opcodes it covers: 1, 8 or 16 */
    bool modrm, vex, mod_given, fixed_size;
};

/* In this order. */
void parse_encoding(struct row *r);
void parse_operands(struct row *r);
void parse_attributes(struct row *r);
void parse_flags(struct row *r);
void parse_gate(struct row *r);

/* Words, which all of them read. */
struct word {
    const char *name;
    u32 value;
};
const struct word *find_word(const struct word *list, size_t count, const char *name); /* NULL: not in it */
#define FIND(list, name) find_word(list, ARRAY_SIZE(list), name)

/* The next word of *s, cut at one of `stop`; false at the end. */
bool next_word(const char **s, const char *stop, char *word, size_t cap);

/* Facts: a group starts with everything allowed; naming a member narrows it. */
void restrict_to(struct row *r, unsigned first, unsigned width, unsigned mask);

_Noreturn void bad(const struct row *r, const char *what, const char *where);

#endif
