/* SPDX-License-Identifier: MIT */
/*
 * ACPI fixed hardware. SCI is asserted while a status bit and its enable bit are both set (ACPI 6.5 4.8.4.1).
 * The PM timer is the clock in other units; its status bit is set whenever bit 31 changed (TMR_VAL_EXT),
 * which a timer watches only while TMR_EN is on.
 */
#include "dev/chip/acpi_pm.h"

#include <stdlib.h>

enum {
    PM1_TMR = 1 << 0,
    PM1_GBL = 1 << 5,
    PM1_PWRBTN = 1 << 8,
    PM1_SLPBTN = 1 << 9,
    PM1_RTC = 1 << 10,
    PM1_WAK = 1 << 15
};
enum { PM1_EVENTS = PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC };
enum { CNT_SCI_EN = 1 << 0, CNT_KEPT = 0x1c02, CNT_SLP_EN = 1 << 13 };
enum { OFF_STS = 0, OFF_EN = 2, OFF_CNT = 4, OFF_TMR = 8, OFF_GPE_STS = 0x20, OFF_GPE_EN = 0x22 };

struct acpi_pm {
    struct dev dev;
    struct irq_line sci;
    struct timer timer;
    u16 sts, en, cnt, gpe_sts, gpe_en;
    u64 checked; /* PM timer's bits 63:31 at the last look */
    u64 timer_armed;
};

static u64 ticks(const struct acpi_pm *c)
{
    return (unsigned __int128)clock_now(c->dev.env->clock) * ACPI_PM_TIMER_HZ / 1000000000u;
}

static void update_sci(struct acpi_pm *c)
{
    irq_set(&c->sci, (c->sts & c->en & PM1_EVENTS) || (c->gpe_sts & c->gpe_en));
}

static void look_at_timer(struct acpi_pm *c)
{
    u64 half = ticks(c) >> 31;
    if (half != c->checked)
        c->sts |= PM1_TMR;
    c->checked = half;
}

static void plan(struct acpi_pm *c)
{
    if (!(c->en & PM1_TMR) || (c->sts & PM1_TMR)) {
        timer_cancel(&c->timer);
        return;
    }
    unsigned __int128 ns = (unsigned __int128)(c->checked + 1) << 31;
    timer_arm(&c->timer, ns * 1000000000u / ACPI_PM_TIMER_HZ + 1);
}

static void changed(struct acpi_pm *c)
{
    look_at_timer(c);
    update_sci(c);
    plan(c);
}

static void fire(void *opaque)
{
    struct acpi_pm *c = opaque;
    dev_lock(&c->dev);
    changed(c);
    dev_unlock(&c->dev);
}

static u8 read_byte(struct acpi_pm *c, u64 off)
{
    const struct {
        u8 at;
        u16 value;
    } map[] = {{OFF_STS, c->sts},
               {OFF_EN, c->en},
               {OFF_CNT, c->cnt},
               {OFF_GPE_STS, c->gpe_sts},
               {OFF_GPE_EN, c->gpe_en}};
    for (unsigned n = 0; n < ARRAY_SIZE(map); n++)
        if (off - map[n].at < 2)
            return map[n].value >> 8 * (off - map[n].at);
    return 0;
}

static u64 pm_read(void *d, u64 off, unsigned size)
{
    struct acpi_pm *c = d;
    if (off >= OFF_TMR && off + size <= OFF_TMR + 4)
        return (u32)ticks(c) >> 8 * (off - OFF_TMR) & size_mask(size);
    look_at_timer(c);
    u64 v = 0;
    for (unsigned n = 0; n < size; n++)
        v |= (u64)read_byte(c, off + n) << 8 * n;
    return v;
}

static void write_control_high(struct acpi_pm *c, u8 v)
{
    u16 value = v << 8;
    c->cnt = (c->cnt & 0xff) | (value & CNT_KEPT & 0xff00);
    if ((value & CNT_SLP_EN) && (value >> 10 & 7) == ACPI_S5_SLP_TYP)
        c->dev.env->power.request(c->dev.env->power.opaque, POWER_OFF, 0);
}

static void put_byte(u16 *reg, unsigned n, u8 v, u16 writable)
{
    u16 mask = (0xff << 8 * n) & writable;
    *reg = (*reg & ~mask) | ((v << 8 * n) & mask);
}

