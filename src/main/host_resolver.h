/* SPDX-License-Identifier: MIT */
/* The resolver of the machine this runs on. */
#ifndef MAIN_HOST_RESOLVER_H
#define MAIN_HOST_RESOLVER_H

#include "base/err.h"
#include "base/ip.h"

/* One more name server, for the interface with this index: by systemd-resolved where it serves this machine,
 * else as a line of /etc/resolv.conf, of which the first copy stays as resolv.conf.droste-before. One that is
 * there already stays. */
int must_check host_resolver_add(unsigned index, const struct ip_addr *server, struct err *err);

/* The IPv4 name servers of this machine that others can ask, at most `most`; how many there are. */
unsigned host_resolver_list(struct ip_addr *list, unsigned most);

/* The text of a resolv.conf with one more name server in it; free() it. NULL: out of memory. added: it was
 * not there. For tests too. */
char *host_resolver_edit(const char *text, const struct ip_addr *server, bool *added);

#endif
