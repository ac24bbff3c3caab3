/* SPDX-License-Identifier: MIT */
/*
 * The board: a q35-like PC. board_build() is the whole wiring, top to bottom; read it first.
 *
 * Order matters twice. Interrupt controllers are built before what is wired to them, so that devices can be
 * reset and freed in the reverse order while their lines still lead somewhere; and IRQ lines point into
 * `struct isa_irq`, so the board never moves.
 */
#include "vm/board.h"

#include <stdlib.h>

#include "dev/chip/acpi_pm.h"
#include "dev/chip/debug_exit.h"
#include "dev/chip/fw_cfg.h"
#include "dev/chip/hpet.h"
#include "dev/chip/i8042.h"
#include "dev/chip/i8254.h"
#include "dev/chip/i8259.h"
#include "dev/chip/ioapic.h"
#include "dev/chip/mc146818.h"
#include "dev/chip/pvpanic.h"
#include "dev/chip/testdev.h"
#include "dev/pci/pci_testdev.h"
#include "dev/virtio/virtio_balloon.h"
#include "dev/virtio/virtio_blk.h"
#include "dev/virtio/virtio_mem.h"
#include "dev/virtio/virtio_net.h"
#include "dev/virtio/virtio_rng.h"

_Static_assert(PCI_ECAM_BASE == ECAM_BASE && PCI_ECAM_SIZE == ECAM_SIZE,
               "ACPI and the host bridge agree on ECAM");

/* Puts a new device on the board's list. NULL passes through: the constructor has set err. */
static struct dev *own(struct board *b, struct dev *d)
{
    bug_on(b->device_count == BOARD_DEVICES_MAX, "more than %d devices", BOARD_DEVICES_MAX);
    if (d)
        b->device[b->device_count++] = d;
    return d;
}

static int build_lapics(struct board *b, const struct board_config *cfg, struct err *err)
{
    b->lapics = lapic_bus_new(b->env, cfg->current_lapic, cfg->current_opaque, err);
    b->lapic = calloc(cfg->cpus, sizeof(*b->lapic));
    if (!b->lapics || !b->lapic)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for local APICs");
    b->env->msi = lapic_bus_msi(b->lapics);
    for (unsigned i = 0; i < cfg->cpus; i++) {
        struct lapic_config lc = {
            .id = i,
            .bootstrap = i == 0,
            .x2apic = model_has(cfg->model, FEAT_X2APIC),
            .tsc_deadline = model_has(cfg->model, FEAT_TSC_DEADLINE),
            .phys_bits = cfg->model->phys_bits,
            .tsc_hz = cfg->model->tsc_hz,
        };
        b->lapic[i] = lapic_new(b->env, b->lapics, &lc, cfg->cpu[i], err);
        if (!b->lapic[i])
            return -1;
        b->lapic_count++;
    }
    return 0;
}

static void repeatable_random(void *opaque, void *buf, size_t len)
{
    u64 *state = opaque;
    for (u8 *p = buf; len--; p++) {
        *state = *state * 6364136223846793005ull + 1442695040888963407ull;
        *p = *state >> 56;
    }
}

static int build_pci(struct board *b, const struct board_config *cfg, struct err *err)
{
    struct pci_host_config host;
    for (unsigned i = 0; i < 4; i++) {
        host.intx[i] = ioapic_line(b->ioapic, PCI_GSI_BASE + i);
        host.intx_irq[i] = PCI_GSI_BASE + i;
    }
    b->pci = pci_bus_new(b->env, &host, err);
    if (!b->pci)
        return -1;
    own(b, pci_bus_dev(b->pci));
    if (!own(b, pci_host_bridge_new(b->env, b->pci, err)) ||
        !own(b, pci_lpc_new(b->env, b->pci, ACPI_PM_BASE, err)))
        return -1;
    b->next_slot = 1;
    b->random_state = 1;
    struct random_source seeded = {repeatable_random, &b->random_state};
    if (!own(b, virtio_rng_new(b->env, b->pci, b->next_slot++, cfg->repeatable ? &seeded : NULL, err)))
        return -1;
    struct console_out out = console_virtio_out(&b->console);
    b->console.virtio = own(b, virtio_console_new(b->env, b->pci, b->next_slot++, &out, err));
    if (!b->console.virtio)
        return -1;
    b->balloon = own(b, virtio_balloon_new(b->env, b->pci, b->next_slot++, &cfg->balloon, err));
    if (!b->balloon || !cfg->map->blocks_size)
        return b->balloon ? 0 : -1;
    b->blocks = own(b, virtio_mem_new(b->env, b->pci, b->next_slot++, cfg->map->blocks_base,
                                      cfg->map->blocks_size, &cfg->blocks, err));
    return b->blocks ? 0 : -1;
}

