/* SPDX-License-Identifier: MIT */
/*
 * bench_guest [-t MS] [-p PASSES] PROGRAM...: "bench NAME TICKS", the best pass's TSC ns an operation.
 *
 * The TSC is the one clock that native runs and guests can share. It is believed only because the caller
 * checks it: the lines "clock TICKS" before the first program and behind the last are to be as far apart as
 * the host's clock says they came.
 */
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static const struct program programs[] = {
#define PROGRAM(name, id) {name, id##_prepare, id##_run},
#include "programs.def"
#undef PROGRAM
};

static volatile uint64_t sink;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t time_of(const struct program *p, uint64_t n)
{
    uint64_t start = now();
    sink += p->run(n);
    return now() - start;
}

/* Operations that take at least so long, also when nothing disturbs; the runs on the way warm everything up.
 */
static uint64_t enough(const struct program *p, uint64_t ns)
{
    uint64_t n = 1;
    for (;;) {
        uint64_t t = time_of(p, n);
        for (int again = 0; t >= ns && again < 3; again++) {
            uint64_t other = time_of(p, n);
            t = other < t ? other : t;
        }
        if (t >= ns)
            return n;
        n = t < ns / 16 ? n * 8 : n * ns / t + 1;
    }
}

static void measure(const struct program *p, uint64_t ns, unsigned passes)
{
    p->prepare();
    uint64_t n = enough(p, ns), best = UINT64_MAX;
    for (unsigned i = 0; i < passes; i++) {
        uint64_t t = time_of(p, n);
        if (t < best)
            best = t;
    }
    printf("bench %s %.3f\n", p->name, (double)best / (double)n);
}

/* In a process of its own: what one leaves behind is not the next one's. */
static void apart(const struct program *p, uint64_t ns, unsigned passes)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        measure(p, ns, passes);
        fflush(stdout);
        _exit(0);
    }
    int status;
    if (waitpid(child, &status, 0) < 0 || status)
        printf("bench %s failed\n", p->name);
}

static void clock_line(void)
{
    printf("clock %llu\n", (unsigned long long)now());
    fflush(stdout);
}

int main(int argc, char **argv)
{
    uint64_t ms = 20;
    unsigned passes = 5;
    for (int option; (option = getopt(argc, argv, "t:p:x")) != -1;) {
        if (option == 'x')
            return 0; /* what `fork` executes */
        if (option == 't')
            ms = strtoull(optarg, NULL, 10);
        if (option == 'p')
            passes = (unsigned)strtoul(optarg, NULL, 10);
    }
    clock_line();
    for (int i = optind; i < argc; i++)
        for (size_t k = 0; k < sizeof(programs) / sizeof(programs[0]); k++)
            if (!strcmp(argv[i], programs[k].name))
                apart(&programs[k], ms * 1000000, passes);
    clock_line();
    return 0;
}
