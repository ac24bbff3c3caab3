/* SPDX-License-Identifier: MIT */
/* What a kernel does: system calls, another process, memory, new processes. */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

void getpid_prepare(void) {}

uint64_t getpid_run(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += (uint64_t)syscall(SYS_getpid);
    return sum;
}

static int there[2], back[2];

void pipe_prepare(void)
{
    if (pipe(there) < 0 || pipe(back) < 0)
        abort();
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child)
        return;
    char byte;
    close(there[1]);
    while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
        ;
    _exit(0);
}

uint64_t pipe_run(uint64_t n)
{
    char byte = 0;
    for (uint64_t i = 0; i < n; i++)
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            abort();
    return n;
}

#define PAGES 256

void faults_prepare(void) {}

static uint64_t touch(void)
{
    uint64_t sum = 0;
    char *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || madvise(p, PAGES * 4096, MADV_NOHUGEPAGE) < 0)
        abort();
    for (uint64_t i = 0; i < PAGES; i++)
        sum += (uint64_t)(p[i * 4096] = 1);
    munmap(p, PAGES * 4096);
    return sum;
}

uint64_t faults_run(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += touch();
    return sum;
}

void fork_prepare(void) {}

uint64_t fork_run(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        int status;
        pid_t child = fork();
        if (child < 0)
            abort();
        if (!child) {
            execl("/proc/self/exe", "bench_guest", "-x", (char *)NULL);
            _exit(1);
        }
        if (waitpid(child, &status, 0) < 0 || status)
            abort();
    }
    return n;
}
