/* SPDX-License-Identifier: MIT */
/* The code cache's memory, its regions and its users: see the header. */
#include "jit/cache.h"

#include <sys/mman.h>

#include "jit/emit.h"

#define CODE_SIZE  (32 * MIB)
#define CHAOS_SIZE (2 * MIB)
#define HOT        8

/* A thread that has seen that code changed may still hold instructions that it fetched before. IRET
 * serializes in user mode, too, and no hypervisor looks on: SDM 3A 9.3. */
static void serialize(void)
{
    u64 a, b;
    __asm__ volatile("mov %%rsp, %0\n\t"
                     "lea -128(%%rsp), %%rsp\n\t" /* the ABI's red zone */
                     "mov %%ss, %k1\n\t"
                     "push %1\n\t"
                     "push %0\n\t"
                     "pushfq\n\t"
                     "mov %%cs, %k1\n\t"
                     "push %1\n\t"
                     "lea 1f(%%rip), %1\n\t"
                     "push %1\n\t"
                     "iretq\n"
                     "1:"
                     : "=&r"(a), "=&r"(b)
                     :
                     : "memory", "cc");
}

/* ---- users ---- */

void cache_join(struct jit_cache *k, struct cache_user *u, struct cpu *c)
{
    *u = (struct cache_user){.cpu = c};
    pthread_mutex_lock(&k->lock);
    u->next = k->users;
    k->users = u;
    pthread_mutex_unlock(&k->lock);
}

void cache_part(struct jit_cache *k, struct cache_user *u)
{
    pthread_mutex_lock(&k->lock);
    struct cache_user **p = &k->users;
    while (*p != u)
        p = &(*p)->next;
    *p = u->next;
    pthread_mutex_unlock(&k->lock);
}

/* Whoever evicts begins an epoch and then looks where the users are; a user says where it is and then looks
 * whether that is still the present epoch. One of the two sees the other. */
bool cache_enter(struct jit_cache *k, struct cache_user *u)
{
    u64 now;
    do {
        now = atomic_load(&k->epoch);
        atomic_store(&u->at, now);
    } while (now != atomic_load(&k->epoch));
    if (likely(now == u->last))
        return false;
    u->last = now;
    serialize();
    return true;
}

bool cache_see_changes(struct jit_cache *k, struct cache_user *u, struct space *s)
{
    u64 now = space_code_changes(s);
    if (likely(u->changes == now))
        return true;
    if (atomic_load(&k->changes) < now) {
        if (!cache_lock(k))
            return false;
        cache_shut_changed(k, s);
        cache_unlock(k);
    }
    u->changes = atomic_load(&k->changes);
    serialize();
    return true;
}

/* Nobody has been inside since before the region was left. Who has comes by C soon when its `poll` says so.
 */
static bool is_empty(const struct jit_cache *k, const struct cache_region *r)
{
    bool empty = true;
    for (const struct cache_user *u = k->users; u; u = u->next) {
        u64 at = atomic_load(&u->at);
        if (!at || at >= r->left_at)
            continue;
        atomic_store(&u->cpu->poll, 1);
        empty = false;
    }
    return empty;
}

/* ---- regions ---- */

static u32 region_code(const struct jit_cache *k, unsigned n)
{
    return n ? (u32)(n * k->region_size) : (u32)k->pages.used;
}

static u32 region_code_end(const struct jit_cache *k, unsigned n)
{
    return (u32)((n + 1) * k->region_size);
}

static void region_begin(struct jit_cache *k, unsigned n)
{
    struct cache_region *r = &k->region[n];
    r->code = region_code(k, n);
    r->low = n * k->region_size;
    r->high = r->low + k->region_size;
}

static size_t size_of(unsigned sites)
{
    return ALIGN_UP(sizeof(struct jit_block) + sites * sizeof(struct jit_site), 16);
}

_Static_assert(CODE_SIZE / CACHE_REGIONS / (sizeof(struct jit_block) + sizeof(struct jit_site)) <=
                   JIT_PART_BLOCKS,
               "no region has more blocks than watch.h says");

static void each_block(struct jit_cache *k, unsigned n, void (*fn)(struct jit_cache *k, struct jit_block *u))
{
    for (size_t at = n * k->region_size; at < k->region[n].low;) {
        struct jit_block *u = (struct jit_block *)(k->units + at);
        at += size_of(u->sites);
        fn(k, u);
    }
}

static void region_evict(struct jit_cache *k, unsigned n)
{
    struct cache_region *r = &k->region[n];
    if (r->low == n * k->region_size)
        return;
    each_block(k, n, cache_shut);
    each_block(k, n, cache_unlink_exits);
    r->left_at = atomic_fetch_add(&k->epoch, 1) + 1;
    is_empty(k, r);
    k->evictions++;
}

