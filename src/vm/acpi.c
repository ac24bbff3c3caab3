/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables. One function a table; `struct area` hands out aligned room and turns offsets into addresses.
 *
 * Register addresses come from the chips' headers and layout.h, never from here: the board wires the same
 * numbers. A table is sealed (length, checksum) when it is whole; nothing may be written to it afterwards.
 */
#include "vm/acpi.h"

#include <stdio.h>

#include "dev/chip/acpi_pm.h"
#include "dev/chip/hpet.h"
#include "dev/chip/ioapic.h"
#include "dev/chip/lapic.h"
#include "dev/chip/pvpanic.h"
#include "vm/aml.h"
#include "vm/layout.h"

/* The PCI host's reset control register, ICH9 13.7.5: full reset. */
enum { PCI_RESET_PORT = 0xcf9, PCI_RESET_FULL = 6 };

enum { CHECKSUM_AT = 9, LENGTH_AT = 4, RSDP_SIZE = 36 };

struct area {
    u8 *data;
    u64 base;
    size_t used, size;
    bool failed;
};

/* A table under construction: bytes appended one field after the other. */
struct table {
    struct area *area;
    size_t start;
};

static void put(struct area *a, unsigned size, u64 value)
{
    if (a->failed || size > a->size - a->used) {
        a->failed = true;
        return;
    }
    memcpy(a->data + a->used, &value, size);
    a->used += size;
}

static void put_text(struct area *a, const char *text, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        put(a, 1, (u8)text[i]);
}

static void put_zero(struct area *a, unsigned count)
{
    while (count--)
        put(a, 1, 0);
}

static void align(struct area *a, unsigned to)
{
    while (!a->failed && (a->base + a->used) % to)
        put(a, 1, 0);
}

/* ACPI 6.4 5.2.6 */
static struct table table_begin(struct area *a, const char *signature, u8 revision)
{
    align(a, 16);
    struct table t = {a, a->used};
    put_text(a, signature, 4);
    put(a, 4, 0);
    put(a, 1, revision);
    put(a, 1, 0);
    put_text(a, "DROSTE", 6);
    put_text(a, "MACHINE ", 8);
    put(a, 4, 1);
    put_text(a, "DRST", 4);
    put(a, 4, 1);
    return t;
}

static u8 checksum(const u8 *p, size_t n)
{
    u8 sum = 0;
    while (n--)
        sum += *p++;
    return -sum;
}

/* Returns the table's address. */
static u64 table_end(struct table t)
{
    struct area *a = t.area;
    if (a->failed)
        return 0;
    size_t len = a->used - t.start;
    store_le(a->data + t.start + LENGTH_AT, 4, len);
    a->data[t.start + CHECKSUM_AT] = checksum(a->data + t.start, len);
    return a->base + t.start;
}

/* Generic address structure, ACPI 6.4 5.2.3.2: access size by the register's width. */
enum { SPACE_MEMORY = 0, SPACE_IO = 1 };

static void put_gas(struct area *a, u8 space, u8 bits_wide, u64 address)
{
    u8 access = bits_wide == 8 ? 1 : bits_wide == 16 ? 2 : 3;
    put(a, 1, address ? space : 0);
    put(a, 1, address ? bits_wide : 0);
    put(a, 1, 0);
    put(a, 1, address && space == SPACE_IO ? access : 0);
    put(a, 8, address);
}

/* ---- DSDT ---- */

static void dsdt_prt(struct aml *d)
{
    /* Slot s, pin p raises wire (s + p) % 4, wires A-D are GSI 16-19: no link devices. ACPI 6.4 6.2.13 */
    aml_name(d, "_PRT");
    size_t table = aml_package(d, 32 * 4);
    for (unsigned slot = 0; slot < 32; slot++)
        for (unsigned pin = 0; pin < 4; pin++) {
            size_t row = aml_package(d, 4);
            aml_int(d, slot << 16 | 0xffff);
            aml_int(d, pin);
            aml_int(d, 0);
            aml_int(d, PCI_GSI_BASE + (slot + pin) % 4);
            aml_close(d, row);
        }
    aml_close(d, table);
}

static void dsdt_pci_windows(struct aml *d, const struct acpi_config *cfg)
{
    size_t crs = aml_resources(d);
    aml_window16(d, AML_BUS, 0, 256);
    aml_io(d, 0xcf8, 8);
    aml_window16(d, AML_IO, 0, 0xcf8);
    aml_window16(d, AML_IO, 0xd00, 0xf300);
    aml_window32(d, MMIO32_BASE, MMIO32_END - MMIO32_BASE);
    aml_window64(d, cfg->mmio64_base, cfg->mmio64_size);
    aml_resources_end(d, crs);
}

