/* SPDX-License-Identifier: MIT */
/*
 * Arguments to parameters. First the command line, once: names, then positions; each bound parameter rules
 * out the sets it does not belong to. Then for every object of the pipeline, by value and by property name,
 * first where the kind fits as it is, then where it can be converted. What is left must have all its
 * mandatory parameters.
 */
#include "cmd/lang/run.h"

static const char shell_removed[] =
    "your shell removed $true or $false: -%s needs a value. From a Unix shell write true or false:\n    "
    "droste %s ... -%s true\n"
    "or put the whole command into single quotes:\n    droste -Command '%s ... -%s $true'";

static int fail(struct cmdlet_call *c, enum error_id id, const struct node *place, bool usage,
                const char *text)
{
    report(c->session, &(struct error_report){.id = id,
                                              .cmdlet = c->row,
                                              .command = c->row->cmdlet.name,
                                              .place = place ? place : c->node,
                                              .text = text,
                                              .usage = usage});
    return -1;
}

/* ---- the parameters there are ---- */

static u32 set_bits(struct cmdlet_call *c, const char *list)
{
    const char *word;
    size_t len;
    u32 bits = list ? 0 : ~0u;
    while (words_next(&list, &word, &len)) {
        unsigned i = 0;
        while (i < c->set_count &&
               !(strlen(c->set_names[i]) == len && strncmp(c->set_names[i], word, len) == 0))
            i++;
        if (i == c->set_count) {
            bug_on(c->set_count == SET_COUNT_MAX, "%s has too many parameter sets", c->row->cmdlet.name);
            c->set_names[c->set_count++] = arena_copy(c->session->arena, word, len);
        }
        bits |= 1u << i;
    }
    return bits;
}

static void add_params(struct cmdlet_call *c, const struct row *of, unsigned *room)
{
    for (const struct row *r = of; r && (r = row_next(c->session->commands, of, r, ROW_PARAM));) {
        c->args = arena_grow(c->session->arena, c->args, c->arg_count, room, sizeof(*c->args));
        c->args[c->arg_count++] =
            (struct bound){.row = r, .param = &r->param, .sets = set_bits(c, r->param.sets)};
    }
}

static void collect_params(struct cmdlet_call *c)
{
    unsigned room = 0;
    add_params(c, c->row, &room);
    if (c->row->cmdlet.changes)
        add_params(c, row_cmdlet(c->session->commands, "ShouldProcessParameters"), &room);
    add_params(c, row_cmdlet(c->session->commands, "CommonParameters"), &room);
    c->line_sets = c->set_count ? (u32)((1ull << c->set_count) - 1) : 1;
}

struct bound *bind_exact(const struct cmdlet_call *c, const char *name)
{
    for (unsigned i = 0; i < c->arg_count; i++)
        if (text_equal(c->args[i].param->name, name) || words_find(c->args[i].param->aliases, name) >= 0)
            return &c->args[i];
    return NULL;
}

static bool begins_any(const struct param_row *p, const char *start)
{
    const char *list = p->aliases, *word;
    size_t len;
    if (text_begins(p->name, start))
        return true;
    while (words_next(&list, &word, &len))
        if (len >= strlen(start) && text_begins(word, start))
            return true;
    return false;
}

static int unknown_parameter(struct cmdlet_call *c, const struct node *n)
{
    struct nearest near = nearest_begin(n->text);
    for (unsigned i = 0; i < c->arg_count; i++)
        nearest_try(&near, c->args[i].param->name);
    const char *text = arena_printf(
        c->session->arena, "A parameter cannot be found that matches parameter name '%.60s'.", n->text);
    text = near.best ? arena_printf(c->session->arena, "%s Did you mean -%s?", text, near.best)
                     : arena_printf(c->session->arena, "%s Get-Help %s shows those there are.", text,
                                    c->row->cmdlet.name);
    return fail(c, ERROR_NAMED_PARAMETER_NOT_FOUND, n, true, text);
}

struct bound *bind_find(struct cmdlet_call *c, const struct node *n)
{
    struct bound *found = bind_exact(c, n->text);
    struct text all = {.arena = c->session->arena};
    unsigned hits = 0;
    for (unsigned i = 0; !(found && !hits) && i < c->arg_count; i++) {
        if (begins_any(c->args[i].param, n->text)) {
            found = &c->args[i];
            hits++;
            text_printf(&all, " -%s", found->param->name);
        }
    }
    if (hits > 1) {
        const char *text =
            arena_printf(c->session->arena,
                         "Parameter cannot be processed because the parameter name '%.60s' is ambiguous. "
                         "Possible matches include:%s.",
                         n->text, text_string(&all));
        fail(c, ERROR_AMBIGUOUS_PARAMETER, n, true, text);
        return NULL;
    }
    if (!found)
        unknown_parameter(c, n);
    return found;
}

