/* SPDX-License-Identifier: MIT */
/*
 * ACPI fixed hardware (ACPI 6.5 4.8): PM1a event and control block, PM timer, GPE0 block, at ICH9's offsets.
 * The machine is always in ACPI mode: SCI_EN is wired to 1, so the FADT's SMI_CMD is 0. Sleep type 5 means
 * soft off; other types are ignored. The FADT's reset register is port 0xcf9, value 6, which the PCI host
 * decodes.
 */
#ifndef DEV_CHIP_ACPI_PM_H
#define DEV_CHIP_ACPI_PM_H

#include "dev/dev.h"

enum acpi_pm_port {
    ACPI_PM_BASE = 0x600,
    ACPI_PM1A_EVT = 0x600, /* 4 bytes: status, enable */
    ACPI_PM1A_CNT = 0x604, /* 2 bytes */
    ACPI_PM_TMR = 0x608,   /* 4 bytes; 32 bits wide: set TMR_VAL_EXT in the FADT */
    ACPI_GPE0 = 0x620,     /* 4 bytes: 16 status, 16 enable bits */
    ACPI_PM_END = 0x680,
};
enum { ACPI_SCI_IRQ = 9, ACPI_S5_SLP_TYP = 5 };
#define ACPI_PM_TIMER_HZ 3579545u

/* sci: level-triggered, active high as the chip drives it. */
struct dev *acpi_pm_new(const struct dev_env *env, struct irq_line sci, struct err *err);
/* Presses the power button: a guest that listens shuts down. False: its enable bit is off, so nobody listens.
 */
bool acpi_pm_power_button(struct dev *d);
/* Sets a GPE0 status bit (0..15). */
void acpi_pm_gpe(struct dev *d, unsigned bit);

#endif
