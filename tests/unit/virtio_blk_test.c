/* SPDX-License-Identifier: MIT */
/* virtio-blk, driven as a guest's driver does, with the worker thread and without; and the PCI transport with
 * it. */
#include "dev/virtio/virtio_blk.h"
#include "virtio_rig.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define DISK   (1 * MIB)
#define HEADER RIG_DATA
#define STATUS (RIG_DATA + 0x100)
#define BUFFER (RIG_DATA + 0x1000)
#define DEVFN  (RIG_SLOT << 3)

/* A disk in memory that counts, and whose requests can be held up. */
struct disk {
    struct block block;
    u8 data[DISK];
    unsigned flushes, discards, closes;
    pthread_mutex_t gate; /* held: requests wait */
};

static int disk_io(struct block *b, const struct iovec *iov, int n, u64 offset, bool write)
{
    struct disk *d = (struct disk *)b;
    i64 len = block_check(b, iov, n, offset);
    if (len < 0)
        return (int)len;
    pthread_mutex_lock(&d->gate);
    for (int i = 0; i < n; offset += iov[i++].iov_len) {
        if (write)
            memcpy(d->data + offset, iov[i].iov_base, iov[i].iov_len);
        else
            memcpy(iov[i].iov_base, d->data + offset, iov[i].iov_len);
    }
    pthread_mutex_unlock(&d->gate);
    return 0;
}

static int disk_readv(struct block *b, const struct iovec *iov, int n, u64 offset)
{
    return disk_io(b, iov, n, offset, false);
}

static int disk_writev(struct block *b, const struct iovec *iov, int n, u64 offset)
{
    return disk_io(b, iov, n, offset, true);
}

static int disk_flush(struct block *b)
{
    ((struct disk *)b)->flushes++;
    return 0;
}

static int disk_discard(struct block *b, u64 offset, u64 len)
{
    if (offset > b->size || len > b->size - offset)
        return -EINVAL;
    memset(((struct disk *)b)->data + offset, 0, len);
    ((struct disk *)b)->discards++;
    return 0;
}

static void disk_close(struct block *b)
{
    ((struct disk *)b)->closes++;
}

static const struct block_ops disk_ops = {disk_readv, disk_writev, disk_flush, disk_discard, disk_close};

struct bed {
    struct rig rig;
    struct disk disk;
};

static struct bed *bed_new(enum clock_mode mode, bool readonly)
{
    struct bed *b = calloc(1, sizeof(*b));
    rig_open(&b->rig, mode);
    b->disk.block = (struct block){.ops = &disk_ops, .size = DISK, .readonly = readonly};
    pthread_mutex_init(&b->disk.gate, NULL);
    for (unsigned i = 0; i < DISK; i++)
        b->disk.data[i] = (u8)(i / 512 + i);
    b->rig.dev = virtio_blk_new(&b->rig.env, b->rig.bus, RIG_SLOT, &b->disk.block, "serial-7", &b->rig.err);
    assert_non_null(b->rig.dev);
    rig_assign(&b->rig);
    return b;
}

static int set_up(void **state) /* no thread: every kick is done when it returns */
{
    *state = bed_new(CLOCK_MODE_ICOUNT, false);
    return 0;
}

static int set_up_readonly(void **state)
{
    *state = bed_new(CLOCK_MODE_ICOUNT, true);
    return 0;
}

static int set_up_threaded(void **state)
{
    *state = bed_new(CLOCK_MODE_REAL, false);
    return 0;
}

static int tear_down(void **state)
{
    struct bed *b = *state;
    rig_close(&b->rig);
    int ok = b->disk.closes == 1 ? 0 : -1;
    pthread_mutex_destroy(&b->disk.gate);
    free(b);
    return ok;
}

/* Puts request n (descriptors 3n..3n+2) into the ring. */
static void submit(struct bed *b, unsigned n, u32 type, u64 sector, u64 data, u32 len, bool in)
{
    struct rig *r = &b->rig;
    struct virtio_blk_outhdr h = {.type = type, .sector = sector};
    u64 header = HEADER + 16 * n;
    space_write(r->env.memory, header, &h, sizeof(h));
    rig_poke(r, STATUS + n, 1, 0xee);
    rig_put_desc(r, 0, 3 * n, header, 16, VRING_DESC_F_NEXT, (u16)(len ? 3 * n + 1 : 3 * n + 2));
    rig_put_desc(r, 0, 3 * n + 1, data, len, VRING_DESC_F_NEXT | (in ? VRING_DESC_F_WRITE : 0),
                 (u16)(3 * n + 2));
    rig_put_desc(r, 0, 3 * n + 2, STATUS + n, 1, VRING_DESC_F_WRITE, 0);
    rig_offer(r, 0, (u16)(3 * n));
}

