/* SPDX-License-Identifier: MIT */
/*
 * Plain structs described by rows: defaults, ranges, JSON.
 *
 * A schema says of each field of a struct what it may hold and under which key it stands in JSON. Loading
 * takes nothing on trust: types, ranges, lengths, unknown and repeated keys are refused, each in one line
 * that names the place.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <jansson.h>

#include "base/err.h"
#include "base/types.h"

enum setting_kind {
    SETTING_KIND_TEXT,
    SETTING_KIND_NUMBER,
    SETTING_KIND_BOOL,
    SETTING_KIND_CHOICE,
    SETTING_KIND_VERSION
};
/* TEXT_LINE: no control characters. TEXT_PATH: empty or absolute. TEXT_GUID: lower case, TEXT_GUID_OR_NONE:
 * that or empty. TEXT_MAC: empty or 12 digits. */
enum text_form { TEXT_FREE, TEXT_LINE, TEXT_PATH, TEXT_GUID, TEXT_GUID_OR_NONE, TEXT_MAC };
enum setting_change { CHANGE_NEVER, CHANGE_OFF, CHANGE_ANY };

struct setting {
    const char *field, *key, *help;
    enum setting_kind kind;
    enum setting_change change;
    unsigned since; /* a configuration version: major * 256 + minor */
    size_t offset, size;
    u64 least, most, def;
    enum text_form form;
    const char *text;         /* the default of a text */
    const char *const *words; /* of a choice: most + 1 of them */
};

struct schema {
    const char *what; /* names the object in errors */
    const struct setting *settings;
    unsigned count;
};

void schema_defaults(const struct schema *s, void *object);
/* Every field within its range. */
int must_check schema_check(const struct schema *s, const void *object, struct err *err);
/* object: has its defaults; keys absent in `from` keep them. Keys in `others` (ends with NULL, or NULL) are
 * the caller's. */
int must_check schema_load(const struct schema *s, void *object, const json_t *from,
                           const char *const *others, struct err *err);
/* Adds every field to the JSON object `to`. */
int must_check schema_store(const struct schema *s, const void *object, json_t *to, struct err *err);

bool setting_equal(const struct setting *s, const void *a, const void *b);
u64 setting_number(const struct setting *s, const void *object); /* of every kind but a text */
void setting_set_number(const struct setting *s, void *object, u64 value);

#endif
