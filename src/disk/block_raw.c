/* SPDX-License-Identifier: MIT */
/*
 * A raw image: byte n of the disk is byte n of the file or host block device.
 *
 * Everything needed from the path is done before: the descriptor comes open, so a sandboxed worker opens
 * nothing. The size is taken once; an image that changes its size under a running guest gives read errors,
 * not surprises.
 */
#include "disk/block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512
#define BATCH  64 /* iovecs given to the kernel at once; IOV_MAX is 1024 */

struct raw {
    struct block block; /* first */
    int fd;
    bool device;
};

typedef ssize_t (*vector_io)(int fd, const struct iovec *iov, int n, off_t offset);

/* Drops the first `done` bytes of v[0..n); returns how many whole elements went. */
static int advance(struct iovec *v, int n, size_t done)
{
    int i = 0;
    while (i < n && done >= v[i].iov_len)
        done -= v[i++].iov_len;
    if (i < n) {
        v[i].iov_base = (u8 *)v[i].iov_base + done;
        v[i].iov_len -= done;
    }
    return i;
}

/* The kernel may transfer less than asked, so this asks until all is done. */
static int transfer(struct raw *r, vector_io io, const struct iovec *iov, int n, u64 offset)
{
    while (n > 0) {
        struct iovec part[BATCH];
        int count = n < BATCH ? n : BATCH, at = 0;
        memcpy(part, iov, count * sizeof(*iov));
        at = advance(part, count, 0);
        while (at < count) {
            ssize_t got = io(r->fd, part + at, count - at, (off_t)offset);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                return got < 0 ? -errno : -EIO; /* 0: the file became shorter */
            offset += (u64)got;
            at += advance(part + at, count - at, (size_t)got);
        }
        iov += count;
        n -= count;
    }
    return 0;
}

static int raw_readv(struct block *b, const struct iovec *iov, int n, u64 offset)
{
    i64 len = block_check(b, iov, n, offset);
    return len < 0 ? (int)len : transfer((struct raw *)b, preadv, iov, n, offset);
}

static int raw_writev(struct block *b, const struct iovec *iov, int n, u64 offset)
{
    i64 len = block_check(b, iov, n, offset);
    if (len < 0)
        return (int)len;
    return b->readonly ? -EROFS : transfer((struct raw *)b, pwritev, iov, n, offset);
}

static int raw_flush(struct block *b)
{
    struct raw *r = (struct raw *)b;
    if (b->readonly)
        return 0;
    return fdatasync(r->fd) < 0 ? -errno : 0;
}

static int raw_discard(struct block *b, u64 offset, u64 len)
{
    struct raw *r = (struct raw *)b;
    if (offset % SECTOR || len % SECTOR || offset > b->size || len > b->size - offset)
        return -EINVAL;
    if (b->readonly)
        return -EROFS;
    if (len == 0)
        return 0;
    if (r->device) {
        u64 range[2] = {offset, len};
        return ioctl(r->fd, BLKDISCARD, range) < 0 ? -errno : 0;
    }
    return fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len) < 0
               ? -errno
               : 0;
}

static void raw_close(struct block *b)
{
    struct raw *r = (struct raw *)b;
    close(r->fd);
    free(r);
}

static const struct block_ops raw_ops = {
    .readv = raw_readv,
    .writev = raw_writev,
    .flush = raw_flush,
    .discard = raw_discard,
    .close = raw_close,
};

static int find_size(int fd, u64 *size, bool *device, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(err, EXIT_STATUS_HOST, "disk image: %s", strerror(errno));
    *device = S_ISBLK(st.st_mode);
    if (!*device && !S_ISREG(st.st_mode))
        return err_set(err, EXIT_STATUS_USAGE,
                       "disk image is neither a file nor a block device; name one of these");
    *size = (u64)st.st_size;
    if (*device && ioctl(fd, BLKGETSIZE64, size) < 0)
        return err_set(err, EXIT_STATUS_HOST, "disk image: cannot learn the device's size: %s",
                       strerror(errno));
    return 0;
}

struct block *block_raw(int fd, bool readonly, struct err *err)
{
    u64 size = 0;
    bool device = false;
    if (find_size(fd, &size, &device, err) < 0)
        return NULL;
    if (size == 0 || size % SECTOR) {
        err_set(err, EXIT_STATUS_USAGE,
                "disk image has %llu bytes, not a multiple of %d; enlarge it with truncate -s %%%d",
                (unsigned long long)size, SECTOR, SECTOR);
        return NULL;
    }
    if (!readonly && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
        err_set(err, EXIT_STATUS_USAGE,
                "disk image was opened for reading only; add readonly=on or snapshot=on");
        return NULL;
    }
    struct raw *r = calloc(1, sizeof(*r));
    if (!r) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for a disk");
        return NULL;
    }
    *r = (struct raw){
        .block = {.ops = &raw_ops, .size = size, .readonly = readonly}, .fd = fd, .device = device};
    return &r->block;
}
