/* SPDX-License-Identifier: MIT */
/* virtio-balloon, driven as a guest's driver does: pages given and taken, reports, statistics, the freeze. */
#include "dev/virtio/virtio_balloon.h"
#include "virtio_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { INFLATE, DEFLATE, STATS, REPORTS, QUEUES };

#define CONFIG    0x2000
#define NUM_PAGES CONFIG
#define ACTUAL    (CONFIG + 4)
#define LIST      RIG_DATA
#define PAGES     0x200000ull /* what is given away */
#define FEATURES                                                                                             \
    (BIT(VIRTIO_BALLOON_F_STATS_VQ) | BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) | BIT(VIRTIO_BALLOON_F_REPORTING))
#define SECOND 1000000000ull

struct bed {
    struct rig rig;
    bool frozen;
    unsigned dropped; /* pages of drop_all() calls */
    unsigned calls;
};

static bool frozen(void *opaque)
{
    return ((struct bed *)opaque)->frozen;
}

static void drop_writes(void *opaque, u64 gpa, u64 len) {}

static void drop_all(void *opaque, u64 gpa, u64 len)
{
    struct bed *b = opaque;
    b->dropped += (unsigned)(len >> PAGE_SHIFT);
    b->calls++;
}

static int set_up(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));
    const struct balloon_port port = {frozen, b};
    const struct space_listener listener = {drop_writes, drop_all, b};
    rig_open(&b->rig, CLOCK_MODE_ICOUNT);
    space_listen(b->rig.env.memory, &listener);
    b->rig.dev = virtio_balloon_new(&b->rig.env, b->rig.bus, RIG_SLOT, &port, &b->rig.err);
    assert_non_null(b->rig.dev);
    rig_assign(&b->rig);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bed *b = *state;
    rig_close(&b->rig);
    free(b);
    return 0;
}

static void start(struct bed *b)
{
    assert_int_equal(rig_start(&b->rig, FEATURES, QUEUES, true), 15);
}

static struct balloon_info info(struct bed *b)
{
    struct balloon_info i;
    virtio_balloon_info(b->rig.dev, &i);
    return i;
}

/* One request of one buffer on queue q; it comes back at once, with nothing written. */
static void send(struct bed *b, unsigned q, u64 gpa, u32 len, bool in)
{
    u32 id, written;
    rig_put_desc(&b->rig, q, 1, gpa, len, in ? VRING_DESC_F_WRITE : 0, 0);
    rig_offer(&b->rig, q, 1);
    rig_kick(&b->rig, q);
    assert_true(rig_take(&b->rig, q, &id, &written));
    assert_int_equal(id, 1);
    assert_int_equal(written, 0);
}

static void give(struct bed *b, unsigned q, const u32 *pfn, unsigned n)
{
    space_write(b->rig.env.memory, LIST, pfn, n * sizeof(*pfn));
    send(b, q, LIST, n * sizeof(*pfn), false);
}

static void fill(struct bed *b, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++)
        rig_poke(&b->rig, PAGES + i * PAGE_SIZE + 8, 8, 0x1111 + i);
}

static bool resident(struct bed *b, u64 gpa)
{
    unsigned char in_core = 0;
    assert_int_equal(mincore(space_ram(b->rig.env.memory, gpa, NULL), PAGE_SIZE, &in_core), 0);
    return in_core & 1;
}

