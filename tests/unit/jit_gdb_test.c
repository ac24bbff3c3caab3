/* SPDX-License-Identifier: MIT */
/*
 * What gdb is told of translated code: the image as a reader of ELF and DWARF sees it, the stack in the
 * routines, and which images are registered while blocks come and go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/gdb_jit.h"
#include "cpu/code.h"
#include "jit/gdb.h"
#include "jit/image.h"
#include "jit/jit.h"

#include <elf.h> /* last: its PF_* macros are names in x86/flags.h */

/* ---- a reader ---- */

static const Elf64_Shdr *section(const u8 *file, const char *name)
{
    const Elf64_Ehdr *h = (const Elf64_Ehdr *)file;
    const Elf64_Shdr *s = (const Elf64_Shdr *)(file + h->e_shoff);
    for (unsigned i = 1; i < h->e_shnum; i++)
        if (!strcmp((const char *)file + s[h->e_shstrndx].sh_offset + s[i].sh_name, name))
            return &s[i];
    fail_msg("no section %s", name);
    return NULL;
}

static void check_headers(const u8 *file, size_t size)
{
    const Elf64_Ehdr *h = (const Elf64_Ehdr *)file;
    assert_memory_equal(h->e_ident, ELFMAG, SELFMAG);
    assert_int_equal(h->e_ident[EI_CLASS], ELFCLASS64);
    assert_int_equal(h->e_type, ET_REL);
    assert_int_equal(h->e_machine, EM_X86_64);
    assert_int_equal(h->e_shentsize, sizeof(Elf64_Shdr));
    const Elf64_Shdr *s = (const Elf64_Shdr *)(file + h->e_shoff);
    assert_int_equal(s[0].sh_type, SHT_NULL);
    for (unsigned i = 1; i < h->e_shnum; i++)
        assert_true(s[i].sh_type == SHT_NOBITS || s[i].sh_offset + s[i].sh_size <= size);
    assert_int_equal(section(file, ".text")->sh_type, SHT_NOBITS);
    assert_int_equal(section(file, ".text")->sh_flags, SHF_ALLOC | SHF_EXECINSTR);
    assert_ptr_equal(&s[section(file, ".symtab")->sh_link], section(file, ".strtab"));
}

/* The name of what lies at pc, or NULL. */
static const char *name_at(const u8 *file, u64 pc, u64 *begin, u64 *size)
{
    const Elf64_Shdr *text = section(file, ".text"), *table = section(file, ".symtab"),
                     *names = section(file, ".strtab");
    const Elf64_Sym *s = (const Elf64_Sym *)(file + table->sh_offset);
    const char *name = (const char *)file + names->sh_offset;
    assert_int_equal(name[0] | name[names->sh_size - 1], 0);
    for (unsigned i = 1; i < table->sh_size / sizeof(*s); i++) {
        assert_true(s[i].st_name < names->sh_size && s[i].st_value + s[i].st_size <= text->sh_size);
        assert_int_equal(s[i].st_info, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC));
        *begin = text->sh_addr + s[i].st_value;
        *size = s[i].st_size;
        if (pc - *begin < *size)
            return name + s[i].st_name;
    }
    return NULL;
}

enum { DW_RBX = 3, DW_RBP = 6, DW_RSP = 7, DW_RETURN = 16, DW_COUNT };

/* How registers are found: by the numbers of the AMD64 supplement to the ABI. */
struct rules {
    u64 cfa_reg, cfa_offset;
    bool undefined[DW_COUNT];
    i64 at[DW_COUNT]; /* from the CFA; 0: as it is */
};

static u64 uleb(const u8 **p)
{
    u64 v = 0;
    for (unsigned shift = 0;; shift += 7) {
        v |= (u64)(**p & 0x7f) << shift;
        if (!(*(*p)++ & 0x80))
            return v;
    }
}

