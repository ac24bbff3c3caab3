/* SPDX-License-Identifier: MIT */
/* Values of the command language: numbers from text, text from values, order, wildcards, bounds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cmd/lang/value.h"

static struct arena *arena;

static int begin(void **state)
{
    arena = arena_new();
    return 0;
}
static int end(void **state)
{
    arena_free(arena);
    return 0;
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        i64 want;
    } good[] = {
        {"0", 0},      {"512", 512},         {"-1", -1},         {"+7", 7},
        {"0x10", 16},  {"0xFF", 255},        {"2GB", 2ll << 30}, {"512mb", 512 << 20},
        {"1kb", 1024}, {"1.5GB", 3ll << 29}, {"1TB", 1ll << 40}, {"9223372036854775807", INT64_MAX},
    };
    static const char *const bad[] = {"",   "-",  "GB", "1XB", "1G",    "0x",  "0xg",
                                      "1 ", " 1", "1e", "--1", "1e999", "nan", "inf"};
    struct value v;
    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(value_parse_number(good[i].text, strlen(good[i].text), &v));
        assert_int_equal(v.kind, VALUE_INT);
        assert_int_equal(v.integer, good[i].want);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(value_parse_number(bad[i], strlen(bad[i]), &v));
    assert_true(value_parse_number("2.5", 3, &v) && v.kind == VALUE_REAL && v.real == 2.5);
    assert_true(value_parse_number("1e3", 3, &v) && v.kind == VALUE_REAL && v.real == 1000);
    assert_true(value_parse_number("99999999999999999999", 20, &v) && v.kind == VALUE_REAL);
}

static void text_of_values(void **state)
{
    struct value two[] = {value_int(1), value_static("b")}, o = object_new(arena, NULL);
    object_set(o, "Name", value_static("x"));
    object_set(o, "State", value_bool(true));
    assert_string_equal(value_to_string(arena, value_array(arena, two, 2)), "1 b");
    assert_string_equal(value_to_string(arena, o), "@{Name=x; State=True}");
    assert_string_equal(value_to_string(arena, value_real(0.1)), "0.1");
    assert_string_equal(value_to_string(arena, value_span(0)), "00:00:00");
    assert_string_equal(value_to_string(arena, value_span(731470000)), "00:01:13.1470000");
    assert_string_equal(value_to_string(arena, value_span(2150790000000 + 280000)), "2.11:44:39.0280000");
}

static void order(void **state)
{
    assert_true(value_equal(arena, value_static("Running"), value_static("running")));
    assert_true(value_equal(arena, value_int(2), value_static("2")));
    assert_true(value_equal(arena, value_int(2), value_real(2)));
    assert_true(value_compare(arena, value_int(10), value_static("9")) > 0);
    assert_true(value_compare(arena, value_static("10"), value_int(9)) < 0);
    assert_true(value_compare(arena, NULL_VALUE, value_int(0)) < 0);
    assert_true(value_equal(arena, value_bool(true), value_int(1)));
}

static void wildcards(void **state)
{
    assert_true(wildcard_match("*", ""));
    assert_true(wildcard_match("l?b*", "LAB-1"));
    assert_true(wildcard_match("[a-c]*", "Beta"));
    assert_false(wildcard_match("[a-c]*", "delta"));
    assert_true(wildcard_match("`*x", "*x"));
    assert_false(wildcard_match("`*x", "ax"));
    assert_true(wildcard_match("*a*b*c*", "xxaxxbxxcxx"));
    assert_false(wildcard_match("*a*b*c*d", "xxaxxbxxcxx"));
    assert_true(wildcard_match("[x", "[x")); /* no class without its end */
    assert_true(wildcard_has("a*") && !wildcard_has("a`*"));
}

static void properties_have_no_case_and_one_value(void **state)
{
    struct value o = object_new(arena, NULL);
    for (int i = 0; i < 100; i++)
        object_set(o, i % 2 ? "name" : "Name", value_int(i));
    assert_int_equal(o.object->count, 1);
    assert_int_equal(object_get(o, "NAME").integer, 99);
    assert_int_equal(object_get(o, "other").kind, VALUE_NULL);
    assert_int_equal(object_get(value_int(1), "other").kind, VALUE_NULL);
}

static void deep_and_large_values_are_known(void **state)
{
    struct value v = value_int(1);
    for (int i = 0; i < VALUE_DEPTH_MAX; i++)
        v = value_array(arena, &v, 1);
    assert_true(value_fits(v));
    assert_false(value_fits(value_array(arena, &v, 1)));
    v = value_static("x");
    for (int i = 0; i < 40; i++) /* 2^40 elements, though 80 values */
        v = value_array(arena, (struct value[]){v, v}, 2);
    assert_false(value_fits(v));
}

static void a_copy_stands_alone(void **state)
{
    struct arena *other = arena_new(), *mine = arena_new();
    struct value o = object_new(other, NULL);
    object_set(o, arena_copy(other, "Name", 4), value_string(other, "x"));
    object_set(o, "List", value_array(other, (struct value[]){value_string(other, "a"), value_int(1)}, 2));
    struct value copy = value_copy(mine, o);
    arena_free(other);
    assert_string_equal(value_to_string(mine, copy), "@{Name=x; List=a 1}");
    arena_free(mine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(text_of_values),
        cmocka_unit_test(order),
        cmocka_unit_test(wildcards),
        cmocka_unit_test(properties_have_no_case_and_one_value),
        cmocka_unit_test(deep_and_large_values_are_known),
        cmocka_unit_test(a_copy_stands_alone),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
