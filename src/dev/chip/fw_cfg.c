/* SPDX-License-Identifier: MIT */
/*
 * fw_cfg, read-only. Selecting an item rewinds it; reading past its end gives zeroes. Named files have keys
 * from 0x20 on and are listed in item 0x19, all of it big-endian. The DMA interface takes the guest-physical
 * address of a control block {control, length, address} and reads items into memory.
 *
 * Never: believe a length in a control block. A transfer goes through a small buffer and space_write().
 */
#include "dev/chip/fw_cfg.h"

#include <endian.h>
#include <stdlib.h>

enum {
    KEY_SIGNATURE = 0,
    KEY_ID = 1,
    KEY_RAM_SIZE = 3,
    KEY_CPUS = 5,
    KEY_MAX_CPUS = 0xf,
    KEY_DIRECTORY = 0x19,
    KEY_FILES = 0x20
};
enum { ITEMS = 128, FILES = 64, NAME = 56 };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
#define DMA_SIGNATURE 0x51454d5520434647ull /* what the address register reads as: the interface's name */
#define DMA_LONGEST   (64 * MIB)            /* one transfer; zeroes past an item's end are not worth more */

struct item {
    u16 key;
    u32 len;
    u8 *data;
};

struct file { /* as the guest sees it */
    u32 size;
    u16 key, reserved;
    char name[NAME];
};

struct fw_cfg {
    struct dev dev;
    struct item item[ITEMS];
    unsigned items;
    struct {
        u32 count;
        struct file file[FILES];
    } directory;
    unsigned files;
    u16 selected;
    u32 offset;
    u32 dma_high; /* upper half of the control block's address, as written */
};

static const struct item *find(const struct fw_cfg *c, u16 key)
{
    for (unsigned n = 0; n < c->items; n++)
        if (c->item[n].key == key)
            return &c->item[n];
    return NULL;
}

int fw_cfg_add(struct dev *d, u16 key, const void *data, size_t len, struct err *err)
{
    struct fw_cfg *c = (struct fw_cfg *)d;
    u8 *copy = len <= 0xffffffff ? malloc(len ? len : 1) : NULL;
    if (!copy || c->items == ITEMS || find(c, key)) {
        free(copy);
        return err_set(err, EXIT_STATUS_HOST, "firmware item 0x%x does not fit (%u items, %zu bytes)", key,
                       c->items, len);
    }
    memcpy(copy, data, len);
    c->item[c->items++] = (struct item){.key = key, .len = len, .data = copy};
    return 0;
}

static int list_files(struct fw_cfg *c, struct err *err)
{
    size_t len = 4 + c->files * sizeof(struct file);
    for (unsigned n = 0; n < c->items; n++) {
        if (c->item[n].key != KEY_DIRECTORY)
            continue;
        free(c->item[n].data);
        c->item[n] = c->item[--c->items];
        break;
    }
    c->directory.count = htobe32(c->files);
    return fw_cfg_add(&c->dev, KEY_DIRECTORY, &c->directory, len, err);
}

int fw_cfg_add_file(struct dev *d, const char *name, const void *data, size_t len, struct err *err)
{
    struct fw_cfg *c = (struct fw_cfg *)d;
    if (c->files == FILES || strlen(name) >= NAME)
        return err_set(err, EXIT_STATUS_HOST, "firmware file %s: too many files or too long a name", name);
    u16 key = KEY_FILES + c->files;
    if (fw_cfg_add(d, key, data, len, err))
        return -1;
    struct file *f = &c->directory.file[c->files++];
    *f = (struct file){.size = htobe32(len), .key = htobe16(key)};
    strcpy(f->name, name);
    return list_files(c, err);
}

/* ---- ports ---- */

static void select_item(struct fw_cfg *c, u16 key)
{
    c->selected = key;
    c->offset = 0;
}

/* Copies from the selected item, zeroes after its end, and moves on. */
static void take(struct fw_cfg *c, u8 *to, u32 len)
{
    const struct item *i = find(c, c->selected);
    u32 left = i && c->offset < i->len ? i->len - c->offset : 0, n = len < left ? len : left;
    if (n)
        memcpy(to, i->data + c->offset, n);
    memset(to + n, 0, len - n);
    c->offset += n; /* never beyond the end, so it cannot wrap */
}

/* 0x510 is the 16-bit selector, 0x511 the data port; they overlap in one region. */
static u64 port_read(void *d, u64 off, unsigned size)
{
    struct fw_cfg *c = d;
    if (off != 1 || size != 1)
        return 0;
    u8 byte;
    take(c, &byte, 1);
    return byte;
}

