/* SPDX-License-Identifier: MIT */
/*
 * Virtio's registers on PCI (virtio 1.3 4.1): one memory BAR with four pages, a capability pointing at each.
 *
 *   0x0000 common configuration   0x1000 ISR   0x2000 device configuration   0x3000 notifications
 *
 * A fifth capability lets firmware reach the same BAR through configuration space (4.1.4.9). MSI-X has a BAR
 * of its own. Common configuration is a table of fields: reads of any part of a field work, writes take whole
 * fields, and 64-bit ones in halves (4.1.3.1).
 */
#include "dev/virtio/virtio.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#define REGISTERS_BAR 0
#define MSIX_BAR      4
#define COMMON        0x0000
#define ISR           0x1000
#define DEVICE        0x2000
#define NOTIFY        0x3000
#define BAR_SIZE      0x4000
#define NOTIFY_STEP   4 /* notify_off_multiplier: queue q's doorbell is at NOTIFY + 4 * q */

/* Offsets inside a vendor capability (4.1.4), counted from its start. */
#define CAP_BAR    4
#define CAP_OFFSET 8
#define CAP_LENGTH 12
#define CAP_DATA   16

static struct virtqueue *selected(struct virtio *v)
{
    return v->queue_select < v->queues ? &v->vq[v->queue_select] : NULL;
}

static u16 known_vector(const struct virtio *v, u64 vector)
{
    return vector < v->pci.msix_count ? (u16)vector : VQ_NO_VECTOR;
}

/* --- common configuration: fields that do not depend on the queue --- */

static u64 common_read(struct virtio *v, unsigned field)
{
    switch (field) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        return v->device_select;
    case VIRTIO_PCI_COMMON_DF:
        return v->device_select < 2 ? (u32)(v->offered >> (32 * v->device_select)) : 0;
    case VIRTIO_PCI_COMMON_GFSELECT:
        return v->driver_select;
    case VIRTIO_PCI_COMMON_GF:
        return v->driver_select < 2 ? (u32)(v->driver_features >> (32 * v->driver_select)) : 0;
    case VIRTIO_PCI_COMMON_MSIX:
        return v->config_vector;
    case VIRTIO_PCI_COMMON_NUMQ:
        return v->queues;
    case VIRTIO_PCI_COMMON_STATUS:
        return v->status;
    case VIRTIO_PCI_COMMON_CFGGENERATION:
        return v->generation;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        return v->queue_select;
    default:
        return 0;
    }
}

/* Features are closed once FEATURES_OK stands (2.2.1). Bits beyond the 64 known: any set one cannot be
 * accepted. */
static void write_features(struct virtio *v, u32 value)
{
    if (v->status & VIRTIO_CONFIG_S_FEATURES_OK || v->driver_select > 1)
        return;
    unsigned shift = 32 * v->driver_select;
    v->driver_features = (v->driver_features & ~(0xffffffffull << shift)) | (u64)value << shift;
}

static void common_write(struct virtio *v, unsigned field, u64 value)
{
    switch (field) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        v->device_select = (u32)value;
        break;
    case VIRTIO_PCI_COMMON_GFSELECT:
        v->driver_select = (u32)value;
        break;
    case VIRTIO_PCI_COMMON_GF:
        write_features(v, (u32)value);
        break;
    case VIRTIO_PCI_COMMON_MSIX:
        v->config_vector = known_vector(v, value);
        break;
    case VIRTIO_PCI_COMMON_STATUS:
        virtio_write_status(v, (u8)value);
        break;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        v->queue_select = (u16)value;
        break;
    default: /* read-only */
        break;
    }
}

/* --- common configuration: fields of the selected queue --- */

static u64 queue_read(struct virtio *v, const struct virtqueue *vq, unsigned field)
{
    switch (field) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
        return vq->size;
    case VIRTIO_PCI_COMMON_Q_MSIX:
        return vq->vector;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        return vq->enabled;
    case VIRTIO_PCI_COMMON_Q_NOFF:
        return v->queue_select;
    case VIRTIO_PCI_COMMON_Q_DESCLO:
        return vq->desc;
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
        return vq->avail;
    case VIRTIO_PCI_COMMON_Q_USEDLO:
        return vq->used_ring;
    default:
        return 0;
    }
}

