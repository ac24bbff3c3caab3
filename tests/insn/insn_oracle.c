/* SPDX-License-Identifier: MIT */
/*
 * insn_oracle [--seed N] [--cases N] [--sequences] [--chaos N] [--only ROW] [--rows] [--fail-max N]
 *
 * --sequences: runs of instructions (sequence.c) instead of single ones, of the rows named or of all.
 * --chaos: what the translator has may go at random (struct jit_options), and traces are made of runs.
 *
 * Draws rows of the instruction list in turn, makes a random case of each and compares every engine's outcome
 * with the host's: registers, flags, vector and x87 state, memory with its guards, fault vector and address.
 * The seed is printed; the same seed and options repeat the run.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "insn_ids.h"
#include "oracle.h"
#include "x86/disasm.h"

static const struct engine *const engines[] = {&engine_host, &engine_interp, &engine_jit, &engine_jit_again};
enum { ENGINES = ARRAY_SIZE(engines) };

static struct {
    u64 seed, cases, fail_max;
    const char *only;
    bool rows, sequences;
} opt = {.cases = 100000, .fail_max = 20};

static struct {
    u64 run, elements, faulted, failed, skipped_rows, no_encoding;
    u32 row_failed[ID_COUNT], row_run[ID_COUNT];
} stats;

static void print_bytes(const char *what, const u8 *p, unsigned n)
{
    printf("  %s", what);
    for (unsigned i = 0; i < n; i++)
        printf("%02x", p[i]);
    printf("\n");
}

static const char *const gpr_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

/* All diff_ functions return whether anything differs, and say what when `say`. */
static bool diff_word(const char *name, u64 start, u64 host, u64 other, bool say)
{
    if (host == other)
        return false;
    if (say)
        printf("  %-6s %016llx -> host %016llx, got %016llx\n", name, (unsigned long long)start,
               (unsigned long long)host, (unsigned long long)other);
    return true;
}

static bool diff_block(const char *name, const u8 *host, const u8 *other, unsigned n, bool say)
{
    if (!memcmp(host, other, n))
        return false;
    if (say) {
        printf("  %s differs\n", name);
        print_bytes("host ", host, n);
        print_bytes("got  ", other, n);
    }
    return true;
}

static bool diff_x87(const u8 *host, const u8 *other, bool say)
{
    bool d = diff_word("fcw", 0, load_le(host + X87_FCW, 2), load_le(other + X87_FCW, 2), say);
    d |= diff_word("fsw", 0, load_le(host + X87_FSW, 2), load_le(other + X87_FSW, 2), say);
    d |= diff_word("ftw", 0, host[X87_FTW], other[X87_FTW], say);
    for (unsigned i = 0; i < 8; i++) {
        char name[8];
        snprintf(name, sizeof(name), "st%u", i);
        d |= diff_block(name, host + X87_ST + 16 * i, other + X87_ST + 16 * i, 10, say);
    }
    return d;
}

static bool diff_data(const u8 *host, const u8 *other, bool say)
{
    if (!memcmp(host, other, AREA_BYTES))
        return false;
    for (unsigned i = 0, shown = 0; say && i < AREA_BYTES && shown < 4; i++) {
        if (host[i] != other[i]) {
            printf("  memory %llx: host %02x, got %02x\n", DATA_BASE + i, host[i], other[i]);
            shown++;
        }
    }
    return true;
}

/* The instruction at rip. */
static struct insn where(const struct insn_case *t, u64 rip)
{
    struct insn in = t->in;
    u64 at = rip - t->start.rip;
    if (t->count > 1 && at < t->len)
        insn_decode(MODE_64, t->bytes + at, t->len - at < 15 ? (unsigned)(t->len - at) : 15, &in);
    return in;
}

static bool differs(const struct insn_case *t, const struct case_result *h, const struct case_result *o,
                    bool say)
{
    u64 mask = FLAGS_TESTED & ~excluded_flags(t);
    bool d = diff_word("vector", 0, h->faulted ? h->vector : ~0ull, o->faulted ? o->vector : ~0ull, say);
    d |= diff_word("error", 0, h->error, o->error, say);
    struct insn_case at = *t;
    at.in = where(t, h->end.rip);
    if (!excluded_address(&at))
        d |= diff_word("cr2", 0, h->cr2, o->cr2, say);
    d |= diff_word("rip", t->start.rip, h->end.rip, o->end.rip, say);
    d |= diff_word("flags", t->start.rflags & mask, h->end.rflags & mask, o->end.rflags & mask, say);
    for (unsigned i = 0; i < 16; i++)
        d |= diff_word(gpr_names[i], t->start.gpr[i], h->end.gpr[i], o->end.gpr[i], say);
    for (unsigned i = 0; i < 16; i++) {
        char name[8];
        snprintf(name, sizeof(name), "ymm%u", i);
        d |= diff_block(name, h->end.vec[i], o->end.vec[i], 32, say);
    }
    d |= diff_x87(h->end.x87, o->end.x87, say);
    d |= diff_word("mxcsr", t->start.mxcsr, h->end.mxcsr, o->end.mxcsr, say);
    return diff_data(h->data, o->data, say) || d;
}

