/* SPDX-License-Identifier: MIT */
/* Words to a tree: statements, pipelines, commands with their arguments. Recursive descent. */
#include "cmd/lang/parse.h"

#include "cmd/lang/parse_parts.h"

/* ---- commands ---- */

static bool ends_command(const char *s)
{
    return !*s || at_line_end(s) || strchr("|;)}&<>", *s);
}

static struct node *read_argument_item(struct reader *r)
{
    const char *s = r->at;
    if (*s == '$') {
        struct node *n = read_postfix(r, read_variable(r));
        if (!n || !word_char(r->at))
            return n;
        r->at = s; /* as in $name-1 */
        return read_bare_word(r);
    }
    if (single_quote(s) || double_quote(s) || *s == '(' || *s == '{' ||
        (*s == '@' && (s[1] == '(' || s[1] == '{' || single_quote(s + 1) || double_quote(s + 1))))
        return read_primary(r);
    if (!word_char(s))
        return *s ? read_error(r, s, "'%c' stands where a value is expected", *s)
                  : read_end_error(r, "the command ends too early: a value is missing");
    return read_bare_word(r);
}

static struct node *read_argument(struct reader *r)
{
    return read_list(r, read_argument_item);
}

/* Bytes of the one or two dashes that begin a parameter, or 0. */
static unsigned parameter_dash(const char *s)
{
    unsigned n = dash_length(s);
    if (n && dash_length(s + n))
        n += dash_length(s + n);
    char c = s[n];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '?';
    return n && letter ? n : 0;
}

static struct node *read_parameter(struct reader *r)
{
    struct node *n = node_new(r, NODE_PARAMETER, r->at);
    r->at += parameter_dash(r->at);
    const char *name = r->at;
    while (name_char(*r->at) || *r->at == '?')
        r->at++;
    n->text = arena_copy(r->arena, name, (size_t)(r->at - name));
    if (*r->at == ':') {
        r->at++;
        if (!skip_blanks(r) || !node_left(r, n, read_argument(r)))
            return NULL;
    } else if (word_char(r->at)) {
        return read_error(r, r->at, "a blank or a colon is missing behind -%.40s", n->text);
    }
    return node_close(r, n);
}

static const char *const missing_keywords[] = {
    "function", "filter", "while",   "for",  "do",     "switch", "try",      "catch",  "finally",
    "trap",     "param",  "class",   "enum", "return", "break",  "continue", "throw",  "exit",
    "using",    "begin",  "process", "end",  "data",   "until",  "else",     "elseif",
};

static struct node *check_keyword(struct reader *r, const char *name, const char *source)
{
    for (unsigned i = 0; i < ARRAY_SIZE(missing_keywords); i++)
        if (text_equal(name, missing_keywords[i]))
            return read_error(r, source,
                              "'%s' is not part of this language here: it has if, foreach, pipelines and "
                              "ForEach-Object",
                              missing_keywords[i]);
    return NULL;
}

/* The command's name with plain dashes. */
static char *read_command_name(struct reader *r)
{
    struct text t = {.arena = r->arena};
    while (word_char(r->at) && !single_quote(r->at) && !double_quote(r->at) && *r->at != '$' &&
           *r->at != '`') {
        unsigned dash = dash_length(r->at);
        text_putc(&t, dash ? '-' : *r->at);
        r->at += dash ? dash : 1;
    }
    if (t.len && !word_char(r->at))
        return t.bytes;
    if (*r->at == '&')
        return read_error(r, r->at,
                          "& is not part of this language: write the command's name without quotes");
    return *r->at ? read_error(r, r->at, "'%c' stands where a command is expected", *r->at)
                  : read_end_error(r, "a command is missing behind |");
}

