/* SPDX-License-Identifier: MIT */
/* State files. The body is mapped, not read: it is as large as the guest's memory. */
#include "main/vm_state.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/vm_config.h"

#define FORMAT 3

struct head {
    char magic[8];
    u32 format, body_at;
    char engine[VM_STATE_ENGINE_SIZE];
    u64 len, hash, memory, memory_most;
};

static const char magic[8] = "DROSTES\n";

static int read_head(int fd, struct head *h, struct err *err)
{
    if (pread(fd, h, sizeof(*h), 0) != sizeof(*h) || memcmp(h->magic, magic, sizeof(magic)))
        return err_set(err, EXIT_STATUS_USAGE, "the saved state is damaged: Remove-VMSavedState drops it");
    if (h->format != FORMAT || h->body_at != sizeof(*h))
        return err_set(err, EXIT_STATUS_USAGE,
                       "the saved state has format %u, this program knows %d: Remove-VMSavedState "
                       "drops it",
                       h->format, FORMAT);
    h->engine[sizeof(h->engine) - 1] = 0;
    return 0;
}

int vm_state_origin(int fd, struct vm_state_origin *out, struct err *err)
{
    struct head h;
    if (read_head(fd, &h, err))
        return -1;
    if (h.memory < vm_setting("memory")->least || h.memory > vm_setting("memory")->most ||
        h.memory_most > vm_setting("memory_maximum")->most)
        return err_set(err, EXIT_STATUS_USAGE, "the saved state is damaged: Remove-VMSavedState drops it");
    *out = (struct vm_state_origin){.memory = h.memory, .memory_most = h.memory_most};
    memcpy(out->engine, h.engine, sizeof(h.engine));
    return 0;
}

int vm_state_load(int fd, struct machine *m, struct err *err)
{
    struct head h;
    struct stat st;
    if (read_head(fd, &h, err))
        return -1;
    if (fstat(fd, &st) || h.len > (u64)st.st_size || (u64)st.st_size - h.len != sizeof(h))
        return err_set(err, EXIT_STATUS_USAGE, "the saved state is cut off: Remove-VMSavedState drops it");
    size_t size = (size_t)st.st_size;
    u8 *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return err_set(err, EXIT_STATUS_HOST, "the saved state cannot be read: %s", strerror(errno));
    struct state_image img = {.data = map + sizeof(h), .len = h.len};
    int r = state_hash(STATE_HASH_BEGIN, img.data, img.len) == h.hash
                ? machine_restore(m, &img, err)
                : err_set(err, EXIT_STATUS_USAGE, "the saved state is damaged: Remove-VMSavedState drops it");
    munmap(map, size);
    return r;
}

static int put(int fd, const void *data, size_t len, struct err *err)
{
    const u8 *p = data;
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, EXIT_STATUS_HOST, "the state cannot be written: %s", strerror(errno));
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int vm_state_store(int fd, struct machine *m, const char *engine, struct err *err)
{
    struct state_image img = {0};
    struct head h = {.format = FORMAT, .body_at = sizeof(h)};
    struct machine_ram ram;
    memcpy(h.magic, magic, sizeof(magic));
    machine_ram_state(m, &ram);
    h.memory = ram.size;
    h.memory_most = ram.most;
    snprintf(h.engine, sizeof(h.engine), "%s", engine);
    int r = machine_save(m, &img, err);
    h.len = img.len;
    h.hash = r ? 0 : state_hash(STATE_HASH_BEGIN, img.data, img.len);
    if (r == 0)
        r = put(fd, &h, sizeof(h), err) || put(fd, img.data, img.len, err) ? -1 : 0;
    if (r == 0 && fsync(fd))
        r = err_set(err, EXIT_STATUS_HOST, "the state cannot be written: %s", strerror(errno));
    state_free(&img);
    return r;
}
