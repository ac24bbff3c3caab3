/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "net/link.h"
#include "net/slirp_switch.h"
#include "net/user_host.h"
#include "net/vswitch.h"

struct native {
    struct wire wire;  /* first */
    struct link *link; /* NULL: fd is a socket of packets */
    int fd;
    pid_t pid;
    char folder[64]; /* of the sockets' names, or "" */
};

static void die(const char *what)
{
    fprintf(stderr, "bench nat: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- a link ---- */

static bool link_put(struct wire *w, const u8 *frame, size_t len, const struct frame_offload *o)
{
    struct link *l = ((struct native *)w)->link;
    u8 *room = link_reserve(l, len);
    if (!room)
        return false;
    memcpy(room, frame, len);
    link_commit(l, len, o);
    return true;
}

static void link_push(struct wire *w)
{
    link_flush(((struct native *)w)->link);
}

static size_t link_get(struct wire *w, u8 *frame, size_t room)
{
    struct link *l = ((struct native *)w)->link;
    struct frame f;
    size_t len = 0;
    if (link_peek(l, &f) > 0 && frame_len(&f) <= room) {
        len = frame_copy(&f, frame);
        link_release(l);
    }
    return len;
}

static bool link_await(struct wire *w, int ms)
{
    struct link *l = ((struct native *)w)->link;
    struct pollfd p = {.fd = link_fd(l), .events = POLLIN};
    if (!link_sleep(l))
        return true;
    bool some = poll(&p, 1, ms) > 0;
    link_wake(l);
    return some;
}

/* ---- a socket ---- */

static bool socket_put(struct wire *w, const u8 *frame, size_t len, const struct frame_offload *o)
{
    struct native *n = (struct native *)w;
    struct pollfd p = {.fd = n->fd, .events = POLLOUT};
    while (send(n->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno != EAGAIN && errno != ENOBUFS)
            return false;
        poll(&p, 1, 10);
    }
    return true;
}

static void socket_push(struct wire *w) {}

static size_t socket_get(struct wire *w, u8 *frame, size_t room)
{
    ssize_t n = recv(((struct native *)w)->fd, frame, room, MSG_DONTWAIT);
    return n > 0 ? (size_t)n : 0;
}

static bool socket_await(struct wire *w, int ms)
{
    struct pollfd p = {.fd = ((struct native *)w)->fd, .events = POLLIN};
    return poll(&p, 1, ms) > 0;
}

static void end(struct wire *w)
{
    struct native *n = (struct native *)w;
    char path[100];
    kill(n->pid, SIGKILL);
    waitpid(n->pid, NULL, 0);
    if (n->link)
        link_close(n->link);
    else
        close(n->fd);
    for (const char *const *name = (const char *const[]){"ours", "qemu", NULL}; n->folder[0] && *name;
         name++) {
        snprintf(path, sizeof(path), "%s/%s", n->folder, *name);
        unlink(path);
    }
    if (n->folder[0])
        rmdir(n->folder);
    free(n);
}

static struct native *new_wire(const char *name, u32 gateway, bool link)
{
    struct native *n = calloc(1, sizeof(*n));
    if (!n)
        die("memory");
    n->wire = (struct wire){.name = name,
                            .offloads = link,
                            .gateway = gateway,
                            .send = link ? link_put : socket_put,
                            .flush = link ? link_push : socket_push,
                            .receive = link ? link_get : socket_get,
                            .wait = link ? link_await : socket_await,
                            .close = end};
    return n;
}

/* ---- ours ---- */

static u64 now(void *opaque)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

/* A switch with two ports, in the sandbox that it has in service. */
static void serve(int fd, bool link)
{
    struct err err = {0};
    const struct port_policy trusted = {.spoofing = true};
    const struct vswitch_config config = {.now = now, .wall = now};
    struct user_address address = {.nat = true};
    ip_prefix_parse("10.0.2.2/24", &address.prefix);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct event_loop *loop = event_loop_new(NULL, &err);
    struct vswitch *sw = loop ? vswitch_new(&config, &err) : NULL;
    struct user_host *host = sw ? user_host_new(loop, &err) : NULL;
    struct net_port *port = !host  ? NULL
                            : link ? net_port_link(fd, loop, &err)
                                   : net_port_socket(fd, loop, &err);
    if (port && user_host_set(host, &address, 1, NULL, 0, &err) == 0 &&
        vswitch_port_add(sw, port, &trusted, NULL, &err) &&
        vswitch_port_add(sw, user_host_port(host), &trusted, NULL, &err) && slirp_sandbox(&err) == 0)
        event_loop_run(loop);
    log_line("%s", err.text);
    _exit(1);
}

struct wire *wire_ours(bool link)
{
    struct err err = {0};
    struct native *n = new_wire(link ? "ours, by a link" : "ours, by a socket", 0x0a000202, link);
    int ends[2];
    if (link ? link_pair(ends, &err) : socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        die("a pair of sockets");
    n->pid = fork();
    if (n->pid == 0) {
        close(ends[0]);
        serve(ends[1], link);
    }
    close(ends[1]);
    n->fd = ends[0];
    if (link) {
        n->link = link_open(ends[0], &err);
        if (!n->link)
            die(err.text);
        link_set_accepts(n->link, FRAME_ACCEPTS_ALL);
    }
    return &n->wire;
}

/* ---- QEMU's ---- */

static void run_qemu(const char *folder)
{
    char dgram[300];
    snprintf(dgram, sizeof(dgram),
             "dgram,id=wire,local.type=unix,local.path=%s/qemu,remote.type=unix,remote.path=%s/ours", folder,
             folder);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp("qemu-system-x86_64", "qemu-system-x86_64", "-M", "none", "-nodefaults", "-display", "none",
           "-monitor", "none", "-netdev", "user,id=user", "-netdev", dgram, "-netdev",
           "hubport,id=a,hubid=0,netdev=user", "-netdev", "hubport,id=b,hubid=0,netdev=wire", NULL);
    _exit(127);
}

static bool connect_to(int fd, const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    for (unsigned i = 0; i < 100; i++) {
        if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
            return true;
        usleep(50000);
    }
    return false;
}

struct wire *wire_qemu(void)
{
    struct native *n = new_wire("QEMU's -netdev user, by a socket", 0x0a000202, false);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int room = 4 << 20;
    strcpy(n->folder, "/tmp/droste-bench-XXXXXX");
    if (!mkdtemp(n->folder))
        die("a folder in /tmp");
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/ours", n->folder);
    if (n->fd < 0 || bind(n->fd, (struct sockaddr *)&a, sizeof(a)))
        die("a socket");
    setsockopt(n->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    n->pid = fork();
    if (n->pid == 0)
        run_qemu(n->folder);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/qemu", n->folder);
    if (connect_to(n->fd, a.sun_path))
        return &n->wire;
    fprintf(stderr, "bench nat: qemu-system-x86_64 7.2 or later does not start here\n");
    end(&n->wire);
    return NULL;
}
