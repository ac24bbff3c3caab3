/* SPDX-License-Identifier: MIT */
#include "config/definition.h"

/* What a newer format means nobody here can judge. */
static int check_format(const json_t *o, int most, struct err *err)
{
    const json_t *format = json_object_get(o, "format");
    if (!json_is_integer(format))
        return err_set(err, EXIT_STATUS_USAGE, "the definition: format is missing");
    if (json_integer_value(format) > most)
        return err_set(err, EXIT_STATUS_USAGE,
                       "the definition has format %lld, made by a newer program; this one knows up to %d",
                       (long long)json_integer_value(format), most);
    return 0;
}

json_t *definition_parse(const char *text, size_t len, int format, struct err *err)
{
    json_error_t e;
    json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    if (!o) {
        err_set(err, EXIT_STATUS_USAGE, "the definition is damaged: line %d: %.100s", e.line, e.text);
        return NULL;
    }
    if (check_format(o, format, err)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

int definition_store_list(const struct schema *s, const void *objects, size_t size, unsigned count,
                          json_t *to, const char *key, struct err *err)
{
    json_t *list = json_array();
    if (json_object_set_new(to, key, list))
        return err_set(err, EXIT_STATUS_HOST, "out of memory for a definition");
    for (unsigned i = 0; i < count; i++) {
        json_t *o = json_object();
        if (json_array_append_new(list, o))
            return err_set(err, EXIT_STATUS_HOST, "out of memory for a definition");
        if (schema_store(s, (const char *)objects + i * size, o, err))
            return -1;
    }
    return 0;
}

json_t *definition_new(int format)
{
    return json_pack("{s:i}", "format", format);
}

char *definition_print(json_t *o, int r, struct err *err)
{
    char *text = o && r == 0 ? json_dumps(o, JSON_INDENT(2)) : NULL;
    json_decref(o);
    if (!text && r == 0)
        err_set(err, EXIT_STATUS_HOST, "out of memory for a definition");
    return text;
}
