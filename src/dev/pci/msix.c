/* SPDX-License-Identifier: MIT */
/*
 * MSI-X (PCI 3.0 6.8.2): a table of messages and an array of pending bits in one 4 KiB BAR.
 *
 * A vector raised while it or the whole function is masked stays pending and is sent when the last mask
 * falls. A message is a memory write, so it needs Bus Master Enable; without it the message is lost, as the
 * write would be.
 *
 * Where the machine's sink binds messages to eventfds, each vector has one, bound when it is raised and the
 * table says another message than last time.
 */
#include "dev/pci/bus.h"

#include <linux/pci_regs.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TABLE_END(f) (16u * (f)->msix_count)
#define PBA          0x800 /* offset of the pending bits: behind a table of PCI_MSIX_MAX entries */

_Static_assert(16 * PCI_MSIX_MAX <= PBA, "the table overlaps the PBA");
_Static_assert(PCI_MSIX_MAX <= 64, "one u64 of pending bits");

static u16 control(const struct pci_function *f)
{
    return (u16)load_le(f->config + f->msix_cap + PCI_MSIX_FLAGS, 2);
}

bool pci_msix_enabled(const struct pci_function *f)
{
    return f->msix_cap && (control(f) & PCI_MSIX_FLAGS_ENABLE);
}

static bool masked(const struct pci_function *f, unsigned vector)
{
    return (control(f) & PCI_MSIX_FLAGS_MASKALL) ||
           (f->msix_table[4 * vector + 3] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

/* False: the message is to be sent the plain way. */
static bool ring(const struct msi_sink *msi, struct msi_source *s, u64 address, u32 data)
{
    u64 one = 1;
    if (s->fd < 0)
        return false;
    if (!s->bound || s->address != address || s->data != data)
        s->bound = msi->bind(msi->opaque, s, address, data) == 0;
    s->address = address;
    s->data = data;
    return s->bound && write(s->fd, &one, sizeof(one)) == sizeof(one);
}

static void send(struct pci_function *f, unsigned vector, u64 address, u32 data)
{
    const struct msi_sink *msi = &f->dev.env->msi;
    if (f->msix_source && ring(msi, &f->msix_source[vector], address, data))
        return;
    if (msi->send)
        msi->send(msi->opaque, address, data);
}

void pci_msix_raise(struct pci_function *f, unsigned vector)
{
    if (!pci_msix_enabled(f) || vector >= f->msix_count)
        return;
    if (masked(f, vector)) {
        f->msix_pending |= BIT(vector);
        return;
    }
    f->msix_pending &= ~BIT(vector);
    const u32 *e = &f->msix_table[4 * vector];
    if (pci_bus_master(f))
        send(f, vector, (u64)e[1] << 32 | (e[0] & ~3u), e[2]);
}

static void send_pending(struct pci_function *f)
{
    for (unsigned v = 0; v < f->msix_count; v++)
        if ((f->msix_pending & BIT(v)) && !masked(f, v))
            pci_msix_raise(f, v);
}

void pci_msix_control_written(struct pci_function *f)
{
    if (pci_msix_enabled(f))
        send_pending(f);
}

/* The BAR takes dwords and quadwords; anything narrower is undefined by the standard and reads zero here. */
static u64 bar_read(void *dev, u64 off, unsigned size)
{
    struct pci_function *f = dev;
    if (size < 4 || off % 4)
        return 0;
    if (off < TABLE_END(f))
        return f->msix_table[off / 4];
    if (off == PBA || off == PBA + 4)
        return (u32)(f->msix_pending >> (8 * (off - PBA)));
    return 0;
}

static void bar_write(void *dev, u64 off, unsigned size, u64 value)
{
    struct pci_function *f = dev;
    if (size < 4 || off % 4 || off >= TABLE_END(f))
        return;
    bool is_control = off % 16 == 12;
    f->msix_table[off / 4] = is_control ? value & PCI_MSIX_ENTRY_CTRL_MASKBIT : (u32)value;
    if (is_control && pci_msix_enabled(f))
        send_pending(f);
}

static const struct region_ops bar_ops = {.read = bar_read, .write = bar_write, .max_size = 4};

/* Without memory or descriptors for them the messages go the plain way. */
static void open_sources(struct pci_function *f)
{
    if (!f->dev.env->msi.bind || !(f->msix_source = calloc(f->msix_count, sizeof(*f->msix_source))))
        return;
    for (unsigned v = 0; v < f->msix_count; v++)
        f->msix_source[v].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void pci_msix_fini(struct pci_function *f)
{
    for (unsigned v = 0; f->msix_source && v < f->msix_count; v++)
        if (f->msix_source[v].fd >= 0)
            close(f->msix_source[v].fd);
    free(f->msix_source);
}

void pci_add_msix(struct pci_function *f, unsigned bar, unsigned count)
{
    bug_on(count < 1 || count > PCI_MSIX_MAX, "%u vectors", count);
    u8 body[10];
    store_le(body, 2, count - 1);
    store_le(body + 2, 4, bar);
    store_le(body + 6, 4, PBA | bar);
    f->msix_count = (u8)count;
    f->msix_cap = pci_add_cap(f, PCI_CAP_ID_MSIX, body, sizeof(body));
    f->writable[f->msix_cap + PCI_MSIX_FLAGS + 1] = (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
    pci_add_bar(f, bar, 4 * KIB, false, false, &bar_ops, f);
    open_sources(f);
}