static void print_run(const struct insn_case *t)
{
    for (unsigned at = 0; at < t->len;) {
        struct insn in = {.len = 1};
        char text[128];
        insn_decode(MODE_64, t->bytes + at, t->len - at, &in);
        disasm(MODE_64, t->start.rip + at, t->bytes + at, in.len, text, sizeof(text));
        printf("  %llx  %s\n", (unsigned long long)(t->start.rip + at), text);
        at += in.len;
    }
}

static void report(const struct insn_case *t, const struct engine *e, const struct case_result *h,
                   const struct case_result *o)
{
    printf("%s differs from the host: %s, case %llu\n", e->name, t->count > 1 ? "a run" : row_name(t->in.id),
           (unsigned long long)stats.run);
    if (t->count > 1)
        print_run(t);
    else
        print_bytes("bytes ", t->bytes, t->len);
    for (unsigned i = 0; i < 16; i++)
        printf("  %-3s %016llx%s", gpr_names[i], (unsigned long long)t->start.gpr[i], i % 4 == 3 ? "\n" : "");
    differs(t, h, o, true);
}

static void run_case(const struct insn_case *t)
{
    static struct case_result r[ENGINES];
    for (unsigned i = 0; i < ENGINES; i++) {
        if (engines[i]->runs_only && t->count == 1)
            continue;
        engines[i]->run(t, &r[i]);
        if (i == 0 || !differs(t, &r[0], &r[i], false))
            continue;
        if (stats.failed < opt.fail_max && (t->count > 1 || stats.row_failed[t->in.id] < 2))
            report(t, engines[i], &r[0], &r[i]);
        stats.failed++;
        stats.row_failed[t->in.id]++;
    }
    stats.run++;
    stats.elements += t->count;
    stats.row_run[t->in.id]++;
    stats.faulted += r[0].faulted;
}

static unsigned choose_rows(u16 *rows)
{
    unsigned n = 0;
    for (unsigned id = 1; id < ID_COUNT; id++) {
        const char *why = excluded_row(id);
        if (opt.only && strncmp(opt.only, row_name(id), strlen(opt.only)))
            continue;
        if (opt.rows)
            printf("%-20s %s\n", row_name(id), why ? why : "compared");
        if (why)
            stats.skipped_rows++;
        else
            rows[n++] = (u16)id;
    }
    return n;
}

static void summary(unsigned rows)
{
    unsigned bad = 0;
    for (unsigned id = 0; id < ID_COUNT; id++) {
        if (stats.row_failed[id]) {
            printf("%-20s %u of %u differ\n", row_name(id), stats.row_failed[id], stats.row_run[id]);
            bad++;
        }
    }
    printf("%llu cases of %u rows (%llu rows excluded), %llu faulted, %llu differ in %u rows; %llu drawn in "
           "vain; seed %llu\n",
           (unsigned long long)stats.run, rows, (unsigned long long)stats.skipped_rows,
           (unsigned long long)stats.faulted, (unsigned long long)stats.failed, bad,
           (unsigned long long)stats.no_encoding, (unsigned long long)opt.seed);
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", 1, 0, 's'},     {"cases", 1, 0, 'c'},     {"only", 1, 0, 'o'},  {"rows", 0, 0, 'r'},
        {"fail-max", 1, 0, 'f'}, {"sequences", 0, 0, 'q'}, {"chaos", 1, 0, 'k'}, {0}};
    opt.seed = (u64)time(NULL);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 's':
            opt.seed = strtoull(optarg, NULL, 0);
            break;
        case 'c':
            opt.cases = strtoull(optarg, NULL, 0);
            break;
        case 'o':
            opt.only = optarg;
            break;
        case 'r':
            opt.rows = true;
            break;
        case 'k':
            oracle_chaos = strtoull(optarg, NULL, 0);
            break;
        case 'q':
            opt.sequences = true;
            break;
        case 'f':
            opt.fail_max = strtoull(optarg, NULL, 0);
            break;
        default:
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    static u16 rows[ID_COUNT];
    static struct insn_case t;
    parse(argc, argv);
    printf("seed %llu\n", (unsigned long long)opt.seed);
    unsigned n = choose_rows(rows);
    if (opt.rows)
        return 0;
    if (opt.sequences)
        n = sequence_rows(rows, n, rows);
    if (!n) {
        fprintf(stderr, "insn_oracle: no row to compare%s%s\n", opt.only ? " begins with " : "",
                opt.only ? opt.only : "");
        return 2;
    }
    for (unsigned i = 0; i < ENGINES; i++) {
        if (engines[i]->open())
            return 77;
    }
    struct rng r = {{opt.seed * 0x9e3779b97f4a7c15 | 1, opt.seed ^ 0xd1b54a32d192ed03}};
    for (u64 i = 0; i < opt.cases; i++) {
        if (opt.sequences ? sequence_make(&r, rows, n, &t) : case_make(&r, rows[i % n], &t))
            run_case(&t);
        else
            stats.no_encoding++;
    }
    summary(n);
    return stats.failed || !stats.run;
}
