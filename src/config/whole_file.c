/* SPDX-License-Identifier: MIT */
/* Draft, fsync, rename, fsync of the folder. */
#include "config/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *what, const char *name, struct err *err)
{
    return err_set(err, EXIT_STATUS_HOST, "cannot %s %.200s: %s", what, name, strerror(errno));
}

/* Bytes read, at most len. */
static ssize_t read_all(int fd, char *p, size_t len)
{
    size_t got = 0;
    while (got < len) {
        ssize_t n = read(fd, p + got, len - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static int write_all(int fd, const char *p, size_t len)
{
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static int read_open(int fd, const char *name, size_t most, char **text, size_t *len, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st))
        return fail("read", name, err);
    if (!S_ISREG(st.st_mode) || (u64)st.st_size > most)
        return err_set(err, EXIT_STATUS_USAGE, "%.200s is not a plain file of at most %zu bytes", name, most);
    *text = malloc((size_t)st.st_size + 1);
    ssize_t n = *text ? read_all(fd, *text, (size_t)st.st_size) : -1;
    if (n < 0) {
        free(*text);
        return fail("read", name, err);
    }
    (*text)[n] = 0;
    *len = (size_t)n;
    return 0;
}

int whole_file_read(int dir, const char *name, size_t most, char **text, size_t *len, struct err *err)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return fail("open", name, err);
    int r = read_open(fd, name, most, text, len, err);
    close(fd);
    return r;
}

int whole_file_write(int dir, const char *name, const void *data, size_t len, struct err *err)
{
    char draft[256];
    snprintf(draft, sizeof(draft), "%.240s.part", name);
    int fd = openat(dir, draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail("write", name, err);
    bool written = write_all(fd, data, len) == 0 && fsync(fd) == 0;
    if (close(fd) || !written || renameat(dir, draft, dir, name)) {
        fail("write", name, err);
        unlinkat(dir, draft, 0);
        return -1;
    }
    return fsync(dir) ? fail("write", name, err) : 0;
}
