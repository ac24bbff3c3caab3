/* SPDX-License-Identifier: MIT */
/* Structs described by rows. Numbers are u64, choices and versions unsigned, texts char arrays that end with
 * a zero. */
#include "config/schema.h"

#include <inttypes.h>
#include <stdio.h>

#include "config/versions.h"

static void *place(const struct setting *s, void *object)
{
    return (char *)object + s->offset;
}

static const void *place_const(const struct setting *s, const void *object)
{
    return (const char *)object + s->offset;
}

u64 setting_number(const struct setting *s, const void *object)
{
    const void *p = place_const(s, object);
    if (s->kind == SETTING_KIND_NUMBER)
        return *(const u64 *)p;
    return s->kind == SETTING_KIND_BOOL ? *(const bool *)p : *(const unsigned *)p;
}

void setting_set_number(const struct setting *s, void *object, u64 value)
{
    void *p = place(s, object);
    if (s->kind == SETTING_KIND_NUMBER)
        *(u64 *)p = value;
    else if (s->kind == SETTING_KIND_BOOL)
        *(bool *)p = value;
    else
        *(unsigned *)p = (unsigned)value;
}

bool setting_equal(const struct setting *s, const void *a, const void *b)
{
    if (s->kind == SETTING_KIND_TEXT)
        return strcmp(place_const(s, a), place_const(s, b)) == 0;
    return setting_number(s, a) == setting_number(s, b);
}

void schema_defaults(const struct schema *s, void *object)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct setting *row = &s->settings[i];
        if (row->kind == SETTING_KIND_TEXT)
            snprintf(place(row, object), row->size, "%s", row->text);
        else
            setting_set_number(row, object, row->def);
    }
}

/* ---- checks ---- */

static bool is_hex(const char *p, size_t n, bool lower)
{
    for (; n; n--, p++)
        if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f') || (!lower && *p >= 'A' && *p <= 'F')))
            return false;
    return true;
}

static bool is_guid(const char *p)
{
    static const u8 parts[] = {8, 4, 4, 4, 12};
    if (strlen(p) != 36)
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(parts); p += parts[i++] + 1)
        if (!is_hex(p, parts[i], true) || (i < 4 && p[parts[i]] != '-'))
            return false;
    return true;
}

static bool is_line(const char *p)
{
    for (; *p; p++)
        if ((u8)*p < ' ' || *p == 0x7f)
            return false;
    return true;
}

static const char *text_fault(const struct setting *s, const char *p)
{
    switch (s->form) {
    case TEXT_LINE:
        return is_line(p) ? NULL : "has a control character";
    case TEXT_PATH:
        return !*p || *p == '/' ? NULL : "is not an absolute path";
    case TEXT_GUID:
    case TEXT_GUID_OR_NONE:
        return is_guid(p) || (!*p && s->form == TEXT_GUID_OR_NONE) ? NULL : "is not a GUID in lower case";
    case TEXT_MAC:
        return !*p || (strlen(p) == 12 && is_hex(p, 12, false)) ? NULL : "is not 12 hexadecimal digits";
    default:
        return NULL;
    }
}

static int check_one(const char *what, const struct setting *s, const void *object, struct err *err)
{
    if (s->kind == SETTING_KIND_TEXT) {
        const char *fault = text_fault(s, place_const(s, object));
        return fault ? err_set(err, EXIT_STATUS_USAGE, "%s: %s %s", what, s->key, fault) : 0;
    }
    u64 v = setting_number(s, object);
    if (s->kind == SETTING_KIND_VERSION && !version_known((unsigned)v))
        return err_set(err, EXIT_STATUS_USAGE, "%s: %s %u.%u is no configuration version this program knows",
                       what, s->key, version_major((unsigned)v), version_minor((unsigned)v));
    if (s->kind != SETTING_KIND_VERSION && (v < s->least || v > s->most))
        return err_set(err, EXIT_STATUS_USAGE, "%s: %s is %" PRIu64 ", but goes from %" PRIu64 " to %" PRIu64,
                       what, s->key, v, s->least, s->most);
    return 0;
}

int schema_check(const struct schema *s, const void *object, struct err *err)
{
    for (unsigned i = 0; i < s->count; i++)
        if (check_one(s->what, &s->settings[i], object, err))
            return -1;
    return 0;
}

