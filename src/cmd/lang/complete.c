/* SPDX-License-Identifier: MIT */
/*
 * What can stand at the end of a line: cmdlets where a command is expected, parameters behind a dash, the
 * values a parameter accepts, names of VMs and the like where one is wanted. A scan of the line's last
 * command, not a parse: the line is unfinished by nature.
 */
#include "cmd/lang/lex.h"
#include "cmd/lang/run.h"

struct completion {
    const struct command_set *set;
    struct arena *arena;
    const char *prefix;
    void (*each)(void *arg, const char *word);
    void *arg;
};

static void offer(struct completion *c, const char *word)
{
    if (text_begins(word, c->prefix))
        c->each(c->arg, word);
}

static void offer_name(void *arg, const char *name)
{
    struct completion *c = arg;
    bool plain = *name;
    for (const char *p = name; *p; p++)
        plain &= word_char(p) && !strchr("'\"`$#", *p);
    if (plain)
        offer(c, name);
    else if (text_begins(name, c->prefix) && !strchr(name, '\''))
        c->each(c->arg, arena_printf(c->arena, "'%s'", name));
}

/* ---- where are we ---- */

/* The beginning of the command that is being typed. */
static const char *last_command(const char *text)
{
    const char *start = text;
    char quote = 0;
    for (const char *p = text; *p; p++) {
        if (quote)
            quote = *p == quote ? 0 : quote;
        else if (*p == '"' || *p == '\'')
            quote = *p;
        else if (strchr("|;({=\n", *p))
            start = p + 1;
    }
    return start + strspn(start, " \t");
}

/* The words of a command so far; the last one is what is being completed, perhaps empty. */
static unsigned divide(struct arena *a, const char *command, const char **words, unsigned max)
{
    unsigned n = 0;
    for (const char *p = command; n < max;) {
        char quote = 0;
        const char *start = p;
        for (; *p && (quote || (*p != ' ' && *p != '\t' && *p != ',')); p++)
            quote = quote ? (*p == quote ? 0 : quote) : *p == '"' || *p == '\'' ? *p : 0;
        words[n++] = arena_copy(a, start, (size_t)(p - start));
        if (!*p)
            break;
        p += strspn(p, " \t,");
    }
    return n;
}

/* ---- parameters ---- */

static void offer_parameters(struct completion *c, const struct row *of, const char *dashes)
{
    for (const struct row *r = of; r && (r = row_next(c->set, of, r, ROW_PARAM));) {
        const struct row *no = row_next(c->set, r, r, ROW_REFUSED);
        if (!no || strcmp(no->refused.value, "*") != 0)
            offer(c, arena_printf(c->arena, "%s%s", dashes, r->param.name));
    }
}

static const struct row *find_in(const struct command_set *set, const struct row *of, const char *name)
{
    const struct row *found = NULL;
    for (const struct row *r = of; r && (r = row_next(set, of, r, ROW_PARAM));) {
        if (text_equal(r->param.name, name) || words_find(r->param.aliases, name) >= 0)
            return r;
        if (text_begins(r->param.name, name))
            found = r;
    }
    return found;
}

static const struct row *find_param(const struct command_set *set, const struct row *cmdlet, const char *name)
{
    const struct row *r = find_in(set, cmdlet, name);
    return r ? r : find_in(set, row_cmdlet(set, "CommonParameters"), name);
}

/* The parameter whose value the last word is: the one named before it, or the first at its position. */
static const struct row *wanted_param(const struct command_set *set, const struct row *cmdlet,
                                      const char **words, unsigned n)
{
    unsigned position = 1;
    for (unsigned i = 1; i + 1 < n; i++) {
        const struct row *named =
            words[i][0] == '-' ? find_param(set, cmdlet, words[i] + 1 + (words[i][1] == '-')) : NULL;
        if (named && named->param.type != PARAM_SWITCH) {
            if (i + 2 == n || named->param.many)
                return named;
            i++;
        } else if (words[i][0] != '-') {
            position++;
        }
    }
    const struct row *last = NULL;
    for (const struct row *r = cmdlet; (r = row_next(set, cmdlet, r, ROW_PARAM));) {
        if (r->param.position == position && (r->param.completes || r->param.type == PARAM_WORD))
            return r;
        if (r->param.position && r->param.position < position && r->param.many)
            last = r;
    }
    return last;
}

static void offer_commands(struct completion *c)
{
    for (const struct row *r = NULL; (r = row_next_any(c->set, r, ROW_CMDLET));)
        if (!r->cmdlet.not_in_shell)
            offer(c, r->cmdlet.name);
}

static void offer_values(struct completion *c, const struct param_row *p)
{
    const char *list = p->values, *word;
    size_t len;
    while (words_next(&list, &word, &len))
        offer(c, arena_copy(c->arena, word, len));
    if (p->type == PARAM_BOOL) {
        offer(c, *c->prefix == '$' ? "$true" : "true");
        offer(c, *c->prefix == '$' ? "$false" : "false");
    }
    if (!p->completes)
        return;
    if (strcmp(p->completes, "Command") == 0)
        offer_commands(c);
    else if (c->set->names)
        c->set->names(p->completes, offer_name, c);
}

void session_complete(struct session *s, const char *text, size_t len, size_t *replace,
                      void (*each)(void *arg, const char *word), void *arg)
{
    enum { WORDS = 256 };
    const char *words[WORDS];
    struct arena *a = arena_new();
    char *line = arena_copy(a, text, len);
    unsigned n = divide(a, last_command(line), words, WORDS);
    struct completion c = {s->commands, a, words[n - 1], each, arg};
    const struct row *cmdlet = row_cmdlet(s->commands, words[0]);
    *replace = strlen(words[n - 1]);
    if (*c.prefix == '\'' || *c.prefix == '"')
        c.prefix++;
    if (n == 1) {
        offer_commands(&c);
    } else if (cmdlet && words[n - 1][0] == '-') {
        const char *dashes = words[n - 1][1] == '-' ? "--" : "-";
        offer_parameters(&c, cmdlet, dashes);
        if (cmdlet->cmdlet.changes)
            offer_parameters(&c, row_cmdlet(s->commands, "ShouldProcessParameters"), dashes);
        offer_parameters(&c, row_cmdlet(s->commands, "CommonParameters"), dashes);
    } else if (cmdlet) {
        const struct row *p = wanted_param(s->commands, cmdlet, words, n);
        if (p)
            offer_values(&c, &p->param);
    }
    arena_free(a);
}