static void queue_write(struct virtio *v, struct virtqueue *vq, unsigned field, u64 value)
{
    if (field == VIRTIO_PCI_COMMON_Q_MSIX)
        vq->vector = known_vector(v, value);
    if (vq->enabled) /* 4.1.4.3.2: nothing else changes under a live queue */
        return;
    switch (field) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
        vq->size = (u16)value;
        break;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        if (value == 1)
            virtio_enable_queue(v, v->queue_select);
        break;
    case VIRTIO_PCI_COMMON_Q_DESCLO:
        vq->desc = value;
        break;
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
        vq->avail = value;
        break;
    case VIRTIO_PCI_COMMON_Q_USEDLO:
        vq->used_ring = value;
        break;
    default:
        break;
    }
}

struct field {
    u8 at, size;
};

static const struct field fields[] = {
    {VIRTIO_PCI_COMMON_DFSELECT, 4},  {VIRTIO_PCI_COMMON_DF, 4},
    {VIRTIO_PCI_COMMON_GFSELECT, 4},  {VIRTIO_PCI_COMMON_GF, 4},
    {VIRTIO_PCI_COMMON_MSIX, 2},      {VIRTIO_PCI_COMMON_NUMQ, 2},
    {VIRTIO_PCI_COMMON_STATUS, 1},    {VIRTIO_PCI_COMMON_CFGGENERATION, 1},
    {VIRTIO_PCI_COMMON_Q_SELECT, 2},  {VIRTIO_PCI_COMMON_Q_SIZE, 2},
    {VIRTIO_PCI_COMMON_Q_MSIX, 2},    {VIRTIO_PCI_COMMON_Q_ENABLE, 2},
    {VIRTIO_PCI_COMMON_Q_NOFF, 2},    {VIRTIO_PCI_COMMON_Q_DESCLO, 8},
    {VIRTIO_PCI_COMMON_Q_AVAILLO, 8}, {VIRTIO_PCI_COMMON_Q_USEDLO, 8},
};

/* The field that holds all of [off, off+size), or NULL. */
static const struct field *field_at(u64 off, unsigned size)
{
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
        if (off >= fields[i].at && off + size <= fields[i].at + fields[i].size)
            return &fields[i];
    return NULL;
}

static u64 field_read(struct virtio *v, const struct field *f)
{
    if (f->at < VIRTIO_PCI_COMMON_Q_SIZE)
        return common_read(v, f->at);
    const struct virtqueue *vq = selected(v);
    return vq ? queue_read(v, vq, f->at) : 0; /* size 0: there is no such queue */
}

static void field_write(struct virtio *v, const struct field *f, u64 off, unsigned size, u64 value)
{
    unsigned shift = 8 * (unsigned)(off - f->at);
    struct virtqueue *vq = selected(v);
    if (size != f->size && !(f->size == 8 && size == 4 && shift % 32 == 0))
        return;
    if (size != f->size) /* the other half stays */
        value = (field_read(v, f) & ~(0xffffffffull << shift)) | (value & 0xffffffff) << shift;
    if (f->at < VIRTIO_PCI_COMMON_Q_SIZE)
        common_write(v, f->at, value);
    else if (vq)
        queue_write(v, vq, f->at, value);
}

/* --- the BAR --- */

static u64 device_config_read(const struct virtio *v, u64 off, unsigned size)
{
    u64 value = 0;
    for (unsigned i = 0; i < size && off + i < v->ops->config_len; i++)
        value |= (u64)v->config[off + i] << (8 * i);
    return value;
}

/* 4.1.4.5: reading acknowledges. */
static u64 isr_read(struct virtio *v)
{
    u8 isr = v->isr;
    v->isr = 0;
    pci_intx_set(&v->pci, 0);
    return isr;
}

static u64 bar_read(void *dev, u64 off, unsigned size)
{
    struct virtio *v = dev;
    const struct field *f;
    switch (off & ~0xfffull) {
    case COMMON:
        f = field_at(off, size);
        return f ? field_read(v, f) >> (8 * (off - f->at)) : 0;
    case ISR:
        return off == ISR ? isr_read(v) : 0;
    case DEVICE:
        return device_config_read(v, off - DEVICE, size);
    default:
        return 0;
    }
}

static void notify(struct virtio *v, u64 off)
{
    unsigned q = (unsigned)(off / NOTIFY_STEP);
    if (off % NOTIFY_STEP == 0 && q < v->queues)
        virtio_notified(v, q);
}

