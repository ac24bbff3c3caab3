/* SPDX-License-Identifier: MIT */
/*
 * As much TCP (RFC 9293) as a benchmark's client needs: it opens a connection, sends and gets bytes in order
 * within the other side's window, and takes every loss for a failure.
 */
#ifndef BENCH_NAT_TCP_H
#define BENCH_NAT_TCP_H

#include "wire.h"

struct tcp {
    struct wire *wire;
    u8 mac[6], gateway_mac[6];
    u32 address, gateway;
    u16 port, to;
    u32 sent, acked, got; /* next to send, acknowledged, next to get */
    u32 window;           /* what may be on its way */
    u32 unanswered;       /* segments that were not acknowledged yet */
    u64 received;         /* payload bytes */
    bool closed;
    u8 frame[FRAME_MAX];
};

/* Finds the gateway, and connects to a port of it. False: it did not answer. */
bool tcp_open(struct tcp *t, struct wire *w, u16 to);
/* At most `len` bytes of `data`, in one segment or, with offloads, one large one; how many the window let
 * out. */
size_t tcp_send(struct tcp *t, const u8 *data, size_t len);
/* Takes what has come, waiting at most ms for the first; acknowledges. False: nothing came. */
bool tcp_take(struct tcp *t, int ms);
void tcp_end(struct tcp *t);

#endif