static int build_test_devices(struct board *b, const struct board_config *cfg, struct err *err)
{
    struct fw_cfg_values v = {.cpus = cfg->cpus, .max_cpus = cfg->cpus, .ram_size = cfg->memory};
    if (!cfg->test_devices)
        return 0;
    return own(b, debug_exit_new(b->env, err)) && own(b, testdev_new(b->env, &b->isa, err)) &&
                   own(b, fw_cfg_new(b->env, &v, err)) &&
                   own(b, pci_testdev_new(b->env, b->pci, b->next_slot++, err))
               ? 0
               : -1;
}

int board_build(struct board *b, struct dev_env *env, const struct board_config *cfg, struct err *err)
{
    b->env = env;

    /* Interrupts: 8259 -> LINT0 of the bootstrap processor; I/O APIC -> MSIs -> local APICs. */
    bool own_lapics = !cfg->msi.send;
    env->msi = cfg->msi;
    if (own_lapics && build_lapics(b, cfg, err))
        return -1;
    b->pic = own(b, i8259_new(env, own_lapics ? lapic_lint(b->lapic[0], 0) : cfg->extint, err));
    b->ioapic = own(b, ioapic_new(env, 0, err));
    if (!b->pic || !b->ioapic)
        return -1;
    if (own_lapics) {
        lapic_connect_pic(b->lapic[0], i8259_pending, i8259_acknowledge, b->pic);
        lapic_bus_on_eoi(b->lapics, ioapic_eoi, b->ioapic);
    }
    isa_irq_init(&b->isa, i8259_line(b->pic, 0), ioapic_line(b->ioapic, 0));

    /* Time. */
    if (!own(b, i8254_new(env, isa_irq_line(&b->isa, 0), err)) ||
        !own(b, hpet_new(env, &b->isa, ioapic_line(b->ioapic, 0), err)) ||
        !own(b, mc146818_new(env, isa_irq_line(&b->isa, 8), cfg->map->low_end,
                             cfg->map->high_end - HIGH_RAM_BASE, err)))
        return -1;

    /* Console, power and what a PC must have. */
    console_init(&b->console, cfg->serial);
    b->console.uart = own(b, uart_new(env, COM1_PORT, 0, isa_irq_line(&b->isa, COM1_IRQ),
                                      console_uart_backend(&b->console), err));
    b->pm = own(b, acpi_pm_new(env, isa_irq_line(&b->isa, ACPI_SCI_IRQ), err));
    if (!b->console.uart || !b->pm ||
        !own(b, i8042_new(env, isa_irq_line(&b->isa, 1), isa_irq_line(&b->isa, 12), err)) ||
        !own(b, pvpanic_new(env, err)))
        return -1;

    if (build_pci(b, cfg, err))
        return -1;
    return build_test_devices(b, cfg, err);
}

void board_free(struct board *b)
{
    while (b->device_count) {
        struct dev *d = b->device[--b->device_count];
        d->class->destroy(d);
    }
    while (b->lapic_count) {
        struct dev *d = b->lapic[--b->lapic_count];
        d->class->destroy(d);
    }
    free(b->lapic);
    if (b->lapics)
        lapic_bus_free(b->lapics);
    *b = (struct board){0};
}

/* 0: none is left. */
static unsigned take_slot(struct board *b, struct err *err)
{
    if (b->next_slot < 31)
        return b->next_slot++;
    err_set(err, EXIT_STATUS_USAGE, "no PCI slot is left; give fewer disks and network cards");
    return 0;
}

int board_add_disk(struct board *b, struct block *disk, struct err *err)
{
    unsigned slot = take_slot(b, err);
    return slot && own(b, virtio_blk_new(b->env, b->pci, slot, disk, NULL, err)) ? 0 : -1;
}

int board_add_net(struct board *b, struct net_port *port, const u8 mac[6], struct err *err)
{
    unsigned slot = take_slot(b, err);
    return slot && own(b, virtio_net_new(b->env, b->pci, slot, port, mac, err)) ? 0 : -1;
}

static void reset_one(struct dev *d)
{
    if (!d->class->reset)
        return;
    dev_lock(d);
    d->class->reset(d);
    dev_unlock(d);
}

int board_reset(struct board *b, struct err *err)
{
    static const struct pci_windows windows = {.mem = {MMIO32_BASE, MMIO32_END}, .io = {0xc000, 0x10000}};
    for (unsigned i = b->device_count; i--;)
        reset_one(b->device[i]);
    for (unsigned i = 0; i < b->lapic_count; i++)
        reset_one(b->lapic[i]);
    isa_irq_set_hpet_legacy(&b->isa, false);
    if (b->lapic_count)
        lapic_virtual_wire(b->lapic[0]);
    return pci_bus_assign(b->pci, &windows, err);
}

void board_each(struct board *b, void (*fn)(struct dev *d, void *arg), void *arg)
{
    /* Controllers last: restoring a device may move its lines, and the controllers' saved state then stands.
     */
    for (unsigned i = b->device_count; i--;)
        fn(b->device[i], arg);
    for (unsigned i = 0; i < b->lapic_count; i++)
        fn(b->lapic[i], arg);
}
