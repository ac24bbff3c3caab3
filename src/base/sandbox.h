/* SPDX-License-Identifier: MIT */
/*
 * Giving up what a process no longer needs, in three steps that cannot be undone:
 *   sandbox_fds()    every descriptor but those named is closed;
 *   sandbox_files()  landlock: no path can be opened but those named (no effect on kernels without it);
 *   sandbox_calls()  no new privileges, and seccomp: a call outside the list ends the process.
 * The lists are the caller's, because only it knows what its work is; what any event loop, any malloc and any
 * thread needs is in here. Memory can never become executable afterwards, and clone() makes threads only.
 */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include "base/err.h"
#include "base/types.h"

int must_check sandbox_fds(const int *keep, unsigned count, struct err *err);

/* readable: paths ending with NULL that stay readable (absent ones are skipped). Before any other thread
 * starts. connects: TCP sockets may be bound and connected. */
int must_check sandbox_files(const char *const *readable, bool connects, struct err *err);

/* calls: system call numbers ending with -1. who: names the process in the line that a broken sandbox prints.
 * It must last for ever. All threads of the process are bound. */
int must_check sandbox_calls(const char *who, const int *calls, struct err *err);
/* The same, and ioctl() with these requests, ending with 0 (NULL: none), on whatever descriptors are left. */
int must_check sandbox_calls_ioctls(const char *who, const int *calls, const u32 *ioctls, struct err *err);

#endif
