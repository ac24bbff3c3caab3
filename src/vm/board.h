/* SPDX-License-Identifier: MIT */
/* The devices of a machine and how they are wired. */
#ifndef VM_BOARD_H
#define VM_BOARD_H

#include "cpu/model.h"
#include "dev/chip/isa_irq.h"
#include "dev/chip/lapic.h"
#include "dev/chip/uart16550.h"
#include "dev/dev.h"
#include "dev/pci/pci.h"
#include "dev/virtio/virtio_balloon.h"
#include "dev/virtio/virtio_mem.h"
#include "disk/block.h"
#include "net/port.h"
#include "vm/layout.h"
#include "vm/console.h"

#define BOARD_DEVICES_MAX 64

struct board_config {
    unsigned cpus;
    const struct cpu_model *model;
    const struct memory_map *map;
    u64 memory;
    struct uart_backend serial;
    bool test_devices;
    bool repeatable; /* random numbers from a fixed seed */
    struct balloon_port balloon;
    struct memory_port blocks; /* of the map's range of blocks */
    /* msi.send set: the local APICs are somebody else's, who takes MSIs and the 8259's INT here, and the
     * three fields below are not used. */
    struct msi_sink msi;
    struct irq_line extint;
    /* Whose thread this is: lapic_bus_new(). */
    struct dev *(*current_lapic)(void *opaque);
    void *current_opaque;
    /* The processor behind local APIC i: filled for each before board_build(). */
    const struct lapic_cpu *cpu;
};

struct board {
    struct dev_env *env;
    struct lapic_bus *lapics;
    struct dev **lapic; /* by vCPU number; none when they are somebody else's */
    unsigned lapic_count;
    struct dev *pic, *ioapic, *pm, *balloon;
    struct dev *blocks;     /* virtio-mem; NULL: the map has no range of blocks */
    struct console console; /* COM1 and the virtio console */
    struct isa_irq isa;
    struct pci_bus *pci;
    unsigned next_slot;
    u64 random_state;                      /* of a repeatable run */
    struct dev *device[BOARD_DEVICES_MAX]; /* all but local APICs, in the order of construction */
    unsigned device_count;
};

/* b zeroed. On failure call board_free() as well. Completes env (msi). */
int must_check board_build(struct board *b, struct dev_env *env, const struct board_config *cfg,
                           struct err *err);
void board_free(struct board *b);
int must_check board_add_disk(struct board *b, struct block *disk, struct err *err);
int must_check board_add_net(struct board *b, struct net_port *port, const u8 mac[6], struct err *err);
/* Power-on state, and then what firmware would have done: BARs placed, virtual wire mode. vCPUs at rest. */
int must_check board_reset(struct board *b, struct err *err);
/* Every device with state, local APICs included. */
void board_each(struct board *b, void (*fn)(struct dev *d, void *arg), void *arg);

#endif
