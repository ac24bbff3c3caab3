/* SPDX-License-Identifier: MIT */
/* Trees to values: literals, strings that expand, members, indexes, and the statements around them. */
#include "cmd/lang/run.h"

/* ---- collecting ---- */

static int collect(struct sink *sink, struct value v)
{
    struct collector *c = container_of(sink, struct collector, sink);
    values_add(&c->values, v);
    return 0;
}

struct collector collector_new(struct session *s)
{
    return (struct collector){{collect}, {.arena = s->arena}};
}

static int eval_captured(struct session *s, const struct node *n, bool always_array, struct value *out)
{
    struct collector c = collector_new(s);
    if ((n->kind == NODE_STATEMENTS ? run_statements(s, n, &c.sink) : run_pipeline(s, n, &c.sink)) < 0)
        return -1;
    *out = always_array ? value_array(s->arena, c.values.items, c.values.count) : values_result(&c.values);
    return value_fits(*out) ? 0 : run_fail(s, n, ERROR_TOO_LARGE, "The value is too large or too deep.");
}

/* ---- members ---- */

static bool is_length(const char *name)
{
    return text_equal(name, "Count") || text_equal(name, "Length");
}

/* The property of each element, those that have none left out. */
static int each_member(struct session *s, const struct node *place, const struct array *array,
                       const char *name, struct value *out)
{
    struct values list = {.arena = s->arena};
    for (unsigned i = 0; i < array->count; i++) {
        struct value v;
        if (array->items[i].kind == VALUE_ARRAY || !object_find(array->items[i], name))
            continue;
        if (get_member(s, place, array->items[i], name, &v) < 0)
            return -1;
        values_add(&list, v);
    }
    *out = values_result(&list);
    return 0;
}

