/* SPDX-License-Identifier: MIT */
/*
 * Text to a tree. The language is the part of PowerShell's that people type at Hyper-V's cmdlets; what it
 * does not have (functions, classes, types in brackets, methods, redirection) is refused by name. Any text
 * ends in a tree or in one error with its place; nesting and length are bounded.
 */
#ifndef CMD_LANG_PARSE_H
#define CMD_LANG_PARSE_H

#include "base/err.h"
#include "cmd/lang/value.h"

enum { SCRIPT_BYTES_MAX = 1 << 20, NESTING_MAX = 64 };

enum node_kind {
    NODE_LITERAL,    /* value */
    NODE_VARIABLE,   /* text: the name without $, "env:NAME" for the environment */
    NODE_EXPAND,     /* items: parts of a string in double quotes, joined */
    NODE_LIST,       /* items: a, b, c */
    NODE_ARRAY,      /* left: the statements of @( ) */
    NODE_SUB,        /* left: the statements of $( ) */
    NODE_PAREN,      /* left: the one pipeline of ( ) */
    NODE_TABLE,      /* items: key, value, key, value ... of @{ } */
    NODE_BLOCK,      /* left: the statements of { } */
    NODE_PROPERTY,   /* left . text */
    NODE_INDEX,      /* left [ right ] */
    NODE_UNARY,      /* op, left */
    NODE_BINARY,     /* left op right */
    NODE_PARAMETER,  /* text: the name without dash; left: the value after a colon, or NULL */
    NODE_COMMAND,    /* text: its name; items: arguments and NODE_PARAMETERs */
    NODE_PIPELINE,   /* items: NODE_COMMANDs; the first may be an expression */
    NODE_ASSIGN,     /* text: the variable; op: OP_ADD for +=, OP_NONE for =; left: a statement */
    NODE_IF,         /* items: condition, statements, condition, statements ..., [statements of else] */
    NODE_FOREACH,    /* text: the variable; left: what it runs over; right: statements */
    NODE_STATEMENTS, /* items */
};

enum operator{
    OP_NONE,
    OP_ADD,
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_DIVIDE,
    OP_REMAINDER,
    OP_NOT,
    OP_AND,
    OP_OR,
    OP_EQ,
    OP_NE,
    OP_GT,
    OP_GE,
    OP_LT,
    OP_LE,
    OP_LIKE,
    OP_NOTLIKE,
    OP_MATCH,
    OP_NOTMATCH,
    OP_CONTAINS,
    OP_NOTCONTAINS,
    OP_IN,
    OP_NOTIN,
    OP_JOIN,
    OP_SPLIT,
    OP_REPLACE,
    OP_RANGE,
    OP_FORMAT,
};

struct node {
    enum node_kind kind;
    enum operator op;
    bool case_sensitive; /* of an operator: -ceq */
    bool bare;           /* a literal that stood without quotes */
    bool shell_word; /* a word of a Unix command line: it may hold a list, and text the shell has expanded */
    const char *text;
    struct value value;
    struct node *left, *right;
    struct node **items;
    unsigned count, room, depth;
    const char *source; /* where it stands; not NUL-terminated at source_len */
    size_t source_len;
};

struct script {
    const char *text; /* whole */
    const char *name; /* of the file, or NULL when typed */
    struct node *statements;
};

/* 0, or -1 with *err (status EXIT_STATUS_USAGE) and *where in the text. *more: the text only ends too early,
 * so a shell may read another line. All memory is the arena's; text must live as long. */
int must_check parse_script(struct arena *, const char *text, struct script *out, struct err *err,
                            const char **where, bool *more);
/* The words of a Unix command line: one command, its arguments already split. */
int must_check parse_words(struct arena *, int argc, char *const *argv, struct script *out, struct err *err);

#endif
