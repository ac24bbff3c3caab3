/* SPDX-License-Identifier: MIT */
/* What the readers of insn.def's columns share. */
#include "insn_rows.h"

#include <stdio.h>
#include <stdlib.h>

void bad(const struct row *r, const char *what, const char *where)
{
    fprintf(stderr, "insn.def: row %s: %s '%s'\n", r->text->id, what, where);
    exit(1);
}

const struct word *find_word(const struct word *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i].name, name))
            return &list[i];
    return NULL;
}

bool next_word(const char **s, const char *stop, char *word, size_t cap)
{
    *s += strspn(*s, " ");
    *s += strspn(*s, stop);
    *s += strspn(*s, " ");
    size_t n = strcspn(*s, stop);
    if (!n)
        return false;
    size_t keep = n < cap ? n : cap - 1;
    memcpy(word, *s, keep);
    word[keep] = 0;
    while (keep && word[keep - 1] == ' ')
        word[--keep] = 0;
    *s += n;
    return true;
}

static u64 group(unsigned first, unsigned width)
{
    return (BIT(width) - 1) << first;
}

void restrict_to(struct row *r, unsigned first, unsigned width, unsigned mask)
{
    r->dec.allow &= ~group(first, width) | (u64)mask << first;
    if (!(r->dec.allow & group(first, width)))
        bad(r, "contradictory encoding", r->text->enc);
}
