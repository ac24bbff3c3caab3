/* SPDX-License-Identifier: MIT */
/*
 * pci-testdev: memory BAR 0 and I/O BAR 1, each beginning with the same header (QEMU docs/specs/pci-testdev):
 *
 *   0 test (write selects one, and clears count)   1 width   4 offset   8 data   12 count   16 name, ends
 * with 0
 *
 * The guest writes `data`, `width` bytes wide, at `offset`; every such write counts. One test exists in each
 * BAR, the plain one; those with an eventfd are about QEMU's own doorbells. A test that does not exist reads
 * as all zeroes.
 */
#include "dev/pci/pci_testdev.h"

#include <stdlib.h>

#define MEM_SIZE  4096
#define IO_SIZE   256
#define DATA      0xfa
#define AT_COUNT  12
#define AT_NAME   16
#define NAME_SIZE 32

struct half {
    u32 offset; /* where the guest is to write */
    u32 count;
    u8 selected;
    char name[NAME_SIZE];
};

struct testdev {
    struct pci_function pci; /* first */
    struct half mem, io;
};

static u64 half_read(void *opaque, u64 off, unsigned size)
{
    const struct half *h = opaque;
    u8 bytes[AT_NAME + NAME_SIZE] = {0};
    if (!h->selected || off + size > sizeof(bytes))
        return 0;
    bytes[1] = 1;
    store_le(bytes + 4, 4, h->offset);
    store_le(bytes + 8, 4, DATA);
    store_le(bytes + AT_COUNT, 4, h->count);
    memcpy(bytes + AT_NAME, h->name, NAME_SIZE);
    return load_le(bytes + off, size);
}

static void half_write(void *opaque, u64 off, unsigned size, u64 value)
{
    struct half *h = opaque;
    if (off == 0) {
        h->selected = (value & 0xff) == 0;
        h->count = 0;
    } else if (h->selected && off == h->offset && size == 1 && value == DATA) {
        h->count++;
    }
}

static const struct region_ops half_ops = {.read = half_read, .write = half_write, .max_size = 4};

static void testdev_reset(struct dev *d)
{
    struct testdev *t = (struct testdev *)d;
    pci_function_reset(&t->pci);
    t->mem.selected = t->io.selected = 0;
    t->mem.count = t->io.count = 0;
}

static void testdev_destroy(struct dev *d)
{
    pci_function_fini((struct pci_function *)d);
    free(d);
}

static int testdev_loaded(void *obj)
{
    pci_function_loaded(obj);
    return 0;
}

static const struct state_field testdev_fields[] = {
    PCI_FUNCTION_STATE(struct testdev, pci),   STATE_FIELD(struct testdev, mem.count),
    STATE_FIELD(struct testdev, mem.selected), STATE_FIELD(struct testdev, io.count),
    STATE_FIELD(struct testdev, io.selected),  STATE_END,
};

static const struct state_desc testdev_state = {
    .name = "pci-testdev",
    .fields = testdev_fields,
    .loaded = testdev_loaded,
};

static const struct dev_class testdev_class = {
    .name = "pci-testdev",
    .reset = testdev_reset,
    .destroy = testdev_destroy,
    .state = &testdev_state,
};

struct dev *pci_testdev_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot, struct err *err)
{
    static const struct pci_ident id = {
        .vendor = 0x1b36, .device = 5, .sub_vendor = 0x1af4, .sub_device = 0x1100, .class_code = 0x00ff00};
    struct testdev *t = calloc(1, sizeof(*t));
    if (!t) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for pci-testdev");
        return NULL;
    }
    t->mem = (struct half){.offset = MEM_SIZE / 2, .name = "mmio-no-eventfd"};
    t->io = (struct half){.offset = IO_SIZE / 2, .name = "portio-no-eventfd"};
    if (pci_function_init(&t->pci, &testdev_class, env, bus, (u8)(slot << 3), &id, NULL, err) < 0) {
        free(t);
        return NULL;
    }
    pci_add_bar(&t->pci, 0, MEM_SIZE, false, false, &half_ops, &t->mem);
    pci_add_bar(&t->pci, 1, IO_SIZE, true, false, &half_ops, &t->io);
    testdev_reset(&t->pci.dev);
    return &t->pci.dev;
}
