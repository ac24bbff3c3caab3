/* SPDX-License-Identifier: MIT */
/* Disk images: raw files and snapshots over them. */
#include "disk/block.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CLUSTER (64 * KIB)
#define SIZE    (3 * CLUSTER + 1024) /* the last cluster is short */

static int file_of(u64 size)
{
    int fd = memfd_create("disk", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    return fd;
}

static struct block *raw_of(u64 size)
{
    struct err err = {0};
    struct block *b = block_raw(file_of(size), false, &err);
    assert_non_null(b);
    return b;
}

static int rw(struct block *b, bool write, void *buf, size_t len, u64 offset)
{
    struct iovec v = {buf, len};
    return write ? b->ops->writev(b, &v, 1, offset) : b->ops->readv(b, &v, 1, offset);
}

static void fill(u8 *p, size_t len, u8 seed)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (u8)(seed + i * 7 + i / 256);
}

static void raw_keeps_what_is_written(void **state)
{
    struct block *b = raw_of(SIZE);
    static u8 out[4096], in[4096];
    fill(out, sizeof(out), 3);
    struct iovec parts[] = {{out, 100}, {out, 0}, {out + 100, 924}, {out + 1024, 3072}};
    assert_int_equal(b->ops->writev(b, parts, 4, 512), 0);
    assert_int_equal(rw(b, false, in, sizeof(in), 512), 0);
    assert_memory_equal(in, out, sizeof(in));
    assert_int_equal(b->ops->flush(b), 0);
    assert_int_equal(b->ops->discard(b, 512, 512), 0);
    assert_int_equal(rw(b, false, in, 512, 512), 0);
    for (unsigned i = 0; i < 512; i++)
        assert_int_equal(in[i], 0);
    b->ops->close(b);
}

static void many_vectors_go_in_one_request(void **state)
{
    struct block *b = raw_of(SIZE);
    static u8 out[512 * 200], in[512 * 200];
    struct iovec v[200];
    fill(out, sizeof(out), 9);
    for (unsigned i = 0; i < 200; i++)
        v[i] = (struct iovec){out + 512 * i, 512};
    assert_int_equal(b->ops->writev(b, v, 200, 1024), 0);
    assert_int_equal(rw(b, false, in, sizeof(in), 1024), 0);
    assert_memory_equal(in, out, sizeof(in));
    b->ops->close(b);
}

static void check_refusals(struct block *b)
{
    static u8 buf[1024];
    assert_int_equal(rw(b, false, buf, 512, 1), -EINVAL);
    assert_int_equal(rw(b, false, buf, 511, 0), -EINVAL);
    assert_int_equal(rw(b, true, buf, 512, SIZE), -EINVAL);
    assert_int_equal(rw(b, true, buf, 1024, SIZE - 512), -EINVAL);
    assert_int_equal(rw(b, false, buf, 512, ~0ull - 511), -EINVAL);
    assert_int_equal(rw(b, true, buf, 512, SIZE - 512), 0);
    struct iovec huge[2] = {{buf, 512}, {buf, SIZE_MAX - 511}};
    assert_int_equal(b->ops->readv(b, huge, 2, 0), -EINVAL);
    assert_int_equal(b->ops->discard(b, SIZE, 512), -EINVAL);
    assert_int_equal(b->ops->discard(b, 512, ~0ull << 9), -EINVAL);
}

static void requests_outside_are_refused(void **state)
{
    struct block *raw = raw_of(SIZE);
    check_refusals(raw);
    struct block *snap = block_snapshot(raw, NULL);
    check_refusals(snap);
    snap->ops->close(snap);
}

static void readonly_refuses_writes(void **state)
{
    u8 buf[512];
    struct block *b = block_raw(file_of(SIZE), true, NULL);
    assert_int_equal(rw(b, true, buf, 512, 0), -EROFS);
    assert_int_equal(b->ops->discard(b, 0, 512), -EROFS);
    assert_int_equal(rw(b, false, buf, 512, 0), 0);
    b->ops->close(b);
}

