/* SPDX-License-Identifier: MIT */
/* Where-Object, ForEach-Object, Select-Object: objects pass, change or stay behind one by one. */
#include "cmd/lang/format.h"
#include "cmd/lang/run.h"

/* Rows without an act of their own: parameters that every cmdlet has. */
extern const struct cmdlet_ops cmdlet_common, cmdlet_should_process;
extern const struct cmdlet_ops cmdlet_where_object, cmdlet_foreach_object, cmdlet_select_object;
const struct cmdlet_ops cmdlet_common = {0};
const struct cmdlet_ops cmdlet_should_process = {0};

/* What a block puts out goes to the next stage. */
struct emitter {
    struct sink sink;
    struct cmdlet_call *call;
};

static int emitter_put(struct sink *sink, struct value v)
{
    struct emitter *e = container_of(sink, struct emitter, sink);
    return emit(e->call, v);
}

static int emit_block(struct cmdlet_call *c, const char *param, struct value underscore)
{
    struct emitter e = {{emitter_put}, c};
    struct value block = arg_value(c, param);
    return block.kind == VALUE_BLOCK ? run_block(c->session, block.block, underscore, &e.sink) : 0;
}

/* ---- Where-Object ---- */

static const struct {
    const char *param;
    enum operator op;
} comparisons[] = {
    {"EQ", OP_EQ},
    {"NE", OP_NE},
    {"GT", OP_GT},
    {"GE", OP_GE},
    {"LT", OP_LT},
    {"LE", OP_LE},
    {"Like", OP_LIKE},
    {"NotLike", OP_NOTLIKE},
    {"Match", OP_MATCH},
    {"NotMatch", OP_NOTMATCH},
    {"Contains", OP_CONTAINS},
    {"NotContains", OP_NOTCONTAINS},
    {"In", OP_IN},
    {"NotIn", OP_NOTIN},
};

struct where_state {
    enum operator op; /* OP_NONE: is the property true? */
};

static int where_begin(struct cmdlet_call *c)
{
    struct where_state *w = call_state(c);
    const char *first = NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(comparisons); i++) {
        if (!arg_switch(c, comparisons[i].param))
            continue;
        if (first)
            return call_fail(c, ERROR_AMBIGUOUS_PARAMETER_SET, NULL, "-%s and -%s do not go together.", first,
                             comparisons[i].param);
        first = comparisons[i].param;
        w->op = comparisons[i].op;
    }
    if (first && arg_switch(c, "Not"))
        return call_fail(c, ERROR_AMBIGUOUS_PARAMETER_SET, NULL, "-%s and -Not do not go together.", first);
    if (!first && arg_given(c, "Value"))
        return call_fail(c, ERROR_MISSING_MANDATORY, NULL,
                         "The operator is missing: Where-Object %s -eq VALUE, or -ne, -gt, -ge, -lt, -le, "
                         "-like, -match, -in.",
                         arg_string(c, "Property"));
    return 0;
}

static int where_compares(struct cmdlet_call *c, bool *yes)
{
    struct where_state *w = call_state(c);
    struct value v, result;
    if (get_member(c->session, c->node, call_input(c), arg_string(c, "Property"), &v) < 0)
        return -1;
    *yes = value_truth(v) != arg_switch(c, "Not");
    if (w->op == OP_NONE)
        return 0;
    struct node place = {
        .kind = NODE_BINARY, .op = w->op, .source = c->node->source, .source_len = c->node->source_len};
    if (apply_operator(c->session, &place, v, arg_value(c, "Value"), &result) < 0)
        return -1;
    *yes = value_truth(result);
    return 0;
}

static int where_process(struct cmdlet_call *c)
{
    bool yes = false;
    struct value block = arg_value(c, "FilterScript");
    if (!call_piped(c))
        return 0;
    if (block.kind == VALUE_BLOCK) {
        struct collector out = collector_new(c->session);
        if (run_block(c->session, block.block, call_input(c), &out.sink) < 0)
            return -1;
        yes = value_truth(values_result(&out.values));
    } else if (where_compares(c, &yes) < 0) {
        return -1;
    }
    return yes ? emit(c, call_input(c)) : 0;
}

const struct cmdlet_ops cmdlet_where_object = {
    .begin = where_begin, .process = where_process, .state_size = sizeof(struct where_state)};

/* ---- ForEach-Object ---- */

static int foreach_begin(struct cmdlet_call *c)
{
    return emit_block(c, "Begin", NULL_VALUE);
}

static int emit_unrolled(struct cmdlet_call *c, struct value v)
{
    if (v.kind == VALUE_NULL)
        return 0;
    if (v.kind != VALUE_ARRAY)
        return emit(c, v);
    for (unsigned i = 0; i < v.array->count; i++)
        if (emit(c, v.array->items[i]) < 0)
            return -1;
    return 0;
}