/* ---- the command line ---- */

static enum error_id wrong_id(const char *text)
{
    return strstr(text, "is not built:") ? ERROR_VALUE_NOT_BUILT : ERROR_CANNOT_CONVERT;
}

static bool has_empty(struct value v)
{
    bool empty = v.kind == VALUE_STRING && !*v.string;
    for (unsigned i = 0; v.kind == VALUE_ARRAY && i < v.array->count; i++)
        empty |= has_empty(v.array->items[i]);
    return empty;
}

static int bind_to(struct cmdlet_call *c, struct bound *b, struct value v, const struct node *source)
{
    struct value bound;
    const char *wrong = bind_value(c->session, b->row, v, source, &bound);
    if (wrong)
        return fail(c, wrong_id(wrong), source, true, wrong);
    if (b->param->mandatory && b->param->type == PARAM_STRING && has_empty(bound))
        return fail(c, ERROR_CANNOT_CONVERT, source, true,
                    arena_printf(c->session->arena,
                                 "Cannot bind argument to parameter '%s' because it is an empty string.",
                                 b->param->name));
    b->given = true;
    b->value = bound;
    c->line_sets &= b->sets;
    return 0;
}

static int missing_value(struct cmdlet_call *c, const struct bound *b, const struct node *n)
{
    struct arena *a = c->session->arena;
    const char *name = b->param->name, *cmd = c->row->cmdlet.name;
    if (b->param->type == PARAM_BOOL && n->shell_word)
        return fail(c, ERROR_SHELL_REMOVED_BOOLEAN, n, true,
                    arena_printf(a, shell_removed, name, cmd, name, cmd, name));
    return fail(c, ERROR_MISSING_ARGUMENT, n, true,
                arena_printf(
                    a,
                    "Missing an argument for parameter '%s'. Specify a parameter of type '%s' and try again.",
                    name, bind_type(b->param)));
}

/* What is true of a whole parameter: given twice, not built. */
static int check_named(struct cmdlet_call *c, const struct bound *b, const struct node *n)
{
    struct arena *a = c->session->arena;
    if (b->given)
        return fail(c, ERROR_PARAMETER_TWICE, n, true,
                    arena_printf(a,
                                 "Cannot bind parameter because parameter '%s' is specified more than once.",
                                 b->param->name));
    const struct row *r = row_next(c->session->commands, b->row, b->row, ROW_REFUSED);
    if (r && strcmp(r->refused.value, "*") == 0)
        return fail(c, ERROR_PARAMETER_NOT_BUILT, n, true,
                    arena_printf(a, "-%s is not built: %s.", b->param->name, r->refused.why));
    return 0;
}

static int bind_named(struct cmdlet_call *c, const struct node *n, const struct node *next, bool *took_next)
{
    struct bound *b = bind_find(c, n);
    const struct node *source = n->left;
    struct value v = value_bool(true);
    *took_next = false;
    if (!b || check_named(c, b, n) < 0)
        return -1;
    if (!source && b->param->type != PARAM_SWITCH) {
        bool emptied = next && next->shell_word && b->param->type == PARAM_BOOL &&
                       next->kind == NODE_LITERAL && next->text && !*next->text;
        if (!next || next->kind == NODE_PARAMETER || emptied)
            return missing_value(c, b, n);
        source = next;
        *took_next = true;
    }
    if (source && eval(c->session, source, &v) < 0)
        return -1;
    return bind_to(c, b, v, source);
}

static bool is_free(const struct cmdlet_call *c, const struct bound *b)
{
    return b->param->position && !b->given && (b->sets & c->line_sets);
}

static unsigned lowest_position(const struct cmdlet_call *c)
{
    unsigned lowest = 0;
    for (unsigned i = 0; i < c->arg_count; i++)
        if (is_free(c, &c->args[i]) && (!lowest || c->args[i].param->position < lowest))
            lowest = c->args[i].param->position;
    return lowest;
}

/* How well v goes with b: 3 as it is, 2 converted, 1 not at all (then the error names b). */
static unsigned goes_with(struct cmdlet_call *c, const struct bound *b, struct value v,
                          const struct node *source)
{
    struct value ignored, one = v;
    if (v.kind == VALUE_ARRAY && v.array->count && b->param->many)
        one = v.array->items[0];
    if (b->param->type != PARAM_ANY && bind_fits(c->session, b->param, one))
        return 3;
    return bind_value(c->session, b->row, v, source, &ignored) ? 1 : 2;
}

