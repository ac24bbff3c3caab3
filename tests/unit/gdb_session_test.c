/* SPDX-License-Identifier: MIT */
/* A debugging session, packet by packet, with a target that is no machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "gdb_target.h"

struct talk {
    struct fake fake;
    struct gdb_session *session;
    char said[60000]; /* since the last question */
    size_t len;
};

static void on_send(void *opaque, const void *bytes, size_t len)
{
    struct talk *t = opaque;
    assert_true(t->len + len < sizeof(t->said));
    memcpy(t->said + t->len, bytes, len);
    t->len += len;
    t->said[t->len] = 0;
}

static int begin(void **state)
{
    struct talk *t = calloc(1, sizeof(*t));
    struct gdb_target target = fake_target(&t->fake);
    t->session = gdb_session_new(&target, on_send, t);
    gdb_session_receive(t->session, "$QStartNoAckMode#b0+", 20);
    *state = t;
    return !t->session;
}

static int end(void **state)
{
    struct talk *t = *state;
    gdb_session_free(t->session);
    free(t);
    return 0;
}

static void send_packet(struct talk *t, const char *text)
{
    static char frame[40000];
    u8 sum = 0;
    for (const char *p = text; *p; p++)
        sum = (u8)(sum + *p);
    int n = snprintf(frame, sizeof(frame), "$%s#%02x", text, sum);
    t->len = 0;
    t->said[0] = 0;
    gdb_session_receive(t->session, frame, (size_t)n);
}

/* What is said, without frame and sum; of several packets the last. */
static const char *last_said(struct talk *t)
{
    if (!t->len)
        return "(nothing)";
    assert_true(t->len >= 4 && t->said[t->len - 3] == '#');
    t->said[t->len - 3] = 0;
    char *p = strrchr(t->said, '$');
    assert_non_null(p);
    return p + 1;
}

static const char *ask(struct talk *t, const char *text)
{
    send_packet(t, text);
    return last_said(t);
}

#define ANSWER(question, want) assert_string_equal(ask(*state, question), want)

static void test_acknowledgements(void **state)
{
    struct talk *t = *state;
    gdb_session_begin(t->session);
    t->len = 0;
    gdb_session_receive(t->session, "$qC#b4", 6);
    assert_string_equal(t->said, "+$QC1#c5");
    t->len = 0;
    gdb_session_receive(t->session, "-", 1);
    assert_string_equal(t->said, "$QC1#c5");
    t->len = 0;
    gdb_session_receive(t->session, "$qC#b5", 6);
    assert_string_equal(t->said, "-");
}

static void test_start(void **state)
{
    struct talk *t = *state;
    assert_non_null(strstr(ask(t, "qSupported:swbreak+;hwbreak+"), "PacketSize=4000;qXfer:features:read+"));
    ANSWER("vMustReplyEmpty", "");
    ANSWER("?", "T05thread:1;");
    ANSWER("qAttached", "1");
    ANSWER("qOffsets", "");
    ANSWER("vCont?", "vCont;c;C;s;S");
    ANSWER("qSymbol::", "OK");
}

static void test_description(void **state)
{
    struct talk *t = *state;
    static char whole[20000];
    size_t at = 0;
    for (bool more = true; more;) {
        char question[60];
        snprintf(question, sizeof(question), "qXfer:features:read:target.xml:%zx,3ff", at);
        const char *a = ask(t, question);
        more = *a++ == 'm';
        for (; *a; a++) {
            if (*a == '}')
                whole[at++] = *++a ^ 0x20;
            else
                whole[at++] = *a;
        }
    }
    assert_memory_equal(whole, "<?xml", 5);
    assert_non_null(strstr(whole, "<reg name=\"efer\""));
    assert_string_equal(whole + at - 10, "</target>\n");
    ANSWER("qXfer:features:read:other.xml:0,10", "E16");
    ANSWER("qXfer:features:read:target.xml:fffff,10", "E16");
}

static void test_threads(void **state)
{
    struct talk *t = *state;
    t->fake.status[1] = (struct accel_status){.activity = ACCEL_HALTED};
    t->fake.status[2] = (struct accel_status){.nesting = ACCEL_VMX, .in_guest = true, .control = 0x5000};
    ANSWER("qfThreadInfo", "m1,2,3");
    ANSWER("qsThreadInfo", "l");
    ANSWER("T3", "OK");
    ANSWER("T4", "E16");
    ANSWER("T0", "E16");
    ANSWER("Hg2", "OK");
    ANSWER("qC", "QC2");
    ANSWER("Hg4", "E16");
    ANSWER("Hx1", "E16");
    ANSWER("H", "E16");
    ANSWER("qThreadExtraInfo,2", "7643505520312c2068616c746564"); /* vCPU 1, halted */
    /* vCPU 2, running, in L2 (VMCS 0x5000) */
    ANSWER("qThreadExtraInfo,3", "7643505520322c2072756e6e696e672c20696e204c322028564d435320307835303030"
                                 "29");
    ANSWER("qThreadExtraInfo,9", "E16");
}

