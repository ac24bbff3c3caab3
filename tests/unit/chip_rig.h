/* SPDX-License-Identifier: MIT */
/*
 * A board with every chip on it, two processors that are only local APICs, and a clock moved by hand. For the
 * chips' tests and their fuzzer. `current` is the processor whose accesses follow.
 */
#ifndef TESTS_UNIT_CHIP_RIG_H
#define TESTS_UNIT_CHIP_RIG_H

#include <stdlib.h>

#include "dev/chip/acpi_pm.h"
#include "dev/chip/debug_exit.h"
#include "dev/chip/fw_cfg.h"
#include "dev/chip/hpet.h"
#include "dev/chip/i8042.h"
#include "dev/chip/i8254.h"
#include "dev/chip/i8259.h"
#include "dev/chip/ioapic.h"
#include "dev/chip/isa_irq.h"
#include "dev/chip/lapic.h"
#include "dev/chip/mc146818.h"
#include "dev/chip/pvpanic.h"
#include "dev/chip/testdev.h"
#include "dev/chip/uart16550.h"

enum { RIG_CPUS = 2, RIG_DEVICES = 15, RIG_RAM = 1 << 20 };
#define RIG_TSC_HZ  2000000000u
#define RIG_WALL_NS (1700000000ull * 1000000000u) /* 2023-11-14 22:13:20 UTC */

struct rig_cpu {
    struct rig *rig;
    struct dev *lapic;
    unsigned signals; /* since rig_signals() */
};

struct rig {
    struct dev_env env;
    struct lapic_bus *bus;
    struct isa_irq isa;
    struct rig_cpu cpu[RIG_CPUS];
    unsigned current;
    struct dev *i8259, *ioapic, *pit, *rtc, *hpet, *pm, *uart, *kbd, *fw_cfg;
    struct dev *all[RIG_DEVICES];
    unsigned devices;
    int power, code, requests; /* what was asked of the machine, last and how often */
    char sent[256];            /* by the serial port */
    unsigned sent_len, rx_ready;
};

static inline void rig_signal(void *opaque, unsigned what)
{
    __atomic_fetch_or(&((struct rig_cpu *)opaque)->signals, what, __ATOMIC_RELAXED);
}

static inline unsigned rig_signals(struct rig *r, unsigned cpu)
{
    unsigned s = r->cpu[cpu].signals;
    r->cpu[cpu].signals = 0;
    return s;
}

static inline struct dev *rig_current(void *opaque)
{
    struct rig *r = opaque;
    return r->current < RIG_CPUS ? r->cpu[r->current].lapic : NULL;
}

static inline void rig_power(void *opaque, enum power_request what, int code)
{
    struct rig *r = opaque;
    r->power = what;
    r->code = code;
    r->requests++;
}

static inline void rig_tx(void *opaque, u8 byte)
{
    struct rig *r = opaque;
    r->sent[r->sent_len++ % sizeof r->sent] = byte;
}

static inline void rig_rx_ready(void *opaque)
{
    ((struct rig *)opaque)->rx_ready++;
}

static inline struct dev *rig_keep(struct rig *r, struct dev *d)
{
    bug_on(!d || r->devices == RIG_DEVICES, "a chip of the test board");
    return r->all[r->devices++] = d;
}

static inline void rig_add_cpus(struct rig *r)
{
    for (unsigned n = 0; n < RIG_CPUS; n++) {
        struct lapic_config c = {.id = n,
                                 .bootstrap = n == 0,
                                 .x2apic = true,
                                 .tsc_deadline = true,
                                 .phys_bits = 40,
                                 .tsc_hz = RIG_TSC_HZ};
        r->cpu[n].rig = r;
        r->cpu[n].lapic =
            rig_keep(r, lapic_new(&r->env, r->bus, &c,
                                  (struct lapic_cpu){.signal = rig_signal, .opaque = &r->cpu[n]}, NULL));
    }
}

static inline void rig_add_controllers(struct rig *r)
{
    r->i8259 = rig_keep(r, i8259_new(&r->env, lapic_lint(r->cpu[0].lapic, 0), NULL));
    lapic_connect_pic(r->cpu[0].lapic, i8259_pending, i8259_acknowledge, r->i8259);
    r->ioapic = rig_keep(r, ioapic_new(&r->env, 0, NULL));
    lapic_bus_on_eoi(r->bus, ioapic_eoi, r->ioapic);
    isa_irq_init(&r->isa, i8259_line(r->i8259, 0), ioapic_line(r->ioapic, 0));
}

