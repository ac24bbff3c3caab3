/* SPDX-License-Identifier: MIT */
/*
 * virtio-balloon (virtio 1.3 5.5): the guest gives pages back on request, takes them again, tells how much
 * memory it needs, and reports pages that it does not use just now.
 *
 * All functions from any thread; none calls back.
 */
#ifndef DEV_VIRTIO_VIRTIO_BALLOON_H
#define DEV_VIRTIO_VIRTIO_BALLOON_H

#include <linux/virtio_balloon.h>

#include "dev/pci/pci.h"

/* Whether memory may not move now. Asked with the device's lock held, on any thread: it must not wait for a
 * vCPU. */
struct balloon_port {
    bool (*frozen)(void *opaque);
    void *opaque;
};

#define BALLOON_UNKNOWN (~0ull)

struct balloon_info {
    bool driver;                   /* a driver runs it */
    u64 target;                    /* bytes the host wants to have back */
    u64 actual;                    /* bytes the guest says it has given back */
    u64 reported;                  /* bytes of reported pages that were discarded, in all */
    bool has_stats;                /* since the driver began; then: */
    u64 stats_actual;              /* `actual` when they came */
    bool total_whole;              /* the guest's MEMTOT counts what it has given back */
    u64 stats_at;                  /* when they came, of clock_now() */
    u64 stat[VIRTIO_BALLOON_S_NR]; /* by VIRTIO_BALLOON_S_*; BALLOON_UNKNOWN: not told */
};

struct dev *virtio_balloon_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot,
                               const struct balloon_port *port, struct err *err);
void virtio_balloon_info(struct dev *d, struct balloon_info *out);
/* Rounded down to pages. */
void virtio_balloon_set_target(struct dev *d, u64 bytes);
/* Asks for statistics so often; 0: never. */
void virtio_balloon_poll(struct dev *d, u64 interval_ns);
/* Asks the port again: while frozen the guest is told that it is where it should be. */
void virtio_balloon_review(struct dev *d);

#endif
