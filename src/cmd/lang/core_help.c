/* SPDX-License-Identifier: MIT */
/* Get-Help and Get-Command: what the rows say, as text and as objects. */
#include "cmd/lang/format.h"
#include "cmd/lang/run.h"

extern const struct cmdlet_ops cmdlet_get_help, cmdlet_get_command;

enum { HELP_WIDTH = 100 };

/* ---- one parameter ---- */

static const char *type_name(struct arena *a, const struct param_row *p)
{
    static const char *const names[] = {
        [PARAM_SWITCH] = "",           [PARAM_BOOL] = "Boolean",    [PARAM_INT] = "Int64",
        [PARAM_BYTES] = "Int64",       [PARAM_REAL] = "Double",     [PARAM_STRING] = "String",
        [PARAM_WORD] = "String",       [PARAM_OBJECT] = "",         [PARAM_SPAN] = "TimeSpan",
        [PARAM_BLOCK] = "ScriptBlock", [PARAM_TABLE] = "Hashtable", [PARAM_ANY] = "Object",
    };
    return arena_printf(a, "%s%s", p->type == PARAM_OBJECT ? p->object : names[p->type], p->many ? "[]" : "");
}

static const char *words_between(struct arena *a, const char *list, const char *between)
{
    struct text t = {.arena = a};
    const char *word;
    size_t len;
    while (words_next(&list, &word, &len)) {
        text_puts(&t, t.len ? between : "");
        text_add(&t, word, len);
    }
    return text_string(&t);
}

/* "[-Name] <String[]>", in brackets when it may be left away. */
static const char *syntax_of(struct arena *a, const struct param_row *p)
{
    const char *name = arena_printf(a, p->position ? "[-%s]" : "-%s", p->name);
    const char *type =
        p->type == PARAM_WORD ? arena_printf(a, "{%s}", words_between(a, p->values, " | ")) : type_name(a, p);
    const char *whole = p->type == PARAM_SWITCH ? name
                        : p->type == PARAM_WORD ? arena_printf(a, "%s %s", name, type)
                                                : arena_printf(a, "%s <%s>", name, type);
    return p->mandatory ? whole : arena_printf(a, "[%s]", whole);
}

static bool is_refused(const struct command_set *set, const struct row *param)
{
    const struct row *r = row_next(set, param, param, ROW_REFUSED);
    return r && strcmp(r->refused.value, "*") == 0;
}

/* ---- lines ---- */

/* Emits words with line ends where the width demands, `indent` blanks before each line. */
static int emit_wrapped(struct cmdlet_call *c, unsigned indent, const char *text)
{
    while (*text) {
        size_t room = HELP_WIDTH - indent, n = strlen(text);
        if (n > room) {
            for (n = room; n && text[n] != ' '; n--)
                ;
            n = n ? n : room;
        }
        if (emit(c, value_printf(call_arena(c), "%*s%.*s", (int)indent, "", (int)n, text)) < 0)
            return -1;
        text += n + (text[n] == ' ');
    }
    return 0;
}

static int emit_heading(struct cmdlet_call *c, const char *heading)
{
    return emit(c, value_static("")) < 0 ? -1 : emit(c, value_static(heading));
}

/* ---- syntax ---- */

/* The next parameter set's name; NULL when there are no more, "" for the one of a cmdlet without sets. */
static const char *next_set(struct cmdlet_call *c, const struct row *cmdlet, struct values *seen)
{
    const struct command_set *set = call_commands(c);
    for (const struct row *r = cmdlet; (r = row_next(set, cmdlet, r, ROW_PARAM));) {
        const char *list = r->param.sets, *word;
        size_t len;
        while (words_next(&list, &word, &len)) {
            const char *name = arena_copy(call_arena(c), word, len);
            bool known = false;
            for (unsigned i = 0; i < seen->count; i++)
                known |= text_equal(seen->items[i].string, name);
            if (!known) {
                values_add(seen, value_static(name));
                return name;
            }
        }
    }
    if (seen->count)
        return NULL;
    values_add(seen, value_static(""));
    return "";
}

static int emit_syntax(struct cmdlet_call *c, const struct row *cmdlet)
{
    const struct command_set *set = call_commands(c);
    struct values seen = {.arena = call_arena(c)};
    for (const char *name; (name = next_set(c, cmdlet, &seen));) {
        struct text t = {.arena = call_arena(c)};
        text_puts(&t, cmdlet->cmdlet.name);
        for (const struct row *r = cmdlet; (r = row_next(set, cmdlet, r, ROW_PARAM));)
            if (!is_refused(set, r) && (!r->param.sets || words_find(r->param.sets, name) >= 0))
                text_printf(&t, " %s", syntax_of(call_arena(c), &r->param));
        text_puts(&t, cmdlet->cmdlet.changes ? " [-WhatIf] [-Confirm] [<CommonParameters>]"
                                             : " [<CommonParameters>]");
        if (emit_wrapped(c, 4, text_string(&t)) < 0)
            return -1;
    }
    return 0;
}

