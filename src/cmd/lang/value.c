/* SPDX-License-Identifier: MIT */
/* Building values: strings, arrays, objects, and copies of them. */
#include "cmd/lang/value.h"

struct value value_string(struct arena *a, const char *s)
{
    return s ? value_static(arena_copy(a, s, strlen(s))) : NULL_VALUE;
}

struct value value_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct value v = value_static(arena_vprintf(a, fmt, ap));
    va_end(ap);
    return v;
}

/* ---- extent ---- */

static struct extent extent_of(struct value v)
{
    switch (v.kind) {
    case VALUE_STRING:
        return (struct extent){.bytes = strlen(v.string) + 1};
    case VALUE_BLOCK:
        return (struct extent){.block = true};
    case VALUE_ARRAY:
        return v.array->extent;
    case VALUE_OBJECT:
        return v.object->extent;
    default:
        return (struct extent){0};
    }
}

static void extent_add(struct extent *whole, struct value part, size_t own)
{
    struct extent e = extent_of(part);
    if (e.depth + 1 > whole->depth)
        whole->depth = e.depth + 1;
    whole->block |= e.block;
    whole->bytes += e.bytes + own;
}

bool value_fits(struct value v)
{
    struct extent e = extent_of(v);
    return e.depth <= VALUE_DEPTH_MAX && e.bytes <= VALUE_BYTES_MAX;
}

bool value_has_block(struct value v)
{
    return extent_of(v).block;
}

/* ---- arrays ---- */

struct value value_array(struct arena *a, const struct value *items, unsigned count)
{
    struct array *array = arena_alloc(a, sizeof(*array));
    struct value *copy = arena_alloc(a, count * sizeof(*copy));
    for (unsigned i = 0; i < count; i++) {
        copy[i] = items[i];
        extent_add(&array->extent, items[i], sizeof(*copy));
    }
    array->count = count;
    array->items = copy;
    return (struct value){.kind = VALUE_ARRAY, .array = array};
}

void values_add(struct values *list, struct value v)
{
    list->items = arena_grow(list->arena, list->items, list->count, &list->room, sizeof(*list->items));
    list->items[list->count++] = v;
}

struct value values_result(const struct values *list)
{
    if (list->count == 0)
        return NULL_VALUE;
    return list->count == 1 ? list->items[0] : value_array(list->arena, list->items, list->count);
}

/* ---- objects ---- */

struct value object_new(struct arena *a, const struct type_row *type)
{
    struct object *o = arena_alloc(a, sizeof(*o));
    o->arena = a;
    o->type = type;
    return (struct value){.kind = VALUE_OBJECT, .object = o};
}

const struct property *object_find(struct value v, const char *name)
{
    if (v.kind != VALUE_OBJECT)
        return NULL;
    for (unsigned i = 0; i < v.object->count; i++)
        if (text_equal(v.object->properties[i].name, name))
            return &v.object->properties[i];
    return NULL;
}

struct value object_get(struct value v, const char *name)
{
    const struct property *p = object_find(v, name);
    return p ? p->value : NULL_VALUE;
}

void object_set(struct value object, const char *name, struct value v)
{
    struct object *o = object.object;
    extent_add(&o->extent, v, sizeof(struct property));
    for (unsigned i = 0; i < o->count; i++) {
        if (text_equal(o->properties[i].name, name)) {
            o->properties[i].value = v;
            return;
        }
    }
    o->properties = arena_grow(o->arena, o->properties, o->count, &o->room, sizeof(*o->properties));
    o->properties[o->count++] = (struct property){name, v};
}

/* ---- copies ---- */

static struct value copy_array(struct arena *a, const struct array *from)
{
    struct array *to = arena_alloc(a, sizeof(*to));
    struct value *items = arena_alloc(a, from->count * sizeof(*items));
    for (unsigned i = 0; i < from->count; i++)
        items[i] = value_copy(a, from->items[i]);
    *to = (struct array){from->count, items, from->extent};
    return (struct value){.kind = VALUE_ARRAY, .array = to};
}

static struct value copy_object(struct arena *a, const struct object *from)
{
    struct value v = object_new(a, from->type);
    v.object->table = from->table;
    for (unsigned i = 0; i < from->count; i++) {
        const struct property *p = &from->properties[i];
        object_set(v, arena_copy(a, p->name, strlen(p->name)), value_copy(a, p->value));
    }
    return v;
}

struct value value_copy(struct arena *a, struct value v)
{
    switch (v.kind) {
    case VALUE_STRING:
        return value_string(a, v.string);
    case VALUE_ARRAY:
        return copy_array(a, v.array);
    case VALUE_OBJECT:
        return copy_object(a, v.object);
    default:
        return v;
    }
}
