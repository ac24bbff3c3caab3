/* SPDX-License-Identifier: MIT */
/* virtio-mem, driven as a guest's driver does: blocks come and go, wrong requests, the freeze, saved state;
 * and the memory space's banks of blocks below it. */
#include "dev/virtio/virtio_mem.h"
#include "virtio_rig.h"

#include <linux/virtio_mem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>

#include <cmocka.h>

#define CONFIG    0x2000
#define REQUESTED (CONFIG + offsetof(struct virtio_mem_config, requested_size))
#define PLUGGED   (CONFIG + offsetof(struct virtio_mem_config, plugged_size))
#define B         VIRTIO_MEM_BLOCK
#define BASE      GIB
#define SIZE      (80 * B) /* more than a word of bits */
#define FEATURES  BIT(VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE)
#define ANSWER    (RIG_DATA + 0x1000)

struct bed {
    struct rig rig;
    bool frozen, full;
    unsigned dropped; /* blocks of drop_all() calls */
};

static bool frozen(void *opaque)
{
    return ((struct bed *)opaque)->frozen;
}

static int plug(void *opaque, u64 gpa, u64 size, bool on)
{
    struct bed *b = opaque;
    if (on && b->full)
        return -1;
    (on ? space_plug : space_unplug)(b->rig.env.memory, gpa, size);
    return 0;
}

static void drop_writes(void *opaque, u64 gpa, u64 len) {}

static void drop_all(void *opaque, u64 gpa, u64 len)
{
    ((struct bed *)opaque)->dropped += (unsigned)(len / B);
}

static int set_up(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));
    const struct memory_port port = {frozen, plug, b};
    const struct space_listener listener = {drop_writes, drop_all, b};
    rig_open(&b->rig, CLOCK_MODE_ICOUNT);
    assert_int_equal(space_add_pluggable(b->rig.env.memory, BASE, SIZE, B, &b->rig.err), 0);
    space_listen(b->rig.env.memory, &listener);
    b->rig.dev = virtio_mem_new(&b->rig.env, b->rig.bus, RIG_SLOT, BASE, SIZE, &port, &b->rig.err);
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

static void start(struct bed *b, u64 requested)
{
    assert_int_equal(rig_start(&b->rig, FEATURES, 1, true), 15);
    virtio_mem_request(b->rig.dev, requested);
}

static u64 config(struct bed *b, u64 at)
{
    return rig_reg(&b->rig, at, 4) | rig_reg(&b->rig, at + 4, 4) << 32;
}

/* The answer's type, and of STATE the state in the next 16 bits. */
static u32 ask_raw(struct bed *b, const void *q, u32 len)
{
    u32 id, written;
    space_write(b->rig.env.memory, RIG_DATA, q, len);
    rig_put_desc(&b->rig, 0, 1, RIG_DATA, len, VRING_DESC_F_NEXT, 2);
    rig_put_desc(&b->rig, 0, 2, ANSWER, sizeof(struct virtio_mem_resp), VRING_DESC_F_WRITE, 0);
    rig_offer(&b->rig, 0, 1);
    rig_kick(&b->rig, 0);
    assert_true(rig_take(&b->rig, 0, &id, &written));
    assert_int_equal(written, sizeof(struct virtio_mem_resp));
    return (u32)(rig_peek(&b->rig, ANSWER, 2) |
                 rig_peek(&b->rig, ANSWER + offsetof(struct virtio_mem_resp, u), 2) << 16);
}

static u32 ask(struct bed *b, u16 type, u64 gpa, u16 blocks)
{
    struct virtio_mem_req q = {.type = type};
    q.u.plug.addr = gpa;
    q.u.plug.nb_blocks = blocks;
    return ask_raw(b, &q, sizeof(q));
}

#define PLUG(gpa, n)   ask(b, VIRTIO_MEM_REQ_PLUG, gpa, n)
#define UNPLUG(gpa, n) ask(b, VIRTIO_MEM_REQ_UNPLUG, gpa, n)
#define STATE(gpa, n)  (ask(b, VIRTIO_MEM_REQ_STATE, gpa, n) >> 16)

