/* SPDX-License-Identifier: MIT */
/*
 * What is compared: a way for frames from a source to a sink, through a switch that is ours or the kernel's.
 *
 * put() and push() are called by the source's thread, take() and rest() by the sink's. A frame is the one
 * given at opening, with a number in its payload.
 */
#ifndef BENCH_NET_LANE_H
#define BENCH_NET_LANE_H

#include "base/err.h"
#include "net/frame.h"

#define NUMBER_AT 54 /* behind Ethernet, IPv4 and TCP headers */

struct sample {
    const char *name;
    u8 bytes[FRAME_MAX];
    size_t len;
    struct frame_offload offload;
    u32 window; /* frames on their way at most */
    bool touch; /* every byte is written before, and read after */
};

struct lane;
struct lane_ops {
    bool (*put)(struct lane *l, u32 number); /* false: there is no room now */
    void (*push)(struct lane *l);            /* a batch ends */
    bool (*take)(struct lane *l, u32 *number);
    void (*rest)(struct lane *l); /* until there is something to take, 100 ms at most */
    void (*close)(struct lane *l);
};
struct lane {
    const struct lane_ops *ops;
    const struct sample *sample;
    u64 sum; /* of what was read */
};

struct lane *bridge_open(const struct sample *s, struct err *err);
struct lane *switch_open(const struct sample *s, struct err *err);

/* The sample's bytes and a number, written to where they are sent from. */
static inline void lane_fill(const struct lane *l, u8 *to, u32 number)
{
    const struct sample *s = l->sample;
    memcpy(to, s->bytes, s->touch ? s->len : NUMBER_AT);
    memcpy(to + NUMBER_AT, &number, sizeof(number));
}

static inline u32 lane_number(const u8 *frame)
{
    u32 number;
    memcpy(&number, frame + NUMBER_AT, sizeof(number));
    return number;
}

static inline void lane_read(struct lane *l, const u8 *from, size_t len)
{
    for (size_t i = 0; l->sample->touch && i + 8 <= len; i += 8)
        l->sum += load_le(from + i, 8);
}

struct flow {
    u64 frames, lost;
    double seconds;
};
/* Sends for so long; the sink runs beside it. */
struct flow flow_run(struct lane *l, double seconds);

#endif
