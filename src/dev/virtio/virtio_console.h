/* SPDX-License-Identifier: MIT */
/* virtio-console (virtio 1.3 5.3): one port, hvc0 in a Linux guest, over PCI. */
#ifndef DEV_VIRTIO_VIRTIO_CONSOLE_H
#define DEV_VIRTIO_VIRTIO_CONSOLE_H

#include "dev/pci/pci.h"

/* Takes what the guest prints; called with the device's lock held, on the event loop's thread (on the vCPU's
 * when the clock counts instructions); must not block. */
struct console_out {
    void (*write)(void *opaque, const u8 *data, size_t len);
    void *opaque;
};

struct dev *virtio_console_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot,
                               const struct console_out *out, struct err *err);
/* Input for the guest, any thread. Returns how many bytes were taken; the rest finds no room now. */
size_t virtio_console_receive(struct dev *d, const u8 *data, size_t len);

#endif
