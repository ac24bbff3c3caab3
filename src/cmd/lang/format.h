/* SPDX-License-Identifier: MIT */
/*
 * Objects as text, as PowerShell prints them: tables whose columns are as wide as their content, and lists of
 * "Name : value". What a table or list consists of is made as lines, so that Format-Table's output can go on
 * through a pipeline. Only on a terminal is anything cut off.
 */
#ifndef CMD_LANG_FORMAT_H
#define CMD_LANG_FORMAT_H

#include "cmd/lang/run.h"

/* One line at a time, without its end. 0 or -1, which ends the making. */
struct lines {
    int (*put)(struct lines *, const char *line);
};

struct table_options {
    const struct array *properties; /* names, wildcards allowed; NULL: the type's columns */
    bool no_header;
};
int must_check format_table(struct session *, const struct values *objects, const struct table_options *,
                            struct lines *);
int must_check format_list(struct session *, const struct values *objects, const struct array *properties,
                           struct lines *);

/* A value as it stands in a table's cell or a list: {a, b}, True, 00:01:13. Control characters become ?. */
const char *format_cell(struct session *, struct value v);
unsigned text_width(const char *s); /* in columns of a terminal */

/* Property names of an object that match a list of names and wildcards, in the list's order; a name that
 * matches nothing stands for itself. NULL: all. */
void select_names(struct session *, struct value object, const struct array *wanted, struct values *names);

#endif
