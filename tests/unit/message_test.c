/* SPDX-License-Identifier: MIT */
/* Messages between commands and workers: fields, bad packets, descriptors, hang-up. */
#include <stdarg.h>
#include <setjmp.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "mgmt/message.h"

static int pair[2];
static struct err err;
static struct message in;

static int begin(void **state)
{
    struct timeval t = {.tv_usec = 100000};
    err = (struct err){0};
    return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) ||
           setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

static int end(void **state)
{
    return close(pair[0]) | close(pair[1]);
}

static void fields_arrive_as_they_were(void **state)
{
    struct message m = {
        .type = MESSAGE_STATUS, .state = VM_PAUSED, .pid = 7, .uptime_ms = 1ull << 40, .nested_active = true};
    strcpy(m.text, "\"quoted\" \\ text");
    assert_int_equal(message_send(pair[0], &m, -1, &err), 0);
    assert_int_equal(message_receive(pair[1], &in, NULL, &err), 1);
    assert_memory_equal(&m.type, &in.type, sizeof(in.type));
    assert_string_equal(in.text, m.text);
    assert_int_equal(in.state, VM_PAUSED);
    assert_int_equal(in.uptime_ms, 1ull << 40);
    assert_true(in.nested_active && !in.failed);
}

static void bad_packets_are_refused(void **state)
{
    static const char *const packets[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"type\":\"NONE\"}",
        "{\"type\":1}",
        "{\"type\":\"OK\",\"type\":\"OK\"}",
        "{\"type\":\"OK\",\"colour\":1}",
        "{\"type\":\"OK\",\"pid\":-1}",
        "{\"type\":\"OK\",\"cpuPercent\":101}",
        "{\"type\":\"OK\",\"error\":100000}",
        "{\"type\":\"OK\",\"state\":\"Gone\"}",
        "{\"type\":\"OK\",\"text\":\"\\u0000\"}",
        "{\"type\":\"OK\"} {\"type\":\"OK\"}",
    };
    for (unsigned i = 0; i < ARRAY_SIZE(packets); i++) {
        err = (struct err){0};
        assert_int_equal(message_parse(&in, packets[i], strlen(packets[i]), &err), -1);
        assert_true(err.status);
    }
}

static void long_packets_are_refused(void **state)
{
    char packet[MESSAGE_MAX + 100];
    memset(packet, ' ', sizeof(packet));
    memcpy(packet, "{\"type\":\"OK\"}", 13);
    assert_int_equal(send(pair[0], packet, sizeof(packet), 0), sizeof(packet));
    assert_int_equal(message_receive(pair[1], &in, NULL, &err), -1);
    assert_non_null(strstr(err.text, "too long"));
    char text[700];
    memset(text, 'a', sizeof(text));
    snprintf(packet, sizeof(packet), "{\"type\":\"OK\",\"text\":\"%.690s\"}", text);
    assert_int_equal(message_parse(&in, packet, strlen(packet), &err), -1);
}

static void a_hang_up_and_silence_differ(void **state)
{
    assert_int_equal(message_receive(pair[1], &in, NULL, &err), -1);
    assert_int_equal(err.id, ERROR_TIMED_OUT);
    shutdown(pair[0], SHUT_RDWR);
    assert_int_equal(message_receive(pair[1], &in, NULL, &err), 0);
}

static void a_descriptor_goes_along_and_unasked_ones_are_closed(void **state)
{
    struct message m = {.type = MESSAGE_SAVE};
    struct stat sent, got;
    int fd = open("/dev/null", O_RDONLY), passed;
    assert_int_equal(message_send(pair[0], &m, fd, &err), 0);
    assert_int_equal(message_receive(pair[1], &in, &passed, &err), 1);
    assert_true(passed >= 0 && fstat(fd, &sent) == 0 && fstat(passed, &got) == 0);
    assert_int_equal(sent.st_rdev, got.st_rdev);
    int free_one = dup(fd); /* the lowest number that is free */
    close(free_one);
    assert_int_equal(message_send(pair[0], &m, fd, &err), 0);
    assert_int_equal(message_receive(pair[1], &in, NULL, &err), 1);
    int again = dup(fd);
    assert_int_equal(again, free_one);
    close(again);
    close(passed);
    close(fd);
}

static void errors_pass_through(void **state)
{
    struct err out = {0};
    err_set_id(&err, EXIT_STATUS_NO_ENGINE, ERROR_NOT_SUPPORTED, "no \xff engine");
    struct message m = message_of_err(&err);
    char *text = message_print(&m);
    assert_non_null(text);
    assert_int_equal(message_parse(&in, text, strlen(text), &out), 0);
    assert_int_equal(message_to_err(&in, &out), -1);
    assert_int_equal(out.id, ERROR_NOT_SUPPORTED);
    assert_int_equal(out.status, EXIT_STATUS_NO_ENGINE);
    assert_string_equal(out.text, "no ? engine");
    free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fields_arrive_as_they_were),
        TEST(bad_packets_are_refused),
        TEST(long_packets_are_refused),
        TEST(a_hang_up_and_silence_differ),
        TEST(a_descriptor_goes_along_and_unasked_ones_are_closed),
        TEST(errors_pass_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
