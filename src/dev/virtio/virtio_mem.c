/* SPDX-License-Identifier: MIT */
/*
 * virtio-mem. The guest asks block by block; each request names blocks by address and number, and is refused
 * whole unless all of them lie in the range, are in the state it takes them for, and plugging them stays
 * within what the host wished.
 *
 * The memory space alone knows which blocks are plugged; here only their sum is kept. A reset by the driver
 * changes nothing (5.15.6.2), that of the machine unplugs all.
 *
 * While the port says frozen every change is answered BUSY, upon which a driver tries again later, and the
 * guest sees that it has what it should have. What the host wished stays noted and holds again after.
 */
#include "dev/virtio/virtio_mem.h"

#include <linux/virtio_ids.h>
#include <linux/virtio_mem.h>
#include <stdlib.h>

#include "dev/virtio/virtio.h"

_Static_assert(sizeof(struct virtio_mem_config) == 56 && sizeof(struct virtio_mem_req) == 24,
               "virtio's layout");

struct memory {
    struct virtio virtio; /* first */
    struct memory_port port;
    u8 config[sizeof(struct virtio_mem_config)];
    u64 base, size;
    u64 requested; /* by the host */
    u64 plugged;
    u8 frozen;
    struct vq_chain chain; /* scratch */
};

/* ---- what the guest sees ---- */

static void show(struct memory *m)
{
    const struct virtio_mem_config c = {
        .block_size = VIRTIO_MEM_BLOCK,
        .addr = m->base,
        .region_size = m->size,
        .usable_region_size = m->size,
        .plugged_size = m->plugged,
        .requested_size = m->frozen ? m->plugged : m->requested,
    };
    memcpy(m->config, &c, sizeof(c)); /* the host's order is the guest's */
}

static u64 requested_now(const struct memory *m)
{
    return load_le(m->config + offsetof(struct virtio_mem_config, requested_size), 8);
}

/* The driver looks at what is requested only when it is told. */
static void show_request(struct memory *m)
{
    u64 before = requested_now(m);
    show(m);
    if (requested_now(m) != before)
        virtio_config_changed(&m->virtio);
}

/* ---- requests ---- */

static bool valid(const struct memory *m, u64 gpa, u64 size)
{
    u64 off = gpa - m->base;
    return size && gpa % VIRTIO_MEM_BLOCK == 0 && off < m->size && size <= m->size - off;
}

static u64 plugged_in(const struct memory *m, u64 gpa, u64 size)
{
    return space_plugged(m->virtio.pci.dev.env->memory, gpa, size);
}

static bool frozen(const struct memory *m)
{
    return m->port.frozen(m->port.opaque);
}

static u16 plug(struct memory *m, u64 gpa, u64 size)
{
    if (!valid(m, gpa, size) || plugged_in(m, gpa, size))
        return VIRTIO_MEM_RESP_ERROR;
    if (frozen(m))
        return VIRTIO_MEM_RESP_BUSY;
    if (m->plugged + size > m->requested)
        return VIRTIO_MEM_RESP_NACK;
    if (m->port.plug(m->port.opaque, gpa, size, true))
        return VIRTIO_MEM_RESP_BUSY;
    m->plugged += size;
    return VIRTIO_MEM_RESP_ACK;
}

static u16 unplug(struct memory *m, u64 gpa, u64 size)
{
    if (!valid(m, gpa, size) || plugged_in(m, gpa, size) != size)
        return VIRTIO_MEM_RESP_ERROR;
    if (frozen(m))
        return VIRTIO_MEM_RESP_BUSY;
    (void)m->port.plug(m->port.opaque, gpa, size, false);
    m->plugged -= size;
    return VIRTIO_MEM_RESP_ACK;
}

static void unplug_everything(struct memory *m)
{
    u64 end = m->base + m->size, gpa = m->base;
    for (; m->plugged && gpa < end; gpa += VIRTIO_MEM_BLOCK)
        if (plugged_in(m, gpa, VIRTIO_MEM_BLOCK))
            (void)m->port.plug(m->port.opaque, gpa, VIRTIO_MEM_BLOCK, false);
    m->plugged = 0;
}

static u16 unplug_all(struct memory *m)
{
    if (m->plugged && frozen(m))
        return VIRTIO_MEM_RESP_BUSY;
    unplug_everything(m);
    return VIRTIO_MEM_RESP_ACK;
}

