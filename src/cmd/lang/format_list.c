/* SPDX-License-Identifier: MIT */
/* Lists: a blank line before each object, its properties with the colons below each other, a blank line at
 * the end. */
#include "cmd/lang/format.h"

static void names_of(struct session *s, struct value object, const struct array *wanted, struct values *names)
{
    const struct type_row *type = object.kind == VALUE_OBJECT ? object.object->type : NULL;
    const struct row *row = type && !wanted ? row_of_type(s->commands, type) : NULL;
    for (const struct row *r = row; r && (r = row_next(s->commands, row, r, ROW_LISTED));)
        values_add(names, value_static(r->listed.property));
    if (!names->count)
        select_names(s, object, wanted, names);
}

static unsigned widest(const struct values *names)
{
    unsigned width = 0;
    for (unsigned i = 0; i < names->count; i++) {
        unsigned n = text_width(names->items[i].string);
        width = n > width ? n : width;
    }
    return width;
}

/* Further lines of a value stand below its first. */
static int put_property(struct session *s, const char *name, const char *value, unsigned width,
                        struct lines *lines)
{
    struct text line = {.arena = s->arena};
    text_puts(&line, name);
    text_repeat(&line, ' ', width - text_width(name));
    text_puts(&line, " : ");
    for (;;) {
        size_t n = strcspn(value, "\n");
        text_add(&line, value, n);
        if (lines->put(lines, text_string(&line)) < 0)
            return -1;
        if (!value[n])
            return 0;
        value += n + 1;
        line = (struct text){.arena = s->arena};
        text_repeat(&line, ' ', width + 3);
    }
}

static int put_object(struct session *s, struct value object, const struct array *wanted, struct lines *lines)
{
    struct values names = {.arena = s->arena};
    names_of(s, object, wanted, &names);
    unsigned width = widest(&names);
    if (!names.count)
        return 0;
    if (lines->put(lines, "") < 0)
        return -1;
    for (unsigned i = 0; i < names.count; i++) {
        const char *name = names.items[i].string;
        if (put_property(s, name, format_cell(s, object_get(object, name)), width, lines) < 0)
            return -1;
    }
    return 0;
}

int format_list(struct session *s, const struct values *objects, const struct array *wanted,
                struct lines *lines)
{
    for (unsigned i = 0; i < objects->count; i++)
        if (put_object(s, objects->items[i], wanted, lines) < 0)
            return -1;
    return objects->count ? lines->put(lines, "") : 0;
}
