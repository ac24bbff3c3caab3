/* SPDX-License-Identifier: MIT */
/*
 * virtio-balloon. Pages come as numbers (inflate) or as buffers (reports); both are the guest's own claim
 * that it does not need what is in them, and both end in space_discard(), which checks that they are RAM.
 *
 * Statistics: the driver leaves one buffer; it is read when it comes and kept until the next ones are wanted.
 *
 * While the port says frozen, reports are answered and nothing is discarded, and the target that the guest
 * sees is what it has already given. What the host wished stays noted and holds again after.
 *
 * PAGE_POISON is never offered: a driver whose free pages must keep a pattern then does not report them
 * (5.5.6.7).
 */
#include "dev/virtio/virtio_balloon.h"

#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "dev/virtio/virtio.h"

enum role { INFLATE, DEFLATE, STATS, REPORTS };

#define PIECE       256  /* page numbers looked at together */
#define NUMBERS_MAX 4096 /* of one request; Linux sends 256 */
#define STATS_MAX   32   /* statistics of one buffer; 10 are defined */

struct balloon {
    struct virtio virtio; /* first */
    struct balloon_port port;
    u8 config[8]; /* struct virtio_balloon_config without what belongs to features that are not offered */
    u32 target;   /* pages */
    u16 stats_head;
    u8 stats_held; /* stats_head is the driver's buffer, not yet returned */
    u8 frozen;
    struct timer timer;
    u64 interval; /* of timer; 0: not polled */
    struct balloon_info info;
    struct vq_chain chain; /* scratch */
};

/* Queues have no holes: a driver without statistics finds reports where they would be. */
static enum role role_of(const struct virtio *v, unsigned q)
{
    return q < STATS || virtio_has(v, VIRTIO_BALLOON_F_STATS_VQ) ? (enum role)q : (enum role)(q + 1);
}

/* Pages. */
static u32 actual(const struct balloon *b)
{
    return (u32)load_le(b->config + 4, 4);
}

/* --- pages --- */

/* By insertion: lists are short and nearly in order, and libc's qsort() makes a system call that the sandbox
 * does not let pass. */
static void sort(u32 *pfn, unsigned n)
{
    for (unsigned i = 1, k; i < n; i++) {
        u32 x = pfn[i];
        for (k = i; k > 0 && pfn[k - 1] > x; k--)
            pfn[k] = pfn[k - 1];
        pfn[k] = x;
    }
}

/* Neighbours together: each discard may stop all vCPUs. */
static void discard_pages(struct space *memory, u32 *pfn, unsigned n)
{
    sort(pfn, n);
    for (unsigned i = 0, first = 0; i < n; i++) {
        if (i + 1 < n && pfn[i + 1] - pfn[i] <= 1)
            continue;
        u64 from = (u64)pfn[first] << PAGE_SHIFT, to = ((u64)pfn[i] + 1) << PAGE_SHIFT;
        space_discard(memory, from, to - from);
        first = i + 1;
    }
}

static u32 inflate(struct virtio *v, struct vq_chain *c)
{
    u32 pfn[PIECE];
    size_t n;
    for (u64 at = 0; at < NUMBERS_MAX * sizeof(*pfn); at += n) {
        n = vq_read(&v->vq[INFLATE], c, at, pfn, sizeof(pfn));
        if (n < sizeof(*pfn))
            break;
        discard_pages(v->pci.dev.env->memory, pfn, (unsigned)(n / sizeof(*pfn)));
    }
    return 0;
}

/* The pages come back to life, zeroed, as they are touched. */
static u32 deflate(struct virtio *v, struct vq_chain *c)
{
    return 0;
}