static void dsdt_pci(struct aml *d, const struct acpi_config *cfg)
{
    size_t dev = aml_device(d, "PCI0");
    aml_name(d, "_HID");
    aml_eisa_id(d, "PNP0A08");
    aml_name(d, "_CID");
    aml_eisa_id(d, "PNP0A03");
    aml_name(d, "_UID");
    aml_int(d, 0);
    aml_name(d, "_BBN");
    aml_int(d, 0);
    dsdt_pci_windows(d, cfg);
    dsdt_prt(d);
    aml_close(d, dev);
}

/* Ranges that no device may be given: ECAM (Linux believes MCFG only when it finds this) and the PM block. */
static void dsdt_board(struct aml *d)
{
    size_t dev = aml_device(d, "MBRD");
    aml_name(d, "_HID");
    aml_eisa_id(d, "PNP0C02");
    aml_name(d, "_UID");
    aml_int(d, 1);
    size_t crs = aml_resources(d);
    aml_memory32(d, ECAM_BASE, ECAM_SIZE);
    aml_io(d, ACPI_PM_BASE, ACPI_PM_END - ACPI_PM_BASE);
    aml_resources_end(d, crs);
    aml_close(d, dev);
}

struct isa_device {
    const char *name, *id;
    struct {
        u16 base;
        u8 len;
    } io[2];
    int irq; /* -1: none */
};

/* No keyboard: nothing is plugged into the 8042, and a guest told of one waits seconds for its answers. */
static const struct isa_device isa_devices[] = {
    {"COM1", "PNP0501", {{COM1_PORT, 8}}, COM1_IRQ},
    {"RTC", "PNP0B00", {{0x70, 2}}, 8},
    {"PIT", "PNP0100", {{0x40, 4}}, 0},
};

static void dsdt_isa(struct aml *d, const struct isa_device *i)
{
    size_t dev = aml_device(d, i->name);
    aml_name(d, "_HID");
    aml_eisa_id(d, i->id);
    aml_name(d, "_UID");
    aml_int(d, 1);
    size_t crs = aml_resources(d);
    for (unsigned n = 0; n < ARRAY_SIZE(i->io) && i->io[n].len; n++)
        aml_io(d, i->io[n].base, i->io[n].len);
    if (i->irq >= 0)
        aml_irq(d, i->irq);
    aml_resources_end(d, crs);
    aml_close(d, dev);
}

static void dsdt_pvpanic(struct aml *d)
{
    size_t dev = aml_device(d, "PEVT");
    aml_name(d, "_HID");
    aml_string(d, "QEMU0001");
    aml_name(d, "_STA");
    aml_int(d, 0xf);
    size_t crs = aml_resources(d);
    aml_io(d, PVPANIC_PORT, 1);
    aml_resources_end(d, crs);
    aml_close(d, dev);
}

static void dsdt_hpet(struct aml *d)
{
    size_t dev = aml_device(d, "HPET");
    aml_name(d, "_HID");
    aml_eisa_id(d, "PNP0103");
    aml_name(d, "_UID");
    aml_int(d, 0);
    size_t crs = aml_resources(d);
    aml_memory32(d, HPET_BASE, 0x400);
    aml_resources_end(d, crs);
    aml_close(d, dev);
}

static void dsdt_cpus(struct aml *d, unsigned cpus)
{
    for (unsigned i = 0; i < cpus; i++) {
        char name[8];
        snprintf(name, sizeof(name), "C%03X", i & 0xfff);
        size_t dev = aml_device(d, name);
        aml_name(d, "_HID");
        aml_string(d, "ACPI0007");
        aml_name(d, "_UID");
        aml_int(d, i);
        aml_close(d, dev);
    }
}

static u64 build_dsdt(struct area *a, const struct acpi_config *cfg)
{
    struct table t = table_begin(a, "DSDT", 2);
    if (a->failed)
        return 0;
    struct aml d = {.data = a->data + a->used, .cap = a->size - a->used};
    aml_name(&d, "_S5_");
    size_t s5 = aml_package(&d, 4);
    aml_int(&d, ACPI_S5_SLP_TYP);
    for (int i = 0; i < 3; i++)
        aml_int(&d, 0);
    aml_close(&d, s5);
    size_t sb = aml_scope(&d, "\\_SB");
    dsdt_pci(&d, cfg);
    dsdt_board(&d);
    for (unsigned i = 0; i < ARRAY_SIZE(isa_devices); i++)
        dsdt_isa(&d, &isa_devices[i]);
    dsdt_pvpanic(&d);
    dsdt_hpet(&d);
    dsdt_cpus(&d, cfg->cpus);
    aml_close(&d, sb);
    a->failed |= d.failed;
    a->used += d.len;
    return table_end(t);
}

