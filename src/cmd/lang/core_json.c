/* SPDX-License-Identifier: MIT */
/* ConvertTo-Json and ConvertFrom-Json, by jansson. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "cmd/lang/run.h"

extern const struct cmdlet_ops cmdlet_convertto_json, cmdlet_convertfrom_json;

enum { JSON_DEFAULT_DEPTH = 2, JSON_BYTES_MAX = 16 << 20 };

/* ---- to JSON ---- */

/* Bytes that are no UTF-8 become '?': JSON cannot hold them. */
static json_t *json_text(struct arena *a, const char *s)
{
    json_t *j = json_string(s);
    if (j)
        return j;
    char *copy = arena_copy(a, s, strlen(s));
    for (char *p = copy; *p; p++)
        if (*p & 0x80)
            *p = '?';
    return json_string(copy);
}

static json_t *to_json(struct arena *a, struct value v, i64 depth);

static json_t *array_to_json(struct arena *a, const struct array *array, i64 depth)
{
    json_t *j = json_array();
    for (unsigned i = 0; i < array->count; i++)
        json_array_append_new(j, to_json(a, array->items[i], depth - 1));
    return j;
}

static json_t *object_to_json(struct arena *a, const struct object *o, i64 depth)
{
    json_t *j = json_object();
    for (unsigned i = 0; i < o->count; i++) {
        json_t *name = json_text(a, o->properties[i].name);
        json_object_set_new(j, json_string_value(name), to_json(a, o->properties[i].value, depth - 1));
        json_decref(name);
    }
    return j;
}

/* Below the depth things are told as text. */
static json_t *to_json(struct arena *a, struct value v, i64 depth)
{
    bool nests = v.kind == VALUE_ARRAY || v.kind == VALUE_OBJECT;
    if (nests && depth < 0)
        return json_text(a, value_to_string(a, v));
    switch (v.kind) {
    case VALUE_NULL:
        return json_null();
    case VALUE_BOOL:
        return json_boolean(v.boolean);
    case VALUE_INT:
        return json_integer(v.integer);
    case VALUE_REAL:
        return isfinite(v.real) ? json_real(v.real) : json_null();
    case VALUE_ARRAY:
        return array_to_json(a, v.array, depth);
    case VALUE_OBJECT:
        return object_to_json(a, v.object, depth);
    default:
        return json_text(a, value_to_string(a, v));
    }
}

static int tojson_process(struct cmdlet_call *c)
{
    struct values *all = call_state(c);
    all->arena = call_arena(c);
    if (call_piped(c))
        values_add(all, call_input(c));
    else if (arg_given(c, "InputObject"))
        values_add(all, arg_value(c, "InputObject"));
    return 0;
}

static int emit_lines(struct cmdlet_call *c, const char *text)
{
    return emit(c, value_string(call_arena(c), text));
}

static int tojson_end(struct cmdlet_call *c)
{
    struct values *all = call_state(c);
    struct value whole = values_result(all);
    i64 depth = arg_int(c, "Depth", JSON_DEFAULT_DEPTH);
    if (!all->count)
        return 0;
    if (arg_switch(c, "AsArray") && all->count == 1 && whole.kind != VALUE_ARRAY)
        whole = value_array(call_arena(c), all->items, 1);
    /* The array that the pipeline itself makes is no level. */
    json_t *j = to_json(call_arena(c), whole, depth + (whole.kind == VALUE_ARRAY && call_piped(c)));
    char *text = json_dumps(j, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15) |
                                   (arg_switch(c, "Compress") ? JSON_COMPACT : JSON_INDENT(2)));
    json_decref(j);
    if (!text)
        return call_fail(c, ERROR_BAD_JSON, NULL, "The objects cannot be written as JSON.");
    int r = emit_lines(c, text);
    free(text);
    return r;
}

const struct cmdlet_ops cmdlet_convertto_json = {
    .process = tojson_process, .end = tojson_end, .state_size = sizeof(struct values)};

/* ---- from JSON ---- */

static bool from_json(struct arena *a, json_t *j, unsigned depth, struct value *out);

static bool array_from_json(struct arena *a, json_t *j, unsigned depth, struct value *out)
{
    struct values list = {.arena = a};
    size_t i;
    json_t *item;
    json_array_foreach(j, i, item)
    {
        struct value v;
        if (!from_json(a, item, depth + 1, &v))
            return false;
        values_add(&list, v);
    }
    *out = value_array(a, list.items, list.count);
    return true;
}

static bool object_from_json(struct arena *a, json_t *j, unsigned depth, struct value *out)
{
    const char *name;
    json_t *item;
    *out = object_new(a, NULL);
    if (json_object_size(j) > PROPERTIES_MAX)
        return false;
    json_object_foreach(j, name, item)
    {
        struct value v;
        if (!from_json(a, item, depth + 1, &v))
            return false;
        object_set(*out, arena_copy(a, name, strlen(name)), v);
    }
    return true;
}

static bool from_json(struct arena *a, json_t *j, unsigned depth, struct value *out)
{
    *out = NULL_VALUE;
    if (depth >= VALUE_DEPTH_MAX)
        return false;
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        return object_from_json(a, j, depth, out);
    case JSON_ARRAY:
        return array_from_json(a, j, depth, out);
    case JSON_STRING:
        *out = value_string(a, json_string_value(j));
        return true;
    case JSON_INTEGER:
        *out = value_int(json_integer_value(j));
        return true;
    case JSON_REAL:
        *out = value_real(json_real_value(j));
        return true;
    case JSON_NULL:
        return true;
    default:
        *out = value_bool(json_is_true(j));
        return true;
    }
}

static int fromjson_process(struct cmdlet_call *c)
{
    struct text *t = call_state(c);
    t->arena = call_arena(c);
    for (unsigned i = 0; i < arg_count(c, "InputObject"); i++)
        text_printf(t, "%s\n", arg_string_at(c, "InputObject", i));
    return t->len <= JSON_BYTES_MAX
               ? 0
               : call_fail(c, ERROR_TOO_LARGE, NULL, "The text is longer than %d bytes.", JSON_BYTES_MAX);
}

static int fromjson_end(struct cmdlet_call *c)
{
    json_error_t e;
    struct value v;
    json_t *j = json_loads(text_string(call_state(c)), JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &e);
    if (!j)
        return call_fail(c, ERROR_BAD_JSON, NULL, "The text is no JSON: %s, in line %d, column %d.", e.text,
                         e.line, e.column);
    bool ok = from_json(call_arena(c), j, 0, &v) && value_fits(v);
    json_decref(j);
    if (!ok)
        return call_fail(
            c, ERROR_TOO_LARGE, NULL,
            "The JSON is nested more than %d deep, has objects of more than %d members, or is too large.",
            VALUE_DEPTH_MAX, PROPERTIES_MAX);
    if (v.kind != VALUE_ARRAY)
        return emit(c, v);
    for (unsigned i = 0; i < v.array->count; i++)
        if (emit(c, v.array->items[i]) < 0)
            return -1;
    return 0;
}

const struct cmdlet_ops cmdlet_convertfrom_json = {
    .process = fromjson_process, .end = fromjson_end, .state_size = sizeof(struct text)};
