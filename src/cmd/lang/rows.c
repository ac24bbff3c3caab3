/* SPDX-License-Identifier: MIT */
/* Finding rows. The list is short and read-only, so every search is a walk. */
#include "cmd/lang/rows.h"

#include "cmd/lang/value.h"

/* Rows that begin something of their own end what belongs to the row above them. */
static bool begins_new(enum row_kind kind)
{
    return kind == ROW_MODULE || kind == ROW_CMDLET || kind == ROW_TYPE || kind == ROW_ELSEWHERE;
}

const struct row *row_next(const struct command_set *set, const struct row *above, const struct row *at,
                           enum row_kind kind)
{
    const struct row *end = set->rows + set->count;
    for (at++; at < end && !begins_new(at->kind); at++) {
        if (above->kind == ROW_PARAM && at->kind == ROW_PARAM)
            return NULL;
        if (at->kind == kind)
            return at;
    }
    return NULL;
}

const struct row *row_next_any(const struct command_set *set, const struct row *at, enum row_kind kind)
{
    for (at = at ? at + 1 : set->rows; at < set->rows + set->count; at++)
        if (at->kind == kind)
            return at;
    return NULL;
}

const struct row *row_cmdlet(const struct command_set *set, const char *name)
{
    for (const struct row *r = NULL; (r = row_next_any(set, r, ROW_CMDLET));)
        if (text_equal(r->cmdlet.name, name) || words_find(r->cmdlet.aliases, name) >= 0)
            return r;
    return NULL;
}

const struct row *row_module(const struct command_set *set, const char *id)
{
    for (const struct row *r = NULL; (r = row_next_any(set, r, ROW_MODULE));)
        if (text_equal(r->module.id, id))
            return r;
    return NULL;
}

const struct type_row *row_type(const struct command_set *set, const char *id)
{
    for (const struct row *r = NULL; (r = row_next_any(set, r, ROW_TYPE));)
        if (text_equal(r->type.id, id))
            return &r->type;
    return NULL;
}

const struct row *row_of_type(const struct command_set *set, const struct type_row *type)
{
    for (const struct row *r = NULL; (r = row_next_any(set, r, ROW_TYPE));)
        if (&r->type == type)
            return r;
    return NULL;
}

bool words_next(const char **at, const char **word, size_t *len)
{
    if (!*at)
        return false;
    *at += strspn(*at, " ");
    *len = strcspn(*at, " ");
    *word = *at;
    *at += *len;
    return *len;
}

int words_find(const char *list, const char *word)
{
    const char *w;
    size_t len;
    for (int i = 0; words_next(&list, &w, &len); i++)
        if (strlen(word) == len && text_begins(w, word))
            return i;
    return -1;
}
