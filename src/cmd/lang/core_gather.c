/* SPDX-License-Identifier: MIT */
/* Cmdlets that need all objects before they say anything: Sort-Object, Measure-Object, Format-Table,
 * Format-List. */
#include <stdlib.h>

#include "cmd/lang/format.h"
#include "cmd/lang/run.h"

extern const struct cmdlet_ops cmdlet_sort_object, cmdlet_measure_object, cmdlet_format_table,
    cmdlet_format_list;

static int gather(struct cmdlet_call *c)
{
    struct values *all = call_state(c);
    all->arena = call_arena(c);
    struct value v = call_piped(c) ? call_input(c) : arg_value(c, "InputObject");
    if (v.kind != VALUE_NULL)
        values_add(all, v);
    return 0;
}

/* ---- Sort-Object ---- */

struct sort_item {
    struct value object;
    const struct value *keys;
    unsigned index;
};

struct sort_order {
    struct arena *arena;
    unsigned key_count;
    bool descending;
};

static int compare_keys(const struct sort_item *a, const struct sort_item *b, const struct sort_order *o)
{
    for (unsigned i = 0; i < o->key_count; i++) {
        int r = value_compare(o->arena, a->keys[i], b->keys[i]);
        if (r)
            return o->descending ? -r : r;
    }
    return 0;
}

/* Equal ones stay as they came. */
static int compare_items(const void *left, const void *right, void *arg)
{
    const struct sort_item *a = left, *b = right;
    int r = compare_keys(a, b, arg);
    return r ? r : (a->index > b->index) - (a->index < b->index);
}

static int sort_keys(struct cmdlet_call *c, struct value object, unsigned count, const struct value **out)
{
    struct value *keys = arena_alloc(call_arena(c), count * sizeof(*keys));
    *out = keys;
    keys[0] = object;
    for (unsigned i = 0; i < arg_count(c, "Property"); i++)
        if (get_member(c->session, c->node, object, arg_string_at(c, "Property", i), &keys[i]) < 0)
            return -1;
    return 0;
}

static int sort_end(struct cmdlet_call *c)
{
    struct values *all = call_state(c);
    struct sort_order order = {call_arena(c), arg_count(c, "Property"), arg_switch(c, "Descending")};
    struct sort_item *items = arena_alloc(call_arena(c), all->count * sizeof(*items));
    order.key_count = order.key_count ? order.key_count : 1;
    for (unsigned i = 0; i < all->count; i++) {
        items[i] = (struct sort_item){.object = all->items[i], .index = i};
        if (sort_keys(c, all->items[i], order.key_count, &items[i].keys) < 0)
            return -1;
    }
    qsort_r(items, all->count, sizeof(*items), compare_items, &order);
    for (unsigned i = 0; i < all->count; i++) {
        bool repeats = i && arg_switch(c, "Unique") && compare_keys(&items[i - 1], &items[i], &order) == 0;
        if (!repeats && emit(c, items[i].object) < 0)
            return -1;
    }
    return 0;
}

const struct cmdlet_ops cmdlet_sort_object = {
    .process = gather, .end = sort_end, .state_size = sizeof(struct values)};

/* ---- Measure-Object ---- */

struct measure {
    i64 count, whole;
    bool integers; /* whole is the sum; else sum */
    double sum;
    struct value least, greatest;
};

static int measure_add(struct cmdlet_call *c, struct measure *m, struct value v)
{
    bool adds = arg_switch(c, "Sum") || arg_switch(c, "Average");
    struct value n = v;
    m->count++;
    if (v.kind == VALUE_STRING)
        value_parse_number(v.string, strlen(v.string), &n);
    if (adds && !value_is_number(n))
        return call_error(c, ERROR_BAD_OPERAND, NULL, "Input object \"%.60s\" is not numeric.",
                          value_to_string(call_arena(c), v));
    if (m->least.kind == VALUE_NULL || value_compare(call_arena(c), n, m->least) < 0)
        m->least = n;
    if (m->greatest.kind == VALUE_NULL || value_compare(call_arena(c), n, m->greatest) > 0)
        m->greatest = n;
    m->sum += value_to_real(n);
    m->integers =
        m->integers && n.kind == VALUE_INT && !__builtin_add_overflow(m->whole, n.integer, &m->whole);
    return 0;
}