static void offers_what_it_does(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    assert_int_equal(rig_config(r, RIG_SLOT << 3, 0, 4), 0x10451af4);
    rig_reg_write(r, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
    assert_int_equal(rig_reg(r, VIRTIO_PCI_COMMON_DF, 4) & 0x3f, FEATURES);
    assert_int_equal(rig_reg(r, VIRTIO_PCI_COMMON_NUMQ, 2), QUEUES);
    assert_false(info(b).driver);
    start(b);
    assert_true(info(b).driver);
}

static void target_reaches_the_driver(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    start(b);
    unsigned before = r->msi_count;
    virtio_balloon_set_target(r->dev, 5 * PAGE_SIZE + 1);
    assert_int_equal(r->msi_count, before + 1);
    assert_int_equal(r->msi_last, 0); /* the configuration vector */
    assert_int_equal(rig_reg(r, NUM_PAGES, 4), 5);
    virtio_balloon_set_target(r->dev, 5 * PAGE_SIZE);
    assert_int_equal(r->msi_count, before + 1);
    rig_reg_write(r, ACTUAL, 4, 3);
    rig_reg_write(r, NUM_PAGES, 4, 77); /* not the driver's */
    assert_int_equal(rig_reg(r, NUM_PAGES, 4), 5);
    assert_int_equal(info(b).actual, 3 * PAGE_SIZE);
    assert_int_equal(info(b).target, 5 * PAGE_SIZE);
    rig_reg_write(r, VIRTIO_PCI_COMMON_STATUS, 1, 0); /* the next driver has all memory, the wish stays */
    assert_int_equal(info(b).actual, 0);
    assert_int_equal(rig_reg(r, NUM_PAGES, 4), 5);
    virtio_balloon_set_target(r->dev, ~0ull);
    assert_int_equal(rig_reg(r, NUM_PAGES, 4), 0xffffffff);
}

static void pages_given_are_discarded(void **state)
{
    struct bed *b = *state;
    u32 page = PAGES >> PAGE_SHIFT;
    const u32 list[] = {page + 2, page, page + 1, page + 6, page + 2};
    start(b);
    fill(b, 8);
    space_watch_code(b->rig.env.memory, PAGES, 16);
    u32 version = space_page(b->rig.env.memory, PAGES)->code_version;
    give(b, INFLATE, list, 5);
    assert_int_equal(b->calls, 2); /* neighbours go together */
    assert_int_equal(b->dropped, 4);
    assert_int_not_equal(space_page(b->rig.env.memory, PAGES)->code_version, version);
    for (unsigned i = 0; i < 8; i++) {
        bool gone = i < 3 || i == 6;
        assert_int_equal(resident(b, PAGES + i * PAGE_SIZE), !gone);
        assert_int_equal(rig_peek(&b->rig, PAGES + i * PAGE_SIZE + 8, 8), gone ? 0 : 0x1111 + i);
    }
    give(b, DEFLATE, list, 5);
    fill(b, 1);
    assert_int_equal(rig_peek(&b->rig, PAGES + 8, 8), 0x1111);
}

static void wild_page_numbers_do_nothing(void **state)
{
    struct bed *b = *state;
    u32 page = PAGES >> PAGE_SHIFT;
    const u32 list[] = {0xffffffff, RIG_RAM >> PAGE_SHIFT, 0xc0000, page};
    start(b);
    fill(b, 2);
    give(b, INFLATE, list, 3);
    assert_int_equal(b->dropped, 0);
    space_write(b->rig.env.memory, LIST, list + 3, 4);
    send(b, INFLATE, LIST, 3, false); /* no whole number */
    assert_int_equal(b->dropped, 0);
    send(b, INFLATE, LIST, 7, false); /* one */
    assert_int_equal(b->dropped, 1);
    send(b, INFLATE, PAGES, 4, true); /* to be written: no list */
    assert_int_equal(b->dropped, 1);
    assert_int_equal(rig_status(&b->rig), 15);
}

static void a_long_list_is_bounded(void **state)
{
    struct bed *b = *state;
    start(b);
    for (u64 at = LIST; at < LIST + 0x10000; at += 4)
        rig_poke(&b->rig, at, 4, PAGES >> PAGE_SHIFT);
    send(b, INFLATE, LIST, 0x10000, false);
    assert_int_equal(b->calls, 4096 / 256);
}

static void reports_are_discarded_by_whole_pages(void **state)
{
    struct bed *b = *state;
    start(b);
    fill(b, 4);
    send(b, REPORTS, PAGES + 16, 3 * PAGE_SIZE, true);
    assert_int_equal(info(b).reported, 2 * PAGE_SIZE);
    assert_true(resident(b, PAGES));
    assert_false(resident(b, PAGES + PAGE_SIZE));
    assert_false(resident(b, PAGES + 2 * PAGE_SIZE));
    assert_true(resident(b, PAGES + 3 * PAGE_SIZE));
    send(b, REPORTS, PAGES + 16, 64, true);
    assert_int_equal(info(b).reported, 2 * PAGE_SIZE);
}

static void frozen_memory_stays(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    start(b);
    fill(b, 2);
    virtio_balloon_set_target(r->dev, 9 * PAGE_SIZE);
    rig_reg_write(r, ACTUAL, 4, 4);
    b->frozen = true;
    send(b, REPORTS, PAGES, 2 * PAGE_SIZE, true);
    assert_int_equal(info(b).reported, 0);
    assert_int_equal(rig_peek(r, PAGES + 8, 8), 0x1111);
    virtio_balloon_review(r->dev);
    assert_int_equal(rig_reg(r, NUM_PAGES, 4), 4); /* it is where it should be */
    virtio_balloon_set_target(r->dev, 12 * PAGE_SIZE);
    assert_int_equal(rig_reg(r, NUM_PAGES, 4), 4);
    b->frozen = false;
    virtio_balloon_review(r->dev);
    assert_int_equal(rig_reg(r, NUM_PAGES, 4), 12);
    send(b, REPORTS, PAGES, 2 * PAGE_SIZE, true);
    assert_int_equal(info(b).reported, 2 * PAGE_SIZE);
}

/* --- statistics --- */

static void put_stat(struct bed *b, unsigned i, u16 tag, u64 value)
{
    struct virtio_balloon_stat s = {tag, value};
    space_write(b->rig.env.memory, LIST + i * sizeof(s), &s, sizeof(s));
}

static void offer_stats(struct bed *b, unsigned n)
{
    rig_put_desc(&b->rig, STATS, 0, LIST, n * (u32)sizeof(struct virtio_balloon_stat), 0, 0);
    rig_offer(&b->rig, STATS, 0);
    rig_kick(&b->rig, STATS);
}

static void pass(struct bed *b, u64 ns)
{
    clock_advance(b->rig.env.clock, ns);
    clock_run_due(b->rig.env.clock);
}

static void statistics_are_polled(void **state)
{
    struct bed *b = *state;
    u32 id, len;
    start(b);
    put_stat(b, 0, VIRTIO_BALLOON_S_AVAIL, 1000);
    put_stat(b, 1, 999, 7); /* unknown: ignored */
    put_stat(b, 2, VIRTIO_BALLOON_S_MEMTOT, ~0ull - 1);
    offer_stats(b, 3);
    assert_false(rig_take(&b->rig, STATS, &id, &len)); /* kept */
    struct balloon_info i = info(b);
    assert_true(i.has_stats);
    assert_int_equal(i.stat[VIRTIO_BALLOON_S_AVAIL], 1000);
    assert_int_equal(i.stat[VIRTIO_BALLOON_S_MEMTOT], ~0ull - 1);
    assert_int_equal(i.stat[VIRTIO_BALLOON_S_MEMFREE], BALLOON_UNKNOWN);
    pass(b, 2 * SECOND);
    assert_false(rig_take(&b->rig, STATS, &id, &len)); /* nobody asked for more */
    virtio_balloon_poll(b->rig.dev, SECOND);
    for (unsigned round = 1; round < 4; round++) {
        unsigned before = b->rig.msi_count;
        pass(b, SECOND / 2);
        assert_false(rig_take(&b->rig, STATS, &id, &len));
        pass(b, SECOND / 2);
        assert_true(rig_take(&b->rig, STATS, &id, &len));
        assert_int_equal(b->rig.msi_count, before + 1);
        put_stat(b, 0, VIRTIO_BALLOON_S_AVAIL, 1000 * round);
        offer_stats(b, 1);
        assert_int_equal(info(b).stat[VIRTIO_BALLOON_S_AVAIL], 1000 * round);
        assert_int_equal(info(b).stats_at, (2 + round) * SECOND);
    }
    virtio_balloon_poll(b->rig.dev, 0);
    pass(b, 2 * SECOND);
    assert_false(rig_take(&b->rig, STATS, &id, &len));
}

static void more_than_one_buffer_is_no_leak(void **state)
{
    struct bed *b = *state;
    u32 id, len;
    start(b);
    put_stat(b, 0, VIRTIO_BALLOON_S_AVAIL, 5);
    rig_put_desc(&b->rig, STATS, 3, LIST, 10, 0, 0);
    rig_offer(&b->rig, STATS, 3);
    offer_stats(b, 1);
    assert_true(rig_take(&b->rig, STATS, &id, &len));
    assert_int_equal(id, 3);
    assert_false(rig_take(&b->rig, STATS, &id, &len));
}

static void without_statistics_reports_move_down(void **state)
{
    struct bed *b = *state;
    assert_int_equal(rig_start(&b->rig, BIT(VIRTIO_BALLOON_F_REPORTING), QUEUES, true), 15);
    fill(b, 1);
    send(b, STATS, PAGES, PAGE_SIZE, true);
    assert_int_equal(info(b).reported, PAGE_SIZE);
    assert_false(info(b).has_stats);
}

static void state_survives(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    struct state_image img = {0};
    u32 id, len;
    start(b);
    virtio_balloon_set_target(r->dev, 6 * PAGE_SIZE);
    rig_reg_write(r, ACTUAL, 4, 2);
    put_stat(b, 0, VIRTIO_BALLOON_S_AVAIL, 5);
    offer_stats(b, 1);
    state_save(&img, r->dev->class->state, r->dev->instance, r->dev);
    r->dev->class->reset(r->dev);
    virtio_balloon_set_target(r->dev, 0);
    assert_int_equal(state_load(&img, r->dev->class->state, r->dev->instance, r->dev, &r->err), 0);
    assert_int_equal(info(b).target, 6 * PAGE_SIZE);
    assert_int_equal(info(b).actual, 2 * PAGE_SIZE);
    assert_int_equal(rig_reg(r, NUM_PAGES, 4), 6);
    virtio_balloon_poll(r->dev, SECOND);
    pass(b, SECOND);
    assert_true(rig_take(r, STATS, &id, &len));
    assert_int_equal(id, 0);
    state_free(&img);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(offers_what_it_does),
        CASE(target_reaches_the_driver),
        CASE(pages_given_are_discarded),
        CASE(wild_page_numbers_do_nothing),
        CASE(a_long_list_is_bounded),
        CASE(reports_are_discarded_by_whole_pages),
        CASE(frozen_memory_stays),
        CASE(statistics_are_polled),
        CASE(more_than_one_buffer_is_no_leak),
        CASE(without_statistics_reports_move_down),
        CASE(state_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
