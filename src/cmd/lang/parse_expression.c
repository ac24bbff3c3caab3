/* SPDX-License-Identifier: MIT */
/* Words to a tree: values in brackets, what follows a value, operators by their level. Recursive descent. */
#include "cmd/lang/parse_parts.h"

bool enter(struct reader *r)
{
    if (++r->nesting <= NESTING_MAX)
        return true;
    read_error(r, r->at, "brackets are nested more than %d deep: use variables for their parts", NESTING_MAX);
    return false;
}

bool expect(struct reader *r, char c, const char *opened)
{
    if (*r->at == c) {
        r->at++;
        return true;
    }
    if (!*r->at)
        return read_end_error(r, "a closing %c is missing for the %s", c, opened);
    return read_error(r, r->at, "'%.20s' stands where a closing %c is expected for the %s",
                      arena_copy(r->arena, r->at, strcspn(r->at, "\r\n")), c, opened);
}

/* Its source ends where its last part's does: the reader may stand behind blanks. */
void close_behind(struct node *n, const struct node *last)
{
    if (last)
        n->source_len = (size_t)(last->source + last->source_len - n->source);
}

/* ---- brackets ---- */

/* Line ends within braces and $( ) end statements even when parentheses stand around. */
struct node *statements_within(struct reader *r, enum node_kind kind, unsigned opening, char close)
{
    struct node *n = node_new(r, kind, r->at);
    r->at += opening;
    return node_close(r, node_left(r, n, read_statements(r, close)));
}

struct node *read_parentheses(struct reader *r)
{
    struct node *n = node_new(r, NODE_PAREN, r->at);
    r->at++;
    if (!enter(r))
        return NULL;
    r->parentheses++;
    struct node *inside = skip_line_ends(r) ? read_pipeline(r) : NULL;
    r->parentheses--;
    r->nesting--;
    if (!inside || !node_left(r, n, inside) || !skip_line_ends(r) || !expect(r, ')', "("))
        return NULL;
    return node_close(r, n);
}

static struct node *read_key(struct reader *r)
{
    if (single_quote(r->at) || double_quote(r->at))
        return read_quoted(r);
    struct node *n = node_new(r, NODE_LITERAL, r->at);
    n->value = value_static(read_name(r));
    if (n->value.kind == VALUE_NULL)
        return read_error(r, r->at, "@{ } holds lines of the form Name = value");
    return node_close(r, n);
}

static struct node *read_table(struct reader *r)
{
    struct node *n = node_new(r, NODE_TABLE, r->at);
    unsigned outer = r->parentheses;
    r->at += 2;
    r->parentheses = 0;
    if (!enter(r))
        return NULL;
    while (skip_line_ends(r) && *r->at != '}') {
        if (!*r->at)
            return read_end_error(r, "a closing } is missing for the @{");
        if (!node_add(r, n, read_key(r)) || !skip_blanks(r) || !expect(r, '=', "key in @{ }"))
            return NULL;
        if (!skip_line_ends(r) || !node_add(r, n, read_statement(r)) || !skip_blanks(r))
            return NULL;
        if (*r->at == ';')
            r->at++;
        else if (!at_line_end(r->at) && *r->at != '}')
            return read_error(r, r->at, "; or a new line is missing between the entries of @{ }");
    }
    if (r->err->status)
        return NULL;
    r->at++;
    r->nesting--;
    r->parentheses = outer;
    return node_close(r, n);
}

/* Anything that begins with @. */
static struct node *read_at(struct reader *r)
{
    if (r->at[1] == '(')
        return statements_within(r, NODE_ARRAY, 2, ')');
    if (r->at[1] == '{')
        return read_table(r);
    if (single_quote(r->at + 1) || double_quote(r->at + 1))
        return read_quoted(r);
    return read_error(r, r->at,
                      "@ begins @( ), @{ } or a here-string; splatting is not part of this language");
}

/* ---- what follows a value: .Property and [index] ---- */

static struct node *read_property(struct reader *r, struct node *of)
{
    struct node *n = node_new(r, NODE_PROPERTY, of->source);
    r->at++;
    n->text = read_name(r);
    if (*r->at == '(')
        return read_error(r, of->source,
                          "methods such as .%.40s() are not part of this language: use operators, "
                          "properties and cmdlets",
                          n->text);
    return node_close(r, node_left(r, n, of));
}

