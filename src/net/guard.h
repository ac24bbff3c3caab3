/* SPDX-License-Identifier: MIT */
/*
 * DHCP guard and router guard: does a frame say what only a DHCP server or a router may say?
 *
 * Asked of frames that frame_check() passed and whose VLAN tag is off. What cannot be told counts as yes, so
 * that nothing gets by through long header chains, fragments, LLC/SNAP, or a checksum that is still to be
 * written over what was looked at.
 */
#ifndef NET_GUARD_H
#define NET_GUARD_H

#include "net/frame.h"

/* Messages of a DHCP server: to a client's port, or replies to a relay (RFC 2131, 8415). */
bool guard_dhcp_server(const struct frame *f);
/* Router advertisements and redirects (RFC 792, 1256, 4861). */
bool guard_router(const struct frame *f);

#endif
