/* SPDX-License-Identifier: MIT */
/*
 * The part of the local APIC that belongs to the processor: CR8, the APIC's MSRs and the interrupt
 * acknowledge cycle. vm/ fills it with the local APIC device's functions (and the 8259's for ExtINT). All are
 * called on the vCPU's own thread. The device in turn sets REQ_INTR, REQ_NMI, REQ_INIT, REQ_SIPI, REQ_SMI
 * through a handle that vm/ gave it.
 */
#ifndef CPU_APIC_PORT_H
#define CPU_APIC_PORT_H

#include "base/types.h"

struct apic_port {
    void *opaque;
    int (*pending)(void *opaque);     /* vector that would be delivered now, -1 if none; changes nothing */
    int (*acknowledge)(void *opaque); /* takes it: IRR to ISR (or the 8259's INTA); -1 if it has gone */
    u8 (*get_tpr)(void *opaque);      /* the whole TPR; CR8 is bits 7:4 */
    void (*set_tpr)(void *opaque, u8 tpr);
    /* IA32_APIC_BASE, x2APIC MSRs 0x800-0x8ff, IA32_TSC_DEADLINE. False: #GP(0). */
    bool (*msr_read)(void *opaque, u32 msr, u64 *value);
    bool (*msr_write)(void *opaque, u32 msr, u64 value);
    u8 (*take_sipi)(void *opaque); /* start-up vector of the SIPI that REQ_SIPI announced */
    void (*init)(void *opaque);    /* INIT or reset reached the CPU */
    void (*eoi)(void *opaque);     /* ends the interrupt in service, whatever the mode */
};

#endif
