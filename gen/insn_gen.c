/* SPDX-License-Identifier: MIT */
/*
 * Reads insn.def (as strings, through its own macro) and writes what follows from it:
 *   ids       enum insn_id: ID_<row>, counted from 1; ID_NONE is 0
 *   tables    insn_infos[], decode_rows[], decode_index[]
 *   meanings  MEANING(name), once per distinct name
 *   by-row    MEANING_OF(row, name), for each row
 * Runs at build time. The columns are read in insn_encoding.c, insn_operands.c and insn_attributes.c.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "insn_rows.h"

static const struct text texts[] = {
#define INSN(id, enc, ops, flags, gate, attr, meaning) {#id, enc, ops, flags, #gate, attr, #meaning},
#include "x86/insn.def"
#undef INSN
};

enum { ROWS = ARRAY_SIZE(texts) };

static struct row rows[ROWS];

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
