/* SPDX-License-Identifier: MIT */
/* The console: bytes both ways, a guest that takes few at a time, the escape key, and --expect. */
#include <stdarg.h>
#include <setjmp.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "cmd/run_console.h"

struct fixture {
    struct event_loop *loop;
    struct console *console;
    int in[2], out[2];
    char got[20000];
    size_t got_len, room, end; /* the guest takes `room` bytes at a time; the loop stops at `end` */
    bool quit;
};

static size_t receive(void *opaque, const void *data, size_t len)
{
    struct fixture *f = opaque;
    size_t n = len < f->room ? len : f->room;
    memcpy(f->got + f->got_len, data, n);
    f->got_len += n;
    if (f->room < 100) { /* full: the guest reads it all a little later */
        f->room = 0;
        console_rx_ready(f->console);
        f->room = 7;
    }
    if (f->got_len == f->end)
        event_loop_stop(f->loop);
    return n;
}

static void quit(void *opaque)
{
    struct fixture *f = opaque;
    f->quit = true;
    event_loop_stop(f->loop);
}

static struct fixture *open_console(bool escape, const char *expect)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(pipe(f->in) | pipe(f->out), 0);
    f->room = sizeof(f->got);
    f->loop = event_loop_new(NULL, NULL);
    struct console_config cfg = {f->in[0], f->out[1], escape, expect};
    f->console = console_new(&cfg, NULL);
    assert_non_null(f->console);
    struct console_guest guest = {receive, quit, f};
    assert_int_equal(console_attach(f->console, f->loop, guest, NULL), 0);
    return f;
}

static void close_console(struct fixture *f)
{
    console_free(f->console);
    event_loop_free(f->loop);
    for (int i = 0; i < 2; i++) {
        close(f->in[i]);
        close(f->out[i]);
    }
    free(f);
}

static void send(struct fixture *f, const char *text)
{
    while (*text)
        console_tx(f->console, (u8)*text++);
}

static bool expects(const char *expect, const char *text)
{
    struct fixture *f = open_console(false, expect);
    send(f, text);
    bool seen = console_finish(f->console);
    close_console(f);
    return seen;
}

static void expect_is_matched_line_by_line(void **state)
{
    assert_true(expects("^login: $", "boot\r\nlogin: "));
    assert_true(expects("^a[0-9]+b$", "x\r\na12b\r\ny\r\n"));
    assert_false(expects("^a[0-9]+b$", "x\na12b3\n"));
    assert_false(expects("one.two", "one\ntwo\n"));
    assert_false(expects("hello", ""));
    assert_true(expects("$", ""));
}

static void expect_survives_an_endless_line(void **state)
{
    char *text = malloc(40000);
    memset(text, 'x', 39999);
    text[39999] = 0;
    assert_false(expects("needle", text));
    memcpy(text + 8188, "needle", 6); /* across the window's edge */
    assert_true(expects("needle", text));
    memcpy(text + 39993, "NEEDLE", 6);
    assert_true(expects("NEEDLE", text));
    free(text);
}

static void *drain(void *opaque)
{
    struct fixture *f = opaque;
    char buf[1000];
    size_t total = 0;
    ssize_t n;
    usleep(20000); /* let the writer run into a full pipe */
    while (total < 300000 && (n = read(f->out[0], buf, sizeof(buf))) > 0)
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal((u8)buf[i], total++ % 251);
    return NULL;
}

static void *fill(void *opaque)
{
    struct fixture *f = opaque;
    for (unsigned i = 0; i < 300000; i++)
        console_tx(f->console, (u8)(i % 251));
    event_loop_stop(f->loop);
    return NULL;
}

static void a_slow_reader_gets_every_byte_in_order(void **state)
{
    struct fixture *f = open_console(false, NULL);
    pthread_t reader, writer;
    pthread_create(&reader, NULL, drain, f);
    pthread_create(&writer, NULL, fill, f);
    event_loop_run(f->loop);
    pthread_join(writer, NULL);
    console_finish(f->console);
    pthread_join(reader, NULL);
    close_console(f);
}

static void a_guest_that_takes_little_gets_everything(void **state)
{
    struct fixture *f = open_console(false, NULL);
    char text[10000];
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 26);
    f->room = 7;
    f->end = sizeof(text);
    assert_int_equal(write(f->in[1], text, sizeof(text)), sizeof(text));
    alarm(20);
    event_loop_run(f->loop);
    assert_memory_equal(f->got, text, sizeof(text));
    close_console(f);
}

static void input_survives_the_writers_end(void **state)
{
    struct fixture *f = open_console(false, NULL);
    f->room = 7;
    f->end = 9000;
    char text[9000];
    memset(text, 'q', sizeof(text));
    assert_int_equal(write(f->in[1], text, sizeof(text)), sizeof(text));
    close(f->in[1]);
    alarm(20);
    event_loop_run(f->loop);
    assert_int_equal(f->got_len, 9000);
    f->in[1] = dup(f->in[0]);
    close_console(f);
}

static void the_escape_key_quits_and_doubled_passes(void **state)
{
    struct fixture *f = open_console(true, NULL);
    f->end = 3;
    assert_int_equal(write(f->in[1],
                           "a\x1d\x1d"
                           "b",
                           4),
                     4);
    event_loop_run(f->loop);
    assert_false(f->quit);
    assert_memory_equal(f->got,
                        "a\x1d"
                        "b",
                        3);
    assert_int_equal(write(f->in[1], "\x1d", 1), 1); /* alone: after a while */
    event_loop_run(f->loop);
    assert_true(f->quit);
    close_console(f);
}

static void without_a_terminal_the_escape_key_is_a_byte(void **state)
{
    struct fixture *f = open_console(false, NULL);
    f->end = 2;
    assert_int_equal(write(f->in[1], "\x1dz", 2), 2);
    event_loop_run(f->loop);
    assert_memory_equal(f->got, "\x1dz", 2);
    close_console(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expect_is_matched_line_by_line),
        cmocka_unit_test(expect_survives_an_endless_line),
        cmocka_unit_test(a_slow_reader_gets_every_byte_in_order),
        cmocka_unit_test(a_guest_that_takes_little_gets_everything),
        cmocka_unit_test(input_survives_the_writers_end),
        cmocka_unit_test(the_escape_key_quits_and_doubled_passes),
        cmocka_unit_test(without_a_terminal_the_escape_key_is_a_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
