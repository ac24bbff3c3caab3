/* SPDX-License-Identifier: MIT */
/*
 * MC146818A. The guest's time is clock_wall() plus an offset that moves when the guest sets the clock; the
 * time registers are filled when they are looked at. Flags are worked out from the moments that passed since
 * the last look
 * (`catch_up`); a timer runs only while an interrupt is enabled.
 *
 * The alarm flag is exact while its interrupt is enabled; without it only the present second is compared.
 */
#include "dev/chip/mc146818.h"

#include <stdlib.h>

enum {
    REG_SECOND,
    REG_SECOND_ALARM,
    REG_MINUTE,
    REG_MINUTE_ALARM,
    REG_HOUR,
    REG_HOUR_ALARM,
    REG_WEEKDAY,
    REG_DAY,
    REG_MONTH,
    REG_YEAR,
    REG_A,
    REG_B,
    REG_C,
    REG_D,
    REG_CENTURY = 0x32,
};
enum {
    A_UIP = 0x80,
    B_SET = 0x80,
    B_BINARY = 4,
    B_24H = 2,
    C_IRQ = 0x80,
    C_PERIODIC = 0x40,
    C_ALARM = 0x20,
    C_UPDATE = 0x10
};
enum { FLAGS = C_PERIODIC | C_ALARM | C_UPDATE }; /* the enable bits in B stand in the same places */

#define SECOND_NS      1000000000ull
#define UPDATE_TAKES   244000 /* ns during which UIP is seen */
#define DAY_S          86400
#define LONGEST_PAST_S (1ull << 40) /* offsets beyond are a damaged file's */

struct mc146818 {
    struct dev dev;
    struct irq_line irq;
    struct timer timer;
    u8 index, cmos[128];
    i64 offset;  /* seconds added to the machine's wall clock */
    u64 checked; /* clock_now() of the last catch_up */
    u64 timer_armed;
};

struct civil {
    int year, month, day, weekday; /* weekday: 1 Sunday */
};

