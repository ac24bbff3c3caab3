/* SPDX-License-Identifier: MIT */
/*
 * A PCI function's configuration space: masks decide every write (PCI 3.0 6.1, 6.2), then BARs and MSI-X
 * follow.
 *
 * A BAR is decoded while the command register allows its kind and its address is neither zero nor taken: an
 * address where RAM or another device already answers is not decoded until the guest moves it. Nothing in the
 * status register can be set here (no error is ever reported), so it has no write-one-to-clear bits.
 */
#include "dev/pci/bus.h"

#include <linux/pci_regs.h>

static u16 command(const struct pci_function *f)
{
    return (u16)load_le(f->config + PCI_COMMAND, 2);
}

bool pci_bus_master(const struct pci_function *f)
{
    return command(f) & PCI_COMMAND_MASTER;
}

/* --- BARs --- */

/* Where the guest wants BAR n, or 0: nowhere now. */
static u64 bar_wanted(const struct pci_function *f, unsigned n)
{
    const struct pci_bar *bar = &f->bars[n];
    const u8 *reg = f->config + PCI_BASE_ADDRESS_0 + 4 * n;
    if (!(command(f) & (bar->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
        return 0;
    u64 at = load_le(reg, bar->is64 ? 8 : 4) & ~(bar->io ? 3ull : 15ull);
    if (bar->io && at > 0xffff)
        return 0;
    return at;
}

static struct space *bar_space(const struct pci_function *f, const struct pci_bar *bar)
{
    return bar->io ? f->dev.env->ports : f->dev.env->memory;
}

static void bar_unmap(struct pci_function *f, struct pci_bar *bar)
{
    if (bar->mapped)
        space_remove_region(bar_space(f, bar), bar->mapped, bar->opaque);
    bar->mapped = 0;
}

static void bar_map(struct pci_function *f, struct pci_bar *bar, u64 at)
{
    struct region r = {
        .base = at,
        .size = bar->size,
        .ops = bar->ops,
        .dev = bar->opaque,
        .lock = &f->dev.lock,
        .name = f->dev.class->name,
    };
    if (at && space_add_region(bar_space(f, bar), &r) == 0)
        bar->mapped = at;
}

/* First all that go, then all that come: two BARs may change places. True: some address became free. */
static bool update_bars(struct pci_function *f)
{
    bool freed = false;
    for (unsigned n = 0; n < 6; n++) {
        if (!f->bars[n].mapped || f->bars[n].mapped == bar_wanted(f, n))
            continue;
        bar_unmap(f, &f->bars[n]);
        freed = true;
    }
    for (unsigned n = 0; n < 6; n++)
        if (f->bars[n].size && !f->bars[n].mapped)
            bar_map(f, &f->bars[n], bar_wanted(f, n));
    return freed;
}

bool pci_function_waits(const struct pci_function *f)
{
    for (unsigned n = 0; n < 6; n++)
        if (f->bars[n].size && !f->bars[n].mapped && bar_wanted(f, n))
            return true;
    return false;
}

void pci_function_map(struct pci_function *f)
{
    update_bars(f);
}

void pci_add_bar(struct pci_function *f, unsigned n, u64 size, bool io, bool is64,
                 const struct region_ops *ops, void *opaque)
{
    bug_on(n + is64 > 5 || f->bars[n].size || size & (size - 1) || size < (io ? 4 : 16), "BAR %u", n);
    f->bars[n] = (struct pci_bar){.size = size, .ops = ops, .opaque = opaque, .io = io, .is64 = is64};
    unsigned reg = PCI_BASE_ADDRESS_0 + 4 * n;
    f->initial[reg] = io ? PCI_BASE_ADDRESS_SPACE_IO : is64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0;
    store_le(f->writable + reg, is64 ? 8 : 4, ~(size - 1));
    f->writable[PCI_COMMAND] |= io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    memcpy(f->config, f->initial, sizeof(f->config));
}

/* --- configuration accesses --- */

static bool touches(unsigned off, unsigned size, unsigned reg, unsigned len)
{
    return off < reg + len && reg < off + size;
}

/* The wire follows INTx Disable, and is quiet while MSI-X is on (PCI 3.0 6.8.3.3). */
static void update_wire(struct pci_function *f, int level)
{
    level = level && !(command(f) & PCI_COMMAND_INTX_DISABLE) && !pci_msix_enabled(f);
    if (level != (f->intx_level >> 1 & 1)) {
        f->intx_level ^= 2;
        pci_wire_drive(f, level);
    }
}

void pci_intx_set(struct pci_function *f, int level)
{
    if (!f->initial[PCI_INTERRUPT_PIN])
        return;
    f->intx_level = (u8)((f->intx_level & ~1) | !!level);
    f->config[PCI_STATUS] =
        (u8)((f->config[PCI_STATUS] & ~PCI_STATUS_INTERRUPT) | (level ? PCI_STATUS_INTERRUPT : 0));
    update_wire(f, !!level);
}

u32 pci_function_config_read(struct pci_function *f, unsigned off, unsigned size)
{
    if (f->ops && f->ops->config_read)
        f->ops->config_read(f, off, size);
    return (u32)load_le(f->config + off, size);
}

void pci_function_config_write(struct pci_function *f, unsigned off, unsigned size, u32 value)
{
    for (unsigned i = 0; i < size; i++) {
        u8 w = f->writable[off + i];
        f->config[off + i] = (u8)((f->config[off + i] & ~w) | (value >> (8 * i) & w));
    }
    if ((touches(off, size, PCI_COMMAND, 2) || touches(off, size, PCI_BASE_ADDRESS_0, 24)) && update_bars(f))
        pci_bus_addresses_freed(f->bus, f);
    if (f->msix_cap && touches(off, size, f->msix_cap + PCI_MSIX_FLAGS, 2))
        pci_msix_control_written(f);
    update_wire(f, f->intx_level & 1);
    if (f->ops && f->ops->config_written)
        f->ops->config_written(f, off, size);
}

/* --- construction and life --- */

u8 pci_add_cap(struct pci_function *f, u8 id, const void *body, unsigned len)
{
    unsigned at = f->cap_end, end = (unsigned)ALIGN_UP(at + 2 + len, 4);
    bug_on(end > 256, "capability %u of %s does not fit", id, f->dev.class->name);
    f->initial[at + PCI_CAP_LIST_ID] = id;
    memcpy(f->initial + at + 2, body, len);
    f->initial[f->cap_last ? f->cap_last + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST] = (u8)at;
    f->initial[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    f->cap_last = (u8)at;
    f->cap_end = (u8)end;
    memcpy(f->config, f->initial, sizeof(f->config));
    return (u8)at;
}

static void describe(struct pci_function *f, const struct pci_ident *id)
{
    u8 *c = f->initial;
    store_le(c + PCI_VENDOR_ID, 2, id->vendor);
    store_le(c + PCI_DEVICE_ID, 2, id->device);
    store_le(c + PCI_SUBSYSTEM_VENDOR_ID, 2, id->sub_vendor);
    store_le(c + PCI_SUBSYSTEM_ID, 2, id->sub_device);
    store_le(c + PCI_REVISION_ID, 4, id->revision | id->class_code << 8);
    c[PCI_HEADER_TYPE] = id->multifunction ? 0x80 : 0;
    c[PCI_INTERRUPT_PIN] = id->intx_pin;
    f->writable[PCI_CACHE_LINE_SIZE] = 0xff;
    f->writable[PCI_COMMAND] = PCI_COMMAND_MASTER;
    if (id->intx_pin) {
        f->writable[PCI_INTERRUPT_LINE] = 0xff;
        f->writable[PCI_COMMAND + 1] = PCI_COMMAND_INTX_DISABLE >> 8;
        c[PCI_INTERRUPT_LINE] = f->bus->cfg.intx_irq[pci_wire_of(f)];
    }
    memcpy(f->config, f->initial, sizeof(f->config));
}

int pci_function_init(struct pci_function *f, const struct dev_class *class, const struct dev_env *env,
                      struct pci_bus *bus, u8 devfn, const struct pci_ident *id,
                      const struct pci_function_ops *ops, struct err *err)
{
    dev_init(&f->dev, class, env, devfn);
    f->bus = bus;
    f->devfn = devfn;
    f->ops = ops;
    f->cap_end = 0x40;
    describe(f, id);
    if (pci_bus_attach(bus, f) < 0) {
        dev_fini(&f->dev);
        return err_set(err, EXIT_STATUS_HOST, "PCI slot %u.%u has two devices", devfn >> 3, devfn & 7);
    }
    return 0;
}

void pci_function_fini(struct pci_function *f)
{
    for (unsigned n = 0; n < 6; n++)
        bar_unmap(f, &f->bars[n]);
    pci_bus_detach(f->bus, f);
    pci_msix_fini(f);
    dev_fini(&f->dev);
}

void pci_function_reset(struct pci_function *f)
{
    pci_intx_set(f, 0);
    memcpy(f->config, f->initial, sizeof(f->config));
    for (unsigned i = 0; i < PCI_MSIX_MAX; i++) {
        memset(&f->msix_table[4 * i], 0, 12);
        f->msix_table[4 * i + 3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
    }
    f->msix_pending = 0;
    update_bars(f);
}

void pci_function_loaded(struct pci_function *f)
{
    for (unsigned i = 0; i < sizeof(f->config); i++)
        f->config[i] = (u8)((f->config[i] & f->writable[i]) | (f->initial[i] & ~f->writable[i]));
    f->msix_pending &= f->msix_count ? ~0ull >> (64 - f->msix_count) : 0;
    if (update_bars(f))
        pci_bus_addresses_freed(f->bus, f);
    update_wire(f, f->intx_level & 1);
}
