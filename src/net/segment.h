/* SPDX-License-Identifier: MIT */
/*
 * Finishing in software what a frame's sender left to do: TCP segmentation, then checksums.
 *
 * The frame has passed frame_check(). Its bytes are not changed: the results have heads of their own and
 * bodies that lie in the frame's.
 */
#ifndef NET_SEGMENT_H
#define NET_SEGMENT_H

#include "net/frame.h"

/* Calls emit() with f itself if accept (FRAME_ACCEPTS_*) covers it, else with the frames made of it, in
 * order. */
void frame_finish(const struct frame *f, u32 accept, void (*emit)(void *opaque, const struct frame *f),
                  void *opaque);

#endif