/* ---- JSON ---- */

static int refuse(const char *what, const struct setting *s, const char *needs, struct err *err)
{
    return err_set(err, EXIT_STATUS_USAGE, "%s: %s is not %s", what, s->key, needs);
}

static int load_text(const char *what, const struct setting *s, void *object, const json_t *v,
                     struct err *err)
{
    const char *text = json_string_value(v);
    if (!text)
        return refuse(what, s, "a string", err);
    if (strlen(text) >= s->size)
        return err_set(err, EXIT_STATUS_USAGE, "%s: %s is longer than %zu bytes", what, s->key, s->size - 1);
    strcpy(place(s, object), text);
    return 0;
}

static int load_number(const char *what, const struct setting *s, void *object, const json_t *v,
                       struct err *err)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return refuse(what, s, "a whole number from 0 on", err);
    setting_set_number(s, object, (u64)json_integer_value(v));
    return 0;
}

static int load_choice(const char *what, const struct setting *s, void *object, const json_t *v,
                       struct err *err)
{
    const char *text = json_string_value(v);
    for (u64 i = 0; text && i <= s->most; i++)
        if (strcmp(text, s->words[i]) == 0) {
            setting_set_number(s, object, i);
            return 0;
        }
    return refuse(what, s, "one of its words", err);
}

static int load_one(const char *what, const struct setting *s, void *object, const json_t *v, struct err *err)
{
    unsigned version;
    switch (s->kind) {
    case SETTING_KIND_TEXT:
        return load_text(what, s, object, v, err);
    case SETTING_KIND_NUMBER:
        return load_number(what, s, object, v, err);
    case SETTING_KIND_CHOICE:
        return load_choice(what, s, object, v, err);
    case SETTING_KIND_BOOL:
        if (!json_is_boolean(v))
            return refuse(what, s, "true or false", err);
        setting_set_number(s, object, json_is_true(v));
        return 0;
    default:
        if (!json_is_string(v) || !version_parse(json_string_value(v), &version))
            return refuse(what, s, "a version such as \"10.0\"", err);
        setting_set_number(s, object, version);
        return 0;
    }
}

static const struct setting *find(const struct schema *s, const char *key)
{
    for (unsigned i = 0; i < s->count; i++)
        if (strcmp(s->settings[i].key, key) == 0)
            return &s->settings[i];
    return NULL;
}

static bool is_among(const char *const *words, const char *word)
{
    for (; words && *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

int schema_load(const struct schema *s, void *object, const json_t *from, const char *const *others,
                struct err *err)
{
    const char *key;
    json_t *v;
    if (!json_is_object(from))
        return err_set(err, EXIT_STATUS_USAGE, "%s: is not a JSON object", s->what);
    json_object_foreach((json_t *)from, key, v)
    {
        const struct setting *row = find(s, key);
        if (row ? load_one(s->what, row, object, v, err) : !is_among(others, key))
            return err_set(err, EXIT_STATUS_USAGE,
                           "%s: has the key '%.60s', which this program does not know", s->what, key);
    }
    return schema_check(s, object, err);
}

static json_t *store_one(const struct setting *s, const void *object)
{
    char version[VERSION_TEXT_MAX];
    switch (s->kind) {
    case SETTING_KIND_TEXT:
        return json_string(place_const(s, object));
    case SETTING_KIND_NUMBER:
        return json_integer((json_int_t)setting_number(s, object));
    case SETTING_KIND_BOOL:
        return json_boolean(setting_number(s, object));
    case SETTING_KIND_CHOICE:
        return json_string(s->words[setting_number(s, object)]);
    default:
        return json_string(version_print((unsigned)setting_number(s, object), version));
    }
}

int schema_store(const struct schema *s, const void *object, json_t *to, struct err *err)
{
    if (schema_check(s, object, err))
        return -1;
    for (unsigned i = 0; i < s->count; i++)
        if (json_object_set_new(to, s->settings[i].key, store_one(&s->settings[i], object)))
            return err_set(err, EXIT_STATUS_USAGE, "%s: %s cannot be written: it is not UTF-8", s->what,
                           s->settings[i].key);
    return 0;
}
