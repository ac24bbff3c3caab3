/* SPDX-License-Identifier: MIT */
/*
 * Memory of one statement: allocated piece by piece, freed whole. So nothing that a command makes (tokens,
 * trees, values, text) is freed by hand, and nothing of it may be kept beyond the statement; what a variable
 * keeps is copied into an arena of its own (value_copy()).
 *
 * Allocation does not fail: out of memory ends the process with one line. Hostile input cannot bring that
 * about, because every evaluation step checks arena_used() against ARENA_LIMIT. One thread an arena.
 */
#ifndef CMD_LANG_ARENA_H
#define CMD_LANG_ARENA_H

#include <stdarg.h>

#include "base/types.h"

enum {
    ARENA_LIMIT = 512 << 20,
    ARENA_OVERHEAD = 512 /* bytes of a small arena besides its content, about */
};

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *); /* NULL is allowed */
size_t arena_used(const struct arena *);

void *arena_alloc(struct arena *, size_t size); /* zeroed, aligned for any type */
char *arena_copy(struct arena *, const char *bytes, size_t len);
char *arena_printf(struct arena *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *, const char *fmt, va_list) __attribute__((format(printf, 2, 0)));

/* Room for one more element: grows `array` (of `size`-byte elements) by doubling when `count` fills it. */
void *arena_grow(struct arena *, void *array, unsigned count, unsigned *room, size_t size);

/* Text that grows. Begin with {.arena = a}; bytes is NULL until something was added, then NUL-terminated. */
struct text {
    struct arena *arena;
    char *bytes;
    size_t len, room;
};
void text_add(struct text *, const char *bytes, size_t len);
void text_puts(struct text *, const char *s);
void text_putc(struct text *, char c);
void text_repeat(struct text *, char c, size_t times);
void text_printf(struct text *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *text_string(struct text *); /* never NULL */

#endif
