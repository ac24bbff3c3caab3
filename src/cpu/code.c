/* SPDX-License-Identifier: MIT */
/* The decoded-instruction cache: see the header. One arena, one direct-mapped table of places. */
#include "cpu/code.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "cpu/meanings.h"

#define ARENA_MOST  (4 * MIB)
#define ARENA_LEAST (2 * MIB)
#define ARENAS      (64 * MIB) /* of all vCPUs of a machine, but for the least */
#define TABLE_BITS  15
#define ACROSS_BITS 10 /* at most one a page and mode */

struct place {
    const u8 *host;
    struct block *block;
};

struct code_cache {
    u8 *arena;
    size_t size, used;
    struct code_stats stats;
    struct place table[1u << TABLE_BITS];
    struct place across[1u << ACROSS_BITS];
};

static void *map_pages(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static size_t arena_size(unsigned vcpus)
{
    size_t each = ARENAS / (vcpus ? vcpus : 1);
    return each < ARENA_LEAST ? ARENA_LEAST : each > ARENA_MOST ? ARENA_MOST : each;
}

struct code_cache *code_new(unsigned vcpus)
{
    struct code_cache *k = map_pages(sizeof(*k));
    if (!k)
        return NULL;
    k->size = arena_size(vcpus);
    k->arena = map_pages(k->size);
    if (k->arena)
        return k;
    munmap(k, sizeof(*k));
    return NULL;
}

void code_free(struct code_cache *k)
{
    if (!k)
        return;
    munmap(k->arena, k->size);
    munmap(k, sizeof(*k));
}

const struct code_stats *code_stats(const struct code_cache *k)
{
    return &k->stats;
}

static u64 hash_of(const u8 *at, unsigned mode)
{
    return ((u64)at ^ mode << 13) * 0x9e3779b97f4a7c15ull;
}

static struct place *place_of(struct code_cache *k, const u8 *at, unsigned mode)
{
    return &k->table[hash_of(at, mode) >> (64 - TABLE_BITS)];
}

static struct block *arena_block(struct code_cache *k)
{
    size_t most = sizeof(struct block) + BLOCK_MAX * sizeof(struct uop);
    if (k->used + most > k->size) {
        memset(k->table, 0, sizeof(k->table));
        memset(k->across, 0, sizeof(k->across));
        k->used = 0;
        k->stats.resets++;
    }
    return (struct block *)(k->arena + k->used);
}

/* Decodes up to the first branch, the page's end, or what does not decode. */
static void decode_run(struct cpu *c, struct block *b, const u8 *at, unsigned room)
{
    b->count = 0;
    b->bytes = 0;
    while (b->count < BLOCK_MAX && b->bytes < room) {
        struct uop *u = &b->uop[b->count];
        unsigned left = room - b->bytes;
        if (insn_decode(c->mode, at + b->bytes, left < 15 ? left : 15, &u->in) != DECODE_OK)
            return;
        u->fn = meaning_of(c, &u->in);
        b->count++;
        b->bytes = (u16)(b->bytes + u->in.len);
        if (insn_infos[u->in.id].attr & (ATTR_BRANCH | ATTR_END))
            return;
    }
}

/* Watch first, then the version, then the bytes; if the watch, or this block's part of it, fell meanwhile
 * (another vCPU's store), again.
 * That order is the decoder's half of mem/watch.c's promise. How far to watch is only known after decoding,
 * so the first pass finds the length and the second one counts. */
static bool decode_block(struct cpu *c, struct block *b, const u8 *at)
{
    unsigned room = (unsigned)(PAGE_SIZE - ((u64)at & (PAGE_SIZE - 1)));
    u64 gpa = space_gpa_of_host(c->memory, at);
    b->host = at;
    b->host2 = NULL;
    b->next[0] = b->next[1] = NULL;
    b->mode = c->code_mode;
    b->page = space_page(c->memory, gpa);
    for (unsigned watched = 0;;) {
        b->version = code_version_of(b->page);
        decode_run(c, b, at, room);
        if (!b->count)
            return false;
        if (b->bytes <= watched && space_watches_code(b->page, gpa, watched) &&
            b->version == code_version_of(b->page))
            return true;
        watched = b->bytes;
        space_watch_code(c->memory, gpa, watched);
    }
}

/* The same for one instruction of two pages, each with a watch and a version. */
static bool decode_across(struct cpu *c, struct block *b, const u8 *at, const u8 *next)
{
    u8 bytes[15];
    unsigned here = (unsigned)(PAGE_SIZE - ((u64)at & (PAGE_SIZE - 1))), there = sizeof(bytes) - here;
    u64 gpa = space_gpa_of_host(c->memory, at), gpa2 = space_gpa_of_host(c->memory, next);
    *b = (struct block){.host = at,
                        .host2 = next,
                        .mode = c->code_mode,
                        .count = 1,
                        .page = space_page(c->memory, gpa),
                        .page2 = space_page(c->memory, gpa2)};
    do {
        space_watch_code(c->memory, gpa, here);
        space_watch_code(c->memory, gpa2, there);
        b->version = code_version_of(b->page);
        b->version2 = code_version_of(b->page2);
        memcpy(bytes, at, here);
        memcpy(bytes + here, next, there);
    } while (!space_watches_code(b->page, gpa, here) || !space_watches_code(b->page2, gpa2, there) ||
             b->version != code_version_of(b->page) || b->version2 != code_version_of(b->page2));
    if (insn_decode(c->mode, bytes, sizeof(bytes), &b->uop->in) != DECODE_OK || b->uop->in.len <= here)
        return false;
    b->uop->fn = meaning_of(c, &b->uop->in);
    b->bytes = b->uop->in.len;
    return true;
}

static struct block *block_make(struct cpu *c, struct code_cache *k, const u8 *at, const u8 *next)
{
    struct block *b = arena_block(k);
    if (!(next ? decode_across(c, b, at, next) : decode_block(c, b, at)))
        return NULL;
    k->used += ALIGN_UP(sizeof(*b) + b->count * sizeof(struct uop), 16);
    k->stats.blocks++;
    k->stats.decoded += b->count;
    return b;
}

struct block *code_lookup(struct cpu *c, const u8 *at)
{
    struct code_cache *k = c->code;
    struct place *p = place_of(k, at, c->code_mode);
    if (likely(p->host == at)) {
        if (likely(block_fits(c, p->block, at)))
            return p->block;
        k->stats.stale++;
    }
    struct block *b = block_make(c, k, at, NULL);
    p->host = b ? at : NULL;
    p->block = b;
    return b;
}

struct block *code_lookup_across(struct cpu *c, const u8 *at, const u8 *next)
{
    struct code_cache *k = c->code;
    struct place *p = &k->across[hash_of(at, c->code_mode) >> (64 - ACROSS_BITS)];
    struct block *b = p->host == at ? p->block : NULL;
    if (PAGE_SIZE - ((u64)at & (PAGE_SIZE - 1)) >= 15)
        return NULL;
    if (b && block_fits(c, b, at) && b->host2 == next && b->version2 == code_version_of(b->page2))
        return b;
    b = block_make(c, k, at, next);
    p->host = b ? at : NULL;
    p->block = b;
    return b;
}

struct block *code_follow(struct cpu *c, struct block *prev, const u8 *at)
{
    if (!prev)
        return code_lookup(c, at);
    for (unsigned i = 0; i < 2; i++)
        if (prev->next[i] && likely(block_fits(c, prev->next[i], at)))
            return prev->next[i];
    u64 resets = c->code->stats.resets;
    struct block *b = code_lookup(c, at);
    if (b && resets == c->code->stats.resets) {
        prev->next[1] = prev->next[0];
        prev->next[0] = b;
    }
    return b;
}