/* The free parameter at the lowest position that takes v best; among equals the default set's. */
static struct bound *positional(struct cmdlet_call *c, struct value v, const struct node *source)
{
    const char *set = c->row->cmdlet.default_set;
    unsigned position = lowest_position(c), best_rank = 0;
    struct bound *best = NULL;
    for (unsigned i = 0; i < c->arg_count; i++) {
        struct bound *b = &c->args[i];
        if (!is_free(c, b) || b->param->position != position)
            continue;
        unsigned rank = 2 * goes_with(c, b, v, source) + (set && words_find(b->param->sets, set) >= 0);
        if (rank > best_rank) {
            best = b;
            best_rank = rank;
        }
    }
    return best;
}

static int bind_rest(struct cmdlet_call *c, struct bound *b, const struct node **args,
                     const struct value *values, unsigned count)
{
    struct value bound;
    const char *wrong = count == 1 ? bind_value(c->session, b->row, values[0], args[0], &bound)
                                   : bind_value(c->session, b->row,
                                                value_array(c->session->arena, values, count), NULL, &bound);
    if (wrong)
        return fail(c, wrong_id(wrong), args[0], true, wrong);
    b->given = true;
    b->value = bound;
    c->line_sets &= b->sets;
    return 0;
}

static int bind_positional(struct cmdlet_call *c, const struct node **args, unsigned count)
{
    struct value *values = arena_alloc(c->session->arena, (count + 1) * sizeof(*values));
    for (unsigned i = 0; i < count; i++)
        if (eval(c->session, args[i], &values[i]) < 0)
            return -1;
    for (unsigned i = 0; i < count; i++) {
        struct bound *b = positional(c, values[i], args[i]);
        if (!b)
            return fail(
                c, ERROR_POSITIONAL_NOT_FOUND, args[i], true,
                arena_printf(
                    c->session->arena,
                    "A positional parameter cannot be found that accepts argument '%.60s'. Get-Help %s shows "
                    "the parameters.",
                    value_to_string(c->session->arena, values[i]), c->row->cmdlet.name));
        if (check_named(c, b, args[i]) < 0)
            return -1;
        if (b->param->rest)
            return bind_rest(c, b, args + i, values + i, count - i);
        if (bind_to(c, b, values[i], args[i]) < 0)
            return -1;
    }
    return 0;
}

static int check_sets(struct cmdlet_call *c)
{
    if (c->line_sets)
        return 0;
    struct text given = {.arena = c->session->arena};
    for (unsigned i = 0; i < c->arg_count; i++)
        if (c->args[i].given && c->args[i].param->sets)
            text_printf(&given, " -%s", c->args[i].param->name);
    return fail(
        c, ERROR_AMBIGUOUS_PARAMETER_SET, NULL, true,
        arena_printf(c->session->arena,
                     "Parameter set cannot be resolved using the specified named parameters:%s do not "
                     "go together.",
                     text_string(&given)));
}

/* ---- common parameters ---- */

static enum error_action action_of(const char *text)
{
    if (!text)
        return ACTION_CONTINUE;
    return text_equal(text, "Stop")                                             ? ACTION_STOP
           : text_equal(text, "SilentlyContinue") || text_equal(text, "Ignore") ? ACTION_SILENT
                                                                                : ACTION_CONTINUE;
}

static void take_common(struct cmdlet_call *c)
{
    struct session *s = c->session;
    const char *action = arg_string(c, "ErrorAction"), *warnings = arg_string(c, "WarningAction");
    const char *verbose = variable_text(s, "VerbosePreference");
    c->action = action_of(action ? action : variable_text(s, "ErrorActionPreference"));
    c->quiet_warnings =
        action_of(warnings ? warnings : variable_text(s, "WarningPreference")) == ACTION_SILENT;
    c->verbose =
        arg_given(c, "Verbose") ? arg_switch(c, "Verbose") : verbose && text_equal(verbose, "Continue");
    if (c->row->cmdlet.changes) {
        c->what_if = arg_switch(c, "WhatIf");
        c->confirm = !arg_given(c, "Confirm") ? ASK_UNSET : arg_switch(c, "Confirm") ? ASK_YES : ASK_NO;
    }
}

int bind_line(struct cmdlet_call *c)
{
    const struct node **free = arena_alloc(c->session->arena, (c->node->count + 1) * sizeof(*free));
    unsigned count = 0;
    collect_params(c);
    for (unsigned i = 0; i < c->node->count; i++) {
        const struct node *n = c->node->items[i],
                          *next = i + 1 < c->node->count ? c->node->items[i + 1] : NULL;
        bool took_next = false;
        if (n->kind != NODE_PARAMETER)
            free[count++] = n;
        else if (bind_named(c, n, next, &took_next) < 0)
            return -1;
        i += took_next;
    }
    if (check_sets(c) < 0 || bind_positional(c, free, count) < 0 || check_sets(c) < 0)
        return -1;
    take_common(c);
    return 0;
}

