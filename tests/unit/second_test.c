/* SPDX-License-Identifier: MIT */
/* What the second dimension's remembered translations promise: tags, rights, and nothing behind a flush. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cpu/nested/second.h"

static const struct second_tag one = {.root = 0x1000, .more = 1}, other = {.root = 0x1000, .more = 2};

static bool known(const struct second_cache *k, u64 gpa, unsigned need, u64 want, bool writable)
{
    struct second_found f;
    return second_find(k, gpa, need, &f) && f.at == want && !!(f.may & SECOND_WRITE) == writable &&
           f.shift == 21;
}

static bool unknown(const struct second_cache *k, u64 gpa)
{
    struct second_found f;
    return !second_find(k, gpa, SECOND_READ, &f);
}

static void fill(struct second_cache *k, u64 gpa, u64 to, unsigned may)
{
    struct second_found f = {.at = to, .may = (u8)may, .shift = 21};
    second_fill(k, gpa, &f);
}

static bool same_more(const struct second_tag *t, const void *arg)
{
    return t->more == *(const u64 *)arg;
}

static void test_rights(void **state)
{
    struct second_cache *k = second_new();
    struct second_found f;
    second_select(k, &one);
    assert_true(unknown(k, 0));
    fill(k, 0x5123, 0x9123, SECOND_READ | SECOND_FETCH);
    assert_true(known(k, 0x5008, SECOND_READ, 0x9008, false));
    assert_true(known(k, 0x5fff, SECOND_FETCH, 0x9fff, false));
    assert_false(second_find(k, 0x5008, SECOND_READ | SECOND_WRITE, &f));
    fill(k, 0x5000, 0x9000, SECOND_READ | SECOND_WRITE);
    assert_true(known(k, 0x5008, SECOND_READ | SECOND_WRITE, 0x9008, true));
    assert_false(second_find(k, 0x5008, SECOND_FETCH, &f));
    /* Another page of the same place. */
    assert_true(unknown(k, 0x5000 + ((u64)SECOND_SIZE << 12)));
    assert_true(unknown(k, BIT(40) | 0x5000));
    second_forget(k, 0x5fff);
    assert_true(unknown(k, 0x5000));
    assert_false(second_find(k, 0x5000, 0, &f));
    second_free(k);
}

static void test_tags(void **state)
{
    struct second_cache *k = second_new();
    second_select(k, &one);
    fill(k, 0x5000, 0x9000, SECOND_READ);
    second_select(k, &other);
    assert_true(unknown(k, 0x5000));
    fill(k, 0x5000, 0xa000, SECOND_READ);
    second_select(k, &one);
    assert_true(known(k, 0x5000, SECOND_READ, 0x9000, false));
    second_flush(k, same_more, &other.more);
    assert_true(known(k, 0x5000, SECOND_READ, 0x9000, false));
    second_select(k, &other);
    assert_true(unknown(k, 0x5000));
    /* More roots than there are sets: the oldest is given up, and its successor begins empty. */
    for (u64 i = 0; i < SECOND_ROOTS; i++) {
        struct second_tag t = {.root = 0x10000 + i * PAGE_SIZE};
        second_select(k, &t);
        assert_true(unknown(k, 0x5000));
        fill(k, 0x5000, 0xb000, SECOND_READ);
    }
    second_select(k, &one);
    assert_true(unknown(k, 0x5000));
    second_free(k);
}

/* The generation comes round after 4095 flushes: nothing of before may be found then. */
static void test_flushes(void **state)
{
    struct second_cache *k = second_new();
    second_select(k, &one);
    for (unsigned i = 0; i < 9000; i++) {
        if (i % 1000 == 0)
            fill(k, 0x5000, 0x9000, SECOND_READ);
        second_flush_all(k);
        assert_true(unknown(k, 0x5000));
    }
    second_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_flushes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
