/* SPDX-License-Identifier: MIT */
/*
 * The inside of the interpreter: what its files and the language's own cmdlets (core_*.c) share. Other
 * cmdlets see cmdlet.h only.
 *
 * All functions that return int return 0, or -1 when the statement has to end; the reason has been reported
 * by then (or is that the pipeline has enough). Values live in the session's arena, which session.c frees
 * after each statement at top level.
 */
#ifndef CMD_LANG_RUN_H
#define CMD_LANG_RUN_H

#include <stdio.h>

#include "cmd/lang/cmdlet.h"
#include "cmd/lang/parse.h"
#include "cmd/lang/session.h"

enum { CALL_DEPTH_MAX = 100, SET_COUNT_MAX = 32, VARIABLES_MAX = 10000 };

/* ---- the session ---- */

struct variable {
    char *name;
    struct arena *arena; /* what value points into */
    struct value value;
};

struct session {
    const struct command_set *commands;
    struct session_io io;
    struct arena *arena;         /* of the running statement */
    const struct script *script; /* whose text error places are counted in */
    struct variable *variables;
    unsigned variable_count, variable_room;
    struct arena **retired; /* of variables that the running statement has overwritten */
    unsigned retired_count, retired_room;
    size_t retired_bytes;
    struct value underscore; /* $_ */
    unsigned depth;          /* of nested pipelines */
    unsigned long steps;     /* of evaluation: signals are looked for now and then */
    int status;              /* of the first error */
    bool last_failed;        /* $? is its opposite */
};

/* ---- variables ---- */
int must_check variable_get(struct session *, const struct node *, struct value *out);
int must_check variable_set(struct session *, const struct node *, const char *name, struct value v);
/* A preference such as ErrorActionPreference as text; NULL when it is not set. */
const char *variable_text(struct session *, const char *name);

/* ---- evaluation ---- */

/* Where the output of statements goes. */
struct sink {
    int (*put)(struct sink *, struct value);
};
struct collector {
    struct sink sink;
    struct values values;
};
struct collector collector_new(struct session *);

int must_check eval(struct session *, const struct node *, struct value *out);
int must_check run_statements(struct session *, const struct node *, struct sink *);
int must_check run_pipeline(struct session *, const struct node *, struct sink *);
/* A block with $_ set; its output goes to the sink. */
int must_check run_block(struct session *, const struct node *block, struct value underscore, struct sink *);
/* One operator on two values; place is for errors. */
int must_check apply_operator(struct session *, const struct node *place, struct value left,
                              struct value right, struct value *out);
/* v.name as the language has it: a property, Count and Length of anything, or each element's property. */
int must_check get_member(struct session *, const struct node *place, struct value v, const char *name,
                          struct value *out);
/* Fails when the statement has used too much memory or the user has interrupted it. */
int must_check run_check(struct session *, const struct node *place);

/* ---- errors ---- */

struct error_report {
    enum error_id id;
    const struct row *cmdlet; /* NULL: of the language */
    const char *command;      /* its name, or what was typed for it */
    const char *target;       /* NULL: none */
    const struct node *place; /* NULL: unknown */
    const char *text;
    bool usage; /* exit status 2 */
};
/* Prints it in PowerShell's frame and notes the exit status. */
void report(struct session *, const struct error_report *);
/* An error of the language at a node. Always -1. */
int run_fail(struct session *, const struct node *place, enum error_id id, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The frame of a parse error; status 2. */
void report_parse_error(struct session *, const struct script *, const char *where, const char *text);
void report_line(struct session *, const char *kind,
                 const char *text); /* "WARNING: ..." on the error stream */

/* ---- calls ---- */

struct bound {
    const struct row *row;
    const struct param_row *param; /* of row */
    u32 sets;                      /* those it belongs to */
    bool given, from_pipe;
    struct value value;
};

enum error_action { ACTION_CONTINUE, ACTION_SILENT, ACTION_STOP };
enum yes_no { ASK_UNSET, ASK_NO, ASK_YES };

struct pipeline;

struct cmdlet_call {
    struct session *session;
    struct pipeline *pipeline;
    unsigned index; /* of the stage */
    const struct row *row;
    const struct node *node;
    struct bound *args; /* its own parameters, then the common ones */
    unsigned arg_count;
    const char *set_names[SET_COUNT_MAX];
    unsigned set_count;
    u32 line_sets; /* those that the command line leaves possible */
    const char *set;
    void *state;
    struct value input;
    bool piped;
    enum error_action action;
    bool verbose, quiet_warnings, what_if;
    enum yes_no confirm;
    bool yes_to_all, no_to_all;
};

struct pipeline {
    struct session *session;
    struct cmdlet_call *calls;
    unsigned count;
    struct sink *out;
    bool stopped; /* a stage has enough: stages before it end without an error */
    unsigned stopped_at;
};

/* The stage needs no more input; returns -1 for the caller to pass on. */
int call_enough(struct cmdlet_call *);
/* Values into stage `index`; index == count: to the sink. */
int must_check pipeline_put(struct pipeline *, unsigned index, struct value v);

/* ---- binding (bind.c) ---- */

/* The command line's arguments; then what is true of every object. */
int must_check bind_line(struct cmdlet_call *);
/* The parameters for one object (NULL: the cmdlet stands first). 0; -1: reported; the caller asks action. */
int must_check bind_object(struct cmdlet_call *, const struct value *input);
/* The parameter that `name` means: whole, an alias, or an unambiguous beginning. NULL: reported. */
struct bound *bind_find(struct cmdlet_call *, const struct node *parameter);
struct bound *bind_exact(const struct cmdlet_call *, const char *name);

/* Converts v for a parameter (bind_value.c). Returns NULL when it went well, else what is wrong. */
const char *bind_value(struct session *, const struct row *param, struct value v, const struct node *source,
                       struct value *out);
const char *bind_type(const struct param_row *); /* "Int64" */
/* Would it fit without changing its kind? */
bool bind_fits(struct session *, const struct param_row *, struct value v);

/* ---- names ---- */

/* The nearest of some names to what was typed, or NULL. */
struct nearest {
    const char *typed, *best;
    unsigned distance;
};
struct nearest nearest_begin(const char *typed);
void nearest_try(struct nearest *, const char *name);

/* ---- output ---- */
struct formatter;
struct formatter *formatter_new(struct session *);
int must_check formatter_put(struct formatter *, struct value v);
void formatter_end(struct formatter *);
void print(struct session *, const char *text);

#endif