static int is_leap(int y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int month_days(int y, int m)
{
    static const u8 days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return m == 2 && is_leap(y) ? 29 : days[(m - 1) % 12];
}

/* Days from 1970-01-01 to the first day of year y, 1 <= y <= 9999. */
static i64 year_days(int y)
{
    i64 n = y - 1;
    return n * 365 + n / 4 - n / 100 + n / 400 - 719162;
}

static struct civil civil_of(i64 days)
{
    struct civil c = {.year = 1970 + days / 366};
    while (days >= year_days(c.year + 1))
        c.year++;
    int left = days - year_days(c.year);
    for (c.month = 1; left >= month_days(c.year, c.month); c.month++)
        left -= month_days(c.year, c.month);
    c.day = left + 1;
    c.weekday = (days + 4) % 7 + 1; /* 1970-01-01 was a Thursday */
    return c;
}

static i64 days_of(int year, int month, int day)
{
    i64 days = year_days(year);
    for (int m = 1; m < month && m <= 12; m++)
        days += month_days(year, m);
    return days + day - 1;
}

/* Seconds since 1970 that the guest's clock shows; never negative, never past the year 9999. */
static i64 guest_seconds(const struct mc146818 *c)
{
    i64 s = (i64)(clock_wall(c->dev.env->clock) / SECOND_NS) + c->offset, end = year_days(10000) * DAY_S;
    return s < 0 ? 0 : s >= end ? end - 1 : s;
}

/* ---- registers ---- */

static u8 encode(const struct mc146818 *c, unsigned v)
{
    return c->cmos[REG_B] & B_BINARY ? v : v / 10 << 4 | v % 10;
}

static unsigned decode(const struct mc146818 *c, u8 v)
{
    return c->cmos[REG_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static u8 encode_hour(const struct mc146818 *c, unsigned h)
{
    if (c->cmos[REG_B] & B_24H)
        return encode(c, h);
    return encode(c, h % 12 ? h % 12 : 12) | (h >= 12 ? 0x80 : 0);
}

static unsigned decode_hour(const struct mc146818 *c, u8 v)
{
    if (c->cmos[REG_B] & B_24H)
        return decode(c, v);
    return decode(c, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

/* Time into registers. */
static void show(struct mc146818 *c)
{
    i64 s = guest_seconds(c);
    struct civil d = civil_of(s / DAY_S);
    unsigned t = s % DAY_S;
    c->cmos[REG_SECOND] = encode(c, t % 60);
    c->cmos[REG_MINUTE] = encode(c, t / 60 % 60);
    c->cmos[REG_HOUR] = encode_hour(c, t / 3600);
    c->cmos[REG_WEEKDAY] = encode(c, d.weekday);
    c->cmos[REG_DAY] = encode(c, d.day);
    c->cmos[REG_MONTH] = encode(c, d.month);
    c->cmos[REG_YEAR] = encode(c, d.year % 100);
    c->cmos[REG_CENTURY] = (d.year / 1000) << 4 | d.year / 100 % 10;
}

/* Registers into the offset. Nonsense fields are the guest's own; they only shift the time. */
static void take_over(struct mc146818 *c)
{
    unsigned century = (c->cmos[REG_CENTURY] >> 4) * 10 + (c->cmos[REG_CENTURY] & 15);
    int year = century * 100 + decode(c, c->cmos[REG_YEAR]);
    if (year < 1970 || year > 9999)
        year = 1970;
    i64 s = days_of(year, decode(c, c->cmos[REG_MONTH]), decode(c, c->cmos[REG_DAY])) * DAY_S;
    s += decode_hour(c, c->cmos[REG_HOUR]) * 3600 + decode(c, c->cmos[REG_MINUTE]) * 60 +
         decode(c, c->cmos[REG_SECOND]);
    c->offset = s - (i64)(clock_wall(c->dev.env->clock) / SECOND_NS);
}

/* ---- flags and interrupts ---- */

static bool set_mode(const struct mc146818 *c)
{
    return c->cmos[REG_B] & B_SET;
}

/* Ticks of the 32768 Hz divider between periodic interrupts, 0: none. */
static unsigned period_ticks(const struct mc146818 *c)
{
    unsigned rate = c->cmos[REG_A] & 15;
    if (!rate)
        return 0;
    return 1u << (rate <= 2 ? rate + 6 : rate - 1);
}

static u64 to_tick(u64 ns)
{
    return (unsigned __int128)ns * 32768 / SECOND_NS;
}

static u64 to_ns(u64 tick)
{
    return ((unsigned __int128)tick * SECOND_NS + 32767) / 32768;
}

static bool alarm_matches(const struct mc146818 *c)
{
    unsigned t = guest_seconds(c) % DAY_S;
    const u8 *r = c->cmos;
    if (r[REG_SECOND_ALARM] < 0xc0 && decode(c, r[REG_SECOND_ALARM]) != t % 60)
        return false;
    if (r[REG_MINUTE_ALARM] < 0xc0 && decode(c, r[REG_MINUTE_ALARM]) != t / 60 % 60)
        return false;
    return r[REG_HOUR_ALARM] >= 0xc0 || decode_hour(c, r[REG_HOUR_ALARM]) == t / 3600;
}

static void update_irq(struct mc146818 *c)
{
    bool on = c->cmos[REG_C] & c->cmos[REG_B] & FLAGS;
    c->cmos[REG_C] = (c->cmos[REG_C] & ~C_IRQ) | (on ? C_IRQ : 0);
    irq_set(&c->irq, on);
}

static void plan(struct mc146818 *c)
{
    u64 now = clock_now(c->dev.env->clock), wall = clock_wall(c->dev.env->clock), next = CLOCK_NEVER;
    u8 enabled = c->cmos[REG_B] & ~c->cmos[REG_C]; /* a flag that is set already has interrupted */
    if (!set_mode(c) && (enabled & (C_ALARM | C_UPDATE)))
        next = now + SECOND_NS - wall % SECOND_NS;
    if ((enabled & C_PERIODIC) && period_ticks(c)) {
        u64 tick = to_ns((to_tick(now) / period_ticks(c) + 1) * period_ticks(c));
        next = tick < next ? tick : next;
    }
    timer_arm(&c->timer, next);
}

/* Sets the flags of what happened since the last look. */
static void catch_up(struct mc146818 *c)
{
    u64 now = clock_now(c->dev.env->clock), wall = clock_wall(c->dev.env->clock);
    u64 since = now > c->checked ? now - c->checked : 0;
    if (!set_mode(c) && since > wall % SECOND_NS) {
        c->cmos[REG_C] |= C_UPDATE;
        if (alarm_matches(c))
            c->cmos[REG_C] |= C_ALARM;
    }
    unsigned period = period_ticks(c);
    if (period && to_tick(now) / period != to_tick(c->checked) / period)
        c->cmos[REG_C] |= C_PERIODIC;
    c->checked = now;
    update_irq(c);
}

static void fire(void *opaque)
{
    struct mc146818 *c = opaque;
    dev_lock(&c->dev);
    catch_up(c);
    plan(c);
    dev_unlock(&c->dev);
}

static u8 read_a(struct mc146818 *c)
{
    bool updating = clock_wall(c->dev.env->clock) % SECOND_NS >= SECOND_NS - UPDATE_TAKES;
    return (c->cmos[REG_A] & ~A_UIP) | (updating && !set_mode(c) ? A_UIP : 0);
}

static u8 read_c(struct mc146818 *c)
{
    catch_up(c);
    u8 v = c->cmos[REG_C];
    c->cmos[REG_C] = 0;
    update_irq(c);
    plan(c);
    return v;
}

static bool is_time(unsigned r)
{
    return r == REG_CENTURY || r == REG_SECOND || r == REG_MINUTE || r == REG_HOUR ||
           (r >= REG_WEEKDAY && r <= REG_YEAR);
}

static void write_b(struct mc146818 *c, u8 v)
{
    bool was_set = set_mode(c);
    if (!was_set)
        show(c); /* in the old format: a guest that changes it sets the time anew */
    if (v & B_SET)
        v &= ~C_UPDATE; /* SET clears UIE */
    c->cmos[REG_B] = v;
    if (was_set && !set_mode(c))
        take_over(c);
    update_irq(c);
    plan(c);
}

static void write_time(struct mc146818 *c, unsigned r, u8 v)
{
    if (!set_mode(c))
        show(c);
    c->cmos[r] = v;
    if (!set_mode(c))
        take_over(c);
}

static void write_register(struct mc146818 *c, unsigned r, u8 v)
{
    catch_up(c);
    if (is_time(r)) {
        write_time(c, r, v);
    } else if (r == REG_A) {
        c->cmos[REG_A] = v & ~A_UIP;
        plan(c);
    } else if (r == REG_B) {
        write_b(c, v);
    } else if (r != REG_C && r != REG_D) {
        c->cmos[r] = v;
    }
}

static u8 read_register(struct mc146818 *c, unsigned r)
{
    if (r == REG_A)
        return read_a(c);
    if (r == REG_C)
        return read_c(c);
    if (is_time(r) && !set_mode(c))
        show(c);
    return c->cmos[r];
}

static u64 rtc_read(void *d, u64 off, unsigned size)
{
    struct mc146818 *c = d;
    return off ? read_register(c, c->index) : 0xff;
}

static void rtc_write(void *d, u64 off, unsigned size, u64 v)
{
    struct mc146818 *c = d;
    if (off)
        write_register(c, c->index, v);
    else
        c->index = v & 0x7f; /* bit 7 would mask NMI; nothing here raises one through it */
}

static const struct region_ops ops = {rtc_read, rtc_write, 1};

/* ---- the device ---- */

/* RESET clears the interrupt enables and flags; time and memory live on the battery. */
static void rtc_reset(struct dev *d)
{
    struct mc146818 *c = (struct mc146818 *)d;
    c->index = 0;
    c->cmos[REG_B] &= ~(FLAGS | 8);
    c->cmos[REG_C] = 0;
    update_irq(c);
    plan(c);
}

static void put16(struct mc146818 *c, unsigned r, u64 v)
{
    c->cmos[r] = v > 0xffff ? 0xff : v;
    c->cmos[r + 1] = v > 0xffff ? 0xff : v >> 8;
}

static void fill_memory_sizes(struct mc146818 *c, u64 below_4g, u64 above_4g)
{
    u64 extended = below_4g > MIB ? (below_4g - MIB) / KIB : 0;
    put16(c, 0x15, below_4g < 640 * KIB ? below_4g / KIB : 640);
    put16(c, 0x17, extended);
    put16(c, 0x30, extended);
    put16(c, 0x34, below_4g > 16 * MIB ? (below_4g - 16 * MIB) / (64 * KIB) : 0);
    u64 high = above_4g / (64 * KIB);
    store_le(&c->cmos[0x5b], 3, high > 0xffffff ? 0xffffff : high);
}

static void rtc_saving(void *obj)
{
    struct mc146818 *c = obj;
    c->timer_armed = timer_deadline(&c->timer);
}

static int rtc_loaded(void *obj)
{
    struct mc146818 *c = obj;
    c->index &= 0x7f;
    if (c->offset > (i64)LONGEST_PAST_S || c->offset < -(i64)LONGEST_PAST_S)
        return -1;
    c->cmos[REG_D] = 0x80;
    timer_arm(&c->timer, c->timer_armed);
    return 0;
}

static const struct state_field fields[] = {
    STATE_FIELD(struct mc146818, index),       STATE_ARRAY(struct mc146818, cmos),
    STATE_FIELD(struct mc146818, offset),      STATE_FIELD(struct mc146818, checked),
    STATE_FIELD(struct mc146818, timer_armed), STATE_END,
};

static const struct state_desc state = {
    .name = "mc146818", .fields = fields, .saving = rtc_saving, .loaded = rtc_loaded};

static void rtc_destroy(struct dev *d)
{
    timer_cancel(&((struct mc146818 *)d)->timer);
    dev_fini(d);
    free(d);
}

static const struct dev_class class = {
    .name = "mc146818", .reset = rtc_reset, .destroy = rtc_destroy, .state = &state};

struct dev *mc146818_new(const struct dev_env *env, struct irq_line irq8, u64 ram_below_4g, u64 ram_above_4g,
                         struct err *err)
{
    struct mc146818 *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(err, EXIT_STATUS_HOST, "no memory for the real-time clock");
        return NULL;
    }
    c->irq = irq8;
    dev_init(&c->dev, &class, env, 0);
    timer_init(&c->timer, env->clock, fire, c);
    c->cmos[REG_A] = 0x26; /* 32768 Hz time base, 1024 Hz */
    c->cmos[REG_B] = B_24H;
    c->cmos[REG_D] = 0x80; /* the battery is good */
    c->cmos[0x14] = 0x02;  /* equipment: a mathematics coprocessor */
    fill_memory_sizes(c, ram_below_4g, ram_above_4g);
    c->checked = clock_now(env->clock);
    rtc_reset(&c->dev);
    if (dev_map(&c->dev, env->ports, 0x70, 2, &ops)) {
        err_set(err, EXIT_STATUS_HOST, "the real-time clock's ports are taken");
        rtc_destroy(&c->dev);
        return NULL;
    }
    return &c->dev;
}
