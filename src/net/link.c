/* SPDX-License-Identifier: MIT */
/*
 * A link's set-up and its two rings (net/link.h).
 *
 * The memfd: a page of indices for each way, then the records of each way. Side 0 sends in way 0.
 */
#include "net/link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "net/ring.h"

#define MEMORY (2 * (RING_HEADER + (u64)LINK_RING))
#define AREA   (2 * (RING_HEADER + 2 * (u64)LINK_RING)) /* each way's records appear twice */
#define SEALS  (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct hello {
    char magic[8];
    u32 side;
    u32 ring;
};
static const char magic[8] = "drlink1";

struct link {
    int fd;
    u8 *area;
    struct ring rx, tx;
    struct ring_record peeked;
    const char *broken;
    u8 head[FRAME_HEAD];
};

/* --- making one --- */

static int sealed_memory(struct err *err)
{
    int fd = memfd_create("droste-link", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)MEMORY) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
        err_set(err, EXIT_STATUS_HOST, "cannot make the memory of a network link: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static int send_hello(int through, int memory, u32 side)
{
    struct hello h = {.side = side, .ring = LINK_RING};
    memcpy(h.magic, magic, sizeof(magic));
    union {
        struct cmsghdr header;
        u8 room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &memory, sizeof(int));
    struct iovec iov = {&h, sizeof(h)};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    return sendmsg(through, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(h) ? 0 : -1;
}

int link_pair(int ends[2], struct err *err)
{
    int memory = sealed_memory(err), s[2];
    if (memory < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s) < 0) {
        close(memory);
        return err_set(err, EXIT_STATUS_HOST, "cannot make a network link: %s", strerror(errno));
    }
    int failed = send_hello(s[1], memory, 0) < 0 || send_hello(s[0], memory, 1) < 0 ? errno : 0;
    close(memory);
    if (failed) {
        close(s[0]);
        close(s[1]);
        return err_set(err, EXIT_STATUS_HOST, "cannot make a network link: %s", strerror(failed));
    }
    ends[0] = s[0];
    ends[1] = s[1];
    return 0;
}

/* --- opening an end --- */

/* The descriptor that came with a message; -1: none. What else came is closed. */
static int passed_descriptor(struct msghdr *m)
{
    int got = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (got < 0)
                got = fd;
            else
                close(fd);
        }
    }
    return got;
}

/* The memory's descriptor; -1: no hello, or one that is not ours. */
static int take_hello(int end, u32 *side)
{
    struct hello h = {0};
    union {
        struct cmsghdr header;
        u8 room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec iov = {&h, sizeof(h)};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(end, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int memory = got < 0 ? -1 : passed_descriptor(&m);
    if (got == sizeof(h) && !memcmp(h.magic, magic, sizeof(magic)) && h.ring == LINK_RING && h.side < 2) {
        *side = h.side;
        return memory;
    }
    if (memory >= 0)
        close(memory);
    return -1;
}

/* Memory that cannot shrink below what is mapped, nor end in a signal: of tmpfs, not of huge pages. */
static bool memory_ok(int fd)
{
    struct stat st;
    struct statfs fs;
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & SEALS) == SEALS && !(seals & F_SEAL_WRITE) && fstat(fd, &st) == 0 &&
           st.st_size == (off_t)MEMORY && fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static bool map_piece(int fd, u8 *at, u64 offset, size_t len)
{
    return mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)offset) == at;
}

static u8 *map_memory(int fd)
{
    u8 *area = mmap(NULL, AREA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED)
        return NULL;
    u8 *records = area + 2 * RING_HEADER;
    bool ok = map_piece(fd, area, 0, 2 * RING_HEADER);
    for (unsigned i = 0; i < 4; i++) /* way 0 twice, way 1 twice */
        ok = ok &&
             map_piece(fd, records + i * (u64)LINK_RING, 2 * RING_HEADER + i / 2 * (u64)LINK_RING, LINK_RING);
    if (!ok) {
        munmap(area, AREA);
        return NULL;
    }
    return area;
}

static void init_way(struct link *l, struct ring *r, unsigned way)
{
    ring_init(r, l->area + way * RING_HEADER, l->area + 2 * RING_HEADER + way * 2 * (u64)LINK_RING,
              LINK_RING);
}

struct link *link_open(int end, struct err *err)
{
    u32 side = 0;
    int memory = take_hello(end, &side);
    bool ok = memory >= 0 && memory_ok(memory);
    struct link *l = ok ? calloc(1, sizeof(*l)) : NULL;
    if (l)
        l->area = map_memory(memory);
    if (memory >= 0)
        close(memory);
    if (!l || !l->area) {
        free(l);
        err_set(err, EXIT_STATUS_HOST,
                ok ? "no memory for a network link"
                   : "a network link cannot be opened: its descriptor is not a fresh end of one");
        return NULL;
    }
    l->fd = end;
    init_way(l, &l->tx, side);
    init_way(l, &l->rx, 1 - side);
    return l;
}

int link_abandon(struct link *l)
{
    int fd = l->fd;
    munmap(l->area, AREA);
    free(l);
    return fd;
}

void link_close(struct link *l)
{
    close(link_abandon(l));
}

int link_fd(const struct link *l)
{
    return l->fd;
}

bool link_wake(struct link *l)
{
    u8 bell;
    ssize_t got;
    do
        got = recv(l->fd, &bell, 1, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

const char *link_broken(const struct link *l)
{
    if (l->rx.broken)
        return "the other side's sending index or a record of its is wrong";
    return l->tx.broken ? "the other side's receiving index is wrong" : NULL;
}

/* --- frames --- */

int link_peek(struct link *l, struct frame *f)
{
    const u8 *data = NULL;
    int r = ring_peek(&l->rx, &l->peeked, &data);
    if (r <= 0)
        return r;
    size_t len = l->peeked.len, head = len < FRAME_HEAD ? len : FRAME_HEAD;
    memcpy(l->head, data, head);
    *f = (struct frame){l->head, head, data + head, len - head, l->peeked.offload};
    return 1;
}

void link_release(struct link *l)
{
    ring_release(&l->rx, l->peeked.len);
}

bool link_sleep(struct link *l)
{
    return ring_sleep(&l->rx);
}

void link_set_accepts(struct link *l, u32 accept)
{
    ring_set_accepts(&l->rx, accept);
}

u8 *link_reserve(struct link *l, size_t len)
{
    return ring_reserve(&l->tx, len);
}

void link_commit(struct link *l, size_t len, const struct frame_offload *offload)
{
    ring_commit(&l->tx, len, offload);
}

void link_flush(struct link *l)
{
    /* A bell that finds the socket full is not needed: the other side has as many to take. */
    if (ring_flush(&l->tx) && send(l->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return;
}

u32 link_accepts(struct link *l)
{
    return ring_accepts(&l->tx);
}
