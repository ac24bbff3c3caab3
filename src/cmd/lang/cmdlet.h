/* SPDX-License-Identifier: MIT */
/*
 * What the C side of a cmdlet sees.
 *
 * How to add a cmdlet: 1. its rows in a .def that src/cmd/commands.def includes (rows.h explains them); 2. in
 * the .c file of its group
 *
 *     static int start_vm(struct cmdlet_call *c)
 *     {
 *         if (!call_should(c, "start the virtual machine \"%s\".", name))
 *             return 0;
 *         ...
 *         return call_error(c, ERROR_INVALID_STATE, name, "Failed to start.\n...");   or
 *         return arg_switch(c, "Passthru") ? emit(c, vm) : 0;
 *     }
 *     const struct cmdlet_ops cmdlet_start_vm = {.process = start_vm};
 *
 * 3. a transcript in tests/commands/. Nothing else: help, completion and manual page follow.
 *
 * How it runs: process() is called once for every object of the pipeline that was bound, or once when the
 * cmdlet stands first; begin() before the first and end() after the last, also when none came. All return 0,
 * or -1 after call_fail() or a failed emit(): the statement ends then, end() is not called, and release() is
 * called in any case. An error told by call_error() is for one object: the pipeline goes on with the next,
 * unless the user gave -ErrorAction Stop; so return what it returns.
 *
 * Ownership: strings and objects that the arg_ functions give, and everything made in call_arena(), live
 * until the statement is over. Nothing of it may be kept longer. A call is used by one thread.
 */
#ifndef CMD_LANG_CMDLET_H
#define CMD_LANG_CMDLET_H

#include "base/err.h"
#include "cmd/lang/rows.h"
#include "cmd/lang/value.h"
#include "config/errors.h"

struct cmdlet_call;

struct cmdlet_ops {
    int (*begin)(struct cmdlet_call *);
    int (*process)(struct cmdlet_call *);
    int (*end)(struct cmdlet_call *);
    void (*release)(
        struct cmdlet_call *); /* of what state holds outside the arena: descriptors, malloced memory */
    size_t state_size;         /* of call_state(), zeroed before begin() */
};

/* ---- arguments: `param` is the PARAM's name as its row spells it; one that no row has is our bug ---- */

bool arg_given(const struct cmdlet_call *, const char *param); /* on the command line or from the pipeline */
struct value arg_value(const struct cmdlet_call *, const char *param); /* the null value when not given */
bool arg_switch(const struct cmdlet_call *, const char *param); /* also of PARAM_BOOL; false when not given */
i64 arg_int(const struct cmdlet_call *, const char *param, i64 otherwise); /* INT, BYTES, SPAN (100 ns) */
const char *arg_string(const struct cmdlet_call *, const char *param); /* STRING, WORD; NULL when not given */
/* The elements of a .many parameter; 0 when not given. One object given is an array of one. */
unsigned arg_count(const struct cmdlet_call *, const char *param);
struct value arg_at(const struct cmdlet_call *, const char *param, unsigned i);
const char *arg_string_at(const struct cmdlet_call *, const char *param, unsigned i);
/* The words of a WORD parameter as a number: the index among .values, or -1 when not given. */
int arg_word(const struct cmdlet_call *, const char *param);
const char *
call_set(const struct cmdlet_call *); /* the parameter set that was chosen; "" when the cmdlet has none */

struct arena *call_arena(const struct cmdlet_call *);
void *call_state(const struct cmdlet_call *);
const char *call_name(const struct cmdlet_call *);   /* "Start-VM" */
struct value call_input(const struct cmdlet_call *); /* the pipeline's present object; null when first */
bool call_piped(const struct cmdlet_call *);         /* something stands before it in the pipeline */
const struct command_set *call_commands(const struct cmdlet_call *);
const struct type_row *call_type(const struct cmdlet_call *,
                                 const char *id); /* for object_new(); must exist */

/* ---- what it gives ---- */

/* To the next in the pipeline. 0, or -1: stop and return -1 (an error further on, or Select-Object -First has
 * enough; both are known already, so say nothing). Arrays are passed as they are: emit their elements. */
int must_check emit(struct cmdlet_call *, struct value v);

/*
 * An error of one object. text: what happened, in the frame Hyper-V gives it, then the rule and the remedy;
 * lines end with \n but the last. target: what it concerns, or NULL. Returns 0 when the pipeline goes on, -1
 * under -ErrorAction Stop. The command's exit status is 1 in any case.
 */
int must_check call_error(struct cmdlet_call *, enum error_id id, const char *target, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* An error that ends the pipeline, whatever -ErrorAction says of the text. Always -1. */
int call_fail(struct cmdlet_call *, enum error_id id, const char *target, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same from a struct err of a lower layer: its id (without one: OPERATION_FAILED) and its text, behind
 * `text` as a line of its own unless that is NULL. */
int must_check call_error_from(struct cmdlet_call *, const struct err *, const char *target,
                               const char *text);
void call_warning(struct cmdlet_call *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void call_verbose(struct cmdlet_call *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line for the person at the terminal, past the pipeline (Write-Host). */
void call_host(struct cmdlet_call *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * For a cmdlet with .changes, before each thing it does. The sentence follows "<Cmdlet> will ", as in
 * "configure the processor settings of the virtual machine \"%s\".". -Verbose shows it, -WhatIf shows it and
 * answers false, -Confirm asks. When the answer is false, go on with the next object.
 */
bool must_check call_should(struct cmdlet_call *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A question that is asked always, of acts that lose something: call it unless -Force was given. Answers true
 * without asking under -Confirm:$false, false under -WhatIf; with nobody to ask it is an error that names
 * -Force. */
bool must_check call_confirmed(struct cmdlet_call *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Sleeps until the time is over or the user interrupts (then false: return 0 soon). */
bool must_check call_sleep(struct cmdlet_call *, i64 milliseconds);

#endif
