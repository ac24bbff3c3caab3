/* SPDX-License-Identifier: MIT */
/*
 * Hostile guests on the processor alone, and the translator held against the interpreter.
 *
 * The input chooses a mode, control registers, changes to a working set of page and descriptor tables, and
 * code. Exceptions restart the code a little further on, so that one input runs much of it many times. Every
 * input runs twice, on a processor that interprets and on one that translates (processor_rig.h);
 * architectural state, instruction count and memory must be equal afterwards.
 *
 * Caches outlive an input, as they do in a machine; a difference that does not come back from its input alone
 * came from what ran before.
 */
#include <stdio.h>
#include <stdlib.h>

#include "processor_rig.h"

#include "cpu/control.h"
#include "cpu/debug.h"
#include "cpu/fpu.h"
#include "cpu/system.h"
#include "vm/cpu_model.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max_size);

/* Guest-physical memory. */
enum {
    TSS = 0x500,
    COUNTER = 0x700,
    STACK = 0x5000,
    GDT = 0x1000,
    IDT = 0x1800,
    HANDLER = 0x6000,
    CODE = 0x8000,
    TABLES = 0x10000, /* 4-level: PML4, PDPT, PD, PT; then a PAE root and a 32-bit directory with its table */
    PAE_ROOT = 0x14000,
    PD32 = 0x15000,
    PT32 = 0x16000,
    RAM = 0x20000,
    DEVICE = 0x200000,
    DEVICE_SIZE = 0x1000,
};
enum { HEADER = 16, PATCH = 10, CODE_MAX = 0x400, BUDGET = 1500 };
enum {
    KCODE = 0x08,
    KDATA = 0x10,
    UCODE = 0x2b,
    UCODE32 = 0x1b,
    UDATA = 0x23,
    KCODE32 = 0x30,
    KCODE16 = 0x38,
    TSS_SEL = 0x40
};
enum mode { REAL, V86, PROT16, PROT32, PAGED32, PAE32, COMPAT, LONG };

struct rig {
    struct cpu_model model[2]; /* by vendor, as are a side's processors */
    struct side_pair pair;
    u8 image[RAM];
};

/* ---- the rig ---- */

/* The device writes into code by itself. */
static void poked(struct side *s, u64 v)
{
    space_write(s->memory, CODE + (v & 0xfff), &s->asked, 1 + (v >> 12 & 3));
}

static struct rig *rig_get(void)
{
    static struct rig *r;
    if (r)
        return r;
    r = calloc(1, sizeof(*r));
    bug_on(!r, "no memory");
    for (int v = 0; v < 2; v++)
        bug_on(cpu_model_build(&r->model[v], (enum cpu_vendor)v, NULL, false, 1, 1000000000, NULL),
               "no model");
    struct side_config config = {.model = {&r->model[0], &r->model[1]},
                                 .ram = RAM,
                                 .device = DEVICE,
                                 .device_size = DEVICE_SIZE,
                                 .poked = poked,
                                 .sipi_page = CODE >> 12};
    side_pair_init(&r->pair, &config);
    return r;
}

/* ---- what every input starts from ---- */

static void put(u8 *image, unsigned at, unsigned size, u64 v)
{
    store_le(image + at, size, v);
}

static void put_page_tables(u8 *m, bool user)
{
    u64 rights = user ? 7 : 3;
    for (unsigned i = 0; i < 512; i++) /* the last pages lead to the device */
        put(m, TABLES + 0x3000 + 8 * i, 8, (i < 256 ? i << 12 & (RAM - 1) : DEVICE) | rights);
    for (unsigned i = 0; i < 1024; i++)
        put(m, PT32 + 4 * i, 4, (i < 256 ? i << 12 & (RAM - 1) : DEVICE) | rights);
    static const u16 slot[] = {0, 1, 511};
    for (unsigned i = 0; i < 3; i++) {
        put(m, TABLES + 8 * slot[i], 8, TABLES + 0x1000 + 7);
        put(m, TABLES + 0x1000 + 8 * slot[i], 8, TABLES + 0x2000 + 7);
        put(m, TABLES + 0x2000 + 8 * slot[i], 8, TABLES + 0x3000 + 7);
        put(m, PAE_ROOT + 8 * (slot[i] & 3), 8, TABLES + 0x2000 + 1);
        put(m, PD32 + 4 * (slot[i] * 2 + 1), 4, PT32 + 7);
        put(m, PD32 + 4 * (slot[i] * 2), 4, PT32 + 7);
    }
    put(m, TABLES + 0x1000 + 8 * 2, 8, 0x80 | rights); /* 1 GiB, 2 MiB, 4 MiB pages */
    put(m, TABLES + 0x2000 + 8 * 2, 8, 0x80 | rights);
    put(m, TABLES + 0x2000 + 8 * 3, 8, DEVICE | 0x80 | rights);
    put(m, PD32 + 4 * 2, 4, 0x80 | rights);
}

