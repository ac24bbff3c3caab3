/* SPDX-License-Identifier: MIT */
/*
 * virtio-mem (virtio 1.3 5.15): a range of guest-physical memory whose blocks come and go at the guest's
 * request, as much of it as the host wishes.
 *
 * All functions from any thread; none calls back.
 */
#ifndef DEV_VIRTIO_VIRTIO_MEM_H
#define DEV_VIRTIO_VIRTIO_MEM_H

#include "dev/pci/pci.h"

/* Linux plugs nothing smaller than what its page allocator hands out at most: 4 MiB. */
#define VIRTIO_MEM_BLOCK (4 * MIB)

/* Called with the device's lock held. Which blocks are plugged is what the memory space says. */
struct memory_port {
    /* Whether memory may not move now; as balloon_port's. */
    bool (*frozen)(void *opaque);
    /* Whole blocks of the range. -1: the host cannot have them plugged; taking them away never fails. */
    int (*plug)(void *opaque, u64 gpa, u64 size, bool on);
    void *opaque;
};

struct memory_range_info {
    bool driver;   /* a driver runs it */
    u64 requested; /* bytes of the range that the guest should plug */
    u64 plugged;   /* bytes that it has */
};

/* The range: whole blocks that the memory space knows as pluggable. */
struct dev *virtio_mem_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot, u64 base, u64 size,
                           const struct memory_port *port, struct err *err);
void virtio_mem_info(struct dev *d, struct memory_range_info *out);
/* Rounded down to blocks, and to the size of the range. */
void virtio_mem_request(struct dev *d, u64 bytes);
/* Asks the port again: while frozen the guest is told that it has what it should have. */
void virtio_mem_review(struct dev *d);

#endif
