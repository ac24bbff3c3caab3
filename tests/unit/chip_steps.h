/* SPDX-License-Identifier: MIT */
/*
 * One thing that may happen to the test board, chosen by eight bytes. Used with random bytes by the
 * saved-state test and with the fuzzer's bytes by fuzz/chips_fuzz.c. The answer is what the guest or the
 * processor saw.
 */
#ifndef TESTS_UNIT_CHIP_STEPS_H
#define TESTS_UNIT_CHIP_STEPS_H

#include "chip_rig.h"

/* First port and how many follow. */
static const u16 step_ports[][2] = {
    {0x20, 2}, {0xa0, 2},  {0x4d0, 2},   {0x40, 4},   {0x61, 1},  {0x60, 1},
    {0x64, 1}, {0x92, 1},  {0x70, 2},    {0x600, 64}, {0x3f8, 8}, {0x505, 1},
    {0xf4, 4}, {0xe0, 12}, {0x2000, 24}, {0x510, 2},  {0x514, 8},
};
static const u64 step_pages[] = {LAPIC_BASE, IOAPIC_BASE, HPET_BASE, 0xff000000, 0xfed40000};
static const u16 step_msrs[] = {0x1b,  0x6e0, 0x802, 0x808, 0x80b, 0x80f, 0x828,
                                0x830, 0x832, 0x835, 0x838, 0x83e, 0x83f};

static inline u16 step_port(const u8 *b)
{
    const u16 *p = step_ports[b[1] % ARRAY_SIZE(step_ports)];
    return p[0] + b[2] % p[1];
}

/* Mostly a register, sometimes anything in the page. */
static inline u64 step_address(const u8 *b)
{
    static const struct {
        u16 registers, apart;
    } pages[] = {{0x40, 0x10}, {5, 0x10}, {0x2c, 8}, {0x400, 4}, {0x40, 0x10}};
    unsigned n = b[1] % ARRAY_SIZE(step_pages);
    u64 any = (b[2] | b[3] << 8) & 0xfff;
    return step_pages[n] + (b[3] & 0x80 ? any : (u64)b[2] % pages[n].registers * pages[n].apart);
}

static inline u64 step_msr_value(struct rig *r, u32 msr, const u8 *b)
{
    static const u64 bases[] = {0xfee00800, 0xfee00c00, 0xfee00000, 0xfed40800, 0xfee00900, 0x100800};
    if (msr == 0x1b)
        return b[4] & 0x80 ? load_le(b + 3, 5) : bases[b[4] % ARRAY_SIZE(bases)];
    if (msr == 0x6e0)
        return clock_now(r->env.clock) * (RIG_TSC_HZ / 1000000000u) + load_le(b + 4, 3);
    return load_le(b + 4, 4) & (b[3] & 1 ? 0xffffffff : 0xffff);
}

static inline u64 step_msr(struct rig *r, const u8 *b)
{
    struct dev *l = r->cpu[r->current % RIG_CPUS].lapic;
    u32 msr = b[1] & 0x80 ? 0x800 + b[2] % 0x60 : step_msrs[b[1] % ARRAY_SIZE(step_msrs)];
    u64 v = 0;
    if ((b[2] & 0x80) ||
        (msr == 0x1b && (b[7] & 7))) /* a local APIC switched off all the time shows little */
        return lapic_msr_read(l, msr, &v) ? v : ~1ull;
    return lapic_msr_write(l, msr, step_msr_value(r, msr, b));
}

static inline u64 step_processor(struct rig *r, const u8 *b)
{
    struct dev *l = r->cpu[b[2] % RIG_CPUS].lapic;
    switch (b[1] % 8) {
    case 0:
        return lapic_pending(l);
    case 1:
        lapic_set_tpr(l, b[3]);
        return 0;
    case 2:
        return lapic_get_tpr(l) | lapic_take_sipi(l) << 8;
    case 3:
        if (b[3] > 250)
            lapic_init(l);
        return 0;
    case 4:
        r->current = b[2] % (RIG_CPUS + (b[3] > 250));
        return 0;
    case 5:
        if (b[3] > 200)
            lapic_virtual_wire(l);
        lapic_tsc_changed(l);
        return 0;
    default:
        return lapic_acknowledge(l);
    }
}

static inline u64 step_outside(struct rig *r, const u8 *b)
{
    struct irq_line line = isa_irq_line(&r->isa, b[2]);
    switch (b[1] % 8) {
    case 0:
        r->env.msi.send(r->env.msi.opaque, LAPIC_BASE | (load_le(b + 2, 2) << 4 & 0xffffc),
                        load_le(b + 4, 2));
        return 0;
    case 1:
        return uart_receive(r->uart, b, b[2] % 8);
    case 2:
        acpi_pm_gpe(r->pm, b[2]);
        return 0;
    case 3:
        acpi_pm_power_button(r->pm);
        return 0;
    case 4:
        line = lapic_lint(r->cpu[b[2] & 1].lapic, 1);
        break;
    case 5:
        line = ioapic_line(r->ioapic, b[2] % 26);
        break;
    case 6:
        lapic_nmi(r->cpu[b[2] & 1].lapic);
        return 0;
    }
    irq_set(&line, b[3] & 1);
    return 0;
}

static inline u64 step_time(struct rig *r, const u8 *b)
{
    if (b[1] == 0xff) { /* a machine that was kept waiting */
        clock_advance(r->env.clock, 1ull << b[2] % 44);
        clock_run_due(r->env.clock);
    } else {
        rig_advance(r, load_le(b + 2, 4) >> (b[1] % 26 + 6));
    }
    return clock_now(r->env.clock);
}

static inline u64 rig_step(struct rig *r, const u8 b[8])
{
    static const u8 sizes[4] = {1, 2, 4, 8};
    unsigned size = b[3] & 4 ? 4 : sizes[b[3] & 3], port_size = sizes[(b[3] & 3) % 3];
    switch (b[0] % 16) {
    case 0:
    case 1:
        return rig_in(r, step_port(b), port_size);
    case 2:
    case 3:
    case 4:
        rig_out(r, step_port(b), port_size, load_le(b + 4, 4));
        return 0;
    case 5:
    case 6:
        return rig_read(r, step_address(b), size);
    case 7:
    case 8:
        rig_write(r, step_address(b), size, load_le(b + 4, 4) & (b[3] & 0x40 ? 0xffffffff : 0x1ffff));
        return 0;
    case 9:
    case 10:
        return step_msr(r, b);
    case 11:
    case 12:
        return step_processor(r, b);
    case 13:
        return step_outside(r, b);
    default:
        return step_time(r, b);
    }
}

#endif