static struct value span_member(i64 span, const char *name)
{
    static const struct {
        const char *name;
        i64 unit, wrap; /* wrap 0: the total */
    } parts[] = {
        {"TotalDays", 864000000000, 0}, {"TotalHours", 36000000000, 0},  {"TotalMinutes", 600000000, 0},
        {"TotalSeconds", 10000000, 0},  {"TotalMilliseconds", 10000, 0}, {"Days", 864000000000, INT64_MAX},
        {"Hours", 36000000000, 24},     {"Minutes", 600000000, 60},      {"Seconds", 10000000, 60},
        {"Milliseconds", 10000, 1000},  {"Ticks", 1, INT64_MAX},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
        if (text_equal(parts[i].name, name))
            return parts[i].wrap ? value_int(span / parts[i].unit % parts[i].wrap)
                                 : value_real((double)span / (double)parts[i].unit);
    return NULL_VALUE;
}

static i64 characters(const char *s)
{
    i64 n = 0;
    for (; *s; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

int get_member(struct session *s, const struct node *place, struct value v, const char *name,
               struct value *out)
{
    const struct property *p = object_find(v, name);
    *out = NULL_VALUE;
    if (p)
        *out = p->value;
    else if (v.kind == VALUE_STRING && text_equal(name, "Length"))
        *out = value_int(characters(v.string));
    else if (v.kind == VALUE_ARRAY && is_length(name))
        *out = value_int(v.array->count);
    else if (v.kind == VALUE_ARRAY)
        return each_member(s, place, v.array, name, out);
    else if (v.kind == VALUE_OBJECT && v.object->table && text_equal(name, "Count"))
        *out = value_int(v.object->count);
    else if (v.kind == VALUE_SPAN)
        *out = span_member(v.integer, name);
    if (out->kind == VALUE_NULL && !p && is_length(name))
        *out = value_int(v.kind != VALUE_NULL);
    return 0;
}

static int eval_property(struct session *s, const struct node *n, struct value *out)
{
    struct value v;
    return eval(s, n->left, &v) < 0 ? -1 : get_member(s, n, v, n->text, out);
}

static struct value element(struct session *s, struct value v, i64 i)
{
    if (v.kind == VALUE_ARRAY) {
        i += i < 0 ? v.array->count : 0;
        return i >= 0 && i < v.array->count ? v.array->items[i] : NULL_VALUE;
    }
    if (v.kind == VALUE_STRING) {
        i64 len = (i64)strlen(v.string);
        i += i < 0 ? len : 0;
        return i >= 0 && i < len ? value_static(arena_copy(s->arena, v.string + i, 1)) : NULL_VALUE;
    }
    return i == 0 || i == -1 ? v : NULL_VALUE;
}

static int index_one(struct session *s, const struct node *n, struct value v, struct value index,
                     struct value *out)
{
    if (v.kind == VALUE_OBJECT && index.kind == VALUE_STRING) {
        *out = object_get(v, index.string);
        return 0;
    }
    struct value number = index;
    if (index.kind == VALUE_STRING && !value_parse_number(index.string, strlen(index.string), &number))
        return run_fail(s, n, ERROR_BAD_INDEX, "'%.60s' is no index: it has to be a whole number.",
                        index.string);
    if (number.kind != VALUE_INT)
        return run_fail(s, n, ERROR_BAD_INDEX, "A value of type %s is no index: it has to be a whole number.",
                        value_type_name(index));
    *out = element(s, v, number.integer);
    return 0;
}

static int eval_index(struct session *s, const struct node *n, struct value *out)
{
    struct value v, index;
    if (eval(s, n->left, &v) < 0 || eval(s, n->right, &index) < 0)
        return -1;
    if (v.kind == VALUE_NULL)
        return run_fail(s, n, ERROR_BAD_INDEX, "Cannot index into a null array.");
    if (index.kind != VALUE_ARRAY)
        return index_one(s, n, v, index, out);
    struct values list = {.arena = s->arena};
    for (unsigned i = 0; i < index.array->count; i++) {
        struct value one;
        if (index_one(s, n, v, index.array->items[i], &one) < 0)
            return -1;
        values_add(&list, one);
    }
    *out = value_array(s->arena, list.items, list.count);
    return 0;
}

/* ---- strings, lists, tables ---- */

static int eval_expand(struct session *s, const struct node *n, struct value *out)
{
    struct text t = {.arena = s->arena};
    for (unsigned i = 0; i < n->count; i++) {
        struct value v;
        if (eval(s, n->items[i], &v) < 0)
            return -1;
        text_puts(&t, value_to_string(s->arena, v));
        if (t.len > STRING_BYTES_MAX)
            return run_fail(s, n, ERROR_TOO_LARGE, "The string is longer than %d bytes.", STRING_BYTES_MAX);
    }
    *out = value_static(text_string(&t));
    return 0;
}

static int eval_list(struct session *s, const struct node *n, struct value *out)
{
    struct values list = {.arena = s->arena};
    for (unsigned i = 0; i < n->count; i++) {
        struct value v;
        if (eval(s, n->items[i], &v) < 0)
            return -1;
        values_add(&list, v);
    }
    *out = value_array(s->arena, list.items, list.count);
    return value_fits(*out) ? 0 : run_fail(s, n, ERROR_TOO_LARGE, "The array is too large or too deep.");
}

static int eval_table(struct session *s, const struct node *n, struct value *out)
{
    *out = object_new(s->arena, NULL);
    out->object->table = true;
    if (n->count / 2 > PROPERTIES_MAX)
        return run_fail(s, n, ERROR_TOO_LARGE, "A table can have %d entries.", PROPERTIES_MAX);
    for (unsigned i = 0; i + 1 < n->count; i += 2) {
        struct value key, v;
        struct collector c = collector_new(s);
        struct node one = {.kind = NODE_STATEMENTS, .items = &((struct node *){n->items[i + 1]}), .count = 1};
        if (eval(s, n->items[i], &key) < 0 || run_statements(s, &one, &c.sink) < 0)
            return -1;
        v = values_result(&c.values);
        object_set(*out, value_to_string(s->arena, key), v);
    }
    return value_fits(*out) ? 0 : run_fail(s, n, ERROR_TOO_LARGE, "The table is too large or too deep.");
}

static int eval_unary(struct session *s, const struct node *n, struct value *out)
{
    struct value v;
    if (eval(s, n->left, &v) < 0)
        return -1;
    if (n->op == OP_NOT) {
        *out = value_bool(!value_truth(v));
        return 0;
    }
    if (n->op == OP_JOIN)
        return apply_operator(s, n, v, value_static(""), out);
    return apply_operator(s, n, value_int(0), v, out);
}

static int eval_binary(struct session *s, const struct node *n, struct value *out)
{
    struct value left, right;
    if (eval(s, n->left, &left) < 0)
        return -1;
    if (n->op == OP_AND || n->op == OP_OR) {
        bool decided = value_truth(left) == (n->op == OP_OR);
        if (!decided && eval(s, n->right, &right) < 0)
            return -1;
        *out = value_bool(decided ? n->op == OP_OR : value_truth(right));
        return 0;
    }
    return eval(s, n->right, &right) < 0 ? -1 : apply_operator(s, n, left, right, out);
}

int eval(struct session *s, const struct node *n, struct value *out)
{
    *out = NULL_VALUE;
    if (run_check(s, n) < 0)
        return -1;
    switch (n->kind) {
    case NODE_LITERAL:
        *out = n->value;
        return 0;
    case NODE_VARIABLE:
        return variable_get(s, n, out);
    case NODE_EXPAND:
        return eval_expand(s, n, out);
    case NODE_LIST:
        return eval_list(s, n, out);
    case NODE_ARRAY:
        return eval_captured(s, n->left, true, out);
    case NODE_SUB:
    case NODE_PAREN:
        return eval_captured(s, n->left, false, out);
    case NODE_TABLE:
        return eval_table(s, n, out);
    case NODE_BLOCK:
        *out = (struct value){.kind = VALUE_BLOCK, .block = n};
        return 0;
    case NODE_PROPERTY:
        return eval_property(s, n, out);
    case NODE_INDEX:
        return eval_index(s, n, out);
    case NODE_UNARY:
        return eval_unary(s, n, out);
    case NODE_BINARY:
        return eval_binary(s, n, out);
    default:
        bug_on(true, "node %d is no expression", n->kind);
        return -1;
    }
}

/* ---- statements ---- */

static int run_assign(struct session *s, const struct node *n)
{
    struct collector c = collector_new(s);
    struct node one = {.kind = NODE_STATEMENTS, .items = &((struct node *){n->left}), .count = 1};
    struct value v, old;
    /* A lone expression keeps its array as it is: $x = ,1 */
    bool plain =
        n->left->kind == NODE_PIPELINE && n->left->count == 1 && n->left->items[0]->kind != NODE_COMMAND;
    if (plain ? eval(s, n->left->items[0], &v) < 0 : run_statements(s, &one, &c.sink) < 0)
        return -1;
    if (!plain)
        v = values_result(&c.values);
    if (n->op != OP_NONE) {
        struct node name = {
            .kind = NODE_VARIABLE, .text = n->text, .source = n->source, .source_len = n->source_len};
        if (variable_get(s, &name, &old) < 0 || apply_operator(s, n, old, v, &v) < 0)
            return -1;
    }
    return variable_set(s, n, n->text, v);
}

static int run_if(struct session *s, const struct node *n, struct sink *out)
{
    for (unsigned i = 0; i + 1 < n->count; i += 2) {
        struct value v;
        if (eval(s, n->items[i], &v) < 0)
            return -1;
        if (value_truth(v))
            return run_statements(s, n->items[i + 1], out);
    }
    return n->count % 2 ? run_statements(s, n->items[n->count - 1], out) : 0;
}

static int run_foreach(struct session *s, const struct node *n, struct sink *out)
{
    struct value list;
    if (eval_captured(s, n->left, true, &list) < 0)
        return -1;
    for (unsigned i = 0; i < list.array->count; i++)
        if (variable_set(s, n, n->text, list.array->items[i]) < 0 || run_statements(s, n->right, out) < 0)
            return -1;
    return 0;
}

static int run_statement(struct session *s, const struct node *n, struct sink *out)
{
    switch (n->kind) {
    case NODE_ASSIGN:
        return run_assign(s, n);
    case NODE_IF:
        return run_if(s, n, out);
    case NODE_FOREACH:
        return run_foreach(s, n, out);
    default:
        return run_pipeline(s, n, out);
    }
}

int run_statements(struct session *s, const struct node *n, struct sink *out)
{
    for (unsigned i = 0; i < n->count; i++)
        if (run_statement(s, n->items[i], out) < 0)
            return -1;
    return 0;
}

int run_block(struct session *s, const struct node *block, struct value underscore, struct sink *out)
{
    struct value outer = s->underscore;
    s->underscore = underscore;
    int r = run_statements(s, block->left, out);
    s->underscore = outer;
    return r;
}
