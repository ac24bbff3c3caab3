/* SPDX-License-Identifier: MIT */
/* Says in one line when there are virtual machines or switches that this user's store does not hold. */
#ifndef CMD_VM_STORES_H
#define CMD_VM_STORES_H

#include "cmd/lang/cmdlet.h"

enum stores_kind { STORES_VMS, STORES_SWITCHES };

void stores_tell_others(struct cmdlet_call *c, enum stores_kind kind);

#endif
