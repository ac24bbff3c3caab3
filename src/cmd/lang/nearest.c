/* SPDX-License-Identifier: MIT */
/* Which name a mistyped one may have meant: few letters apart, or one begins the other. */
#include "cmd/lang/run.h"

enum { NAME_MAX_LEN = 64 };

static bool same(char a, char b)
{
    char one[2] = {a}, other[2] = {b};
    return text_equal(one, other);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Letters to insert, remove, replace or swap with their neighbour, without regard to case. Both at most
 * NAME_MAX_LEN long. */
static unsigned distance(const char *a, const char *b)
{
    unsigned d[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1];
    size_t alen = strlen(a), blen = strlen(b);
    for (unsigned i = 0; i <= alen; i++)
        d[i][0] = i;
    for (unsigned j = 0; j <= blen; j++)
        d[0][j] = j;
    for (unsigned i = 1; i <= alen; i++) {
        for (unsigned j = 1; j <= blen; j++) {
            d[i][j] = least(d[i - 1][j - 1] + !same(a[i - 1], b[j - 1]), least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[alen][blen];
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
