/* SPDX-License-Identifier: MIT */
/* Generated code's memory: see the header. */
#include "base/exec_pages.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

int exec_pages_create(struct exec_pages *x, size_t size, struct err *err)
{
    memset(x, 0, sizeof(*x));
    int fd = memfd_create("droste-code", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
        goto fail;
    x->rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (x->rw == MAP_FAILED)
        goto fail;
    x->rx = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    if (x->rx == MAP_FAILED) {
        munmap(x->rw, size);
        goto fail;
    }
    close(fd);
    x->size = size;
    return 0;
fail:
    err_set(err, EXIT_STATUS_HOST,
            "no executable memory for the software CPU: %s (is memfd_create or exec forbidden here?)",
            strerror(errno));
    if (fd >= 0)
        close(fd);
    memset(x, 0, sizeof(*x));
    return -1;
}

void exec_pages_destroy(struct exec_pages *x)
{
    if (!x->size)
        return;
    munmap(x->rw, x->size);
    munmap(x->rx, x->size);
    memset(x, 0, sizeof(*x));
}

void *exec_pages_add(struct exec_pages *x, const void *code, size_t len)
{
    size_t at = ALIGN_UP(x->used, 16);
    if (at + len > x->size)
        return NULL;
    memcpy(x->rw + at, code, len);
    x->used = at + len;
    return x->rx + at;
}
