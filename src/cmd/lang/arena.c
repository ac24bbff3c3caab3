/* SPDX-License-Identifier: MIT */
/* Blocks in a list, the newest first, each twice as large as the one before up to a limit, so that a small
 * arena is small. A piece larger than a block gets one of its own. */
#include "cmd/lang/arena.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

enum { BLOCK_FIRST = 256, BLOCK_LAST = 65536, ALIGNMENT = 16 };

struct block {
    struct block *next;
    size_t size, used;
    u8 bytes[] __attribute__((aligned(ALIGNMENT)));
};

struct arena {
    struct block *first;
    size_t used, next_size;
};

static void *need(void *p)
{
    if (!p) {
        log_line("out of memory: end other programs and try again");
        exit(EXIT_STATUS_HOST);
    }
    return p;
}

struct arena *arena_new(void)
{
    return need(calloc(1, sizeof(struct arena)));
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    for (struct block *b = a->first, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}

static struct block *add_block(struct arena *a, size_t size)
{
    a->next_size = !a->next_size ? BLOCK_FIRST : a->next_size < BLOCK_LAST ? a->next_size * 2 : BLOCK_LAST;
    size_t room = size > a->next_size ? size : a->next_size;
    struct block *b = need(calloc(1, sizeof(*b) + room));
    b->size = room;
    b->next = a->first;
    a->first = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size = ALIGN_UP(size ? size : 1, ALIGNMENT);
    struct block *b = a->first;
    if (!b || b->size - b->used < size)
        b = add_block(a, size);
    void *p = b->bytes + b->used;
    b->used += size;
    a->used += size;
    return p;
}

char *arena_copy(struct arena *a, const char *bytes, size_t len)
{
    char *p = arena_alloc(a, len + 1);
    if (len)
        memcpy(p, bytes, len);
    return p;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    n = n < 0 ? 0 : n;
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *p = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return p;
}

void *arena_grow(struct arena *a, void *array, unsigned count, unsigned *room, size_t size)
{
    if (count < *room)
        return array;
    unsigned more = *room ? *room * 2 : 8;
    void *p = arena_alloc(a, more * size);
    if (count)
        memcpy(p, array, count * size);
    *room = more;
    return p;
}

/* ---- text ---- */

void text_add(struct text *t, const char *bytes, size_t len)
{
    if (t->len + len + 1 > t->room) {
        size_t room = (t->len + len + 1) * 2;
        char *p = arena_alloc(t->arena, room);
        if (t->len)
            memcpy(p, t->bytes, t->len);
        t->bytes = p;
        t->room = room;
    }
    if (len)
        memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
    t->bytes[t->len] = 0;
}

void text_puts(struct text *t, const char *s)
{
    text_add(t, s, strlen(s));
}

void text_putc(struct text *t, char c)
{
    text_add(t, &c, 1);
}

void text_repeat(struct text *t, char c, size_t times)
{
    for (size_t i = 0; i < times; i++)
        text_putc(t, c);
}

void text_printf(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_puts(t, arena_vprintf(t->arena, fmt, ap));
    va_end(ap);
}

const char *text_string(struct text *t)
{
    if (!t->bytes)
        text_add(t, "", 0);
    return t->bytes;
}
