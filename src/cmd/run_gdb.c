/* SPDX-License-Identifier: MIT */
/*
 * --gdb's socket: see the header. Bytes are only read while nothing waits to be sent, so that a debugger that
 * asks and does not listen cannot fill memory.
 */
#include "cmd/run_gdb.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_SIZE = 4096, FINISH_MS = 1000 };

/* ---- listening ---- */

static int refuse(const struct run_config *c, const char *why, struct err *err)
{
    if (c->gdb_port)
        return err_set(err, EXIT_STATUS_USAGE, "--gdb %u: cannot listen on 127.0.0.1: %s", c->gdb_port, why);
    return err_set(err, EXIT_STATUS_USAGE, "--gdb %.200s: cannot listen there: %s", c->gdb_path, why);
}

static int listen_tcp(const struct run_config *c, int fd)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(c->gdb_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* what accept() gives inherits it */
    return bind(fd, (struct sockaddr *)&a, sizeof(a));
}

/* Nobody listens there any more. */
static bool is_left_over(const struct sockaddr_un *a)
{
    struct stat st;
    if (lstat(a->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool left = fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return left;
}

static int listen_unix(const struct run_config *c, int fd)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, c->gdb_path, strlen(c->gdb_path));
    if (is_left_over(&a))
        unlink(a.sun_path);
    mode_t old = umask(0077); /* whoever can connect owns the guest */
    int r = bind(fd, (struct sockaddr *)&a, sizeof(a));
    int why = errno;
    umask(old);
    errno = why;
    return r;
}

int run_gdb_listen(const struct run_config *c, struct err *err)
{
    bool tcp = c->gdb_port;
    if (!tcp && strlen(c->gdb_path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return refuse(c, "the name is too long for a socket", err);
    int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && (tcp ? listen_tcp(c, fd) : listen_unix(c, fd)) == 0 && listen(fd, 1) == 0)
        return fd;
    refuse(c, strerror(errno), err);
    if (fd >= 0)
        close(fd);
    return -1;
}

void run_gdb_unlink(const struct run_config *c)
{
    if (c->gdb_path)
        unlink(c->gdb_path);
}

/* ---- one connection ---- */

struct gdb_link {
    int listener, fd; /* fd -1: nobody is connected */
    struct event_loop *loop;
    struct event_watch *listening, *watch;
    struct gdb_link_user user;
    u8 *out;
    size_t out_at, out_len, out_size;
    u8 in[READ_SIZE];
};

static void hang_up(struct gdb_link *l)
{
    event_loop_remove(l->loop, l->watch);
    close(l->fd);
    l->fd = -1;
    l->watch = NULL;
    l->out_at = l->out_len = 0;
    event_loop_change(l->loop, l->listening, EVENT_READ);
    l->user.gone(l->user.opaque);
}

/* False: the peer is gone. */
static bool flush(struct gdb_link *l)
{
    while (l->out_at < l->out_len) {
        ssize_t n = send(l->fd, l->out + l->out_at, l->out_len - l->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        l->out_at += n > 0 ? (size_t)n : 0;
    }
    l->out_at = l->out_len = 0;
    return true;
}

static bool has_output(const struct gdb_link *l)
{
    return l->out_at < l->out_len;
}

static void on_data(void *opaque, int events)
{
    struct gdb_link *l = opaque;
    if (!flush(l)) {
        hang_up(l);
        return;
    }
    if (!has_output(l)) {
        ssize_t n = recv(l->fd, l->in, sizeof(l->in), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
            hang_up(l);
            return;
        }
        if (n > 0)
            l->user.received(l->user.opaque, l->in, (size_t)n);
    } else if (events & EVENT_HANGUP) {
        hang_up(l);
        return;
    }
    event_loop_change(l->loop, l->watch, has_output(l) ? EVENT_WRITE : EVENT_READ);
}

static void on_connect(void *opaque, int events)
{
    struct gdb_link *l = opaque;
    if (l->fd >= 0)
        return;
    l->fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (l->fd < 0)
        return;
    l->watch = event_loop_add(l->loop, l->fd, EVENT_READ, on_data, l);
    if (!l->watch) {
        close(l->fd);
        l->fd = -1;
        return;
    }
    event_loop_change(l->loop, l->listening, 0);
    l->user.connected(l->user.opaque);
}

struct gdb_link *gdb_link_new(int listener, struct event_loop *loop, struct gdb_link_user user,
                              struct err *err)
{
    struct gdb_link *l = calloc(1, sizeof(*l));
    if (l) {
        *l = (struct gdb_link){.listener = listener, .fd = -1, .loop = loop, .user = user};
        l->listening = event_loop_add(loop, listener, EVENT_READ, on_connect, l);
    }
    if (l && l->listening)
        return l;
    free(l);
    err_set(err, EXIT_STATUS_HOST, "no memory for the gdb socket");
    return NULL;
}

static bool make_room(struct gdb_link *l, size_t len)
{
    if (l->out_len + len <= l->out_size)
        return true;
    size_t size = 2 * (l->out_len + len);
    u8 *out = realloc(l->out, size);
    if (!out)
        return false;
    l->out = out;
    l->out_size = size;
    return true;
}

void gdb_link_send(void *link, const void *bytes, size_t len)
{
    struct gdb_link *l = link;
    if (l->fd < 0)
        return;
    if (!make_room(l, len)) {
        shutdown(l->fd, SHUT_RDWR); /* the loop finds it closed */
        return;
    }
    memcpy(l->out + l->out_len, bytes, len);
    l->out_len += len;
    if (!flush(l))
        shutdown(l->fd, SHUT_RDWR);
    event_loop_change(l->loop, l->watch, has_output(l) ? EVENT_WRITE : EVENT_READ);
}

void gdb_link_finish(struct gdb_link *l)
{
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};
    while (l->fd >= 0 && flush(l) && has_output(l) && poll(&p, 1, FINISH_MS) > 0)
        ;
}