static void test_registers(void **state)
{
    struct talk *t = *state;
    t->fake.regs[0].r.rip = 0x1122334455667788;
    ANSWER("p10", "8877665544332211");
    ANSWER("P0=0100000000000000", "OK");
    assert_int_equal(t->fake.regs[0].r.gpr[0], 1);
    ANSWER("P0=01", "E16");
    ANSWER("P0=010000000000000000", "E16");
    ANSWER("pff", "E16");
    ANSWER("Pff=00", "E16");
    ANSWER("p", "E16");
    static char all[20000];
    snprintf(all, sizeof(all), "G%s", ask(t, "g"));
    all[1] = 'f';
    ANSWER(all, "OK");
    assert_int_equal(t->fake.regs[0].r.gpr[0], 0xf1);
    all[strlen(all) - 1] ^= 1; /* EFER: refused, and then nothing is written */
    all[1] = '0';
    ANSWER(all, "E16");
    assert_int_equal(t->fake.regs[0].r.gpr[0], 0xf1);
    all[strlen(all) - 1] = 0;
    ANSWER(all, "E16");
}

static void test_memory(void **state)
{
    struct talk *t = *state;
    memcpy(t->fake.memory, "abcd", 4);
    ANSWER("m1000,4", "61626364");
    ANSWER("m0,4", "E0e");
    ANSWER("m6ffe,10", "0000"); /* what is there */
    ANSWER("m1000,0", "");
    ANSWER("m1000", "E16");
    ANSWER("mffffffffffffffff,ffffffffffffffff", "E0e");
    assert_int_equal(strlen(ask(t, "m1000,ffffffffffff")), 0x3ffe); /* as much as a packet holds */
    ANSWER("M1001,2:5859", "OK");
    assert_memory_equal(t->fake.memory, "aXYd", 4);
    ANSWER("M1001,3:5859", "E16");
    ANSWER("M1001,1:5859", "E16");
    ANSWER("M6fff,2:5859", "E0e");
    ANSWER("X1000,0:", "OK");
    ANSWER("X1000,2:}]q", "OK"); /* one of them escaped */
    assert_memory_equal(t->fake.memory, "}qYd", 4);
    ANSWER("X1000,3:pq", "E16");
}

static void test_points(void **state)
{
    struct talk *t = *state;
    ANSWER("Z0,1234,1", "OK");
    ANSWER("Z0,1234,1", "OK");
    ANSWER("Z1,1234,1", "OK");
    ANSWER("Z2,2000,8", "OK");
    ANSWER("Z3,2000,4", "OK");
    ANSWER("Z4,2000,1000", "OK");
    assert_int_equal(t->fake.count, 5);
    assert_int_equal(t->fake.points[2].kind, DEBUG_WRITE);
    assert_int_equal(t->fake.points[3].kind, DEBUG_READ);
    assert_int_equal(t->fake.points[4].kind, DEBUG_ACCESS);
    assert_int_equal(t->fake.points[4].len, 0x1000);
    ANSWER("z0,1234,1", "OK");
    ANSWER("z0,1234,1", "OK");
    assert_int_equal(t->fake.count, 4);
    ANSWER("Z5,2000,1", "");
    ANSWER("Z2,2000,0", "E16");
    ANSWER("Z2,2000,1001", "E16");
    ANSWER("Z2,2000", "E16");
    ANSWER("Z", "");
    t->fake.points_max = 4;
    ANSWER("Z0,5,1", "E1c");
    t->fake.points_max = 0;
    char question[40];
    for (unsigned i = 4; i < 256; i++) {
        snprintf(question, sizeof(question), "Z0,%x,1", 0x10000 + i);
        ANSWER(question, "OK");
    }
    ANSWER("Z0,7,1", "E1c");
    assert_int_equal(t->fake.count, 256);
}

static void expect_actions(struct talk *t, enum debug_action a, enum debug_action b, enum debug_action c)
{
    assert_int_equal(t->fake.action[0], a);
    assert_int_equal(t->fake.action[1], b);
    assert_int_equal(t->fake.action[2], c);
}

static void stop(struct talk *t, struct debug_stop s)
{
    t->len = 0;
    gdb_session_stopped(t->session, &s);
}

