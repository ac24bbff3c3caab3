/* SPDX-License-Identifier: MIT */
/* Packets of gdb's protocol: framing, sums, escapes, lengths, numbers; registers and their description. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "vm/gdb/packet.h"
#include "vm/gdb/registers.h"
#include "x86/flags.h"

/* Feeds text; the last event that is not GDB_MORE. */
static enum gdb_event feed(struct gdb_input *in, const char *text)
{
    enum gdb_event last = GDB_MORE;
    for (; *text; text++) {
        enum gdb_event e = gdb_input_byte(in, (u8)*text);
        last = e == GDB_MORE ? last : e;
    }
    return last;
}

static void test_framing(void **state)
{
    static struct gdb_input in;
    assert_int_equal(feed(&in, "$g#67"), GDB_PACKET);
    assert_string_equal(in.data, "g");
    assert_int_equal(feed(&in, "noise$g#68"), GDB_DAMAGED);
    assert_int_equal(feed(&in, "$g#6x"), GDB_DAMAGED);
    assert_int_equal(feed(&in, "$#00"), GDB_PACKET);
    assert_int_equal(in.len, 0);
    assert_int_equal(feed(&in, "$qX$g#67"), GDB_PACKET); /* a packet begun anew */
    assert_string_equal(in.data, "g");
    assert_int_equal(feed(&in, "+"), GDB_ACK);
    assert_int_equal(feed(&in, "-"), GDB_NACK);
    assert_int_equal(feed(&in, "\003"), GDB_INTERRUPT);
    assert_int_equal(feed(&in, "$\003#03"), GDB_PACKET); /* inside, it is a byte like others */
}

static void test_escapes(void **state)
{
    static struct gdb_input in;
    assert_int_equal(feed(&in, "$X}\003}\004}]#bc"), GDB_DAMAGED); /* the sum counts what was sent */
    assert_int_equal(feed(&in, "$X}\003}\004}]#33"), GDB_PACKET);
    assert_int_equal(in.len, 4);
    assert_memory_equal(in.data, "X#$}", 4);
    assert_int_equal(feed(&in, "$X}#d5"), GDB_DAMAGED); /* it ends within an escape */
}

static void test_too_long(void **state)
{
    static struct gdb_input in;
    gdb_input_byte(&in, '$');
    for (unsigned i = 0; i < 3 * GDB_PACKET_MAX; i++)
        assert_int_equal(gdb_input_byte(&in, 0), GDB_MORE);
    assert_int_equal(feed(&in, "#00"), GDB_DAMAGED);
    assert_int_equal(feed(&in, "$g#67"), GDB_PACKET);
    gdb_input_byte(&in, '$');
    for (unsigned i = 0; i < GDB_PACKET_MAX; i++)
        gdb_input_byte(&in, 0);
    assert_int_equal(feed(&in, "#00"), GDB_PACKET); /* just fits */
    assert_int_equal(in.len, GDB_PACKET_MAX);
}

static void check_output(struct gdb_output *o, const char *want)
{
    gdb_output_end(o);
    assert_int_equal(o->len, strlen(want));
    assert_memory_equal(o->data, want, o->len);
}

static void test_output(void **state)
{
    static struct gdb_output o;
    gdb_output_begin(&o);
    gdb_put_text(&o, "OK");
    check_output(&o, "$OK#9a");
    gdb_output_begin(&o);
    gdb_put_number(&o, 0);
    gdb_put_number(&o, 0x1f0);
    gdb_put_hex(&o, "\x01\xab", 2);
    check_output(&o, "$01f001ab#1b");
    gdb_output_begin(&o);
    gdb_put_binary(&o, "a#*", 3);
    check_output(&o, "$a}\003}\n#68");
    gdb_output_begin(&o);
    for (unsigned i = 0; i <= GDB_PACKET_MAX; i++)
        gdb_put_text(&o, "x");
    check_output(&o, "$E01#a6");
}

