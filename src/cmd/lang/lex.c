/* SPDX-License-Identifier: MIT */
/* Characters to words: blanks, comments, quotes with what expands in them, bare words, numbers, variables. */
#include "cmd/lang/lex.h"

#include <stdio.h>

/* ---- errors and nodes ---- */

static void *fail(struct reader *r, const char *where, const char *fmt, va_list ap)
{
    if (!r->err->status)
        r->where = where;
    err_set_id(r->err, EXIT_STATUS_USAGE, 0, "%s", arena_vprintf(r->arena, fmt, ap));
    return NULL;
}

void *read_error(struct reader *r, const char *where, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail(r, where, fmt, ap);
    va_end(ap);
    return NULL;
}

void *read_end_error(struct reader *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!r->err->status)
        r->more = true;
    fail(r, r->at, fmt, ap);
    va_end(ap);
    return NULL;
}

struct node *node_new(struct reader *r, enum node_kind kind, const char *source)
{
    struct node *n = arena_alloc(r->arena, sizeof(*n));
    n->kind = kind;
    n->source = source;
    n->depth = 1;
    return n;
}

static struct node *deepen(struct reader *r, struct node *parent, const struct node *child)
{
    if (!parent || !child)
        return NULL;
    if (child->depth >= parent->depth)
        parent->depth = child->depth + 1;
    if (parent->depth > TREE_DEPTH_MAX)
        return read_error(r, child->source, "this is nested more than %d deep: use variables for its parts",
                          TREE_DEPTH_MAX);
    return parent;
}

struct node *node_add(struct reader *r, struct node *to, struct node *item)
{
    if (!deepen(r, to, item))
        return NULL;
    to->items = arena_grow(r->arena, to->items, to->count, &to->room, sizeof(struct node *));
    to->items[to->count++] = item;
    return to;
}

struct node *node_left(struct reader *r, struct node *to, struct node *left)
{
    if (to)
        to->left = left;
    return deepen(r, to, left);
}

struct node *node_right(struct reader *r, struct node *to, struct node *right)
{
    if (to)
        to->right = right;
    return deepen(r, to, right);
}

struct node *node_close(struct reader *r, struct node *n)
{
    if (n)
        n->source_len = (size_t)(r->at - n->source);
    return n;
}

/* ---- characters ---- */

/* U+2010 to U+201F are E2 80 90 to E2 80 9F. */
static bool general_punctuation(const char *s, u8 first, u8 last)
{
    return (u8)s[0] == 0xe2 && (u8)s[1] == 0x80 && (u8)s[2] >= first && (u8)s[2] <= last;
}

unsigned dash_length(const char *s)
{
    return *s == '-' ? 1 : general_punctuation(s, 0x93, 0x95) ? 3 : 0;
}

unsigned single_quote(const char *s)
{
    return *s == '\'' ? 1 : general_punctuation(s, 0x98, 0x9b) ? 3 : 0;
}

unsigned double_quote(const char *s)
{
    return *s == '"' ? 1 : general_punctuation(s, 0x9c, 0x9e) ? 3 : 0;
}

/* U+00A0 stands in what is pasted from web pages. */
static unsigned blank(const char *s)
{
    return *s == ' ' || *s == '\t' || *s == '\f' || *s == '\v' ? 1
           : (u8)s[0] == 0xc2 && (u8)s[1] == 0xa0              ? 2
                                                               : 0;
}

bool at_line_end(const char *s)
{
    return *s == '\n' || *s == '\r';
}

bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c & 0x80);
}

bool word_char(const char *s)
{
    return *s && !blank(s) && !at_line_end(s) && !strchr("|;,(){}&<>", *s);
}

static bool skip_block_comment(struct reader *r)
{
    const char *end = strstr(r->at + 2, "#>");
    if (!end) {
        r->at += strlen(r->at);
        return read_end_error(r, "a comment that <# begins is not closed by #>");
    }
    r->at = end + 2;
    return true;
}

bool skip_blanks(struct reader *r)
{
    for (;;) {
        unsigned n = blank(r->at);
        if (n) {
            r->at += n;
        } else if (*r->at == '`' && at_line_end(r->at + 1)) {
            r->at += r->at[1] == '\r' && r->at[2] == '\n' ? 3 : 2;
        } else if (*r->at == '`' && !r->at[1]) {
            r->at++;
            return read_end_error(r, "the line that ` continues is missing");
        } else if (*r->at == '#') {
            r->at += strcspn(r->at, "\r\n");
        } else if (r->at[0] == '<' && r->at[1] == '#') {
            if (!skip_block_comment(r))
                return false;
        } else {
            return true;
        }
    }
}

bool skip_line_ends(struct reader *r)
{
    do {
        if (!skip_blanks(r))
            return false;
    } while (at_line_end(r->at) && r->at++);
    return true;
}

/* ---- variables ---- */

