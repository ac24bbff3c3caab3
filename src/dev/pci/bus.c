/* SPDX-License-Identifier: MIT */
/*
 * The root bus: configuration mechanism #1 (PCI 3.0 3.2.2.3.2), ECAM (PCIe 7.2.2), the INTx wires, the reset
 * control register at port 0xcf9, and address assignment for machines without firmware.
 *
 * ECAM is moved by the host bridge from within a configuration access, that is with the bus's and the
 * bridge's locks held. The region's callback needs the same bus lock, so a move and an access never mix.
 */
#include "dev/pci/bus.h"

#include <linux/pci_regs.h>
#include <stdlib.h>

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc
#define ADDRESS_ON   BIT(31)

static u32 config_read(struct pci_bus *bus, unsigned bus_no, unsigned devfn, unsigned off, unsigned size)
{
    struct pci_function *f = bus_no == 0 ? bus->function[devfn] : NULL;
    if (!f)
        return (u32)size_mask(size);
    dev_lock(&f->dev);
    u32 v = pci_function_config_read(f, off, size);
    dev_unlock(&f->dev);
    return v;
}

static void config_write(struct pci_bus *bus, unsigned bus_no, unsigned devfn, unsigned off, unsigned size,
                         u32 value)
{
    struct pci_function *f = bus_no == 0 ? bus->function[devfn] : NULL;
    if (!f)
        return;
    dev_lock(&f->dev);
    pci_function_config_write(f, off, size, value);
    dev_unlock(&f->dev);
}

/* --- ports --- */

/* Only whole dwords reach CONFIG_ADDRESS; byte 1 alone is the reset control register (ICH9 13.7.5). */
static u64 address_read(void *dev, u64 off, unsigned size)
{
    struct pci_bus *bus = dev;
    if (size == 4 && off == 0)
        return bus->address;
    if (size == 1 && off == 1)
        return bus->reset_control;
    return size_mask(size);
}

static void address_write(void *dev, u64 off, unsigned size, u64 value)
{
    struct pci_bus *bus = dev;
    if (size == 4 && off == 0)
        bus->address = (u32)value & 0x80fffffc;
    if (size != 1 || off != 1)
        return;
    bool rising = !(bus->reset_control & 4) && (value & 4);
    bus->reset_control = value & 0x0e;
    if (rising)
        bus->dev.env->power.request(bus->dev.env->power.opaque, POWER_RESET, 0);
}

static u64 data_read(void *dev, u64 off, unsigned size)
{
    struct pci_bus *bus = dev;
    u32 a = bus->address;
    if (!(a & ADDRESS_ON) || (off & 3) + size > 4)
        return size_mask(size);
    return config_read(bus, bits(a, 23, 16), bits(a, 15, 8), (a & 0xfc) + (off & 3), size);
}

static void data_write(void *dev, u64 off, unsigned size, u64 value)
{
    struct pci_bus *bus = dev;
    u32 a = bus->address;
    if ((a & ADDRESS_ON) && (off & 3) + size <= 4)
        config_write(bus, bits(a, 23, 16), bits(a, 15, 8), (a & 0xfc) + (off & 3), size, (u32)value);
}

static const struct region_ops address_ops = {.read = address_read, .write = address_write, .max_size = 4};
static const struct region_ops data_ops = {.read = data_read, .write = data_write, .max_size = 4};

/* --- ECAM --- */

/* Bytes 256..4095 of a function: extended capabilities, of which there are none; the header reads as zero. */
static u64 ecam_read(void *dev, u64 off, unsigned size)
{
    unsigned reg = off & 0xfff;
    if ((off & 3) + size > 4)
        return size_mask(size);
    if (reg >= 256)
        return bits(off, 27, 20) == 0 && ((struct pci_bus *)dev)->function[bits(off, 19, 12)]
                   ? 0
                   : size_mask(size);
    return config_read(dev, bits(off, 27, 20), bits(off, 19, 12), reg, size);
}

static void ecam_write(void *dev, u64 off, unsigned size, u64 value)
{
    unsigned reg = off & 0xfff;
    if ((off & 3) + size <= 4 && reg < 256)
        config_write(dev, bits(off, 27, 20), bits(off, 19, 12), reg, size, (u32)value);
}

static const struct region_ops ecam_ops = {.read = ecam_read, .write = ecam_write, .max_size = 4};

void pci_bus_move_ecam(struct pci_bus *bus, u64 base)
{
    struct space *memory = bus->dev.env->memory;
    if (base == bus->ecam)
        return;
    if (bus->ecam)
        space_remove_region(memory, bus->ecam, bus);
    bus->ecam = base && dev_map(&bus->dev, memory, base, PCI_ECAM_SIZE, &ecam_ops) == 0 ? base : 0;
    pci_bus_addresses_freed(bus, NULL);
}

/* --- functions and wires --- */

int pci_bus_attach(struct pci_bus *bus, struct pci_function *f)
{
    if (bus->function[f->devfn])
        return -1;
    bus->function[f->devfn] = f;
    return 0;
}

