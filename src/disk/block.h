/* SPDX-License-Identifier: MIT */
/*
 * A disk image as a block device. Requests are synchronous on the caller's thread (virtio-blk has a worker
 * thread of its own for them). Offsets and lengths are bytes, within size, multiples of 512; others are
 * refused with -EINVAL.
 */
#ifndef DISK_BLOCK_H
#define DISK_BLOCK_H

#include <sys/uio.h>

#include "base/err.h"
#include "base/types.h"

struct block {
    const struct block_ops *ops;
    u64 size; /* bytes, a multiple of 512 */
    bool readonly;
};

struct block_ops {
    int (*readv)(struct block *b, const struct iovec *iov, int n, u64 offset);  /* 0 or -errno */
    int (*writev)(struct block *b, const struct iovec *iov, int n, u64 offset); /* 0 or -errno */
    int (*flush)(struct block *b);
    int (*discard)(struct block *b, u64 offset, u64 len); /* may be NULL */
    void (*close)(struct block *b);
};

/* For the implementations: total bytes of iov if the request lies within b and is whole sectors, else
 * -EINVAL. */
i64 block_check(const struct block *b, const struct iovec *iov, int n, u64 offset);

/* A raw image, already open (so the sandbox need not open files). Owns fd. */
struct block *block_raw(int fd, bool readonly, struct err *err);
/* snapshot=on: reads through to `under`, writes to memory, nothing reaches the image. Owns `under`. */
struct block *block_snapshot(struct block *under, struct err *err);

#endif
