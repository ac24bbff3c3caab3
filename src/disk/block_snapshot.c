/* SPDX-License-Identifier: MIT */
/*
 * snapshot=on: what the guest writes stays in memory and is gone at the end; the image below is only read.
 *
 * The disk is cut into clusters of 64 KiB, one pointer each: NULL reads through, `zeroes` is a cluster the
 * guest discarded, anything else is the guest's copy. A copy is made at the first write, whole, so a read
 * never mixes. A request that fails half way has written some of its clusters, as a real disk may have.
 */
#include "disk/block.h"

#include <errno.h>
#include <stdlib.h>

#define SECTOR  512
#define CLUSTER (64 * KIB)

struct snapshot {
    struct block block; /* first */
    struct block *under;
    u64 clusters;
    u8 **table;
    u8 zeroes[1]; /* only its address counts */
};

static u64 cluster_len(const struct snapshot *s, u64 c)
{
    u64 left = s->block.size - c * CLUSTER;
    return left < CLUSTER ? left : CLUSTER;
}

/* The guest's own copy of cluster c, made now if need be. `whole`: every byte is about to be written. */
static u8 *own_cluster(struct snapshot *s, u64 c, bool whole, int *error)
{
    u8 *have = s->table[c];
    if (have && have != s->zeroes)
        return have;
    u8 *copy = calloc(1, CLUSTER);
    if (!copy) {
        *error = -ENOMEM;
        return NULL;
    }
    if (!have && !whole) {
        struct iovec v = {copy, cluster_len(s, c)};
        *error = s->under->ops->readv(s->under, &v, 1, c * CLUSTER);
        if (*error < 0) {
            free(copy);
            return NULL;
        }
    }
    s->table[c] = copy;
    return copy;
}

static int write_span(struct snapshot *s, const u8 *from, u64 offset, u64 len)
{
    while (len > 0) {
        u64 c = offset / CLUSTER, in = offset % CLUSTER;
        u64 n = len < CLUSTER - in ? len : CLUSTER - in;
        int error = 0;
        u8 *to = own_cluster(s, c, n == cluster_len(s, c), &error);
        if (!to)
            return error;
        memcpy(to + in, from, n);
        from += n;
        offset += n;
        len -= n;
    }
    return 0;
}

static int snapshot_writev(struct block *b, const struct iovec *iov, int n, u64 offset)
{
    struct snapshot *s = (struct snapshot *)b;
    i64 len = block_check(b, iov, n, offset);
    int error = len < 0 ? (int)len : 0;
    for (int i = 0; i < n && !error; i++) {
        error = write_span(s, iov[i].iov_base, offset, iov[i].iov_len);
        offset += iov[i].iov_len;
    }
    return error;
}

static bool has_own(const struct snapshot *s, u64 offset, u64 len)
{
    for (u64 c = offset / CLUSTER; len && c <= (offset + len - 1) / CLUSTER; c++)
        if (s->table[c])
            return true;
    return false;
}

/* Puts the guest's copies over what was read from below. */
static void overlay(struct snapshot *s, u8 *to, u64 offset, u64 len)
{
    while (len > 0) {
        u64 c = offset / CLUSTER, in = offset % CLUSTER;
        u64 n = len < CLUSTER - in ? len : CLUSTER - in;
        if (s->table[c] == s->zeroes)
            memset(to, 0, n);
        else if (s->table[c])
            memcpy(to, s->table[c] + in, n);
        to += n;
        offset += n;
        len -= n;
    }
}

static int snapshot_readv(struct block *b, const struct iovec *iov, int n, u64 offset)
{
    struct snapshot *s = (struct snapshot *)b;
    i64 len = block_check(b, iov, n, offset);
    if (len < 0)
        return (int)len;
    int error = s->under->ops->readv(s->under, iov, n, offset);
    if (error < 0 || !has_own(s, offset, (u64)len))
        return error;
    for (int i = 0; i < n; i++) {
        overlay(s, iov[i].iov_base, offset, iov[i].iov_len);
        offset += iov[i].iov_len;
    }
    return 0;
}

static int snapshot_flush(struct block *b)
{
    return 0; /* nothing to keep */
}

/* Whole clusters only: a discard promises nothing about the rest. */
static int snapshot_discard(struct block *b, u64 offset, u64 len)
{
    struct snapshot *s = (struct snapshot *)b;
    if (offset % SECTOR || len % SECTOR || offset > b->size || len > b->size - offset)
        return -EINVAL;
    for (u64 c = ALIGN_UP(offset, CLUSTER) / CLUSTER; c < s->clusters; c++) {
        if (c * CLUSTER + cluster_len(s, c) > offset + len)
            break;
        if (s->table[c] != s->zeroes)
            free(s->table[c]);
        s->table[c] = s->zeroes;
    }
    return 0;
}

static void snapshot_close(struct block *b)
{
    struct snapshot *s = (struct snapshot *)b;
    for (u64 c = 0; c < s->clusters; c++)
        if (s->table[c] != s->zeroes)
            free(s->table[c]);
    s->under->ops->close(s->under);
    free(s->table);
    free(s);
}

static const struct block_ops snapshot_ops = {
    .readv = snapshot_readv,
    .writev = snapshot_writev,
    .flush = snapshot_flush,
    .discard = snapshot_discard,
    .close = snapshot_close,
};

struct block *block_snapshot(struct block *under, struct err *err)
{
    struct snapshot *s = calloc(1, sizeof(*s));
    u64 clusters = ALIGN_UP(under->size, CLUSTER) / CLUSTER;
    u8 **table = calloc(clusters, sizeof(*table));
    if (!s || !table) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for a disk of %llu bytes with snapshot=on",
                (unsigned long long)under->size);
        free(s);
        free(table);
        return NULL;
    }
    s->block = (struct block){.ops = &snapshot_ops, .size = under->size};
    s->under = under;
    s->clusters = clusters;
    s->table = table;
    return &s->block;
}
