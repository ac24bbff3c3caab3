/* SPDX-License-Identifier: MIT */
/* Whether this host's /dev/kvm is worth taking, asked before there is a machine. */
#ifndef ACCEL_KVM_H
#define ACCEL_KVM_H

#include "accel/accel.h"

extern const struct accel_ops accel_kvm;

/* A descriptor of /dev/kvm, or -1 with reason and remedy. */
int kvm_open(struct err *err);

/* How fast a small 64-bit guest runs, instructions a second: some hosts offer a /dev/kvm that interprets. */
int must_check kvm_measure(int device, u64 *speed, struct err *err);
#define KVM_WORTH_IT 20000000 /* slower than the software CPU at its slowest */

#endif
