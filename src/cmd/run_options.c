/* SPDX-License-Identifier: MIT */
/*
 * One pass over the arguments: find the row of config/run_options.def, take the value, refuse what is not
 * built, hand the value to that row's parser (run_values.c). What concerns several options is checked at the
 * end.
 */
#include "cmd/run_options.h"

#include <stdlib.h>

#include "cmd/run_values.h"

enum option_id {
#define RUN_OPTION(id, ...) OPT_##id,
#include "config/run_options.def"
#undef RUN_OPTION
    OPTION_COUNT
};

static const struct option {
    const char *name, *form, *def, *complete;
    bool repeats;
    const char *help;
    run_value_parser *parse;
} options[OPTION_COUNT] = {
#define RUN_OPTION(id, name, form, def, complete, repeats, help)                                             \
    {name, form, def, complete, repeats, help, run_parse_##id},
#include "config/run_options.def"
#undef RUN_OPTION
};

/* ---- finding an option ---- */

static const struct option *find(const char *name, size_t len)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
            return &options[i];
    return NULL;
}

enum { NAME_MAX_LEN = 32 };

/* Levenshtein's distance. Both at most NAME_MAX_LEN long. */
static unsigned distance(const char *a, size_t alen, const char *b)
{
    unsigned row[NAME_MAX_LEN + 1];
    size_t blen = strlen(b);
    for (unsigned j = 0; j <= blen; j++)
        row[j] = j;
    for (unsigned i = 1; i <= alen; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= blen; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            best = best < row[j] + 1 ? best : row[j] + 1;
            row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
        }
    }
    return row[blen];
}

/* The option a mistyped name may have meant, or NULL: few letters apart, or one name begins the other. */
static const struct option *nearest(const char *name, size_t len)
{
    const struct option *best = NULL;
    unsigned best_distance = len > 4 ? 3 : 2;
    for (unsigned i = 0; i < OPTION_COUNT && len <= NAME_MAX_LEN; i++) {
        size_t n = strlen(options[i].name);
        unsigned d = distance(name, len, options[i].name);
        if (len && memcmp(name, options[i].name, len < n ? len : n) == 0)
            d = 1;
        if (d < best_distance) {
            best_distance = d;
            best = &options[i];
        }
    }
    return best;
}

static int refuse_unknown(const char *arg, const char *name, size_t len, struct err *err)
{
    const struct option *o = nearest(name, len);
    if (o)
        return err_set(err, EXIT_STATUS_USAGE, "unknown option '%.60s': did you mean --%s?", arg, o->name);
    return err_set(err, EXIT_STATUS_USAGE, "unknown option '%.60s': see droste run --help", arg);
}

/* ---- parsing ---- */

struct scan {
    int argc, at;
    char *const *argv;
    const char *given[OPTION_COUNT]; /* the value seen, to name it when it comes twice */
};

static int refuse_twice(struct scan *s, const struct option *o, const char *value, struct err *err)
{
    const char **given = &s->given[o - options];
    if (*given && !o->repeats && o->form)
        return err_set(err, EXIT_STATUS_USAGE, "--%s is given twice, with '%.60s' and '%.60s': give it once",
                       o->name, *given, value);
    *given = value;
    return 0;
}

/* A forgotten value must not swallow the option behind it; --append=--quiet still says what is meant. */
static bool is_option(const char *arg)
{
    return arg[0] == '-' && arg[1] == '-' && find(arg + 2, strcspn(arg + 2, "="));
}

/* The value after '=' or the next argument; "" for a flag; NULL and err when it is missing or too much. */
static const char *take_value(struct scan *s, const struct option *o, const char *equals, struct err *err)
{
    if (!o->form) {
        if (!equals)
            return "";
        err_set(err, EXIT_STATUS_USAGE, "--%s takes no value: write --%s alone", o->name, o->name);
        return NULL;
    }
    if (equals)
        return equals + 1;
    if (s->at < s->argc && !is_option(s->argv[s->at]))
        return s->argv[s->at++];
    err_set(err, EXIT_STATUS_USAGE, "--%s needs a value: --%s %s", o->name, o->name, o->form);
    return NULL;
}

static int parse_one(struct run_config *c, struct scan *s, struct err *err)
{
    const char *arg = s->argv[s->at++];
    if (arg[0] != '-')
        return err_set(err, EXIT_STATUS_USAGE,
                       "'%.60s' belongs to no option: a kernel is given as --kernel FILE", arg);
    if (strcmp(arg, "-h") == 0)
        arg = "--help";
    const char *name = arg + (arg[1] == '-' ? 2 : 1), *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct option *o = arg[1] == '-' ? find(name, len) : NULL;
    if (!o)
        return refuse_unknown(arg, name, len, err);
    const char *value = take_value(s, o, equals, err);
    if (!value || refuse_twice(s, o, value, err) < 0)
        return -1;
    struct run_value v = {c, o->name, o->form, value};
    return o->parse(&v, err);
}