static u32 take_report(struct virtio *v, struct vq_chain *c)
{
    struct balloon *b = (struct balloon *)v;
    if (b->port.frozen(b->port.opaque))
        return 0;
    for (unsigned i = c->n_out; i < (unsigned)c->n_out + c->n_in; i++) {
        u64 from = ALIGN_UP(c->seg[i].gpa, PAGE_SIZE);
        u64 to = ALIGN_DOWN(c->seg[i].gpa + c->seg[i].len, PAGE_SIZE);
        if (from >= to)
            continue;
        space_discard(v->pci.dev.env->memory, from, to - from);
        b->info.reported += to - from;
    }
    return 0;
}

/* --- statistics --- */

static void read_stats(struct balloon *b, const struct virtqueue *vq)
{
    struct virtio_balloon_stat s;
    memset(b->info.stat, 0xff, sizeof(b->info.stat));
    for (unsigned i = 0; i < STATS_MAX; i++) {
        if (vq_read(vq, &b->chain, i * sizeof(s), &s, sizeof(s)) < sizeof(s))
            break;
        if (s.tag < VIRTIO_BALLOON_S_NR)
            b->info.stat[s.tag] = s.val;
    }
    b->info.has_stats = true;
    b->info.stats_actual = (u64)actual(b) << PAGE_SHIFT;
    b->info.total_whole = virtio_has(&b->virtio, VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
    b->info.stats_at = clock_now(b->virtio.pci.dev.env->clock);
}

static void return_stats(struct balloon *b)
{
    if (b->stats_held)
        vq_push(&b->virtio.vq[STATS], b->stats_head, 0);
    b->stats_held = 0;
}

/* A driver has one buffer; one that sends more gets the older ones back. */
static bool take_stats(struct balloon *b)
{
    struct virtio *v = &b->virtio;
    unsigned n = 0;
    for (; n < VQ_SIZE_MAX && virtio_pop(v, STATS, &b->chain) > 0; n++) {
        return_stats(b);
        read_stats(b, &v->vq[STATS]);
        b->stats_head = b->chain.head;
        b->stats_held = 1;
    }
    vq_want_notify(&v->vq[STATS], true);
    if (n > 1)
        virtio_interrupt(v, STATS);
    return virtio_running(v) && !vq_empty(&v->vq[STATS]);
}

static void poll_again(struct balloon *b)
{
    if (b->interval)
        timer_arm(&b->timer, clock_now(b->virtio.pci.dev.env->clock) + b->interval);
    else
        timer_cancel(&b->timer);
}

static void poll_stats(void *opaque)
{
    struct balloon *b = opaque;
    dev_lock(&b->virtio.pci.dev);
    if (b->stats_held && virtio_running(&b->virtio) && virtio_has(&b->virtio, VIRTIO_BALLOON_F_STATS_VQ)) {
        return_stats(b);
        virtio_interrupt(&b->virtio, STATS);
    }
    poll_again(b);
    dev_unlock(&b->virtio.pci.dev);
}

/* --- the target --- */

static void show_target(struct balloon *b)
{
    u32 pages = b->frozen ? actual(b) : b->target;
    if (pages == load_le(b->config, 4))
        return;
    store_le(b->config, 4, pages);
    virtio_config_changed(&b->virtio);
}

void virtio_balloon_set_target(struct dev *d, u64 bytes)
{
    struct balloon *b = (struct balloon *)d;
    u64 pages = bytes >> PAGE_SHIFT;
    dev_lock(d);
    b->target = pages > UINT32_MAX ? UINT32_MAX : (u32)pages;
    if (!b->frozen)
        show_target(b);
    dev_unlock(d);
}

void virtio_balloon_review(struct dev *d)
{
    struct balloon *b = (struct balloon *)d;
    dev_lock(d);
    bool frozen = b->port.frozen(b->port.opaque);
    if (frozen != b->frozen) {
        b->frozen = frozen;
        show_target(b);
    }
    dev_unlock(d);
}

void virtio_balloon_poll(struct dev *d, u64 interval_ns)
{
    struct balloon *b = (struct balloon *)d;
    dev_lock(d);
    b->interval = interval_ns;
    poll_again(b);
    dev_unlock(d);
}

void virtio_balloon_info(struct dev *d, struct balloon_info *out)
{
    struct balloon *b = (struct balloon *)d;
    dev_lock(d);
    *out = b->info;
    out->driver = virtio_running(&b->virtio);
    out->target = (u64)b->target << PAGE_SHIFT;
    out->actual = (u64)actual(b) << PAGE_SHIFT;
    dev_unlock(d);
}

/* --- the device --- */

static bool run(struct virtio *v, unsigned q)
{
    struct balloon *b = (struct balloon *)v;
    switch (role_of(v, q)) {
    case INFLATE:
        return virtio_drain(v, q, &b->chain, inflate);
    case DEFLATE:
        return virtio_drain(v, q, &b->chain, deflate);
    case STATS:
        return take_stats(b);
    case REPORTS:
        if (virtio_has(v, VIRTIO_BALLOON_F_REPORTING))
            return virtio_drain(v, q, &b->chain, take_report);
    }
    return false;
}

/* Only `actual` is the driver's to write (5.5.4). */
static void config_write(struct virtio *v, unsigned off, unsigned size, u32 value)
{
    struct balloon *b = (struct balloon *)v;
    if (off >= 4)
        store_le(b->config + off, size, value);
}

/* A new driver has all memory. */
static void stop(struct virtio *v)
{
    struct balloon *b = (struct balloon *)v;
    b->stats_held = 0;
    b->info.has_stats = false;
    store_le(b->config + 4, 4, 0);
    if (!b->frozen)
        store_le(b->config, 4, b->target);
}

static void balloon_destroy(struct dev *d)
{
    struct balloon *b = (struct balloon *)d;
    timer_cancel(&b->timer);
    virtio_fini(&b->virtio);
    free(b);
}

/* What the guest said before is old; the next poll asks. The policy decides anew whether it is frozen. */
static int balloon_loaded(void *obj)
{
    struct balloon *b = obj;
    b->info.has_stats = false;
    b->stats_held = b->stats_held && b->stats_head < b->virtio.vq[STATS].size_max;
    b->frozen = b->frozen != 0;
    return virtio_loaded(obj);
}

static const struct state_field balloon_fields[] = {
    VIRTIO_STATE(struct balloon, virtio),
    STATE_ARRAY(struct balloon, config),
    STATE_FIELD(struct balloon, target),
    STATE_FIELD(struct balloon, frozen),
    STATE_FIELD(struct balloon, stats_head),
    STATE_FIELD(struct balloon, stats_held),
    STATE_END,
};

static const struct state_desc balloon_state = {
    .name = "virtio-balloon",
    .fields = balloon_fields,
    .loaded = balloon_loaded,
};

static const struct dev_class balloon_class = {
    .name = "virtio-balloon",
    .reset = virtio_reset,
    .destroy = balloon_destroy,
    .state = &balloon_state,
};

static const struct virtio_ops balloon_ops = {
    .type = VIRTIO_ID_BALLOON,
    .class_code = 0x00ff00,
    .features = BIT(VIRTIO_BALLOON_F_STATS_VQ) | BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) |
                BIT(VIRTIO_BALLOON_F_REPORTING),
    .config_len = 8,
    .queue_size = {128, 128, 16, 32},
    .kick = virtio_defer,
    .run = run,
    .stop = stop,
    .config_write = config_write,
};

struct dev *virtio_balloon_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot,
                               const struct balloon_port *port, struct err *err)
{
    struct balloon *b = calloc(1, sizeof(*b));
    if (!b) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for virtio-balloon");
        return NULL;
    }
    b->port = *port;
    timer_init(&b->timer, env->clock, poll_stats, b);
    if (virtio_init(&b->virtio, &balloon_class, env, bus, slot, &balloon_ops, ~0ull, b->config, err) < 0) {
        free(b);
        return NULL;
    }
    return &b->virtio.pci.dev;
}
