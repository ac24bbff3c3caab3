/* SPDX-License-Identifier: MIT */
/*
 * One local APIC as a device and as its processor sees it: acknowledge cycle, TPR, INIT, reset, state.
 *
 * A chip of its own order: the 8259 behind LINT0 comes before it, so it is asked only with our lock released.
 */
#include "dev/chip/lapic.h"

#include <stdlib.h>

#include "dev/chip/lapic_priv.h"

/* ---- the processor's side ---- */

int lapic_pending(void *d)
{
    struct lapic *l = d;
    dev_lock(&l->dev);
    bool extint = lapic_extint_asserted(l);
    int vector = lapic_deliverable(l);
    dev_unlock(&l->dev);
    if (extint) { /* its lock comes before ours, so ours is free by now */
        int external = l->pic_pending(l->pic_opaque);
        if (external >= 0)
            return external;
    }
    return vector;
}

int lapic_acknowledge(void *d)
{
    struct lapic *l = d;
    dev_lock(&l->dev);
    bool extint = lapic_extint_asserted(l);
    int vector = extint ? -1 : lapic_take(l);
    dev_unlock(&l->dev);
    if (!extint)
        return vector;
    vector = l->pic_acknowledge(l->pic_opaque);
    if (vector >= 0)
        return vector;
    dev_lock(&l->dev);
    vector = lapic_take(l);
    dev_unlock(&l->dev);
    return vector;
}

u8 lapic_get_tpr(void *d)
{
    struct lapic *l = d;
    return __atomic_load_n(&l->tpr, __ATOMIC_RELAXED); /* only the processor's own thread writes it */
}

void lapic_set_tpr(void *d, u8 tpr)
{
    struct lapic *l = d;
    dev_lock(&l->dev);
    l->tpr = tpr;
    lapic_signal_if_deliverable(l);
    dev_unlock(&l->dev);
}

u8 lapic_take_sipi(void *d)
{
    struct lapic *l = d;
    dev_lock(&l->dev);
    u8 vector = l->sipi_vector;
    dev_unlock(&l->dev);
    return vector;
}

void lapic_init(void *d)
{
    struct lapic *l = d;
    dev_lock(&l->dev);
    lapic_reset_registers(l);
    dev_unlock(&l->dev);
}

u32 lapic_id(void *d)
{
    return ((struct lapic *)d)->config.id;
}

bool lapic_enabled(void *d)
{
    struct lapic *l = d;
    dev_lock(&l->dev);
    bool on = lapic_hardware_enabled(l);
    dev_unlock(&l->dev);
    return on;
}

unsigned lapic_priority(struct lapic *l)
{
    dev_lock(&l->dev);
    unsigned p = lapic_software_enabled(l) ? lapic_ppr(l) : 0x100;
    dev_unlock(&l->dev);
    return p;
}

void lapic_nmi(struct dev *d)
{
    struct lapic *l = (struct lapic *)d;
    dev_lock(d);
    lapic_accept(l, MODE_NMI, 0, false);
    dev_unlock(d);
}

void lapic_tsc_changed(struct dev *d)
{
    dev_lock(d);
    lapic_timer_rearm_deadline((struct lapic *)d);
    dev_unlock(d);
}

void lapic_virtual_wire(struct dev *d)
{
    struct lapic *l = (struct lapic *)d;
    dev_lock(d);
    l->svr |= SVR_ENABLED;
    lapic_write_lvt(l, LVT_LINT0, MODE_EXTINT << 8);
    lapic_write_lvt(l, LVT_LINT1, MODE_NMI << 8);
    dev_unlock(d);
}

void lapic_connect_pic(struct dev *d, int (*pending)(void *opaque), int (*acknowledge)(void *opaque),
                       void *opaque)
{
    struct lapic *l = (struct lapic *)d;
    dev_lock(d);
    l->pic_pending = pending;
    l->pic_acknowledge = acknowledge;
    l->pic_opaque = opaque;
    dev_unlock(d);
}

