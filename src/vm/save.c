/* SPDX-License-Identifier: MIT */
/*
 * A machine's whole state in an image, and back.
 *
 * RAM goes in chunks of 1 MiB, those that are all zero left out; a bitmap record says which are there. A
 * chunk is restored through space_write() page by page, zero pages skipped, so a restored machine is as
 * sparse as the saved one and code watches hear of it. The image is hostile: its size fields are checked by
 * state_load(), its values by each object's `loaded`.
 */
#include <stdlib.h>

#include "vm/machine_parts.h"

#define CHUNK MIB

/* What must agree before anything is loaded. */
struct head {
    u64 memory, now;
    u32 cpus, vendor, devices, icount;
    u64 random; /* virtio-rng's, of a repeatable run */
    u64 blocks; /* bytes of the range of blocks */
    u64 ram_wanted, ram_overhead;
    u32 ram_overhead_known;
};

static const struct state_field head_fields[] = {
    STATE_FIELD(struct head, memory),
    STATE_FIELD(struct head, now),
    STATE_FIELD(struct head, cpus),
    STATE_FIELD(struct head, vendor),
    STATE_FIELD(struct head, devices),
    STATE_FIELD(struct head, icount),
    STATE_FIELD(struct head, random),
    STATE_FIELD(struct head, blocks),
    STATE_FIELD(struct head, ram_wanted),
    STATE_FIELD(struct head, ram_overhead),
    STATE_FIELD(struct head, ram_overhead_known),
    STATE_END,
};
static const struct state_desc head_desc = {.name = "machine", .fields = head_fields};

static const struct state_field chunk_fields[] = {{"data", 0, CHUNK, 1}, STATE_END};
static const struct state_desc chunk_desc = {.name = "ram", .fields = chunk_fields};

static struct head head_of(const struct machine *m)
{
    return (struct head){m->config.memory,      clock_now(m->clock),   m->config.cpus,
                         m->config.vendor,      m->board.device_count, m->config.options.icount,
                         m->board.random_state, m->map.blocks_size,    m->ram.wanted,
                         m->ram.overhead,       m->ram.overhead_known};
}

/* ---- RAM ---- */

/* Chunk i of the RAM the machine has or may have, as a guest address: low RAM first, blocks last. */
static u64 chunk_address(const struct machine *m, u64 i)
{
    u64 at = i * CHUNK;
    if (at >= m->config.memory)
        return m->map.blocks_base + (at - m->config.memory);
    return at < m->map.low_end ? at : HIGH_RAM_BASE + (at - m->map.low_end);
}

static bool is_absent(const struct machine *m, u64 i)
{
    return !space_ram(m->memory, chunk_address(m, i), NULL);
}

