/* SPDX-License-Identifier: MIT */
/* Saved state: a round trip, older and newer writers, and damaged images. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/state.h"

struct chip {
    u8 a;
    u32 b[3];
    u64 cache, c;
};

static void saving(void *obj)
{
    struct chip *k = obj;
    k->c = k->cache;
}

static int loaded(void *obj)
{
    struct chip *k = obj;
    k->cache = k->c;
    return k->a == 0xff ? -1 : 0;
}

static const struct state_field fields[] = {
    STATE_FIELD(struct chip, a),
    STATE_ARRAY(struct chip, b),
    STATE_FIELD(struct chip, c),
    STATE_END,
};
static const struct state_field old_fields[] = {STATE_FIELD(struct chip, a), STATE_END};
static const struct state_desc desc = {"chip", fields, saving, loaded};
static const struct state_desc old_desc = {"chip", old_fields, NULL, NULL};

static struct state_image two_chips(void)
{
    struct state_image img = {0};
    struct chip k0 = {1, {10, 11, 12}, 77, 0}, k1 = {2, {20, 21, 22}, 88, 0};
    state_save(&img, &desc, 0, &k0);
    state_save(&img, &desc, 1, &k1);
    assert_false(img.failed);
    return img;
}

static void what_was_saved_is_loaded(void **state)
{
    struct state_image img = two_chips();
    struct chip k = {0};
    assert_int_equal(state_load(&img, &desc, 1, &k, NULL), 0);
    assert_int_equal(k.a, 2);
    assert_int_equal(k.b[2], 22);
    assert_int_equal(k.c, 88);
    assert_int_equal(k.cache, 88);
    state_free(&img);
}

static void an_absent_record_is_an_error(void **state)
{
    struct state_image img = two_chips();
    struct chip k = {0};
    struct err err = {0};
    assert_int_equal(state_load(&img, &desc, 2, &k, &err), -1);
    assert_non_null(strstr(err.text, "chip 2"));
    state_free(&img);
}

static void fields_missing_keep_their_reset_value(void **state)
{
    struct state_image img = {0};
    struct chip k = {.a = 5}, reset = {.a = 9, .c = 42};
    state_save(&img, &old_desc, 0, &k);
    assert_int_equal(state_load(&img, &desc, 0, &reset, NULL), 0);
    assert_int_equal(reset.a, 5);
    assert_int_equal(reset.c, 42);
    state_free(&img);
}

static void fields_unknown_are_skipped(void **state)
{
    struct state_image img = two_chips();
    struct chip k = {0};
    assert_int_equal(state_load(&img, &old_desc, 0, &k, NULL), 0);
    assert_int_equal(k.a, 1);
    assert_int_equal(k.b[0], 0);
    state_free(&img);
}

static void the_object_may_refuse(void **state)
{
    struct state_image img = {0};
    struct chip k = {.a = 0xff};
    struct err err = {0};
    state_save(&img, &desc, 0, &k);
    assert_int_equal(state_load(&img, &desc, 0, &k, &err), -1);
    assert_int_equal(err.status, EXIT_STATUS_USAGE);
    state_free(&img);
}

static void a_cut_image_changes_nothing(void **state)
{
    struct state_image img = two_chips();
    size_t whole = img.len;
    for (size_t len = 0; len < whole; len++) {
        u8 *copy = malloc(len + 1); /* its own block, so a sanitizer sees a read past the cut */
        memcpy(copy, img.data, len);
        struct state_image cut = {realloc(copy, len ? len : 1), len, len, false};
        struct chip k = {0}, zero = {0};
        assert_int_equal(state_load(&cut, &desc, 1, &k, NULL), -1);
        assert_memory_equal(&k, &zero, sizeof(k));
        state_free(&cut);
    }
    state_free(&img);
}

static void damaged_bytes_never_reach_past_the_object(void **state)
{
    struct state_image img = two_chips();
    srand(3);
    for (int round = 0; round < 20000; round++) {
        size_t at = (size_t)rand() % img.len;
        u8 was = img.data[at];
        img.data[at] = (u8)rand();
        struct {
            struct chip k;
            u64 guard;
        } g = {.guard = 0x1234567890abcdef};
        int r = state_load(&img, &desc, 1, &g.k, NULL);
        assert_true(r == 0 || r == -1);
        assert_true(g.guard == 0x1234567890abcdef);
        img.data[at] = was;
    }
    state_free(&img);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_saved_is_loaded),
        cmocka_unit_test(an_absent_record_is_an_error),
        cmocka_unit_test(fields_missing_keep_their_reset_value),
        cmocka_unit_test(fields_unknown_are_skipped),
        cmocka_unit_test(the_object_may_refuse),
        cmocka_unit_test(a_cut_image_changes_nothing),
        cmocka_unit_test(damaged_bytes_never_reach_past_the_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
