/* SPDX-License-Identifier: MIT */
/*
 * Keeps the tables of docs/reference.md equal to the lists they come from: options, exit statuses,
 * CPU features, MSRs. A table stands between the lines `<!-- table NAME -->` and `<!-- end -->`; what is
 * between them is made here and never typed. All other lines pass through as they are.
 *
 *   reference_doc write FILE   makes the tables anew
 *   reference_doc check FILE   0 when nothing would change
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* '|' would end a cell. */
static void cell(FILE *out, const char *s)
{
    for (; *s; s++)
        fprintf(out, *s == '|' ? "\\|" : "%c", *s);
}

static void option(FILE *out, const char *name, const char *form, const char *def, bool repeats,
                   const char *help)
{
    fprintf(out, "| `--%s%s", name, form ? " " : "");
    cell(out, form ? form : "");
    fprintf(out, "` | %s | ", def ? def : "");
    cell(out, help);
    fprintf(out, "%s |\n", repeats ? ". May be given several times" : "");
}

static void options(FILE *out)
{
    fputs("| option | default | meaning |\n|---|---|---|\n", out);
#define RUN_OPTION(id, name, form, def, complete, repeats, help) option(out, name, form, def, repeats, help);
#include "config/run_options.def"
#undef RUN_OPTION
}

static void statuses(FILE *out)
{
    fputs("| status | meaning |\n|---|---|\n", out);
#define EXIT_STATUS(status, text) fprintf(out, "| %s | %s |\n", status, text);
#include "config/exit_status.def"
#undef EXIT_STATUS
}

static const char *need(const char *word)
{
    if (strcmp(word, "NEED_HOST") == 0)
        return "the host's processor";
    return strcmp(word, "NEED_NESTED") == 0 ? "`--nested on`" : "";
}

static void features(FILE *out)
{
    fputs("| feature | CPUID | intel | amd | needs |\n|---|---|---|---|---|\n", out);
#define FEATURE(id, text, leaf, subleaf, reg, bit, intel, amd, needs)                                        \
    fprintf(out, "| `%s` | %X.%X:%s[%d] | %s | %s | %s |\n", text, (unsigned)(leaf), subleaf, &#reg[6], bit, \
            intel ? "yes" : "", amd ? "yes" : "", need(#needs));
#include "x86/features.def"
#undef FEATURE
}

static const char *vendor(const char *word)
{
    return strcmp(word, "ANY") == 0 ? "" : strcmp(word, "INTEL") == 0 ? "intel" : "amd";
}

static const char *kind(const char *word)
{
    static const struct {
        const char *start, *text;
    } kinds[] = {
        {"STORE", "stored, no other effect"},
        {"READ_ONLY", "read-only"},
        {"IGNORE", "writes are dropped"},
        {"FIELD", "state of the processor"},
        {"CANONICAL", "state of the processor; a canonical address"},
        {"APIC", "the local APIC's"},
    };
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strncmp(word, kinds[i].start, strlen(kinds[i].start)) == 0)
            return kinds[i].text;
    return "rules of its own";
}

static void msr(FILE *out, unsigned number, unsigned count, const char *name, const char *who,
                unsigned long long reset, unsigned long long writable, const char *gate, const char *what)
{
    bool masked = strcmp(what, "STORE") == 0 || strncmp(what, "FIELD", 5) == 0;
    fprintf(out, "| `%08x`", number);
    if (count > 1)
        fprintf(out, "..`%08x`", number + count - 1);
    fprintf(out, " | %s | %s | `%llx` | ", name, vendor(who), reset);
    if (masked)
        fprintf(out, writable == ~0ull ? "all" : writable ? "`%llx`" : "none", writable);
    fprintf(out, " | %s | %s |\n", strcmp(gate, "NONE") == 0 ? "" : gate, kind(what));
}

static void msrs(FILE *out)
{
    fputs("| number | name | only in | at reset | writable bits | with feature | kind "
          "|\n|---|---|---|---|---|---|---|\n",
          out);
#define MSR(number, count, name, who, reset, writable, gate, what)                                           \
    msr(out, number, count, #name, #who, reset, writable, #gate, #what);
#include "x86/msr.def"
#undef MSR
}

static const struct table {
    const char *name;
    void (*print)(FILE *out);
} tables[] = {
    {"options", options},
    {"statuses", statuses},
    {"features", features},
    {"msrs", msrs},
};
#define TABLES (sizeof(tables) / sizeof(tables[0]))

/* The table a line opens, or NULL. */
static const struct table *opens(const char *line)
{
    char mark[64];
    for (unsigned i = 0; i < TABLES; i++) {
        snprintf(mark, sizeof(mark), "<!-- table %s -->\n", tables[i].name);
        if (strcmp(line, mark) == 0)
            return &tables[i];
    }
    return NULL;
}

/* The document with its tables made anew; false when a table's mark is missing. */
static bool render(FILE *in, FILE *out)
{
    char line[4096];
    bool seen[TABLES] = {false}, inside = false;
    while (fgets(line, sizeof(line), in)) {
        const struct table *t = opens(line);
        if (inside && strcmp(line, "<!-- end -->\n") != 0)
            continue;
        inside = t != NULL;
        fputs(line, out);
        if (t) {
            seen[t - tables] = true;
            t->print(out);
        }
    }
    for (unsigned i = 0; i < TABLES; i++)
        if (!seen[i])
            return fprintf(stderr, "reference_doc: no line <!-- table %s -->\n", tables[i].name) < 0;
    if (inside)
        fputs("reference_doc: a table has no line <!-- end -->\n", stderr);
    return !inside;
}

static bool same(FILE *f, const char *text, size_t len)
{
    rewind(f);
    for (size_t i = 0; i < len; i++)
        if (getc(f) != (unsigned char)text[i])
            return false;
    return getc(f) == EOF;
}

int main(int argc, char **argv)
{
    bool write = argc == 3 && strcmp(argv[1], "write") == 0;
    char *text = NULL;
    size_t len = 0;
    if (!write && (argc != 3 || strcmp(argv[1], "check") != 0))
        return fputs("usage: reference_doc write|check FILE\n", stderr) < 0 ? 1 : 2;
    FILE *in = fopen(argv[2], "r"), *out = open_memstream(&text, &len);
    if (!in || !out) {
        perror(argv[2]);
        return 1;
    }
    bool good = render(in, out);
    fclose(out);
    if (good && !write && !same(in, text, len)) {
        fprintf(stderr, "%s: its tables are not those of src/: run reference_doc write on it\n", argv[2]);
        good = false;
    }
    fclose(in);
    FILE *f = good && write ? fopen(argv[2], "w") : NULL;
    if (write && good && (!f || fwrite(text, 1, len, f) != len || fclose(f)))
        good = false;
    free(text);
    return good ? 0 : 1;
}
