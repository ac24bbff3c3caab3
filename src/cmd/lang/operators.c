/* SPDX-License-Identifier: MIT */
/* What the operators do with two values. A list on the left of a comparison gives the elements that pass. */
#include <math.h>
#include <regex.h>
#include <stdlib.h>

#include "cmd/lang/run.h"

enum { PATTERN_BYTES_MAX = 1000, MATCHED_BYTES_MAX = 65536, RANGE_MAX = 100000 };

static const char *const spelling[] = {
    [OP_NONE] = "",
    [OP_ADD] = "+",
    [OP_SUBTRACT] = "-",
    [OP_MULTIPLY] = "*",
    [OP_DIVIDE] = "/",
    [OP_REMAINDER] = "%",
    [OP_NOT] = "-not",
    [OP_AND] = "-and",
    [OP_OR] = "-or",
    [OP_EQ] = "-eq",
    [OP_NE] = "-ne",
    [OP_GT] = "-gt",
    [OP_GE] = "-ge",
    [OP_LT] = "-lt",
    [OP_LE] = "-le",
    [OP_LIKE] = "-like",
    [OP_NOTLIKE] = "-notlike",
    [OP_MATCH] = "-match",
    [OP_NOTMATCH] = "-notmatch",
    [OP_CONTAINS] = "-contains",
    [OP_NOTCONTAINS] = "-notcontains",
    [OP_IN] = "-in",
    [OP_NOTIN] = "-notin",
    [OP_JOIN] = "-join",
    [OP_SPLIT] = "-split",
    [OP_REPLACE] = "-replace",
    [OP_RANGE] = "..",
    [OP_FORMAT] = "-f",
};

/* ---- regular expressions: POSIX extended, libc's ---- */

/* Repetitions of repetitions make libc's matcher take memory without bound, references back take time. */
static bool is_tame(const char *p)
{
    unsigned braces = 0;
    bool group = false;
    for (; *p; p++) {
        if (*p == '\\' && p[1]) {
            if (*++p >= '1' && *p <= '9')
                return false;
        } else if (*p == '{') {
            braces++;
            if (strtoul(p + 1, NULL, 10) > 255 ||
                (strchr(p, ',') && strtoul(strchr(p, ',') + 1, NULL, 10) > 255))
                return false;
        } else if ((*p == '}' || *p == ')') && p[1] == '{') {
            group = true;
        }
    }
    return braces < 2 || !group;
}

/* libc does not know \d. */
static const char *with_digits(struct session *s, const char *pattern)
{
    struct text t = {.arena = s->arena};
    for (const char *p = pattern; *p; p++) {
        if (*p == '\\' && p[1] == 'd') {
            text_puts(&t, "[0-9]");
            p++;
        } else {
            text_putc(&t, *p);
            if (*p == '\\' && p[1])
                text_putc(&t, *++p);
        }
    }
    return text_string(&t);
}

static int compile(struct session *s, const struct node *n, const char *pattern, regex_t *re)
{
    int flags = REG_EXTENDED | (n->case_sensitive ? 0 : REG_ICASE), r;
    if (strlen(pattern) > PATTERN_BYTES_MAX)
        return run_fail(s, n, ERROR_BAD_REGEX, "The pattern is longer than %d bytes.", PATTERN_BYTES_MAX);
    if (!is_tame(pattern))
        return run_fail(
            s, n, ERROR_BAD_REGEX,
            "A pattern can repeat up to 255 times, and no group that repeats itself; \\1 is not known.");
    if ((r = regcomp(re, with_digits(s, pattern), flags)) == 0)
        return 0;
    char why[100];
    regerror(r, re, why, sizeof(why));
    return run_fail(s, n, ERROR_BAD_REGEX, "'%.100s' is no extended regular expression: %s.", pattern, why);
}

static int match(struct session *s, const struct node *n, const char *text, const char *pattern, bool *hit)
{
    regex_t re;
    if (strlen(text) > MATCHED_BYTES_MAX)
        return run_fail(s, n, ERROR_TOO_LARGE, "-match looks at no more than %d bytes.", MATCHED_BYTES_MAX);
    if (compile(s, n, pattern, &re) < 0)
        return -1;
    *hit = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return 0;
}

