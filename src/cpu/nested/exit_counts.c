/* SPDX-License-Identifier: MIT */
/* An open-addressed table that never grows: nothing is allocated while a guest runs. */
#include "cpu/nested/exit_counts.h"

static unsigned hash(u64 where, u64 code)
{
    u64 h = (where >> 12 ^ code * 0x9e3779b9u) * 0x9e3779b97f4a7c15ull;
    return (unsigned)(h >> 32) % EXIT_COUNTS_SLOTS;
}

/* The slot of a pair; NULL when it has none and the table is full. */
static struct exit_count *find(struct exit_counts *t, u64 where, u64 code)
{
    for (unsigned i = hash(where, code);; i = (i + 1) % EXIT_COUNTS_SLOTS) {
        struct exit_count *s = &t->slot[i];
        if (s->count && s->where == where && s->code == code)
            return s;
        if (s->count)
            continue;
        if (t->used == EXIT_COUNTS_MAX)
            return NULL;
        t->used++;
        s->where = where;
        s->code = code;
        return s;
    }
}

static void close_open(struct exit_counts *t, const struct nested_event *e)
{
    struct exit_count *s = t->open;
    t->open = NULL;
    if (!s)
        return;
    s->closed++;
    s->retired += e->retired - t->open_retired;
    s->ns += e->time - t->open_time;
}

static void count_exit(struct exit_counts *t, const struct nested_event *e)
{
    struct exit_count *s = find(t, e->where, e->code);
    t->vendor = e->vendor;
    t->open = s;
    if (!s) {
        t->lost++;
        return;
    }
    s->count++;
    t->open_retired = e->retired;
    t->open_time = e->time;
}

void exit_counts_feed(struct exit_counts *t, const struct nested_event *e)
{
    if (e->kind == NESTED_ENTRY)
        close_open(t, e);
    else if (e->kind == NESTED_EXIT || e->kind == NESTED_REFUSED)
        count_exit(t, e);
}

static bool before(const struct exit_count *x, const struct exit_count *y)
{
    if (x->where != y->where)
        return x->where < y->where;
    return x->count != y->count ? x->count > y->count : x->code < y->code;
}

/* By insertion: libc's qsort() asks for the host's memory, which a worker's sandbox forbids. */
unsigned exit_counts_sort(const struct exit_counts *t, const struct exit_count **out)
{
    unsigned n = 0;
    for (unsigned i = 0; i < EXIT_COUNTS_SLOTS; i++) {
        const struct exit_count *s = &t->slot[i];
        if (!s->count)
            continue;
        unsigned at = n++;
        for (; at && before(s, out[at - 1]); at--)
            out[at] = out[at - 1];
        out[at] = s;
    }
    return n;
}
