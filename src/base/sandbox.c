/* SPDX-License-Identifier: MIT */
/*
 * The sandbox: close_range, landlock by its raw system calls, seccomp by libseccomp.
 *
 * A forbidden call raises SIGSYS instead of killing silently, so that the handler can say which call it was;
 * the call itself is not executed, whatever the handler does.
 */
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- descriptors ---- */

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static int close_between(unsigned first, unsigned last)
{
    return first > last ? 0 : (int)syscall(SYS_close_range, first, last, 0);
}

int sandbox_fds(const int *keep, unsigned count, struct err *err)
{
    int sorted[256];
    bug_on(count > ARRAY_SIZE(sorted), "too many descriptors to keep");
    unsigned n = 0, first = 0;
    int failed = 0;
    for (unsigned i = 0; i < count; i++)
        if (keep[i] >= 0)
            sorted[n++] = keep[i];
    qsort(sorted, n, sizeof(int), by_number);
    for (unsigned i = 0; i < n; i++) {
        if (sorted[i] > 0)
            failed |= close_between(first, (unsigned)sorted[i] - 1);
        first = (unsigned)sorted[i] + 1;
    }
    failed |= close_between(first, ~0u);
    if (failed)
        return err_set(err, EXIT_STATUS_HOST, "cannot close descriptors: %s; Linux 5.9 or later is needed",
                       strerror(errno));
    return 0;
}

/* ---- landlock (Documentation/userspace-api/landlock.rst of the kernel) ---- */

struct landlock_ruleset {
    u64 fs, net, scoped;
};
struct landlock_path {
    u64 allowed;
    i32 fd;
} __attribute__((packed));

enum { LANDLOCK_VERSION = 1, LANDLOCK_PATH_BENEATH = 1, LANDLOCK_READ_FILE = 1 << 2 };

static struct landlock_ruleset all_accesses(int abi, bool connects)
{
    struct landlock_ruleset r = {.fs = (1 << 13) - 1};
    if (abi >= 2)
        r.fs |= 1 << 13; /* refer */
    if (abi >= 3)
        r.fs |= 1 << 14; /* truncate */
    if (abi >= 5)
        r.fs |= 1 << 15; /* device ioctls */
    if (abi >= 4 && !connects)
        r.net = 3; /* bind and connect TCP */
    if (abi >= 6)
        r.scoped = 3; /* abstract sockets and signals to others */
    return r;
}

static void allow_reading(int ruleset, const char *path)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return;
    struct landlock_path rule = {LANDLOCK_READ_FILE, fd};
    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_PATH_BENEATH, &rule, 0);
    close(fd);
}

static int no_new_privileges(struct err *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(err, EXIT_STATUS_HOST, "cannot give up privileges: %s", strerror(errno));
    return 0;
}

int sandbox_files(const char *const *readable, bool connects, struct err *err)
{
    if (no_new_privileges(err) < 0)
        return -1;
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
    if (abi < 1)
        return 0; /* not in this kernel, or switched off: seccomp stands alone */
    struct landlock_ruleset r = all_accesses(abi, connects);
    size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
    if (ruleset < 0)
        return err_set(err, EXIT_STATUS_HOST, "cannot close the file system (landlock): %s", strerror(errno));
    for (; readable && *readable; readable++)
        allow_reading(ruleset, *readable);
    int failed = (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
    int why = errno;
    close(ruleset);
    return failed
               ? err_set(err, EXIT_STATUS_HOST, "cannot close the file system (landlock): %s", strerror(why))
               : 0;
}

/* ---- seccomp ---- */

enum { ARENAS_MAX = 8 }; /* of malloc(3)'s */

static const int common_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(futex),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(brk),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(getrandom),
    SCMP_SYS(sched_yield),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(eventfd2),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(fstatfs),
    SCMP_SYS(lseek),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(membarrier),
};

#define CLONE_THREAD_FLAG 0x00010000 /* <sched.h> has it only beside clone(), which nobody here may call */

struct limited_call {
    int call;
    u32 action;
    struct scmp_arg_cmp arg;
};