static void offers_what_it_does(void **state)
{
    struct bed *b = *state;
    struct memory_range_info i;
    assert_int_equal(rig_config(&b->rig, RIG_SLOT << 3, 0, 4), 0x10581af4);
    start(b, 10 * B + 5);
    assert_int_equal(config(b, CONFIG), B);
    assert_int_equal(config(b, CONFIG + offsetof(struct virtio_mem_config, addr)), BASE);
    assert_int_equal(config(b, CONFIG + offsetof(struct virtio_mem_config, region_size)), SIZE);
    assert_int_equal(config(b, CONFIG + offsetof(struct virtio_mem_config, usable_region_size)), SIZE);
    assert_int_equal(config(b, REQUESTED), 10 * B);
    virtio_mem_info(b->rig.dev, &i);
    assert_true(i.driver);
    assert_int_equal(i.requested, 10 * B);
    virtio_mem_request(b->rig.dev, ~0ull);
    assert_int_equal(config(b, REQUESTED), SIZE);
    unsigned before = b->rig.msi_count;
    virtio_mem_request(b->rig.dev, 3 * B);
    virtio_mem_request(b->rig.dev, 3 * B + 1);
    assert_int_equal(b->rig.msi_count, before + 1);
}

static void blocks_come_and_go(void **state)
{
    struct bed *b = *state;
    struct space *s = b->rig.env.memory;
    u64 room, v;
    start(b, SIZE);
    assert_null(space_ram(s, BASE, NULL));
    assert_false(space_io_read(s, BASE, 8, &v));
    assert_int_equal(v, ~0ull);
    assert_int_equal(STATE(BASE, 80), VIRTIO_MEM_STATE_UNPLUGGED);
    assert_int_equal(PLUG(BASE + 60 * B, 10), VIRTIO_MEM_RESP_ACK);
    assert_int_equal(config(b, PLUGGED), 10 * B);
    assert_int_equal(STATE(BASE + 60 * B, 10), VIRTIO_MEM_STATE_PLUGGED);
    assert_int_equal(STATE(BASE + 59 * B, 2), VIRTIO_MEM_STATE_MIXED);
    assert_non_null(space_ram(s, BASE + 60 * B + 5, &room));
    assert_int_equal(room, 10 * B - 5);
    assert_null(space_ram(s, BASE + 70 * B, NULL));
    rig_poke(&b->rig, BASE + 65 * B, 8, 0x1234);
    assert_int_equal(rig_peek(&b->rig, BASE + 65 * B, 8), 0x1234);
    space_watch_code(s, BASE + 65 * B, 16);
    u32 version = space_page(s, BASE + 65 * B)->code_version;
    assert_int_equal(UNPLUG(BASE + 65 * B, 1), VIRTIO_MEM_RESP_ACK);
    assert_int_equal(b->dropped, 1);
    assert_int_not_equal(space_page(s, BASE + 65 * B)->code_version, version);
    assert_int_equal(space_plugged(s, 0, BASE + SIZE), RIG_RAM + 9 * B);
    assert_null(space_ram(s, BASE + 65 * B, NULL));
    assert_int_equal(PLUG(BASE + 65 * B, 1), VIRTIO_MEM_RESP_ACK);
    assert_int_equal(rig_peek(&b->rig, BASE + 65 * B, 8), 0);
    assert_int_equal(ask(b, VIRTIO_MEM_REQ_UNPLUG_ALL, 0, 0), VIRTIO_MEM_RESP_ACK);
    assert_int_equal(config(b, PLUGGED), 0);
    assert_int_equal(space_plugged(s, BASE, SIZE), 0);
}

