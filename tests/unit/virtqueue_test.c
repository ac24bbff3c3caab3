/* SPDX-License-Identifier: MIT */
/* Split virtqueues against correct and hostile drivers. */
#include "dev/virtio/virtqueue.h"

#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define RAM   0x100000ull
#define DESC  0x1000ull
#define AVAIL 0x2000ull
#define USED  0x3000ull
#define TABLE 0x4000ull /* indirect */
#define SIZE  8

struct bed {
    struct space *memory;
    struct virtqueue vq;
    struct vq_chain chain;
};

static int set_up(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));
    b->memory = space_new(BIT(40));
    struct err err = {0};
    assert_int_equal(space_add_ram(b->memory, 0, RAM, &err), 0);
    vq_init(&b->vq, b->memory, SIZE);
    b->vq.desc = DESC;
    b->vq.avail = AVAIL;
    b->vq.used_ring = USED;
    vq_enable(&b->vq);
    assert_false(b->vq.broken);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bed *b = *state;
    space_free(b->memory);
    free(b);
    return 0;
}

static void put(struct bed *b, u64 gpa, unsigned size, u64 v)
{
    space_write(b->memory, gpa, &v, size);
}

static u64 get(struct bed *b, u64 gpa, unsigned size)
{
    u64 v = 0;
    space_read(b->memory, gpa, &v, size);
    return v;
}

static void desc(struct bed *b, u64 table, unsigned i, u64 addr, u32 len, u16 flags, u16 next)
{
    struct vring_desc d = {addr, len, flags, next};
    space_write(b->memory, table + 16 * i, &d, sizeof(d));
}

/* Makes `head` the n-th available entry and shows n + 1. */
static void offer(struct bed *b, u16 n, u16 head)
{
    put(b, AVAIL + 4 + 2 * (n % SIZE), 2, head);
    put(b, AVAIL + 2, 2, (u16)(n + 1));
}

static int pop(struct bed *b)
{
    return vq_pop(&b->vq, &b->chain);
}

static void empty_queue_has_nothing(void **state)
{
    struct bed *b = *state;
    assert_int_equal(pop(b), 0);
    assert_true(vq_empty(&b->vq));
}

static void chain_is_gathered(void **state)
{
    struct bed *b = *state;
    desc(b, DESC, 2, 0x8000, 10, VRING_DESC_F_NEXT, 5);
    desc(b, DESC, 5, 0x9000, 20, VRING_DESC_F_NEXT, 1);
    desc(b, DESC, 1, 0xa000, 30, VRING_DESC_F_WRITE, 0);
    offer(b, 0, 2);
    assert_int_equal(pop(b), 1);
    assert_int_equal(b->chain.head, 2);
    assert_int_equal(b->chain.n_out, 2);
    assert_int_equal(b->chain.n_in, 1);
    assert_int_equal(b->chain.out_len, 30);
    assert_int_equal(b->chain.in_len, 30);
    assert_int_equal(pop(b), 0);
}

static void bytes_go_both_ways(void **state)
{
    struct bed *b = *state;
    desc(b, DESC, 0, 0x8000, 4, VRING_DESC_F_NEXT, 1);
    desc(b, DESC, 1, 0x9000, 4, VRING_DESC_F_NEXT, 2);
    desc(b, DESC, 2, 0xa000, 3, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 3);
    desc(b, DESC, 3, 0xb000, 5, VRING_DESC_F_WRITE, 0);
    space_write(b->memory, 0x8000, "abcd", 4);
    space_write(b->memory, 0x9000, "efgh", 4);
    offer(b, 0, 0);
    assert_int_equal(pop(b), 1);
    char out[16] = {0};
    assert_int_equal(vq_read(&b->vq, &b->chain, 2, out, sizeof(out)), 6);
    assert_string_equal(out, "cdefgh");
    assert_int_equal(vq_write(&b->vq, &b->chain, 1, "0123456789", 10), 7);
    assert_int_equal(get(b, 0xa000, 4), 0x00313000);
    char in[6] = {0};
    space_read(b->memory, 0xb000, in, 5);
    assert_string_equal(in, "23456");
    struct iovec iov[2];
    assert_int_equal(vq_iov(&b->vq, &b->chain, true, 0, 8, iov, 1), -1);
    assert_int_equal(vq_iov(&b->vq, &b->chain, true, 2, 4, iov, 2), 2);
    assert_int_equal(iov[0].iov_len, 1);
    assert_int_equal(iov[1].iov_len, 3);
}

static void indirect_table_is_followed(void **state)
{
    struct bed *b = *state;
    desc(b, TABLE, 0, 0x8000, 4, VRING_DESC_F_NEXT, 1);
    desc(b, TABLE, 1, 0x9000, 4, VRING_DESC_F_WRITE, 0);
    desc(b, DESC, 3, TABLE, 32, VRING_DESC_F_INDIRECT, 0);
    offer(b, 0, 3);
    assert_int_equal(pop(b), 1);
    assert_int_equal(b->chain.head, 3);
    assert_int_equal(b->chain.n_out, 1);
    assert_int_equal(b->chain.n_in, 1);
}

