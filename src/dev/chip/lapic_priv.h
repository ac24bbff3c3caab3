/* SPDX-License-Identifier: MIT */
/* The inside of a local APIC, shared by its files lapic*.c. */
#ifndef DEV_CHIP_LAPIC_PRIV_H
#define DEV_CHIP_LAPIC_PRIV_H

#include "dev/chip/lapic.h"

/* Register numbers: xAPIC offset >> 4, x2APIC MSR - 0x800 (SDM 3A tables 11-1 and 11-6). */
enum lapic_reg {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_APR = 0x09,
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_RRD = 0x0c,
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10,
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR = 0x30,
    REG_ICR2 = 0x31,
    REG_LVT = 0x32, /* to 0x37 */
    REG_TIMER_INITIAL = 0x38,
    REG_TIMER_CURRENT = 0x39,
    REG_TIMER_DIVIDE = 0x3e,
    REG_SELF_IPI = 0x3f,
    REGS = 0x40,
};

enum lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVTS };

enum { MODE_FIXED, MODE_LOWEST, MODE_SMI, MODE_NMI = 4, MODE_INIT, MODE_SIPI, MODE_EXTINT };
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_TSC_DEADLINE };
enum {
    LVT_REMOTE_IRR = 1 << 14,
    LVT_LEVEL = 1 << 15,
    LVT_MASKED = 1 << 16,
    SVR_ENABLED = 1 << 8,
    SVR_NO_EOI_BROADCAST = 1 << 12,
    BASE_BSP = 1 << 8,
    BASE_X2APIC = 1 << 10,
    BASE_ENABLED = 1 << 11,
    ESR_SEND_VECTOR = 1 << 5,
    ESR_RECEIVE_VECTOR = 1 << 6,
    ESR_REGISTER = 1 << 7,
};

struct lapic {
    struct dev dev;
    struct lapic_bus *bus;
    struct lapic_config config;
    struct lapic_cpu cpu;
    int (*pic_pending)(void *opaque);
    int (*pic_acknowledge)(void *opaque);
    void *pic_opaque;
    struct timer timer;
    u64 address; /* atomic: what the bus matches destinations against, see lapic_publish() */

    /* Saved. */
    u64 base;
    u32 xapic_id, ldr, dfr, svr, tpr, esr, esr_pending;
    u64 icr;
    u32 lvt[LVTS];
    u32 irr[8], isr[8], tmr[8];
    u32 timer_initial, timer_divide; /* divide as the register holds it */
    u64 timer_zero; /* ns when the count reaches (or reached, one-shot) zero; CLOCK_NEVER: stands still at
                       zero */
    u64 tsc_deadline;
    u64 timer_armed; /* of `timer`, while saving */
    u8 sipi_vector, lint[2];
};

/* An interrupt message on its way to whoever it names. */
struct lapic_message {
    u32 dest;
    u8 vector, mode;
    bool logical, level, deassert;
    bool wide;    /* a 32-bit destination, of x2APIC */
    u8 shorthand; /* 0 none, 1 self, 2 all, 3 all but self */
    struct lapic *sender;
};

/* What to do once the lock is released. */
struct lapic_after {
    bool send, moved;
    int eoi; /* vector to broadcast, -1 none */
    struct lapic_message message;
};

static inline bool lapic_hardware_enabled(const struct lapic *l)
{
    return l->base & BASE_ENABLED;
}

static inline bool lapic_software_enabled(const struct lapic *l)
{
    return lapic_hardware_enabled(l) && (l->svr & SVR_ENABLED);
}

static inline bool lapic_x2apic_mode(const struct lapic *l)
{
    return l->base & BASE_X2APIC;
}

/* lapic.c, takes the lock */
unsigned lapic_priority(struct lapic *l);

/* lapic_accept.c, lock held */
void lapic_accept(struct lapic *l, u8 mode, u8 vector, bool level);
void lapic_fire_lvt(struct lapic *l, enum lvt n);
void lapic_record_error(struct lapic *l, u32 what);
void lapic_service_lint(struct lapic *l, unsigned pin, bool rose);
void lapic_signal_cpu(struct lapic *l, unsigned what);
void lapic_signal_if_deliverable(struct lapic *l);
unsigned lapic_ppr(const struct lapic *l);
int lapic_deliverable(const struct lapic *l); /* the vector that its priority lets through, -1 if none */
bool lapic_extint_asserted(const struct lapic *l);
int lapic_take(struct lapic *l); /* IRR to ISR; -1 if none is deliverable */
void lapic_end_of_interrupt(struct lapic *l, struct lapic_after *after);

/* lapic_regs.c, lock held */
u32 lapic_writable(unsigned reg);
void lapic_write_lvt(struct lapic *l, unsigned n, u32 v);
void lapic_reset_registers(struct lapic *l);
/* lapic_regs.c, takes the lock */
u32 lapic_mmio_read(struct lapic *l, unsigned reg);
void lapic_mmio_write(struct lapic *l, unsigned reg, u32 v);

/* lapic_timer.c, lock held */
void lapic_timer_init(struct lapic *l);
void lapic_timer_stop(struct lapic *l);
u32 lapic_timer_current(struct lapic *l);
void lapic_timer_set_initial(struct lapic *l, u32 v);
void lapic_timer_set_divide(struct lapic *l, u32 v);
void lapic_timer_set_lvt(struct lapic *l, u32 v);
void lapic_timer_set_deadline(struct lapic *l, u64 tsc);
void lapic_timer_rearm_deadline(struct lapic *l);
static inline unsigned lapic_timer_mode(const struct lapic *l)
{
    return l->lvt[LVT_TIMER] >> 17 & 3;
}

/* lapic_bus.c: no lock of a local APIC held, but for _publish */
void lapic_bus_add(struct lapic_bus *b, struct lapic *l);
void lapic_bus_remove(struct lapic_bus *b, struct lapic *l);
void lapic_bus_deliver(struct lapic_bus *b, const struct lapic_message *m);
void lapic_bus_eoi(struct lapic_bus *b, u8 vector);
void lapic_bus_moved(struct lapic_bus *b); /* somebody's IA32_APIC_BASE changed */
void lapic_publish(struct lapic *l);

#endif
