/* SPDX-License-Identifier: MIT */
/*
 * virtio-blk. A kick wakes the worker thread, which takes a batch of requests under the device's lock, does
 * the I/O without it, straight into guest memory, and puts the batch on the used ring under the lock again.
 *
 * The batch belongs to whoever made `active` true, until it is false again. `active` and `finished` have a
 * lock of their own, taken after the device's or alone, so a reset can wait for the worker's I/O while it
 * holds the device's lock: the worker never needs that one while it is active. A finished batch is put on the
 * ring by whoever gets there first, or dropped by a reset.
 *
 * With the clock counting instructions there is no worker: the I/O is done on the vCPU's thread, at the same
 * instruction in every run.
 */
#include "dev/virtio/virtio_blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <signal.h>
#include <stdlib.h>

#include "dev/virtio/virtio.h"

#define SECTOR          512
#define HEADER          16 /* struct virtio_blk_outhdr */
#define BATCH           8
#define IOV_COUNT       (VQ_SEGS_MAX + 8) /* a segment splits only where RAM does */
#define SEG_MAX         (VQ_SEGS_MAX - 2) /* data segments: without header and status */
#define DISCARD_SEGS    16
#define DISCARD_SECTORS (1u << 22) /* 2 GiB in one range */

struct request {
    struct vq_chain chain;
    u32 written;
};

struct blk {
    struct virtio virtio; /* first */
    struct block *block;
    char serial[VIRTIO_BLK_ID_BYTES];
    struct virtio_blk_config config;
    pthread_t worker;
    bool threaded;
    pthread_mutex_t lock; /* of the four below */
    pthread_cond_t changed;
    bool kicked, quit, active;
    unsigned finished; /* requests of the batch that are done and not yet on the used ring */
    unsigned count;    /* requests in the batch; its owner's */
    struct request batch[BATCH];
    struct iovec iov[IOV_COUNT];
};

/* --- one request, without the device's lock --- */

