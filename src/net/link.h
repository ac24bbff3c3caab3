/* SPDX-License-Identifier: MIT */
/*
 * A link: frames between two processes by shared memory, where neither trusts the other.
 *
 * An end is one descriptor, a SOCK_SEQPACKET socket in which one hello packet already waits; it can be handed
 * on through any message. The hello carries a sealed memfd with two rings (net/ring.h), one a way. After it
 * the socket carries bells (a packet of one byte, sent only when the other side sleeps) and shows by its end
 * that the other side is gone. Bells are not eventfds because both sides would share one open file: the other
 * could clear its O_NONBLOCK and fill it, and our next write would hang.
 *
 * Who holds an end trusts nothing in it: the memfd's kind, size and seals are checked, and every index and
 * length of the rings when it is read. What is wrong is said once and the link is down from then on.
 *
 *     struct frame f;                                  u8 *room = link_reserve(l, len);
 *     while (link_peek(l, &f) > 0) {                   if (room) {
 *         ...                                              ... write len bytes ...
 *         link_release(l);                                 link_commit(l, len, &offload);
 *     }                                                }
 *     if (link_sleep(l)) poll(link_fd(l)), link_wake(l);   link_flush(l);
 *
 * One thread may use the receiving half and one the sending half at a time.
 */
#ifndef NET_LINK_H
#define NET_LINK_H

#include "net/port.h"

#define LINK_RING (1u << 20) /* bytes a way */

struct link;

/* Makes a link; the two ends are alike. -1 and err when the host has no more memory or descriptors. */
int must_check link_pair(int ends[2], struct err *err);

/* Takes the hello and maps the rings. Never waits; NULL and err if it is not there or not to be trusted. Owns
 * end from success on. */
struct link *link_open(int end, struct err *err);
void link_close(struct link *l);
int link_abandon(struct link *l); /* the same, but gives the descriptor back */

int link_fd(const struct link *l); /* readable: a bell, or the other side is gone */
/* Takes a bell, if there is one. False: the other side is gone; what it sent before can still be received. */
bool link_wake(struct link *l);
/* NULL, or what the other side did wrong: nothing passes any more. */
const char *link_broken(const struct link *l);

/* --- receiving --- */

/* 1: *f is the next frame, still in the ring but for its head, until link_release(). 0: there is none.
 * -1: broken. f is as the other side claims it to be: frame_check() is the caller's. */
int link_peek(struct link *l, struct frame *f);
void link_release(struct link *l);
/* True: there is nothing, and the next frame rings the bell. False: look again. */
bool link_sleep(struct link *l);
/* What this side takes unfinished (FRAME_ACCEPTS_*); 0 at first. */
void link_set_accepts(struct link *l, u32 accept);

/* --- sending --- */

/* Room for one frame of len bytes in the ring, 0 < len <= FRAME_MAX; NULL: it is full, or broken. */
u8 *link_reserve(struct link *l, size_t len);
/* Sends the first len bytes of the room reserved last. */
void link_commit(struct link *l, size_t len, const struct frame_offload *offload);
/* Shows the other side all that was committed, and wakes it if it sleeps. */
void link_flush(struct link *l);
u32 link_accepts(struct link *l); /* what the other side takes */

/* --- as a port --- */

/* A port over a link. sink.down is called when the other side has gone or broke a rule. Owns end from success
 * on. */
struct net_port *net_port_link(int end, struct event_loop *loop, struct err *err);

#endif
