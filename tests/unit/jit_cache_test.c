/* SPDX-License-Identifier: MIT */
/*
 * The code cache without code that runs: what is found, where jumps lead, and when memory is used again.
 * Blocks are made of guest pages; their host code is a jump for each exit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "cpu/cpu.h"
#include "jit/cache.h"

enum { RAM = 0x100000, JUMP = 32, LENGTH = 64, MODE = MODE_64 };

struct rig {
    struct space *memory;
    struct jit_cache *cache;
    struct cpu cpu[2];
    struct cache_user user[2];
};

static int setup(void **state)
{
    const struct jit_options options = {.chaos = 1};
    struct rig *r = calloc(1, sizeof(*r));
    r->memory = space_new(1ull << 32);
    assert_int_equal(space_add_ram(r->memory, 0, RAM, NULL), 0);
    r->cache = jit_cache_new(&options, NULL);
    assert_non_null(r->cache);
    for (unsigned i = 0; i < 2; i++)
        cache_join(r->cache, &r->user[i], &r->cpu[i]);
    cache_enter(r->cache, &r->user[0]);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    for (unsigned i = 0; i < 2; i++)
        cache_part(r->cache, &r->user[i]);
    jit_cache_free(r->cache);
    space_free(r->memory);
    free(r);
    return 0;
}

static const u8 *at(struct rig *r, u64 gpa)
{
    return space_ram(r->memory, gpa, NULL);
}

static struct jit_page_ref ref_of(struct rig *r, u64 gpa)
{
    space_watch_code(r->memory, gpa, 16);
    const struct page_info *page = space_page(r->memory, gpa);
    return (struct jit_page_ref){.page = page, .version = code_version_of(page)};
}

/* A block at gpa with jumps to `target` in its page; 0: without. more: another page it is made from, or 0. */
static struct jit_block *add(struct rig *r, u64 gpa, u64 target, u64 more)
{
    static struct translation t;
    struct jit_page_ref own = ref_of(r, gpa), other = {0};
    struct block b = {.host = at(r, gpa),
                      .page = (struct page_info *)own.page,
                      .version = own.version,
                      .mode = MODE,
                      .count = 1};
    struct cache_room room;
    if (more)
        other = ref_of(r, more);
    if (!cache_lock(r->cache))
        fail_msg("the lock is held");
    bool any = cache_room(r->cache, 1, 1, more ? 2 : 1, &room);
    struct jit_block *u = NULL;
    if (any) {
        memset(t.code, 0x90, LENGTH);
        t.len = LENGTH;
        t.near = 16;
        t.exits = target != 0;
        store_le(t.code + JUMP, 5, 0xe9);
        room.exit[-1] =
            (struct jit_exit){.host = at(r, (gpa & ~(PAGE_SIZE - 1)) + (target & (PAGE_SIZE - 1))),
                              .place = room.base + JUMP + 1,
                              .target = target & (PAGE_SIZE - 1)};
        u = cache_add(r->cache, &room, &b, &other, more != 0, &t);
    }
    cache_unlock(r->cache);
    return u;
}

static struct jit_exit *exit_of(struct jit_block *u)
{
    return (struct jit_exit *)u->ref - 1;
}

static struct jit_block *find(struct rig *r, u64 gpa)
{
    return cache_find(r->cache, MODE, at(r, gpa), code_version_of(space_page(r->memory, gpa)));
}

/* Where the jump at an offset of u's code leads. */
static u32 leads_to(struct rig *r, const struct jit_block *u, u32 offset)
{
    const u8 *jump = r->cache->pages.rx + u->far + offset;
    assert_int_equal(*jump, 0xe9);
    return u->far + offset + 5 + (u32)load_le(jump + 1, 4);
}

static void write_page(struct rig *r, u64 gpa)
{
    assert_int_equal(space_write(r->memory, gpa, "x", 1), 0);
    assert_true(cache_see_changes(r->cache, &r->user[0], r->memory));
}

static void found(void **state)
{
    struct rig *r = *state;
    struct jit_block *u = add(r, 0x1000, 0, 0);
    assert_ptr_equal(find(r, 0x1000), u);
    assert_ptr_equal(cache_place(r->cache, MODE, at(r, 0x1000)), r->cache->pages.rx + u->far);
    assert_null(find(r, 0x1010));
    assert_null(cache_find(r->cache, MODE | CODE_GUEST, u->host, u->version));
    assert_null(cache_place(r->cache, MODE | CODE_GUEST, u->host));
    assert_null(cache_place(r->cache, MODE, at(r, 0x1010)));
}

static void linked(void **state)
{
    struct rig *r = *state;
    struct jit_block *from = add(r, 0x1000, 0x1100, 0);
    u32 out = leads_to(r, from, JUMP);
    cache_link(r->cache, exit_of(from), NULL, 0); /* to nowhere yet */
    assert_int_equal(leads_to(r, from, JUMP), out);
    struct jit_block *to = add(r, 0x1100, 0, 0);
    cache_link(r->cache, exit_of(from), NULL, 0);
    cache_link(r->cache, exit_of(from), NULL, 0); /* another vCPU that met it unlinked */
    assert_int_equal(leads_to(r, from, JUMP), to->far + to->near);
}