static void test_numbers(void **state)
{
    const char *p = "12aF,";
    u64 v;
    u8 bytes[2];
    assert_true(gdb_take_number(&p, &v));
    assert_int_equal(v, 0x12af);
    assert_true(gdb_take_char(&p, ','));
    assert_false(gdb_take_number(&p, &v));
    assert_true(gdb_take_number(&(const char *){"ffffffffffffffff"}, &v));
    assert_int_equal(v, ~0ull);
    assert_false(gdb_take_number(&(const char *){"10000000000000000"}, &v));
    assert_true(gdb_take_hex(&(const char *){"0fF0"}, bytes, 2));
    assert_memory_equal(bytes, "\x0f\xf0", 2);
    assert_false(gdb_take_hex(&(const char *){"0f1"}, bytes, 2));
    assert_false(gdb_take_hex(&(const char *){"0fxx"}, bytes, 2));
}

/* ---- registers ---- */

static unsigned number_of(const char *name)
{
    static char text[20000];
    gdb_registers_describe(text, sizeof(text));
    char want[40];
    snprintf(want, sizeof(want), "<reg name=\"%s\"", name);
    char *end = strstr(text, want);
    assert_non_null(end);
    unsigned n = 0;
    for (char *p = text; (p = strstr(p, "<reg ")) && p < end; p++)
        n++;
    return n;
}

static u64 value(const struct debug_regs *r, const char *name)
{
    u8 out[GDB_REGISTER_MAX] = {0};
    gdb_register_get(r, number_of(name), out);
    return load_le(out, 8);
}

static bool put(struct debug_regs *r, const char *name, u64 v)
{
    u8 in[GDB_REGISTER_MAX] = {0};
    store_le(in, 8, v);
    return gdb_register_put(r, number_of(name), in);
}

static void test_registers(void **state)
{
    static struct debug_regs r;
    r.r.gpr[4] = 0x1234;
    r.r.rflags = FLAG_R1 | FLAG_VM;
    r.r.seg[CS].sel = 8;
    r.r.cr0 = 0x11;
    assert_int_equal(value(&r, "rsp"), 0x1234);
    assert_int_equal(value(&r, "cs"), 8);
    assert_true(put(&r, "rbx", 7));
    assert_int_equal(r.r.gpr[3], 7);
    assert_true(put(&r, "eflags", FLAG_R1 | FLAG_VM | FLAG_CF));
    assert_false(put(&r, "eflags", FLAG_R1));           /* VM is no matter of a register write */
    assert_false(put(&r, "eflags", FLAG_VM | FLAG_CF)); /* bit 1 is always set */
    assert_true(put(&r, "cs", 8));
    assert_false(put(&r, "cs", 16));
    assert_false(put(&r, "cr0", 0));
    assert_int_equal(r.r.cr0, 0x11);
    assert_true(put(&r, "fs_base", 0xffff800000000000));
    assert_false(put(&r, "fs_base", 0x0000800000000000));
    assert_false(put(&r, "mxcsr", 0x10000));
    assert_true(put(&r, "mxcsr", 0x1fa0));
    assert_int_equal(load_le(r.fpu.fxsave + 24, 4), 0x1fa0);
}

/* SDM 1 8.1.7: the tags are of physical registers, the image's registers are counted from the top. */
static void test_tags(void **state)
{
    static struct debug_regs r;
    store_le(r.fpu.fxsave + 2, 2, 6 << 11);
    r.fpu.fxsave[4] = 0xc1;                                      /* R0, R6, R7 */
    memcpy(r.fpu.fxsave + 32, "\0\0\0\0\0\0\0\x80\xff\x3f", 10); /* ST0 = R6: 1.0 */
    memcpy(r.fpu.fxsave + 64, "\0\0\0\0\0\0\0\x80\xff\x7f", 10); /* ST2 = R0: infinity */
    assert_int_equal((u32)value(&r, "ftag"), 0x4ffe);            /* R7 zero, R6 valid, R0 special */
    assert_true(put(&r, "ftag", 0xfffc));
    assert_int_equal(r.fpu.fxsave[4], 1);
    assert_false(put(&r, "ftag", 0x10000));
}

static void test_description_length(void **state)
{
    char small[10];
    size_t whole = gdb_registers_describe(NULL, 0);
    assert_int_equal(gdb_registers_describe(small, sizeof(small)), whole);
    assert_string_equal(small, "<?xml ver");
    unsigned bytes = 0;
    for (unsigned n = 0; n < gdb_registers_count(); n++)
        bytes += gdb_register_size(n);
    assert_true(2 * bytes <= GDB_PACKET_MAX); /* g is one packet */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing),  cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_too_long), cmocka_unit_test(test_output),
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_registers),
        cmocka_unit_test(test_tags),     cmocka_unit_test(test_description_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
