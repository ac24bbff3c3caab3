/* SPDX-License-Identifier: MIT */
/*
 * What the two halves of the parser share: lex.c reads characters (blanks, comments, quotes, words), parse.c
 * the grammar. A reader stands in the text; every function either moves it on or fails with one error.
 */
#ifndef CMD_LANG_LEX_H
#define CMD_LANG_LEX_H

#include "cmd/lang/parse.h"

enum { TREE_DEPTH_MAX = 256 };

struct reader {
    struct arena *arena;
    const char *text, *at;
    unsigned nesting;
    unsigned parentheses; /* open ones around which line ends are blanks */
    struct err *err;
    const char *where; /* of the error */
    bool more;         /* the error is the text's early end */
};

/* Fails at `where`; always NULL. */
void *read_error(struct reader *, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void *read_end_error(struct reader *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- nodes ---- */
struct node *node_new(struct reader *, enum node_kind, const char *source);
/* These fail when the tree becomes too deep. */
struct node *node_add(struct reader *, struct node *to, struct node *item);
struct node *node_left(struct reader *, struct node *to, struct node *left);
struct node *node_right(struct reader *, struct node *to, struct node *right);
struct node *node_close(struct reader *, struct node *); /* it ends here */

/* ---- characters ---- */
unsigned dash_length(const char *s);  /* bytes of a dash of any kind at s; 0: none */
unsigned single_quote(const char *s); /* likewise */
unsigned double_quote(const char *s);
bool word_char(const char *s); /* may be part of a bare word */
bool name_char(char c);        /* may be part of a name: letters, digits, _ and all that is not ASCII */
bool at_line_end(const char *s);

bool skip_blanks(struct reader *);    /* blanks, comments, continued lines; false: an unclosed comment */
bool skip_line_ends(struct reader *); /* those and line ends, and ; as well when `read_statements` asks */

/* ---- words ---- */
struct node *read_variable(struct reader *);  /* at $ */
struct node *read_quoted(struct reader *);    /* at a quote, or at @ before one */
struct node *read_bare_word(struct reader *); /* an argument; a number when it looks like one */
struct node *read_number(struct reader *);    /* in an expression */
char *read_name(struct reader *);             /* NULL without error when there is none */

/* Of parse.c, for $( ) within strings. The reader stands behind the opening; closed by `close`. */
struct node *read_statements(struct reader *, char close);

#endif