static u8 request(struct bed *b, u32 type, u64 sector, u32 len, bool in, u32 want_written)
{
    u32 id, written;
    submit(b, 0, type, sector, BUFFER, len, in);
    rig_kick(&b->rig, 0);
    assert_true(rig_take(&b->rig, 0, &id, &written));
    assert_int_equal(id, 0);
    assert_int_equal(written, want_written);
    return (u8)rig_peek(&b->rig, STATUS, 1);
}

static void start(struct bed *b)
{
    assert_int_equal(rig_start(&b->rig, BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_SEG_MAX), 1, true), 15);
}

static void driver_finds_the_device(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    assert_int_equal(rig_config(r, DEVFN, 0, 4), 0x10421af4);
    assert_true(rig_config(r, DEVFN, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
    unsigned seen = 0, at = rig_config(r, DEVFN, PCI_CAPABILITY_LIST, 1);
    for (unsigned n = 0; at && n < 16; n++, at = rig_config(r, DEVFN, at + 1, 1)) {
        if (rig_config(r, DEVFN, at, 1) != PCI_CAP_ID_VNDR)
            continue;
        unsigned type = rig_config(r, DEVFN, at + 3, 1);
        seen |= 1u << type;
        if (type != VIRTIO_PCI_CAP_PCI_CFG)
            assert_true(rig_config(r, DEVFN, at + 8, 4) + rig_config(r, DEVFN, at + 12, 4) <= 0x4000);
        if (type == VIRTIO_PCI_CAP_COMMON_CFG)
            assert_int_equal(rig_config(r, DEVFN, at + 12, 4), 56);
    }
    assert_int_equal(seen, 0x3e);
    assert_int_equal(rig_reg(r, VIRTIO_PCI_COMMON_NUMQ, 2), 1);
    assert_int_equal(rig_reg(r, 0x2000, 4), DISK / 512);
    assert_int_equal(rig_reg(r, 0x2000, 8), DISK / 512);
    assert_int_equal(rig_reg(r, 0x2fff, 1), 0);
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
    assert_int_equal(rig_reg(r, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
}

static void features_are_negotiated(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    rig_reg_write(r, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
    u64 low = rig_reg(r, VIRTIO_PCI_COMMON_DF, 4);
    rig_reg_write(r, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
    u64 high = rig_reg(r, VIRTIO_PCI_COMMON_DF, 4);
    rig_reg_write(r, VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
    assert_int_equal(rig_reg(r, VIRTIO_PCI_COMMON_DF, 4), 0);
    assert_true(low & BIT(VIRTIO_BLK_F_FLUSH));
    assert_false(low & BIT(VIRTIO_BLK_F_RO));
    assert_int_equal(high & 1, 1);
    /* A bit that is not offered: FEATURES_OK does not stick, nor DRIVER_OK. */
    assert_int_equal(rig_start(r, BIT(VIRTIO_BLK_F_MQ), 1, false), 3);
    /* No VERSION_1. */
    rig_reg_write(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
    rig_reg_write(r, VIRTIO_PCI_COMMON_STATUS, 1, 3);
    rig_reg_write(r, VIRTIO_PCI_COMMON_STATUS, 1, 11);
    assert_int_equal(rig_status(r), 3);
    start(b);
    /* Closed now. */
    rig_reg_write(r, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
    rig_reg_write(r, VIRTIO_PCI_COMMON_GF, 4, 0xffffffff);
    assert_int_equal(rig_reg(r, VIRTIO_PCI_COMMON_GF, 4),
                     BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_SEG_MAX));
}

static void window_reaches_registers(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    unsigned at = rig_config(r, DEVFN, PCI_CAPABILITY_LIST, 1);
    while (rig_config(r, DEVFN, at, 1) != PCI_CAP_ID_VNDR ||
           rig_config(r, DEVFN, at + 3, 1) != VIRTIO_PCI_CAP_PCI_CFG)
        at = rig_config(r, DEVFN, at + 1, 1);
    rig_config_write(r, DEVFN, at + 4, 1, 0);
    rig_config_write(r, DEVFN, at + 8, 4, 0x2000);
    rig_config_write(r, DEVFN, at + 12, 4, 4);
    assert_int_equal(rig_config(r, DEVFN, at + 16, 4), DISK / 512);
    rig_config_write(r, DEVFN, at + 8, 4, VIRTIO_PCI_COMMON_STATUS);
    rig_config_write(r, DEVFN, at + 12, 4, 1);
    rig_config_write(r, DEVFN, at + 16, 1, 3);
    assert_int_equal(rig_status(r), 3);
    rig_config_write(r, DEVFN, at + 8, 4, 0xfffffffc); /* outside: no effect */
    rig_config_write(r, DEVFN, at + 12, 4, 4);
    rig_config_write(r, DEVFN, at + 16, 4, 0);
    rig_config_write(r, DEVFN, at + 12, 4, 0x1000);
    rig_config(r, DEVFN, at + 16, 4);
    assert_int_equal(rig_status(r), 3);
}

static void reads_and_writes_sectors(void **state)
{
    struct bed *b = *state;
    static u8 buf[4096];
    start(b);
    assert_int_equal(request(b, VIRTIO_BLK_T_IN, 8, 4096, true, 4097), VIRTIO_BLK_S_OK);
    space_read(b->rig.env.memory, BUFFER, buf, 4096);
    assert_memory_equal(buf, b->disk.data + 8 * 512, 4096);
    memset(buf, 0x5a, sizeof(buf));
    space_write(b->rig.env.memory, BUFFER, buf, 1024);
    assert_int_equal(request(b, VIRTIO_BLK_T_OUT, 3, 1024, false, 1), VIRTIO_BLK_S_OK);
    assert_memory_equal(b->disk.data + 3 * 512, buf, 1024);
    assert_int_equal(request(b, VIRTIO_BLK_T_FLUSH, 0, 0, false, 1), VIRTIO_BLK_S_OK);
    assert_int_equal(b->disk.flushes, 1);
    assert_int_equal(b->rig.msi_last, 1);
    assert_int_equal(b->rig.msi_count, 3);
}

static void tells_its_serial(void **state)
{
    struct bed *b = *state;
    char id[21] = {0};
    start(b);
    assert_int_equal(request(b, VIRTIO_BLK_T_GET_ID, 0, 20, true, 21), VIRTIO_BLK_S_OK);
    space_read(b->rig.env.memory, BUFFER, id, 20);
    assert_string_equal(id, "serial-7");
    assert_int_equal(request(b, VIRTIO_BLK_T_GET_ID, 0, 4, true, 5), VIRTIO_BLK_S_OK);
}

static void discards(void **state)
{
    struct bed *b = *state;
    struct virtio_blk_discard_write_zeroes d[2] = {{.sector = 2, .num_sectors = 1},
                                                   {.sector = 10, .num_sectors = 2}};
    start(b);
    space_write(b->rig.env.memory, BUFFER, d, sizeof(d));
    assert_int_equal(request(b, VIRTIO_BLK_T_DISCARD, 0, sizeof(d), false, 1), VIRTIO_BLK_S_OK);
    assert_int_equal(b->disk.discards, 2);
    assert_int_equal(b->disk.data[1024 + 5], 0);
    assert_int_equal(request(b, VIRTIO_BLK_T_DISCARD, 0, 17, false, 1), VIRTIO_BLK_S_IOERR);
    d[0].sector = ~0ull / 512 + 1;
    space_write(b->rig.env.memory, BUFFER, d, sizeof(d));
    assert_int_equal(request(b, VIRTIO_BLK_T_DISCARD, 0, 16, false, 1), VIRTIO_BLK_S_IOERR);
    d[0] = (struct virtio_blk_discard_write_zeroes){.flags = 1};
    space_write(b->rig.env.memory, BUFFER, d, sizeof(d));
    assert_int_equal(request(b, VIRTIO_BLK_T_DISCARD, 0, 16, false, 1), VIRTIO_BLK_S_UNSUPP);
}

static void bad_requests_fail_alone(void **state)
{
    struct bed *b = *state;
    start(b);
    assert_int_equal(request(b, VIRTIO_BLK_T_IN, DISK / 512, 512, true, 513), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(b, VIRTIO_BLK_T_IN, ~0ull, 512, true, 1), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(b, VIRTIO_BLK_T_IN, 1ull << 55, 512, true, 1), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(b, VIRTIO_BLK_T_IN, 0, 100, true, 101), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(b, VIRTIO_BLK_T_OUT, DISK / 512 - 1, 1024, false, 1), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(b, 99, 0, 512, true, 1), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(rig_status(&b->rig), 15);
    assert_int_equal(request(b, VIRTIO_BLK_T_IN, 0, 512, true, 513), VIRTIO_BLK_S_OK);
}

static void requests_without_header_or_status_stop_the_device(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    u32 id, len;
    for (unsigned how = 0; how < 2; how++) {
        start(b);
        unsigned before = r->msi_count;
        rig_put_desc(r, 0, 0, HEADER, how ? 16 : 15, how ? 0 : VRING_DESC_F_NEXT, 1);
        rig_put_desc(r, 0, 1, STATUS, 1, VRING_DESC_F_WRITE, 0);
        rig_offer(r, 0, 0);
        rig_kick(r, 0);
        assert_int_equal(rig_status(r), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
        assert_false(rig_take(r, 0, &id, &len));
        assert_int_equal(r->msi_count, before + 1);
        assert_int_equal(r->msi_last, 0); /* the configuration vector */
        submit(b, 1, VIRTIO_BLK_T_FLUSH, 0, 0, 0, false);
        rig_kick(r, 0);
        assert_int_equal(b->disk.flushes, 0);
    }
    start(b); /* reset heals */
    assert_int_equal(request(b, VIRTIO_BLK_T_IN, 0, 512, true, 513), VIRTIO_BLK_S_OK);
}

static void broken_ring_stops_the_device(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    start(b);
    rig_offer(r, 0, RIG_QSIZE);
    rig_kick(r, 0);
    assert_true(rig_status(r) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void readonly_disk_says_so(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    rig_reg_write(r, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
    u64 low = rig_reg(r, VIRTIO_PCI_COMMON_DF, 4);
    assert_true(low & BIT(VIRTIO_BLK_F_RO));
    assert_false(low & BIT(VIRTIO_BLK_F_DISCARD));
    start(b);
    u8 before = b->disk.data[0];
    assert_int_equal(request(b, VIRTIO_BLK_T_OUT, 0, 512, false, 1), VIRTIO_BLK_S_IOERR);
    assert_int_equal(b->disk.data[0], before);
    assert_int_equal(request(b, VIRTIO_BLK_T_DISCARD, 0, 16, false, 1), VIRTIO_BLK_S_IOERR);
}

static void interrupts_by_wire_and_isr(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    assert_int_equal(rig_start(r, 0, 1, false), 15);
    rig_config_write(r, DEVFN, PCI_CAPABILITY_LIST, 1, 0); /* read-only */
    assert_int_equal(request(b, VIRTIO_BLK_T_IN, 0, 512, true, 513), VIRTIO_BLK_S_OK);
    assert_int_equal(r->wire[RIG_SLOT % 4], 1);
    assert_int_equal(rig_reg(r, 0x1000, 1), 1);
    assert_int_equal(r->wire[RIG_SLOT % 4], 0);
    assert_int_equal(rig_reg(r, 0x1000, 1), 0);
    assert_int_equal(r->msi_count, 0);
}

static void waits_for_driver_and_bus_master(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    u32 id, len;
    start(b);
    rig_config_write(r, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    submit(b, 0, VIRTIO_BLK_T_IN, 0, BUFFER, 512, true);
    rig_kick(r, 0);
    assert_false(rig_take(r, 0, &id, &len));
    rig_config_write(r, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_true(rig_take(r, 0, &id, &len));
}

static void live_queue_cannot_be_moved(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    start(b);
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x666000);
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_SIZE, 2, 3);
    assert_int_equal(rig_reg(r, VIRTIO_PCI_COMMON_Q_DESCLO, 4), rig_desc(0));
    assert_int_equal(rig_reg(r, VIRTIO_PCI_COMMON_Q_SIZE, 2), RIG_QSIZE);
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_MSIX, 2, 2); /* the device has vectors 0 and 1 */
    assert_int_equal(rig_reg(r, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
}

static void bad_ring_address_needs_reset(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    start(b);
    rig_reg_write(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0xfffffff0);
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_DESCLO + 4, 4, 0xffffffff);
    assert_int_equal(rig_reg(r, VIRTIO_PCI_COMMON_Q_DESCLO + 4, 4), 0xffffffff);
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    assert_true(rig_status(r) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void state_survives(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    struct state_image img = {0};
    start(b);
    assert_int_equal(request(b, VIRTIO_BLK_T_IN, 0, 512, true, 513), VIRTIO_BLK_S_OK);
    state_save(&img, r->dev->class->state, r->dev->instance, r->dev);
    r->dev->class->reset(r->dev);
    assert_int_equal(state_load(&img, r->dev->class->state, r->dev->instance, r->dev, &r->err), 0);
    assert_int_equal(rig_status(r), 15);
    assert_int_equal(request(b, VIRTIO_BLK_T_IN, 1, 512, true, 513), VIRTIO_BLK_S_OK);
    state_free(&img);
    rig_loop(r); /* what loading posted */
}

/* --- with the worker --- */

static void await_used(struct rig *r, unsigned n)
{
    u32 id, len;
    while (n--)
        while (!rig_take(r, 0, &id, &len))
            sched_yield();
}

static void worker_serves_many(void **state)
{
    struct bed *b = *state;
    u8 buf[512];
    start(b);
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned n = 0; n < 5; n++)
            submit(b, n, VIRTIO_BLK_T_IN, round + n, BUFFER + 512 * n, 512, true);
        rig_kick(&b->rig, 0);
        await_used(&b->rig, 5);
        for (unsigned n = 0; n < 5; n++) {
            assert_int_equal(rig_peek(&b->rig, STATUS + n, 1), VIRTIO_BLK_S_OK);
            space_read(b->rig.env.memory, BUFFER + 512 * n, buf, 512);
            assert_memory_equal(buf, b->disk.data + 512 * (round + n), 512);
        }
    }
    assert_true(rig_msis(&b->rig) > 0);
}

static void *reset_device(void *opaque)
{
    rig_reg_write(opaque, VIRTIO_PCI_COMMON_STATUS, 1, 0);
    return NULL;
}

static void reset_waits_for_io_and_drops_it(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    pthread_t t;
    start(b);
    pthread_mutex_lock(&b->disk.gate);
    submit(b, 0, VIRTIO_BLK_T_IN, 0, BUFFER, 512, true);
    rig_kick(r, 0);
    pthread_create(&t, NULL, reset_device, r);
    for (unsigned i = 0; i < 100; i++)
        sched_yield();
    pthread_mutex_unlock(&b->disk.gate);
    pthread_join(t, NULL);
    u64 used = rig_peek(r, rig_used(0) + 2, 2);
    rig_poke(r, BUFFER, 8, 0x1122334455667788);
    for (unsigned i = 0; i < 100; i++)
        sched_yield();
    assert_int_equal(rig_peek(r, BUFFER, 8), 0x1122334455667788); /* no DMA after reset */
    assert_int_equal(rig_peek(r, rig_used(0) + 2, 2), used);
    start(b);
    submit(b, 0, VIRTIO_BLK_T_IN, 5, BUFFER, 512, true);
    rig_kick(r, 0);
    await_used(r, 1);
    assert_int_equal(rig_peek(r, BUFFER, 1), b->disk.data[5 * 512]);
}

static void saving_finishes_requests(void **state)
{
    struct bed *b = *state;
    struct rig *r = &b->rig;
    struct state_image img = {0};
    u32 id, len;
    start(b);
    for (unsigned n = 0; n < 5; n++)
        submit(b, n, VIRTIO_BLK_T_IN, n, BUFFER + 512 * n, 512, true);
    rig_kick(r, 0);
    state_save(&img, r->dev->class->state, r->dev->instance, r->dev);
    for (unsigned n = 0; n < 5; n++)
        assert_true(rig_take(r, 0, &id, &len));
    state_free(&img);
}

#define CASE(f)     cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define THREADED(f) cmocka_unit_test_setup_teardown(f, set_up_threaded, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(driver_finds_the_device),
        CASE(features_are_negotiated),
        CASE(window_reaches_registers),
        CASE(reads_and_writes_sectors),
        CASE(tells_its_serial),
        CASE(discards),
        CASE(bad_requests_fail_alone),
        CASE(requests_without_header_or_status_stop_the_device),
        CASE(broken_ring_stops_the_device),
        cmocka_unit_test_setup_teardown(readonly_disk_says_so, set_up_readonly, tear_down),
        CASE(interrupts_by_wire_and_isr),
        CASE(waits_for_driver_and_bus_master),
        CASE(live_queue_cannot_be_moved),
        CASE(bad_ring_address_needs_reset),
        CASE(state_survives),
        THREADED(worker_serves_many),
        THREADED(reset_waits_for_io_and_drops_it),
        THREADED(saving_finishes_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