static void write_byte(struct acpi_pm *c, u64 off, u8 v)
{
    switch (off) {
    case OFF_STS:
    case OFF_STS + 1: /* ones clear */
        c->sts &= ~(v << 8 * (off - OFF_STS));
        break;
    case OFF_EN:
    case OFF_EN + 1:
        put_byte(&c->en, off - OFF_EN, v, PM1_EVENTS);
        break;
    case OFF_CNT:
        c->cnt = (c->cnt & 0xff00) | (v & CNT_KEPT & 0xff) | CNT_SCI_EN;
        break;
    case OFF_CNT + 1:
        write_control_high(c, v);
        break;
    case OFF_GPE_STS:
    case OFF_GPE_STS + 1:
        c->gpe_sts &= ~(v << 8 * (off - OFF_GPE_STS));
        break;
    case OFF_GPE_EN:
    case OFF_GPE_EN + 1:
        put_byte(&c->gpe_en, off - OFF_GPE_EN, v, 0xffff);
        break;
    }
}

static void pm_write(void *d, u64 off, unsigned size, u64 v)
{
    struct acpi_pm *c = d;
    look_at_timer(c);
    for (unsigned n = 0; n < size; n++)
        write_byte(c, off + n, v >> 8 * n);
    changed(c);
}

static const struct region_ops ops = {pm_read, pm_write, 4};

bool acpi_pm_power_button(struct dev *d)
{
    struct acpi_pm *c = (struct acpi_pm *)d;
    dev_lock(d);
    bool heard = c->en & PM1_PWRBTN;
    c->sts |= PM1_PWRBTN;
    changed(c);
    dev_unlock(d);
    return heard;
}

void acpi_pm_gpe(struct dev *d, unsigned bit)
{
    struct acpi_pm *c = (struct acpi_pm *)d;
    dev_lock(d);
    c->gpe_sts |= bit < 16 ? 1 << bit : 0;
    changed(c);
    dev_unlock(d);
}

static void pm_reset(struct dev *d)
{
    struct acpi_pm *c = (struct acpi_pm *)d;
    c->sts = c->en = c->gpe_sts = c->gpe_en = 0;
    c->cnt = CNT_SCI_EN;
    c->checked = ticks(c) >> 31;
    changed(c);
}

static void pm_saving(void *obj)
{
    struct acpi_pm *c = obj;
    c->timer_armed = timer_deadline(&c->timer);
}

static int pm_loaded(void *obj)
{
    struct acpi_pm *c = obj;
    c->en &= PM1_EVENTS;
    c->cnt = (c->cnt & CNT_KEPT) | CNT_SCI_EN;
    timer_arm(&c->timer, c->timer_armed);
    return 0;
}

static const struct state_field fields[] = {
    STATE_FIELD(struct acpi_pm, sts),         STATE_FIELD(struct acpi_pm, en),
    STATE_FIELD(struct acpi_pm, cnt),         STATE_FIELD(struct acpi_pm, gpe_sts),
    STATE_FIELD(struct acpi_pm, gpe_en),      STATE_FIELD(struct acpi_pm, checked),
    STATE_FIELD(struct acpi_pm, timer_armed), STATE_END,
};

static const struct state_desc state = {
    .name = "acpi_pm", .fields = fields, .saving = pm_saving, .loaded = pm_loaded};

static void pm_destroy(struct dev *d)
{
    timer_cancel(&((struct acpi_pm *)d)->timer);
    dev_fini(d);
    free(d);
}

static const struct dev_class class = {
    .name = "acpi_pm", .reset = pm_reset, .destroy = pm_destroy, .state = &state};

struct dev *acpi_pm_new(const struct dev_env *env, struct irq_line sci, struct err *err)
{
    struct acpi_pm *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(err, EXIT_STATUS_HOST, "no memory for the power management registers");
        return NULL;
    }
    c->sci = sci;
    dev_init(&c->dev, &class, env, 0);
    timer_init(&c->timer, env->clock, fire, c);
    pm_reset(&c->dev);
    if (dev_map(&c->dev, env->ports, ACPI_PM_BASE, ACPI_PM_END - ACPI_PM_BASE, &ops)) {
        err_set(err, EXIT_STATUS_HOST, "the power management ports are taken");
        pm_destroy(&c->dev);
        return NULL;
    }
    return &c->dev;
}