u64 virtio_notify_address(const struct virtio *v, unsigned q)
{
    u64 at = v->pci.bars[REGISTERS_BAR].mapped;
    return at ? at + NOTIFY + (u64)NOTIFY_STEP * q : 0;
}

static void bar_write(void *dev, u64 off, unsigned size, u64 value)
{
    struct virtio *v = dev;
    const struct field *f;
    switch (off & ~0xfffull) {
    case COMMON:
        f = field_at(off, size);
        if (f)
            field_write(v, f, off, size, value);
        break;
    case DEVICE:
        if (v->ops->config_write && off - DEVICE + size <= v->ops->config_len)
            v->ops->config_write(v, (unsigned)(off - DEVICE), size, (u32)value);
        break;
    case NOTIFY:
        notify(v, off - NOTIFY);
        break;
    default:
        break;
    }
}

static const struct region_ops bar_ops = {.read = bar_read, .write = bar_write, .max_size = 4};

/* --- configuration space: the window, and Bus Master --- */

/* Where the window points, if the guest has set it up properly (4.1.4.9.2). */
static bool window(const struct virtio *v, u32 *off, u32 *len)
{
    const u8 *cap = v->pci.config + v->window_cap;
    *off = (u32)load_le(cap + CAP_OFFSET, 4);
    *len = (u32)load_le(cap + CAP_LENGTH, 4);
    return cap[CAP_BAR] == REGISTERS_BAR && (*len == 1 || *len == 2 || *len == 4) && *off % *len == 0 &&
           *off < BAR_SIZE;
}

static bool in_window(const struct virtio *v, unsigned off, unsigned size)
{
    unsigned data = v->window_cap + CAP_DATA;
    return off < data + 4 && data < off + size;
}

static void config_read(struct pci_function *pci, unsigned off, unsigned size)
{
    struct virtio *v = (struct virtio *)pci;
    u32 at, len;
    if (in_window(v, off, size) && window(v, &at, &len))
        store_le(pci->config + v->window_cap + CAP_DATA, len, bar_read(v, at, len));
}

static void config_written(struct pci_function *pci, unsigned off, unsigned size)
{
    struct virtio *v = (struct virtio *)pci;
    u32 at, len;
    if (in_window(v, off, size) && window(v, &at, &len))
        bar_write(v, at, len, load_le(pci->config + v->window_cap + CAP_DATA, len));
    virtio_doorbells_update(v);
    if (off <= PCI_COMMAND && PCI_COMMAND < off + size) /* requests may have waited for Bus Master */
        virtio_kick_all(v);
}

const struct pci_function_ops *virtio_pci_function_ops(void)
{
    static const struct pci_function_ops ops = {.config_read = config_read, .config_written = config_written};
    return &ops;
}

static u8 add_cap(struct virtio *v, u8 type, u32 off, u32 len, unsigned extra)
{
    u8 body[18] = {0};
    body[0] = (u8)(16 + extra);
    body[1] = type;
    body[2] = REGISTERS_BAR;
    store_le(body + CAP_OFFSET - 2, 4, off);
    store_le(body + CAP_LENGTH - 2, 4, len);
    if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
        store_le(body + CAP_DATA - 2, 4, NOTIFY_STEP);
    return pci_add_cap(&v->pci, PCI_CAP_ID_VNDR, body, 14 + extra);
}

void virtio_pci_setup(struct virtio *v)
{
    pci_add_bar(&v->pci, REGISTERS_BAR, BAR_SIZE, false, true, &bar_ops, v);
    pci_add_msix(&v->pci, MSIX_BAR, v->queues + 1u);
    add_cap(v, VIRTIO_PCI_CAP_COMMON_CFG, COMMON, 56, 0);
    add_cap(v, VIRTIO_PCI_CAP_ISR_CFG, ISR, 1, 0);
    if (v->ops->config_len)
        add_cap(v, VIRTIO_PCI_CAP_DEVICE_CFG, DEVICE, v->ops->config_len, 0);
    add_cap(v, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY, NOTIFY_STEP * v->queues, 4);
    v->window_cap = add_cap(v, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 4);
    u8 *w = v->pci.writable + v->window_cap;
    w[CAP_BAR] = 0xff;
    memset(w + CAP_OFFSET, 0xff, 12);
}