static struct node *read_index(struct reader *r, struct node *of)
{
    struct node *n = node_new(r, NODE_INDEX, of->source);
    r->at++;
    if (!enter(r))
        return NULL;
    r->parentheses++;
    struct node *index = skip_line_ends(r) ? read_expression(r, 0) : NULL;
    r->parentheses--;
    r->nesting--;
    if (!index || !node_left(r, n, of) || !node_right(r, n, index) || !skip_line_ends(r) ||
        !expect(r, ']', "["))
        return NULL;
    return node_close(r, n);
}

struct node *read_postfix(struct reader *r, struct node *n)
{
    while (n) {
        if (*r->at == '.' && name_char(r->at[1]))
            n = read_property(r, n);
        else if (*r->at == '[')
            n = read_index(r, n);
        else if (r->at[0] == ':' && r->at[1] == ':')
            return read_error(r, r->at, ":: (a member of a .NET type) is not part of this language");
        else
            return n;
    }
    return NULL;
}

/* ---- expressions ---- */

static const struct operator_word {
    const char *name;
    enum operator op;
    u8 level;
    bool has_case; /* -ceq and -ieq are said as well */
} operator_words[] = {
    {"and", OP_AND, LEVEL_LOGICAL, false},
    {"or", OP_OR, LEVEL_LOGICAL, false},
    {"eq", OP_EQ, LEVEL_COMPARE, true},
    {"ne", OP_NE, LEVEL_COMPARE, true},
    {"gt", OP_GT, LEVEL_COMPARE, true},
    {"ge", OP_GE, LEVEL_COMPARE, true},
    {"lt", OP_LT, LEVEL_COMPARE, true},
    {"le", OP_LE, LEVEL_COMPARE, true},
    {"like", OP_LIKE, LEVEL_COMPARE, true},
    {"notlike", OP_NOTLIKE, LEVEL_COMPARE, true},
    {"match", OP_MATCH, LEVEL_COMPARE, true},
    {"notmatch", OP_NOTMATCH, LEVEL_COMPARE, true},
    {"contains", OP_CONTAINS, LEVEL_COMPARE, true},
    {"notcontains", OP_NOTCONTAINS, LEVEL_COMPARE, true},
    {"in", OP_IN, LEVEL_COMPARE, true},
    {"notin", OP_NOTIN, LEVEL_COMPARE, true},
    {"join", OP_JOIN, LEVEL_COMPARE, false},
    {"split", OP_SPLIT, LEVEL_COMPARE, true},
    {"replace", OP_REPLACE, LEVEL_COMPARE, true},
    {"f", OP_FORMAT, LEVEL_FORMAT, false},
};

/* The word behind a dash; *bytes is the length with the dash. NULL when it is no operator. */
static const struct operator_word *operator_word(struct reader *r, size_t *bytes, bool *case_sensitive)
{
    const char *s = r->at + dash_length(r->at);
    size_t len = 0;
    while (name_char(s[len]))
        len++;
    *bytes = (size_t)(s - r->at) + len;
    *case_sensitive = false;
    for (unsigned i = 0; len && i < ARRAY_SIZE(operator_words); i++) {
        const struct operator_word *w = &operator_words[i];
        size_t n = strlen(w->name);
        bool prefixed = w->has_case && len == n + 1 && strchr("cCiI", *s) && text_begins(s + 1, w->name);
        if ((len == n && text_begins(s, w->name)) || prefixed) {
            *case_sensitive = prefixed && strchr("cC", *s);
            return w;
        }
    }
    return NULL;
}

struct found_operator {
    enum operator op;
    unsigned level;
    size_t bytes;
    bool case_sensitive;
};

/* The binary operator at the reader's place; OP_NONE when there is none. */
static struct found_operator find_operator(struct reader *r)
{
    const char *s = r->at;
    struct found_operator f = {OP_NONE, 0, 1, false};
    if (*s == '+' || *s == '*' || *s == '/' || *s == '%') {
        f.op = *s == '+' ? OP_ADD : *s == '*' ? OP_MULTIPLY : *s == '/' ? OP_DIVIDE : OP_REMAINDER;
        f.level = *s == '+' ? LEVEL_ADD : LEVEL_MULTIPLY;
        if (s[1] == '=' || (*s == '+' && s[1] == '+'))
            f.op = OP_NONE;
    } else if (s[0] == '.' && s[1] == '.') {
        f = (struct found_operator){OP_RANGE, LEVEL_RANGE, 2, false};
    } else if (dash_length(s)) {
        size_t bytes;
        const struct operator_word *w = operator_word(r, &bytes, &f.case_sensitive);
        f.bytes = w ? bytes : dash_length(s);
        f.op = w ? w->op : name_char(s[f.bytes]) && !strchr("0123456789", s[f.bytes]) ? OP_NONE : OP_SUBTRACT;
        f.level = w ? w->level : LEVEL_ADD;
        if (!w && (s[f.bytes] == '=' || dash_length(s + f.bytes)))
            f.op = OP_NONE;
    }
    return f;
}

