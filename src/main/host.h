/* SPDX-License-Identifier: MIT */
/* What this host offers to VMs, for those who cannot link the engines. */
#ifndef MAIN_HOST_H
#define MAIN_HOST_H

#include "mgmt/host.h"

extern const struct host_probe host_probe;

#endif