/* ---- fixed tables ---- */

/* ACPI 6.4 5.2.10: nothing to hand over, but a full-hardware machine has one. */
static u64 build_facs(struct area *a)
{
    align(a, 64);
    u64 at = a->base + a->used;
    put_text(a, "FACS", 4);
    put(a, 4, 64);
    put_zero(a, 24);
    put(a, 1, 2);
    put_zero(a, 31);
    return at;
}

/* ACPI 6.4 5.2.9 */
enum {
    FADT_WBINVD = 1 << 0,
    FADT_PROC_C1 = 1 << 2,
    FADT_SLEEP_BUTTON = 1 << 5,
    FADT_RESET_REG = 1 << 10,
    FADT_TMR_VAL_EXT = 1 << 8,
    BOOT_LEGACY_DEVICES = 1 << 0,
    BOOT_NO_VGA = 1 << 2,
};

static u64 build_fadt(struct area *a, u64 facs, u64 dsdt)
{
    struct table t = table_begin(a, "FACP", 6);
    put(a, 4, facs);
    put(a, 4, dsdt);
    put(a, 1, 0);
    put(a, 1, 0); /* unspecified profile */
    put(a, 2, ACPI_SCI_IRQ);
    put_zero(a, 8); /* no SMI: ACPI mode always */
    put(a, 4, ACPI_PM1A_EVT);
    put(a, 4, 0);
    put(a, 4, ACPI_PM1A_CNT);
    put(a, 4, 0);
    put(a, 4, 0);
    put(a, 4, ACPI_PM_TMR);
    put(a, 4, ACPI_GPE0);
    put(a, 4, 0);
    put(a, 1, 4); /* PM1_EVT_LEN, PM1_CNT_LEN, PM2, PM_TMR_LEN, GPE0_LEN, GPE1_LEN, GPE1_BASE, CST_CNT */
    put(a, 1, 2);
    put(a, 1, 0);
    put(a, 1, 4);
    put(a, 1, 4);
    put_zero(a, 3);
    put(a, 2, 0xfff); /* C2 and C3 are not supported */
    put(a, 2, 0xfff);
    put_zero(a, 8);
    put(a, 1, 0x32); /* the RTC's century byte */
    put(a, 2, BOOT_LEGACY_DEVICES | BOOT_NO_VGA);
    put(a, 1, 0);
    put(a, 4, FADT_WBINVD | FADT_PROC_C1 | FADT_SLEEP_BUTTON | FADT_TMR_VAL_EXT | FADT_RESET_REG);
    put_gas(a, SPACE_IO, 8, PCI_RESET_PORT);
    put(a, 1, PCI_RESET_FULL);
    put(a, 2, 0);
    put(a, 1, 4); /* minor version */
    put(a, 8, 0); /* X_FIRMWARE_CTRL: FIRMWARE_CTRL is used */
    put(a, 8, dsdt);
    put_gas(a, SPACE_IO, 32, ACPI_PM1A_EVT);
    put_gas(a, SPACE_IO, 0, 0);
    put_gas(a, SPACE_IO, 16, ACPI_PM1A_CNT);
    put_gas(a, SPACE_IO, 0, 0);
    put_gas(a, SPACE_IO, 0, 0);
    put_gas(a, SPACE_IO, 32, ACPI_PM_TMR);
    put_gas(a, SPACE_IO, 32, ACPI_GPE0);
    put_gas(a, SPACE_IO, 0, 0);
    put_gas(a, SPACE_IO, 0, 0); /* sleep control and status: hardware-reduced machines only */
    put_gas(a, SPACE_IO, 0, 0);
    put_text(a, "DROSTE\0", 8);
    return table_end(t);
}

/* ACPI 6.4 5.2.12 */
static void madt_cpu(struct area *a, unsigned id)
{
    if (id < 255) {
        put(a, 2, 0x0800);
        put(a, 1, id);
        put(a, 1, id);
        put(a, 4, 1);
        return;
    }
    put(a, 2, 0x1009);
    put(a, 2, 0);
    put(a, 4, id);
    put(a, 4, 1);
    put(a, 4, id);
}

