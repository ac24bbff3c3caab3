/* SPDX-License-Identifier: MIT */
/* virtio-rng (virtio 1.3 5.4): entropy over PCI. */
#ifndef DEV_VIRTIO_VIRTIO_RNG_H
#define DEV_VIRTIO_VIRTIO_RNG_H

#include "dev/pci/pci.h"

/* Where the bytes come from; a repeatable run gives a seeded one. */
struct random_source {
    void (*fill)(void *opaque, void *buf, size_t len);
    void *opaque;
};

/* src NULL: the host's getrandom(). */
struct dev *virtio_rng_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot,
                           const struct random_source *src, struct err *err);

#endif
