/* SPDX-License-Identifier: MIT */
/* A value made to fit a parameter: numbers from text, words in their spelling, arrays element by element. */
#include "cmd/lang/run.h"

const char *bind_type(const struct param_row *p)
{
    switch (p->type) {
    case PARAM_SWITCH:
    case PARAM_BOOL:
        return "Boolean";
    case PARAM_INT:
    case PARAM_BYTES:
        return "Int64";
    case PARAM_REAL:
        return "Double";
    case PARAM_OBJECT:
        return p->object;
    case PARAM_SPAN:
        return "TimeSpan";
    case PARAM_BLOCK:
        return "ScriptBlock";
    case PARAM_TABLE:
        return "Hashtable";
    default:
        return "String";
    }
}

static const char *cannot(struct session *s, const struct param_row *p, struct value v)
{
    const char *what = v.kind == VALUE_NULL
                           ? "null"
                           : arena_printf(s->arena, "value \"%.100s\"", value_to_string(s->arena, v));
    bool calculated = v.kind == VALUE_OBJECT && v.object->table && p->type == PARAM_STRING;
    return arena_printf(s->arena, "Cannot bind parameter '%s'. Cannot convert %s to type \"%s\".%s", p->name,
                        what, bind_type(p), calculated ? " Calculated properties are not built." : "");
}

static const char *bind_bool(struct session *s, const struct param_row *p, struct value v, bool shell,
                             struct value *out)
{
    static const char yes[] = "true on", no[] = "false off";
    *out = v;
    if (v.kind == VALUE_BOOL)
        return NULL;
    if (value_is_number(v)) {
        *out = value_bool(value_truth(v));
        return NULL;
    }
    bool word = v.kind == VALUE_STRING && shell;
    if (word && (words_find(yes, v.string) >= 0 || words_find(no, v.string) >= 0)) {
        *out = value_bool(words_find(yes, v.string) >= 0);
        return NULL;
    }
    return arena_printf(s->arena, "%s Use $true or $false%s.", cannot(s, p, v),
                        shell ? "; from a Unix shell write true or false" : "");
}

/* 2G, as other programs of Unix take it, lacks a letter here. */
static const char *cannot_number(struct session *s, const struct param_row *p, struct value v)
{
    const char *text = value_to_string(s->arena, v), *digits = text + strspn(text, "0123456789.");
    bool unit = digits > text && *digits && !digits[1] && strchr("kKmMgGtTpP", *digits);
    if (p->type != PARAM_BYTES || !unit)
        return cannot(s, p, v);
    return arena_printf(s->arena, "%s Write %sB.", cannot(s, p, v), text);
}

static const char *bind_number(struct session *s, const struct param_row *p, struct value v,
                               struct value *out)
{
    *out = v;
    if (v.kind == VALUE_STRING && !value_parse_number(v.string, strlen(v.string), out))
        return cannot_number(s, p, v);
    if (out->kind == VALUE_REAL && p->type != PARAM_REAL) {
        if (!(out->real > -9e18 && out->real < 9e18))
            return cannot(s, p, v);
        *out = value_int((i64)(out->real < 0 ? out->real - 0.5 : out->real + 0.5));
    }
    if (!value_is_number(*out))
        return cannot(s, p, v);
    double n = value_to_real(*out);
    if ((p->minimum || p->maximum) && (n < (double)p->minimum || n > (double)p->maximum))
        return arena_printf(
            s->arena,
            "Cannot validate argument on parameter '%s'. The %s argument is outside the range %lld to "
            "%lld. Supply a value within it and then try the command again.",
            p->name, value_to_string(s->arena, *out), (long long)p->minimum, (long long)p->maximum);
    return NULL;
}

/* One of the accepted words, or an unambiguous beginning of one. */
static const char *bind_word(struct session *s, const struct param_row *p, struct value v, struct value *out)
{
    const char *typed = value_to_string(s->arena, v), *list = p->values, *word, *found = NULL;
    struct nearest nearest = nearest_begin(typed);
    struct text all = {.arena = s->arena};
    unsigned hits = 0;
    size_t len;
    if (v.kind == VALUE_BOOL && words_find(p->values, "On") >= 0)
        typed = v.boolean ? "On" : "Off"; /* as from a Unix shell's true */
    while (words_next(&list, &word, &len)) {
        const char *w = arena_copy(s->arena, word, len);
        text_printf(&all, "%s%s", all.len ? ", " : "", w);
        nearest_try(&nearest, w);
        bool whole = text_equal(w, typed);
        if (whole || (*typed && text_begins(w, typed))) {
            found = w;
            hits = whole ? 1 : hits + 1;
            if (whole)
                break;
        }
    }
    *out = value_static(found);
    if (hits == 1)
        return NULL;
    return arena_printf(s->arena, "Cannot bind parameter '%s'. The value \"%.100s\" is not one of: %s.%s%s%s",
                        p->name, typed, text_string(&all), nearest.best ? " Did you mean " : "",
                        nearest.best ? nearest.best : "", nearest.best ? "?" : "");
}

static const char *bind_span(struct session *s, const struct param_row *p, struct value v, struct value *out)
{
    *out = v;
    if (v.kind == VALUE_SPAN)
        return NULL;
    const char *wrong = bind_number(s, p, v, out);
    double n = wrong ? 0 : value_to_real(*out);
    *out = value_span((i64)(n * 1e7 > -9e18 && n * 1e7 < 9e18 ? n * 1e7 : 0));
    return wrong;
}