static void test_going_on(void **state)
{
    struct talk *t = *state;
    struct debug_stop stepped = {.reason = DEBUG_STEPPED, .vcpu = 1};
    ANSWER("vCont;s:2;c", "(nothing)");
    expect_actions(t, DEBUG_CONTINUE, DEBUG_STEP, DEBUG_CONTINUE);
    ANSWER("g", "(nothing)"); /* while it runs */
    stop(t, stepped);
    assert_string_equal(last_said(t), "T05thread:2;");
    ANSWER("vCont;s:1", "(nothing)");
    expect_actions(t, DEBUG_STEP, DEBUG_HOLD, DEBUG_HOLD);
    stop(t, stepped);
    ANSWER("vCont;C05:-1", "(nothing)");
    expect_actions(t, DEBUG_CONTINUE, DEBUG_CONTINUE, DEBUG_CONTINUE);
    stop(t, stepped);
    ANSWER("Hc3", "OK");
    ANSWER("s", "(nothing)");
    expect_actions(t, DEBUG_HOLD, DEBUG_HOLD, DEBUG_STEP);
    stop(t, stepped);
    ANSWER("Hc-1", "OK");
    ANSWER("c4000", "(nothing)");
    expect_actions(t, DEBUG_CONTINUE, DEBUG_CONTINUE, DEBUG_CONTINUE);
    assert_int_equal(t->fake.regs[1].r.rip, 0x4000);
    stop(t, stepped);
    assert_int_equal(t->fake.resumed, 5);
    static const char *const bad[] = {"vCont;x", "vCont;c:9", "vCont;C", "vContc", "vCont;c:1;",
                                      "cxyz",    "C",         "C05;",    "S5;1z"};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        ANSWER(bad[i], "E16");
    assert_int_equal(t->fake.resumed, 5);
}

static void test_stops(void **state)
{
    struct talk *t = *state;
    ANSWER("vCont;c", "(nothing)");
    gdb_session_receive(t->session, "\003", 1);
    assert_int_equal(t->fake.stopped, 1);
    stop(t, (struct debug_stop){.reason = DEBUG_ASKED});
    assert_string_equal(last_said(t), "T02thread:1;");
    gdb_session_receive(t->session, "\003", 1); /* it stands already */
    assert_int_equal(t->fake.stopped, 1);
    struct debug_stop point = {.reason = DEBUG_POINT, .vcpu = 2, .hit = {DEBUG_EXECUTE, 0x1234}};
    ANSWER("vCont;c", "(nothing)");
    stop(t, point); /* a debugger that does not know swbreak */
    assert_string_equal(last_said(t), "T05thread:3;");
    ask(t, "qSupported:swbreak+;hwbreak+");
    ANSWER("vCont;c", "(nothing)");
    stop(t, point);
    assert_string_equal(last_said(t), "T05thread:3;swbreak:;");
    ANSWER("Z1,1234,1", "OK");
    ANSWER("?", "T05thread:3;hwbreak:;");
    ANSWER("vCont;c", "(nothing)");
    stop(t, (struct debug_stop){.reason = DEBUG_POINT, .hit = {DEBUG_READ, 0x2000}});
    assert_string_equal(last_said(t), "T05thread:1;rwatch:2000;");
    ANSWER("vCont;c", "(nothing)");
    stop(t, (struct debug_stop){.reason = DEBUG_TRIPLE_FAULT, .text = "oh"});
    assert_memory_equal(t->said, "$O64726f7374653a206f680a#", 25);
    assert_string_equal(last_said(t), "T0bthread:1;");
    ANSWER("?", "T0bthread:1;"); /* nothing is told twice */
    t->len = 0;
    gdb_session_ended(t->session, 8);
    assert_string_equal(last_said(t), "W08");
}

static void test_leaving(void **state)
{
    struct talk *t = *state;
    ANSWER("D", "OK");
    assert_int_equal(t->fake.detached, 1);
    gdb_session_begin(t->session);
    send_packet(t, "vKill;1");
    assert_int_equal(t->fake.killed, 1);
    gdb_session_begin(t->session);
    send_packet(t, "k");
    assert_int_equal(t->fake.killed, 2);
}

static void test_monitor(void **state)
{
    struct talk *t = *state;
    memcpy(t->fake.memory, "P", 1);
    ANSWER("qRcmd,706879736963616c206f6e", "OK"); /* physical on */
    ANSWER("m0,1", "50");
    ANSWER("m7000,1", "E0e");
    ANSWER("qRcmd,706879736963616c206f6666", "OK");
    ANSWER("m0,1", "E0e");
    t->fake.status[0] = (struct accel_status){.nesting = ACCEL_SVM,
                                              .operation = true,
                                              .in_guest = true,
                                              .region = 0x3000,
                                              .control = 0x4000,
                                              .entries = 2};
    send_packet(t, "qRcmd,6e6573746564"); /* nested */
    /* vCPU 0: SVM, guest mode (L2) */
    assert_memory_equal(t->said, "$O7643505520303a2053564d2c206775657374206d6f646520284c3229", 57);
    ANSWER("qRcmd,6e6f6e73656e7365", "OK");                               /* nonsense */
    assert_non_null(strstr(t->said, "7468657265206973206e6f2073756368")); /* there is no such */
    ANSWER("qRcmd,zz", "E16");
    static char longest[2000] = "qRcmd,";
    memset(longest + 6, '6', 1000);
    ANSWER(longest, "E16");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_acknowledgements), TEST(test_start),     TEST(test_description),
        TEST(test_threads),          TEST(test_registers), TEST(test_memory),
        TEST(test_points),           TEST(test_going_on),  TEST(test_stops),
        TEST(test_leaving),          TEST(test_monitor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