/* A jump to another page leads to one place, whatever is there, and asks no more when it is to lead
 * elsewhere. */
static void linked_far(void **state)
{
    struct rig *r = *state;
    struct jit_block *from = add(r, 0x1000, 0x1100, 0), *to = add(r, 0x2000, 0, 0);
    struct jit_exit *x = exit_of(from);
    u32 out = leads_to(r, from, JUMP);
    x->far = true;
    x->host = NULL;
    cache_link(r->cache, x, NULL, 0);
    cache_link(r->cache, x, at(r, 0x3000), 0);
    assert_int_equal(leads_to(r, from, JUMP), out);
    assert_null(x->code);
    cache_link(r->cache, x, to->host, to->version);
    assert_int_equal(leads_to(r, from, JUMP), to->far + to->near);
    assert_ptr_equal(x->code, r->cache->pages.rx + to->far);
    to = add(r, 0x2000, 0, 0);
    assert_int_equal(leads_to(r, from, JUMP), to->far + to->near);
    assert_ptr_equal(x->code, r->cache->pages.rx + to->far);
    write_page(r, 0x2000);
    assert_int_equal(leads_to(r, from, JUMP), out);
    assert_null(x->code);
    to = add(r, 0x2000, 0, 0);
    struct jit_block *other = add(r, 0x3000, 0, 0);
    cache_link(r->cache, x, other->host, other->version);
    assert_int_equal(leads_to(r, from, JUMP), out);
    assert_non_null(x->code);
    assert_ptr_not_equal(x->code, r->cache->pages.rx + other->far);
    cache_link(r->cache, x, to->host, to->version);
    assert_int_equal(leads_to(r, from, JUMP), to->far + to->near);
}

static void replaced(void **state)
{
    struct rig *r = *state;
    struct jit_block *from = add(r, 0x1000, 0x1100, 0), *old = add(r, 0x1100, 0, 0);
    cache_link(r->cache, exit_of(from), NULL, 0);
    struct jit_block *new = add(r, 0x1100, 0, 0);
    assert_ptr_equal(find(r, 0x1100), new);
    assert_int_equal(leads_to(r, from, JUMP), new->far + new->near);
    assert_int_equal(leads_to(r, old, 0), r->cache->rt.lookup);
    assert_ptr_equal(cache_place(r->cache, MODE, new->host), r->cache->pages.rx + new->far);
    cache_note(r->cache, old); /* by someone who found it before */
    assert_ptr_equal(cache_place(r->cache, MODE, new->host), r->cache->pages.rx + new->far);
}

static void changed(void **state)
{
    struct rig *r = *state;
    struct jit_block *from = add(r, 0x1000, 0x1100, 0), *to = add(r, 0x1100, 0, 0),
                     *other = add(r, 0x2000, 0, 0);
    u32 version = from->version, out = leads_to(r, from, JUMP);
    cache_link(r->cache, exit_of(from), NULL, 0);
    write_page(r, 0x1000);
    assert_null(cache_find(r->cache, MODE, from->host, version));
    assert_null(cache_place(r->cache, MODE, from->host));
    assert_int_equal(leads_to(r, from, 0), r->cache->rt.lookup);
    assert_int_equal(leads_to(r, to, 0), r->cache->rt.lookup);
    assert_int_equal(leads_to(r, from, JUMP), out);
    cache_link(r->cache, exit_of(from), NULL, 0);
    assert_int_equal(leads_to(r, from, JUMP), out);
    assert_ptr_equal(find(r, 0x2000), other);
}

static void of_two_pages(void **state)
{
    struct rig *r = *state;
    struct jit_block *u = add(r, 0x1000, 0, 0x3000);
    write_page(r, 0x2000);
    assert_ptr_equal(find(r, 0x1000), u);
    write_page(r, 0x3000);
    assert_null(find(r, 0x1000));
    assert_int_equal(leads_to(r, u, 0), r->cache->rt.lookup);
}

static void outdated(void **state)
{
    struct rig *r = *state;
    struct jit_page_ref own = ref_of(r, 0x1000);
    struct block b = {
        .host = at(r, 0x1000), .page = (struct page_info *)own.page, .version = own.version, .mode = MODE};
    struct cache_room room;
    static struct translation t = {.len = LENGTH};
    write_page(r, 0x1000);
    assert_true(cache_lock(r->cache));
    assert_true(cache_room(r->cache, 1, 1, 1, &room));
    assert_null(cache_add(r->cache, &room, &b, NULL, 0, &t));
    cache_unlock(r->cache);
}

/* Blocks at most places of RAM, in and out of the cache. */
static struct jit_block *add_nth(struct rig *r, unsigned n)
{
    return add(r, (u64)n * 32 % RAM, ((u64)n * 32 + 32) % RAM, 0);
}