static int check_nested_trace(const struct run_config *c, struct err *err)
{
    const char *what = c->trace_exits ? "exits" : "nested";
    if (!c->trace_exits && !c->trace_nested)
        return 0;
    if (!c->nested)
        return err_set(err, EXIT_STATUS_USAGE,
                       "--trace %s shows a hypervisor in the guest at work: add --nested on", what);
    if (c->engine == RUN_ENGINE_KVM)
        return err_set(
            err, EXIT_STATUS_USAGE,
            "--trace %s: under engine kvm the host's KVM serves the hypervisor in the guest, and none of "
            "its exits is seen here: use --engine soft",
            what);
    return 0;
}

static int check_jit_trace(const struct run_config *c, struct err *err)
{
    const char *what = c->trace_jit ? "jit" : c->trace_perf ? "perf" : "gdbjit";
    if (!c->trace_jit && !c->trace_perf && !c->trace_gdbjit)
        return 0;
    if (c->engine == RUN_ENGINE_KVM)
        return err_set(err, EXIT_STATUS_USAGE,
                       "--trace %s shows what engine soft translates: use --engine soft", what);
    if (c->jit == RUN_JIT_OFF)
        return err_set(err, EXIT_STATUS_USAGE, "--trace %s shows what is translated: leave jit=off away",
                       what);
    return 0;
}

static int check_whole(struct run_config *c, const struct scan *s, struct err *err)
{
    if (!c->kernel)
        return err_set(err, EXIT_STATUS_USAGE, "nothing to boot: give --kernel FILE");
    if (c->expect && c->serial == RUN_SERIAL_NONE)
        return err_set(err, EXIT_STATUS_USAGE, "--expect reads the console: leave --serial none away");
    if (c->icount && c->cpus > 1)
        return err_set(err, EXIT_STATUS_USAGE, "--icount needs one processor: use --cpus 1");
    if (c->icount && c->engine == RUN_ENGINE_KVM)
        return err_set(err, EXIT_STATUS_USAGE,
                       "--icount counts instructions, which kvm cannot: use --engine soft");
    if (s->given[OPT_gdb] && c->engine == RUN_ENGINE_KVM)
        return err_set(
            err, EXIT_STATUS_USAGE,
            "--gdb steps and stops where the guest cannot see it, which kvm does not: use --engine soft");
    if (c->hash_path && !c->icount)
        return err_set(err, EXIT_STATUS_USAGE,
                       "--trace hash= needs a run that can be repeated: add --icount");
    if (check_nested_trace(c, err) < 0 || check_jit_trace(c, err) < 0)
        return -1;
    const char *net = s->given[OPT_net];
    if (c->net_count && net && strcmp(net, "none") == 0)
        return err_set(err, EXIT_STATUS_USAGE,
                       "--net none and an adapter contradict each other: leave one away");
    return 0;
}

int run_config_parse(struct run_config *c, int argc, char *const *argv, struct err *err)
{
    struct scan s = {.argc = argc, .argv = argv};
    *c = (struct run_config){.memory = GIB, .cpus = 1};
    while (s.at < argc) {
        if (parse_one(c, &s, err) < 0)
            return -1;
        if (c->action != RUN_GUEST)
            return 0; /* --help and --version win over whatever follows */
    }
    return check_whole(c, &s, err);
}

void run_config_free(struct run_config *c)
{
    for (unsigned i = 0; i < c->store_count; i++)
        free(c->store[i]);
    c->store_count = 0;
}

/* ---- help ---- */

static void print_wrapped(FILE *out, const char *text, unsigned indent, unsigned width)
{
    while (*text) {
        size_t n = strlen(text);
        if (n > width - indent) {
            n = width - indent;
            while (n && text[n] != ' ')
                n--;
        }
        fprintf(out, "%*s%.*s\n", (int)indent, "", (int)n, text);
        text += n + (text[n] == ' ');
    }
}

void run_options_help(FILE *out)
{
    fputs("usage: droste run --kernel FILE [OPTION]...\n\nRuns one virtual machine in the foreground.\n\n",
          out);
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options[i];
        fprintf(out, "  --%s%s%s%s%s%s\n", o->name, o->form ? " " : "", o->form ? o->form : "",
                o->def ? "  (default: " : "", o->def ? o->def : "", o->def ? ")" : "");
        print_wrapped(out, o->help, 8, 100);
    }
    fputs("\nExit status:\n", out);
#define EXIT_STATUS(status, text) fprintf(out, "  %-6s %s\n", status, text);
#include "config/exit_status.def"
#undef EXIT_STATUS
}
