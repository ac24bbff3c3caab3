/* SPDX-License-Identifier: MIT */
/*
 * Frames into a pcapng file (draft-ietf-opsawg-pcapng), as Wireshark and tcpdump read it.
 *
 * Never waits and never costs a frame its way: a write that fails, or would have to wait (a pipe whose reader
 * is slow), ends the capture with a reason, and on a disk what was written up to then is a whole file. Frames
 * are written as they are, so unfinished checksums and 64 KiB segments are seen as such. The process ignores
 * SIGPIPE, and its sandbox allows writev, ftruncate and lseek.
 */
#ifndef NET_CAPTURE_H
#define NET_CAPTURE_H

#include "net/frame.h"
#include "base/err.h"

struct capture;
enum capture_way { CAPTURE_IN, CAPTURE_OUT }; /* from the port; to the port */

/* Writes the file's beginning. name: of the interface, as viewers show it (cut at 200 bytes). snaplen: bytes
 * kept of each frame, 0: all. limit: the file ends before it would be longer, in bytes; 0: no limit. NULL and
 * err when the beginning cannot be written. Owns fd from success on. */
struct capture *capture_new(int fd, const char *name, u32 snaplen, u64 limit, struct err *err);
void capture_free(struct capture *c); /* closes the file */

/* wall_ns: nanoseconds since 1970 UTC. A capture that has ended ignores it. */
void capture_frame(struct capture *c, u64 wall_ns, enum capture_way way, const struct frame *f);

/* NULL while it goes on, else why it ended. */
const char *capture_ended(const struct capture *c);
u64 capture_frames(const struct capture *c); /* written so far */

#endif