static void shrunken_image_gives_an_error(void **state)
{
    u8 buf[512];
    int fd = file_of(SIZE);
    struct block *b = block_raw(fd, false, NULL);
    assert_int_equal(ftruncate(fd, 512), 0);
    assert_int_equal(rw(b, false, buf, 512, 1024), -EIO);
    b->ops->close(b);
}

static void unfit_images_are_refused_with_a_reason(void **state)
{
    struct err err = {0};
    int fd = file_of(1000), pipes[2];
    assert_null(block_raw(fd, false, &err));
    assert_int_equal(err.status, EXIT_STATUS_USAGE);
    assert_non_null(strstr(err.text, "1000"));
    assert_int_equal(fcntl(fd, F_GETFD) < 0, 0); /* still the caller's */
    close(fd);
    fd = file_of(0);
    assert_null(block_raw(fd, false, NULL));
    close(fd);
    assert_int_equal(pipe(pipes), 0);
    assert_null(block_raw(pipes[0], true, NULL));
    close(pipes[0]);
    close(pipes[1]);
    fd = open("/proc/self/exe", O_RDONLY);
    struct err ro = {0};
    assert_null(block_raw(fd, false, &ro));
    assert_int_equal(ro.status, EXIT_STATUS_USAGE);
    close(fd);
}

static void snapshot_leaves_the_image_alone(void **state)
{
    int fd = file_of(SIZE);
    static u8 base[SIZE], disk[SIZE], now[SIZE];
    fill(base, sizeof(base), 1);
    assert_int_equal(pwrite(fd, base, sizeof(base), 0), sizeof(base));
    memcpy(disk, base, sizeof(disk));
    struct block *b = block_snapshot(block_raw(fd, true, NULL), NULL);
    assert_false(b->readonly);
    const struct {
        u64 offset, len;
    } writes[] = {{512, 1024},
                  {CLUSTER - 512, 1024},
                  {CLUSTER, CLUSTER},
                  {SIZE - 512, 512},
                  {2 * CLUSTER - 512, CLUSTER}};
    for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
        fill(disk + writes[i].offset, writes[i].len, (u8)(50 + i));
        assert_int_equal(rw(b, true, disk + writes[i].offset, writes[i].len, writes[i].offset), 0);
        assert_int_equal(rw(b, false, now, SIZE, 0), 0);
        assert_memory_equal(now, disk, SIZE);
    }
    assert_int_equal(b->ops->flush(b), 0);
    assert_int_equal(pread(fd, now, SIZE, 0), SIZE);
    assert_memory_equal(now, base, SIZE);
    b->ops->close(b);
}

static void snapshot_discard_gives_zeroes_for_whole_clusters(void **state)
{
    static u8 buf[SIZE], now[SIZE];
    struct block *raw = raw_of(SIZE);
    memset(buf, 0xaa, sizeof(buf));
    assert_int_equal(rw(raw, true, buf, SIZE, 0), 0);
    struct block *b = block_snapshot(raw, NULL);
    assert_int_equal(rw(b, true, buf, 512, CLUSTER), 0);
    assert_int_equal(b->ops->discard(b, 512, SIZE - 512), 0);
    assert_int_equal(rw(b, false, now, SIZE, 0), 0);
    memset(buf + CLUSTER, 0, SIZE - CLUSTER);
    assert_memory_equal(now, buf, SIZE);
    memset(buf + CLUSTER + 512, 0x55, 512); /* writing into a discarded cluster: the rest stays zero */
    assert_int_equal(rw(b, true, buf + CLUSTER + 512, 512, CLUSTER + 512), 0);
    assert_int_equal(rw(b, false, now, SIZE, 0), 0);
    assert_memory_equal(now, buf, SIZE);
    b->ops->close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_keeps_what_is_written),
        cmocka_unit_test(many_vectors_go_in_one_request),
        cmocka_unit_test(requests_outside_are_refused),
        cmocka_unit_test(readonly_refuses_writes),
        cmocka_unit_test(shrunken_image_gives_an_error),
        cmocka_unit_test(unfit_images_are_refused_with_a_reason),
        cmocka_unit_test(snapshot_leaves_the_image_alone),
        cmocka_unit_test(snapshot_discard_gives_zeroes_for_whole_clusters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
