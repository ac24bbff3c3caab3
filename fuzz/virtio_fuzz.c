/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest against one virtio device: registers, configuration space, rings, buffers, frames and saved
 * state.
 *
 * The first byte chooses the device; then the input is a program: an opcode byte and what it needs. START
 * brings the device up as a driver does, so the interesting depths are one byte away; everything after is
 * arbitrary.
 */
#include "../tests/unit/virtio_rig.h"
#include "input.h"

#include <linux/virtio_mem.h>

#include "dev/virtio/virtio_balloon.h"
#include "dev/virtio/virtio_blk.h"
#include "dev/virtio/virtio_console.h"
#include "dev/virtio/virtio_mem.h"
#include "dev/virtio/virtio_net.h"
#include "dev/virtio/virtio_rng.h"

#define DISK   (256 * KIB)
#define BLOCKS (70 * VIRTIO_MEM_BLOCK) /* right behind RAM */

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* --- back ends --- */

struct ends {
    struct block block;
    struct net_port port;
    u8 disk[DISK];
    struct space *memory;
    bool frozen;
    u64 sum; /* of all that came out, so that every byte is read */
};

static int disk_io(struct block *b, const struct iovec *iov, int n, u64 offset, bool write)
{
    struct ends *e = container_of(b, struct ends, block);
    i64 len = block_check(b, iov, n, offset);
    for (int i = 0; len >= 0 && i < n; offset += iov[i++].iov_len)
        memcpy(write ? e->disk + offset : iov[i].iov_base, write ? iov[i].iov_base : e->disk + offset,
               iov[i].iov_len);
    return len < 0 ? (int)len : 0;
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
    return 0;
}

static int disk_discard(struct block *b, u64 offset, u64 len)
{
    if (offset > b->size || len > b->size - offset)
        return -22;
    memset(container_of(b, struct ends, block)->disk + offset, 0, len);
    return 0;
}

static void disk_close(struct block *b) {}

static const struct block_ops disk_ops = {disk_readv, disk_writev, disk_flush, disk_discard, disk_close};

static void swallow(void *opaque, const u8 *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((struct ends *)opaque)->sum += p[i];
}

static bool port_send(struct net_port *p, const struct frame *f)
{
    swallow(container_of(p, struct ends, port), f->head, f->head_len);
    swallow(container_of(p, struct ends, port), f->body, f->body_len);
    return frame_len(f) & 1;
}

static void port_close(struct net_port *p) {}

static const struct net_port_ops port_ops = {.send = port_send, .close = port_close};

static void zero_fill(void *opaque, void *buf, size_t len)
{
    memset(buf, 0x11, len);
}

static bool is_memory(unsigned kind)
{
    return kind & 32;
}

static bool is_balloon(unsigned kind)
{
    return (kind & 7) == 7 && !is_memory(kind);
}

static int plug(void *opaque, u64 gpa, u64 size, bool on)
{
    struct ends *e = opaque;
    (on ? space_plug : space_unplug)(e->memory, gpa, size);
    return 0;
}

static bool frozen(void *opaque)
{
    return ((struct ends *)opaque)->frozen;
}

static struct dev *make(struct rig *r, struct ends *e, unsigned kind)
{
    const struct balloon_port balloon = {frozen, e};
    const struct memory_port memory = {frozen, plug, e};
    static const u8 mac[6] = {2};
    const struct console_out out = {swallow, e};
    const struct random_source src = {zero_fill, NULL};
    e->block = (struct block){.ops = &disk_ops, .size = DISK, .readonly = kind & 4};
    e->port.ops = &port_ops;
    e->memory = r->env.memory;
    if (is_memory(kind) && space_add_pluggable(e->memory, RIG_RAM, BLOCKS, VIRTIO_MEM_BLOCK, &r->err) == 0)
        return virtio_mem_new(&r->env, r->bus, RIG_SLOT, RIG_RAM, BLOCKS, &memory, &r->err);
    if (is_balloon(kind))
        return virtio_balloon_new(&r->env, r->bus, RIG_SLOT, &balloon, &r->err);
    switch (kind & 3) {
    case 0:
        return virtio_blk_new(&r->env, r->bus, RIG_SLOT, &e->block, "fuzz", &r->err);
    case 1:
        return virtio_net_new(&r->env, r->bus, RIG_SLOT, &e->port, mac, &r->err);
    case 2:
        return virtio_console_new(&r->env, r->bus, RIG_SLOT, &out, &r->err);
    default:
        return virtio_rng_new(&r->env, r->bus, RIG_SLOT, &src, &r->err);
    }
}

