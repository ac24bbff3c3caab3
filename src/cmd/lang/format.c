/* SPDX-License-Identifier: MIT */
/*
 * What happens to values that nothing takes: text is printed line by line; objects are gathered as long as
 * they are of one kind and become a table or a list. Also cells and widths.
 */
#include "cmd/lang/format.h"

#include <wchar.h>

enum { CELL_ELEMENTS = 4, CELL_BYTES = 4000, TABLE_PROPERTIES = 4 };

/* ---- cells ---- */

static const char *clean(struct session *s, const char *text, bool lines)
{
    char *copy = arena_copy(s->arena, text, strlen(text));
    for (char *p = copy; *p; p++)
        if (((u8)*p < 0x20 && !(lines && *p == '\n')) || *p == 0x7f)
            *p = *p == '\t' ? ' ' : '?';
    return copy;
}

const char *format_cell(struct session *s, struct value v)
{
    if (v.kind != VALUE_ARRAY)
        return clean(s, value_to_string(s->arena, v), true);
    struct text t = {.arena = s->arena};
    text_putc(&t, '{');
    for (unsigned i = 0; i < v.array->count && t.len < CELL_BYTES; i++) {
        if (i == CELL_ELEMENTS) {
            text_puts(&t, "...");
            break;
        }
        text_printf(&t, "%s%s", i ? ", " : "", value_to_string(s->arena, v.array->items[i]));
    }
    text_putc(&t, '}');
    return clean(s, text_string(&t), true);
}

/* One code point of UTF-8; a broken one is a column by itself. */
static unsigned code_point_width(const char **s)
{
    static const u8 first_mask[] = {0, 0, 0x1f, 0x0f, 0x07};
    u8 c = (u8) * *s;
    unsigned len = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf8 ? 4 : 1;
    u32 code = c & (len > 1 ? first_mask[len] : 0x7f);
    unsigned i = 1;
    for (; i < len && ((*s)[i] & 0xc0) == 0x80; i++)
        code = code << 6 | ((*s)[i] & 0x3f);
    *s += i;
    int width = i == len && len > 1 ? wcwidth((wchar_t)code) : 1;
    return width < 0 ? 1 : (unsigned)width;
}

unsigned text_width(const char *s)
{
    unsigned width = 0;
    while (*s)
        width += code_point_width(&s);
    return width;
}

/* ---- names ---- */

static bool has_name(const struct values *names, const char *name)
{
    for (unsigned i = 0; i < names->count; i++)
        if (text_equal(names->items[i].string, name))
            return true;
    return false;
}

void select_names(struct session *s, struct value object, const struct array *wanted, struct values *names)
{
    const struct value all = value_static("*");
    const struct array everything = {1, &all, {0}};
    wanted = wanted ? wanted : &everything;
    for (unsigned i = 0; i < wanted->count; i++) {
        const char *name = value_to_string(s->arena, wanted->items[i]);
        const struct property *p = object_find(object, name);
        if (!wildcard_has(name)) {
            if (!has_name(names, name))
                values_add(names, value_static(p ? p->name : name));
            continue;
        }
        for (unsigned j = 0; object.kind == VALUE_OBJECT && j < object.object->count; j++) {
            const char *have = object.object->properties[j].name;
            if (wildcard_match(name, have) && !has_name(names, have))
                values_add(names, value_static(have));
        }
    }
}

/* ---- gathering ---- */

struct formatter {
    struct session *session;
    struct values objects; /* of one kind, not printed yet */
    struct lines lines;
};

static int print_line(struct lines *l, const char *line)
{
    struct formatter *f = container_of(l, struct formatter, lines);
    print(f->session, line);
    print(f->session, "\n");
    return 0;
}

struct formatter *formatter_new(struct session *s)
{
    struct formatter *f = arena_alloc(s->arena, sizeof(*f));
    f->session = s;
    f->objects.arena = s->arena;
    f->lines.put = print_line;
    return f;
}

static bool shown_as_list(struct session *s, struct value v)
{
    const struct object *o = v.object;
    if (o->table)
        return false;
    const struct row *row = o->type ? row_of_type(s->commands, o->type) : NULL;
    if (o->type && o->type->list)
        return true;
    if (row && row_next(s->commands, row, row, ROW_COLUMN))
        return false;
    return o->count > TABLE_PROPERTIES;
}

/* Do they share a table? Objects without a type have to have the same properties. */
static bool same_kind(struct value a, struct value b)
{
    const struct object *x = a.object, *y = b.object;
    if (x->type || y->type || x->table || y->table)
        return x->type == y->type && x->table == y->table;
    if (x->count != y->count)
        return false;
    for (unsigned i = 0; i < x->count; i++)
        if (!text_equal(x->properties[i].name, y->properties[i].name))
            return false;
    return true;
}

static void flush(struct formatter *f)
{
    struct session *s = f->session;
    if (!f->objects.count)
        return;
    struct table_options options = {0};
    int r = shown_as_list(s, f->objects.items[0]) ? format_list(s, &f->objects, NULL, &f->lines)
                                                  : format_table(s, &f->objects, &options, &f->lines);
    bug_on(r < 0, "print_line() refuses no line");
    f->objects.count = 0;
}

/* The entries of @{ } as objects of Name and Value. */
static void put_entries(struct formatter *f, const struct object *table)
{
    for (unsigned i = 0; i < table->count; i++) {
        struct value entry = object_new(f->session->arena, NULL);
        object_set(entry, "Name", value_static(table->properties[i].name));
        object_set(entry, "Value", table->properties[i].value);
        values_add(&f->objects, entry);
    }
}

int formatter_put(struct formatter *f, struct value v)
{
    if (v.kind == VALUE_ARRAY) {
        for (unsigned i = 0; i < v.array->count; i++)
            if (formatter_put(f, v.array->items[i]) < 0)
                return -1;
        return 0;
    }
    if (v.kind == VALUE_OBJECT) {
        if (f->objects.count && (v.object->table || !same_kind(f->objects.items[0], v)))
            flush(f);
        if (v.object->table)
            put_entries(f, v.object);
        else
            values_add(&f->objects, v);
        return 0;
    }
    flush(f);
    if (v.kind != VALUE_NULL)
        return print_line(&f->lines, value_to_string(f->session->arena, v));
    return 0;
}

void formatter_end(struct formatter *f)
{
    flush(f);
    fflush(f->session->io.out);
}
