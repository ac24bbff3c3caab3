/* SPDX-License-Identifier: MIT */
/* virtio-net (virtio 1.3 5.1): one queue pair, mergeable receive buffers, checksum and TCP segmentation
 * offload both ways, link status, over PCI. */
#ifndef DEV_VIRTIO_VIRTIO_NET_H
#define DEV_VIRTIO_VIRTIO_NET_H

#include "dev/pci/pci.h"
#include "net/port.h"

struct virtio_net_counters {
    u64 tx, tx_dropped, rx, rx_dropped;
};

/* Sets port->sink and owns port from success on; frames must come on env->loop's thread. */
struct dev *virtio_net_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot,
                           struct net_port *port, const u8 mac[6], struct err *err);
void virtio_net_counters(struct dev *d, struct virtio_net_counters *out);

#endif
