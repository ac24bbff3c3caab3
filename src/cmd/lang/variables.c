/* SPDX-License-Identifier: MIT */
/* Variables of a session. Each keeps its value in an arena of its own; what it held before lives until the
 * statement that overwrote it is over, because that statement may still use it. */
#include <stdlib.h>

#include "cmd/lang/run.h"

static struct variable *find(struct session *s, const char *name)
{
    for (unsigned i = 0; i < s->variable_count; i++)
        if (text_equal(s->variables[i].name, name))
            return &s->variables[i];
    return NULL;
}

/* The names that always have a value. */
static bool constant(struct session *s, const char *name, struct value *out)
{
    if (text_equal(name, "true") || text_equal(name, "false"))
        *out = value_bool(text_equal(name, "true"));
    else if (text_equal(name, "null"))
        *out = NULL_VALUE;
    else if (text_equal(name, "_") || text_equal(name, "PSItem"))
        *out = s->underscore;
    else if (text_equal(name, "?"))
        *out = value_bool(!s->last_failed);
    else
        return false;
    return true;
}

int variable_get(struct session *s, const struct node *n, struct value *out)
{
    *out = NULL_VALUE;
    if (constant(s, n->text, out))
        return 0;
    if (text_begins(n->text, "env:")) {
        *out = value_string(s->arena, getenv(n->text + 4));
        return 0;
    }
    struct variable *v = find(s, n->text);
    if (!v)
        return run_fail(s, n, ERROR_VARIABLE_UNDEFINED,
                        "The variable '$%.60s' cannot be retrieved because it has not been set.", n->text);
    *out = v->value;
    return 0;
}

static void retire(struct session *s, struct arena *a)
{
    s->retired_bytes += arena_used(a) + ARENA_OVERHEAD;
    if (s->retired_count == s->retired_room) {
        unsigned room = s->retired_room ? s->retired_room * 2 : 16;
        struct arena **more = realloc(s->retired, room * sizeof(*more));
        if (!more)
            return; /* kept until the process ends */
        s->retired = more;
        s->retired_room = room;
    }
    s->retired[s->retired_count++] = a;
}

static struct variable *add(struct session *s, const char *name)
{
    if (s->variable_count == s->variable_room) {
        unsigned room = s->variable_room ? s->variable_room * 2 : 16;
        struct variable *more = realloc(s->variables, room * sizeof(*more));
        if (!more)
            return NULL;
        s->variables = more;
        s->variable_room = room;
    }
    struct variable *v = &s->variables[s->variable_count];
    *v = (struct variable){.name = strdup(name)};
    if (!v->name)
        return NULL;
    s->variable_count++;
    return v;
}

int variable_set(struct session *s, const struct node *place, const char *name, struct value value)
{
    struct value old;
    if (constant(s, name, &old) || text_begins(name, "env:"))
        return run_fail(s, place, ERROR_VARIABLE_READ_ONLY,
                        "Cannot overwrite variable %.60s: it is read-only.", name);
    if (!value_fits(value))
        return run_fail(s, place, ERROR_TOO_LARGE, "The value is too large for a variable.");
    if (value_has_block(value))
        return run_fail(s, place, ERROR_BAD_OPERAND,
                        "A block { } cannot be kept in a variable: write it where it is used.");
    struct variable *v = find(s, name);
    if (!v && s->variable_count < VARIABLES_MAX)
        v = add(s, name);
    if (!v)
        return run_fail(s, place, ERROR_TOO_LARGE, "There are more than %d variables.", VARIABLES_MAX);
    bool points = value.kind == VALUE_STRING || value.kind == VALUE_ARRAY || value.kind == VALUE_OBJECT;
    struct arena *a = points ? arena_new() : NULL;
    value = value_copy(a, value);
    if (v->arena)
        retire(s, v->arena);
    v->arena = a;
    v->value = value;
    return 0;
}

const char *variable_text(struct session *s, const char *name)
{
    struct variable *v = find(s, name);
    return v ? value_to_string(s->arena, v->value) : NULL;
}
