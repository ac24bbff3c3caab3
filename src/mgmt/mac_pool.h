/* SPDX-License-Identifier: MIT */
/*
 * Hardware addresses for adapters that the user gives none: 00-15-5D, two bytes of this host and store, and a
 * number that no other adapter of the store has, as Hyper-V makes them. Two stores of one host have different
 * bytes, as far as two bytes can tell them apart. Numbers go round, so that commands at one moment get
 * different ones and a removed adapter's is not used again at once.
 */
#ifndef MGMT_MAC_POOL_H
#define MGMT_MAC_POOL_H

#include "base/err.h"
#include "base/types.h"
#include "config/vm_config.h"

/* Twelve hexadecimal digits that neither an adapter of the store has nor one of `with` (NULL: nothing).
 * -1 and err: all 256 are in use, or the store cannot be read. */
int must_check mac_pool_take(const struct vm_config *with, char out[13], struct err *err);
/* The first and the last of this store. */
int must_check mac_pool_range(char first[13], char last[13], struct err *err);

/* "00-15-5D-01-02-03", with colons or without anything, to twelve upper-case digits. False: it is no address
 * of one adapter. */
bool mac_parse(const char *text, char out[13]);

#endif
