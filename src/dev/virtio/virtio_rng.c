/* SPDX-License-Identifier: MIT */
/* virtio-rng: every request is filled, up to a bound that keeps the loop responsive. */
#include "dev/virtio/virtio_rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/random.h>

#include "dev/virtio/virtio.h"

#define FILL_MAX 4096 /* bytes a request gets; the driver asks again for more (5.4.6) */

struct rng {
    struct virtio virtio; /* first */
    struct random_source source;
    struct vq_chain chain; /* scratch */
};

static void host_fill(void *opaque, void *buf, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = getrandom((u8 *)buf + at, len - at, 0);
        bug_on(n < 0 && errno != EINTR, "getrandom: %s", strerror(errno));
        at += n > 0 ? (size_t)n : 0;
    }
}

static u32 serve(struct virtio *v, struct vq_chain *c)
{
    struct rng *r = (struct rng *)v;
    u8 bytes[FILL_MAX];
    size_t len = c->in_len < FILL_MAX ? c->in_len : FILL_MAX;
    r->source.fill(r->source.opaque, bytes, len);
    return (u32)vq_write(&v->vq[0], c, 0, bytes, len);
}

static bool run(struct virtio *v, unsigned q)
{
    return virtio_drain(v, q, &((struct rng *)v)->chain, serve);
}

static void rng_destroy(struct dev *d)
{
    virtio_fini((struct virtio *)d);
    free(d);
}

static const struct state_field rng_fields[] = {VIRTIO_STATE(struct rng, virtio), STATE_END};
static const struct state_desc rng_state = {
    .name = "virtio-rng", .fields = rng_fields, .loaded = virtio_loaded};

static const struct dev_class rng_class = {
    .name = "virtio-rng",
    .reset = virtio_reset,
    .destroy = rng_destroy,
    .state = &rng_state,
};

static const struct virtio_ops rng_ops = {
    .type = VIRTIO_ID_RNG,
    .class_code = 0x00ff00,
    .queue_size = {64},
    .kick = virtio_defer,
    .run = run,
};

struct dev *virtio_rng_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot,
                           const struct random_source *src, struct err *err)
{
    struct rng *r = calloc(1, sizeof(*r));
    if (!r) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for virtio-rng");
        return NULL;
    }
    r->source = src ? *src : (struct random_source){.fill = host_fill};
    if (virtio_init(&r->virtio, &rng_class, env, bus, slot, &rng_ops, 0, NULL, err) < 0) {
        free(r);
        return NULL;
    }
    return &r->virtio.pci.dev;
}
