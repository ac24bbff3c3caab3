/* SPDX-License-Identifier: MIT */
/* /proc/meminfo: lines of a name, a number and "kB". MemAvailable is the kernel's own estimate. */
#include "main/host_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int host_memory_open(struct err *err)
{
    const char *path = getenv("DROSTE_MEMINFO");
    path = path ? path : "/proc/meminfo";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return fd >= 0 ? fd : err_set(err, EXIT_STATUS_HOST, "cannot open %.300s: %s", path, strerror(errno));
}

static bool find(const char *text, const char *name, u64 *bytes)
{
    const char *line = strstr(text, name);
    char *end;
    if (!line)
        return false;
    errno = 0;
    unsigned long long kb = strtoull(line + strlen(name), &end, 10);
    *bytes = kb * KIB;
    return end != line + strlen(name) && !errno && kb < BIT(53);
}

bool host_memory_read(int fd, struct host_memory *out)
{
    char text[512]; /* both are among the first lines */
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return find(text, "MemTotal:", &out->total) && find(text, "MemAvailable:", &out->available);
}