static void wrong_requests_change_nothing(void **state)
{
    struct bed *b = *state;
    start(b, 8 * B);
    assert_int_equal(PLUG(BASE, 4), VIRTIO_MEM_RESP_ACK);
    const struct {
        u64 gpa;
        u16 blocks;
    } wild[] = {{BASE + 1, 1},      {BASE + B / 2, 1},    {BASE - B, 2},
                {BASE + SIZE, 1},   {BASE + SIZE - B, 2}, {BASE + 10 * B, 0xffff},
                {~0ull - B + 1, 1}, {BASE + 10 * B, 0},   {0, 1}};
    for (unsigned i = 0; i < ARRAY_SIZE(wild); i++)
        for (u16 type = VIRTIO_MEM_REQ_PLUG; type <= VIRTIO_MEM_REQ_STATE; type++)
            if (type != VIRTIO_MEM_REQ_UNPLUG_ALL)
                assert_int_equal(ask(b, type, wild[i].gpa, wild[i].blocks), VIRTIO_MEM_RESP_ERROR);
    assert_int_equal(PLUG(BASE + 3 * B, 2), VIRTIO_MEM_RESP_ERROR); /* one is there */
    assert_int_equal(UNPLUG(BASE + 3 * B, 2), VIRTIO_MEM_RESP_ERROR);
    assert_int_equal(PLUG(BASE + 4 * B, 5), VIRTIO_MEM_RESP_NACK); /* more than is wished */
    assert_int_equal(ask(b, 77, BASE, 1), VIRTIO_MEM_RESP_ERROR);
    assert_int_equal(ask_raw(b, "xxxxxxx", 7), VIRTIO_MEM_RESP_ERROR);
    b->full = true;
    assert_int_equal(PLUG(BASE + 4 * B, 1), VIRTIO_MEM_RESP_BUSY); /* the host cannot */
    assert_int_equal(config(b, PLUGGED), 4 * B);
    assert_int_equal(space_plugged(b->rig.env.memory, BASE, SIZE), 4 * B);
    assert_int_equal(rig_status(&b->rig), 15);
}

static void frozen_memory_stays(void **state)
{
    struct bed *b = *state;
    start(b, 8 * B);
    assert_int_equal(PLUG(BASE, 4), VIRTIO_MEM_RESP_ACK);
    b->frozen = true;
    virtio_mem_review(b->rig.dev);
    assert_int_equal(config(b, REQUESTED), 4 * B); /* it has what it should have */
    virtio_mem_request(b->rig.dev, 2 * B);
    assert_int_equal(config(b, REQUESTED), 4 * B);
    assert_int_equal(PLUG(BASE + 4 * B, 1), VIRTIO_MEM_RESP_BUSY);
    assert_int_equal(UNPLUG(BASE, 1), VIRTIO_MEM_RESP_BUSY);
    assert_int_equal(ask(b, VIRTIO_MEM_REQ_UNPLUG_ALL, 0, 0), VIRTIO_MEM_RESP_BUSY);
    assert_int_equal(STATE(BASE, 4), VIRTIO_MEM_STATE_PLUGGED);
    b->frozen = false;
    virtio_mem_review(b->rig.dev);
    assert_int_equal(config(b, REQUESTED), 2 * B);
    assert_int_equal(UNPLUG(BASE, 1), VIRTIO_MEM_RESP_ACK);
}

static void resets(void **state)
{
    struct bed *b = *state;
    start(b, 8 * B);
    assert_int_equal(PLUG(BASE, 4), VIRTIO_MEM_RESP_ACK);
    rig_reg_write(&b->rig, VIRTIO_PCI_COMMON_STATUS, 1, 0); /* the driver's */
    assert_int_equal(space_plugged(b->rig.env.memory, BASE, SIZE), 4 * B);
    assert_int_equal(config(b, PLUGGED), 4 * B);
    b->frozen = true; /* no matter: the hypervisor is gone as well */
    b->rig.dev->class->reset(b->rig.dev);
    assert_int_equal(space_plugged(b->rig.env.memory, BASE, SIZE), 0);
}

static void state_survives(void **state)
{
    struct bed *b = *state;
    struct dev *d = b->rig.dev;
    struct state_image img = {0};
    start(b, 8 * B);
    assert_int_equal(PLUG(BASE, 4), VIRTIO_MEM_RESP_ACK);
    state_save(&img, d->class->state, d->instance, d);
    d->class->reset(d);
    virtio_mem_request(d, 0);
    space_plug(b->rig.env.memory, BASE + 7 * B, 3 * B); /* RAM comes first */
    assert_int_equal(state_load(&img, d->class->state, d->instance, d, &b->rig.err), 0);
    assert_int_equal(config(b, REQUESTED), 8 * B);
    assert_int_equal(config(b, PLUGGED), 3 * B);
    state_free(&img);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(offers_what_it_does),
        CASE(blocks_come_and_go),
        CASE(wrong_requests_change_nothing),
        CASE(frozen_memory_stays),
        CASE(resets),
        CASE(state_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