static void put_descriptors(u8 *m, bool wide)
{
    static const u64 gdt[] = {0,
                              0x00af9a000000ffff,
                              0x00cf92000000ffff,
                              0x00cffa000000ffff,
                              0x00cff2000000ffff,
                              0x00affa000000ffff,
                              0x00cf9a000000ffff,
                              0x00009a000000ffff,
                              0x0000890000000067 | (u64)TSS << 16,
                              0,
                              0x0000ec0000000000 | KCODE << 16 | HANDLER, /* 50: call gate, DPL 3 */
                              0,
                              0x0000ec0000000000 | KCODE32 << 16 | HANDLER, /* 60 */
                              0x00009e000000ffff,                           /* 68: conforming */
                              0x000096000000000f};                          /* 70: expand down */
    memcpy(m + GDT, gdt, sizeof(gdt));
    for (unsigned v = 0; v < 64; v++) {
        unsigned dpl = v == 3 || v == 4 || v > 31 ? 3 : 0;
        u64 gate = HANDLER | (u64)(wide ? KCODE : KCODE32) << 16 | (0x8e00ull | dpl << 13) << 32;
        if (wide)
            put(m, IDT + 16 * v, 8, gate);
        else
            put(m, IDT + 8 * v, 8, gate);
    }
    put(m, TSS + 4, 4, STACK);
    put(m, TSS + 8, 4, wide ? 0 : KDATA);
    put(m, TSS + 0x66, 2, 0x68);
}

/* Exceptions and interrupts come here: a fresh stack, and on with the code a few bytes from where it began.
 */
static void put_handler(u8 *m, enum mode mode)
{
    u8 *p = m + HANDLER;
    static const u8 wide[] = "\xff\x04\x25\x00\x07\x00\x00\xbc\x00\x50\x00\x00\x8b\x04\x25\x00\x07\x00\x00"
                             "\x25\x7f\x00\x00\x00\x05\x00\x80\x00\x00\xff\xe0";
    static const u8 flat[] = "\xff\x05\x00\x07\x00\x00\xbc\x00\x50\x00\x00\xa1\x00\x07\x00\x00"
                             "\x25\x7f\x00\x00\x00\x05\x00\x80\x00\x00\xff\xe0";
    static const u8 narrow[] = "\xff\x06\x00\x07\xbc\x00\x50\xa1\x00\x07\x25\x7f\x00\x05\x00\x80\xff\xe0";
    if (mode == REAL)
        memcpy(p, narrow, sizeof(narrow) - 1);
    else if (mode < COMPAT)
        memcpy(p, flat, sizeof(flat) - 1);
    else
        memcpy(p, wide, sizeof(wide) - 1);
    for (unsigned v = 0; mode == REAL && v < 256; v++)
        put(m, 4 * v, 4, HANDLER);
}

/* Code again and again up to its room's end, then back. */
static void put_code(u8 *m, const u8 *code, size_t len, enum mode mode)
{
    memcpy(m + CODE, code, len);
    u8 *p = m + CODE + len;
    p[0] = 0xe9;
    if (mode <= PROT16)
        store_le(p + 1, 2, (u64) - (len + 3));
    else
        store_le(p + 1, 4, (u64) - (len + 5));
}

static enum mode mode_of(const u8 *h)
{
    return (h[0] & 15) > LONG ? LONG : (enum mode)(h[0] & 15);
}

static void image_make(u8 *m, const u8 *data, size_t size)
{
    const u8 *h = data;
    enum mode mode = mode_of(h);
    memset(m, 0, RAM);
    put_page_tables(m, h[0] & 0x10 || mode == V86);
    put_descriptors(m, mode >= COMPAT);
    put_handler(m, mode);
    data += HEADER;
    size -= HEADER;
    for (unsigned n = h[7] & 7; n && size >= PATCH; n--, data += PATCH, size -= PATCH) {
        unsigned at = (unsigned)load_le(data, 2);
        memcpy(m + (at & 0x8000 ? TABLES + (at & 0xfff) * 8 % 0x7000 : (at & 0x3ff) * 8), data + 2, 8);
    }
    put_code(m, data, size < CODE_MAX ? size : CODE_MAX, mode);
}

static struct segment flat(u16 sel, u32 attr, unsigned dpl)
{
    return (struct segment){.sel = sel, .limit = 0xffffffff, .attr = SEG_P | SEG_S | SEG_G | dpl << 5 | attr};
}

