/* SPDX-License-Identifier: MIT */
/* Values as text, numbers and truth; their order; wildcards. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "cmd/lang/parse.h"
#include "cmd/lang/rows.h"
#include "cmd/lang/value.h"

/* ---- text ---- */

static int fold(char c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : (unsigned char)c;
}

int text_compare(const char *a, const char *b)
{
    while (*a && fold(*a) == fold(*b)) {
        a++;
        b++;
    }
    return fold(*a) - fold(*b);
}

bool text_begins(const char *s, const char *start)
{
    while (*start && fold(*s) == fold(*start)) {
        s++;
        start++;
    }
    return !*start;
}

/* ---- numbers ---- */

bool value_is_number(struct value v)
{
    return v.kind == VALUE_INT || v.kind == VALUE_REAL;
}

static bool parse_unit(const char *s, unsigned *shift)
{
    static const char *const units[] = {"", "KB", "MB", "GB", "TB", "PB"};
    for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
        if (text_equal(s, units[i])) {
            *shift = 10 * i;
            return true;
        }
    }
    return false;
}

static bool make_number(bool whole, u64 integer, double real, bool negative, unsigned shift,
                        struct value *out)
{
    if (whole && integer <= (u64)INT64_MAX >> shift) {
        i64 n = (i64)(integer << shift);
        *out = value_int(negative ? -n : n);
        return true;
    }
    real = (whole ? (double)integer : real) * (double)(1ull << shift);
    bool is_whole = real < 9e18 && real == floor(real) && shift;
    *out = is_whole ? value_int(negative ? -(i64)real : (i64)real) : value_real(negative ? -real : real);
    return isfinite(real);
}

/* The digits of a decimal or hexadecimal number, without sign. Returns where they end, or NULL. */
static const char *parse_digits(const char *s, bool *whole, u64 *integer, double *real)
{
    char *end;
    errno = 0;
    *whole = true;
    *real = 0;
    bool hex = s[0] == '0' && fold(s[1]) == 'x';
    if (hex ? !isxdigit((unsigned char)s[2]) : !isdigit((unsigned char)s[s[0] == '.']))
        return NULL;
    *integer = strtoull(hex ? s + 2 : s, &end, hex ? 16 : 10);
    if (hex)
        return errno ? NULL : end;
    bool exponent = fold(*end) == 'e' && isdigit((unsigned char)end[1 + (end[1] == '+' || end[1] == '-')]);
    if (errno || *end == '.' || exponent) {
        *whole = false;
        *real = strtod(s, &end);
    }
    return end;
}

bool value_parse_number(const char *s, size_t len, struct value *out)
{
    char buf[64];
    if (!len || len >= sizeof(buf))
        return false;
    memcpy(buf, s, len);
    buf[len] = 0;
    const char *at = buf;
    bool negative = *at == '-', whole;
    at += negative || *at == '+';
    u64 integer;
    double real;
    unsigned shift;
    at = parse_digits(at, &whole, &integer, &real);
    if (at && fold(*at) == 'l' && whole)
        at++;
    return at && parse_unit(at, &shift) && make_number(whole, integer, real, negative, shift, out);
}

double value_to_real(struct value v)
{
    switch (v.kind) {
    case VALUE_BOOL:
        return v.boolean;
    case VALUE_INT:
    case VALUE_SPAN:
        return (double)v.integer;
    case VALUE_REAL:
        return v.real;
    default:
        return 0;
    }
}

bool value_truth(struct value v)
{
    switch (v.kind) {
    case VALUE_NULL:
        return false;
    case VALUE_STRING:
        return *v.string;
    case VALUE_ARRAY:
        return v.array->count > 1 || (v.array->count == 1 && value_truth(v.array->items[0]));
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_REAL:
    case VALUE_SPAN:
        return value_to_real(v) != 0;
    default:
        return true;
    }
}

/* ---- values as text ---- */

static const char *real_to_string(struct arena *a, double d)
{
    const char *s = arena_printf(a, "%.15g", d);
    return strtod(s, NULL) == d ? s : arena_printf(a, "%.17g", d);
}

