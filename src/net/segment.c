/* SPDX-License-Identifier: MIT */
/*
 * TCP and UDP segmentation and checksums in software (net/segment.h).
 *
 * The sender left the pseudo header's sum in the checksum field (virtio 1.3 5.1.6.2), over the length of the
 * whole. For segments it is made anew: their lengths differ. A segment's head is a copy of the headers with
 * what RFC 9293 and 791 say changes from segment to segment; its body is a piece of the frame's payload.
 */
#include "net/segment.h"

#include "net/checksum.h"
#include "net/wire.h"

enum { TCP_FIN = 1, TCP_PSH = 8, TCP_CWR = 0x80 };

/* The sum of [from, end) of a frame, whatever piece it lies in. */
static u16 sum_from(const struct frame *f, size_t from)
{
    size_t in_head = f->head_len - from;
    u16 sum = checksum_fold(checksum_add(0, f->head + from, in_head)),
        body = checksum_fold(checksum_add(0, f->body, f->body_len));
    if (in_head & 1)
        body = (u16)(body << 8 | body >> 8);
    return checksum_fold((u64)sum + body);
}

/* --- one frame --- */

#define HEAD_ROOM (FRAME_HEAD + FRAME_TAG)

static void finish_checksum(const struct frame *f, void (*emit)(void *, const struct frame *), void *opaque)
{
    const struct frame_offload *o = &f->offload;
    u8 head[HEAD_ROOM];
    memcpy(head, f->head, f->head_len);
    checksum_put(head + o->csum_start + o->csum_offset, sum_from(f, o->csum_start),
                 o->csum_offset == CSUM_OFFSET_UDP);
    struct frame out = {head, f->head_len, f->body, f->body_len, {0}};
    emit(opaque, &out);
}

/* --- segments --- */

struct segmenter {
    const struct frame *f;
    struct frame_layers at;
    u8 head[HEAD_ROOM];
};

/* Payload bytes [from, from + len) as the rest of a frame whose head is headers: what lies in f's own head is
 * copied behind them. */
static struct frame piece(struct segmenter *s, size_t from, size_t len)
{
    size_t in_head = s->f->head_len - s->at.payload, copied = 0;
    if (from < in_head) {
        copied = in_head - from < len ? in_head - from : len;
        memcpy(s->head + s->at.payload, s->f->head + s->at.payload + from, copied);
    }
    struct frame out = {s->head, s->at.payload + copied, NULL, len - copied, {0}};
    if (out.body_len)
        out.body = s->f->body + (from + copied - in_head);
    return out;
}

static void put_ip(struct segmenter *s, unsigned number, size_t len)
{
    u8 *ip = s->head + s->at.ip;
    if (s->at.v6) {
        store_be16(ip + 4, (u16)(s->at.payload - s->at.ip - 40 + len));
        return;
    }
    store_be16(ip + 2, (u16)(s->at.payload - s->at.ip + len));
    store_be16(ip + 4, (u16)(load_be16(s->f->head + s->at.ip + 4) + number));
    memset(ip + 10, 0, 2);
    checksum_put(ip + 10, checksum_fold(checksum_add(0, ip, s->at.upper - s->at.ip)), false);
}

/* CWR belongs to the first segment alone (RFC 3168 6.1.2), FIN and PSH to the last. */
static void put_tcp(struct segmenter *s, size_t from, bool last)
{
    const u8 *original = s->f->head + s->at.upper;
    u8 *tcp = s->head + s->at.upper;
    store_be32(tcp + 4, load_be32(original + 4) + (u32)from);
    tcp[13] = (u8)(original[13] & ~((from ? TCP_CWR : 0) | (last ? 0 : TCP_FIN | TCP_PSH)));
}

static u64 pseudo_header(const struct segmenter *s, size_t len)
{
    u8 tail[4] = {0, s->at.udp ? IP_UDP : IP_TCP, (u8)(len >> 8), (u8)len};
    u64 sum =
        s->at.v6 ? checksum_add(0, s->head + s->at.ip + 8, 32) : checksum_add(0, s->head + s->at.ip + 12, 8);
    return checksum_add(sum, tail, 4);
}

static void emit_segment(struct segmenter *s, unsigned number, size_t from, size_t len, bool last,
                         void (*emit)(void *, const struct frame *), void *opaque)
{
    size_t upper_len = s->at.payload - s->at.upper + len;
    u8 *upper = s->head + s->at.upper, *field = upper + (s->at.udp ? CSUM_OFFSET_UDP : CSUM_OFFSET_TCP);
    put_ip(s, number, len);
    if (s->at.udp)
        store_be16(upper + 4, (u16)upper_len);
    else
        put_tcp(s, from, last);
    memset(field, 0, 2);
    struct frame out = piece(s, from, len);
    checksum_put(field, checksum_fold(sum_from(&out, s->at.upper) + pseudo_header(s, upper_len)), s->at.udp);
    emit(opaque, &out);
}

/* A pure header (no payload) leaves as one segment. */
static void finish_segments(const struct frame *f, void (*emit)(void *, const struct frame *), void *opaque)
{
    struct segmenter s = {.f = f, .at = frame_layers(f)};
    size_t len = frame_len(f) - s.at.payload, from = 0, size = f->offload.gso_size;
    memcpy(s.head, f->head, s.at.payload);
    for (unsigned number = 0; number == 0 || from < len; number++, from += size) {
        size_t n = len - from < size ? len - from : size;
        emit_segment(&s, number, from, n, from + n == len, emit, opaque);
    }
}

void frame_finish(const struct frame *f, u32 accept, void (*emit)(void *opaque, const struct frame *f),
                  void *opaque)
{
    struct frame plain = *f;
    if (!(frame_needs(f) & ~accept)) {
        if (!(accept & FRAME_ACCEPTS_CSUM))
            plain.offload = (struct frame_offload){0};
        emit(opaque, &plain);
    } else if (f->offload.gso) {
        finish_segments(f, emit, opaque);
    } else {
        finish_checksum(f, emit, opaque);
    }
}
