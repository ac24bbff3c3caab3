/* SPDX-License-Identifier: MIT */
/* SEEK_DATA finds what is not a hole; copy_file_range copies it inside the kernel, read and write where that
 * cannot. */
#include "mgmt/copy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 20 };

/* Bytes copied from `at` on, at most len; 0: the file ended; -1 with errno. */
static ssize_t copy_some(int from, int to, off_t at, size_t len, char *buf)
{
    off_t in = at, out = at;
    ssize_t n = copy_file_range(from, &in, to, &out, len, 0);
    if (n >= 0 || (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP))
        return n;
    n = pread(from, buf, len < BUFFER ? len : BUFFER, at);
    return n <= 0 ? n : pwrite(to, buf, (size_t)n, at);
}

static int copy_range(int from, int to, off_t at, off_t end, char *buf)
{
    while (at < end) {
        ssize_t n = copy_some(from, to, at, (size_t)(end - at), buf);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -1 : 0; /* it became shorter */
        at += n;
    }
    return 0;
}

static int copy_data(int from, int to, off_t size, char *buf)
{
    for (off_t at = 0; at < size;) {
        off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO ? 0 : -1; /* a hole up to the end */
        off_t end = lseek(from, data, SEEK_HOLE);
        if (end < 0 || copy_range(from, to, data, end, buf))
            return -1;
        at = end;
    }
    return 0;
}

static int copy_open(int from, const char *name, const char *to_name, struct err *err)
{
    struct stat st;
    if (fstat(from, &st) || !S_ISREG(st.st_mode))
        return err_set(err, EXIT_STATUS_USAGE, "%.200s is not a plain file", name);
    int to = open(to_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char *buf = malloc(BUFFER);
    bool done = to >= 0 && buf && ftruncate(to, st.st_size) == 0 &&
                copy_data(from, to, st.st_size, buf) == 0 && fsync(to) == 0;
    int why = errno;
    free(buf);
    if (to >= 0)
        close(to);
    if (done)
        return 0;
    if (to >= 0)
        unlink(to_name);
    return err_set(err, EXIT_STATUS_HOST, "%.200s cannot be copied to %.200s: %s", name, to_name,
                   strerror(why));
}

int copy_file(const char *from, const char *to, struct err *err)
{
    int fd = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_set(err, EXIT_STATUS_USAGE, "%.200s cannot be read: %s", from, strerror(errno));
    int r = copy_open(fd, from, to, err);
    close(fd);
    return r;
}