/* Up to the row of pc, the rules being those of `at`. */
static void run_rules(const u8 *p, const u8 *end, u64 at, u64 pc, struct rules *r)
{
    while (p < end && at <= pc) {
        u8 op = *p++;
        if (op >> 6 == 2) {
            r->at[op & 0x3f] = -8 * (i64)uleb(&p);
            continue;
        }
        switch (op) {
        case 0x00:
            break;
        case 0x04:
            at += load_le(p, 4);
            p += 4;
            break;
        case 0x07:
            r->undefined[uleb(&p)] = true;
            break;
        case 0x0c:
            r->cfa_reg = uleb(&p);
            r->cfa_offset = uleb(&p);
            break;
        case 0x0e: {
            u64 offset = uleb(&p);
            if (at <= pc)
                r->cfa_offset = offset;
            break;
        }
        default:
            fail_msg("instruction %#x of the frame", op);
        }
    }
}

static void run_cie(const u8 *cie, struct rules *r)
{
    static const u8 head[] = {0xff, 0xff, 0xff, 0xff, 1, 0, 1, 0x78, DW_RETURN};
    assert_memory_equal(cie + 4, head, sizeof(head));
    run_rules(cie + 4 + sizeof(head), cie + 4 + load_le(cie, 4), 0, 0, r);
}

/* False: no frame is said to be there. */
static bool rules_at(const u8 *file, u64 pc, struct rules *r)
{
    const Elf64_Shdr *s = section(file, ".debug_frame");
    const u8 *frames = file + s->sh_offset, *p = frames;
    unsigned found = 0;
    for (; p < frames + s->sh_size; p += 4 + load_le(p, 4)) {
        u32 id = (u32)load_le(p + 4, 4);
        u64 begin = load_le(p + 8, 8), range = load_le(p + 16, 8);
        if (id == 0xffffffff || pc - begin >= range)
            continue;
        *r = (struct rules){0};
        run_cie(frames + id, r);
        run_rules(p + 24, p + 4 + load_le(p, 4), begin, pc, r);
        assert_int_equal(found++, 0);
    }
    assert_ptr_equal(p, frames + s->sh_size);
    return found;
}

static void check_rules(const u8 *file, u64 pc, const struct jit_unwind *row)
{
    static const u8 saved[] = {DW_RBX, DW_RBP, 12, 13, 14, 15};
    struct rules r;
    assert_true(rules_at(file, pc, &r));
    assert_int_equal(r.cfa_reg, DW_RSP);
    assert_int_equal(r.cfa_offset, row->caller);
    assert_int_equal(r.at[DW_RETURN], -8);
    for (unsigned i = 0; i < ARRAY_SIZE(saved); i++)
        assert_int_equal(r.at[saved[i]], row->kept == JIT_KEPT_SAVED ? -16 - 8 * (i64)i : 0);
    for (unsigned i = 0; i < DW_RETURN; i++)
        assert_int_equal(r.undefined[i], row->kept == JIT_KEPT_LOST && i != DW_RSP);
}

/* ---- images ---- */