/* Of one that was evicted, and nobody is inside. */
static void region_reuse(struct jit_cache *k, unsigned n)
{
    const struct jit_watch *w = &k->options.watch;
    if (w->emptied && k->region[n].low != n * k->region_size)
        w->emptied(w->opaque, n);
    region_begin(k, n);
}

bool cache_next_region(struct jit_cache *k)
{
    unsigned next = (k->filling + 1) % CACHE_REGIONS;
    if (!is_empty(k, &k->region[next]))
        return false;
    region_reuse(k, next);
    k->filling = next;
    region_evict(k, (next + 1) % CACHE_REGIONS);
    return true;
}

void cache_forget(struct jit_cache *k)
{
    pthread_mutex_lock(&k->lock);
    for (unsigned n = 0; n < CACHE_REGIONS; n++) {
        region_evict(k, n);
        region_reuse(k, n);
    }
    k->filling = 0;
    pthread_mutex_unlock(&k->lock);
}

bool cache_room(struct jit_cache *k, unsigned sites, unsigned exits, unsigned refs, struct cache_room *room)
{
    size_t high = exits * sizeof(struct jit_exit) + refs * sizeof(struct jit_page_ref);
    for (unsigned tries = 0; tries < 2; tries++) {
        struct cache_region *r = &k->region[k->filling];
        u32 base = (u32)ALIGN_UP(r->code, TRANSLATE_ALIGN);
        struct jit_page_ref *ref = (struct jit_page_ref *)(k->units + r->high) - refs;
        if (base + TRANSLATE_MAX <= region_code_end(k, k->filling) &&
            r->low + size_of(sites) + high <= r->high) {
            *room = (struct cache_room){.block = (struct jit_block *)(k->units + r->low),
                                        .exit = (struct jit_exit *)ref,
                                        .ref = ref,
                                        .base = base};
            return true;
        }
        if (!cache_next_region(k))
            return false;
    }
    return false;
}

struct jit_block *cache_take(struct jit_cache *k, const struct cache_room *room, const struct translation *t,
                             unsigned refs)
{
    struct cache_region *r = &k->region[k->filling];
    struct jit_block *u = room->block;
    u->ref = room->ref;
    u->refs = (u8)refs;
    u->sites = (u16)t->sites;
    u->exits = (u16)t->exits;
    r->low += size_of(t->sites);
    r->high = (size_t)((u8 *)(room->exit - t->exits) - k->units);
    memcpy(k->pages.rw + room->base, t->code, t->len);
    r->code = room->base + (u32)t->len;
    return u;
}

/* ---- the whole ---- */

static void *map_pages(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void emit_runtime(struct jit_cache *k)
{
    struct emit e = {.buf = k->scratch.code, .cap = sizeof(k->scratch.code)};
    runtime_emit(&e, &k->rt, &k->options);
    void *code = exec_pages_add(&k->pages, e.buf, e.len);
    bug_on(e.overflow || code != k->pages.rx, "the translator's routines do not fit");
    struct jit_view v = {.code = code, .len = e.len, .routines = &k->rt};
    if (k->options.watch.translated)
        k->options.watch.translated(k->options.watch.opaque, 0, &v);
}

static void set_options(struct jit_cache *k, const struct jit_options *options)
{
    if (options)
        k->options = *options;
    if (!k->options.hot)
        k->options.hot = k->options.chaos ? 2 : HOT;
    if (!k->options.slice)
        k->options.slice = JIT_SLICE;
    if (!k->options.samples)
        k->options.samples = JIT_SAMPLES;
    if (!k->options.exits)
        k->options.exits = JIT_TRACE_EXITS;
    k->chaos = k->options.chaos;
    if (k->chaos)
        k->rt.chaos = &k->chaos;
}

struct jit_cache *jit_cache_new(const struct jit_options *options, struct err *err)
{
    struct jit_cache *k = map_pages(sizeof(*k));
    u8 *units = map_pages(CODE_SIZE);
    if (!k || !units || exec_pages_create(&k->pages, CODE_SIZE, err) < 0) {
        if (k)
            munmap(k, sizeof(*k));
        if (units)
            munmap(units, CODE_SIZE);
        err_set(err, EXIT_STATUS_HOST, "no memory for the translator: use --engine soft,jit=off");
        return NULL;
    }
    pthread_mutex_init(&k->lock, NULL);
    k->units = units;
    k->epoch = 1;
    set_options(k, options);
    k->rt.next_slot = k->next_slot;
    k->region_size = (k->chaos ? CHAOS_SIZE : CODE_SIZE) / CACHE_REGIONS;
    emit_runtime(k);
    for (unsigned n = 0; n < CACHE_REGIONS; n++)
        region_begin(k, n);
    return k;
}

void jit_cache_free(struct jit_cache *k)
{
    if (!k)
        return;
    bug_on(k->users, "a code cache in use is freed");
    pthread_mutex_destroy(&k->lock);
    exec_pages_destroy(&k->pages);
    munmap(k->units, CODE_SIZE);
    munmap(k, sizeof(*k));
}
