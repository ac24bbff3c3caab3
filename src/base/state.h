/* SPDX-License-Identifier: MIT */
/*
 * Saved state as a described table, not a struct dump.
 *
 * Every chip and every part of the CPU has one `const struct state_desc` that lists its architectural fields
 * by name; caches are left out and rebuilt by `loaded`. A saved machine is a sequence of records {object
 * name, instance, field name, bytes}; a reader ignores fields it does not know and leaves at their reset
 * value fields that are missing, so old state loads into newer programs.
 */
#ifndef BASE_STATE_H
#define BASE_STATE_H

#include "base/err.h"
#include "base/types.h"

struct state_field {
    const char *name;
    u32 offset;
    u32 size;  /* bytes of one element */
    u32 count; /* elements, laid out densely */
};

struct state_desc {
    const char *name;
    const struct state_field *fields; /* ends with a NULL name */
    void (*saving)(void *obj);        /* optional: brings fields up to date before they are read */
    int (*loaded)(
        void *obj); /* optional: checks the fields (the file is hostile) and rebuilds caches; 0 or -1 */
};

#define STATE_FIELD(type, field)                                                                             \
    {                                                                                                        \
#field, offsetof(type, field), sizeof(((type *)0)->field), 1                                         \
    }
#define STATE_ARRAY(type, field)                                                                             \
    {                                                                                                        \
#field, offsetof(type, field), sizeof(((type *)0)->field[0]),                                        \
            sizeof(((type *)0)->field) / sizeof(((type *)0)->field[0])                                       \
    }
#define STATE_END                                                                                            \
    {                                                                                                        \
        NULL, 0, 0, 0                                                                                        \
    }

/* A growing byte image. Zero-initialise; state_free() when done. */
struct state_image {
    u8 *data;
    size_t len, cap;
    bool failed; /* memory was gone; every later call is a no-op */
};

void state_save(struct state_image *img, const struct state_desc *d, unsigned instance, void *obj);
/* Finds the record of (d->name, instance), fills obj, calls d->loaded. -1 and err when absent or refused. */
int state_load(const struct state_image *img, const struct state_desc *d, unsigned instance, void *obj,
               struct err *err);
void state_free(struct state_image *img);
/* FNV-1a by words, to be continued from h (STATE_HASH_BEGIN at first): for telling states apart, not for
 * secrecy. */
#define STATE_HASH_BEGIN 0xcbf29ce484222325ull
u64 state_hash(u64 h, const void *bytes, size_t len);

#endif
