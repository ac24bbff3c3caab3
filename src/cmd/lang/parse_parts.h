/* SPDX-License-Identifier: MIT */
/*
 * What the two halves of the parser call of each other. Every reader returns NULL with r->err set, or the
 * node of what it passed, which lives in r->arena; r->at stands behind it. Private to parse.c and
 * parse_expression.c.
 */
#ifndef CMD_LANG_PARSE_PARTS_H
#define CMD_LANG_PARSE_PARTS_H

#include "cmd/lang/lex.h"

/* From the loosest to the tightest. */
enum { LEVEL_LOGICAL, LEVEL_COMPARE, LEVEL_ADD, LEVEL_MULTIPLY, LEVEL_FORMAT, LEVEL_RANGE, LEVEL_LIST };

/* parse_expression.c */
bool enter(struct reader *r); /* one nesting deeper; the caller takes it back from r->nesting */
bool expect(struct reader *r, char c, const char *opened);
void close_behind(struct node *n, const struct node *last); /* n's source ends where that of last does */
bool skip_in_expression(struct reader *r);
struct node *statements_within(struct reader *r, enum node_kind kind, unsigned opening, char close);
struct node *read_parentheses(struct reader *r);
struct node *read_postfix(struct reader *r, struct node *n);
struct node *read_primary(struct reader *r);
struct node *read_list(struct reader *r, struct node *(*read_item)(struct reader *r));
struct node *read_expression(struct reader *r, unsigned level);

/* parse.c */
struct node *read_statement(struct reader *r);
struct node *read_pipeline(struct reader *r);

#endif
