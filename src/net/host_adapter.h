/* SPDX-License-Identifier: MIT */
/* What an interface of the host is, in words, and how fast it says its link is: for listings. */
#ifndef NET_HOST_ADAPTER_H
#define NET_HOST_ADAPTER_H

#include "base/types.h"

/* kind: rtnetlink's, or "". speed: bits a second; 0: unknown. */
void host_adapter_look(const char *name, const char *kind, char description[64], u64 *speed);

#endif
