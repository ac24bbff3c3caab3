/* SPDX-License-Identifier: MIT */
/*
 * A machine of RAM, a PCI bus and one virtio device, and a driver for it that goes the way a guest's does:
 * configuration ports, BARs, common configuration, rings in RAM. For tests and fuzzers.
 *
 * RAM is [0, RIG_RAM). The driver puts queue q at RIG_RING(q) and lets the test use everything from RIG_DATA
 * on.
 */
#ifndef TESTS_VIRTIO_RIG_H
#define TESTS_VIRTIO_RIG_H

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>

#include "dev/pci/pci.h"
#include "mem/space.h"

#define RIG_RAM     (4 * MIB)
#define RIG_RING(q) (0x10000ull * ((q) + 1))
#define RIG_DATA    0x100000ull
#define RIG_SLOT    3
#define RIG_MEM     0xc0000000ull
#define RIG_MSI     0xfee00000ull
#define RIG_QSIZE   16

struct rig {
    struct dev_env env;
    struct pci_bus *bus;
    struct dev *host, *dev;
    struct err err;
    int wire[4];
    unsigned wire_edges;
    unsigned msi_count, power_count;
    u32 msi_last;
    u16 avail[4], used[4]; /* the driver's indices */
    pthread_mutex_t lock;  /* of what other threads tell us */
};

static void rig_wire(void *opaque, int pin, int level)
{
    struct rig *r = opaque;
    r->wire_edges++;
    r->wire[pin] = level;
}

static void rig_msi(void *opaque, u64 address, u32 data)
{
    struct rig *r = opaque;
    pthread_mutex_lock(&r->lock);
    if (address == RIG_MSI) {
        r->msi_count++;
        r->msi_last = data;
    }
    pthread_mutex_unlock(&r->lock);
}

static inline unsigned rig_msis(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    unsigned n = r->msi_count;
    pthread_mutex_unlock(&r->lock);
    return n;
}

static void rig_power(void *opaque, enum power_request what, int code)
{
    (void)what, (void)code;
    ((struct rig *)opaque)->power_count++;
}

static inline void rig_open(struct rig *r, enum clock_mode mode)
{
    memset(r, 0, sizeof(*r));
    pthread_mutex_init(&r->lock, NULL);
    r->env = (struct dev_env){
        .memory = space_new(BIT(40)),
        .ports = space_new(BIT(16)),
        .clock = clock_new(mode, 0),
        .power = {rig_power, r},
        .msi = {.send = rig_msi, .opaque = r},
    };
    r->env.loop = event_loop_new(NULL, &r->err);
    struct pci_host_config cfg = {.intx_irq = {10, 10, 11, 11}};
    for (int i = 0; i < 4; i++)
        cfg.intx[i] = (struct irq_line){rig_wire, r, i};
    if (space_add_ram(r->env.memory, 0, RIG_RAM, &r->err) < 0 || !r->env.loop)
        abort();
    r->bus = pci_bus_new(&r->env, &cfg, &r->err);
    r->host = pci_host_bridge_new(&r->env, r->bus, &r->err);
    if (!r->bus || !r->host)
        abort();
}

static inline void rig_close(struct rig *r)
{
    if (r->dev)
        r->dev->class->destroy(r->dev);
    r->host->class->destroy(r->host);
    pci_bus_dev(r->bus)->class->destroy(pci_bus_dev(r->bus));
    event_loop_free(r->env.loop);
    clock_free(r->env.clock);
    space_free(r->env.memory);
    space_free(r->env.ports);
    pthread_mutex_destroy(&r->lock);
}

static inline void rig_assign(struct rig *r)
{
    struct pci_windows w = {.mem = {RIG_MEM, RIG_MEM + 256 * MIB}, .io = {0xc000, 0xd000}};
    if (pci_bus_assign(r->bus, &w, &r->err) < 0)
        abort();
}

/* --- accesses --- */

static inline u64 rig_out(struct space *s, u64 at, unsigned size, u64 v)
{
    return space_io_write(s, at, size, v);
}

static inline u64 rig_in(struct space *s, u64 at, unsigned size)
{
    u64 v = 0;
    space_io_read(s, at, size, &v);
    return v;
}

static inline u32 rig_config(struct rig *r, unsigned devfn, unsigned off, unsigned size)
{
    rig_out(r->env.ports, 0xcf8, 4, BIT(31) | devfn << 8 | (off & ~3u));
    return (u32)rig_in(r->env.ports, 0xcfc + (off & 3), size);
}

static inline void rig_config_write(struct rig *r, unsigned devfn, unsigned off, unsigned size, u32 v)
{
    rig_out(r->env.ports, 0xcf8, 4, BIT(31) | devfn << 8 | (off & ~3u));
    rig_out(r->env.ports, 0xcfc + (off & 3), size, v);
}

static inline u64 rig_bar(struct rig *r, unsigned n)
{
    unsigned reg = PCI_BASE_ADDRESS_0 + 4 * n, devfn = RIG_SLOT << 3;
    u32 low = rig_config(r, devfn, reg, 4);
    u64 high = (low & 7) == 4 ? rig_config(r, devfn, reg + 4, 4) : 0;
    return high << 32 | (low & ~15u);
}

static inline u64 rig_reg(struct rig *r, u64 off, unsigned size)
{
    return rig_in(r->env.memory, rig_bar(r, 0) + off, size);
}

static inline void rig_reg_write(struct rig *r, u64 off, unsigned size, u64 v)
{
    rig_out(r->env.memory, rig_bar(r, 0) + off, size, v);
}

static inline void rig_poke(struct rig *r, u64 gpa, unsigned size, u64 v)
{
    space_write(r->env.memory, gpa, &v, size);
}

