/* SPDX-License-Identifier: MIT */
/*
 * Stopping the world: see the header.
 *
 * Every vCPU has a slot with an `inside` flag that only its own thread sets. Entering is: set inside, then
 * look at `stopped`; stopping is: set `stopped`, then look at every inside flag. Both orders are sequentially
 * consistent, so one of the two sees the other. The stopper waits on a condition variable that leaving vCPUs
 * signal.
 */
#include "cpu/world.h"

#include <pthread.h>
#include <stdlib.h>

#include "cpu/tlb.h"

#define WORLD_MAX 1024

struct slot {
    struct cpu *cpu;
    atomic_bool inside;
    _Atomic(pthread_t) thread; /* valid while inside */
};

struct world {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* somebody left, or the world started again */
    atomic_uint stopped;    /* depth of the holder's stops; 0: running */
    _Atomic(pthread_t) holder;
    unsigned count;
    struct slot *slot[WORLD_MAX];
};

struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    return w;
}

void world_free(struct world *w)
{
    if (!w)
        return;
    for (unsigned i = 0; i < w->count; i++)
        free(w->slot[i]);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

int world_add(struct world *w, struct cpu *c)
{
    if (w->count == WORLD_MAX)
        return -1;
    struct slot *s = calloc(1, sizeof(*s));
    if (!s)
        return -1;
    s->cpu = c;
    w->slot[w->count++] = s;
    c->world_slot = s;
    return 0;
}

void world_remove(struct world *w, struct cpu *c)
{
    for (unsigned i = 0; i < w->count; i++) {
        if (w->slot[i]->cpu != c)
            continue;
        free(w->slot[i]);
        w->slot[i] = w->slot[--w->count];
        return;
    }
}

static bool held_by_me(const struct world *w)
{
    return atomic_load(&w->stopped) && pthread_equal(w->holder, pthread_self());
}

void world_enter(struct cpu *c)
{
    struct world *w = c->world;
    struct slot *s = c->world_slot;
    atomic_store_explicit(&s->thread, pthread_self(), memory_order_relaxed);
    atomic_store(&s->inside, true);
    if (likely(!atomic_load(&w->stopped)) || held_by_me(w))
        return;
    pthread_mutex_lock(&w->lock);
    atomic_store(&s->inside, false);
    pthread_cond_broadcast(&w->changed);
    while (atomic_load(&w->stopped))
        pthread_cond_wait(&w->changed, &w->lock);
    atomic_store(&s->inside, true);
    pthread_mutex_unlock(&w->lock);
}

void world_leave(struct cpu *c)
{
    struct world *w = c->world;
    struct slot *s = c->world_slot;
    atomic_store(&s->inside, false);
    if (likely(!atomic_load(&w->stopped)) || held_by_me(w))
        return;
    pthread_mutex_lock(&w->lock);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

void world_safepoint(struct cpu *c)
{
    atomic_fetch_and(&c->requests, ~(unsigned)REQ_WORLD);
    world_leave(c);
    world_enter(c);
}

static bool all_outside(const struct world *w)
{
    for (unsigned i = 0; i < w->count; i++)
        if (atomic_load(&w->slot[i]->inside) && !pthread_equal(w->slot[i]->thread, pthread_self()))
            return false;
    return true;
}

void world_stop(struct world *w, struct cpu *self)
{
    (void)self;
    if (held_by_me(w)) {
        atomic_fetch_add(&w->stopped, 1);
        return;
    }
    struct slot *me = NULL;
    for (unsigned i = 0; i < w->count; i++)
        if (atomic_load(&w->slot[i]->inside) && pthread_equal(w->slot[i]->thread, pthread_self()))
            me = w->slot[i];
    pthread_mutex_lock(&w->lock);
    if (me)
        atomic_store(&me->inside, false); /* another stopper need not wait for us */
    pthread_cond_broadcast(&w->changed);
    while (atomic_load(&w->stopped))
        pthread_cond_wait(&w->changed, &w->lock);
    w->holder = pthread_self();
    atomic_store(&w->stopped, 1);
    if (me)
        atomic_store(&me->inside, true);
    for (unsigned i = 0; i < w->count; i++)
        if (w->slot[i] != me)
            cpu_request(w->slot[i]->cpu, REQ_WORLD);
    while (!all_outside(w))
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

void world_start(struct world *w, struct cpu *self)
{
    (void)self;
    bug_on(!held_by_me(w), "world started by a thread that did not stop it");
    if (atomic_fetch_sub(&w->stopped, 1) != 1)
        return;
    pthread_mutex_lock(&w->lock);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

void world_each(struct world *w, void (*fn)(struct cpu *c, void *arg), void *arg)
{
    world_stop(w, NULL);
    for (unsigned i = 0; i < w->count; i++)
        fn(w->slot[i]->cpu, arg);
    world_start(w, NULL);
}

/* A range may cover several banks: it is dropped bank piece by bank piece. */
static void drop_range(struct world *w, u64 gpa, u64 len, bool writes_only)
{
    if (!w->count)
        return;
    struct space *s = w->slot[0]->cpu->memory;
    world_stop(w, NULL);
    for (u64 room; len; gpa += room, len -= room) {
        u8 *host = space_backing(s, gpa, &room);
        if (!host)
            room = PAGE_SIZE;
        if (room > len)
            room = len;
        for (unsigned i = 0; host && i < w->count; i++)
            tlb_drop_host(w->slot[i]->cpu->tlb, (u64)host, room, writes_only);
        for (u64 at = 0; host && at < room; at += PAGE_SIZE)
            __atomic_store_n(&space_page(s, gpa + at)->writer, 0, __ATOMIC_SEQ_CST);
    }
    world_start(w, NULL);
}

static void drop_writes(void *opaque, u64 gpa, u64 len)
{
    drop_range(opaque, gpa, len, true);
}

static void drop_all(void *opaque, u64 gpa, u64 len)
{
    drop_range(opaque, gpa, len, false);
}

void world_watch(struct world *w, struct space *s)
{
    struct space_listener l = {.drop_writes = drop_writes, .drop_all = drop_all, .opaque = w};
    space_listen(s, &l);
}