static void madt_override(struct area *a, u8 irq, u32 gsi, u16 flags)
{
    put(a, 2, 0x0a02);
    put(a, 1, 0);
    put(a, 1, irq);
    put(a, 4, gsi);
    put(a, 2, flags);
}

static u64 build_madt(struct area *a, unsigned cpus)
{
    enum { CONFORMS = 0, ACTIVE_HIGH_LEVEL = 0xd };
    struct table t = table_begin(a, "APIC", 5);
    put(a, 4, LAPIC_BASE);
    put(a, 4, 1); /* the 8259s exist */
    for (unsigned i = 0; i < cpus; i++)
        madt_cpu(a, i);
    put(a, 2, 0x0c01);
    put(a, 1, 0); /* I/O APIC id */
    put(a, 1, 0);
    put(a, 4, IOAPIC_BASE);
    put(a, 4, 0);
    madt_override(a, 0, 2, CONFORMS);
    madt_override(a, ACPI_SCI_IRQ, ACPI_SCI_IRQ, ACTIVE_HIGH_LEVEL);
    put(a, 2, 0x0604); /* NMI on LINT1 of every processor */
    put(a, 1, 0xff);
    put(a, 2, 0);
    put(a, 1, 1);
    if (cpus > 255) {
        put(a, 2, 0x0c0a);
        put(a, 2, 0);
        put(a, 4, 0xffffffff);
        put(a, 1, 1);
        put_zero(a, 3);
    }
    return table_end(t);
}

static u64 build_mcfg(struct area *a)
{
    struct table t = table_begin(a, "MCFG", 1);
    put_zero(a, 8);
    put(a, 8, ECAM_BASE);
    put(a, 2, 0);
    put(a, 1, 0);
    put(a, 1, ECAM_SIZE / MIB - 1);
    put(a, 4, 0);
    return table_end(t);
}

static u64 build_hpet(struct area *a)
{
    struct table t = table_begin(a, "HPET", 1);
    put(a, 4, 0x8086a201); /* as the chip's capability register: three 64-bit timers, legacy routing */
    put(a, 1, SPACE_MEMORY);
    put(a, 1, 64);
    put(a, 2, 0);
    put(a, 8, HPET_BASE);
    put(a, 1, 0);
    put(a, 2, 100);
    put(a, 1, 0);
    return table_end(t);
}

static u64 build_xsdt(struct area *a, const u64 *tables, unsigned n)
{
    struct table t = table_begin(a, "XSDT", 1);
    for (unsigned i = 0; i < n; i++)
        put(a, 8, tables[i]);
    return table_end(t);
}

/* RSDT for readers of ACPI 1.0: small test kernels know no XSDT. */
static u64 build_rsdt(struct area *a, const u64 *tables, unsigned n)
{
    struct table t = table_begin(a, "RSDT", 1);
    for (unsigned i = 0; i < n; i++)
        put(a, 4, tables[i]);
    return table_end(t);
}

/* ACPI 6.4 5.2.5.3 */
static void write_rsdp(u8 *p, u64 rsdt, u64 xsdt)
{
    memcpy(p, "RSD PTR ", 8);
    memcpy(p + 9, "DROSTE", 6);
    p[15] = 2;
    store_le(p + 16, 4, rsdt);
    store_le(p + 20, 4, RSDP_SIZE);
    store_le(p + 24, 8, xsdt);
    p[8] = checksum(p, 20);
    p[32] = checksum(p, RSDP_SIZE);
}

u64 acpi_build(const struct acpi_config *cfg, u8 *data, u64 base, size_t size, struct err *err)
{
    struct area a = {.data = data, .base = base, .size = size};
    put_zero(&a, RSDP_SIZE);
    u64 facs = build_facs(&a), dsdt = build_dsdt(&a, cfg);
    u64 tables[] = {build_fadt(&a, facs, dsdt), build_madt(&a, cfg->cpus), build_mcfg(&a), build_hpet(&a)};
    u64 rsdt = build_rsdt(&a, tables, ARRAY_SIZE(tables));
    u64 xsdt = build_xsdt(&a, tables, ARRAY_SIZE(tables));
    if (a.failed) {
        err_set(err, EXIT_STATUS_USAGE, "the ACPI tables of %u processors do not fit; use fewer", cfg->cpus);
        return 0;
    }
    write_rsdp(data, rsdt, xsdt);
    return base;
}