/* Calls for each piece between matches; `between` is put where they were, or NULL to collect the pieces. */
static int divide(struct session *s, const struct node *n, const char *text, const char *pattern,
                  const char *between, struct value *out)
{
    struct text joined = {.arena = s->arena};
    struct values pieces = {.arena = s->arena};
    regmatch_t m;
    regex_t re;
    if (strlen(text) > MATCHED_BYTES_MAX)
        return run_fail(s, n, ERROR_TOO_LARGE, "%s looks at no more than %d bytes.", spelling[n->op],
                        MATCHED_BYTES_MAX);
    if (compile(s, n, pattern, &re) < 0)
        return -1;
    for (int flags = 0; *text && regexec(&re, text, 1, &m, flags) == 0 && m.rm_eo > 0; flags = REG_NOTBOL) {
        text_add(&joined, text, (size_t)m.rm_so);
        if (between)
            text_puts(&joined, between);
        else
            values_add(&pieces, value_static(arena_copy(s->arena, text, (size_t)m.rm_so)));
        text += m.rm_eo;
    }
    regfree(&re);
    text_puts(&joined, text);
    values_add(&pieces, value_static(text));
    *out = between ? value_static(text_string(&joined)) : value_array(s->arena, pieces.items, pieces.count);
    return joined.len > STRING_BYTES_MAX ? run_fail(s, n, ERROR_TOO_LARGE, "The string becomes too long.")
                                         : 0;
}

static int replace(struct session *s, const struct node *n, struct value left, struct value right,
                   struct value *out)
{
    struct value pattern = right, with = value_static("");
    if (right.kind == VALUE_ARRAY && right.array->count == 2) {
        pattern = right.array->items[0];
        with = right.array->items[1];
    } else if (right.kind == VALUE_ARRAY) {
        return run_fail(s, n, ERROR_BAD_OPERAND,
                        "-replace takes a pattern and a replacement: -replace 'a', 'b'.");
    }
    const char *to = value_to_string(s->arena, with);
    if (strchr(to, '$'))
        return run_fail(s, n, ERROR_BAD_OPERAND, "$ in a replacement is not part of this language.");
    return divide(s, n, value_to_string(s->arena, left), value_to_string(s->arena, pattern), to, out);
}

/* ---- comparison ---- */

static int compare(struct session *s, const struct node *n, struct value a, struct value b)
{
    if (n->case_sensitive && a.kind == VALUE_STRING)
        return strcmp(a.string, value_to_string(s->arena, b));
    return value_compare(s->arena, a, b);
}

static int test(struct session *s, const struct node *n, struct value a, struct value b, bool *yes)
{
    switch (n->op) {
    case OP_EQ:
        *yes = compare(s, n, a, b) == 0;
        return 0;
    case OP_NE:
        *yes = compare(s, n, a, b) != 0;
        return 0;
    case OP_GT:
        *yes = compare(s, n, a, b) > 0;
        return 0;
    case OP_GE:
        *yes = compare(s, n, a, b) >= 0;
        return 0;
    case OP_LT:
        *yes = compare(s, n, a, b) < 0;
        return 0;
    case OP_LE:
        *yes = compare(s, n, a, b) <= 0;
        return 0;
    case OP_LIKE:
    case OP_NOTLIKE:
        *yes =
            wildcard_match(value_to_string(s->arena, b), value_to_string(s->arena, a)) == (n->op == OP_LIKE);
        return 0;
    default:
        if (match(s, n, value_to_string(s->arena, a), value_to_string(s->arena, b), yes) < 0)
            return -1;
        *yes = *yes == (n->op == OP_MATCH);
        return 0;
    }
}

static int test_all(struct session *s, const struct node *n, struct value left, struct value right,
                    struct value *out)
{
    bool yes;
    if (left.kind != VALUE_ARRAY) {
        if (test(s, n, left, right, &yes) < 0)
            return -1;
        *out = value_bool(yes);
        return 0;
    }
    struct values list = {.arena = s->arena};
    for (unsigned i = 0; i < left.array->count; i++) {
        if (test(s, n, left.array->items[i], right, &yes) < 0 || run_check(s, n) < 0)
            return -1;
        if (yes)
            values_add(&list, left.array->items[i]);
    }
    *out = value_array(s->arena, list.items, list.count);
    return 0;
}