/* --- the guest --- */

static void put_desc(struct rig *r, struct input *in)
{
    unsigned q = take(in, 1) & 3, i = take(in, 1) % (RIG_QSIZE + 2);
    u64 addr = RIG_DATA + (take(in, 2) << 4);
    u32 len = (u32)take(in, 2);
    u16 flags = take(in, 1) & 0xff;
    if (flags & 0x80)
        addr = take(in, 8);
    if (flags & 0x40)
        len = (u32)take(in, 4);
    rig_put_desc(r, q, i, addr, len, flags & 15, take(in, 1) % (RIG_QSIZE + 1));
}

static void poke(struct rig *r, struct input *in)
{
    static const unsigned sizes[4] = {1, 2, 4, 8};
    unsigned how = (unsigned)take(in, 1), n = sizes[how >> 4 & 3];
    u64 base[4] = {RIG_RING(how & 1), rig_avail(how & 1), rig_used(how & 1), RIG_DATA};
    u64 at = base[how >> 2 & 3] + take(in, 2);
    rig_poke(r, at, n, take(in, n));
}

/* What a policy asks of it while the guest does as it likes. */
static void command_balloon(struct rig *r, struct ends *e, size_t how)
{
    struct balloon_info info;
    e->frozen = how & 1;
    virtio_balloon_review(r->dev);
    virtio_balloon_set_target(r->dev, (u64)how << 11);
    virtio_balloon_poll(r->dev, how & 2 ? 1000 : 0);
    if (clock_mode(r->env.clock) == CLOCK_MODE_ICOUNT) {
        clock_advance(r->env.clock, 2000);
        clock_run_due(r->env.clock);
    }
    virtio_balloon_info(r->dev, &info);
    e->sum += info.stat[VIRTIO_BALLOON_S_AVAIL];
}

/* Its sum and the space's bits never part. */
static void command_memory(struct rig *r, struct ends *e, size_t how)
{
    struct memory_range_info info;
    e->frozen = how & 1;
    virtio_mem_review(r->dev);
    virtio_mem_request(r->dev, (u64)how << 14);
    virtio_mem_info(r->dev, &info);
    if (info.plugged != space_plugged(e->memory, RIG_RAM, BLOCKS))
        abort();
}

/* A request whose fields are wild, but not all of them. */
static void request_memory(struct rig *r, struct input *in)
{
    struct virtio_mem_req q = {.type = (u16)take(in, 1) & 7};
    u64 at = take(in, 1);
    q.u.plug.addr = RIG_RAM + at * VIRTIO_MEM_BLOCK + (at == 255 ? take(in, 8) : 0);
    q.u.plug.nb_blocks = (u16)(at & 1 ? take(in, 2) : take(in, 1) & 15);
    space_write(r->env.memory, RIG_DATA, &q, sizeof(q));
    rig_put_desc(r, 0, 0, RIG_DATA, sizeof(q), VRING_DESC_F_NEXT, 1);
    rig_put_desc(r, 0, 1, RIG_DATA + 0x800, sizeof(struct virtio_mem_resp), VRING_DESC_F_WRITE, 0);
    rig_offer(r, 0, 0);
    rig_kick(r, 0);
}

static void come_in(struct rig *r, struct ends *e, unsigned kind, struct input *in)
{
    static const u8 zeroes[FRAME_MAX];
    size_t len = take(in, 2);
    if (is_memory(kind)) {
        command_memory(r, e, len);
        return;
    }
    if ((kind & 3) == 1) {
        struct frame f = frame_plain(zeroes, len);
        f.offload.flags = (u8)take(in, 1);
        f.offload.csum_start = (u16)take(in, 1);
        e->port.sink.receive(e->port.sink.opaque, &f);
    }
    if ((kind & 3) == 2)
        virtio_console_receive(r->dev, zeroes, len);
    if (is_balloon(kind))
        command_balloon(r, e, len);
}

static u64 offered(struct rig *r)
{
    u64 f = 0;
    for (unsigned i = 0; i < 2; i++) {
        rig_reg_write(r, VIRTIO_PCI_COMMON_DFSELECT, 4, i);
        f |= rig_reg(r, VIRTIO_PCI_COMMON_DF, 4) << (32 * i);
    }
    return f;
}

/* A driver that takes all or some of what is offered; now and then what is not. */
static void start(struct rig *r, unsigned kind, unsigned op, struct input *in)
{
    u64 features = offered(r);
    if (op & 32)
        features &= take(in, 8);
    if (op & 64)
        features ^= BIT(take(in, 1) & 63);
    rig_start(r, features,
              is_memory(kind)                      ? 1
              : is_balloon(kind)                   ? 4
              : (kind & 3) == 1 || (kind & 3) == 2 ? 2
                                                   : 1,
              op & 16);
}

