/* SPDX-License-Identifier: MIT */
/* How much memory the host has, and how much of it is to be had without swapping. */
#ifndef MAIN_HOST_MEMORY_H
#define MAIN_HOST_MEMORY_H

#include "base/err.h"
#include "base/types.h"

struct host_memory {
    u64 total, available; /* bytes */
};

/* A descriptor for host_memory_read(), which needs none of what a sandbox takes away. The file is
 * /proc/meminfo, or what DROSTE_MEMINFO names, in which tests say what they like. */
int host_memory_open(struct err *err);
/* False: the file does not say. */
bool must_check host_memory_read(int fd, struct host_memory *out);

#endif
