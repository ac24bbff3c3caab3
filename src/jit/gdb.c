/* SPDX-License-Identifier: MIT */
/* Translated code in gdb's eyes: see the header. */
#include "jit/gdb.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/gdb_jit.h"
#include "cpu/code.h"
#include "jit/image.h"

enum { YOUNG_MAX = 64 };

struct shown {
    u8 *memory;
    unsigned most;
    struct jit_image image;
    struct gdb_jit_entry entry;
};

struct jit_gdb {
    struct shown routines, young; /* young: the latest blocks, all of one part */
    struct shown part[JIT_PARTS];
    unsigned young_part;
    size_t size; /* of all the memory, which begins with this */
};

static void show(struct shown *s)
{
    gdb_jit_register(&s->entry, s->image.file, jit_image_size(s->most));
}

static void hide(struct shown *s)
{
    gdb_jit_unregister(&s->entry);
}

static void begin(struct shown *s, const void *start, const struct jit_unwind *row, unsigned rows)
{
    jit_image_begin(&s->image, s->memory, s->most, start, row, rows);
}

/* ---- memory: untouched until it is needed ---- */

static size_t size_of(unsigned most)
{
    return ALIGN_UP(jit_image_size(most), 16);
}

static void give(struct shown *s, unsigned most, u8 **memory)
{
    *s = (struct shown){.memory = *memory, .most = most};
    *memory += size_of(most);
}

struct jit_gdb *jit_gdb_new(struct err *err)
{
    size_t own = ALIGN_UP(sizeof(struct jit_gdb), 16);
    size_t size = own + size_of(JIT_ROUTINES_MAX) + size_of(YOUNG_MAX) + JIT_PARTS * size_of(JIT_PART_BLOCKS);
    u8 *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        err_set(err, EXIT_STATUS_HOST, "no memory to tell gdb of translated code");
        return NULL;
    }
    struct jit_gdb *g = (struct jit_gdb *)p;
    g->size = size;
    p += own;
    give(&g->routines, JIT_ROUTINES_MAX, &p);
    give(&g->young, YOUNG_MAX, &p);
    for (unsigned i = 0; i < JIT_PARTS; i++)
        give(&g->part[i], JIT_PART_BLOCKS, &p);
    return g;
}

void jit_gdb_free(struct jit_gdb *g)
{
    if (!g)
        return;
    hide(&g->routines);
    hide(&g->young);
    for (unsigned i = 0; i < JIT_PARTS; i++)
        hide(&g->part[i]);
    munmap(g, g->size);
}

/* ---- what is told ---- */

static void tell_routines(struct jit_gdb *g, const struct jit_view *v)
{
    struct jit_routine routine[JIT_ROUTINES_MAX];
    struct jit_unwind row[JIT_UNWIND_MAX];
    unsigned n = jit_routines(v->routines, routine);
    unsigned rows = jit_unwind_routines(v->routines, v->code, v->len, row);
    bug_on(!rows, "the routines' stack at +%x is not understood", row[0].at);
    begin(&g->routines, v->code, row, rows);
    for (unsigned i = 0; i < n; i++) {
        char name[JIT_IMAGE_NAME];
        u32 end = i + 1 < n ? routine[i + 1].at : (u32)v->len;
        snprintf(name, sizeof(name), "routine_%.*s", (int)sizeof(routine[i].name), routine[i].name);
        jit_image_add(&g->routines.image, v->code + routine[i].at, end - routine[i].at, name);
    }
    show(&g->routines);
}

/* The young ones go over to their part's image. */
static void grow_up(struct jit_gdb *g)
{
    struct shown *part = &g->part[g->young_part];
    hide(&g->young);
    if (!g->young.image.symbols)
        return;
    bool first = !part->entry.size;
    hide(part);
    if (first)
        begin(part, (const void *)g->young.image.start, &jit_unwind_block, 1);
    bool all = jit_image_append(&part->image, &g->young.image);
    bug_on(!all, "a part of the code cache has more than %d blocks", JIT_PART_BLOCKS);
    g->young.image.symbols = 0;
    show(part);
}

static void tell_block(struct jit_gdb *g, const struct jit_view *v)
{
    struct jit_image *young = &g->young.image;
    char name[JIT_IMAGE_NAME];
    snprintf(name, sizeof(name), "%s_%" PRIx64 "%s", v->trace ? "trace" : "block", v->rip,
             v->block->mode & CODE_GUEST ? "_l2" : "");
    if (young->symbols == YOUNG_MAX || g->young_part != v->part)
        grow_up(g);
    hide(&g->young);
    if (!young->symbols)
        begin(&g->young, v->code, &jit_unwind_block, 1);
    g->young_part = v->part;
    jit_image_add(young, v->code, v->len, name);
    show(&g->young);
}

void jit_gdb_translated(struct jit_gdb *g, const struct jit_view *v)
{
    if (v->block)
        tell_block(g, v);
    else
        tell_routines(g, v);
}

void jit_gdb_emptied(struct jit_gdb *g, unsigned part)
{
    if (g->young_part == part) {
        hide(&g->young);
        g->young.image.symbols = 0;
    }
    hide(&g->part[part]);
}
