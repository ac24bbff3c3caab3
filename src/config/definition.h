/* SPDX-License-Identifier: MIT */
/*
 * What all definition files have in common: one JSON object with "format", a number that grows when older
 * programs would misread what is there; settings by a schema; lists of objects by schemas.
 */
#ifndef CONFIG_DEFINITION_H
#define CONFIG_DEFINITION_H

#include "config/schema.h"

/* text: hostile. An object whose format is there and at most `format`, with no key twice; json_decref() it.
 * NULL and err: damaged, or of a newer program. */
json_t *definition_parse(const char *text, size_t len, int format, struct err *err);

/* Objects of `size` bytes each become the list `key` of `to`. */
int must_check definition_store_list(const struct schema *s, const void *objects, size_t size, unsigned count,
                                     json_t *to, const char *key, struct err *err);

/* An object with a format, to be filled; NULL only when memory is gone, which definition_print() tells. */
json_t *definition_new(int format);
/* The text of o, which it frees, or does not make of it when r is not 0; free() the text. NULL and err. */
char *definition_print(json_t *o, int r, struct err *err);

#endif