static void start_segments(struct cpu *c, enum mode mode, unsigned dpl)
{
    if (mode == REAL || mode == V86) {
        for (unsigned s = ES; s <= GS; s++)
            c->seg[s] =
                (struct segment){.limit = 0xffff, .attr = SEG_P | SEG_S | 3 | (mode == V86 ? SEG_DPL : 0)};
    } else {
        u32 code = mode == LONG ? SEG_L : mode == PROT16 ? 0 : SEG_DB;
        u16 sel = mode == LONG ? (dpl ? UCODE : KCODE) : mode == PROT16 ? KCODE16 : dpl ? UCODE32 : KCODE32;
        for (unsigned s = ES; s <= GS; s++)
            c->seg[s] = flat(dpl ? UDATA : KDATA, SEG_DB | 3, dpl);
        c->seg[CS] = flat(sel, code | 11, dpl);
    }
    c->gdtr = (struct dtable){.base = GDT, .limit = 0x7ff};
    c->idtr = (struct dtable){.base = mode == REAL ? 0 : IDT, .limit = 0x3ff};
    c->seg[SEG_TR] = (struct segment){.sel = TSS_SEL, .base = TSS, .limit = 0x67, .attr = SEG_P | 11};
}

static void start_control(struct cpu *c, enum mode mode, const u8 *h)
{
    c->cr4 = (h[1] | h[2] << 8 | (u64)(h[3] & 0x3f) << 16) & cr4_valid(c);
    c->cr4 &= ~(u64)(CR4_PCIDE | CR4_PAE);
    c->cr0 |= (h[4] & 1 ? CR0_WP : 0) | (h[4] & 2 ? CR0_AM : 0) | (h[4] & 4 ? CR0_NE : 0) |
              (h[4] & 8 ? CR0_MP : 0) | ((h[4] & 0x70) == 0x70 ? CR0_TS : 0) |
              ((h[4] & 0x70) == 0x60 ? CR0_EM : 0);
    if (mode != REAL)
        c->cr0 |= CR0_PE;
    if (mode >= PAGED32 || mode == V86)
        c->cr0 |= CR0_PG;
    if (mode >= PAE32)
        c->cr4 |= CR4_PAE | (h[4] & 0x80 ? 0 : CR4_OSFXSR);
    c->cr3 = mode >= COMPAT ? TABLES : mode == PAE32 ? PAE_ROOT : PD32;
    if (mode >= COMPAT)
        c->efer = EFER_LME | EFER_LMA | (h[5] & 1 ? EFER_SCE : 0) | (h[5] & 2 ? EFER_NXE : 0);
    if (c->cr4 & CR4_OSXSAVE)
        c->xcr0 = XCR0_X87 | ((h[5] & 4 ? XCR0_SSE : 0) | (h[5] & 8 ? XCR0_SSE | XCR0_AVX : 0));
    c->xcr0 &= c->model->xcr0_mask;
    if (h[5] & 0x80) {
        c->dr7 = DR7_FIXED | 0xff | (u64)h[6] << 16;
        for (unsigned i = 0; i < 4; i++)
            c->dr[i] = CODE + (i << 6 & h[6]);
    }
}

/* Registers: some small, some addresses, some at the edges. */
static void start_registers(struct cpu *c, enum mode mode, const u8 *h)
{
    u64 x = load_le(h + 8, 8) | 1;
    static const u64 base[8] = {0, CODE, RAM - 8, DEVICE, 0x1ff8, ~0ull, 0x7fffffffffff, 0xffff800000000000};
    for (unsigned i = 0; i < 16; i++) {
        x = x * 0x5851f42d4c957f2dull + 0x14057b7ef767814full;
        c->regs[i] = base[x >> 60 & 7] + (x >> 32 & (x >> 56 & 1 ? 0xfff : 0x1f));
        if (mode < LONG)
            c->regs[i] &= 0xffffffff;
    }
    c->regs[RCX] &= x >> 61 ? 0x1f : ~0ull; /* the longest of string instructions are the same all the way */
    c->regs[RSP] = STACK;
    c->rip = c->regs[REG_RIP] = CODE;
    for (unsigned i = 0; i < 16 * 32; i++)
        ((u8 *)c->vec)[i] = (u8)((x = x * 0x5851f42d4c957f2dull + 1) >> 56);
    cpu_set_rflags(c, FLAG_R1 | (x & FLAGS_ARITH) | (h[6] & 1 ? FLAG_IF : 0) |
                          ((h[6] & 14) == 14 ? FLAG_TF : 0) | (h[6] & 16 ? FLAG_DF : 0) |
                          (h[6] & 32 ? FLAG_AC : 0) | (h[6] & 64 ? FLAG_IOPL : 0) |
                          (mode == V86 ? FLAG_VM : 0));
}

