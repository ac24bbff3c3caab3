/* SPDX-License-Identifier: MIT */
/* The switch against the kernel's bridge, in turn (bench/README.md): net [SECONDS [PASSES]]. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lane.h"
#include "net/checksum.h"
#include "net/wire.h"

enum { BRIDGE, SWITCH, LANES };

static struct lane *(*const lanes[LANES])(const struct sample *s, struct err *err) = {bridge_open,
                                                                                      switch_open};

struct table {
    struct sample samples[4];
    double best[4][LANES]; /* frames a second */
};

/* A TCP segment of so many payload bytes; with size, one that still has to be cut. */
static void make(struct sample *s, const char *name, size_t payload, u16 size, u32 window, bool touch)
{
    static const u8 headers[NUMBER_AT] = {
        [0] = 2,     [5] = 2,   [6] = 2,     [11] = 1,    [12] = 8, /* to 02::02 from 02::01, IPv4 */
        [14] = 0x45, [22] = 64, [23] = 6,    [26] = 10,   [29] = 1,
        [30] = 10,   [33] = 2,                            /* 10.0.0.1 to 10.0.0.2 */
        [35] = 80,   [37] = 80, [46] = 0x50, [47] = 0x10, /* 20 bytes of header, ACK */
    };
    memcpy(s->bytes, headers, sizeof(headers));
    store_be16(s->bytes + 16, (u16)(40 + payload));
    checksum_put(s->bytes + 24, checksum_fold(checksum_add(0, s->bytes + 14, 20)), false);
    s->name = name;
    s->len = sizeof(headers) + payload;
    s->offload = (struct frame_offload){
        FRAME_NEEDS_CSUM, size ? FRAME_GSO_TCP4 : FRAME_GSO_NONE, NUMBER_AT, size, 34, 16};
    s->window = window;
    s->touch = touch;
}

static struct flow measure(unsigned lane, const struct sample *s, double seconds)
{
    struct err err = {0};
    struct lane *l = lanes[lane](s, &err);
    if (!l) {
        fprintf(stderr, "bench/net: %s\n", err.text);
        exit(1);
    }
    struct flow f = flow_run(l, seconds);
    l->ops->close(l);
    return f;
}

static bool pass(struct table *t, double seconds)
{
    bool whole = true;
    for (unsigned s = 0; s < ARRAY_SIZE(t->samples); s++)
        for (unsigned l = 0; l < LANES; l++) {
            struct flow f = measure(l, &t->samples[s], seconds);
            double rate = (double)f.frames / f.seconds;
            if (rate > t->best[s][l])
                t->best[s][l] = rate;
            if (f.lost)
                fprintf(stderr, "bench/net: %llu frames were lost (%s, %s)\n", (unsigned long long)f.lost,
                        t->samples[s].name, l == BRIDGE ? "bridge" : "switch");
            whole &= !f.lost;
        }
    return whole;
}

static void print(const struct table *t)
{
    printf("%-34s %22s %22s %7s\n", "", "bridge and TAPs", "switch", "ratio");
    for (unsigned s = 0; s < ARRAY_SIZE(t->samples); s++) {
        double bits = (double)t->samples[s].len * 8 / 1e9;
        const double *b = t->best[s];
        printf("%-34s %9.0f/s %5.1f Gbit/s %9.0f/s %5.1f Gbit/s %7.2f\n", t->samples[s].name, b[BRIDGE],
               b[BRIDGE] * bits, b[SWITCH], b[SWITCH] * bits, b[SWITCH] / b[BRIDGE]);
    }
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 0.2;
    int passes = argc > 2 ? atoi(argv[2]) : 10;
    if (seconds <= 0 || passes <= 0) {
        fprintf(stderr, "usage: net [SECONDS [PASSES]], both above 0\n");
        return 2;
    }
    if (unshare(CLONE_NEWNET) < 0) {
        fprintf(stderr, "bench/net: no network namespace of its own: %s; it needs root (CAP_SYS_ADMIN)\n",
                strerror(errno));
        return 1;
    }
    struct table *t = calloc(1, sizeof(*t));
    bug_on(!t, "no memory");
    make(&t->samples[0], "1500 bytes", 1460, 0, 256, false);
    make(&t->samples[1], "64 KiB (TSO)", 45 * 1448, 1448, 12, false);
    make(&t->samples[2], "1500 bytes, all written and read", 1460, 0, 256, true);
    make(&t->samples[3], "64 KiB (TSO), all written and read", 45 * 1448, 1448, 12, true);
    bool whole = true;
    for (int i = 0; i < passes; i++)
        whole &= pass(t, seconds);
    print(t);
    free(t);
    return whole ? 0 : 1;
}