static void used_ring_is_filled(void **state)
{
    struct bed *b = *state;
    vq_push(&b->vq, 3, 77);
    assert_int_equal(get(b, USED + 2, 2), 1);
    assert_int_equal(get(b, USED + 4, 4), 3);
    assert_int_equal(get(b, USED + 8, 4), 77);
    vq_fill(&b->vq, 0, 1, 11);
    vq_fill(&b->vq, 1, 2, 22);
    assert_int_equal(get(b, USED + 2, 2), 1);
    vq_show(&b->vq, 2);
    assert_int_equal(get(b, USED + 2, 2), 3);
    assert_int_equal(get(b, USED + 4 + 16, 4), 2);
}

static void indices_wrap(void **state)
{
    struct bed *b = *state;
    desc(b, DESC, 0, 0x8000, 4, 0, 0);
    b->vq.last_avail = b->vq.used = 0xfffe;
    put(b, AVAIL + 2, 2, 0xfffe);
    for (unsigned i = 0; i < 4; i++) {
        offer(b, (u16)(0xfffe + i), 0);
        assert_int_equal(pop(b), 1);
        assert_int_equal(pop(b), 0);
        vq_push(&b->vq, 0, 0);
    }
    assert_int_equal(get(b, USED + 2, 2), 2);
}

static void unpop_gives_the_same_again(void **state)
{
    struct bed *b = *state;
    desc(b, DESC, 4, 0x8000, 4, 0, 0);
    offer(b, 0, 4);
    assert_int_equal(pop(b), 1);
    vq_unpop(&b->vq, 1);
    assert_int_equal(pop(b), 1);
    assert_int_equal(b->chain.head, 4);
}

static void interrupts_by_flag(void **state)
{
    struct bed *b = *state;
    vq_push(&b->vq, 0, 0);
    assert_true(vq_wants_interrupt(&b->vq));
    put(b, AVAIL, 2, VRING_AVAIL_F_NO_INTERRUPT);
    vq_push(&b->vq, 0, 0);
    assert_false(vq_wants_interrupt(&b->vq));
    vq_want_notify(&b->vq, false);
    assert_int_equal(get(b, USED, 2), VRING_USED_F_NO_NOTIFY);
    vq_want_notify(&b->vq, true);
    assert_int_equal(get(b, USED, 2), 0);
}

static void interrupts_by_event_index(void **state)
{
    struct bed *b = *state;
    u64 used_event = AVAIL + 4 + 2 * SIZE, avail_event = USED + 4 + 8 * SIZE;
    b->vq.event_idx = 1;
    put(b, used_event, 2, 2);
    vq_push(&b->vq, 0, 0);
    assert_true(vq_wants_interrupt(&b->vq)); /* the first time nothing is known */
    vq_push(&b->vq, 0, 0);
    assert_false(vq_wants_interrupt(&b->vq));
    vq_push(&b->vq, 0, 0);
    assert_true(vq_wants_interrupt(&b->vq)); /* used went past 2 */
    vq_push(&b->vq, 0, 0);
    assert_false(vq_wants_interrupt(&b->vq));
    b->vq.last_avail = 9;
    vq_want_notify(&b->vq, true);
    assert_int_equal(get(b, avail_event, 2), 9);
}

/* --- hostile rings: each breaks the queue, and it stays broken --- */

static void expect_broken(struct bed *b)
{
    assert_int_equal(pop(b), -1);
    assert_true(b->vq.broken);
    assert_int_equal(pop(b), -1);
    u64 before = get(b, USED + 2, 2);
    vq_push(&b->vq, 0, 0);
    assert_int_equal(get(b, USED + 2, 2), before);
    assert_false(vq_wants_interrupt(&b->vq));
}

static void loop_breaks(void **state)
{
    struct bed *b = *state;
    desc(b, DESC, 0, 0x8000, 4, VRING_DESC_F_NEXT, 1);
    desc(b, DESC, 1, 0x8000, 4, VRING_DESC_F_NEXT, 0);
    offer(b, 0, 0);
    expect_broken(b);
}

static void head_out_of_range_breaks(void **state)
{
    struct bed *b = *state;
    offer(b, 0, SIZE);
    expect_broken(b);
}

static void next_out_of_range_breaks(void **state)
{
    struct bed *b = *state;
    desc(b, DESC, 0, 0x8000, 4, VRING_DESC_F_NEXT, 0xffff);
    offer(b, 0, 0);
    expect_broken(b);
}

static void avail_jump_breaks(void **state)
{
    struct bed *b = *state;
    put(b, AVAIL + 2, 2, SIZE + 1);
    expect_broken(b);
}

