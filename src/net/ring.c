/* SPDX-License-Identifier: MIT */
/* The rings of a link (net/ring.h). */
#include "net/ring.h"

/* Bytes that may wait before the other side is shown them without being asked: it can work in parallel, and
 * its cache line is not fetched for every frame. */
#define SHOW_AFTER (32 * 1024)

static u32 load(const u32 *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store(u32 *p, u32 v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static void full_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static u32 record_size(size_t len)
{
    return (u32)ALIGN_UP(sizeof(struct ring_record) + len, RING_ALIGN);
}

void ring_init(struct ring *r, void *header, void *data, u32 size)
{
    *r = (struct ring){.shared = header, .data = data, .size = size};
}

static u8 *at(const struct ring *r, u32 index)
{
    return r->data + (index & (r->size - 1));
}

/* --- the producer --- */

/* What the consumer has not yet given back; it can only have taken what was put in. */
static bool room(struct ring *r, u32 need)
{
    if (r->size - (r->mine - r->other) >= need)
        return true;
    u32 head = load(&r->shared->head);
    if (r->mine - head > r->size || head % RING_ALIGN || head - r->other > r->mine - r->other) {
        r->broken = true;
        return false;
    }
    r->other = head;
    return r->size - (r->mine - head) >= need;
}

u8 *ring_reserve(struct ring *r, size_t len)
{
    if (r->broken || !len || len > FRAME_MAX || !room(r, record_size(len)))
        return NULL;
    return at(r, r->mine) + sizeof(struct ring_record);
}

static void show_tail(struct ring *r)
{
    if (r->shown != r->mine) {
        r->shown = r->mine;
        store(&r->shared->tail, r->mine);
    }
}

void ring_commit(struct ring *r, size_t len, const struct frame_offload *offload)
{
    struct ring_record record = {.len = (u32)len, .offload = *offload};
    memcpy(at(r, r->mine), &record, sizeof(record));
    r->mine += record_size(len);
    r->unflushed = true;
    if (r->mine - r->shown >= SHOW_AFTER)
        show_tail(r);
}

bool ring_flush(struct ring *r)
{
    if (!r->unflushed)
        return false;
    r->unflushed = false;
    show_tail(r);
    full_barrier();
    return load(&r->shared->sleeping) && __atomic_exchange_n(&r->shared->sleeping, 0, __ATOMIC_SEQ_CST);
}

u32 ring_accepts(const struct ring *r)
{
    return load(&r->shared->accepts) & FRAME_ACCEPTS_ALL;
}

/* --- the consumer --- */

static void show_head(struct ring *r)
{
    if (r->shown != r->mine) {
        r->shown = r->mine;
        store(&r->shared->head, r->mine);
    }
}

/* How many bytes there are to take; a tail that cannot be breaks the ring. */
static u32 available(struct ring *r)
{
    if (r->other != r->mine)
        return r->other - r->mine;
    u32 tail = load(&r->shared->tail);
    if (tail - r->mine > r->size || tail % RING_ALIGN) {
        r->broken = true;
        return 0;
    }
    r->other = tail;
    return tail - r->mine;
}

int ring_peek(struct ring *r, struct ring_record *record, const u8 **data)
{
    u32 n = r->broken ? 0 : available(r);
    if (!n) {
        show_head(r); /* all is taken: the producer may have it back */
        return r->broken ? -1 : 0;
    }
    memcpy(record, at(r, r->mine), sizeof(*record));
    __asm__ volatile("" ::: "memory"); /* the copy is what is checked and used */
    if (!record->len || record->len > FRAME_MAX || record_size(record->len) > n) {
        r->broken = true;
        return -1;
    }
    *data = at(r, r->mine) + sizeof(*record);
    return 1;
}

void ring_release(struct ring *r, u32 len)
{
    r->mine += record_size(len);
    if (r->mine - r->shown >= SHOW_AFTER)
        show_head(r);
}

bool ring_sleep(struct ring *r)
{
    show_head(r);
    store(&r->shared->sleeping, 1);
    full_barrier();
    if (r->broken || available(r) == 0)
        return true;
    store(&r->shared->sleeping, 0);
    return false;
}

void ring_set_accepts(struct ring *r, u32 accept)
{
    store(&r->shared->accepts, accept);
}
