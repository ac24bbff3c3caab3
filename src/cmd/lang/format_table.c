/* SPDX-License-Identifier: MIT */
/* Tables: a blank line, headers, dashes, rows, a blank line. */
#include "cmd/lang/format.h"

enum { COLUMNS_MAX = 64, COLUMN_MIN = 4 };

struct column {
    const char *header, *property;
    i64 divisor;
    unsigned width;
    bool right;
};

struct table {
    struct session *session;
    struct column columns[COLUMNS_MAX];
    unsigned column_count;
    const char **cells; /* rows of column_count */
    unsigned row_count;
    struct lines *lines;
};

/* ---- which columns ---- */

static void add_column(struct table *t, struct column c)
{
    if (t->column_count < COLUMNS_MAX)
        t->columns[t->column_count++] = c;
}

static void columns_of_type(struct table *t, const struct row *type)
{
    const struct command_set *set = t->session->commands;
    for (const struct row *r = type; (r = row_next(set, type, r, ROW_COLUMN));)
        add_column(t, (struct column){r->column.header, r->column.property, r->column.divisor,
                                      r->column.width, r->column.align == ALIGN_RIGHT});
}

/* Numbers stand at the right. */
static void columns_of_names(struct table *t, struct value first, const struct array *wanted)
{
    struct values names = {.arena = t->session->arena};
    select_names(t->session, first, wanted, &names);
    for (unsigned i = 0; i < names.count; i++) {
        const char *name = names.items[i].string;
        add_column(t, (struct column){.header = name,
                                      .property = name,
                                      .right = value_is_number(object_get(first, name))});
    }
}

static void choose_columns(struct table *t, struct value first, const struct table_options *o)
{
    const struct type_row *type = first.kind == VALUE_OBJECT ? first.object->type : NULL;
    const struct row *row = type ? row_of_type(t->session->commands, type) : NULL;
    if (!o->properties && row)
        columns_of_type(t, row);
    if (!t->column_count)
        columns_of_names(t, first, o->properties);
}

/* ---- cells and widths ---- */

static const char *one_line(struct session *s, const char *text)
{
    char *copy = arena_copy(s->arena, text, strlen(text));
    for (char *p = copy; *p; p++)
        if (*p == '\n')
            *p = ' ';
    return copy;
}

static const char *cell(struct table *t, struct value object, const struct column *c)
{
    struct value v = object_get(object, c->property);
    if (c->divisor && v.kind == VALUE_INT)
        v = value_int(v.integer / c->divisor);
    return one_line(t->session, format_cell(t->session, v));
}

static void fill(struct table *t, const struct values *objects)
{
    t->row_count = objects->count;
    t->cells = arena_alloc(t->session->arena, (size_t)t->row_count * t->column_count * sizeof(*t->cells));
    for (unsigned r = 0; r < t->row_count; r++)
        for (unsigned c = 0; c < t->column_count; c++)
            t->cells[r * t->column_count + c] = cell(t, objects->items[r], &t->columns[c]);
}

static void measure(struct table *t, bool header)
{
    for (unsigned c = 0; c < t->column_count; c++) {
        struct column *column = &t->columns[c];
        unsigned n = header ? text_width(column->header) : 0;
        column->width = column->width > n ? column->width : n;
        for (unsigned r = 0; r < t->row_count; r++) {
            n = text_width(t->cells[r * t->column_count + c]);
            column->width = column->width > n ? column->width : n;
        }
    }
}

static unsigned total_width(const struct table *t)
{
    unsigned n = 0;
    for (unsigned c = 0; c < t->column_count; c++)
        n += t->columns[c].width + (c > 0);
    return n;
}

/* The widest columns give way first; what still does not fit goes from the right. */
static void fit(struct table *t, unsigned width)
{
    while (total_width(t) > width) {
        struct column *widest = &t->columns[0];
        for (unsigned c = 1; c < t->column_count; c++)
            if (t->columns[c].width > widest->width)
                widest = &t->columns[c];
        if (widest->width > COLUMN_MIN)
            widest->width--;
        else if (t->column_count > 1)
            t->column_count--;
        else
            return;
    }
}

/* ---- lines ---- */

/* As much of s as `width` columns hold; what was cut off shows as "...". */
static void put_cell(struct text *line, const char *s, const struct column *c, bool last)
{
    unsigned width = text_width(s);
    size_t len = strlen(s);
    const char *dots = "";
    if (width > c->width) {
        dots = c->width > 3 ? "..." : "";
        while (len && width + strlen(dots) > c->width) {
            do
                len--;
            while (len && (s[len] & 0xc0) == 0x80);
            char *start = arena_copy(line->arena, s, len);
            width = text_width(start);
        }
        width += (unsigned)strlen(dots);
    }
    unsigned pad = width < c->width ? c->width - width : 0;
    if (c->right)
        text_repeat(line, ' ', pad);
    text_add(line, s, len);
    text_puts(line, dots);
    if (!c->right && !last)
        text_repeat(line, ' ', pad);
}

static int put_row(struct table *t, const char *const *cells)
{
    struct text line = {.arena = t->session->arena};
    for (unsigned c = 0; c < t->column_count; c++) {
        if (c)
            text_putc(&line, ' ');
        put_cell(&line, cells[c], &t->columns[c], c + 1 == t->column_count);
    }
    while (line.len && line.bytes[line.len - 1] == ' ')
        line.bytes[--line.len] = 0;
    return t->lines->put(t->lines, text_string(&line));
}

static int put_header(struct table *t)
{
    const char *names[COLUMNS_MAX], *dashes[COLUMNS_MAX];
    for (unsigned c = 0; c < t->column_count; c++) {
        struct text line = {.arena = t->session->arena};
        names[c] = t->columns[c].header;
        unsigned n = text_width(names[c]);
        text_repeat(&line, '-', n < t->columns[c].width ? n : t->columns[c].width);
        dashes[c] = text_string(&line);
    }
    return put_row(t, names) < 0 ? -1 : put_row(t, dashes);
}

int format_table(struct session *s, const struct values *objects, const struct table_options *o,
                 struct lines *lines)
{
    struct table *t = arena_alloc(s->arena, sizeof(*t));
    unsigned stride;
    if (!objects->count)
        return 0;
    t->session = s;
    t->lines = lines;
    choose_columns(t, objects->items[0], o);
    if (!t->column_count)
        return 0;
    fill(t, objects);
    stride = t->column_count;
    measure(t, !o->no_header);
    if (s->io.width)
        fit(t, s->io.width);
    if (lines->put(lines, "") < 0 || (!o->no_header && put_header(t) < 0))
        return -1;
    for (unsigned r = 0; r < t->row_count; r++)
        if (put_row(t, t->cells + (size_t)r * stride) < 0)
            return -1;
    return lines->put(lines, "");
}
