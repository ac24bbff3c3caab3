/* SPDX-License-Identifier: MIT */
/*
 * virtio-console with one port: queue 0 carries input to the guest, queue 1 its output.
 *
 * Input waits in a small ring until the guest offers buffers; when the ring is full the sender keeps the
 * rest.
 */
#include "dev/virtio/virtio_console.h"

#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "dev/virtio/virtio.h"

enum { RX, TX };

#define INPUT_SIZE 4096      /* a power of two */
#define PIECE      1024      /* bytes of output handed on at once */
#define OUTPUT_MAX (1 * MIB) /* bytes of output taken from one request; no driver sends more */

struct console {
    struct virtio virtio; /* first */
    struct console_out out;
    u32 input_head, input_tail; /* counts of bytes ever put in and taken out */
    u8 input[INPUT_SIZE];
    struct vq_chain chain; /* scratch */
};

/* --- output --- */

static u32 print(struct virtio *v, struct vq_chain *c)
{
    struct console *con = (struct console *)v;
    u8 piece[PIECE];
    size_t n;
    for (u64 at = 0; at < OUTPUT_MAX && (n = vq_read(&v->vq[TX], c, at, piece, sizeof(piece))) > 0; at += n)
        con->out.write(con->out.opaque, piece, n);
    return 0;
}

/* --- input --- */

static u32 pending(const struct console *con)
{
    return con->input_head - con->input_tail;
}

/* Moves bytes from the ring into one request. */
static u32 deliver(struct virtio *v, struct vq_chain *c)
{
    struct console *con = (struct console *)v;
    u32 done = 0;
    while (pending(con)) {
        u32 at = con->input_tail % INPUT_SIZE;
        u32 n = pending(con) < INPUT_SIZE - at ? pending(con) : INPUT_SIZE - at;
        n = (u32)vq_write(&v->vq[RX], c, done, con->input + at, n);
        if (!n)
            break;
        con->input_tail += n;
        done += n;
    }
    return done;
}

static void flush_input(struct console *con)
{
    struct virtio *v = &con->virtio;
    unsigned n = 0;
    for (; n < VQ_SIZE_MAX && pending(con) && virtio_pop(v, RX, &con->chain) > 0; n++)
        vq_push(&v->vq[RX], con->chain.head, deliver(v, &con->chain));
    if (n)
        virtio_interrupt(v, RX);
    vq_want_notify(&v->vq[RX], pending(con));
}

size_t virtio_console_receive(struct dev *d, const u8 *data, size_t len)
{
    struct console *con = (struct console *)d;
    size_t taken = 0;
    dev_lock(d);
    for (; taken < len && pending(con) < INPUT_SIZE; taken++)
        con->input[con->input_head++ % INPUT_SIZE] = data[taken];
    if (taken)
        virtio_defer(&con->virtio, RX);
    dev_unlock(d);
    return taken;
}

static bool run(struct virtio *v, unsigned q)
{
    struct console *con = (struct console *)v;
    if (q == TX)
        return virtio_drain(v, TX, &con->chain, print);
    flush_input(con);
    return virtio_running(v) && pending(con) && !vq_empty(&v->vq[RX]);
}

/* --- the device --- */

static void console_reset(struct dev *d)
{
    struct console *con = (struct console *)d;
    con->input_head = con->input_tail = 0;
    virtio_reset(d);
}

static void console_destroy(struct dev *d)
{
    virtio_fini((struct virtio *)d);
    free(d);
}

static int console_loaded(void *obj)
{
    struct console *con = obj;
    if (pending(con) > INPUT_SIZE)
        return -1;
    return virtio_loaded(obj);
}

static const struct state_field console_fields[] = {
    VIRTIO_STATE(struct console, virtio),
    STATE_FIELD(struct console, input_head),
    STATE_FIELD(struct console, input_tail),
    STATE_ARRAY(struct console, input),
    STATE_END,
};

static const struct state_desc console_state = {
    .name = "virtio-console",
    .fields = console_fields,
    .loaded = console_loaded,
};

static const struct dev_class console_class = {
    .name = "virtio-console",
    .reset = console_reset,
    .destroy = console_destroy,
    .state = &console_state,
};

static const struct virtio_ops console_ops = {
    .type = VIRTIO_ID_CONSOLE,
    .class_code = 0x078000,
    .queue_size = {64, 64},
    .kick = virtio_defer,
    .run = run,
};

struct dev *virtio_console_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot,
                               const struct console_out *out, struct err *err)
{
    struct console *con = calloc(1, sizeof(*con));
    if (!con) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for virtio-console");
        return NULL;
    }
    con->out = *out;
    if (virtio_init(&con->virtio, &console_class, env, bus, slot, &console_ops, 0, NULL, err) < 0) {
        free(con);
        return NULL;
    }
    return &con->virtio.pci.dev;
}