void pci_bus_detach(struct pci_bus *bus, struct pci_function *f)
{
    if (bus->function[f->devfn] == f)
        bus->function[f->devfn] = NULL;
}

void pci_bus_addresses_freed(struct pci_bus *bus, const struct pci_function *by)
{
    for (unsigned i = 0; i < ARRAY_SIZE(bus->function); i++) {
        struct pci_function *f = bus->function[i];
        if (!f || f == by || !pci_function_waits(f))
            continue;
        dev_lock(&f->dev);
        pci_function_map(f);
        dev_unlock(&f->dev);
    }
}

unsigned pci_wire_of(const struct pci_function *f)
{
    unsigned pin = f->initial[PCI_INTERRUPT_PIN];
    return ((f->devfn >> 3) + pin - 1) & 3;
}

/* The wire is open drain: it is asserted while anybody asserts it. */
void pci_wire_drive(struct pci_function *f, int level)
{
    struct pci_bus *bus = f->bus;
    unsigned wire = pci_wire_of(f);
    pthread_mutex_lock(&bus->wire_lock);
    u32 before = bus->wire_count[wire];
    bus->wire_count[wire] += level ? 1 : -1;
    if (!before != !bus->wire_count[wire])
        irq_set(&bus->cfg.intx[wire], level);
    pthread_mutex_unlock(&bus->wire_lock);
}

/* --- the device --- */

static void bus_reset(struct dev *d)
{
    struct pci_bus *bus = (struct pci_bus *)d;
    bus->address = 0;
    bus->reset_control = 0;
}

static void bus_destroy(struct dev *d)
{
    struct pci_bus *bus = (struct pci_bus *)d;
    pci_bus_move_ecam(bus, 0);
    space_remove_region(d->env->ports, PORT_ADDRESS, bus);
    space_remove_region(d->env->ports, PORT_DATA, bus);
    pthread_mutex_destroy(&bus->wire_lock);
    dev_fini(d);
    free(bus);
}

static const struct state_field bus_fields[] = {
    STATE_FIELD(struct pci_bus, address),
    STATE_FIELD(struct pci_bus, reset_control),
    STATE_END,
};

static const struct state_desc bus_state = {.name = "pci-bus", .fields = bus_fields};

static const struct dev_class bus_class = {
    .name = "pci-bus",
    .reset = bus_reset,
    .destroy = bus_destroy,
    .state = &bus_state,
};

struct pci_bus *pci_bus_new(const struct dev_env *env, const struct pci_host_config *cfg, struct err *err)
{
    struct pci_bus *bus = calloc(1, sizeof(*bus));
    if (!bus) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for the PCI bus");
        return NULL;
    }
    dev_init(&bus->dev, &bus_class, env, 0);
    pthread_mutex_init(&bus->wire_lock, NULL);
    bus->cfg = *cfg;
    if (dev_map(&bus->dev, env->ports, PORT_ADDRESS, 4, &address_ops) < 0 ||
        dev_map(&bus->dev, env->ports, PORT_DATA, 4, &data_ops) < 0) {
        err_set(err, EXIT_STATUS_HOST, "ports 0xcf8..0xcff, the PCI configuration mechanism's, are taken");
        bus_destroy(&bus->dev);
        return NULL;
    }
    return bus;
}

struct dev *pci_bus_dev(struct pci_bus *bus)
{
    return &bus->dev;
}

/* --- what firmware does --- */

static u64 place(struct pci_window *w, u64 size)
{
    u64 at = ALIGN_UP(w->base, size);
    if (at < w->base || at >= w->end || size > w->end - at)
        return 0;
    w->base = at + size;
    return at;
}

static int assign_function(struct pci_function *f, struct pci_windows *w)
{
    u32 command = pci_function_config_read(f, PCI_COMMAND, 2);
    for (unsigned n = 0; n < 6; n++) {
        const struct pci_bar *bar = &f->bars[n];
        unsigned reg = PCI_BASE_ADDRESS_0 + 4 * n;
        if (!bar->size)
            continue;
        u64 at = place(bar->io ? &w->io : &w->mem, bar->size);
        if (!at)
            return -1;
        pci_function_config_write(f, reg, 4, (u32)at);
        if (bar->is64)
            pci_function_config_write(f, reg + 4, 4, (u32)(at >> 32));
        command |= bar->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    }
    pci_function_config_write(f, PCI_COMMAND, 2, command);
    return 0;
}

int pci_bus_assign(struct pci_bus *bus, const struct pci_windows *windows, struct err *err)
{
    struct pci_windows w = *windows;
    int ret = 0;
    dev_lock(&bus->dev);
    for (unsigned i = 0; i < ARRAY_SIZE(bus->function) && ret == 0; i++) {
        struct pci_function *f = bus->function[i];
        if (!f)
            continue;
        dev_lock(&f->dev);
        ret = assign_function(f, &w);
        dev_unlock(&f->dev);
    }
    dev_unlock(&bus->dev);
    return ret < 0
               ? err_set(err, EXIT_STATUS_USAGE, "too many PCI devices for the address windows; remove some")
               : 0;
}