static bool is_object(struct value v, const char *type)
{
    return v.kind == VALUE_OBJECT && v.object->type && text_equal(v.object->type->id, type);
}

static bool stands_for_text(struct value v)
{
    if (v.kind == VALUE_OBJECT)
        return v.object->type && v.object->type->names;
    return v.kind != VALUE_NULL && v.kind != VALUE_BLOCK;
}

static const char *bind_one(struct session *s, const struct param_row *p, struct value v,
                            const struct node *source, struct value *out)
{
    bool shell = source && source->shell_word;
    *out = v;
    switch (p->type) {
    case PARAM_SWITCH:
    case PARAM_BOOL:
        return bind_bool(s, p, v, shell, out);
    case PARAM_INT:
    case PARAM_BYTES:
    case PARAM_REAL:
        return bind_number(s, p, v, out);
    case PARAM_SPAN:
        return bind_span(s, p, v, out);
    case PARAM_WORD:
        return bind_word(s, p, v, out);
    case PARAM_STRING:
        if (source && source->kind == NODE_LITERAL && source->bare && v.kind != VALUE_BOOL)
            *out = value_static(source->text); /* 10.0 stays 10.0 */
        else
            *out = value_static(value_to_string(s->arena, v));
        return stands_for_text(v) ? NULL : cannot(s, p, v);
    case PARAM_OBJECT:
        return is_object(v, p->object) ? NULL : cannot(s, p, v);
    case PARAM_BLOCK:
        return v.kind == VALUE_BLOCK ? NULL : cannot(s, p, v);
    case PARAM_TABLE:
        return v.kind == VALUE_OBJECT && v.object->table ? NULL : cannot(s, p, v);
    default:
        return NULL;
    }
}

/* A word of a Unix command line may hold a list, a,b: the shell has no other form for one. */
static struct value split_word(struct session *s, const char *word)
{
    struct values list = {.arena = s->arena};
    while (*word) {
        size_t n = strcspn(word, ",");
        values_add(&list, value_static(arena_copy(s->arena, word, n)));
        word += n + (word[n] == ',');
    }
    return value_array(s->arena, list.items, list.count);
}

static const char *bind_many(struct session *s, const struct param_row *p, struct value v,
                             const struct node *source, struct value *out)
{
    struct values list = {.arena = s->arena};
    const struct node *words = source && source->kind == NODE_LIST ? source : NULL;
    if (source && source->shell_word && source->text && strchr(source->text, ',') && v.kind == VALUE_STRING)
        v = split_word(s, source->text);
    struct array one = {1, &v, {0}};
    const struct array *items = v.kind == VALUE_ARRAY ? v.array : &one;
    for (unsigned i = 0; i < items->count; i++) {
        struct value bound;
        const struct node *from = words ? words->items[i] : v.kind == VALUE_ARRAY ? NULL : source;
        const char *wrong = bind_one(s, p, items->items[i], from, &bound);
        if (wrong)
            return wrong;
        values_add(&list, bound);
    }
    *out = value_array(s->arena, list.items, list.count);
    return NULL;
}

/* Values that are known and not built. */
static const char *refused(struct session *s, const struct row *param, struct value v)
{
    if (v.kind == VALUE_ARRAY) {
        for (unsigned i = 0; i < v.array->count; i++) {
            const char *why = refused(s, param, v.array->items[i]);
            if (why)
                return why;
        }
        return NULL;
    }
    for (const struct row *r = param; (r = row_next(s->commands, param, r, ROW_REFUSED));) {
        const char *text = value_to_string(s->arena, v);
        if (strcmp(r->refused.value, "*") == 0)
            return arena_printf(s->arena, "-%s is not built: %s.", param->param.name, r->refused.why);
        if (wildcard_match(r->refused.value, text))
            return arena_printf(s->arena, "-%s %.60s is not built: %s.", param->param.name, text,
                                r->refused.why);
    }
    return NULL;
}

const char *bind_value(struct session *s, const struct row *param, struct value v, const struct node *source,
                       struct value *out)
{
    const struct param_row *p = &param->param;
    if (v.kind == VALUE_ARRAY && !p->many && p->type != PARAM_ANY)
        return cannot(s, p, v);
    const char *wrong =
        p->many && p->type != PARAM_ANY ? bind_many(s, p, v, source, out) : bind_one(s, p, v, source, out);
    return wrong ? wrong : refused(s, param, *out);
}

bool bind_fits(struct session *s, const struct param_row *p, struct value v)
{
    switch (p->type) {
    case PARAM_ANY:
        return true;
    case PARAM_STRING:
    case PARAM_WORD:
        return v.kind == VALUE_STRING;
    case PARAM_OBJECT:
        return is_object(v, p->object);
    case PARAM_BLOCK:
        return v.kind == VALUE_BLOCK;
    case PARAM_TABLE:
        return v.kind == VALUE_OBJECT && v.object->table;
    case PARAM_SPAN:
        return v.kind == VALUE_SPAN;
    case PARAM_SWITCH:
    case PARAM_BOOL:
        return v.kind == VALUE_BOOL;
    default:
        return value_is_number(v);
    }
}