static void start(struct side *s, struct cpu *c, const u8 *image, const u8 *h)
{
    enum mode mode = mode_of(h);
    side_begin(s, c, image, RAM);
    cpu_reset(c, false);
    c->activity = CPU_ACTIVE;
    c->random = 1;
    c->retired = 0;
    c->budget_end = BUDGET;
    start_segments(c, mode, mode == V86 || (mode > PROT16 && h[0] & 0x10) ? 3 : 0);
    start_control(c, mode, h);
    start_registers(c, mode, h);
    debug_registers_changed(c);
    cpu_mode_changed(c);
}

/* ---- the comparison ---- */

static void run(struct rig *r, struct side *s, struct cpu *c, enum outcome *o)
{
    *o = side_run(&r->pair, c);
    s->state.len = 0;
    state_save(&s->state, &cpu_state_desc, 0, c);
    bug_on(s->state.failed, "no memory");
}

static void describe(const struct cpu *c, enum outcome o)
{
    fprintf(stderr, "outcome %d retired %llu rip %llx flags %llx mode %u cpl %u chain %u %u %u\n", o,
            (unsigned long long)c->retired, (unsigned long long)c->rip, (unsigned long long)cpu_rflags(c),
            c->mode, c->cpl, c->chain[0], c->chain[1], c->chain[2]);
    for (unsigned i = 0; i < 16; i++)
        fprintf(stderr, "%s%016llx", i & 7 ? " " : "\n", (unsigned long long)c->regs[i]);
    fprintf(stderr, "\n");
}

static void differ(struct rig *r, unsigned v, const enum outcome o[2], const char *what)
{
    for (unsigned i = 0; i < 2; i++) {
        fprintf(stderr, i ? "translator: " : "interpreter: ");
        describe(r->pair.side[i].cpu[v], o[i]);
    }
    const u8 *a = space_ram(r->pair.side[0].memory, 0, NULL), *b = space_ram(r->pair.side[1].memory, 0, NULL);
    for (unsigned at = 0, n = 0; at < RAM && n < 8; at++)
        if (a[at] != b[at] && ++n)
            fprintf(stderr, "memory %x: %02x, %02x\n", at, a[at], b[at]);
    for (size_t at = 0, n = 0; at < r->pair.side[0].state.len && at < r->pair.side[1].state.len && n < 8;
         at++)
        if (r->pair.side[0].state.data[at] != r->pair.side[1].state.data[at] && ++n)
            fprintf(stderr, "state %zu: %02x, %02x\n", at, r->pair.side[0].state.data[at],
                    r->pair.side[1].state.data[at]);
    fprintf(stderr, "interpreter and translator differ: %s\n", what);
    abort();
}

static void compare(struct rig *r, unsigned v, const enum outcome o[2])
{
    const struct side *a = &r->pair.side[0], *b = &r->pair.side[1];
    if (o[0] != o[1])
        differ(r, v, o, "how they ended");
    if (a->state.len != b->state.len || memcmp(a->state.data, b->state.data, a->state.len))
        differ(r, v, o, "state");
    if (memcmp(space_ram(a->memory, 0, NULL), space_ram(b->memory, 0, NULL), RAM))
        differ(r, v, o, "memory");
    if (a->asked != b->asked)
        differ(r, v, o, "what devices saw");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct rig *r = rig_get();
    if (size <= HEADER)
        return 0;
    unsigned v = data[0] >> 7;
    enum outcome o[2];
    image_make(r->image, data, size);
    for (unsigned i = 0; i < 2; i++) {
        start(&r->pair.side[i], r->pair.side[i].cpu[v], r->image, data);
        run(r, &r->pair.side[i], r->pair.side[i].cpu[v], &o[i]);
        if (atomic_exchange(&r->pair.timed_out, false))
            return 0;
    }
    compare(r, v, o);
    return 0;
}

/* ---- mutation: whole instructions, most of them such as the translator knows ---- */

struct snippet {
    u8 len;
    const char *bytes;
};
static const struct snippet snippets[] = {
#define S(text) {sizeof(text) - 1, text},
#include "guest_snippets.def"
#undef S
};

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, unsigned seed)
{
    if (size < HEADER || seed % 3 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    for (unsigned n = 1 + (seed >> 2 & 7); n; n--) {
        seed = seed * 1664525 + 1013904223;
        const struct snippet *s = &snippets[(seed >> 8) % ARRAY_SIZE(snippets)];
        size_t at = HEADER + (seed >> 16) % (size - HEADER + 1);
        if (size + s->len > max_size)
            break;
        if (seed & 0x80) { /* over, rather than between, what is there */
            size = at + s->len > size ? at + s->len : size;
        } else {
            memmove(data + at + s->len, data + at, size - at);
            size += s->len;
        }
        memcpy(data + at, s->bytes, s->len);
    }
    return size;
}
