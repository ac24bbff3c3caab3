/* SPDX-License-Identifier: MIT */
/* Remembered translations of the second dimension: see the header. A flush changes the set's generation. */
#include "cpu/nested/second.h"

#include <stdlib.h>

static void set_flush(struct second_set *s)
{
    if (++s->generation < PAGE_SIZE)
        return;
    memset(s->entry, 0, sizeof(s->entry));
    s->generation = 1;
}

struct second_cache *second_new(void)
{
    struct second_cache *k = calloc(1, sizeof(*k));
    if (!k)
        return NULL;
    for (unsigned i = 0; i < SECOND_ROOTS; i++)
        k->set[i].generation = 1;
    k->cur = &k->set[0];
    return k;
}

void second_free(struct second_cache *k)
{
    free(k);
}

static bool tag_equal(const struct second_tag *a, const struct second_tag *b)
{
    return a->root == b->root && a->more == b->more;
}

/* The set of this tag, else an unused one, else the one longest not used. */
static struct second_set *set_find(struct second_cache *k, const struct second_tag *tag)
{
    struct second_set *victim = &k->set[0];
    for (unsigned i = 0; i < SECOND_ROOTS; i++) {
        struct second_set *s = &k->set[i];
        if (s->used && tag_equal(&s->tag, tag))
            return s;
        if (!s->used || (victim->used && s->last_use < victim->last_use))
            victim = s;
    }
    set_flush(victim);
    victim->tag = *tag;
    victim->used = true;
    return victim;
}

void second_select(struct second_cache *k, const struct second_tag *tag)
{
    if (unlikely(!k->cur->used || !tag_equal(&k->cur->tag, tag)))
        k->cur = set_find(k, tag);
    k->cur->last_use = ++k->clock;
}

void second_flush(struct second_cache *k, bool (*match)(const struct second_tag *, const void *),
                  const void *arg)
{
    for (unsigned i = 0; i < SECOND_ROOTS; i++)
        if (k->set[i].used && match(&k->set[i].tag, arg))
            set_flush(&k->set[i]);
}

void second_flush_all(struct second_cache *k)
{
    for (unsigned i = 0; i < SECOND_ROOTS; i++)
        set_flush(&k->set[i]);
}

void second_fill(struct second_cache *k, u64 gpa, const struct second_found *f)
{
    struct second_set *s = k->cur;
    s->entry[gpa >> PAGE_SHIFT & (SECOND_SIZE - 1)] =
        (struct second_entry){.from = (gpa & ~(PAGE_SIZE - 1)) | f->may | (u64)f->shift << SECOND_SHIFT,
                              .to = (f->at & ~(PAGE_SIZE - 1)) | s->generation};
}

void second_forget(struct second_cache *k, u64 gpa)
{
    k->cur->entry[gpa >> PAGE_SHIFT & (SECOND_SIZE - 1)].from = ~0ull;
}
