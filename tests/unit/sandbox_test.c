/* SPDX-License-Identifier: MIT */
/* The sandbox, each promise in a child of its own: what a closed process can and cannot do. */
#include <stdarg.h>
#include <signal.h>
#include <setjmp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/event_loop.h"
#include "base/sandbox.h"

static const int no_calls[] = {-1};
static char said[1000]; /* what the child wrote to stderr */

/* Exit status of a child that runs fn in the sandbox; fn's result is the status. */
static int in_sandbox(int (*fn)(void))
{
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        dup2(out[1], 2);
        alarm(20);
        if (sandbox_files(NULL, false, &err) < 0 || sandbox_calls("child", no_calls, &err) < 0)
            _exit(99);
        _exit(fn());
    }
    close(out[1]);
    ssize_t n = read(out[0], said, sizeof(said) - 1);
    said[n > 0 ? n : 0] = 0;
    close(out[0]);
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void *nothing(void *opaque)
{
    return opaque;
}

static void stop(void *opaque)
{
    event_loop_stop(opaque);
}

static int use_loop_threads_and_memory(void)
{
    struct clock *c = clock_new(CLOCK_MODE_REAL, 0);
    struct timer t;
    pthread_t thread;
    timer_init(&t, c, stop, NULL);
    timer_arm(&t, 1);
    char *big = malloc(64 * MIB);
    big[MIB] = 1;
    free(big);
    if (pthread_create(&thread, NULL, nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 1;
    return 0;
}

static void ordinary_work_goes_on(void **state)
{
    assert_int_equal(in_sandbox(use_loop_threads_and_memory), 0);
}

static void an_event_loop_runs_inside(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct clock *c = clock_new(CLOCK_MODE_REAL, 0);
        struct event_loop *l = event_loop_new(c, NULL);
        struct timer t;
        alarm(20);
        if (sandbox_files(NULL, false, NULL) < 0 || sandbox_calls("child", no_calls, NULL) < 0)
            _exit(99);
        timer_init(&t, c, stop, l);
        timer_arm(&t, clock_now(c) + 1000000);
        event_loop_run(l);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int open_a_file(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0 ? 0 : 1;
}

static int make_a_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : 1;
}

static int make_a_process(void)
{
    return fork() >= 0 ? 0 : 1;
}

static int run_a_program(void)
{
    char *const none[] = {NULL};
    execve("/bin/true", none, none);
    return 1;
}

static int make_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ? 0 : 1;
}

static int make_data_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_EXEC) ? 1 : 0;
}

static int signal_another(void)
{
    return kill(1, 0);
}

static void forbidden_work_ends_the_process_with_a_line(void **state)
{
    static const struct {
        int (*fn)(void);
        long call;
    } forbidden[] = {
        {open_a_file, SYS_openat},   {make_a_socket, SYS_socket}, {make_a_process, SYS_clone},
        {run_a_program, SYS_execve}, {make_code, SYS_mmap},       {make_data_code, SYS_mprotect},
        {signal_another, SYS_kill},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(forbidden); i++) {
        char line[100];
        assert_int_equal(in_sandbox(forbidden[i].fn), EXIT_STATUS_HOST);
        snprintf(line, sizeof(line), "the child broke its sandbox: system call %ld; this is a bug\n",
                 forbidden[i].call);
        assert_non_null(strstr(said, line));
    }
}

static void files_alone_are_closed_by_landlock(void **state)
{
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1)
        skip();
    pid_t pid = fork();
    if (pid == 0) {
        const char *const readable[] = {"/etc/hostname", "/no/such/file", NULL};
        if (sandbox_files(readable, true, NULL) < 0)
            _exit(99);
        if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
            _exit(1);
        _exit(open("/etc/hostname", O_RDONLY) >= 0 ? 0 : 2);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void only_named_descriptors_stay(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        int keep[] = {2, 100, -1, 7};
        dup2(2, 7);
        dup2(2, 100);
        dup2(2, 101);
        if (sandbox_fds(keep, 4, NULL) < 0)
            _exit(99);
        for (int fd = 0; fd < 200; fd++)
            if ((fcntl(fd, F_GETFD) >= 0) != (fd == 2 || fd == 7 || fd == 100))
                _exit(1);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_work_goes_on),
        cmocka_unit_test(an_event_loop_runs_inside),
        cmocka_unit_test(forbidden_work_ends_the_process_with_a_line),
        cmocka_unit_test(files_alone_are_closed_by_landlock),
        cmocka_unit_test(only_named_descriptors_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