static void image_grows(void **state)
{
    enum { MOST = 3 };
    u8 *file = calloc(1, jit_image_size(MOST)), *code = (u8 *)0x7f0012340000;
    struct jit_image m;
    u64 begin, size;
    struct rules r;
    jit_image_begin(&m, file, MOST, code, &jit_unwind_block, 1);
    check_headers(file, jit_image_size(MOST));
    assert_false(rules_at(file, (u64)code, &r));
    assert_true(jit_image_add(&m, code, 0x40, "block_1"));
    assert_true(jit_image_add(&m, code + 0x50, 0x1000, "a name that is longer than an image's names may be"));
    check_headers(file, jit_image_size(MOST));
    assert_int_equal(section(file, ".text")->sh_addr, (u64)code);
    assert_int_equal(section(file, ".text")->sh_size, 0x1050);
    assert_string_equal(name_at(file, (u64)code + 0x3f, &begin, &size), "block_1");
    assert_int_equal(begin, (u64)code);
    assert_null(name_at(file, (u64)code + 0x40, &begin, &size));
    assert_int_equal(strlen(name_at(file, (u64)code + 0x50, &begin, &size)), JIT_IMAGE_NAME - 1);
    check_rules(file, (u64)code, &jit_unwind_block);
    check_rules(file, (u64)code + 0x104f, &jit_unwind_block);
    assert_false(rules_at(file, (u64)code + 0x1050, &r));
    assert_false(rules_at(file, (u64)code - 1, &r));
    assert_true(jit_image_add(&m, code + 0x1050, 1, "block_3"));
    assert_false(jit_image_add(&m, code + 0x1060, 1, "block_4"));

    u8 *other = calloc(1, jit_image_size(2 * MOST));
    struct jit_image both;
    jit_image_begin(&both, other, 2 * MOST, code - 0x100, &jit_unwind_block, 1);
    assert_true(jit_image_add(&both, code - 0x80, 8, "block_0"));
    assert_true(jit_image_append(&both, &m));
    check_headers(other, jit_image_size(2 * MOST));
    assert_string_equal(name_at(other, (u64)code - 0x79, &begin, &size), "block_0");
    assert_string_equal(name_at(other, (u64)code + 0x1050, &begin, &size), "block_3");
    assert_int_equal(size, 1);
    check_rules(other, (u64)code + 0x1050, &jit_unwind_block);
    jit_image_begin(&both, other, MOST - 1, code, &jit_unwind_block, 1);
    assert_false(jit_image_append(&both, &m));
    free(file);
    free(other);
}

/* ---- routines ---- */

struct seen {
    struct jit_view view; /* of the routines */
    struct jit_gdb *gdb;
};

static void see(void *opaque, unsigned vcpu, const struct jit_view *v)
{
    struct seen *s = opaque;
    s->view = *v;
    if (s->gdb)
        jit_gdb_translated(s->gdb, v);
}

static struct jit_cache *new_cache(struct seen *s)
{
    const struct jit_options o = {.watch = {.translated = see, .opaque = s}};
    struct jit_cache *k = jit_cache_new(&o, NULL);
    assert_non_null(k);
    return k;
}

static const struct jit_unwind *row_at(const struct jit_unwind *row, unsigned rows, size_t at)
{
    while (rows > 1 && row[1].at <= at)
        row++, rows--;
    return row;
}

static void stack_of_routines(void **state)
{
    struct seen s = {0};
    struct jit_cache *k = new_cache(&s);
    struct jit_routine routine[JIT_ROUTINES_MAX];
    struct jit_unwind row[JIT_UNWIND_MAX], none[JIT_UNWIND_MAX];
    const struct jit_runtime *rt = s.view.routines;
    unsigned n = jit_routines(rt, routine), rows = jit_unwind_routines(rt, s.view.code, s.view.len, row);
    if (!rows)
        fail_msg("the stack at +%#x of the routines, see src/jit/unwind.c", row[0].at);
    /* A function of C has called it; behind all it pushes, it is as in a block. */
    assert_string_equal(routine[0].name, "enter");
    assert_int_equal(row[0].at, 0);
    assert_int_equal(row[0].caller, 8);
    assert_int_equal(row[0].kept, JIT_KEPT_THERE);
    assert_int_equal(row_at(row, rows, routine[1].at - 1)->caller, 8); /* its end is the way out's RET */
    assert_int_equal(row_at(row, rows, routine[1].at - 1)->kept, JIT_KEPT_SAVED);
    for (unsigned i = 1; i < n; i++) {
        const struct jit_unwind *r = row_at(row, rows, routine[i].at);
        assert_int_equal(r->caller, routine[i].called ? 8 : jit_unwind_block.caller);
        assert_int_equal(r->kept, routine[i].called ? JIT_KEPT_LOST : JIT_KEPT_SAVED);
    }
    /* Code that does not keep its stack in order is not believed. */
    u8 *other = malloc(s.view.len);
    memcpy(other, s.view.code, s.view.len);
    other[0] = 0x90; /* enter's first push */
    assert_int_equal(jit_unwind_routines(rt, other, s.view.len, none), 0);
    other[0] = s.view.code[0];
    assert_int_equal(jit_unwind_routines(rt, other, s.view.len, none), rows);
    struct jit_runtime unknown = *rt;
    unknown.vec_again = rt->load_x87;
    assert_int_equal(jit_unwind_routines(&unknown, other, s.view.len, none), 0);
    free(other);
    jit_cache_free(k);
}