static int add_limited(scmp_filter_ctx f)
{
    const struct limited_call limited[] = {
        {SCMP_SYS(mmap), SCMP_ACT_ALLOW, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
        {SCMP_SYS(mprotect), SCMP_ACT_ALLOW, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
        /* guest memory given back, and what libc gives back of stacks and heaps; then hints about their own
         * memory that the threads of a sanitized build give */
        {SCMP_SYS(madvise), SCMP_ACT_ALLOW, SCMP_A2(SCMP_CMP_MASKED_EQ, 0xffffffff, MADV_DONTNEED)},
        {SCMP_SYS(madvise), SCMP_ACT_ALLOW, SCMP_A2(SCMP_CMP_MASKED_EQ, 0xffffffff, MADV_DONTDUMP)},
        {SCMP_SYS(madvise), SCMP_ACT_ALLOW, SCMP_A2(SCMP_CMP_MASKED_EQ, 0xffffffff, MADV_NOHUGEPAGE)},
        {SCMP_SYS(clone), SCMP_ACT_ALLOW, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD_FLAG, CLONE_THREAD_FLAG)},
        {SCMP_SYS(tgkill), SCMP_ACT_ALLOW, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0)},
        /* libc's threads use two signals of its own; SIGSYS stays ours */
        {SCMP_SYS(rt_sigaction), SCMP_ACT_ALLOW, SCMP_A0(SCMP_CMP_NE, SIGSYS, 0)},
        {SCMP_SYS(prctl), SCMP_ACT_ALLOW, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0)},
        {SCMP_SYS(fcntl), SCMP_ACT_ALLOW, SCMP_A1(SCMP_CMP_EQ, F_GETFL, 0)},
        {SCMP_SYS(fcntl), SCMP_ACT_ALLOW, SCMP_A1(SCMP_CMP_EQ, F_SETFL, 0)},
        {SCMP_SYS(fcntl), SCMP_ACT_ALLOW, SCMP_A1(SCMP_CMP_EQ, F_GET_SEALS, 0)},
    };
    int r = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(limited) && !r; i++)
        r = seccomp_rule_add(f, limited[i].action, limited[i].call, 1, limited[i].arg);
    /* Its flags are behind a pointer that a filter cannot follow; libc then falls back to clone(). */
    return r ? r : seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int add_ioctls(scmp_filter_ctx f, const u32 *ioctls)
{
    int r = 0;
    for (; ioctls && *ioctls && !r; ioctls++)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                             SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, *ioctls));
    return r;
}

static int build_filter(scmp_filter_ctx f, const int *calls, const u32 *ioctls)
{
    int r = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(common_calls) && !r; i++)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, common_calls[i], 0);
    for (; *calls != -1 && !r; calls++)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, *calls, 0);
    if (!r)
        r = add_limited(f);
    if (!r)
        r = add_ioctls(f, ioctls);
    return r ? r : seccomp_load(f);
}

static const char *sandboxed_who; /* a signal handler has no argument to carry it */

static char *put_text(char *p, const char *s)
{
    while (*s)
        *p++ = *s++;
    return p;
}

/* snprintf() is not safe in a signal handler. */
static void on_broken(int sig, siginfo_t *info, void *context)
{
    char line[200], digits[12], *p = line;
    int n = 0, call = info->si_syscall;
    do
        digits[n++] = (char)('0' + call % 10);
    while ((call /= 10) > 0);
    p = put_text(p, "droste: the ");
    p = put_text(p, sandboxed_who);
    p = put_text(p, " broke its sandbox: system call ");
    while (n)
        *p++ = digits[--n];
    p = put_text(p, "; this is a bug\n");
    if (write(STDERR_FILENO, line, (size_t)(p - line)) < 0)
        _exit(EXIT_STATUS_HOST);
    _exit(EXIT_STATUS_HOST);
}

/* gcc defines the name itself. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
/* LeakSanitizer stops and traces the process at its end, which nobody in here may; it asks this first. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return sandboxed_who != NULL;
}
#endif

int sandbox_calls(const char *who, const int *calls, struct err *err)
{
    return sandbox_calls_ioctls(who, calls, NULL, err);
}

int sandbox_calls_ioctls(const char *who, const int *calls, const u32 *ioctls, struct err *err)
{
    sandboxed_who = who;
    struct sigaction sa = {.sa_sigaction = on_broken, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &sa, NULL);
    if (no_new_privileges(err) < 0)
        return -1;
    /* Without a limit the first malloc() of the ninth thread or so opens a file to count processors. */
    mallopt(M_ARENA_MAX, ARENAS_MAX);
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_TRAP);
    int r = f ? build_filter(f, calls, ioctls) : -ENOMEM;
    if (f)
        seccomp_release(f);
    if (r)
        return err_set(err, EXIT_STATUS_HOST, "cannot close the sandbox (seccomp): %s", strerror(-r));
    return 0;
}
