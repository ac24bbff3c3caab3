/* SPDX-License-Identifier: MIT */
/*
 * A Unix command line as a tree: the shell has split it and taken its quotes, so nothing is expanded a second
 * time. A word that begins with a dash and a letter is a parameter; | by itself divides a pipeline; $true,
 * $false and $null that came through, and a word in braces, mean what they mean in the language.
 */
#include "cmd/lang/lex.h"

enum { WORDS_MAX = 4096 };

static struct node *literal(struct reader *r, const char *word, struct value v)
{
    struct node *n = node_new(r, NODE_LITERAL, word);
    n->source_len = strlen(word);
    n->value = v;
    n->text = word;
    n->bare = n->shell_word = true;
    return n;
}

/* { ... }, @{ ... } and @( ... ) are read as the language. */
static struct node *bracketed(struct reader *r, const char *word)
{
    struct script script;
    const char *where;
    bool more;
    if (parse_script(r->arena, word, &script, r->err, &where, &more) < 0)
        return NULL;
    struct node *s = script.statements;
    bool one = s->count == 1 && s->items[0]->kind == NODE_PIPELINE && s->items[0]->count == 1;
    return one ? s->items[0]->items[0] : read_error(r, word, "'%.40s' is more than one value", word);
}

static struct node *value_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);
    struct value number;
    if (len > 1 && (word[0] == '{' || (word[0] == '@' && (word[1] == '{' || word[1] == '('))) &&
        (word[len - 1] == '}' || word[len - 1] == ')'))
        return bracketed(r, word);
    if (text_equal(word, "$true") || text_equal(word, "$false"))
        return literal(r, word, value_bool(text_equal(word, "$true")));
    if (text_equal(word, "$null"))
        return literal(r, word, NULL_VALUE);
    return literal(r, word, value_parse_number(word, len, &number) ? number : value_static(word));
}

static bool is_parameter(const char *word)
{
    unsigned n = dash_length(word);
    n += n ? dash_length(word + n) : 0;
    return n && name_char(word[n]) && (word[n] < '0' || word[n] > '9');
}

static struct node *parameter_word(struct reader *r, const char *word)
{
    unsigned one = dash_length(word), two = dash_length(word + one);
    const char *name = word + one + two;
    size_t len = strcspn(name, two ? ":=" : ":");
    struct node *n = node_new(r, NODE_PARAMETER, word);
    n->source_len = strlen(word);
    n->shell_word = true;
    n->text = arena_copy(r->arena, name, len);
    if (!name[len])
        return n;
    return node_left(r, n, value_word(r, name + len + 1));
}

static char *plain_dashes(struct reader *r, const char *word)
{
    struct text t = {.arena = r->arena};
    while (*word) {
        unsigned dash = dash_length(word);
        text_putc(&t, dash ? '-' : *word);
        word += dash ? dash : 1;
    }
    return (char *)text_string(&t);
}

static struct node *command_words(struct reader *r, char *const *argv, int argc)
{
    struct node *n = node_new(r, NODE_COMMAND, argv[0]);
    n->source_len = strlen(argv[0]);
    n->text = plain_dashes(r, argv[0]);
    for (int i = 1; i < argc; i++)
        if (!node_add(r, n, is_parameter(argv[i]) ? parameter_word(r, argv[i]) : value_word(r, argv[i])))
            return NULL;
    return n;
}

static bool check_words(struct reader *r, int argc, char *const *argv)
{
    size_t total = 0;
    for (int i = 0; i < argc && total <= SCRIPT_BYTES_MAX; i++)
        total += strlen(argv[i]) + 1;
    if (argc <= WORDS_MAX && total <= SCRIPT_BYTES_MAX)
        return true;
    return read_error(
        r, NULL, "the command line is longer than %d words or %d bytes: put it into a file and use -File",
        WORDS_MAX, SCRIPT_BYTES_MAX);
}

int parse_words(struct arena *a, int argc, char *const *argv, struct script *out, struct err *err)
{
    struct reader r = {.arena = a, .err = err};
    struct node *pipeline = node_new(&r, NODE_PIPELINE, argv[0]),
                *all = node_new(&r, NODE_STATEMENTS, argv[0]);
    *out = (struct script){0};
    if (!check_words(&r, argc, argv))
        return -1;
    for (int at = 0; at <= argc;) {
        int n = 0;
        while (at + n < argc && strcmp(argv[at + n], "|") != 0)
            n++;
        if (!n)
            return err_set(err, EXIT_STATUS_USAGE, "a command is missing beside |");
        if (!node_add(&r, pipeline, command_words(&r, argv + at, n)))
            return -1;
        at += n + 1;
        if (at > argc)
            break;
    }
    out->statements = node_add(&r, all, pipeline);
    return out->statements ? 0 : -1;
}