char *read_name(struct reader *r)
{
    const char *start = r->at;
    while (name_char(*r->at) && !dash_length(r->at) && !single_quote(r->at) && !double_quote(r->at) &&
           !blank(r->at))
        r->at++;
    return r->at == start ? NULL : arena_copy(r->arena, start, (size_t)(r->at - start));
}

static struct node *sub_expression(struct reader *r)
{
    struct node *n = node_new(r, NODE_SUB, r->at);
    r->at += 2;
    return node_close(r, node_left(r, n, read_statements(r, ')')));
}

/* ${any name} */
static struct node *braced_variable(struct reader *r)
{
    struct node *n = node_new(r, NODE_VARIABLE, r->at);
    const char *name = r->at + 2, *end = strchr(name, '}');
    if (!end || end == name)
        return read_error(r, r->at, "${ needs a name and a closing }");
    n->text = arena_copy(r->arena, name, (size_t)(end - name));
    r->at = end + 1;
    return node_close(r, n);
}

/* Does $ begin something here? In strings it may stand for itself. */
static bool begins_variable(const char *s)
{
    return s[1] == '(' || s[1] == '{' || s[1] == '?' || s[1] == '$' ||
           (name_char(s[1]) && !dash_length(s + 1) && !single_quote(s + 1) && !double_quote(s + 1) &&
            !blank(s + 1));
}

struct node *read_variable(struct reader *r)
{
    if (!begins_variable(r->at))
        return read_error(r, r->at, "$ needs the name of a variable behind it");
    if (r->at[1] == '(')
        return sub_expression(r);
    if (r->at[1] == '{')
        return braced_variable(r);
    struct node *n = node_new(r, NODE_VARIABLE, r->at);
    r->at++;
    n->text = read_name(r);
    if (!n->text) {
        n->text = arena_copy(r->arena, r->at, 1);
        r->at++;
    } else if (text_equal(n->text, "env") && *r->at == ':' && name_char(r->at[1])) {
        r->at++;
        n->text = arena_printf(r->arena, "env:%s", read_name(r));
    }
    return node_close(r, n);
}

/* ---- quotes ---- */

/* Text and expansions that make up one word. */
struct parts {
    struct node *node; /* NODE_EXPAND */
    struct text text;
};

static bool flush_text(struct reader *r, struct parts *p)
{
    if (!p->text.len)
        return true;
    struct node *n = node_new(r, NODE_LITERAL, r->at);
    n->value = value_static(text_string(&p->text));
    p->text = (struct text){.arena = r->arena};
    return node_add(r, p->node, n);
}

static bool add_expansion(struct reader *r, struct parts *p)
{
    if (!begins_variable(r->at) || (r->at[1] == '$' || r->at[1] == '?')) {
        text_putc(&p->text, *r->at++);
        return true;
    }
    return flush_text(r, p) && node_add(r, p->node, read_variable(r));
}

static void put_code_point(struct text *t, u32 c)
{
    if (c < 0x80) {
        text_putc(t, (char)c);
    } else if (c < 0x800) {
        text_putc(t, (char)(0xc0 | c >> 6));
        text_putc(t, (char)(0x80 | (c & 63)));
    } else {
        text_putc(t, (char)(c < 0x10000 ? 0xe0 | c >> 12 : 0xf0 | c >> 18));
        if (c >= 0x10000)
            text_putc(t, (char)(0x80 | (c >> 12 & 63)));
        text_putc(t, (char)(0x80 | (c >> 6 & 63)));
        text_putc(t, (char)(0x80 | (c & 63)));
    }
}

