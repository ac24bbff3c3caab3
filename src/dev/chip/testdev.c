/* SPDX-License-Identifier: MIT */
/*
 * pc-testdev. The page flush hint asks a host to drop its mapping of a guest page so that the next access
 * faults in the host; the guest sees no difference, and none is made here.
 */
#include "dev/chip/testdev.h"

#include <stdlib.h>

#define IOMEM_BASE 0xff000000ull
#define IOMEM_SIZE 0x10000

struct testdev {
    struct dev dev;
    struct isa_irq *isa;
    u8 latch[4];
    u8 iomem[IOMEM_SIZE];
};

static u64 latch_read(void *d, u64 off, unsigned size)
{
    return load_le(((struct testdev *)d)->latch + off, size);
}

static void latch_write(void *d, u64 off, unsigned size, u64 v)
{
    store_le(((struct testdev *)d)->latch + off, size, v);
}

static u64 nothing_read(void *d, u64 off, unsigned size)
{
    return size_mask(size);
}

static void flush_write(void *d, u64 off, unsigned size, u64 v) {}

static void irq_write(void *d, u64 off, unsigned size, u64 v)
{
    struct testdev *t = d;
    struct irq_line line = isa_irq_line(t->isa, off);
    if (off >= ISA_IRQS) {
        line = t->isa->ioapic;
        line.pin = off;
    }
    irq_set(&line, v != 0);
}

static u64 iomem_read(void *d, u64 off, unsigned size)
{
    return load_le(((struct testdev *)d)->iomem + off, size);
}

static void iomem_write(void *d, u64 off, unsigned size, u64 v)
{
    store_le(((struct testdev *)d)->iomem + off, size, v);
}

static const struct region_ops latch_ops = {latch_read, latch_write, 4};
static const struct region_ops byte_ops = {latch_read, latch_write, 1};
static const struct region_ops flush_ops = {nothing_read, flush_write, 4};
static const struct region_ops irq_ops = {nothing_read, irq_write, 1};
static const struct region_ops iomem_ops = {iomem_read, iomem_write, 8};

static void testdev_reset(struct dev *d)
{
    struct testdev *t = (struct testdev *)d;
    memset(t->latch, 0, sizeof t->latch);
    memset(t->iomem, 0, sizeof t->iomem);
}

static const struct state_field fields[] = {
    STATE_ARRAY(struct testdev, latch),
    STATE_ARRAY(struct testdev, iomem),
    STATE_END,
};

static const struct state_desc state = {.name = "testdev", .fields = fields};

static void testdev_destroy(struct dev *d)
{
    dev_fini(d);
    free(d);
}

static const struct dev_class class = {
    .name = "testdev", .reset = testdev_reset, .destroy = testdev_destroy, .state = &state};

struct dev *testdev_new(const struct dev_env *env, struct isa_irq *isa, struct err *err)
{
    struct testdev *t = calloc(1, sizeof *t);
    if (!t) {
        err_set(err, EXIT_STATUS_HOST, "no memory for the test device");
        return NULL;
    }
    t->isa = isa;
    dev_init(&t->dev, &class, env, 0);
    if (dev_map(&t->dev, env->ports, 0xe0, 4, &latch_ops) ||
        dev_map(&t->dev, env->ports, 0xe4, 4, &flush_ops) ||
        dev_map(&t->dev, env->ports, 0xe8, 4, &byte_ops) ||
        dev_map(&t->dev, env->ports, 0x2000, ISA_GSIS, &irq_ops) ||
        dev_map(&t->dev, env->memory, IOMEM_BASE, IOMEM_SIZE, &iomem_ops)) {
        err_set(err, EXIT_STATUS_HOST, "the test device's addresses are taken: leave out --test-devices");
        testdev_destroy(&t->dev);
        return NULL;
    }
    return &t->dev;
}