static struct node *read_command(struct reader *r)
{
    struct node *n = node_new(r, NODE_COMMAND, r->at);
    n->text = read_command_name(r);
    if (!n->text)
        return NULL;
    node_close(r, n);
    check_keyword(r, n->text, n->source);
    while (!r->err->status) {
        close_behind(n, n->count ? n->items[n->count - 1] : NULL);
        if (!(r->parentheses ? skip_line_ends(r) : skip_blanks(r)) || ends_command(r->at))
            break;
        if (!node_add(r, n, parameter_dash(r->at) ? read_parameter(r) : read_argument(r)))
            break;
    }
    return r->err->status ? NULL : n;
}

/* ---- pipelines and statements ---- */

static bool begins_expression(const char *s)
{
    unsigned dash = dash_length(s);
    char c = s[dash];
    if (strchr("$(@{[!,", *s) || single_quote(s) || double_quote(s))
        return *s;
    if (dash && (text_begins(s + dash, "not") || text_begins(s + dash, "join")))
        return true;
    if (*s == '+' || *s == '.')
        c = s[1];
    return (dash || *s == '+' || *s == '.' || c == *s) &&
           ((c >= '0' && c <= '9') || (dash && strchr("$(", c) && c));
}

static struct node *read_first(struct reader *r)
{
    return begins_expression(r->at) ? read_expression(r, 0) : read_command(r);
}

/* <VMName>, as pages print it for what is to be filled in. */
static size_t placeholder_length(const char *s)
{
    size_t n = strcspn(s, ">\r\n|;");
    return *s == '<' && n > 1 && name_char(s[1]) && s[n] == '>' ? n + 1 : 0;
}

static struct node *refuse_redirection(struct reader *r)
{
    size_t n = placeholder_length(r->at);
    if (n)
        return read_error(r, r->at, "%.60s stands for a value that is missing: write the value in its place",
                          arena_copy(r->arena, r->at, n));
    if (*r->at == '&')
        return read_error(r, r->at,
                          "& is not part of this language: commands run one after the other, divided by ;");
    return read_error(r, r->at, "redirection with %c is not part of this language: let the Unix shell do it",
                      *r->at);
}

struct node *read_pipeline(struct reader *r)
{
    struct node *n = node_new(r, NODE_PIPELINE, r->at), *stage = read_first(r);
    while (stage) {
        if (!node_add(r, n, stage))
            return NULL;
        close_behind(n, stage);
        if (!skip_in_expression(r))
            return NULL;
        if (*r->at && strchr("&<>", *r->at))
            return refuse_redirection(r);
        if (*r->at != '|')
            return n;
        if (r->at[1] == '|')
            return read_error(r, r->at, "|| is not part of this language: use if");
        r->at++;
        stage = skip_line_ends(r) ? read_command(r) : NULL;
    }
    return NULL;
}

/* `=` or `+=` behind a variable. */
static struct node *read_assignment(struct reader *r, struct node *pipeline)
{
    struct node *target = pipeline->count == 1 ? pipeline->items[0] : pipeline;
    if (target->kind != NODE_VARIABLE)
        return read_error(r, target->source, "only a variable can stand left of =");
    struct node *n = node_new(r, NODE_ASSIGN, target->source);
    n->text = target->text;
    n->op = *r->at == '+' ? OP_ADD : *r->at == '-' ? OP_SUBTRACT : OP_NONE;
    r->at += n->op ? 2 : 1;
    if (!enter(r) || !skip_line_ends(r))
        return NULL;
    struct node *value = read_statement(r);
    r->nesting--;
    return node_close(r, node_left(r, n, value));
}

/* A word and what may follow a keyword. */
static bool at_keyword(struct reader *r, const char *word)
{
    size_t n = strlen(word);
    return text_begins(r->at, word) && !(word_char(r->at + n));
}

static struct node *read_block(struct reader *r)
{
    if (!skip_line_ends(r))
        return NULL;
    if (*r->at != '{')
        return *r->at ? read_error(r, r->at, "{ is expected here") : read_end_error(r, "{ is missing");
    struct node *block = statements_within(r, NODE_BLOCK, 1, '}');
    return block ? block->left : NULL;
}

