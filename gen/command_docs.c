/* SPDX-License-Identifier: MIT */
/*
 * Writes droste(1) from the rows that the command language itself runs on, so that it names no cmdlet,
 * parameter or refusal that is not there. usage: command_docs VERSION
 */
#define ROWS_WITHOUT_OPS
#include "cmd/lang/rows_data.h"

#include <stdio.h>
#include <string.h>

#include "roff.h"

static const struct row rows[] = {
#include "cmd/commands.def"
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static void sentence(const char *s)
{
    roff(s);
    puts(".");
}

static void between_commas(const char *list)
{
    for (; *list; list++) {
        if (*list == ' ')
            fputs(", ", stdout);
        else
            putchar(*list);
    }
}

static void parameter(const struct param_row *p)
{
    static const char *const types[] = {
        [PARAM_SWITCH] = "",         [PARAM_BOOL] = "Boolean",
        [PARAM_INT] = "Int64",       [PARAM_BYTES] = "Int64",
        [PARAM_REAL] = "Double",     [PARAM_STRING] = "String",
        [PARAM_WORD] = "",           [PARAM_OBJECT] = "",
        [PARAM_SPAN] = "TimeSpan",   [PARAM_BLOCK] = "ScriptBlock",
        [PARAM_TABLE] = "Hashtable", [PARAM_ANY] = "Object",
    };
    printf(".TP\n.B ");
    roff(p->position ? "[-" : "-");
    roff(p->name);
    printf("%s \\fI", p->position ? "]" : "");
    if (p->type == PARAM_WORD)
        between_commas(p->values);
    else
        roff(p->type == PARAM_OBJECT ? p->object : types[p->type]);
    printf("%s\\fR\n", p->many ? "[]" : "");
    sentence(p->help);
    if (p->mandatory)
        puts("Required.");
    if (p->pipe)
        puts("Taken from the pipeline.");
}

static void refused(const struct refused_row *r)
{
    if (strcmp(r->value, "*") == 0)
        fputs("Not built: ", stdout);
    else
        printf("%s is not built: ", r->value);
    sentence(r->why);
}

static void cmdlet(const struct cmdlet_row *c)
{
    printf(".SH \"");
    for (const char *p = c->name; *p; p++)
        printf(*p == '-' ? "\\-" : "%c", *p);
    puts("\"");
    sentence(c->synopsis);
    if (c->description)
        sentence(c->description);
    if (c->aliases) {
        fputs("Aliases: ", stdout);
        between_commas(c->aliases);
        puts(".");
    }
    if (c->changes)
        puts("It has \\-WhatIf and \\-Confirm.");
}

static void example(const struct example_row *e)
{
    fputs(".PP\n.EX\n", stdout);
    roff(e->command);
    fputs("\n.EE\n", stdout);
    sentence(e->text);
}

static void all_rows(void)
{
    for (int i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        if (r->kind == ROW_CMDLET)
            cmdlet(&r->cmdlet);
        else if (r->kind == ROW_PARAM)
            parameter(&r->param);
        else if (r->kind == ROW_REFUSED)
            refused(&r->refused);
        else if (r->kind == ROW_EXAMPLE)
            example(&r->example);
    }
    puts(".SH \"KNOWN AND NOT BUILT\"\nWhat is known from Hyper\\-V and PowerShell, and what to do instead.");
    for (int i = 0; i < ROWS; i++) {
        if (rows[i].kind != ROW_ELSEWHERE)
            continue;
        printf(".TP\n.B ");
        roff(rows[i].elsewhere.name);
        putchar('\n');
        sentence(rows[i].elsewhere.instead);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return fprintf(stderr, "usage: command_docs VERSION\n") < 0 ? 1 : 2;
    printf(
        ".\\\" Made by gen/command_docs.c from src/cmd/*.def\n"
        ".TH DROSTE 1 \"\" \"droste %s\" \"Droste\"\n"
        ".SH NAME\ndroste \\- virtual machines that can run hypervisors\n"
        ".SH SYNOPSIS\n.B droste\n.I CMDLET\n.RI [ ARGUMENT ]...\n.br\n.B droste \\-Command\n.I TEXT\n.br\n"
        ".B droste \\-File\n.I SCRIPT\n.br\n.B droste\n.br\n.B droste run\n.RI [ OPTION ]...\n"
        ".SH DESCRIPTION\nCommands in PowerShell's form: one from the command line, a text, a file, or, on a "
        "terminal, a shell with history and completion.\n"
        "Names are taken without regard to case; a parameter may be shortened as long as it is clear which "
        "is meant.\n"
        "From a Unix shell a parameter may have two dashes, and $true and $false are written true and "
        "false.\n"
        ".BR droste\\-run (1)\nis a virtual machine in the foreground, with nothing stored.\n"
        ".SH \"EXIT STATUS\"\n0; 1 after an error; 2 when a command was not understood.\n"
        ".SH \"SEE ALSO\"\n.BR droste\\-run (1)\n",
        argv[1]);
    all_rows();
    return fflush(stdout) ? 1 : 0;
}
