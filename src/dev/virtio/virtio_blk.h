/* SPDX-License-Identifier: MIT */
/*
 * virtio-blk (virtio 1.3 5.2): a disk over PCI. A worker thread does the I/O; vCPUs only wake it.
 * Saving state finishes what the guest has asked for first, so the vCPUs must stand still.
 */
#ifndef DEV_VIRTIO_VIRTIO_BLK_H
#define DEV_VIRTIO_VIRTIO_BLK_H

#include "dev/pci/pci.h"
#include "disk/block.h"

/* serial: up to 20 bytes, may be NULL. Owns b from success on. */
struct dev *virtio_blk_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot, struct block *b,
                           const char *serial, struct err *err);

#endif
