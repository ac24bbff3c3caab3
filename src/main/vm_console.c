/* SPDX-License-Identifier: MIT */
/*
 * A queue of bytes whose sink writes the log and sends to the viewers. Viewers come and go on the loop's
 * thread, while the queue is held.
 */
#include "main/vm_console.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/byte_queue.h"

enum { RECENT_SIZE = 8192, INPUT_SIZE = 4096, VIEWERS_MAX = 16, LOG_MAX = 2 << 20, LOG_KEPT = 1 << 20 };

struct viewer {
    struct vm_console *console;
    int fd; /* -1: free */
    bool lost;
    struct event_watch *watch;
    u8 in[INPUT_SIZE];
    size_t in_at, in_len;
};

struct vm_console {
    int log;
    u64 log_len;
    bool log_failed;
    struct machine *machine;
    struct byte_queue *output;
    u8 recent[RECENT_SIZE]; /* what a new viewer sees first */
    size_t recent_len;
    atomic_bool starving; /* the guest took less than there was */
    struct viewer viewers[VIEWERS_MAX];
};

/* ---- output ---- */

/* The log's newer half becomes the log. */
static void shorten_log(struct vm_console *c)
{
    u8 *kept = malloc(LOG_KEPT);
    ssize_t n = kept ? pread(c->log, kept, LOG_KEPT, (off_t)(c->log_len - LOG_KEPT)) : 0;
    if (ftruncate(c->log, 0) == 0 && n > 0)
        n = write(c->log, kept, (size_t)n);
    c->log_len = n > 0 ? (u64)n : 0;
    free(kept);
}

static void write_log(struct vm_console *c, const u8 *p, size_t len)
{
    if (c->log_len + len > LOG_MAX && c->log_len > LOG_KEPT)
        shorten_log(c);
    while (len && !c->log_failed) {
        ssize_t n = write(c->log, p, len);
        if (n < 0 && errno != EINTR) {
            log_line("the console's log is lost from here on: %s", strerror(errno));
            c->log_failed = true;
        } else if (n > 0) {
            p += n;
            len -= (size_t)n;
            c->log_len += (u64)n;
        }
    }
}

static void send_viewer(struct viewer *v, const u8 *p, size_t len)
{
    static const char note[] = "\r\n[output was lost: this viewer was too slow]\r\n";
    if (v->lost && send(v->fd, note, sizeof(note) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        v->lost = false;
    for (size_t n; len && !v->lost; p += n, len -= n) {
        n = len > INPUT_SIZE ? INPUT_SIZE : len;
        v->lost = send(v->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0;
    }
}

static void remember(struct vm_console *c, const u8 *p, size_t len)
{
    if (len > RECENT_SIZE) {
        p += len - RECENT_SIZE;
        len = RECENT_SIZE;
    }
    size_t kept = c->recent_len + len > RECENT_SIZE ? RECENT_SIZE - len : c->recent_len;
    memmove(c->recent, c->recent + c->recent_len - kept, kept);
    memcpy(c->recent + kept, p, len);
    c->recent_len = kept + len;
}

static void give_out(void *opaque, const u8 *data, size_t len)
{
    struct vm_console *c = opaque;
    write_log(c, data, len);
    remember(c, data, len);
    for (unsigned i = 0; i < VIEWERS_MAX; i++)
        if (c->viewers[i].fd >= 0)
            send_viewer(&c->viewers[i], data, len);
}

static void tx(void *opaque, u8 byte)
{
    byte_queue_give(((struct vm_console *)opaque)->output, byte);
}

void vm_console_end(struct vm_console *c)
{
    byte_queue_flush(c->output);
}

/* ---- input ---- */

static void detach(struct viewer *v)
{
    event_loop_remove(machine_loop(v->console->machine), v->watch);
    byte_queue_hold(v->console->output);
    close(v->fd);
    v->fd = -1;
    byte_queue_release(v->console->output);
}

/* Gives the guest what it takes; reads on only when it took all. */
static void feed(struct viewer *v)
{
    struct vm_console *c = v->console;
    atomic_store(&c->starving, true); /* before asking: room made meanwhile is then told */
    v->in_at += machine_serial_receive(c->machine, v->in + v->in_at, v->in_len - v->in_at);
    event_loop_change(machine_loop(c->machine), v->watch, v->in_at == v->in_len ? EVENT_READ : 0);
}

static void on_viewer(void *opaque, int events)
{
    struct viewer *v = opaque;
    if (v->in_at == v->in_len && (events & EVENT_READ)) {
        ssize_t n = recv(v->fd, v->in, INPUT_SIZE, MSG_DONTWAIT);
        if (n > 0) {
            v->in_at = 0;
            v->in_len = (size_t)n;
            feed(v);
            return;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        detach(v);
    } else if (events & EVENT_HANGUP) {
        detach(v);
    }
}

static void feed_all(void *opaque)
{
    struct vm_console *c = opaque;
    for (unsigned i = 0; i < VIEWERS_MAX; i++)
        if (c->viewers[i].fd >= 0 && c->viewers[i].in_at < c->viewers[i].in_len)
            feed(&c->viewers[i]);
}

static void rx_ready(void *opaque)
{
    struct vm_console *c = opaque;
    if (c->machine && atomic_exchange(&c->starving, false))
        event_loop_post(machine_loop(c->machine), feed_all, c);
}

/* ---- life ---- */

struct vm_console *vm_console_new(int log, struct err *err)
{
    struct vm_console *c = calloc(1, sizeof(*c));
    if (c)
        c->output = byte_queue_new(give_out, c);
    if (!c || !c->output) {
        free(c);
        err_set(err, EXIT_STATUS_HOST, "out of memory for the console");
        return NULL;
    }
    c->log = log;
    off_t len = lseek(log, 0, SEEK_END);
    c->log_len = len > 0 ? (u64)len : 0;
    for (unsigned i = 0; i < VIEWERS_MAX; i++)
        c->viewers[i] = (struct viewer){.console = c, .fd = -1};
    return c;
}

struct serial_sink vm_console_sink(struct vm_console *c)
{
    return (struct serial_sink){tx, rx_ready, c};
}

void vm_console_begin(struct vm_console *c, struct machine *m)
{
    c->machine = m;
    byte_queue_attach(c->output, machine_loop(m));
}

bool vm_console_attach(struct vm_console *c, int fd)
{
    struct viewer *v = NULL;
    for (unsigned i = 0; i < VIEWERS_MAX && !v; i++)
        if (c->viewers[i].fd < 0)
            v = &c->viewers[i];
    if (!v)
        return false;
    v->watch = event_loop_add(machine_loop(c->machine), fd, EVENT_READ, on_viewer, v);
    if (!v->watch)
        return false;
    byte_queue_hold(c->output);
    v->fd = fd;
    v->lost = false;
    v->in_at = v->in_len = 0;
    send_viewer(v, c->recent, c->recent_len);
    byte_queue_release(c->output);
    return true;
}