static struct value measure_result(struct cmdlet_call *c, const struct measure *m, const char *property)
{
    struct value o = object_new(call_arena(c), call_type(c, "GenericMeasureInfo"));
    bool some = m->count > 0;
    object_set(o, "Count", value_int(m->count));
    object_set(o, "Average",
               some && arg_switch(c, "Average") ? value_real(m->sum / (double)m->count) : NULL_VALUE);
    object_set(o, "Sum",
               !some || !arg_switch(c, "Sum") ? NULL_VALUE
               : m->integers                  ? value_int(m->whole)
                                              : value_real(m->sum));
    object_set(o, "Maximum", arg_switch(c, "Maximum") ? m->greatest : NULL_VALUE);
    object_set(o, "Minimum", arg_switch(c, "Minimum") ? m->least : NULL_VALUE);
    object_set(o, "Property", value_static(property));
    return o;
}

static int measure_one(struct cmdlet_call *c, const char *property)
{
    struct values *all = call_state(c);
    struct measure m = {.integers = true};
    for (unsigned i = 0; i < all->count; i++) {
        struct value v = all->items[i];
        if (property && get_member(c->session, c->node, v, property, &v) < 0)
            return -1;
        if (v.kind != VALUE_NULL && measure_add(c, &m, v) < 0)
            return -1;
    }
    return emit(c, measure_result(c, &m, property));
}

static int measure_end(struct cmdlet_call *c)
{
    unsigned count = arg_count(c, "Property");
    for (unsigned i = 0; i < (count ? count : 1); i++)
        if (measure_one(c, arg_string_at(c, "Property", i)) < 0)
            return -1;
    return 0;
}

const struct cmdlet_ops cmdlet_measure_object = {
    .process = gather, .end = measure_end, .state_size = sizeof(struct values)};

/* ---- Format-Table, Format-List ---- */

struct emitted_lines {
    struct lines lines;
    struct cmdlet_call *call;
};

static int emit_line(struct lines *l, const char *line)
{
    struct emitted_lines *e = container_of(l, struct emitted_lines, lines);
    return emit(e->call, value_static(line));
}

typedef int show_objects(struct cmdlet_call *c, const struct values *objects, struct lines *lines);

static int show_table(struct cmdlet_call *c, const struct values *objects, struct lines *lines)
{
    struct table_options o = {arg_value(c, "Property").array, arg_switch(c, "HideTableHeaders")};
    if (!arg_given(c, "Property"))
        o.properties = NULL;
    return format_table(c->session, objects, &o, lines);
}

static int show_list(struct cmdlet_call *c, const struct values *objects, struct lines *lines)
{
    return format_list(c->session, objects, arg_given(c, "Property") ? arg_value(c, "Property").array : NULL,
                       lines);
}

/* Text stays text; objects of one type after the other share a table. */
static int show(struct cmdlet_call *c, show_objects *how)
{
    struct values *all = call_state(c), group = {.arena = call_arena(c)};
    struct emitted_lines lines = {{emit_line}, c};
    for (unsigned i = 0; i < all->count; i++) {
        struct value v = all->items[i];
        bool object = v.kind == VALUE_OBJECT;
        bool changes = group.count && (!object || group.items[0].object->type != v.object->type);
        if (changes) {
            if (how(c, &group, &lines.lines) < 0)
                return -1;
            group = (struct values){.arena = call_arena(c)};
        }
        if (object)
            values_add(&group, v);
        else if (emit(c, value_static(value_to_string(call_arena(c), v))) < 0)
            return -1;
    }
    return group.count ? how(c, &group, &lines.lines) : 0;
}

static int table_end(struct cmdlet_call *c)
{
    return show(c, show_table);
}

static int list_end(struct cmdlet_call *c)
{
    return show(c, show_list);
}

const struct cmdlet_ops cmdlet_format_table = {
    .process = gather, .end = table_end, .state_size = sizeof(struct values)};
const struct cmdlet_ops cmdlet_format_list = {
    .process = gather, .end = list_end, .state_size = sizeof(struct values)};