static bool contains(struct session *s, const struct node *n, struct value list, struct value v)
{
    if (list.kind != VALUE_ARRAY)
        return compare(s, n, list, v) == 0;
    for (unsigned i = 0; i < list.array->count; i++)
        if (compare(s, n, list.array->items[i], v) == 0)
            return true;
    return false;
}

/* ---- arithmetic ---- */

static int bad_operand(struct session *s, const struct node *n, struct value v)
{
    return run_fail(s, n, ERROR_BAD_OPERAND, "'%.60s' (of type %s) is no operand for %s.",
                    value_to_string(s->arena, v), value_type_name(v), spelling[n->op]);
}

static bool to_number(struct value v, struct value *out)
{
    *out = v;
    if (v.kind == VALUE_NULL)
        *out = value_int(0);
    else if (v.kind == VALUE_BOOL)
        *out = value_int(v.boolean);
    else if (v.kind == VALUE_STRING)
        return value_parse_number(v.string, strlen(v.string), out);
    return value_is_number(*out);
}

static bool whole(enum operator op, i64 a, i64 b, i64 *out)
{
    switch (op) {
    case OP_ADD:
        return !__builtin_add_overflow(a, b, out);
    case OP_SUBTRACT:
        return !__builtin_sub_overflow(a, b, out);
    case OP_MULTIPLY:
        return !__builtin_mul_overflow(a, b, out);
    case OP_DIVIDE:
        if (b == -1 || a % b)
            return b == -1 && !__builtin_sub_overflow((i64)0, a, out);
        *out = a / b;
        return true;
    default:
        *out = b == -1 ? 0 : a % b;
        return true;
    }
}

static double real(enum operator op, double a, double b)
{
    return op == OP_ADD        ? a + b
           : op == OP_SUBTRACT ? a - b
           : op == OP_MULTIPLY ? a * b
           : op == OP_DIVIDE   ? a / b
                               : fmod(a, b);
}

static int calculate(struct session *s, const struct node *n, struct value left, struct value right,
                     struct value *out)
{
    struct value a, b;
    i64 integer;
    if (left.kind == VALUE_SPAN && right.kind == VALUE_SPAN && (n->op == OP_ADD || n->op == OP_SUBTRACT)) {
        if (!whole(n->op, left.integer, right.integer, &integer))
            return run_fail(s, n, ERROR_BAD_OPERAND, "The time span becomes too long.");
        *out = value_span(integer);
        return 0;
    }
    if (!to_number(left, &a))
        return bad_operand(s, n, left);
    if (!to_number(right, &b))
        return bad_operand(s, n, right);
    if ((n->op == OP_DIVIDE || n->op == OP_REMAINDER) && value_to_real(b) == 0)
        return run_fail(s, n, ERROR_BAD_OPERAND, "Attempted to divide by zero.");
    bool integers = a.kind == VALUE_INT && b.kind == VALUE_INT;
    *out = integers && whole(n->op, a.integer, b.integer, &integer)
               ? value_int(integer)
               : value_real(real(n->op, value_to_real(a), value_to_real(b)));
    return 0;
}

static struct value concatenate(struct session *s, struct value left, struct value right)
{
    struct values list = {.arena = s->arena};
    for (unsigned i = 0; i < left.array->count; i++)
        values_add(&list, left.array->items[i]);
    if (right.kind != VALUE_ARRAY)
        values_add(&list, right);
    for (unsigned i = 0; right.kind == VALUE_ARRAY && i < right.array->count; i++)
        values_add(&list, right.array->items[i]);
    return value_array(s->arena, list.items, list.count);
}

static struct value joined(struct session *s, struct value left, const char *between)
{
    struct text t = {.arena = s->arena};
    if (left.kind != VALUE_ARRAY)
        return value_static(value_to_string(s->arena, left));
    for (unsigned i = 0; i < left.array->count && t.len <= STRING_BYTES_MAX; i++) {
        text_puts(&t, i ? between : "");
        text_puts(&t, value_to_string(s->arena, left.array->items[i]));
    }
    return value_static(text_string(&t));
}