static struct node *unquoted_word(struct reader *r)
{
    size_t len = 0;
    while (word_char(r->at + len) && r->at[len] != ']')
        len++;
    if (!len && !*r->at)
        return read_end_error(r, "the expression ends too early: a value is missing");
    if (!len)
        return read_error(r, r->at, "'%c' stands where a value is expected", *r->at);
    return read_error(r, r->at,
                      "'%.40s' stands where a value is expected: text needs quotes, a command parentheses",
                      arena_copy(r->arena, r->at, len));
}

struct node *read_primary(struct reader *r)
{
    const char *s = r->at;
    struct node *n;
    if (*s == '$')
        n = read_variable(r);
    else if (single_quote(s) || double_quote(s))
        n = read_quoted(r);
    else if (*s == '(')
        n = read_parentheses(r);
    else if (*s == '@')
        n = read_at(r);
    else if (*s == '{')
        n = statements_within(r, NODE_BLOCK, 1, '}');
    else if ((*s >= '0' && *s <= '9') || (*s == '.' && s[1] >= '0' && s[1] <= '9'))
        n = read_number(r);
    else if (*s == '[')
        return read_error(r, s, "types in brackets are not part of this language");
    else
        return unquoted_word(r);
    return read_postfix(r, n);
}

static struct node *read_unary(struct reader *r)
{
    struct node *n = node_new(r, NODE_UNARY, r->at);
    unsigned dash = dash_length(r->at);
    if (*r->at == '!')
        n->op = OP_NOT, r->at++;
    else if (*r->at == ',')
        n->kind = NODE_LIST, r->at++;
    else if (dash && text_begins(r->at + dash, "not") && !name_char(r->at[dash + 3]))
        n->op = OP_NOT, r->at += dash + 3;
    else if (dash && text_begins(r->at + dash, "join") && !name_char(r->at[dash + 4]))
        n->op = OP_JOIN, r->at += dash + 4;
    else if (dash || *r->at == '+')
        n->op = dash ? OP_SUBTRACT : OP_ADD, r->at += dash ? dash : 1;
    else
        return read_primary(r);
    if (!enter(r) || !skip_blanks(r))
        return NULL;
    struct node *operand = read_unary(r);
    r->nesting--;
    return node_close(r, n->kind == NODE_LIST ? node_add(r, n, operand) : node_left(r, n, operand));
}

bool skip_in_expression(struct reader *r)
{
    return r->parentheses ? skip_line_ends(r) : skip_blanks(r);
}

/* What is divided by commas; one alone is itself. */
struct node *read_list(struct reader *r, struct node *(*read_item)(struct reader *r))
{
    struct node *first = read_item(r), *list = NULL;
    while (first && skip_in_expression(r) && *r->at == ',') {
        if (!list) {
            list = node_new(r, NODE_LIST, first->source);
            if (!node_add(r, list, first))
                return NULL;
        }
        r->at++;
        if (!skip_line_ends(r) || !node_add(r, list, read_item(r)))
            return NULL;
        node_close(r, list);
    }
    return r->err->status ? NULL : list ? list : first;
}

struct node *read_expression(struct reader *r, unsigned level)
{
    if (level == LEVEL_LIST)
        return read_list(r, read_unary);
    struct node *left = read_expression(r, level + 1);
    while (left && skip_in_expression(r)) {
        struct found_operator f = find_operator(r);
        if (f.op == OP_NONE || f.level != level)
            return left;
        struct node *n = node_new(r, NODE_BINARY, left->source);
        n->op = f.op;
        n->case_sensitive = f.case_sensitive;
        r->at += f.bytes;
        if (!skip_line_ends(r) || !node_left(r, n, left) || !node_right(r, n, read_expression(r, level + 1)))
            return NULL;
        close_behind(n, n->right);
        left = n;
    }
    return NULL;
}