static int foreach_process(struct cmdlet_call *c)
{
    struct value v;
    if (!arg_given(c, "MemberName"))
        return emit_block(c, "Process", call_input(c));
    if (get_member(c->session, c->node, call_input(c), arg_string(c, "MemberName"), &v) < 0)
        return -1;
    return emit_unrolled(c, v);
}

static int foreach_end(struct cmdlet_call *c)
{
    return emit_block(c, "End", NULL_VALUE);
}

const struct cmdlet_ops cmdlet_foreach_object = {
    .begin = foreach_begin, .process = foreach_process, .end = foreach_end};

/* ---- Select-Object ---- */

enum { UNIQUE_MAX = 10000 };

struct select_state {
    i64 seen, given;
    struct values last; /* a ring of the last ones, when -Last asks */
    unsigned oldest;
    struct values before; /* as text, for -Unique */
};

static bool seen_before(struct cmdlet_call *c, struct select_state *st, struct value v)
{
    const char *text = value_to_string(call_arena(c), v);
    for (unsigned i = 0; i < st->before.count; i++)
        if (strcmp(st->before.items[i].string, text) == 0)
            return true;
    st->before.arena = call_arena(c);
    values_add(&st->before, value_static(text));
    return false;
}

static int select_expanded(struct cmdlet_call *c, struct value object)
{
    const char *name = arg_string(c, "ExpandProperty");
    struct value v;
    if (get_member(c->session, c->node, object, name, &v) < 0)
        return -1;
    if (v.kind == VALUE_NULL && !object_find(object, name))
        return call_error(c, ERROR_PROPERTY_NOT_FOUND, name, "Property \"%s\" cannot be found.", name);
    return emit_unrolled(c, v);
}

static int select_properties(struct cmdlet_call *c, struct value object, struct value *out)
{
    struct values names = {.arena = call_arena(c)};
    struct value v;
    *out = object_new(call_arena(c), NULL);
    select_names(c->session, object, arg_value(c, "Property").array, &names);
    for (unsigned i = 0; i < names.count; i++) {
        if (get_member(c->session, c->node, object, names.items[i].string, &v) < 0)
            return -1;
        object_set(*out, names.items[i].string, v);
    }
    return 0;
}

static int select_give(struct cmdlet_call *c, struct value object)
{
    struct select_state *st = call_state(c);
    struct value out = object;
    if (arg_given(c, "Property") && select_properties(c, object, &out) < 0)
        return -1;
    if (arg_switch(c, "Unique") && seen_before(c, st, out))
        return 0;
    if (st->before.count > UNIQUE_MAX)
        return call_fail(c, ERROR_TOO_LARGE, NULL,
                         "-Unique tells up to %d objects apart: use Sort-Object -Unique.", UNIQUE_MAX);
    if (arg_given(c, "ExpandProperty") ? select_expanded(c, object) < 0 : emit(c, out) < 0)
        return -1;
    return ++st->given == arg_int(c, "First", -1) ? call_enough(c) : 0;
}

static void keep_last(struct cmdlet_call *c, struct select_state *st, struct value v, i64 limit)
{
    st->last.arena = call_arena(c);
    if (st->last.count < limit) {
        values_add(&st->last, v);
    } else if (limit > 0) {
        st->last.items[st->oldest] = v;
        st->oldest = (st->oldest + 1) % st->last.count;
    }
}

static int select_begin(struct cmdlet_call *c)
{
    if (arg_given(c, "First") && arg_given(c, "Last"))
        return call_fail(c, ERROR_AMBIGUOUS_PARAMETER_SET, NULL,
                         "-First and -Last do not go together: use two Select-Object.");
    if (arg_given(c, "Property") && arg_given(c, "ExpandProperty"))
        return call_fail(c, ERROR_AMBIGUOUS_PARAMETER_SET, NULL,
                         "-Property and -ExpandProperty do not go together.");
    return 0;
}

static int select_process(struct cmdlet_call *c)
{
    struct select_state *st = call_state(c);
    if (!call_piped(c))
        return 0;
    if (arg_int(c, "First", -1) == 0)
        return call_enough(c);
    if (st->seen++ < arg_int(c, "Skip", 0) && !arg_given(c, "Last"))
        return 0;
    if (!arg_given(c, "Last"))
        return select_give(c, call_input(c));
    keep_last(c, st, call_input(c), arg_int(c, "Last", 0) + arg_int(c, "Skip", 0));
    return 0;
}

static int select_end(struct cmdlet_call *c)
{
    struct select_state *st = call_state(c);
    i64 skip = arg_int(c, "Skip", 0);
    for (unsigned i = 0; i < st->last.count && i + skip < st->last.count; i++)
        if (select_give(c, st->last.items[(st->oldest + i) % st->last.count]) < 0)
            return -1;
    return 0;
}

const struct cmdlet_ops cmdlet_select_object = {.begin = select_begin,
                                                .process = select_process,
                                                .end = select_end,
                                                .state_size = sizeof(struct select_state)};
