/* SPDX-License-Identifier: MIT */
/* Generated code's memory: see the header. Anonymous, since perf(1) looks into its maps for no other. */
#include "base/exec_pages.h"

#include <errno.h>
#include <sys/mman.h>

int exec_pages_create(struct exec_pages *x, size_t size, struct err *err)
{
    memset(x, 0, sizeof(*x));
    u8 *rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (rw == MAP_FAILED)
        goto fail;
    u8 *rx = mremap(rw, 0, size, MREMAP_MAYMOVE); /* of a shared mapping: once more. mremap(2) */
    if (rx == MAP_FAILED || mprotect(rx, size, PROT_READ | PROT_EXEC) < 0) {
        int why = errno;
        if (rx != MAP_FAILED)
            munmap(rx, size);
        munmap(rw, size);
        errno = why;
        goto fail;
    }
    *x = (struct exec_pages){.rw = rw, .rx = rx, .size = size};
    return 0;
fail:
    return err_set(err, EXIT_STATUS_HOST,
                   "no executable memory for the software CPU: %s (is exec forbidden here?)",
                   strerror(errno));
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
