/* SPDX-License-Identifier: MIT */
/*
 * Commands as data. One list of rows (src/cmd/commands.def and the files it includes) describes every cmdlet;
 * parser, binder, help, completion, manual page and documentation are made from it and from nothing else.
 *
 *     MODULE(hyperv, "Hyper-V", "Microsoft.HyperV.PowerShell.Commands.%s")
 *     CMDLET(start_vm, "Start-VM", hyperv, "Starts a virtual machine", .changes = true, .output =
 * "VirtualMachine") PARAM("Name", PARAM_STRING, "Which ones; * and ? are wildcards", .aliases = "VMName",
 * .many = true, .sets = "Name", .position = AT(0), .mandatory = true, .pipe = PIPE_VALUE) PARAM("VM",
 * PARAM_OBJECT, "The objects that Get-VM gave", .object = "VirtualMachine", .many = true, .sets = "VMObject",
 * .position = AT(0), .mandatory = true, .pipe = PIPE_VALUE) PARAM("Generation", PARAM_INT, "1", .minimum = 1,
 * .maximum = 2) REFUSED("2", "there is no UEFI firmware here: leave -Generation away") EXAMPLE("Start-VM
 * lab", "starts the VM named lab") TYPE("VirtualMachine", "Microsoft.HyperV.PowerShell.VirtualMachine",
 * .names = "Name") COLUMN("Name", "Name") COLUMN("MemoryAssigned(M)", "MemoryAssigned", .divisor = 1048576)
 *         LISTED("Name") LISTED("State")
 *     ELSEWHERE("Move-VM", "Export-VM and Import-VM carry a VM to another host")
 *
 * Rows belong to the CMDLET, PARAM or TYPE row above them; order is the order of help and of positions in
 * listings. The C function of a cmdlet is found by its id: CMDLET(start_vm, ...) needs a
 * `const struct cmdlet_ops cmdlet_start_vm` (cmdlet.h).
 *
 * rows_declare.h makes the rows declare their C functions, rows_data.h makes them data; commands.c does both.
 * A program that needs the words only (gen/) defines ROWS_WITHOUT_OPS before it includes rows_data.h.
 */
#ifndef CMD_LANG_ROWS_H
#define CMD_LANG_ROWS_H

#include "base/types.h"

struct cmdlet_ops;

struct module_row {
    const char *id, *name;
    const char *error_suffix; /* of FullyQualifiedErrorId; %s is the cmdlet without its dash */
};

struct cmdlet_row {
    const char *id, *name, *module, *synopsis;
    const struct cmdlet_ops *ops;
    const char *default_set; /* used when nothing given decides between parameter sets */
    const char *output;      /* type names with blanks between, for help; NULL: none */
    const char *aliases;     /* as of this cmdlet, such as "select" */
    const char *description; /* further sentences for help, or NULL */
    bool changes;            /* it has -WhatIf and -Confirm, and calls call_should() before it acts */
    bool not_in_shell;       /* internal: takes no part in lists and completion */
};

enum param_type {
    PARAM_SWITCH, /* -Name alone, or -Name:$false */
    PARAM_BOOL,   /* needs $true or $false */
    PARAM_INT,
    PARAM_BYTES, /* an INT that is a size: 2GB; a bare number is bytes */
    PARAM_REAL,
    PARAM_STRING,
    PARAM_WORD,   /* one of .values; bound in their spelling */
    PARAM_OBJECT, /* an object of type .object */
    PARAM_SPAN,   /* a time span, or a number of seconds */
    PARAM_BLOCK,  /* { ... } */
    PARAM_TABLE,  /* @{...} */
    PARAM_ANY,
};

enum pipe_binding { PIPE_VALUE = 1, PIPE_NAME = 2 };

/* Positions are counted from 0 as PowerShell's documentation does. */
#define AT(n) ((n) + 1)

struct param_row {
    const char *name;
    enum param_type type;
    const char *help;
    const char *aliases; /* blanks between */
    const char *sets;    /* parameter sets it belongs to, blanks between; NULL: all */
    const char *values; /* of PARAM_WORD: the words, blanks between; of others words that completion offers */
    const char *object; /* of PARAM_OBJECT: the TYPE's id */
    const char *completes; /* what names it takes, for completion: "VM", "File" */
    i64 minimum, maximum;  /* of numbers; both 0: no bounds */
    u8 position;           /* AT(n); 0: by name only */
    u8 pipe;               /* enum pipe_binding bits */
    bool mandatory, many;  /* many: takes an array; each of its elements is of `type` */
    bool rest;             /* takes all that is left over on the command line */
    bool extension;        /* Droste's, not Hyper-V's: help says so */
};

struct refused_row {
    const char *value; /* a wildcard pattern of the value; "*" refuses the parameter whole */
    const char *why;   /* reason and remedy, ends without a full stop */
};

struct example_row {
    const char *command, *text;
};

struct type_row {
    const char *id, *name;
    const char *names; /* the property that stands for the object as a string; NULL: the type's name does */
    bool list;         /* shown as a list by default though it has columns or few properties */
};

enum column_align { ALIGN_LEFT, ALIGN_RIGHT };

struct column_row {
    const char *header, *property;
    i64 divisor; /* numbers are divided by it, downward; 0: not */
    u16 width;   /* 0: as wide as its content */
    enum column_align align;
};

struct listed_row {
    const char *property;
};

struct elsewhere_row {
    const char *name, *instead;
};

enum row_kind {
    ROW_MODULE,
    ROW_CMDLET,
    ROW_PARAM,
    ROW_REFUSED,
    ROW_EXAMPLE,
    ROW_TYPE,
    ROW_COLUMN,
    ROW_LISTED,
    ROW_ELSEWHERE,
};

struct row {
    enum row_kind kind;
    union {
        struct module_row module;
        struct cmdlet_row cmdlet;
        struct param_row param;
        struct refused_row refused;
        struct example_row example;
        struct type_row type;
        struct column_row column;
        struct listed_row listed;
        struct elsewhere_row elsewhere;
    };
};

/* ---- the list as a whole ---- */

/* Names of things of a kind that a parameter .completes, given to each(). */
typedef void complete_names(const char *kind, void (*each)(void *arg, const char *name), void *arg);

struct command_set {
    const struct row *rows;
    unsigned count;
    complete_names *names; /* for completion; NULL: none */
    const void *context;   /* what the program gives its cmdlets (call_commands()); the language ignores it */
};

/* Rows of `kind` that belong to the row `above`: the next one after `at` (begin with `above`), or NULL. */
const struct row *row_next(const struct command_set *, const struct row *above, const struct row *at,
                           enum row_kind kind);
/* For each row of a kind in the whole list: begin with NULL. */
const struct row *row_next_any(const struct command_set *, const struct row *at, enum row_kind kind);

const struct row *row_cmdlet(const struct command_set *, const char *name); /* name or alias; any case */
const struct row *row_module(const struct command_set *, const char *id);
const struct type_row *row_type(const struct command_set *, const char *id);
const struct row *row_of_type(const struct command_set *, const struct type_row *);

/* Is `word` among the words of `list` (blanks between, NULL: empty), without regard to case? Its index, or
 * -1. */
int words_find(const char *list, const char *word);
/* The next word of a list: *at moves behind it. False at the end. */
bool words_next(const char **at, const char **word, size_t *len);

#endif
