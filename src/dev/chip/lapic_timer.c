/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's timer (SDM 3A 11.5.4): one-shot, periodic, TSC deadline. The count is never ticked:
 * `timer_zero` says when it is zero, everything else is worked out from the clock.
 */
#include "dev/chip/lapic_priv.h"

_Static_assert(LAPIC_HZ == 1000000000u, "a tick is a nanosecond below");

/* A guest's periodic timer wakes the machine no oftener than this, or a period of 1 would stop everything
 * else. */
#define SHORTEST_PERIOD_NS 20000

static u64 divisor(const struct lapic *l)
{
    unsigned code = (l->timer_divide & 3) | (l->timer_divide >> 1 & 4);
    return 1u << ((code + 1) & 7);
}

static u64 period(const struct lapic *l)
{
    return l->timer_initial * divisor(l);
}

/* Brings timer_zero of a periodic timer past now: periods whose interrupt came late have begun all the same.
 */
static void roll(struct lapic *l, u64 now)
{
    if (l->timer_zero == CLOCK_NEVER || l->timer_zero > now || !period(l))
        return;
    l->timer_zero += ((now - l->timer_zero) / period(l) + 1) * period(l);
}

u32 lapic_timer_current(struct lapic *l)
{
    u64 now = clock_now(l->dev.env->clock), zero = l->timer_zero;
    if (lapic_timer_mode(l) == TIMER_TSC_DEADLINE || zero == CLOCK_NEVER)
        return 0;
    if (zero <= now) {
        if (lapic_timer_mode(l) != TIMER_PERIODIC || !period(l))
            return 0;
        return (period(l) - (now - zero) % period(l)) / divisor(l);
    }
    u64 count = (zero - now + divisor(l) - 1) / divisor(l);
    return count > 0xffffffff ? 0xffffffff : count;
}

static u64 guest_tsc(struct lapic *l)
{
    if (l->config.tsc)
        return l->config.tsc(l->config.tsc_opaque);
    return (unsigned __int128)clock_now(l->dev.env->clock) * l->config.tsc_hz / 1000000000u;
}

void lapic_timer_rearm_deadline(struct lapic *l)
{
    if (lapic_timer_mode(l) != TIMER_TSC_DEADLINE || !l->tsc_deadline)
        return;
    u64 now = clock_now(l->dev.env->clock), tsc = guest_tsc(l);
    if (tsc >= l->tsc_deadline) {
        l->tsc_deadline = 0;
        timer_cancel(&l->timer);
        lapic_fire_lvt(l, LVT_TIMER);
        return;
    }
    unsigned __int128 ns = (unsigned __int128)(l->tsc_deadline - tsc) * 1000000000u / l->config.tsc_hz + 1;
    timer_arm(&l->timer, ns > CLOCK_NEVER - 1 - now ? CLOCK_NEVER - 1 : now + (u64)ns);
}

void lapic_timer_set_deadline(struct lapic *l, u64 tsc)
{
    if (lapic_timer_mode(l) != TIMER_TSC_DEADLINE)
        return;
    l->tsc_deadline = tsc;
    if (tsc)
        lapic_timer_rearm_deadline(l);
    else
        timer_cancel(&l->timer);
}

void lapic_timer_stop(struct lapic *l)
{
    timer_cancel(&l->timer);
    l->timer_zero = CLOCK_NEVER;
    l->tsc_deadline = 0;
}

void lapic_timer_set_initial(struct lapic *l, u32 v)
{
    if (lapic_timer_mode(l) == TIMER_TSC_DEADLINE)
        return;
    lapic_timer_stop(l);
    l->timer_initial = v;
    if (!v)
        return;
    l->timer_zero = clock_now(l->dev.env->clock) + period(l);
    timer_arm(&l->timer, l->timer_zero);
}

void lapic_timer_set_divide(struct lapic *l, u32 v)
{
    u32 count = lapic_timer_current(l);
    l->timer_divide = v & 0xb;
    if (!count)
        return;
    l->timer_zero = clock_now(l->dev.env->clock) + count * divisor(l);
    timer_arm(&l->timer, l->timer_zero);
}

void lapic_timer_set_lvt(struct lapic *l, u32 v)
{
    unsigned old = lapic_timer_mode(l);
    if (old == TIMER_PERIODIC)
        roll(l, clock_now(l->dev.env->clock));
    l->lvt[LVT_TIMER] = v;
    if ((old == TIMER_TSC_DEADLINE) == (lapic_timer_mode(l) == TIMER_TSC_DEADLINE))
        return;
    lapic_timer_stop(l); /* SDM 3A 11.5.4.1: a transition to or from the deadline mode disarms */
    l->timer_initial = 0;
}

static void count_reached_zero(struct lapic *l)
{
    u64 now = clock_now(l->dev.env->clock);
    if (l->timer_zero == CLOCK_NEVER)
        return;
    if (lapic_timer_mode(l) == TIMER_PERIODIC) {
        /* Late by whole periods after a roll: timer_zero may already be the next one. */
        roll(l, now);
        u64 soonest = now + SHORTEST_PERIOD_NS;
        timer_arm(&l->timer, l->timer_zero > soonest ? l->timer_zero : soonest);
    } else {
        if (l->timer_zero > now) {
            timer_arm(&l->timer, l->timer_zero);
            return;
        }
        l->timer_zero = CLOCK_NEVER;
    }
    lapic_fire_lvt(l, LVT_TIMER);
}

static void fire(void *opaque)
{
    struct lapic *l = opaque;
    dev_lock(&l->dev);
    /* A stale call (the timer was re-armed on another thread) must not deliver anything. */
    u64 armed = timer_deadline(&l->timer);
    if (armed == CLOCK_NEVER || armed <= clock_now(l->dev.env->clock)) {
        if (lapic_timer_mode(l) == TIMER_TSC_DEADLINE)
            lapic_timer_rearm_deadline(l);
        else
            count_reached_zero(l);
    }
    dev_unlock(&l->dev);
}

void lapic_timer_init(struct lapic *l)
{
    timer_init(&l->timer, l->dev.env->clock, fire, l);
    l->timer_zero = CLOCK_NEVER;
}