/* ---- the pipeline's objects ---- */

static bool may_bind(const struct bound *b, u32 sets, enum pipe_binding how)
{
    return !b->given && (b->param->pipe & how) && (b->sets & sets);
}

static bool try_value(struct cmdlet_call *c, struct bound *b, struct value v, bool convert, u32 *sets)
{
    bool list = v.kind == VALUE_ARRAY && b->param->many;
    struct value bound;
    if (!convert && !list && !bind_fits(c->session, b->param, v))
        return false;
    if (v.kind == VALUE_NULL || (convert && v.kind == VALUE_OBJECT && b->param->type == PARAM_STRING))
        return false;
    if (bind_value(c->session, b->row, v, NULL, &bound))
        return false;
    b->given = b->from_pipe = true;
    b->value = bound;
    *sets &= b->sets;
    return true;
}

static const struct property *named_property(struct value v, const struct param_row *p)
{
    const struct property *found = object_find(v, p->name);
    const char *list = p->aliases, *word;
    size_t len;
    for (unsigned i = 0; !found && v.kind == VALUE_OBJECT && words_next(&list, &word, &len); i++)
        for (unsigned j = 0; !found && j < v.object->count; j++)
            if (strlen(v.object->properties[j].name) == len &&
                text_begins(word, v.object->properties[j].name))
                found = &v.object->properties[j];
    return found;
}

static bool bind_input(struct cmdlet_call *c, struct value v, u32 *sets)
{
    bool any = false;
    for (int pass = 0; pass < 4; pass++) {
        bool by_name = pass & 1, convert = pass >= 2;
        for (unsigned i = 0; i < c->arg_count; i++) {
            struct bound *b = &c->args[i];
            if (!may_bind(b, *sets, by_name ? PIPE_NAME : PIPE_VALUE))
                continue;
            const struct property *p = by_name ? named_property(v, b->param) : NULL;
            if (!by_name && any && convert)
                continue; /* it was bound as it is already */
            if (!by_name || p)
                any |= try_value(c, b, p ? p->value : v, convert, sets);
        }
    }
    return any;
}

/* The sets all of whose mandatory parameters are there. */
static u32 complete_sets(const struct cmdlet_call *c, u32 sets)
{
    for (unsigned i = 0; i < c->arg_count; i++)
        if (c->args[i].param->mandatory && !c->args[i].given)
            sets &= ~c->args[i].sets;
    return sets;
}

static unsigned choose_set(const struct cmdlet_call *c, u32 sets)
{
    for (unsigned i = 0; i < c->set_count; i++)
        if (c->row->cmdlet.default_set && text_equal(c->set_names[i], c->row->cmdlet.default_set) &&
            (sets & (1u << i)))
            return i;
    return (unsigned)__builtin_ctz(sets);
}

static int missing_mandatory(struct cmdlet_call *c, u32 sets, const struct value *input)
{
    struct text names = {.arena = c->session->arena};
    unsigned set = choose_set(c, sets);
    for (unsigned i = 0; i < c->arg_count; i++) {
        const struct bound *b = &c->args[i];
        if (b->param->mandatory && !b->given && (b->sets & (1u << set)))
            text_printf(&names, " %s", b->param->name);
    }
    const char *text = arena_printf(
        c->session->arena, "Cannot process command because of one or more missing mandatory parameters:%s.",
        text_string(&names));
    return fail(c, ERROR_MISSING_MANDATORY, NULL, !input, text);
}

static int not_bound(struct cmdlet_call *c, struct value v)
{
    return fail(
        c, ERROR_INPUT_NOT_BOUND, NULL, false,
        arena_printf(
            c->session->arena,
            "The input object (%s) cannot be bound to any parameters for the command either because the "
            "command does not take pipeline input or the input and its properties do not match any of the "
            "parameters that take pipeline input.",
            value_type_name(v)));
}

static void forget_pipe(struct cmdlet_call *c)
{
    for (unsigned i = 0; i < c->arg_count; i++)
        if (c->args[i].from_pipe)
            c->args[i].given = c->args[i].from_pipe = false;
}

int bind_object(struct cmdlet_call *c, const struct value *input)
{
    u32 sets = c->line_sets;
    forget_pipe(c);
    if (input && !bind_input(c, *input, &sets))
        return not_bound(c, *input);
    u32 complete = complete_sets(c, sets);
    if (!complete)
        return missing_mandatory(c, sets, input);
    c->set = c->set_count ? c->set_names[choose_set(c, complete)] : "";
    return 0;
}