static struct node *read_condition(struct reader *r)
{
    if (!skip_line_ends(r))
        return NULL;
    if (*r->at != '(')
        return *r->at ? read_error(r, r->at, "( is expected here") : read_end_error(r, "( is missing");
    return read_parentheses(r);
}

static struct node *read_if(struct reader *r)
{
    struct node *n = node_new(r, NODE_IF, r->at);
    bool again = true;
    r->at += 2;
    while (again) {
        if (!node_add(r, n, read_condition(r)) || !node_add(r, n, read_block(r)))
            return NULL;
        node_close(r, n);
        const char *behind = r->at;
        if (!skip_line_ends(r))
            return NULL;
        again = at_keyword(r, "elseif");
        bool last = at_keyword(r, "else");
        r->at = again ? r->at + 6 : last ? r->at + 4 : behind;
        if (last)
            return node_close(r, node_add(r, n, read_block(r)));
    }
    return n;
}

static struct node *read_foreach(struct reader *r)
{
    struct node *n = node_new(r, NODE_FOREACH, r->at);
    r->at += 7;
    if (!skip_line_ends(r) || !expect(r, '(', "foreach") || !skip_line_ends(r))
        return NULL;
    struct node *variable = *r->at == '$' ? read_variable(r) : NULL;
    if (!variable || variable->kind != NODE_VARIABLE || !skip_line_ends(r) || !at_keyword(r, "in"))
        return read_error(r, n->source, "foreach is written: foreach ($x in $list) { ... }");
    n->text = variable->text;
    r->at += 2;
    r->parentheses++;
    struct node *list = skip_line_ends(r) ? read_pipeline(r) : NULL;
    r->parentheses--;
    if (!list || !node_left(r, n, list) || !skip_line_ends(r) || !expect(r, ')', "foreach ("))
        return NULL;
    return node_close(r, node_right(r, n, read_block(r)));
}

struct node *read_statement(struct reader *r)
{
    if (at_keyword(r, "if"))
        return read_if(r);
    if (at_keyword(r, "foreach"))
        return read_foreach(r);
    struct node *n = read_pipeline(r);
    bool assigns = n && (*r->at == '=' || (*r->at && strchr("+-", *r->at) && r->at[1] == '='));
    return assigns ? read_assignment(r, n) : n;
}

struct node *read_statements(struct reader *r, char close)
{
    struct node *n = node_new(r, NODE_STATEMENTS, r->at);
    unsigned outer = r->parentheses;
    if (!enter(r))
        return NULL;
    r->parentheses = 0;
    while (skip_line_ends(r) && *r->at != close) {
        if (*r->at == ';') {
            r->at++;
            continue;
        }
        if (!*r->at)
            return read_end_error(r, "a closing %c is missing", close);
        if (!node_add(r, n, read_statement(r)) || !skip_blanks(r))
            return NULL;
        if (*r->at != close && *r->at != ';' && !at_line_end(r->at))
            return *r->at ? read_error(r, r->at, "'%.20s' is not expected here",
                                       arena_copy(r->arena, r->at, strcspn(r->at, "\r\n")))
                          : read_end_error(r, "a closing %c is missing", close);
    }
    node_close(r, n);
    r->nesting--;
    r->parentheses = outer;
    if (close && !r->err->status)
        r->at++;
    return r->err->status ? NULL : n;
}

int parse_script(struct arena *a, const char *text, struct script *out, struct err *err, const char **where,
                 bool *more)
{
    struct reader r = {.arena = a, .text = text, .at = text, .err = err};
    *out = (struct script){.text = text};
    *where = text;
    *more = false;
    if (strlen(text) > SCRIPT_BYTES_MAX)
        return err_set(err, EXIT_STATUS_USAGE, "the text is longer than %d bytes: divide it",
                       SCRIPT_BYTES_MAX);
    if ((u8)text[0] == 0xef && (u8)text[1] == 0xbb && (u8)text[2] == 0xbf)
        r.at += 3; /* a byte order mark */
    out->statements = read_statements(&r, 0);
    if (out->statements)
        return 0;
    *where = r.where;
    *more = r.more;
    return -1;
}