static u8 status_of(int error)
{
    if (error == 0)
        return VIRTIO_BLK_S_OK;
    return error == -EOPNOTSUPP || error == -ENOSYS ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

/* `len` bytes of data between the disk and the chain's in (read) or out (write) segments. */
static int transfer(struct blk *b, struct request *r, u64 sector, bool read)
{
    const struct virtqueue *vq = &b->virtio.vq[0];
    const struct block_ops *ops = b->block->ops;
    u64 len = read ? r->chain.in_len - 1 : r->chain.out_len - HEADER;
    if (sector > b->block->size / SECTOR || len > b->block->size)
        return -EINVAL;
    int n = vq_iov(vq, &r->chain, read, read ? 0 : HEADER, len, b->iov, IOV_COUNT);
    if (n < 0)
        return -EINVAL;
    if (!read)
        return b->block->readonly ? -EROFS : ops->writev(b->block, b->iov, n, sector * SECTOR);
    int error = ops->readv(b->block, b->iov, n, sector * SECTOR);
    vq_written(vq, &r->chain, 0, len); /* a failed read may have written, too */
    r->written = (u32)len;
    return error;
}

static int discard_range(struct blk *b, const struct virtio_blk_discard_write_zeroes *d)
{
    if (d->flags)
        return -EOPNOTSUPP; /* 5.2.6.2: unmap is for write zeroes only */
    if (d->sector > b->block->size / SECTOR || d->num_sectors > DISCARD_SECTORS)
        return -EINVAL;
    return b->block->ops->discard(b->block, d->sector * SECTOR, (u64)d->num_sectors * SECTOR);
}

static int discard(struct blk *b, struct request *r)
{
    struct virtio_blk_discard_write_zeroes d[DISCARD_SEGS];
    u64 len = r->chain.out_len - HEADER;
    if (!b->block->ops->discard)
        return -EOPNOTSUPP;
    if (b->block->readonly || len % sizeof(d[0]) || len > sizeof(d))
        return -EINVAL;
    vq_read(&b->virtio.vq[0], &r->chain, HEADER, d, len);
    int error = 0;
    for (unsigned i = 0; i < len / sizeof(d[0]) && !error; i++)
        error = discard_range(b, &d[i]);
    return error;
}

static int get_id(struct blk *b, struct request *r)
{
    u64 room = r->chain.in_len - 1;
    size_t len = room < sizeof(b->serial) ? room : sizeof(b->serial);
    r->written = (u32)vq_write(&b->virtio.vq[0], &r->chain, 0, b->serial, len);
    return 0;
}

static int execute(struct blk *b, struct request *r, const struct virtio_blk_outhdr *h)
{
    switch (h->type) {
    case VIRTIO_BLK_T_IN:
        return transfer(b, r, h->sector, true);
    case VIRTIO_BLK_T_OUT:
        return transfer(b, r, h->sector, false);
    case VIRTIO_BLK_T_FLUSH:
        return b->block->ops->flush(b->block);
    case VIRTIO_BLK_T_GET_ID:
        return get_id(b, r);
    case VIRTIO_BLK_T_DISCARD:
        return discard(b, r);
    default:
        return -EOPNOTSUPP;
    }
}

/* Header and status byte are there: take() looked. The status is the last byte of the in segments. */
static void serve(struct blk *b, struct request *r)
{
    struct virtio_blk_outhdr h;
    const struct virtqueue *vq = &b->virtio.vq[0];
    r->written = 0;
    vq_read(vq, &r->chain, 0, &h, HEADER);
    u8 status = status_of(execute(b, r, &h));
    vq_write(vq, &r->chain, r->chain.in_len - 1, &status, 1);
    r->written++;
}

static void serve_batch(struct blk *b)
{
    for (unsigned i = 0; i < b->count; i++)
        serve(b, &b->batch[i]);
}

/* --- batches; the device's lock held --- */

static bool take_some(struct blk *b)
{
    struct virtio *v = &b->virtio;
    for (b->count = 0; b->count < BATCH; b->count++) {
        struct vq_chain *c = &b->batch[b->count].chain;
        if (virtio_pop(v, 0, c) <= 0)
            break;
        if (c->out_len < HEADER || c->in_len < 1) {
            virtio_needs_reset(v);
            break;
        }
    }
    return b->count > 0;
}

/* True: the batch is the caller's, to be served. False: there are no requests, and the driver will kick. */
static bool take(struct blk *b)
{
    bool some = take_some(b);
    if (!some) {
        vq_want_notify(&b->virtio.vq[0], true);
        some = take_some(b);
    }
    pthread_mutex_lock(&b->lock);
    b->active = some;
    pthread_mutex_unlock(&b->lock);
    return some;
}

static void finished(struct blk *b)
{
    pthread_mutex_lock(&b->lock);
    b->active = false;
    b->finished = b->count;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

/* Waits for the worker's I/O; returns what it finished and nobody has put on the ring yet. */
static unsigned collect(struct blk *b)
{
    pthread_mutex_lock(&b->lock);
    while (b->active)
        pthread_cond_wait(&b->changed, &b->lock);
    unsigned n = b->finished;
    b->finished = 0;
    pthread_mutex_unlock(&b->lock);
    return n;
}

static void give_back(struct blk *b)
{
    struct virtqueue *vq = &b->virtio.vq[0];
    unsigned n = collect(b);
    for (unsigned i = 0; i < n; i++)
        vq_fill(vq, i, b->batch[i].chain.head, b->batch[i].written);
    if (!n)
        return;
    vq_show(vq, n);
    virtio_interrupt(&b->virtio, 0);
}

/* Serves all there is on this thread. */
static void serve_all(struct blk *b)
{
    give_back(b);
    while (take(b)) {
        serve_batch(b);
        finished(b);
        give_back(b);
    }
}

/* --- the worker --- */

static bool wait_for_kick(struct blk *b)
{
    pthread_mutex_lock(&b->lock);
    while (!b->kicked && !b->quit)
        pthread_cond_wait(&b->changed, &b->lock);
    b->kicked = false;
    bool go_on = !b->quit;
    pthread_mutex_unlock(&b->lock);
    return go_on;
}

static bool take_locked(struct blk *b)
{
    dev_lock(&b->virtio.pci.dev);
    bool some = take(b);
    dev_unlock(&b->virtio.pci.dev);
    return some;
}

static bool quitting(struct blk *b)
{
    pthread_mutex_lock(&b->lock);
    bool quit = b->quit;
    pthread_mutex_unlock(&b->lock);
    return quit;
}

static void *work(void *opaque)
{
    struct blk *b = opaque;
    while (wait_for_kick(b)) {
        while (!quitting(b) && take_locked(b)) {
            serve_batch(b);
            finished(b);
            dev_lock(&b->virtio.pci.dev);
            give_back(b);
            dev_unlock(&b->virtio.pci.dev);
        }
    }
    return NULL;
}

/* Signals are the main thread's. */
static int start_worker(struct blk *b)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&b->worker, NULL, work, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    b->threaded = error == 0;
    return error;
}

static void wake(struct blk *b, bool quit)
{
    pthread_mutex_lock(&b->lock);
    b->kicked = true;
    b->quit |= quit;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

/* --- the device --- */

static void kick(struct virtio *v, unsigned q)
{
    struct blk *b = (struct blk *)v;
    if (b->threaded)
        wake(b, false);
    else
        serve_all(b);
}

static void stop(struct virtio *v)
{
    collect((struct blk *)v);
}

static void blk_saving(void *obj)
{
    struct blk *b = obj;
    dev_lock(&b->virtio.pci.dev);
    serve_all(b);
    dev_unlock(&b->virtio.pci.dev);
}

static void blk_destroy(struct dev *d)
{
    struct blk *b = (struct blk *)d;
    if (b->threaded) {
        wake(b, true);
        pthread_join(b->worker, NULL);
    }
    b->block->ops->close(b->block);
    virtio_fini(&b->virtio);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static const struct state_field blk_fields[] = {VIRTIO_STATE(struct blk, virtio), STATE_END};

static const struct state_desc blk_state = {
    .name = "virtio-blk",
    .fields = blk_fields,
    .saving = blk_saving,
    .loaded = virtio_loaded,
};

static const struct dev_class blk_class = {
    .name = "virtio-blk",
    .reset = virtio_reset,
    .destroy = blk_destroy,
    .state = &blk_state,
};

static const struct virtio_ops blk_ops = {
    .type = VIRTIO_ID_BLOCK,
    .class_code = 0x018000,
    .features = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
                BIT(VIRTIO_BLK_F_RO) | BIT(VIRTIO_BLK_F_DISCARD),
    .config_len = offsetof(struct virtio_blk_config, max_write_zeroes_sectors),
    .queue_size = {256},
    .kick = kick,
    .stop = stop,
};

static u64 describe(struct blk *b, const char *serial)
{
    u64 features = ~0ull;
    b->config.capacity = b->block->size / SECTOR;
    b->config.seg_max = SEG_MAX;
    b->config.blk_size = SECTOR;
    if (b->block->ops->discard && !b->block->readonly) {
        b->config.max_discard_sectors = DISCARD_SECTORS;
        b->config.max_discard_seg = DISCARD_SEGS;
        b->config.discard_sector_alignment = 1;
    } else {
        features &= ~BIT(VIRTIO_BLK_F_DISCARD);
    }
    if (!b->block->readonly)
        features &= ~BIT(VIRTIO_BLK_F_RO);
    size_t len = serial ? strnlen(serial, sizeof(b->serial)) : 0;
    if (len)
        memcpy(b->serial, serial, len); /* 20 bytes need no end (5.2.6) */
    return features;
}

struct dev *virtio_blk_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot, struct block *block,
                           const char *serial, struct err *err)
{
    struct blk *b = calloc(1, sizeof(*b));
    if (!b) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for virtio-blk");
        return NULL;
    }
    b->block = block;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    u64 features = describe(b, serial);
    if (virtio_init(&b->virtio, &blk_class, env, bus, slot, &blk_ops, features, (u8 *)&b->config, err) < 0)
        goto fail;
    if (clock_mode(env->clock) == CLOCK_MODE_ICOUNT || start_worker(b) == 0)
        return &b->virtio.pci.dev;
    err_set(err, EXIT_STATUS_HOST,
            "cannot start a thread for a disk: the host's limit of threads is reached");
    virtio_fini(&b->virtio);
fail:
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    free(b);
    return NULL;
}