static inline u64 rig_peek(struct rig *r, u64 gpa, unsigned size)
{
    u64 v = 0;
    space_read(r->env.memory, gpa, &v, size);
    return v;
}

/* --- the driver --- */

static inline u8 rig_status(struct rig *r)
{
    return (u8)rig_reg(r, VIRTIO_PCI_COMMON_STATUS, 1);
}

static inline u64 rig_desc(unsigned q)
{
    return RIG_RING(q);
}
static inline u64 rig_avail(unsigned q)
{
    return RIG_RING(q) + 0x2000;
}
static inline u64 rig_used(unsigned q)
{
    return RIG_RING(q) + 0x4000;
}

static inline void rig_queue(struct rig *r, unsigned q)
{
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_SIZE, 2, RIG_QSIZE);
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_MSIX, 2, q + 1);
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_DESCLO, 4, rig_desc(q));
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, rig_avail(q));
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_USEDLO, 4, rig_used(q));
    rig_reg_write(r, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

/* MSI-X on, every vector to RIG_MSI with its number as data. */
static inline void rig_msix(struct rig *r, unsigned vectors)
{
    unsigned devfn = RIG_SLOT << 3, cap = rig_config(r, devfn, PCI_CAPABILITY_LIST, 1);
    while (cap && rig_config(r, devfn, cap, 1) != PCI_CAP_ID_MSIX)
        cap = rig_config(r, devfn, cap + 1, 1);
    u64 table = rig_bar(r, rig_config(r, devfn, cap + PCI_MSIX_TABLE, 4) & 7);
    for (unsigned i = 0; i < vectors; i++) {
        rig_out(r->env.memory, table + 16 * i, 4, RIG_MSI);
        rig_out(r->env.memory, table + 16 * i + 8, 4, i);
        rig_out(r->env.memory, table + 16 * i + 12, 4, 0);
    }
    rig_config_write(r, devfn, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
}

/* From reset to DRIVER_OK with the given features. Returns the status read back. */
static inline u8 rig_start(struct rig *r, u64 features, unsigned queues, bool msix)
{
    memset(r->avail, 0, sizeof(r->avail));
    memset(r->used, 0, sizeof(r->used));
    for (unsigned q = 0; q < queues; q++) {
        u8 zero[0x6000] = {0};
        space_write(r->env.memory, RIG_RING(q), zero, sizeof(zero));
    }
    u32 command = rig_config(r, RIG_SLOT << 3, PCI_COMMAND, 2);
    rig_config_write(r, RIG_SLOT << 3, PCI_COMMAND, 2, command | PCI_COMMAND_MASTER);
    rig_reg_write(r, VIRTIO_PCI_COMMON_STATUS, 1, 0);
    rig_reg_write(r, VIRTIO_PCI_COMMON_STATUS, 1, 1);
    rig_reg_write(r, VIRTIO_PCI_COMMON_STATUS, 1, 3);
    if (msix)
        rig_msix(r, queues + 1);
    features |= BIT(VIRTIO_F_VERSION_1);
    for (unsigned i = 0; i < 2; i++) {
        rig_reg_write(r, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
        rig_reg_write(r, VIRTIO_PCI_COMMON_GF, 4, (u32)(features >> (32 * i)));
    }
    rig_reg_write(r, VIRTIO_PCI_COMMON_STATUS, 1, 11);
    rig_reg_write(r, VIRTIO_PCI_COMMON_MSIX, 2, 0);
    for (unsigned q = 0; q < queues; q++)
        rig_queue(r, q);
    rig_reg_write(r, VIRTIO_PCI_COMMON_STATUS, 1, 15);
    return rig_status(r);
}

static inline void rig_put_desc(struct rig *r, unsigned q, unsigned i, u64 addr, u32 len, u16 flags, u16 next)
{
    struct vring_desc d = {addr, len, flags, next};
    space_write(r->env.memory, rig_desc(q) + 16 * i, &d, sizeof(d));
}

/* Ring indices as a driver reads and writes them: the device may be at them on another thread. */
static inline u16 rig_load_index(struct rig *r, u64 gpa)
{
    return __atomic_load_n((const u16 *)space_ram(r->env.memory, gpa, NULL), __ATOMIC_ACQUIRE);
}

static inline void rig_store_index(struct rig *r, u64 gpa, u16 v)
{
    __atomic_store_n((u16 *)space_ram(r->env.memory, gpa, NULL), v, __ATOMIC_RELEASE);
    space_written(r->env.memory, gpa, 2);
}

static inline void rig_offer(struct rig *r, unsigned q, u16 head)
{
    rig_poke(r, rig_avail(q) + 4 + 2 * (r->avail[q] % RIG_QSIZE), 2, head);
    rig_store_index(r, rig_avail(q) + 2, ++r->avail[q]);
}

static inline void rig_kick(struct rig *r, unsigned q)
{
    rig_reg_write(r, 0x3000 + 4 * q, 2, q);
}

/* Takes the next used element; false: there is none. */
static inline bool rig_take(struct rig *r, unsigned q, u32 *id, u32 *len)
{
    if (rig_load_index(r, rig_used(q) + 2) == r->used[q])
        return false;
    u64 at = rig_used(q) + 4 + 8 * (r->used[q]++ % RIG_QSIZE);
    *id = (u32)rig_peek(r, at, 4);
    *len = (u32)rig_peek(r, at + 4, 4);
    return true;
}

static void rig_stop_loop(void *opaque)
{
    event_loop_stop(opaque);
}

/* Runs what is posted, twice: what posted calls post, too. */
static inline void rig_loop(struct rig *r)
{
    for (int i = 0; i < 2; i++) {
        event_loop_post(r->env.loop, rig_stop_loop, r->env.loop);
        event_loop_run(r->env.loop);
    }
}

#endif
