/* SPDX-License-Identifier: MIT */
/*
 * Local APICs, xAPIC and x2APIC, and the bus between them (SDM 3A chapter 11 "APIC").
 *
 * A `struct lapic_bus` belongs to a machine: it knows all of the machine's local APICs, finds the ones a
 * destination names, takes MSIs, and maps the xAPIC register page. The page is the same address for every
 * processor, so the bus asks `current` whose access it is.
 *
 * Threads. Every function is thread-safe. lapic_cpu.signal comes from any thread, with locks of chips held:
 * it notes the request and wakes the processor, and must not call back. It may come once too often, never
 * once too few. A local APIC's lock is the last of the lock order, and nobody ever holds two of them.
 */
#ifndef DEV_CHIP_LAPIC_H
#define DEV_CHIP_LAPIC_H

#include "dev/dev.h"

#define LAPIC_BASE 0xfee00000ull
#define LAPIC_HZ   1000000000u /* the timer's clock, for CPUID 0x15 ECX; 0x40000010 EBX has it in kHz */

enum lapic_signal { LAPIC_INTR = 1, LAPIC_NMI = 2, LAPIC_INIT = 4, LAPIC_SIPI = 8, LAPIC_SMI = 64 };

struct lapic_cpu {
    void (*signal)(void *opaque, unsigned what); /* lapic_signal bits: may be deliverable now */
    void *opaque;
};

struct lapic_bus;

/* current: the local APIC of the processor whose thread this is, NULL on any other thread. NULL only without
 * memory or when the page at LAPIC_BASE is taken (err). */
struct lapic_bus *lapic_bus_new(const struct dev_env *env, struct dev *(*current)(void *opaque), void *opaque,
                                struct err *err);
void lapic_bus_free(struct lapic_bus *b); /* after all its local APICs were destroyed */
/* For dev_env.msi. Bits 5..11 of the address extend the destination id (KVM_FEATURE_MSI_EXT_DEST_ID). */
struct msi_sink lapic_bus_msi(struct lapic_bus *b);
/* Where the end of level-triggered interrupts is told: ioapic_eoi(). Called with no lock of a local APIC
 * held. */
void lapic_bus_on_eoi(struct lapic_bus *b, void (*eoi)(void *opaque, u8 vector), void *opaque);

struct lapic_config {
    u32 id;         /* x2APIC id; the xAPIC id is its low byte */
    bool bootstrap; /* IA32_APIC_BASE.BSP */
    bool x2apic;    /* CPUID says so */
    bool tsc_deadline;
    u8 phys_bits; /* MAXPHYADDR: IA32_APIC_BASE bits from here up are reserved */
    u64 tsc_hz;   /* guest TSC ticks a second */
    /* This processor's TSC now (not a nested guest's); NULL: clock_now() scaled to tsc_hz. Lock held. */
    u64 (*tsc)(void *opaque);
    void *tsc_opaque;
};

/* dev.instance is the number of local APICs created on the bus before. */
struct dev *lapic_new(const struct dev_env *env, struct lapic_bus *b, const struct lapic_config *config,
                      struct lapic_cpu cpu, struct err *err);
/* pin 0: LINT0, 1: LINT1. */
struct irq_line lapic_lint(struct dev *d, unsigned pin);
/* The 8259 behind LINT0 in ExtINT mode: i8259_pending(), i8259_acknowledge(). Without it ExtINT delivers
 * nothing. */
void lapic_connect_pic(struct dev *d, int (*pending)(void *opaque), int (*acknowledge)(void *opaque),
                       void *opaque);
/* What firmware leaves behind for a kernel that is started directly: virtual wire mode (LINT0 ExtINT, LINT1
 * NMI). */
void lapic_virtual_wire(struct dev *d);
/* IA32_TSC or IA32_TSC_ADJUST was written: the TSC deadline means another moment. */
void lapic_tsc_changed(struct dev *d);
/* An NMI from the machine (a button, a command), past LINT1. */
void lapic_nmi(struct dev *d);

/* The processor's side, on its own thread; d is the local APIC's struct dev. */
int lapic_pending(void *d);     /* vector deliverable now (an ExtINT counts), -1 if none; changes nothing */
int lapic_acknowledge(void *d); /* takes it; -1 if it has gone */
u8 lapic_get_tpr(void *d);
void lapic_set_tpr(void *d, u8 tpr);
/* IA32_APIC_BASE 0x1b, IA32_TSC_DEADLINE 0x6e0, x2APIC 0x800-0x8ff. False: #GP(0). */
bool lapic_msr_read(void *d, u32 msr, u64 *value);
bool lapic_msr_write(void *d, u32 msr, u64 value);
void lapic_eoi(void *d); /* ends the interrupt in service, whatever the mode */
u8 lapic_take_sipi(void *d);
void lapic_init(void *d); /* INIT reached the processor: all but ids and IA32_APIC_BASE to the reset state */
u32 lapic_id(void *d);
bool lapic_enabled(void *d); /* IA32_APIC_BASE.EN: CPUID 1 EDX bit 9 */

#endif