/* ---- what is registered ---- */

/* gdb's names for what base/gdb_jit.c has. */
struct descriptor {
    u32 version, action;
    struct gdb_jit_entry *relevant, *first;
};
extern struct descriptor __jit_debug_descriptor;

/* How many images are, each of which is whole. */
static unsigned registered(void)
{
    unsigned n = 0;
    const struct gdb_jit_entry *before = NULL;
    assert_int_equal(__jit_debug_descriptor.version, 1);
    assert_int_equal(__jit_debug_descriptor.action, 0);
    for (const struct gdb_jit_entry *e = __jit_debug_descriptor.first; e; before = e, e = e->next, n++) {
        assert_ptr_equal(e->prev, before);
        check_headers(e->image, e->size);
    }
    return n;
}

/* The name of what lies at pc, by the only image whose code that is; NULL: nobody's. */
static const char *symbol(u64 pc, u64 *begin, u64 *size)
{
    const u8 *file = NULL;
    for (const struct gdb_jit_entry *e = __jit_debug_descriptor.first; e; e = e->next) {
        const Elf64_Shdr *text = section(e->image, ".text");
        if (pc - text->sh_addr >= text->sh_size)
            continue;
        assert_null(file);
        file = e->image;
    }
    if (file)
        check_rules(file, pc, &jit_unwind_block);
    return file ? name_at(file, pc, begin, size) : NULL;
}

enum { CODE = 48, REGION = 1 << 20 };

/* The nth block of a part that lies at `base`. */
static void add_block(struct jit_gdb *g, u64 base, unsigned part, unsigned n)
{
    const struct block b = {.mode = MODE_64};
    const struct jit_view v = {.block = &b,
                               .rip = 0x1000 + n,
                               .code = (const u8 *)base + part * REGION + n * CODE,
                               .len = CODE - n % 16,
                               .part = part};
    jit_gdb_translated(g, &v);
}

static void check_block(u64 base, unsigned part, unsigned n)
{
    char want[32];
    u64 at = base + part * REGION + n * CODE, begin, size;
    const char *name = symbol(at + CODE - 16, &begin, &size);
    snprintf(want, sizeof(want), "block_%x", 0x1000 + n);
    assert_non_null(name);
    assert_string_equal(name, want);
    assert_int_equal(begin, at);
    assert_int_equal(size, CODE - n % 16);
}

static void blocks_come_and_go(void **state)
{
    enum { BASE = 0x10000000, MANY = 500 };
    u64 begin, size;
    struct jit_gdb *g = jit_gdb_new(NULL);
    assert_non_null(g);
    assert_int_equal(registered(), 0);
    for (unsigned part = 0; part < 3; part++)
        for (unsigned n = 0; n < MANY; n++) {
            add_block(g, BASE, part, n);
            check_block(BASE, part, n);
        }
    for (unsigned part = 0; part < 3; part++)
        for (unsigned n = 0; n < MANY; n++)
            check_block(BASE, part, n);
    assert_int_equal(registered(), 4); /* one a part, and the latest */
    jit_gdb_emptied(g, 0);
    assert_int_equal(registered(), 3);
    assert_null(symbol(BASE, &begin, &size));
    check_block(BASE, 1, MANY - 1);
    add_block(g, BASE, 0, 7);
    check_block(BASE, 0, 7);
    check_block(BASE, 2, MANY - 1);
    assert_null(symbol(BASE, &begin, &size));
    jit_gdb_emptied(g, 0); /* with its latest */
    assert_null(symbol(BASE + 7 * CODE, &begin, &size));
    assert_int_equal(registered(), 2);
    jit_gdb_free(g);
    assert_int_equal(registered(), 0);
    jit_gdb_free(NULL);
}

