/* SPDX-License-Identifier: MIT */
/*
 * The host's CLOCK_MONOTONIC by its TSC.
 *
 * Time is a function of the TSC: a chain of lines, each of which holds for some milliseconds. Where one ends
 * the kernel's clock is asked, and the next line begins there or, if time was ahead of it, where the last one
 * ended, and goes to meet it. So whoever reads the TSC under a line that it has kept, even translated code,
 * and whoever asks here see one time that never goes back.
 *
 * Only where the kernel itself trusts the TSC (its clock source is "tsc"); elsewhere there are no lines and
 * the kernel is asked each time.
 */
#ifndef BASE_HOST_TIME_H
#define BASE_HOST_TIME_H

#include "base/types.h"

/* From `start` on for `ticks` of the TSC; 2^-32 ns of `rate` a tick. */
struct time_line {
    u64 start, ticks, ns, rate;
};

static inline u64 time_line_at(const struct time_line *l, u64 ticks)
{
    return l->ns + (u64)((unsigned __int128)ticks * l->rate >> 32);
}

/* What both clocks showed at once, within `doubt` ticks. */
struct moment {
    u64 tsc, ns, doubt;
};

/* How fast one goes by the other, and the present line. Zeroed: nothing is known. */
struct pace {
    struct time_line line;
    u64 rate; /* as a line's; 0: not known yet */
    struct moment base, mark;
};

/* The line does not hold any more: the next one, from this moment on, which is later than its end. */
void pace_follow(struct pace *p, const struct moment *now);

struct host_time;
/* The kernel is asked each time. NULL without memory. */
struct host_time *host_time_new(void);
/* From now on by the TSC, where the kernel trusts it: opens host_time_files[0] to see. Before others have h.
 */
void host_time_by_tsc(struct host_time *h);
extern const char *const host_time_files[]; /* ends with NULL */
void host_time_free(struct host_time *h);
/* Nanoseconds of CLOCK_MONOTONIC, within some. Any thread. line: NULL, or becomes the line that this is on,
 * which holds for TSC readings in its range for ever; without ticks there is none. */
u64 host_time_now(struct host_time *h, struct time_line *line);

#endif