static u16 tell_state(const struct memory *m, u64 gpa, u64 size, u16 *state)
{
    if (!valid(m, gpa, size))
        return VIRTIO_MEM_RESP_ERROR;
    u64 there = plugged_in(m, gpa, size);
    *state = there == size ? VIRTIO_MEM_STATE_PLUGGED
             : there       ? VIRTIO_MEM_STATE_MIXED
                           : VIRTIO_MEM_STATE_UNPLUGGED;
    return VIRTIO_MEM_RESP_ACK;
}

/* All requests that name blocks have address and number at the same place. */
static u32 serve(struct virtio *v, struct vq_chain *c)
{
    struct memory *m = (struct memory *)v;
    struct virtio_mem_req q = {0};
    struct virtio_mem_resp a = {.type = VIRTIO_MEM_RESP_ERROR};
    u16 state = 0;
    bool whole = vq_read(&v->vq[0], c, 0, &q, sizeof(q)) == sizeof(q);
    u64 gpa = q.u.plug.addr, size = q.u.plug.nb_blocks * VIRTIO_MEM_BLOCK;
    if (whole && q.type == VIRTIO_MEM_REQ_PLUG)
        a.type = plug(m, gpa, size);
    else if (whole && q.type == VIRTIO_MEM_REQ_UNPLUG)
        a.type = unplug(m, gpa, size);
    else if (whole && q.type == VIRTIO_MEM_REQ_UNPLUG_ALL)
        a.type = unplug_all(m);
    else if (whole && q.type == VIRTIO_MEM_REQ_STATE)
        a.type = tell_state(m, gpa, size, &state);
    a.u.state.state = state;
    show(m);
    return (u32)vq_write(&v->vq[0], c, 0, &a, sizeof(a));
}

static bool run(struct virtio *v, unsigned q)
{
    return virtio_drain(v, q, &((struct memory *)v)->chain, serve);
}

/* ---- the host's side ---- */

void virtio_mem_request(struct dev *d, u64 bytes)
{
    struct memory *m = (struct memory *)d;
    dev_lock(d);
    m->requested = ALIGN_DOWN(bytes < m->size ? bytes : m->size, VIRTIO_MEM_BLOCK);
    show_request(m);
    dev_unlock(d);
}

void virtio_mem_review(struct dev *d)
{
    struct memory *m = (struct memory *)d;
    dev_lock(d);
    m->frozen = frozen(m);
    show_request(m);
    dev_unlock(d);
}

void virtio_mem_info(struct dev *d, struct memory_range_info *out)
{
    struct memory *m = (struct memory *)d;
    dev_lock(d);
    *out = (struct memory_range_info){virtio_running(&m->virtio), m->requested, m->plugged};
    dev_unlock(d);
}

/* ---- the device ---- */

static void memory_reset(struct dev *d)
{
    struct memory *m = (struct memory *)d;
    unplug_everything(m);
    show(m);
    virtio_reset(d);
}

static void memory_destroy(struct dev *d)
{
    struct memory *m = (struct memory *)d;
    virtio_fini(&m->virtio);
    free(m);
}

/* RAM comes before devices: the sum is counted anew, whatever was saved. */
static int memory_loaded(void *obj)
{
    struct memory *m = obj;
    if (m->requested > m->size || m->requested % VIRTIO_MEM_BLOCK)
        return -1;
    m->plugged = plugged_in(m, m->base, m->size);
    m->frozen = m->frozen != 0;
    show(m);
    return virtio_loaded(obj);
}

static const struct state_field memory_fields[] = {
    VIRTIO_STATE(struct memory, virtio),
    STATE_FIELD(struct memory, requested),
    STATE_FIELD(struct memory, frozen),
    STATE_END,
};

static const struct state_desc memory_state = {
    .name = "virtio-mem",
    .fields = memory_fields,
    .loaded = memory_loaded,
};

static const struct dev_class memory_class = {
    .name = "virtio-mem",
    .reset = memory_reset,
    .destroy = memory_destroy,
    .state = &memory_state,
};

static const struct virtio_ops memory_ops = {
    .type = VIRTIO_ID_MEM,
    .class_code = 0x00ff00,
    .features = BIT(VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE),
    .config_len = sizeof(struct virtio_mem_config),
    .queue_size = {128},
    .kick = virtio_defer,
    .run = run,
};

struct dev *virtio_mem_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot, u64 base, u64 size,
                           const struct memory_port *port, struct err *err)
{
    struct memory *m = calloc(1, sizeof(*m));
    if (!m) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for virtio-mem");
        return NULL;
    }
    m->port = *port;
    m->base = base;
    m->size = size;
    show(m);
    if (virtio_init(&m->virtio, &memory_class, env, bus, slot, &memory_ops, ~0ull, m->config, err) < 0) {
        free(m);
        return NULL;
    }
    return &m->virtio.pci.dev;
}
