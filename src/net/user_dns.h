/* SPDX-License-Identifier: MIT */
/*
 * A gateway that answers DNS. libslirp's resolver has an address of its own, for which the first one of the
 * network is taken, since no machine can have that: what is for port 53 of the gateway goes there, and its
 * answers come from the gateway.
 *
 * Frames are finished and in one piece.
 */
#ifndef NET_USER_DNS_H
#define NET_USER_DNS_H

#include "base/ip.h"

/* True: the frame is for port 53 of `gateway`, and now is for that of `resolver`. */
bool user_dns_question(u8 *frame, size_t len, const struct ip_addr *gateway, const struct ip_addr *resolver);
/* Whether it comes from port 53 of `resolver`, for user_dns_answer() to change. */
bool user_dns_is_answer(const u8 *frame, size_t len, const struct ip_addr *resolver);
void user_dns_answer(u8 *frame, size_t len, const struct ip_addr *gateway);

#endif
