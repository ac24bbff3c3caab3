/* SPDX-License-Identifier: MIT */
/* Which name a mistyped one may have meant: few letters apart, or one begins the other. */
#include "cmd/lang/run.h"

enum { NAME_MAX_LEN = 64 };

/* Levenshtein's distance without regard to case. Both at most NAME_MAX_LEN long. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_MAX_LEN + 1];
    size_t alen = strlen(a), blen = strlen(b);
    for (unsigned j = 0; j <= blen; j++)
        row[j] = j;
    for (unsigned i = 1; i <= alen; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= blen; j++) {
            char one[2] = {a[i - 1]}, other[2] = {b[j - 1]};
            unsigned best = diagonal + !text_equal(one, other);
            diagonal = row[j];
            best = best < row[j] + 1 ? best : row[j] + 1;
            row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
        }
    }
    return row[blen];
}

struct nearest nearest_begin(const char *typed)
{
    size_t len = strlen(typed);
    return (struct nearest){typed, NULL, len > 8 ? 4 : len > 4 ? 3 : 2};
}

void nearest_try(struct nearest *n, const char *name)
{
    if (!*n->typed || strlen(n->typed) > NAME_MAX_LEN || strlen(name) > NAME_MAX_LEN)
        return;
    unsigned d = distance(n->typed, name);
    if (strlen(n->typed) > 3 && text_begins(name, n->typed) && d > 2)
        d = 2;
    if (d < n->distance) {
        n->distance = d;
        n->best = name;
    }
}
