/* SPDX-License-Identifier: MIT */
/*
 * pcapng: a section header, one interface, then a packet a frame (draft-ietf-opsawg-pcapng 4.1 to 4.3).
 *
 * Every block is one write. A file on a disk takes it whole or, when the disk is full, in part; the part is
 * cut off again. Pipes and sockets get O_NONBLOCK; what they take in part ends the capture too, and its last
 * packet is then cut short.
 */
#include "net/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_PACKET = 6 };
enum { OPTION_END = 0, OPTION_FLAGS = 2, OPTION_NAME = 2, OPTION_RESOLUTION = 9 };

#define NAME_LEN 200

struct capture {
    int fd;
    u32 snaplen;
    u64 limit, written, frames;
    off_t base; /* where in the file it begins; -1: not a file */
    const char *ended;
};

/* --- blocks --- */

/* A block being put together: `bytes` in front, then a frame's pieces, then what is behind them. */
struct block {
    u8 bytes[512];
    size_t len;
};

static void put(struct block *b, const void *data, size_t len)
{
    if (len) /* memcpy() never takes NULL */
        memcpy(b->bytes + b->len, data, len);
    b->len += len;
}

static void put16(struct block *b, u16 v)
{
    put(b, &v, 2);
}

static void put32(struct block *b, u32 v)
{
    put(b, &v, 4);
}

static void pad(struct block *b, size_t len)
{
    put(b, "\0\0\0", ALIGN_UP(len, 4) - len);
}

static void put_option(struct block *b, u16 code, const void *value, size_t len)
{
    put16(b, code);
    put16(b, (u16)len);
    put(b, value, len);
    pad(b, len);
}

static void close_block(struct block *b, size_t start, size_t len)
{
    u32 total = (u32)len;
    memcpy(b->bytes + start + 4, &total, 4);
    put32(b, total);
}

static void put_beginning(struct block *b, const char *name, u32 snaplen)
{
    const u8 nanoseconds = 9;
    size_t start = b->len;
    put32(b, BLOCK_SECTION);
    put32(b, 0);
    put32(b, 0x1a2b3c4d);
    put16(b, 1);
    put16(b, 0);
    put32(b, ~0u); /* the section's length is not known */
    put32(b, ~0u);
    close_block(b, start, b->len + 4 - start);
    start = b->len;
    put32(b, BLOCK_INTERFACE);
    put32(b, 0);
    put16(b, 1); /* Ethernet */
    put16(b, 0);
    put32(b, snaplen);
    put_option(b, OPTION_NAME, name, strnlen(name, NAME_LEN));
    put_option(b, OPTION_RESOLUTION, &nanoseconds, 1);
    put_option(b, OPTION_END, NULL, 0);
    close_block(b, start, b->len + 4 - start);
}

/* --- writing --- */

static void end(struct capture *c, const char *why)
{
    c->ended = why;
}

static const char *reason(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return "the disk is full";
    case EFBIG:
        return "the file is as large as files may be";
    case EPIPE:
        return "nobody reads it any more";
    case EAGAIN:
        return "its reader was not fast enough";
    default:
        return "it could not be written";
    }
}

/* What is half a block goes away again where the file can be cut. */
static void write_block(struct capture *c, const struct iovec *iov, int n)
{
    size_t len = 0;
    for (int i = 0; i < n; i++)
        len += iov[i].iov_len;
    if (c->limit && c->written + len > c->limit) {
        end(c, "the file has the size that was allowed");
        return;
    }
    ssize_t put = writev(c->fd, iov, n);
    if (put == (ssize_t)len) {
        c->written += len;
        return;
    }
    end(c, reason(put < 0 ? errno : c->base < 0 ? EAGAIN : ENOSPC));
    if (put > 0 && c->base >= 0 && ftruncate(c->fd, c->base + (off_t)c->written) < 0)
        end(c, "it could not be written, and its last packet is cut short");
}

void capture_frame(struct capture *c, u64 wall_ns, enum capture_way way, const struct frame *f)
{
    if (c->ended)
        return;
    size_t len = frame_len(f), kept = c->snaplen && c->snaplen < len ? c->snaplen : len;
    size_t head = kept < f->head_len ? kept : f->head_len;
    struct block front = {.len = 0}, back = {.len = 0};
    put32(&front, BLOCK_PACKET);
    put32(&front, 0);
    put32(&front, 0); /* the interface */
    put32(&front, (u32)(wall_ns >> 32));
    put32(&front, (u32)wall_ns);
    put32(&front, (u32)kept);
    put32(&front, (u32)len);
    pad(&back, kept);
    const u32 flags = way == CAPTURE_IN ? 1 : 2; /* inbound, outbound */
    put_option(&back, OPTION_FLAGS, &flags, 4);
    put_option(&back, OPTION_END, NULL, 0);
    u32 total = (u32)(front.len + kept + back.len + 4);
    memcpy(front.bytes + 4, &total, 4);
    put32(&back, total);
    const struct iovec iov[4] = {{front.bytes, front.len},
                                 {(void *)f->head, head},
                                 {(void *)f->body, kept - head},
                                 {back.bytes, back.len}};
    write_block(c, iov, 4);
    c->frames += !c->ended;
}

/* --- life --- */

/* -1: it cannot be written at all. */
static int prepare(struct capture *c)
{
    struct stat st;
    int flags = fcntl(c->fd, F_GETFL);
    if (fstat(c->fd, &st) < 0 || flags < 0)
        return -1;
    c->base = S_ISREG(st.st_mode) ? lseek(c->fd, 0, SEEK_CUR) : -1;
    return S_ISREG(st.st_mode) || fcntl(c->fd, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : -1;
}

static void write_beginning(struct capture *c, const char *name)
{
    struct block b = {.len = 0};
    put_beginning(&b, name, c->snaplen);
    const struct iovec iov = {b.bytes, b.len};
    write_block(c, &iov, 1);
}

struct capture *capture_new(int fd, const char *name, u32 snaplen, u64 limit, struct err *err)
{
    struct capture *c = calloc(1, sizeof(*c));
    if (!c) {
        err_set(err, EXIT_STATUS_HOST, "no memory for a capture");
        return NULL;
    }
    *c = (struct capture){.fd = fd, .snaplen = snaplen, .limit = limit};
    if (prepare(c) < 0)
        end(c, reason(errno));
    else
        write_beginning(c, name);
    if (!c->ended)
        return c;
    err_set(err, EXIT_STATUS_HOST, "the capture cannot begin: %s", c->ended);
    free(c);
    return NULL;
}

void capture_free(struct capture *c)
{
    if (!c)
        return;
    close(c->fd);
    free(c);
}

const char *capture_ended(const struct capture *c)
{
    return c->ended;
}

u64 capture_frames(const struct capture *c)
{
    return c->frames;
}