/* ---- parameters ---- */

static int emit_detail(struct cmdlet_call *c, const char *what, const char *value)
{
    return *value ? emit(c, value_printf(call_arena(c), "        %-18s%s", what, value)) : 0;
}

static const char *pipe_of(const struct param_row *p)
{
    static const char *const names[] = {"", "by value", "by property name", "by value, by property name"};
    return names[p->pipe];
}

static int emit_details(struct cmdlet_call *c, const struct param_row *p)
{
    struct arena *a = call_arena(c);
    const char *position = p->position ? arena_printf(a, "%d", p->position - 1) : "";
    const char *range = p->minimum || p->maximum
                            ? arena_printf(a, "%lld to %lld", (long long)p->minimum, (long long)p->maximum)
                            : "";
    if (emit_detail(c, "Required", p->mandatory ? "true" : "") < 0 ||
        emit_detail(c, "Position", position) < 0 || emit_detail(c, "Pipeline", pipe_of(p)) < 0 ||
        emit_detail(c, "Aliases", words_between(a, p->aliases, ", ")) < 0 ||
        emit_detail(c, "Range", range) < 0)
        return -1;
    return emit_detail(c, "Parameter sets", words_between(a, p->sets, ", "));
}

static int emit_parameter(struct cmdlet_call *c, const struct row *r, bool details)
{
    const struct command_set *set = call_commands(c);
    struct arena *a = call_arena(c);
    const struct param_row *p = &r->param;
    const char *accepts = p->type == PARAM_WORD ? words_between(a, p->values, ", ") : type_name(a, p);
    if (emit(c, value_printf(a, "    -%s%s%s%s", p->name, *accepts ? " <" : "", accepts,
                             *accepts ? ">" : "")) < 0)
        return -1;
    if (emit_wrapped(c, 8,
                     arena_printf(a, "%s%s", p->help, p->extension ? " (an extension of Droste's)" : "")) < 0)
        return -1;
    for (const struct row *no = r; (no = row_next(set, r, no, ROW_REFUSED));)
        if (emit_wrapped(c, 8,
                         strcmp(no->refused.value, "*") == 0
                             ? arena_printf(a, "Not built: %s", no->refused.why)
                             : arena_printf(a, "%s is not built: %s", no->refused.value, no->refused.why)) <
            0)
            return -1;
    return details ? emit_details(c, p) : 0;
}

static int emit_parameters(struct cmdlet_call *c, const struct row *cmdlet, const char *only, bool details)
{
    unsigned shown = 0;
    for (const struct row *r = cmdlet; (r = row_next(call_commands(c), cmdlet, r, ROW_PARAM));) {
        if (only && !wildcard_match(only, r->param.name))
            continue;
        shown++;
        if (emit_parameter(c, r, details) < 0)
            return -1;
    }
    if (only && !shown)
        return call_error(c, ERROR_HELP_NOT_FOUND, only, "%s has no parameter that matches '%.60s'.",
                          cmdlet->cmdlet.name, only);
    return 0;
}

static int emit_examples(struct cmdlet_call *c, const struct row *cmdlet)
{
    for (const struct row *r = cmdlet; (r = row_next(call_commands(c), cmdlet, r, ROW_EXAMPLE));) {
        if (emit(c, value_printf(call_arena(c), "    PS> %s", r->example.command)) < 0 ||
            emit_wrapped(c, 8, r->example.text) < 0)
            return -1;
    }
    return 0;
}

/* ---- Get-Help ---- */

static int emit_summary(struct cmdlet_call *c, const struct row *r)
{
    struct arena *a = call_arena(c);
    if (emit(c, value_static("NAME")) < 0 || emit(c, value_printf(a, "    %s", r->cmdlet.name)) < 0 ||
        emit_heading(c, "SYNOPSIS") < 0 || emit_wrapped(c, 4, r->cmdlet.synopsis) < 0)
        return -1;
    return r->cmdlet.description ? emit_wrapped(c, 4, r->cmdlet.description) : 0;
}