/* A request as a driver makes it: header, data, status; only its contents are wild. */
static void request(struct rig *r, unsigned q, struct input *in)
{
    u8 how = (u8)take(in, 1);
    u16 at = take(in, 1) % (RIG_QSIZE - 2);
    u32 len = how & 8 ? (u32)take(in, 2) : (how & 7) * 512;
    struct {
        u32 type, reserved;
        u64 sector;
    } h = {(u32)take(in, 1), 0, how & 16 ? take(in, 8) : take(in, 1)};
    space_write(r->env.memory, RIG_DATA, &h, sizeof(h));
    rig_put_desc(r, q, at, RIG_DATA, how & 32 ? (u32)take(in, 1) : 16, VRING_DESC_F_NEXT, at + 1);
    rig_put_desc(r, q, at + 1, RIG_DATA + 0x1000, len, how & 64 ? VRING_DESC_F_NEXT : VRING_DESC_F_NEXT | 2,
                 at + 2);
    rig_put_desc(r, q, at + 2, RIG_DATA + 0x800, 1, VRING_DESC_F_WRITE, 0);
    rig_offer(r, q, at);
    if (how & 128)
        rig_kick(r, q);
}

static void save_and_load(struct rig *r, struct input *in)
{
    struct state_image img = {0};
    struct err err = {0};
    state_save(&img, r->dev->class->state, r->dev->instance, r->dev);
    for (unsigned n = take(in, 1) & 7; n && img.len; n--) {
        size_t at = take(in, 2) % img.len;
        img.data[at] ^= (u8)take(in, 1);
    }
    if (state_load(&img, r->dev->class->state, r->dev->instance, r->dev, &err) < 0)
        r->dev->class->reset(r->dev);
    state_free(&img);
}

static void step(struct rig *r, struct ends *e, unsigned kind, struct input *in)
{
    static const unsigned sizes[4] = {1, 2, 4, 8};
    unsigned op = (unsigned)take(in, 1), n = sizes[op >> 4 & 3];
    u64 off;
    switch (op & 15) {
    case 0:
        start(r, kind, op, in);
        break;
    case 1:
        put_desc(r, in);
        break;
    case 2:
        rig_offer(r, op >> 4 & 3, (u16)(take(in, 1) % (RIG_QSIZE + 1)));
        break;
    case 3:
        rig_kick(r, op >> 4 & 3);
        break;
    case 4:
        rig_loop(r);
        break;
    case 5:
        poke(r, in);
        break;
    case 6:
        come_in(r, e, kind, in);
        break;
    case 7:
        off = take(in, 2);
        rig_reg_write(r, off, n, take(in, n));
        break;
    case 8:
        rig_reg(r, take(in, 2), n);
        break;
    case 9:
        off = take(in, 1);
        rig_config_write(r, RIG_SLOT << 3, (unsigned)off, n > 4 ? 4 : n, (u32)take(in, 4));
        break;
    case 10:
        rig_config(r, RIG_SLOT << 3, (unsigned)take(in, 1), n > 4 ? 4 : n);
        break;
    case 11:
        off = take(in, 2);
        rig_out(r->env.memory, rig_bar(r, 4) + off, n, take(in, n));
        break;
    case 12:
        save_and_load(r, in);
        break;
    case 13:
        off = take(in, 1) & 0x3f; /* common configuration */
        rig_reg_write(r, off, n, take(in, n));
        break;
    case 14:
        if (is_memory(kind))
            request_memory(r, in);
        else
            request(r, op >> 4 & 3, in);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct input in = {data, data + size};
    unsigned kind = (unsigned)take(&in, 1);
    struct rig r;
    struct ends *e = calloc(1, sizeof(*e));
    /* A disk has a thread unless the clock counts, which no fuzzer wants; the others use the event loop then.
     */
    rig_open(&r, kind & 16 && ((kind & 3) || is_memory(kind)) ? CLOCK_MODE_REAL : CLOCK_MODE_ICOUNT);
    r.dev = make(&r, e, kind);
    if (!r.dev)
        abort();
    rig_assign(&r);
    if (kind & 8)
        start(&r, kind, 16, &in);
    for (unsigned steps = 0; in.at < in.end && steps < 500; steps++)
        step(&r, e, kind, &in);
    rig_loop(&r);
    rig_close(&r);
    free(e);
    return 0;
}
