/* SPDX-License-Identifier: MIT */
/*
 * What every virtio device is made of: the status machine, features and queues (virtio.c) and their registers
 * on PCI (virtio_pci.c). Modern devices only (virtio 1.3 4.1): no legacy I/O ports, VERSION_1 is a must.
 *
 * A device embeds struct virtio first, and hears of the driver through virtio_ops, always with its lock held.
 * Requests are taken with virtio_pop() alone: it refuses while the driver has not said DRIVER_OK, while Bus
 * Master is off, and once a queue broke; a broken queue sets DEVICE_NEEDS_RESET (2.1.2) and all stands still
 * until reset.
 */
#ifndef DEV_VIRTIO_VIRTIO_H
#define DEV_VIRTIO_VIRTIO_H

#include "dev/pci/pci.h"
#include "dev/virtio/virtqueue.h"

#define VIRTIO_QUEUES_MAX 4

struct virtio;

struct virtio_ops {
    u16 type;                          /* virtio 1.3 5: 1 network, 2 block, ... */
    u32 class_code;                    /* PCI */
    u64 features;                      /* of the device's own; the ring's are added */
    u16 config_len;                    /* bytes of device-specific configuration */
    u16 queue_size[VIRTIO_QUEUES_MAX]; /* 0 ends */
    /* The driver made requests available in queue q (and there may be some at DRIVER_OK). */
    void (*kick)(struct virtio *v, unsigned q);
    /* What virtio_defer() leads to, on the event loop's thread. True: there is more, call again. */
    bool (*run)(struct virtio *v, unsigned q);
    /* The driver resets the device: forget what is in flight; no DMA after this returns. May be NULL. */
    void (*stop)(struct virtio *v);
    /* The driver wrote to configuration; NULL: it is read-only. */
    void (*config_write)(struct virtio *v, unsigned off, unsigned size, u32 value);
};

struct virtio_doorbell {
    struct virtio *virtio; /* NULL: the machine has none */
    unsigned queue;
    int fd;
    u64 at; /* where it hangs; 0: nowhere */
    struct event_watch *watch;
};

struct virtio {
    struct pci_function pci; /* first */
    const struct virtio_ops *ops;
    const u8 *config;    /* ops->config_len bytes, little-endian */
    u64 offered;         /* feature bits */
    u64 driver_features; /* what the driver wrote; those in force once FEATURES_OK stands */
    u32 device_select, driver_select;
    u16 queue_select;
    u16 config_vector;
    u8 status, isr, generation;
    u8 window_cap; /* offset of the PCI configuration access capability */
    u8 queues;
    u8 deferred; /* queues that run() is posted for, a bit each */
    struct virtqueue vq[VIRTIO_QUEUES_MAX];
    struct virtio_doorbell bell[VIRTIO_QUEUES_MAX];
};

/* Fields of a struct virtio for a device's state table; m: its path inside type. */
#define VIRTIO_STATE(type, m)                                                                                \
    PCI_FUNCTION_STATE(type, m.pci), STATE_FIELD(type, m.driver_features),                                   \
        STATE_FIELD(type, m.device_select), STATE_FIELD(type, m.driver_select),                              \
        STATE_FIELD(type, m.queue_select), STATE_FIELD(type, m.config_vector), STATE_FIELD(type, m.status),  \
        STATE_FIELD(type, m.isr), STATE_FIELD(type, m.generation), VIRTQUEUE_STATE(type, m.vq[0]),           \
        VIRTQUEUE_STATE(type, m.vq[1]), VIRTQUEUE_STATE(type, m.vq[2]), VIRTQUEUE_STATE(type, m.vq[3])

/* v is zeroed. features: those of ops this device has. config: lives as long as v. */
int must_check virtio_init(struct virtio *v, const struct dev_class *class, const struct dev_env *env,
                           struct pci_bus *bus, unsigned slot, const struct virtio_ops *ops, u64 features,
                           const u8 *config, struct err *err);
void virtio_fini(struct virtio *v);
void virtio_reset(struct dev *d); /* power on; fits dev_class.reset */
int virtio_loaded(void *obj);     /* fits state_desc.loaded */

/* Lock held from here on. */
bool virtio_has(const struct virtio *v, unsigned feature_bit);
bool virtio_running(const struct virtio *v);
/* As vq_pop(), but 0 while not running, and a broken queue is made known to the driver. */
int virtio_pop(struct virtio *v, unsigned q, struct vq_chain *c);
/* Calls ops->run for queue q soon, on the event loop's thread; at once when the clock counts instructions.
 * Fits virtio_ops.kick. */
void virtio_defer(struct virtio *v, unsigned q);
/* Serves requests of queue q until there are none, but a bounded number of them; serve() returns how many
 * bytes it wrote into the chain. Interrupts at the end. True: some are left. */
bool virtio_drain(struct virtio *v, unsigned q, struct vq_chain *c,
                  u32 (*serve)(struct virtio *v, struct vq_chain *c));
/* Interrupts for what was put on queue q's used ring, if the driver wants it. */
void virtio_interrupt(struct virtio *v, unsigned q);
void virtio_config_changed(struct virtio *v);
/* A request that no correct driver makes: stops the device until reset. */
void virtio_needs_reset(struct virtio *v);

/* Between virtio.c, virtio_pci.c and virtio_doorbell.c. */
void virtio_pci_setup(struct virtio *v);
const struct pci_function_ops *virtio_pci_function_ops(void);
void virtio_write_status(struct virtio *v, u8 status);
void virtio_enable_queue(struct virtio *v, unsigned q);
void virtio_kick_all(struct virtio *v);
void virtio_notified(struct virtio *v, unsigned q);            /* the driver says: look at queue q */
u64 virtio_notify_address(const struct virtio *v, unsigned q); /* where it says so; 0: nowhere now */
void virtio_doorbells_open(struct virtio *v);
void virtio_doorbells_update(struct virtio *v); /* whenever status or the registers' place changed */
void virtio_doorbells_close(struct virtio *v);

#endif
