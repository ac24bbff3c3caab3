/* SPDX-License-Identifier: MIT */
/*
 * Doorbells: guest writes that only say "look".
 *
 * With a doorbell hung up at a guest address, a write there rings an eventfd and the vCPU goes on at once,
 * instead of waiting for the device: the event loop's thread hears the bell. A machine whose engine cannot do
 * that leaves hang NULL, and the write comes to the device's region like any other; so it does wherever
 * hang() refuses. A device must therefore serve both.
 */
#ifndef DEV_DOORBELL_H
#define DEV_DOORBELL_H

#include "base/types.h"

struct doorbell_port {
    /* From now on a write of any size at gpa rings fd, and does nothing else: 0. -1: it does not. */
    int (*hang)(void *opaque, u64 gpa, int fd);
    void (*take_down)(void *opaque, u64 gpa, int fd); /* what hang() hung */
    void *opaque;
};

#endif