static int add(struct session *s, const struct node *n, struct value left, struct value right,
               struct value *out)
{
    if (left.kind == VALUE_ARRAY)
        *out = concatenate(s, left, right);
    else if (left.kind == VALUE_STRING)
        *out = value_printf(s->arena, "%s%s", left.string, value_to_string(s->arena, right));
    else if (left.kind == VALUE_NULL)
        *out = right;
    else
        return calculate(s, n, left, right, out);
    return 0;
}

static int range(struct session *s, const struct node *n, struct value left, struct value right,
                 struct value *out)
{
    struct value a, b;
    if (!to_number(left, &a) || a.kind != VALUE_INT)
        return bad_operand(s, n, left);
    if (!to_number(right, &b) || b.kind != VALUE_INT)
        return bad_operand(s, n, right);
    i64 count;
    if (__builtin_sub_overflow(b.integer, a.integer, &count) || count > RANGE_MAX || count < -RANGE_MAX)
        return run_fail(s, n, ERROR_TOO_LARGE, "A range can have %d elements.", RANGE_MAX);
    i64 step = count < 0 ? -1 : 1;
    struct values list = {.arena = s->arena};
    for (i64 i = a.integer;; i += step) {
        values_add(&list, value_int(i));
        if (i == b.integer)
            break;
    }
    *out = value_array(s->arena, list.items, list.count);
    return 0;
}

/* '{0} of {1}' -f a, b. Widths and formats within the braces are refused. */
static int format(struct session *s, const struct node *n, struct value left, struct value right,
                  struct value *out)
{
    struct text t = {.arena = s->arena};
    const struct array one = {1, &right, {0}}, *args = right.kind == VALUE_ARRAY ? right.array : &one;
    for (const char *p = value_to_string(s->arena, left); *p; p++) {
        if ((*p == '{' || *p == '}') && p[1] == *p) {
            text_putc(&t, *p++);
        } else if (*p == '{') {
            char *end;
            unsigned long i = strtoul(p + 1, &end, 10);
            if (end == p + 1 || *end != '}' || i >= args->count)
                return run_fail(s, n, ERROR_BAD_OPERAND,
                                "-f knows {0}, {1} and so on, one for each value on its right.");
            text_puts(&t, value_to_string(s->arena, args->items[i]));
            p = end;
        } else {
            text_putc(&t, *p);
        }
        if (t.len > STRING_BYTES_MAX)
            return run_fail(s, n, ERROR_TOO_LARGE, "The string becomes too long.");
    }
    *out = value_static(text_string(&t));
    return 0;
}

static int apply(struct session *s, const struct node *n, struct value left, struct value right,
                 struct value *out)
{
    switch (n->op) {
    case OP_ADD:
        return add(s, n, left, right, out);
    case OP_SUBTRACT:
    case OP_MULTIPLY:
    case OP_DIVIDE:
    case OP_REMAINDER:
        return calculate(s, n, left, right, out);
    case OP_CONTAINS:
    case OP_NOTCONTAINS:
        *out = value_bool(contains(s, n, left, right) == (n->op == OP_CONTAINS));
        return 0;
    case OP_IN:
    case OP_NOTIN:
        *out = value_bool(contains(s, n, right, left) == (n->op == OP_IN));
        return 0;
    case OP_JOIN:
        *out = joined(s, left, value_to_string(s->arena, right));
        return 0;
    case OP_SPLIT:
        return divide(s, n, value_to_string(s->arena, left), value_to_string(s->arena, right), NULL, out);
    case OP_REPLACE:
        return replace(s, n, left, right, out);
    case OP_RANGE:
        return range(s, n, left, right, out);
    case OP_FORMAT:
        return format(s, n, left, right, out);
    default:
        return test_all(s, n, left, right, out);
    }
}

int apply_operator(struct session *s, const struct node *n, struct value left, struct value right,
                   struct value *out)
{
    if (apply(s, n, left, right, out) < 0)
        return -1;
    bool long_string = out->kind == VALUE_STRING && strlen(out->string) > STRING_BYTES_MAX;
    return value_fits(*out) && !long_string ? 0
                                            : run_fail(s, n, ERROR_TOO_LARGE, "The value becomes too large.");
}
