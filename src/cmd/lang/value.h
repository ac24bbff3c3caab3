/* SPDX-License-Identifier: MIT */
/*
 * What flows through a pipeline. A value is small and passed by copy; what it points to lies in an arena and
 * is not changed once it is made (an object may be changed by the cmdlet that builds it, until it is
 * emitted). Names of properties compare without regard to case, as all names of the language do. Strings are
 * UTF-8 and hold no NUL.
 */
#ifndef CMD_LANG_VALUE_H
#define CMD_LANG_VALUE_H

#include "cmd/lang/arena.h"

enum value_kind {
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_REAL,
    VALUE_STRING,
    VALUE_SPAN, /* a length of time in units of 100 ns, printed as 00:01:13.1470000 */
    VALUE_ARRAY,
    VALUE_OBJECT,
    VALUE_BLOCK, /* { ... } */
};

struct node; /* a piece of a parsed command: parse.h */
struct array;
struct object;
struct type_row; /* rows.h */

struct value {
    enum value_kind kind;
    union {
        bool boolean;
        i64 integer; /* of VALUE_INT and VALUE_SPAN */
        double real;
        const char *string;
        const struct array *array;
        struct object *object;
        const struct node *block;
    };
};

/* How deep a value is nested and how many bytes copying it takes: kept with each, so that literals built by a
 * hostile loop are refused (value_fits()) before anything walks them. */
struct extent {
    unsigned depth;
    bool block; /* there is a { } within */
    u64 bytes;
};
enum { VALUE_DEPTH_MAX = 64, VALUE_BYTES_MAX = 64 << 20, STRING_BYTES_MAX = 4 << 20, PROPERTIES_MAX = 4096 };

struct array {
    unsigned count;
    const struct value *items;
    struct extent extent;
};

struct property {
    const char *name;
    struct value value;
};

struct object {
    struct arena *arena;
    const struct type_row *type; /* its row in types.def; NULL: made by the language (Select-Object, @{}) */
    bool table;                  /* a hash table, @{} */
    unsigned count, room;
    struct property *properties;
    struct extent extent;
};

#define NULL_VALUE ((struct value){.kind = VALUE_NULL})
static inline struct value value_bool(bool b)
{
    return (struct value){.kind = VALUE_BOOL, .boolean = b};
}
static inline struct value value_int(i64 i)
{
    return (struct value){.kind = VALUE_INT, .integer = i};
}
static inline struct value value_real(double d)
{
    return (struct value){.kind = VALUE_REAL, .real = d};
}
static inline struct value value_span(i64 hundred_ns)
{
    return (struct value){.kind = VALUE_SPAN, .integer = hundred_ns};
}
/* s is not copied: it has to live as long as the arena, or be static. NULL gives the null value. */
static inline struct value value_static(const char *s)
{
    return s ? (struct value){.kind = VALUE_STRING, .string = s} : NULL_VALUE;
}
struct value value_string(struct arena *, const char *s); /* copies s; NULL gives the null value */
struct value value_printf(struct arena *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct value value_array(struct arena *, const struct value *items, unsigned count); /* copies the items */

/* A new object without properties; what it is given lies in `a` too. type: as in struct object. */
struct value object_new(struct arena *a, const struct type_row *type);
/* Sets a property, at the end if it is new. `name` has to live as long as the arena, or be static. */
void object_set(struct value object, const char *name, struct value v);
/* The property, or NULL. Any value may be asked; only objects have properties of their own. */
const struct property *object_find(struct value v, const char *name);
/* A property's value, or null. */
struct value object_get(struct value v, const char *name);

bool value_fits(struct value v);
/* A block is a piece of the running text, so nothing that outlives the statement may hold one. */
bool value_has_block(struct value v);

/* Everything that v is made of, copied into `a`. */
struct value value_copy(struct arena *a, struct value v);

/* ---- collecting ---- */
struct values {
    struct arena *arena;
    struct value *items;
    unsigned count, room;
};
void values_add(struct values *, struct value v);
/* How a pipeline's output becomes one value: none is null, one is itself, more are an array. */
struct value values_result(const struct values *);

/* ---- conversions ---- */
bool value_is_number(struct value v);
bool value_truth(struct value v);                          /* as `if` sees it */
double value_to_real(struct value v);                      /* of a number, a Boolean or a time span; else 0 */
const char *value_to_string(struct arena *, struct value); /* as in "$v"; elements with a blank between */
const char *value_type_name(struct value v);               /* "String", "Int64", "VirtualMachine" */
/* A whole number from text: 512, 0x10, 2GB, -1, 1e3. False when it is none or too large. */
bool value_parse_number(const char *s, size_t len, struct value *out);

/* <0, 0, >0 as the operators and Sort-Object order them: numbers by size, text without regard to case; the
 * right side is converted to the kind of the left. */
int value_compare(struct arena *, struct value left, struct value right);
bool value_equal(struct arena *, struct value left, struct value right);

/* PowerShell's wildcards: * ? [a-c] and ` to escape; without regard to case. */
bool wildcard_match(const char *pattern, const char *s);
bool wildcard_has(const char *s);

int text_compare(const char *a, const char *b); /* without regard to the case of ASCII letters */
static inline bool text_equal(const char *a, const char *b)
{
    return text_compare(a, b) == 0;
}
bool text_begins(const char *s, const char *start); /* likewise */

#endif