static void port_write(void *d, u64 off, unsigned size, u64 v)
{
    if (off == 0 && size == 2)
        select_item(d, v);
}

static const struct region_ops port_ops = {port_read, port_write, 2};

/* ---- DMA ---- */

static bool transfer(struct fw_cfg *c, u64 to, u32 len)
{
    u8 buf[4096];
    while (len) {
        u32 n = len < sizeof buf ? len : sizeof buf;
        take(c, buf, n);
        if (space_write(c->dev.env->memory, to, buf, n))
            return false;
        to += n;
        len -= n;
    }
    return true;
}

static bool obey(struct fw_cfg *c, u32 control, u32 len, u64 address)
{
    if (control & DMA_SELECT)
        select_item(c, control >> 16);
    if (control & DMA_READ)
        return len <= DMA_LONGEST && transfer(c, address, len);
    if (control & DMA_WRITE)
        return false; /* no item can be written */
    const struct item *i = find(c, c->selected);
    u32 left = i && c->offset < i->len ? i->len - c->offset : 0;
    if (control & DMA_SKIP)
        c->offset += len < left ? len : left;
    return true;
}

static void dma(struct fw_cfg *c, u64 block)
{
    struct {
        u32 control, len;
        u64 address;
    } b;
    if (space_read(c->dev.env->memory, block, &b, sizeof b))
        return;
    bool ok = obey(c, be32toh(b.control), be32toh(b.len), be64toh(b.address));
    u32 result = htobe32(ok ? 0 : DMA_ERROR);
    (void)space_write(c->dev.env->memory, block, &result,
                      sizeof result); /* it was readable: RAM, or its own loss */
}

static u64 dma_read(void *d, u64 off, unsigned size)
{
    return htobe64(DMA_SIGNATURE) >> 8 * off & size_mask(size);
}

/* Big-endian halves; writing the lower one starts the transfer. */
static void dma_write(void *d, u64 off, unsigned size, u64 v)
{
    struct fw_cfg *c = d;
    if (size != 4)
        return;
    if (off == 0) {
        c->dma_high = be32toh(v);
    } else if (off == 4) {
        u64 block = (u64)c->dma_high << 32 | be32toh(v);
        c->dma_high = 0;
        dma(c, block);
    }
}

static const struct region_ops dma_ops = {dma_read, dma_write, 4};

/* ---- the device ---- */

static void fw_cfg_reset(struct dev *d)
{
    struct fw_cfg *c = (struct fw_cfg *)d;
    select_item(c, 0);
    c->dma_high = 0;
}

static const struct state_field fields[] = {
    STATE_FIELD(struct fw_cfg, selected),
    STATE_FIELD(struct fw_cfg, offset),
    STATE_FIELD(struct fw_cfg, dma_high),
    STATE_END,
};

static const struct state_desc state = {.name = "fw_cfg", .fields = fields};

static void fw_cfg_destroy(struct dev *d)
{
    struct fw_cfg *c = (struct fw_cfg *)d;
    for (unsigned n = 0; n < c->items; n++)
        free(c->item[n].data);
    dev_fini(d);
    free(c);
}

static const struct dev_class class = {
    .name = "fw_cfg", .reset = fw_cfg_reset, .destroy = fw_cfg_destroy, .state = &state};

static int add_numbers(struct dev *d, const struct fw_cfg_values *v, struct err *err)
{
    u32 features = 3; /* ports and DMA */
    return fw_cfg_add(d, KEY_SIGNATURE, "QEMU", 4, err) || fw_cfg_add(d, KEY_ID, &features, 4, err) ||
           fw_cfg_add(d, KEY_RAM_SIZE, &v->ram_size, 8, err) || fw_cfg_add(d, KEY_CPUS, &v->cpus, 2, err) ||
           fw_cfg_add(d, KEY_MAX_CPUS, &v->max_cpus, 2, err) || list_files((struct fw_cfg *)d, err);
}

struct dev *fw_cfg_new(const struct dev_env *env, const struct fw_cfg_values *values, struct err *err)
{
    struct fw_cfg *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(err, EXIT_STATUS_HOST, "no memory for the firmware configuration");
        return NULL;
    }
    dev_init(&c->dev, &class, env, 0);
    if (add_numbers(&c->dev, values, err)) {
        fw_cfg_destroy(&c->dev);
        return NULL;
    }
    if (dev_map(&c->dev, env->ports, 0x510, 2, &port_ops) ||
        dev_map(&c->dev, env->ports, 0x514, 8, &dma_ops)) {
        err_set(err, EXIT_STATUS_HOST, "the firmware configuration ports are taken");
        fw_cfg_destroy(&c->dev);
        return NULL;
    }
    return &c->dev;
}