static void names_of_kinds(void **state)
{
    struct jit_gdb *g = jit_gdb_new(NULL);
    const struct block b = {.mode = MODE_64 | CODE_GUEST};
    struct jit_view v = {.block = &b, .rip = 0xffffffff81000010, .code = (const u8 *)0x5000, .len = 16};
    u64 begin, size;
    jit_gdb_translated(g, &v);
    v.trace = (const struct trace *)&v; /* only whether it is one is asked */
    v.code += 16;
    jit_gdb_translated(g, &v);
    assert_string_equal(symbol(0x5000, &begin, &size), "block_ffffffff81000010_l2");
    assert_string_equal(symbol(0x5010, &begin, &size), "trace_ffffffff81000010_l2");
    jit_gdb_free(g);
}

static void routines_are_told(void **state)
{
    struct seen s = {.gdb = jit_gdb_new(NULL)};
    struct jit_cache *k = new_cache(&s);
    struct jit_routine routine[JIT_ROUTINES_MAX];
    struct jit_unwind row[JIT_UNWIND_MAX];
    unsigned n = jit_routines(s.view.routines, routine);
    unsigned rows = jit_unwind_routines(s.view.routines, s.view.code, s.view.len, row);
    assert_int_equal(registered(), 1);
    const u8 *file = __jit_debug_descriptor.first->image;
    for (size_t at = 0; at < s.view.len; at++)
        check_rules(file, (u64)s.view.code + at, row_at(row, rows, at));
    for (unsigned i = 0; i < n; i++) {
        u64 begin, size;
        const char *name = name_at(file, (u64)s.view.code + routine[i].at, &begin, &size);
        assert_true(name && !strncmp(name, "routine_", 8) && !strcmp(name + 8, routine[i].name));
        assert_int_equal(begin, (u64)s.view.code + routine[i].at);
    }
    jit_cache_free(k);
    jit_gdb_free(s.gdb);
    assert_int_equal(registered(), 0);
}

/* ---- two machines ---- */

struct machine {
    struct jit_gdb *gdb;
    u64 base;
};
enum { ROUNDS = 40, EACH = 150 };

static void *run_machine(void *opaque)
{
    struct machine *m = opaque;
    for (unsigned i = 0; i < ROUNDS; i++) {
        jit_gdb_emptied(m->gdb, i % 2);
        for (unsigned n = 0; n < EACH; n++)
            add_block(m->gdb, m->base, i % 2, n);
    }
    return NULL;
}

static void two_machines(void **state)
{
    struct machine m[2] = {{.base = 0x10000000}, {.base = 0x20000000}};
    pthread_t thread[2];
    for (unsigned i = 0; i < 2; i++) {
        m[i].gdb = jit_gdb_new(NULL);
        pthread_create(&thread[i], NULL, run_machine, &m[i]);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(registered(), 6);
    for (unsigned i = 0; i < 2; i++)
        for (unsigned n = 0; n < EACH; n++) {
            check_block(m[i].base, 0, n);
            check_block(m[i].base, 1, n);
        }
    jit_gdb_free(m[0].gdb);
    assert_int_equal(registered(), 3);
    for (unsigned n = 0; n < EACH; n++)
        check_block(m[1].base, 1, n);
    jit_gdb_free(m[1].gdb);
    assert_int_equal(registered(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_grows),        cmocka_unit_test(stack_of_routines),
        cmocka_unit_test(blocks_come_and_go), cmocka_unit_test(names_of_kinds),
        cmocka_unit_test(routines_are_told),  cmocka_unit_test(two_machines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