/* `u{1F600} */
static bool add_code_point(struct reader *r, struct text *t)
{
    u32 c;
    int n = 0;
    if (sscanf(r->at, "`u{%6x}%n", &c, &n) != 1 || !n || !c || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return read_error(r, r->at, "`u needs a code point in braces, such as `u{20AC}");
    r->at += n;
    put_code_point(t, c);
    return true;
}

/* A backtick and what follows it, within double quotes or a bare word. */
static bool add_escape(struct reader *r, struct text *t)
{
    static const char from[] = "abefnrtv", to[] = "\a\b\033\f\n\r\t\v";
    char c = r->at[1];
    const char *known = c ? strchr(from, c) : NULL;
    if (!c) {
        r->at++;
        return read_end_error(r, "` is the last character: it needs one behind it");
    }
    if (c == '0')
        return read_error(r, r->at, "`0 is refused: strings hold no NUL character");
    if (c == 'u' && r->at[2] == '{')
        return add_code_point(r, t);
    unsigned n = single_quote(r->at + 1) + double_quote(r->at + 1) + dash_length(r->at + 1);
    if (known)
        text_putc(t, to[known - from]);
    else
        text_add(t, r->at + 1, n ? n : 1);
    r->at += 1 + (known || !n ? 1 : n);
    return true;
}

/* One literal when nothing expands. */
static struct node *parts_node(struct reader *r, struct parts *p)
{
    if (p->node->count == 0) {
        p->node->kind = NODE_LITERAL;
        p->node->value = value_static(text_string(&p->text));
    } else if (!flush_text(r, p)) {
        return NULL;
    }
    return node_close(r, p->node);
}

static bool add_double_quoted(struct reader *r, struct parts *p)
{
    const char *open = r->at;
    r->at += double_quote(r->at);
    for (;;) {
        unsigned n = double_quote(r->at);
        if (n && !double_quote(r->at + n)) {
            r->at += n;
            return true;
        }
        if (!*r->at)
            return read_end_error(r, "the string that begins with %.20s is not closed: a \" is missing",
                                  open);
        if (n) {
            text_add(&p->text, r->at, n);
            r->at += n + double_quote(r->at + n);
        } else if (*r->at == '`') {
            if (!add_escape(r, &p->text))
                return false;
        } else if (*r->at == '$') {
            if (!add_expansion(r, p))
                return false;
        } else {
            text_putc(&p->text, *r->at++);
        }
    }
}

static bool add_single_quoted(struct reader *r, struct parts *p)
{
    const char *open = r->at;
    r->at += single_quote(r->at);
    for (;;) {
        unsigned n = single_quote(r->at);
        if (!*r->at)
            return read_end_error(r, "the string that begins with %.20s is not closed: a ' is missing", open);
        if (n && !single_quote(r->at + n)) {
            r->at += n;
            return true;
        }
        text_add(&p->text, r->at, n ? n : 1);
        r->at += n ? n + single_quote(r->at + n) : 1;
    }
}

static bool here_string_ends(const char *s, bool expands)
{
    s += *s == '\r';
    if (*s != '\n')
        return false;
    unsigned n = expands ? double_quote(s + 1) : single_quote(s + 1);
    return n && s[1 + n] == '@';
}

/* @" line end ... line end "@ */
static struct node *here_string(struct reader *r)
{
    struct parts p = {node_new(r, NODE_EXPAND, r->at), {.arena = r->arena}};
    bool expands = double_quote(r->at + 1);
    r->at += 1 + single_quote(r->at + 1) + double_quote(r->at + 1);
    r->at += strspn(r->at, " \t");
    if (!at_line_end(r->at))
        return *r->at ? read_error(r, r->at, "the text of a here-string begins on the next line")
                      : read_end_error(r, "the here-string is not closed: \"@ or '@ is missing");
    bool empty = here_string_ends(r->at, expands);
    if (!empty)
        r->at += r->at[0] == '\r' && r->at[1] == '\n' ? 2 : 1;
    while (!here_string_ends(r->at, expands)) {
        if (!*r->at)
            return read_end_error(r, "the here-string is not closed: \"@ or '@ is missing");
        if (expands && *r->at == '`') {
            if (!add_escape(r, &p.text))
                return NULL;
        } else if (expands && *r->at == '$') {
            if (!add_expansion(r, &p))
                return NULL;
        } else {
            text_putc(&p.text, *r->at++);
        }
    }
    r->at = strchr(r->at, '\n') + 1;
    r->at += single_quote(r->at) + double_quote(r->at) + 1;
    return parts_node(r, &p);
}

struct node *read_quoted(struct reader *r)
{
    if (*r->at == '@')
        return here_string(r);
    struct parts p = {node_new(r, NODE_EXPAND, r->at), {.arena = r->arena}};
    bool ok = double_quote(r->at) ? add_double_quoted(r, &p) : add_single_quoted(r, &p);
    return ok ? parts_node(r, &p) : NULL;
}

/* ---- bare words and numbers ---- */

struct node *read_bare_word(struct reader *r)
{
    struct parts p = {node_new(r, NODE_EXPAND, r->at), {.arena = r->arena}};
    bool quoted = false;
    while (word_char(r->at)) {
        bool ok = true;
        if (*r->at == '`') {
            if (at_line_end(r->at + 1))
                break;
            ok = add_escape(r, &p.text);
            quoted = true;
        } else if (*r->at == '$') {
            ok = add_expansion(r, &p);
        } else if (double_quote(r->at) || single_quote(r->at)) {
            ok = double_quote(r->at) ? add_double_quoted(r, &p) : add_single_quoted(r, &p);
            quoted = true;
        } else {
            text_putc(&p.text, *r->at++);
        }
        if (!ok)
            return NULL;
    }
    struct node *n = parts_node(r, &p);
    if (n && n->kind == NODE_LITERAL && !quoted) {
        n->bare = true;
        n->text = n->value.string;
        value_parse_number(n->text, strlen(n->text), &n->value);
    }
    return n;
}

struct node *read_number(struct reader *r)
{
    struct node *n = node_new(r, NODE_LITERAL, r->at);
    while (name_char(*r->at) || (*r->at == '.' && r->at[1] != '.' && name_char(r->at[1])))
        r->at++;
    n->bare = true;
    node_close(r, n);
    n->text = arena_copy(r->arena, n->source, n->source_len);
    if (!value_parse_number(n->text, n->source_len, &n->value))
        return read_error(r, n->source, "'%.40s' is no number", n->text);
    return n;
}