static bool is_zero(const u8 *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static u64 chunk_count(const struct machine *m)
{
    return (m->config.memory + m->map.blocks_size) / CHUNK;
}

/* A runtime description of a bitmap. */
struct bitmap_desc {
    struct state_field fields[2];
    struct state_desc desc;
};

static void describe_bitmap(struct bitmap_desc *d, const char *name, u64 bits)
{
    *d = (struct bitmap_desc){.fields = {{"present", 0, 1, (u32)(bits + 7) / 8}, STATE_END},
                              .desc = {.name = name}};
    d->desc.fields = d->fields;
}

/* The first MiB has a hole where VGA would be: it reads as ones, and is saved as zeroes. */
static void read_chunk(struct machine *m, u64 i, u8 *buf)
{
    u64 gpa = chunk_address(m, i);
    if (gpa) {
        (void)space_read(m->memory, gpa, buf, CHUNK);
        return;
    }
    memset(buf, 0, CHUNK);
    (void)space_read(m->memory, 0, buf, LEGACY_VGA_BASE);
    (void)space_read(m->memory, LEGACY_ROM_BASE, buf + LEGACY_ROM_BASE, CHUNK - LEGACY_ROM_BASE);
}

static void write_chunk(struct machine *m, u64 i, const u8 *buf)
{
    u64 gpa = chunk_address(m, i);
    for (u64 off = 0; off < CHUNK; off += PAGE_SIZE)
        if (space_ram(m->memory, gpa + off, NULL) && !is_zero(buf + off, PAGE_SIZE))
            (void)space_write(m->memory, gpa + off, buf + off, PAGE_SIZE);
}

static int save_ram(struct machine *m, struct state_image *img, struct err *err)
{
    struct bitmap_desc bd;
    describe_bitmap(&bd, "ram-map", chunk_count(m));
    u8 *buf = malloc(CHUNK), *map = calloc(1, bd.fields[0].count);
    if (buf && map) {
        for (u64 i = 0; i < chunk_count(m); i++) {
            if (is_absent(m, i))
                continue;
            read_chunk(m, i, buf);
            if (is_zero(buf, CHUNK))
                continue;
            map[i / 8] |= 1u << i % 8;
            state_save(img, &chunk_desc, i, buf);
        }
        state_save(img, &bd.desc, 0, map);
    }
    int r =
        buf && map && !img->failed ? 0 : err_set(err, EXIT_STATUS_HOST, "out of memory for the saved RAM");
    free(buf);
    free(map);
    return r;
}

static void discard_ram(struct machine *m)
{
    for (u64 i = 0; i < chunk_count(m); i++)
        if (!is_absent(m, i))
            space_discard(m->memory, chunk_address(m, i), CHUNK);
}

static int load_chunks(struct machine *m, const struct state_image *img, const u8 *map, u8 *buf,
                       struct err *err)
{
    for (u64 i = 0; i < chunk_count(m); i++) {
        if (!(map[i / 8] >> i % 8 & 1))
            continue;
        memset(buf, 0, CHUNK);
        if (state_load(img, &chunk_desc, i, buf, err))
            return -1;
        write_chunk(m, i, buf);
    }
    return 0;
}

static int load_ram(struct machine *m, const struct state_image *img, struct err *err)
{
    struct bitmap_desc bd;
    describe_bitmap(&bd, "ram-map", chunk_count(m));
    u8 *buf = malloc(CHUNK), *map = calloc(1, bd.fields[0].count);
    int r = -1;
    if (!buf || !map)
        err_set(err, EXIT_STATUS_HOST, "out of memory for the saved RAM");
    else if (!state_load(img, &bd.desc, 0, map, err)) {
        discard_ram(m);
        r = load_chunks(m, img, map, buf, err);
    }
    free(buf);
    free(map);
    return r;
}

/* ---- which blocks are plugged ---- */

static u64 block_count(const struct machine *m)
{
    return m->map.blocks_size / VIRTIO_MEM_BLOCK;
}

static u64 block_address(const struct machine *m, u64 i)
{
    return m->map.blocks_base + i * VIRTIO_MEM_BLOCK;
}

static void save_blocks(const struct machine *m, struct state_image *img)
{
    struct bitmap_desc bd;
    describe_bitmap(&bd, "blocks", block_count(m));
    if (!block_count(m))
        return;
    u8 *map = calloc(1, bd.fields[0].count);
    for (u64 i = 0; map && i < block_count(m); i++)
        if (space_ram(m->memory, block_address(m, i), NULL))
            map[i / 8] |= (u8)(1u << i % 8);
    img->failed |= !map;
    if (map)
        state_save(img, &bd.desc, 0, map);
    free(map);
}

static int plug_blocks(struct machine *m, const u8 *map, struct err *err)
{
    for (u64 i = 0; i < block_count(m); i++)
        if ((map[i / 8] >> i % 8 & 1) && ram_plug(m, block_address(m, i), VIRTIO_MEM_BLOCK))
            return err_set(err, EXIT_STATUS_HOST, "the host does not take the guest's memory as it was");
    return 0;
}

/* None is plugged yet. */
static int load_blocks(struct machine *m, const struct state_image *img, struct err *err)
{
    struct bitmap_desc bd;
    describe_bitmap(&bd, "blocks", block_count(m));
    if (!block_count(m))
        return 0;
    u8 *map = calloc(1, bd.fields[0].count);
    int r = map ? state_load(img, &bd.desc, 0, map, err)
                : err_set(err, EXIT_STATUS_HOST, "out of memory for the saved RAM");
    if (r == 0)
        r = plug_blocks(m, map, err);
    free(map);
    return r;
}

/* ---- devices ---- */

struct walk {
    struct state_image *out;
    const struct state_image *in;
    struct err *err;
    int result;
};

static void save_device(struct dev *d, void *arg)
{
    struct walk *w = arg;
    if (!d->class->state)
        return;
    dev_lock(d);
    state_save(w->out, d->class->state, d->instance, d);
    dev_unlock(d);
}

static void load_device(struct dev *d, void *arg)
{
    struct walk *w = arg;
    if (!d->class->state || w->result)
        return;
    dev_lock(d);
    w->result = state_load(w->in, d->class->state, d->instance, d, w->err);
    dev_unlock(d);
}

/* ---- the whole ---- */

static void save_but_ram(struct machine *m, struct state_image *img)
{
    struct walk w = {.out = img};
    struct head h = head_of(m);
    state_save(img, &head_desc, 0, &h);
    save_blocks(m, img);
    /* Devices before RAM and CPUs: bringing a device's state up to date may finish requests that write RAM.
     */
    board_each(&m->board, save_device, &w);
    for (unsigned i = 0; i < m->config.cpus; i++)
        m->config.engine->save(m->vcpus[i].accel, img);
}

static int save_all(struct machine *m, struct state_image *img, struct err *err)
{
    save_but_ram(m, img);
    return save_ram(m, img, err);
}

/* Chunks of zeroes do not count: whether the host gave them memory is nobody's business. */
static u64 hash_ram(struct machine *m, u64 h, u8 *buf)
{
    for (u64 i = 0; i < chunk_count(m); i++) {
        if (is_absent(m, i))
            continue;
        read_chunk(m, i, buf);
        if (!is_zero(buf, CHUNK))
            h = state_hash(state_hash(h, &i, sizeof(i)), buf, CHUNK);
    }
    return h;
}

int machine_hash(struct machine *m, u64 *hash, struct err *err)
{
    struct state_image img = {0};
    u8 *buf = malloc(CHUNK);
    save_but_ram(m, &img);
    bool ok = buf && !img.failed;
    if (ok)
        *hash = hash_ram(m, state_hash(STATE_HASH_BEGIN, img.data, img.len), buf);
    free(buf);
    state_free(&img);
    return ok ? 0 : err_set(err, EXIT_STATUS_HOST, "out of memory for the machine's state");
}

int machine_save(struct machine *m, struct state_image *img, struct err *err)
{
    machine_pause(m);
    int r = save_all(m, img, err);
    machine_resume(m);
    return r;
}

static int check_head(const struct machine *m, const struct state_image *img, struct head *h, struct err *err)
{
    struct head own = head_of(m);
    if (state_load(img, &head_desc, 0, h, err))
        return -1;
    if (h->memory != own.memory || h->cpus != own.cpus || h->vendor != own.vendor ||
        h->devices != own.devices || h->icount != own.icount || h->blocks != own.blocks)
        return err_set(err, EXIT_STATUS_USAGE,
                       "the saved machine had %llu MiB of at most %llu, %u CPUs and %u devices, this one has "
                       "%llu of %llu, %u and %u: start it as it was",
                       (unsigned long long)(h->memory / MIB),
                       (unsigned long long)((h->memory + h->blocks) / MIB), h->cpus, h->devices,
                       (unsigned long long)(own.memory / MIB),
                       (unsigned long long)((own.memory + own.blocks) / MIB), own.cpus, own.devices);
    return 0;
}

static int load_all(struct machine *m, const struct state_image *img, struct err *err)
{
    struct walk w = {.in = img, .err = err};
    struct head h = {0};
    if (check_head(m, img, &h, err))
        return -1;
    if (h.now == CLOCK_NEVER)
        return err_set(err, EXIT_STATUS_USAGE,
                       "the saved machine's clock is impossible: the file is damaged");
    clock_set(m->clock, h.now);
    m->board.random_state = h.random;
    ram_restored(m, h.ram_wanted, h.ram_overhead, h.ram_overhead_known);
    if (load_blocks(m, img, err) || load_ram(m, img, err))
        return -1;
    for (unsigned i = 0; i < m->config.cpus; i++)
        if (m->config.engine->load(m->vcpus[i].accel, img, err))
            return -1;
    board_each(&m->board, load_device, &w);
    return w.result;
}

int machine_restore(struct machine *m, const struct state_image *img, struct err *err)
{
    machine_pause(m);
    int r = board_reset(&m->board, err) || load_all(m, img, err) ? -1 : 0;
    machine_resume(m);
    return r;
}