static int emit_cmdlet_help(struct cmdlet_call *c, const struct row *r)
{
    bool full = arg_switch(c, "Full");
    if (arg_given(c, "Parameter"))
        return emit_parameters(c, r, arg_string(c, "Parameter"), true);
    if (emit_summary(c, r) < 0)
        return -1;
    if (!arg_switch(c, "Examples")) {
        if (emit_heading(c, "SYNTAX") < 0 || emit_syntax(c, r) < 0)
            return -1;
        if (row_next(call_commands(c), r, r, ROW_PARAM) &&
            (emit_heading(c, "PARAMETERS") < 0 || emit_parameters(c, r, NULL, full) < 0))
            return -1;
        if (r->cmdlet.aliases &&
            (emit_heading(c, "ALIASES") < 0 ||
             emit_wrapped(c, 4, words_between(call_arena(c), r->cmdlet.aliases, ", ")) < 0))
            return -1;
        if (r->cmdlet.output &&
            (emit_heading(c, "OUTPUTS") < 0 ||
             emit_wrapped(c, 4, words_between(call_arena(c), r->cmdlet.output, ", ")) < 0))
            return -1;
    }
    if (!row_next(call_commands(c), r, r, ROW_EXAMPLE))
        return 0;
    return emit_heading(c, "EXAMPLES") < 0 ? -1 : emit_examples(c, r);
}

static int emit_overview(struct cmdlet_call *c)
{
    if (emit(c, value_static("Get-Help NAME explains a cmdlet; Get-Help NAME -Examples shows it at work.")) <
            0 ||
        emit(c, value_static("")) < 0)
        return -1;
    for (const struct row *r = NULL; (r = row_next_any(call_commands(c), r, ROW_CMDLET));)
        if (!r->cmdlet.not_in_shell &&
            emit(c, value_printf(call_arena(c), "    %-30s %s", r->cmdlet.name, r->cmdlet.synopsis)) < 0)
            return -1;
    return 0;
}

static int no_help(struct cmdlet_call *c, const char *name)
{
    struct nearest near = nearest_begin(name);
    for (const struct row *r = NULL; (r = row_next_any(call_commands(c), r, ROW_ELSEWHERE));)
        if (text_equal(r->elsewhere.name, name))
            return call_error(c, ERROR_COMMAND_NOT_BUILT, name, "%s is not built: %s.", r->elsewhere.name,
                              r->elsewhere.instead);
    for (const struct row *r = NULL; (r = row_next_any(call_commands(c), r, ROW_CMDLET));)
        if (!r->cmdlet.not_in_shell)
            nearest_try(&near, r->cmdlet.name);
    return call_error(c, ERROR_HELP_NOT_FOUND, name, "There is no cmdlet '%.60s'.%s%s%s", name,
                      near.best ? " Did you mean " : "",
                      near.best ? near.best : " Get-Help lists those there are.", near.best ? "?" : "");
}

static int get_help(struct cmdlet_call *c)
{
    const char *name = arg_string(c, "Name");
    if (!name)
        return emit_overview(c);
    const struct row *row = row_cmdlet(call_commands(c), name);
    return row && !row->cmdlet.not_in_shell ? emit_cmdlet_help(c, row) : no_help(c, name);
}
const struct cmdlet_ops cmdlet_get_help = {.process = get_help};

/* ---- Get-Command ---- */

static bool any_matches(struct cmdlet_call *c, const char *param, const char *s)
{
    for (unsigned i = 0; i < arg_count(c, param); i++)
        if (wildcard_match(arg_string_at(c, param, i), s))
            return true;
    return !arg_given(c, param);
}

static bool wanted(struct cmdlet_call *c, const struct row *r)
{
    const char *name = r->cmdlet.name, *dash = strchr(name, '-');
    const struct row *module = row_module(call_commands(c), r->cmdlet.module);
    if (r->cmdlet.not_in_shell || !dash)
        return false;
    return any_matches(c, "Name", name) && any_matches(c, "Noun", dash + 1) &&
           any_matches(c, "Verb", arena_copy(call_arena(c), name, (size_t)(dash - name))) &&
           any_matches(c, "Module", module ? module->module.name : "");
}

static struct value command_info(struct cmdlet_call *c, const struct row *r)
{
    const struct row *module = row_module(call_commands(c), r->cmdlet.module);
    struct value o = object_new(call_arena(c), call_type(c, "CmdletInfo"));
    object_set(o, "CommandType", value_static("Cmdlet"));
    object_set(o, "Name", value_static(r->cmdlet.name));
    object_set(o, "Source", value_static(module ? module->module.name : ""));
    object_set(o, "Synopsis", value_static(r->cmdlet.synopsis));
    object_set(o, "Aliases", value_static(words_between(call_arena(c), r->cmdlet.aliases, ", ")));
    return o;
}

static int get_command(struct cmdlet_call *c)
{
    unsigned found = 0;
    for (const struct row *r = NULL; (r = row_next_any(call_commands(c), r, ROW_CMDLET));) {
        if (!wanted(c, r))
            continue;
        found++;
        if (emit(c, command_info(c, r)) < 0)
            return -1;
    }
    const char *name = arg_string_at(c, "Name", 0);
    if (!found && name && !wildcard_has(name))
        return call_error(c, ERROR_COMMAND_NOT_FOUND, name,
                          "The term '%.60s' is not recognized as the name of a cmdlet.", name);
    return 0;
}
const struct cmdlet_ops cmdlet_get_command = {.process = get_command};