static void buffer_outside_ram_breaks(void **state)
{
    struct bed *b = *state;
    desc(b, DESC, 0, RAM - 2, 4, 0, 0);
    offer(b, 0, 0);
    expect_broken(b);
}

static void huge_length_breaks(void **state)
{
    struct bed *b = *state;
    desc(b, DESC, 0, 0x8000, 0xffffffff, 0, 0);
    offer(b, 0, 0);
    expect_broken(b);
}

static void address_at_the_end_breaks(void **state)
{
    struct bed *b = *state;
    desc(b, DESC, 0, ~0ull - 1, 16, VRING_DESC_F_WRITE, 0);
    offer(b, 0, 0);
    expect_broken(b);
}

static void read_after_write_breaks(void **state)
{
    struct bed *b = *state;
    desc(b, DESC, 0, 0x8000, 4, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
    desc(b, DESC, 1, 0x8000, 4, 0, 0);
    offer(b, 0, 0);
    expect_broken(b);
}

static void indirect_in_indirect_breaks(void **state)
{
    struct bed *b = *state;
    desc(b, TABLE, 0, TABLE, 32, VRING_DESC_F_INDIRECT, 0);
    desc(b, DESC, 0, TABLE, 32, VRING_DESC_F_INDIRECT, 0);
    offer(b, 0, 0);
    expect_broken(b);
}

static void indirect_with_next_breaks(void **state)
{
    struct bed *b = *state;
    desc(b, TABLE, 0, 0x8000, 4, 0, 0);
    desc(b, DESC, 0, TABLE, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1);
    offer(b, 0, 0);
    expect_broken(b);
}

static void indirect_of_odd_length_breaks(void **state)
{
    struct bed *b = *state;
    desc(b, DESC, 0, TABLE, 17, VRING_DESC_F_INDIRECT, 0);
    offer(b, 0, 0);
    expect_broken(b);
}

static void empty_indirect_breaks(void **state)
{
    struct bed *b = *state;
    desc(b, DESC, 0, TABLE, 0, VRING_DESC_F_INDIRECT, 0);
    offer(b, 0, 0);
    expect_broken(b);
}

static void endless_indirect_breaks(void **state)
{
    struct bed *b = *state;
    for (unsigned i = 0; i < VQ_SEGS_MAX + 1; i++)
        desc(b, TABLE, i, 0x8000, 1, VRING_DESC_F_NEXT, (u16)(i + 1));
    desc(b, DESC, 0, TABLE, 0xffff0, VRING_DESC_F_INDIRECT, 0);
    offer(b, 0, 0);
    expect_broken(b);
}

static void ring_outside_ram_is_broken_at_once(void **state)
{
    struct bed *b = *state;
    vq_reset(&b->vq);
    b->vq.desc = RAM - 16;
    b->vq.avail = AVAIL;
    b->vq.used_ring = USED;
    vq_enable(&b->vq);
    assert_true(b->vq.broken);
}

static void bad_size_is_broken_at_once(void **state)
{
    struct bed *b = *state;
    const u16 sizes[] = {0, 3, SIZE * 2, 0xffff};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        vq_reset(&b->vq);
        b->vq.size = sizes[i];
        b->vq.desc = DESC;
        b->vq.avail = AVAIL;
        b->vq.used_ring = USED;
        vq_enable(&b->vq);
        assert_true(b->vq.broken);
    }
}

static void misaligned_ring_is_broken_at_once(void **state)
{
    struct bed *b = *state;
    vq_reset(&b->vq);
    b->vq.desc = DESC;
    b->vq.avail = AVAIL + 1;
    b->vq.used_ring = USED;
    vq_enable(&b->vq);
    assert_true(b->vq.broken);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(empty_queue_has_nothing),
        CASE(chain_is_gathered),
        CASE(bytes_go_both_ways),
        CASE(indirect_table_is_followed),
        CASE(used_ring_is_filled),
        CASE(indices_wrap),
        CASE(unpop_gives_the_same_again),
        CASE(interrupts_by_flag),
        CASE(interrupts_by_event_index),
        CASE(loop_breaks),
        CASE(head_out_of_range_breaks),
        CASE(next_out_of_range_breaks),
        CASE(avail_jump_breaks),
        CASE(buffer_outside_ram_breaks),
        CASE(huge_length_breaks),
        CASE(address_at_the_end_breaks),
        CASE(read_after_write_breaks),
        CASE(indirect_in_indirect_breaks),
        CASE(indirect_with_next_breaks),
        CASE(indirect_of_odd_length_breaks),
        CASE(empty_indirect_breaks),
        CASE(endless_indirect_breaks),
        CASE(ring_outside_ram_is_broken_at_once),
        CASE(bad_size_is_broken_at_once),
        CASE(misaligned_ring_is_broken_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