static const char *span_to_string(struct arena *a, i64 span)
{
    struct text t = {.arena = a};
    u64 n = span < 0 ? -(u64)span : (u64)span, second = 10000000;
    if (span < 0)
        text_putc(&t, '-');
    if (n >= 86400 * second)
        text_printf(&t, "%llu.", (unsigned long long)(n / (86400 * second)));
    u64 s = n / second % 86400;
    text_printf(&t, "%02u:%02u:%02u", (unsigned)(s / 3600), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    if (n % second)
        text_printf(&t, ".%07u", (unsigned)(n % second));
    return text_string(&t);
}

static const char *array_to_string(struct arena *a, const struct array *array)
{
    struct text t = {.arena = a};
    for (unsigned i = 0; i < array->count; i++) {
        if (i)
            text_putc(&t, ' ');
        text_puts(&t, value_to_string(a, array->items[i]));
    }
    return text_string(&t);
}

static const char *object_to_string(struct arena *a, struct value v)
{
    const struct object *o = v.object;
    if (o->type)
        return o->type->names ? value_to_string(a, object_get(v, o->type->names)) : o->type->name;
    if (o->table)
        return "System.Collections.Hashtable";
    struct text t = {.arena = a};
    text_puts(&t, "@{");
    for (unsigned i = 0; i < o->count; i++)
        text_printf(&t, "%s%s=%s", i ? "; " : "", o->properties[i].name,
                    value_to_string(a, o->properties[i].value));
    text_putc(&t, '}');
    return text_string(&t);
}

const char *value_to_string(struct arena *a, struct value v)
{
    switch (v.kind) {
    case VALUE_BOOL:
        return v.boolean ? "True" : "False";
    case VALUE_INT:
        return arena_printf(a, "%lld", (long long)v.integer);
    case VALUE_REAL:
        return real_to_string(a, v.real);
    case VALUE_STRING:
        return v.string;
    case VALUE_SPAN:
        return span_to_string(a, v.integer);
    case VALUE_ARRAY:
        return array_to_string(a, v.array);
    case VALUE_OBJECT:
        return object_to_string(a, v);
    case VALUE_BLOCK:
        return arena_copy(a, v.block->source, v.block->source_len);
    default:
        return "";
    }
}

const char *value_type_name(struct value v)
{
    static const char *const names[] = {
        [VALUE_NULL] = "null",      [VALUE_BOOL] = "Boolean",      [VALUE_INT] = "Int64",
        [VALUE_REAL] = "Double",    [VALUE_STRING] = "String",     [VALUE_SPAN] = "TimeSpan",
        [VALUE_ARRAY] = "Object[]", [VALUE_BLOCK] = "ScriptBlock",
    };
    if (v.kind != VALUE_OBJECT)
        return names[v.kind];
    if (v.object->type)
        return v.object->type->id;
    return v.object->table ? "Hashtable" : "PSCustomObject";
}

/* ---- order ---- */

static int order(double a, double b)
{
    return (a > b) - (a < b);
}

/* Text that means a number becomes one; anything else stays. */
static struct value as_number(struct value v)
{
    struct value n;
    return v.kind == VALUE_STRING && value_parse_number(v.string, strlen(v.string), &n) ? n : v;
}

int value_compare(struct arena *a, struct value left, struct value right)
{
    if (left.kind == VALUE_NULL || right.kind == VALUE_NULL)
        return (left.kind != VALUE_NULL) - (right.kind != VALUE_NULL);
    if (left.kind == VALUE_BOOL)
        return (int)left.boolean - (int)value_truth(right);
    if (value_is_number(left)) {
        right = as_number(right);
        if (left.kind == VALUE_INT && right.kind == VALUE_INT)
            return (left.integer > right.integer) - (left.integer < right.integer);
        if (value_is_number(right) || right.kind == VALUE_BOOL)
            return order(value_to_real(left), value_to_real(right));
    }
    if (left.kind == VALUE_SPAN && right.kind == VALUE_SPAN)
        return order((double)left.integer, (double)right.integer);
    return text_compare(value_to_string(a, left), value_to_string(a, right));
}

bool value_equal(struct arena *a, struct value left, struct value right)
{
    return value_compare(a, left, right) == 0;
}

/* ---- wildcards ---- */

bool wildcard_has(const char *s)
{
    for (; *s; s++) {
        if (*s == '`' && s[1])
            s++;
        else if (strchr("*?[", *s))
            return true;
    }
    return false;
}

/* One element of the pattern against c. *next is what follows the element. */
static bool match_class(const char *p, char c, const char **next)
{
    bool hit = false;
    const char *at = p + 1;
    for (; *at && *at != ']'; at++) {
        if (at[1] == '-' && at[2] && at[2] != ']') {
            hit |= fold(*at) <= fold(c) && fold(c) <= fold(at[2]);
            at += 2;
        } else {
            hit |= fold(*at) == fold(c);
        }
    }
    *next = *at ? at + 1 : at;
    return hit;
}

static bool match_one(const char *p, char c, const char **next)
{
    if (*p == '[' && strchr(p, ']'))
        return match_class(p, c, next);
    if (*p == '`' && p[1])
        p++;
    else if (*p == '?') {
        *next = p + 1;
        return true;
    }
    *next = p + 1;
    return fold(*p) == fold(c);
}

/* A mismatch goes back to the last star only, so the time is at most the product of the lengths. */
bool wildcard_match(const char *pattern, const char *s)
{
    const char *star = NULL, *star_at = NULL, *next;
    while (*s) {
        if (*pattern == '*') {
            star = ++pattern;
            star_at = s;
        } else if (*pattern && match_one(pattern, *s, &next)) {
            pattern = next;
            s++;
        } else if (star) {
            pattern = star;
            s = ++star_at;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}