static inline struct rig *rig_new(void)
{
    struct rig *r = calloc(1, sizeof *r);
    r->env = (struct dev_env){.memory = space_new(1ull << 40), .ports = space_new(0x10000)};
    r->env.clock = clock_new(CLOCK_MODE_ICOUNT, RIG_WALL_NS);
    r->env.power = (struct power_port){.request = rig_power, .opaque = r};
    bug_on(space_add_ram(r->env.memory, 0, RIG_RAM, NULL), "the test board's RAM");
    r->bus = lapic_bus_new(&r->env, rig_current, r, NULL);
    r->env.msi = lapic_bus_msi(r->bus);
    rig_add_cpus(r);
    rig_add_controllers(r);
    r->pit = rig_keep(r, i8254_new(&r->env, isa_irq_line(&r->isa, 0), NULL));
    r->rtc = rig_keep(r, mc146818_new(&r->env, isa_irq_line(&r->isa, 8), 512 * MIB, GIB, NULL));
    r->hpet = rig_keep(r, hpet_new(&r->env, &r->isa, ioapic_line(r->ioapic, 0), NULL));
    r->pm = rig_keep(r, acpi_pm_new(&r->env, isa_irq_line(&r->isa, ACPI_SCI_IRQ), NULL));
    struct uart_backend b = {.tx = rig_tx, .rx_ready = rig_rx_ready, .opaque = r};
    r->uart = rig_keep(r, uart_new(&r->env, 0x3f8, 0, isa_irq_line(&r->isa, 4), b, NULL));
    r->kbd = rig_keep(r, i8042_new(&r->env, isa_irq_line(&r->isa, 1), isa_irq_line(&r->isa, 12), NULL));
    rig_keep(r, pvpanic_new(&r->env, NULL));
    rig_keep(r, debug_exit_new(&r->env, NULL));
    rig_keep(r, testdev_new(&r->env, &r->isa, NULL));
    struct fw_cfg_values v = {.cpus = 2, .max_cpus = 4, .ram_size = RIG_RAM};
    r->fw_cfg = rig_keep(r, fw_cfg_new(&r->env, &v, NULL));
    return r;
}

static inline void rig_free(struct rig *r)
{
    while (r->devices) {
        struct dev *d = r->all[--r->devices];
        d->class->destroy(d);
    }
    lapic_bus_free(r->bus);
    clock_free(r->env.clock);
    space_free(r->env.memory);
    space_free(r->env.ports);
    free(r);
}

static inline void rig_reset(struct rig *r)
{
    for (unsigned n = 0; n < r->devices; n++) {
        dev_lock(r->all[n]);
        r->all[n]->class->reset(r->all[n]);
        dev_unlock(r->all[n]);
    }
}

/* Lets time pass, stopping at every deadline on the way. */
static inline void rig_advance(struct rig *r, u64 ns)
{
    struct clock *c = r->env.clock;
    u64 end = clock_now(c) + ns;
    while (clock_next(c) <= end) {
        if (clock_next(c) > clock_now(c))
            clock_advance(c, clock_next(c) - clock_now(c));
        clock_run_due(c);
    }
    clock_advance(c, end - clock_now(c));
}

static inline u64 rig_in(struct rig *r, u16 port, unsigned size)
{
    u64 v = size_mask(size);
    space_io_read(r->env.ports, port, size, &v);
    return v;
}

static inline u8 inb(struct rig *r, u16 port)
{
    return rig_in(r, port, 1);
}

static inline void rig_out(struct rig *r, u16 port, unsigned size, u64 v)
{
    space_io_write(r->env.ports, port, size, v);
}

static inline void outb(struct rig *r, u16 port, u8 v)
{
    rig_out(r, port, 1, v);
}

static inline u64 rig_read(struct rig *r, u64 gpa, unsigned size)
{
    u64 v = size_mask(size);
    space_io_read(r->env.memory, gpa, size, &v);
    return v;
}

static inline void rig_write(struct rig *r, u64 gpa, unsigned size, u64 v)
{
    space_io_write(r->env.memory, gpa, size, v);
}

/* Both PICs at vectors 0x20 and 0x28, everything unmasked; LINT0 as ExtINT. */
static inline void rig_start_pics(struct rig *r)
{
    static const u8 words[2][4] = {{0x11, 0x20, 4, 1}, {0x11, 0x28, 2, 1}};
    lapic_virtual_wire(r->cpu[0].lapic);
    for (unsigned n = 0; n < 2; n++) {
        u16 port = n ? 0xa0 : 0x20;
        outb(r, port, words[n][0]);
        for (unsigned k = 1; k < 4; k++)
            outb(r, port + 1, words[n][k]);
        outb(r, port + 1, 0);
    }
}

/* The vector of the 8259's next interrupt, ended at once; -1 if none. */
static inline int rig_take_pic(struct rig *r)
{
    int v = i8259_acknowledge(r->i8259);
    if (v >= 0x28)
        outb(r, 0xa0, 0x20);
    if (v >= 0)
        outb(r, 0x20, 0x20);
    return v;
}

#endif
