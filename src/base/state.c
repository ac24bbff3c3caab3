/* SPDX-License-Identifier: MIT */
/*
 * Records in a byte image, little-endian:
 *
 *   record: u32 bytes that follow | name | u32 instance | fields to the record's end
 *   field:  name | u32 element size | u32 elements | the bytes
 *   name:   u16 length | that many bytes
 *
 * The image comes from a file and is hostile: a record is checked whole before its object is touched, and
 * every length is taken through `struct reader`, which cannot pass its end.
 */
#include "base/state.h"

#include <stdlib.h>

/* ---- writing ---- */

static void append(struct state_image *img, const void *p, size_t len)
{
    if (img->failed)
        return;
    if (len > img->cap - img->len) {
        size_t cap = img->cap ? img->cap : 4096;
        while (cap - img->len < len)
            cap *= 2;
        u8 *data = realloc(img->data, cap);
        if (!data) {
            img->failed = true;
            return;
        }
        img->data = data;
        img->cap = cap;
    }
    if (len)
        memcpy(img->data + img->len, p, len);
    img->len += len;
}

static void append_int(struct state_image *img, unsigned size, u64 v)
{
    append(img, &v, size);
}

static void append_name(struct state_image *img, const char *name)
{
    append_int(img, 2, strlen(name));
    append(img, name, strlen(name));
}

void state_save(struct state_image *img, const struct state_desc *d, unsigned instance, void *obj)
{
    if (d->saving)
        d->saving(obj);
    size_t start = img->len;
    append_int(img, 4, 0);
    append_name(img, d->name);
    append_int(img, 4, instance);
    for (const struct state_field *f = d->fields; f->name; f++) {
        append_name(img, f->name);
        append_int(img, 4, f->size);
        append_int(img, 4, f->count);
        append(img, (u8 *)obj + f->offset, (size_t)f->size * f->count);
    }
    if (!img->failed)
        store_le(img->data + start, 4, img->len - start - 4);
}

void state_free(struct state_image *img)
{
    free(img->data);
    *img = (struct state_image){0};
}

u64 state_hash(u64 h, const void *bytes, size_t len)
{
    for (const u8 *p = bytes; len;) {
        unsigned n = len < 8 ? (unsigned)len : 8;
        h = (h ^ load_le(p, n)) * 0x100000001b3ull;
        h ^= h >> 29; /* what a word's high bits say must reach the low ones */
        p += n;
        len -= n;
    }
    return h;
}

/* ---- reading ---- */

struct reader {
    const u8 *p;
    size_t left;
    bool bad; /* something reached past the end; everything read since is zero */
};

static const u8 *take(struct reader *r, size_t len)
{
    if (r->bad || len > r->left) {
        r->bad = true;
        return NULL;
    }
    const u8 *p = r->p;
    r->p += len;
    r->left -= len;
    return p;
}

static u64 take_int(struct reader *r, unsigned size)
{
    const u8 *p = take(r, size);
    return p ? load_le(p, size) : 0;
}

struct text {
    const u8 *p;
    size_t len;
};

static struct text take_name(struct reader *r)
{
    size_t len = take_int(r, 2);
    const u8 *p = take(r, len);
    return (struct text){p, p ? len : 0};
}

static bool is(struct text t, const char *name)
{
    return t.p && t.len == strlen(name) && memcmp(t.p, name, t.len) == 0;
}

struct saved_field {
    struct text name;
    u32 size, count;
    const u8 *bytes;
};

static bool take_field(struct reader *r, struct saved_field *s)
{
    s->name = take_name(r);
    s->size = (u32)take_int(r, 4);
    s->count = (u32)take_int(r, 4);
    s->bytes = take(r, (size_t)s->size * s->count); /* two u32: the product fits a size_t */
    return !r->bad;
}

static const struct state_field *find_field(const struct state_desc *d, struct text name)
{
    for (const struct state_field *f = d->fields; f->name; f++)
        if (is(name, f->name))
            return f;
    return NULL;
}

static int check_fields(struct reader r, const struct state_desc *d, struct err *err)
{
    while (r.left) {
        struct saved_field s;
        if (!take_field(&r, &s))
            return err_set(err, EXIT_STATUS_USAGE, "saved state of %s is cut short: the file is damaged",
                           d->name);
        const struct state_field *f = find_field(d, s.name);
        if (f && (s.size != f->size || s.count > f->count))
            return err_set(err, EXIT_STATUS_USAGE,
                           "saved state of %s: field %s has %u x %u bytes, this version holds %u x %u",
                           d->name, f->name, s.count, s.size, f->count, f->size);
    }
    return 0;
}

static void fill_fields(struct reader r, const struct state_desc *d, u8 *obj)
{
    struct saved_field s;
    while (r.left && take_field(&r, &s)) {
        const struct state_field *f = find_field(d, s.name);
        if (f)
            memcpy(obj + f->offset, s.bytes, (size_t)s.size * s.count);
    }
}

/* The fields of the record asked for: 1 found, 0 absent, -1 damaged. */
static int find_record(const struct state_image *img, const struct state_desc *d, unsigned instance,
                       struct reader *out)
{
    struct reader all = {img->data, img->len, false};
    while (all.left) {
        size_t len = take_int(&all, 4);
        struct reader record = {take(&all, len), len, all.bad};
        struct text name = take_name(&record);
        u32 n = (u32)take_int(&record, 4);
        if (record.bad)
            return -1;
        if (n == instance && is(name, d->name)) {
            *out = record;
            return 1;
        }
    }
    return 0;
}

int state_load(const struct state_image *img, const struct state_desc *d, unsigned instance, void *obj,
               struct err *err)
{
    struct reader fields = {0};
    int found = find_record(img, d, instance, &fields);
    if (found < 0)
        return err_set(err, EXIT_STATUS_USAGE, "the saved state is cut short: the file is damaged");
    if (found == 0)
        return err_set(err, EXIT_STATUS_USAGE, "the saved state has no record of %s %u", d->name, instance);
    if (check_fields(fields, d, err) < 0)
        return -1;
    fill_fields(fields, d, obj);
    if (d->loaded && d->loaded(obj) < 0)
        return err_set(err, EXIT_STATUS_USAGE, "the saved state of %s %u holds impossible values", d->name,
                       instance);
    return 0;
}
