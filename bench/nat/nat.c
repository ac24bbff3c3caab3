/* SPDX-License-Identifier: MIT */
/*
 * usage: nat [SECONDS [PASSES]]. The same libslirp in our switch and in QEMU, in turn, in one run: a machine
 * without a guest speaks TCP with a server on this host through each.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tcp.h"

enum { BLOCK = 256 * 1024 };
enum what { UPLOAD, DOWNLOAD, ANSWERS, KINDS };
static const struct {
    const char *name, *unit;
    double scale;
} kinds[KINDS] = {
    {"upload", "Gbit/s", 8e-9}, {"download", "Gbit/s", 8e-9}, {"one byte and its answer", "a second", 1}};

struct server {
    int fd;
    u16 port;
};

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- the server on this host: the first byte says what is wanted ---- */

static void *talk(void *opaque)
{
    int fd = (int)(intptr_t)opaque;
    u8 *block = calloc(1, BLOCK), what = 0;
    bool going = block && recv(fd, &what, 1, MSG_WAITALL) == 1;
    while (going && what == UPLOAD)
        going = recv(fd, block, BLOCK, 0) > 0;
    while (going && what == DOWNLOAD)
        going = send(fd, block, BLOCK, MSG_NOSIGNAL) > 0;
    while (going && what == ANSWERS)
        going = recv(fd, block, 1, 0) == 1 && send(fd, block, 1, MSG_NOSIGNAL) == 1;
    close(fd);
    free(block);
    return NULL;
}

static void *accept_all(void *opaque)
{
    const struct server *s = opaque;
    pthread_t t;
    for (;;) {
        int fd = accept(s->fd, NULL, NULL);
        if (fd >= 0 && pthread_create(&t, NULL, talk, (void *)(intptr_t)fd) == 0)
            pthread_detach(t);
    }
    return NULL;
}

static bool begin(struct server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    pthread_t t;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&a, sizeof(a)) || listen(s->fd, 8) ||
        getsockname(s->fd, (struct sockaddr *)&a, &len))
        return false;
    s->port = ntohs(a.sin_port);
    return pthread_create(&t, NULL, accept_all, s) == 0;
}

/* ---- the client ---- */

/* What was acknowledged counts, not what was sent. */
static double upload(struct tcp *t, double until)
{
    static const u8 data[65536];
    u32 from = t->acked;
    u64 bytes = 0;
    while (seconds_now() < until && !t->closed) {
        while (tcp_send(t, data, sizeof(data)))
            ;
        t->wire->flush(t->wire);
        tcp_take(t, 1000);
        bytes += t->acked - from;
        from = t->acked;
    }
    return (double)bytes;
}

static double download(struct tcp *t, double until)
{
    u64 from = t->received;
    while (seconds_now() < until && !t->closed)
        tcp_take(t, 1000);
    return (double)(t->received - from);
}

static double answers(struct tcp *t, double until)
{
    static const u8 one = ANSWERS;
    u64 count = 0;
    while (seconds_now() < until && !t->closed) {
        u64 had = t->received;
        tcp_send(t, &one, 1);
        t->wire->flush(t->wire);
        while (t->received == had && tcp_take(t, 1000))
            ;
        count += t->received != had;
    }
    return (double)count;
}

/* A second of one kind through a wire; below 0: the connection broke. */
static double measure(struct wire *w, const struct server *s, enum what what, double seconds)
{
    static struct tcp t;
    const u8 first = (u8)what;
    if (!tcp_open(&t, w, s->port))
        return -1;
    tcp_send(&t, &first, 1);
    w->flush(w);
    double begun = seconds_now(), until = begun + seconds;
    double n = what == UPLOAD     ? upload(&t, until)
               : what == DOWNLOAD ? download(&t, until)
                                  : answers(&t, until);
    double took = seconds_now() - begun;
    bool broke = t.closed;
    tcp_end(&t);
    for (unsigned i = 0; i < 5; i++) /* what was on its way */
        tcp_take(&t, 20);
    return broke ? -1 : n / took * kinds[what].scale;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    unsigned passes = argc > 2 ? (unsigned)atoi(argv[2]) : 3;
    struct server server;
    if (seconds <= 0 || !passes || !begin(&server)) {
        fputs("usage: nat [SECONDS [PASSES]]\n", stderr);
        return 2;
    }
    struct wire *wires[3] = {wire_qemu(), wire_ours(false), wire_ours(true)};
    double best[3][KINDS] = {{0}};
    bool broke = false;
    for (unsigned pass = 0; pass < passes; pass++)
        for (unsigned what = 0; what < KINDS; what++)
            for (unsigned i = 0; i < 3; i++) {
                double n = wires[i] ? measure(wires[i], &server, what, seconds) : 0;
                broke |= n < 0;
                best[i][what] = n > best[i][what] ? n : best[i][what];
            }
    printf("%-34s", "best of each");
    for (unsigned what = 0; what < KINDS; what++)
        printf(" %24s", kinds[what].name);
    putchar('\n');
    for (unsigned i = 0; i < 3; i++) {
        if (!wires[i])
            continue;
        printf("%-34s", wires[i]->name);
        for (unsigned what = 0; what < KINDS; what++) {
            char cell[60];
            snprintf(cell, sizeof(cell), wires[0] ? "%.2f %s (x%.2f)" : "%.2f %s", best[i][what],
                     kinds[what].unit, best[0][what] ? best[i][what] / best[0][what] : 0);
            printf(" %24s", cell);
        }
        putchar('\n');
        wires[i]->close(wires[i]);
    }
    if (broke)
        fputs("bench nat: a connection broke\n", stderr);
    return broke || !wires[0];
}