/* ---- the device ---- */

static void lapic_reset(struct dev *d)
{
    struct lapic *l = (struct lapic *)d;
    l->base = LAPIC_BASE | BASE_ENABLED | (l->config.bootstrap ? BASE_BSP : 0);
    l->xapic_id = (u8)l->config.id;
    l->sipi_vector = 0;
    lapic_reset_registers(l);
}

static void lapic_saving(void *obj)
{
    struct lapic *l = obj;
    l->timer_armed = timer_deadline(&l->timer);
}

static int lapic_loaded(void *obj)
{
    struct lapic *l = obj;
    unsigned mode = l->base >> 10 & 3;
    u64 reserved = 0x2ff | ~0ull << l->config.phys_bits;
    if (mode == 1 || (l->base & reserved) || (mode == 3 && !l->config.x2apic))
        return -1;
    for (unsigned n = 0; n < LVTS; n++)
        l->lvt[n] &= lapic_writable(REG_LVT + n) | LVT_REMOTE_IRR;
    l->irr[0] &= 0xffff0000; /* vectors below 16 do not exist */
    l->tpr &= 0xff;
    l->xapic_id &= 0xff;
    l->timer_divide &= 0xb;
    l->svr &= lapic_writable(REG_SVR);
    lapic_publish(l);
    lapic_bus_moved(l->bus);
    timer_arm(&l->timer, l->timer_armed);
    if (lapic_deliverable(l) >= 0 || lapic_extint_asserted(l))
        lapic_signal_cpu(l, LAPIC_INTR);
    return 0;
}

static const struct state_field fields[] = {
    STATE_FIELD(struct lapic, base),
    STATE_FIELD(struct lapic, xapic_id),
    STATE_FIELD(struct lapic, ldr),
    STATE_FIELD(struct lapic, dfr),
    STATE_FIELD(struct lapic, svr),
    STATE_FIELD(struct lapic, tpr),
    STATE_FIELD(struct lapic, esr),
    STATE_FIELD(struct lapic, esr_pending),
    STATE_FIELD(struct lapic, icr),
    STATE_ARRAY(struct lapic, lvt),
    STATE_ARRAY(struct lapic, irr),
    STATE_ARRAY(struct lapic, isr),
    STATE_ARRAY(struct lapic, tmr),
    STATE_FIELD(struct lapic, timer_initial),
    STATE_FIELD(struct lapic, timer_divide),
    STATE_FIELD(struct lapic, timer_zero),
    STATE_FIELD(struct lapic, tsc_deadline),
    STATE_FIELD(struct lapic, timer_armed),
    STATE_FIELD(struct lapic, sipi_vector),
    STATE_ARRAY(struct lapic, lint),
    STATE_END,
};

static const struct state_desc state = {
    .name = "lapic", .fields = fields, .saving = lapic_saving, .loaded = lapic_loaded};

static void lapic_destroy(struct dev *d)
{
    struct lapic *l = (struct lapic *)d;
    lapic_bus_remove(l->bus, l);
    timer_cancel(&l->timer);
    dev_fini(d);
    free(l);
}

static const struct dev_class class = {
    .name = "lapic", .reset = lapic_reset, .destroy = lapic_destroy, .state = &state};

struct dev *lapic_new(const struct dev_env *env, struct lapic_bus *b, const struct lapic_config *config,
                      struct lapic_cpu cpu, struct err *err)
{
    bug_on(!config->tsc_hz || config->phys_bits < 32 || config->phys_bits > 52, "local APIC's configuration");
    struct lapic *l = calloc(1, sizeof *l);
    if (!l) {
        err_set(err, EXIT_STATUS_HOST, "no memory for a local APIC");
        return NULL;
    }
    l->config = *config;
    l->cpu = cpu;
    l->bus = b;
    dev_init(&l->dev, &class, env, 0);
    lapic_timer_init(l);
    lapic_reset(&l->dev);
    lapic_bus_add(b, l);
    return &l->dev;
}