enum { MANY = 40000 };

static void count_emptied(void *opaque, unsigned part)
{
    ((unsigned *)opaque)[part]++;
}

static void evicted(void **state)
{
    struct rig *r = *state;
    for (unsigned n = 0; n < MANY; n++) {
        cache_enter(r->cache, &r->user[0]);
        assert_non_null(add_nth(r, n));
        struct jit_block *before = n ? find(r, (u64)(n - 1) * 32 % RAM) : NULL;
        if (before && before->exits)
            cache_link(r->cache, exit_of(before), NULL, 0);
    }
    assert_true(r->cache->evictions > 2 * CACHE_REGIONS);
    unsigned left = 0, lead_on = 0;
    for (u64 gpa = 0; gpa < RAM; gpa += 32) {
        struct jit_block *u = find(r, gpa);
        const void *place = cache_place(r->cache, MODE, at(r, gpa));
        assert_true(!place || (u && place == r->cache->pages.rx + u->far));
        left += u != NULL;
        bool leads = u && u->exits && exit_of(u)->to;
        lead_on += leads;
        if (leads)
            assert_int_equal(leads_to(r, u, JUMP), exit_of(u)->to->far + exit_of(u)->to->near);
        if (leads)
            assert_ptr_equal(exit_of(u)->to, find(r, (gpa & ~(PAGE_SIZE - 1)) + (gpa + 32) % PAGE_SIZE));
    }
    assert_in_range(left, 1000, MANY - 1000);
    assert_in_range(lead_on, 1000, left - 1); /* not the one before the oldest */
}

/* Nothing that a vCPU may be in is overwritten. It is asked to come by, and then there is room. */
static void kept(void **state)
{
    struct rig *r = *state;
    unsigned n = 0;
    cache_enter(r->cache, &r->user[1]);
    struct jit_block *first = add_nth(r, n++);
    const u32 at_first = first->far;
    while (add_nth(r, n) && n < MANY) {
        cache_enter(r->cache, &r->user[0]);
        n++;
    }
    assert_in_range(n, 1000, MANY - 1);
    assert_int_equal(first->far, at_first);
    assert_int_equal(leads_to(r, first, 0), r->cache->rt.lookup);
    assert_int_equal(r->cpu[1].poll, 1);
    assert_null(add_nth(r, n));
    assert_true(cache_enter(r->cache, &r->user[1]));
    assert_non_null(add_nth(r, n));
    cache_enter(r->cache, &r->user[1]);
    assert_false(cache_enter(r->cache, &r->user[1]));
}

/* Who watches hears of a region when it is to be filled again, not when it is evicted: somebody may be in it.
 */
static void watched(void **state)
{
    struct rig *r = *state;
    unsigned told[CACHE_REGIONS] = {0}, n = 0, all = 0;
    r->cache->options.watch = (struct jit_watch){.emptied = count_emptied, .opaque = told};
    while (!r->cache->evictions)
        assert_non_null(add_nth(r, n++));
    unsigned evicted = (r->cache->filling + 1) % CACHE_REGIONS;
    assert_int_equal(told[evicted], 0);
    while (r->cache->filling != evicted) {
        cache_enter(r->cache, &r->user[0]);
        assert_non_null(add_nth(r, n++));
    }
    for (unsigned i = 0; i < CACHE_REGIONS; i++)
        assert_int_equal(told[i], i == evicted);
    cache_forget(r->cache);
    for (unsigned i = 0; i < CACHE_REGIONS; i++)
        all += told[i];
    assert_int_equal(all, 1 + CACHE_REGIONS);
}

static void forgotten(void **state)
{
    struct rig *r = *state;
    for (unsigned n = 0; n < 1000; n++)
        add_nth(r, n);
    cache_forget(r->cache);
    for (unsigned n = 0; n < 1000; n++)
        assert_null(find(r, (u64)n * 32));
    assert_non_null(add_nth(r, 0));
}

static void hot(void **state)
{
    struct rig *r = *state;
    struct block b[CACHE_HEAT_WAYS];
    for (unsigned i = 0; i < ARRAY_SIZE(b); i++) /* of one place in the table */
        b[i] = (struct block){.host = at(r, 0x1000), .mode = MODE, .version = i};
    for (unsigned i = 0; i < ARRAY_SIZE(b); i++)
        assert_false(cache_hot(r->cache, &b[i]));
    for (unsigned i = 0; i < ARRAY_SIZE(b); i++) /* chaos: the second time */
        assert_true(cache_hot(r->cache, &b[i]));
}

int main(void)
{
#define UNIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        UNIT(found),    UNIT(linked),  UNIT(linked_far), UNIT(replaced),  UNIT(changed), UNIT(of_two_pages),
        UNIT(outdated), UNIT(evicted), UNIT(kept),       UNIT(forgotten), UNIT(hot),     UNIT(watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
