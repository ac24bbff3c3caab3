/* SPDX-License-Identifier: MIT */
/*
 * Hypervisors and guests made of hostile bytes: see the header.
 *
 * A run is SLICES slices, between which the clock moves on. By the header it is one of two kinds. Compared:
 * it runs twice, on a processor that interprets and on one that translates, each with memory of its own;
 * processor, nested state, memory and what devices saw must be equal. Carried over: at each slice's end the
 * state is saved, loaded into another processor, and saved there; whatever state a guest can reach must load,
 * and come out as it went in. Or the saved state is changed in between: then it may be refused, and if it is
 * not, the processor goes on with it.
 */
#include "nested_rig.h"
#include "processor_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "cpu/control.h"
#include "cpu/debug.h"
#include "cpu/fpu.h"
#include "cpu/msr.h"
#include "cpu/nested/nested.h"
#include "cpu/system.h"
#include "vm/cpu_model.h"

enum { SLICES = 4, SLICE = 300 };

/* The second processor of a side takes over when the state is carried. */
struct rig {
    struct cpu_model model;
    struct side_pair pair;
    struct state_image fresh[2]; /* of each side's processor before it ever ran */
    struct state_image again;
    u8 image[RAM];
    const u8 *hostile; /* patches of saved states, or NULL */
    unsigned hostile_count;
};

/* ---- the rig ---- */

static void save(struct cpu *c, struct state_image *img)
{
    img->len = 0;
    state_save(img, &cpu_state_desc, 0, c);
    nested_save(c, img);
    bug_on(img->failed, "no memory");
}

static void poked(struct side *s, u64 v)
{
    cpu_request(s->running, v & 1 ? REQ_INIT : REQ_SIPI);
}

static struct rig *rig_get(const struct nested_vendor *v)
{
    static struct rig *r;
    if (r)
        return r;
    r = calloc(1, sizeof(*r));
    bug_on(!r, "no memory");
    bug_on(cpu_model_build(&r->model, v->vendor, NULL, true, 1, 1000000000, NULL), "no model");
    struct side_config config = {.model = {&r->model, &r->model},
                                 .ram = RAM,
                                 .device = DEVICE,
                                 .device_size = DEVICE_SIZE,
                                 .poked = poked,
                                 .sipi_page = CODE_L1 >> 12,
                                 .hears_eoi = true};
    side_pair_init(&r->pair, &config);
    for (unsigned i = 0; i < 2; i++)
        save(r->pair.side[i].cpu[0], &r->fresh[i]);
    return r;
}

/* ---- what every input starts from ---- */

static void put(u8 *image, unsigned at, unsigned size, u64 v)
{
    store_le(image + at, size, v);
}

/* Four levels that map the first 2 MiB to themselves, what is behind RAM to the device, at 0 and at the top.
 */
static void put_four_levels(u8 *m, unsigned at, u64 rights, u64 leaf)
{
    static const u16 slot[] = {0, 1, 511};
    for (unsigned i = 0; i < 512; i++)
        put(m, at + 0x3000 + 8 * i, 8, (i << 12 < RAM ? i << 12 : DEVICE) | rights | leaf);
    for (unsigned i = 0; i < 3; i++)
        for (unsigned level = 0; level < 3; level++)
            put(m, at + 0x1000 * level + 8 * slot[i], 8, (at + 0x1000 * (level + 1)) | rights);
}

static void put_small_tables(u8 *m)
{
    for (unsigned i = 0; i < 1024; i++)
        put(m, PT32 + 4 * i, 4, (i << 12 < RAM ? i << 12 : DEVICE) | 7);
    put(m, PD32, 4, PT32 + 7);
    put(m, PD32 + 4, 4, 0x87); /* 4 MiB */
    put(m, PAE_ROOT, 8, TABLES_L2 + 0x2001);
    put(m, PAE_ROOT + 24, 8, TABLES_L2 + 0x2001);
}

static void put_gate(u8 *m, unsigned idt, unsigned v, u16 sel, u64 to, unsigned dpl, bool wide)
{
    u64 gate = to | (u64)sel << 16 | (0x8e00ull | dpl << 13) << 32;
    put(m, idt + (wide ? 16 : 8) * v, 8, gate);
}

static void put_descriptors(u8 *m, const struct nested_vendor *v, const struct nested_start *s)
{
    static const u64 gdt[] = {0,
                              0x00af9b000000ffff,
                              0x00cf93000000ffff,
                              0x00cffb000000ffff,
                              0x00cff3000000ffff,
                              0x00affb000000ffff,
                              0x00cf9b000000ffff,
                              0x00009b000000ffff,
                              0x00008b0000000067 | (u64)TSS << 16};
    memcpy(m + GDT, gdt, sizeof(gdt));
    for (unsigned i = 0; i < 256; i++)
        put_gate(m, IDT_L1, i, KCODE, v->recover, 0, true);
    for (unsigned i = 0; i < 64; i++)
        put_gate(m, IDT_L2, i, s->wide_idt ? KCODE : KCODE32, HANDLER_L2, i == 3 || i > 31 ? 3 : 0,
                 s->wide_idt);
    put(m, TSS + 4, 4, STACK_L2);
    put(m, TSS + 8, 4, s->wide_idt ? 0 : KDATA);
    put(m, TSS + 0x66, 2, 0x68);
}

/* Exceptions of L2 come here: a fresh stack, and on with the code a few bytes from where it began. */
static void put_handler(u8 *m, enum nested_mode mode)
{
    static const u8 wide[] = "\xff\x04\x25\x00\x07\x00\x00\xbc\x00\x58\x00\x00\x8b\x04\x25\x00\x07\x00\x00"
                             "\x25\x7f\x00\x00\x00\x05\x00\x80\x00\x00\xff\xe0";
    static const u8 flat[] = "\xff\x05\x00\x07\x00\x00\xbc\x00\x58\x00\x00\xa1\x00\x07\x00\x00"
                             "\x25\x7f\x00\x00\x00\x05\x00\x80\x00\x00\xff\xe0";
    static const u8 narrow[] = "\xff\x06\x00\x07\xbc\x00\x58\xa1\x00\x07\x25\x7f\x00\x05\x00\x80\xff\xe0";
    if (mode == NESTED_REAL)
        memcpy(m + HANDLER_L2, narrow, sizeof(narrow) - 1);
    else if (mode == NESTED_LONG)
        memcpy(m + HANDLER_L2, wide, sizeof(wide) - 1);
    else
        memcpy(m + HANDLER_L2, flat, sizeof(flat) - 1);
    for (unsigned v = 0; mode == NESTED_REAL && v < 64; v++)
        put(m, 4 * v, 4, HANDLER_L2);
}

/* Code again and again up to its room's end, then back. */
static void put_code(u8 *m, const u8 *code, size_t len, bool narrow)
{
    memcpy(m + CODE_L2, code, len);
    u8 *p = m + CODE_L2 + len;
    p[0] = 0xe9;
    store_le(p + 1, narrow ? 2 : 4, (u64) - (len + (narrow ? 3 : 5)));
}

static struct nested_start start_of(const u8 *h)
{
    struct nested_start s = {.mode = (enum nested_mode)((h[0] & 15) % NESTED_MODES), .header = h};
    s.wide_idt = s.mode == NESTED_LONG;
    s.cr0 = CR0_NE | CR0_ET | (s.mode == NESTED_REAL ? 0 : CR0_PE) | (h[1] & 1 ? CR0_WP : 0) |
            (h[1] & 2 ? CR0_AM : 0) | (s.mode < NESTED_PROTECTED ? CR0_PG : 0);
    s.cr3 = s.mode == NESTED_LONG ? TABLES_L2 : s.mode == NESTED_PAE ? PAE_ROOT : PD32;
    s.cr4 = (s.mode <= NESTED_PAE ? CR4_PAE : 0) | (h[1] & 4 ? CR4_OSFXSR | CR4_OSXSAVE : 0) |
            (h[1] & 8 ? CR4_PSE : 0) | (h[1] & 16 ? CR4_PGE : 0) | (h[1] & 32 ? CR4_DE : 0);
    s.efer = s.mode == NESTED_LONG ? EFER_LME | EFER_LMA : 0;
    s.efer |= (h[1] & 64 ? EFER_SCE : 0) | (h[1] & 128 ? EFER_NXE : 0);
    s.rflags = FLAG_R1 | (h[2] & 1 ? FLAG_IF : 0) | (h[2] & 2 ? FLAG_DF : 0) | (h[2] & 4 ? FLAG_AC : 0) |
               ((h[2] & 0x38) == 0x38 ? FLAG_TF : 0);
    s.cs = s.mode == NESTED_LONG ? KCODE : s.mode == NESTED_REAL ? 0 : KCODE32;
    s.cs_attr = SEG_P | SEG_S | 11 | (s.mode == NESTED_REAL ? 0 : SEG_G);
    s.cs_attr |= s.mode == NESTED_LONG ? SEG_L : s.mode == NESTED_REAL ? 0 : SEG_DB;
    s.data_attr = SEG_P | SEG_S | 3 | (s.mode == NESTED_REAL ? 0 : SEG_G | SEG_DB);
    s.idt = s.mode == NESTED_REAL ? 0 : IDT_L2;
    s.idt_limit = s.mode == NESTED_REAL ? 0xff : 0x3ff;
    return s;
}

static u64 changed(u64 old, u8 how, u64 value)
{
    switch (how & 3) {
    case 0:
        return value;
    case 1:
        return old ^ value;
    case 2:
        return old ^ BIT(value & 63);
    default:
        return old ^ BIT(value & 63) ^ BIT(value >> 8 & 63);
    }
}

/* One of a list, its length in front. */
static const char *snippet(const char *list, unsigned n)
{
    unsigned count = 0;
    for (const char *s = list; *s; s += 1 + (u8)*s)
        count++;
    for (n %= count; n; n--)
        list += 1 + (u8)*list;
    return list;
}

/* kind, how, place (2), value (8). Every second patch goes to the control structure. */
static void patch(u8 *m, const struct nested_vendor *v, const u8 *p, unsigned n)
{
    unsigned place = (unsigned)load_le(p + 2, 2);
    u64 value = load_le(p + 4, 8), *field;
    switch (p[0] & 7) {
    case 0: { /* anything, by 8 bytes */
        u8 *at = m + place * 8 % RAM;
        store_le(at, 8, changed(load_le(at, 8), p[1], value));
        break;
    }
    case 1: { /* page tables of the second dimension, or L2's */
        u8 *at = m + (p[1] & 4 ? TABLES_L2 : SECOND) + (place & 3) * 0x1000 + (place >> 2 & 63) * 8;
        store_le(at, 8, changed(load_le(at, 8), p[1], value));
        break;
    }
    case 2:
    case 3:
        v->script(m + SCRIPT + n % SCRIPT_ENTRIES * SCRIPT_ENTRY, place, value);
        break;
    case 4:
        put(m, SCRIPT + n % SCRIPT_ENTRIES * SCRIPT_ENTRY + 16, 8, place * 8 % RAM);
        put(m, SCRIPT + n % SCRIPT_ENTRIES * SCRIPT_ENTRY + 24, 8, value);
        break;
    case 7: { /* an instruction of L1's */
        const char *s = snippet(v->l1_snippets, place);
        memcpy(m + EXTRA_L1 + n % EXTRA_SLOTS * 16, s + 1, (u8)*s);
        break;
    }
    default:
        if ((field = v->field(m, place)))
            *field = changed(*field, p[1], value);
    }
}

static unsigned patches_of(const u8 *data, size_t size)
{
    size_t most = (size - HEADER) / PATCH;
    return (data[3] & 31) < most ? data[3] & 31 : (unsigned)most;
}

static void image_make(u8 *m, const struct nested_vendor *v, const u8 *data, size_t size)
{
    struct nested_start s = start_of(data);
    unsigned patches = patches_of(data, size);
    memset(m, 0, RAM);
    put_four_levels(m, TABLES_L1, 3, 0);
    put_four_levels(m, TABLES_L2, 7, 0);
    put_small_tables(m);
    put_descriptors(m, v, &s);
    put_handler(m, s.mode);
    memcpy(m + CODE_L1, v->code, v->code_len);
    memset(m + EXTRA_L1, 0x90, 16 * EXTRA_SLOTS);
    for (unsigned i = 0; i < EXTRA_SLOTS; i++) /* JMP to the next */
        memcpy(m + EXTRA_L1 + 16 * i, "\xeb\x0e", 2);
    m[EXTRA_L1 + 16 * EXTRA_SLOTS] = 0xc3;
    put(m, SCRIPT_AT, 8, SCRIPT);
    for (unsigned at = STACK_L2; at < HANDLER_L2; at += 8) /* RET goes somewhere */
        put(m, at, 8, CODE_L2);
    for (unsigned i = 0; i < SCRIPT_ENTRIES; i++) /* nothing, and to a place that means nothing */
        put(m, SCRIPT + i * SCRIPT_ENTRY + 16, 8, COUNTER + 0x40);
    v->control(m, &s);
    data += HEADER;
    size -= HEADER;
    for (unsigned n = 0; n < patches; n++, data += PATCH, size -= PATCH)
        patch(m, v, data, n);
    put_code(m, data, size < CODE_MAX ? size : CODE_MAX, s.mode == NESTED_REAL);
}

static struct segment flat(u16 sel, u32 attr)
{
    return (struct segment){.sel = sel, .limit = 0xffffffff, .attr = SEG_P | SEG_S | SEG_G | attr};
}

/* L1 in 64-bit mode at its first instruction. */
static void start_l1(struct cpu *c, const struct nested_vendor *v, const u8 *h)
{
    for (unsigned s = ES; s <= GS; s++)
        c->seg[s] = flat(KDATA, SEG_DB | 3);
    c->seg[CS] = flat(KCODE, SEG_L | 11);
    c->seg[SEG_TR] = (struct segment){.sel = TSS_SEL, .base = TSS, .limit = 0x67, .attr = SEG_P | 11};
    c->gdtr = (struct dtable){.base = GDT, .limit = 0x7ff};
    c->idtr = (struct dtable){.base = IDT_L1, .limit = 0xfff};
    c->cr0 |= CR0_PE | CR0_PG | CR0_NE | CR0_ET | CR0_WP;
    c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE | v->cr4;
    c->cr3 = TABLES_L1;
    c->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE | v->efer;
    c->xcr0 = (XCR0_X87 | XCR0_SSE | XCR0_AVX) & c->model->xcr0_mask;
    if (v->hsave_msr)
        bug_on(!msr_write(c, v->hsave_msr, REGION), "VM_HSAVE_PA is refused");
    u64 x = load_le(h + 8, 8) | 1;
    for (unsigned i = 0; i < 16; i++) {
        x = x * 0x5851f42d4c957f2dull + 0x14057b7ef767814full;
        c->regs[i] = (x >> 60 & 1 ? CODE_L2 : x >> 61 & 1 ? DEVICE : 0) + (x >> 40 & 0xfff);
    }
    c->regs[RSP] = STACK_L1;
    c->rip = c->regs[REG_RIP] = CODE_L1;
    cpu_set_rflags(c, FLAG_R1);
}

static void start(struct rig *r, unsigned side, const struct nested_vendor *v, const u8 *h)
{
    struct side *s = &r->pair.side[side];
    struct cpu *c = s->cpu[0];
    side_begin(s, c, r->image, RAM);
    clock_set(s->clock, 1000000);
    cpu_reset(s->cpu[1], false); /* its timer */
    cpu_reset(c, false);
    bug_on(state_load(&r->fresh[side], &cpu_state_desc, 0, c, NULL) || nested_load(c, &r->fresh[side], NULL),
           "a fresh state does not load"); /* a reset leaves alone what means nothing any more */
    c->activity = CPU_ACTIVE;
    c->random = 1;
    c->retired = 0;
    start_l1(c, v, h);
    debug_registers_changed(c);
    cpu_mode_changed(c);
}

/* ---- running ---- */

static enum outcome slice(struct rig *r, struct side *s)
{
    struct cpu *c = s->running;
    u64 before = c->retired;
    c->budget_end = before + SLICE;
    __builtin_ia32_ldmxcsr(MXCSR_RESET | (s->cpu[0]->jit ? MXCSR_FLAGS : 0)); /* ours, not the guest's */
    enum outcome o = side_run(&r->pair, c);
    __builtin_ia32_ldmxcsr(MXCSR_RESET);
    clock_advance(s->clock, 10 * (c->retired - before) + 1);
    clock_run_due(s->clock);
    return o;
}

static void describe(const struct cpu *c, enum outcome o)
{
    fprintf(
        stderr,
        "outcome %d retired %llu rip %llx flags %llx mode %u cpl %u guest %d entries %llu chain %u %u %u\n",
        o, (unsigned long long)c->retired, (unsigned long long)c->rip, (unsigned long long)cpu_rflags(c),
        c->mode, c->cpl, nested_guest(c), (unsigned long long)c->nested->entries, c->chain[0], c->chain[1],
        c->chain[2]);
}

static void differ(const struct state_image *a, const struct state_image *b)
{
    for (size_t at = 0, n = 0; at < a->len && at < b->len && n < 8; at++)
        if (a->data[at] != b->data[at] && ++n) {
            size_t name = at;
            while (name > 8 && !(a->data[name] >= 'a' && a->data[name] <= 'z'))
                name--;
            size_t from = name > 24 ? name - 24 : 0;
            fprintf(stderr, "state %zu: %02x, %02x behind '", at, a->data[at], b->data[at]);
            for (; from <= name; from++)
                fputc(a->data[from] >= 32 && a->data[from] < 127 ? a->data[from] : '.', stderr);
            fprintf(stderr, "'\n");
        }
}

/* Each slice's end has its share of the patches. */
static void change_state(struct rig *r, struct state_image *img, unsigned n)
{
    for (unsigned i = n; i < r->hostile_count; i += SLICES) {
        const u8 *p = r->hostile + i * PATCH;
        size_t at = ((size_t)load_le(p + 2, 2) | (size_t)(p[0] & 0xf0) << 12) % (img->len - 8);
        store_le(img->data + at, 8, changed(load_le(img->data + at, 8), p[1], load_le(p + 4, 8)));
    }
}

/* What came out of loading must be what went in. */
static void check_again(struct rig *r, struct side *s, struct cpu *to)
{
    save(to, &r->again);
    if (s->state.len == r->again.len && !memcmp(s->state.data, r->again.data, s->state.len))
        return;
    differ(&s->state, &r->again);
    fprintf(stderr, "a loaded state is saved differently\n");
    abort();
}

/* The state goes to the other processor. False: it was changed and is refused. */
static bool carry_over(struct rig *r, struct side *s, unsigned n)
{
    struct err err = {0};
    struct cpu *from = s->running, *to = s->cpu[from == s->cpu[0]];
    cpu_request(from, REQ_INTR); /* loading may make it ask once more */
    save(from, &s->state);
    if (r->hostile)
        change_state(r, &s->state, n);
    cpu_reset(from, false); /* its timers, too */
    cpu_reset(to, false);
    s->running = to;
    bool good = !state_load(&s->state, &cpu_state_desc, 0, to, &err) && !nested_load(to, &s->state, &err);
    if (good && !r->hostile)
        check_again(r, s, to);
    if (good || r->hostile)
        return good;
    fprintf(stderr, "a state that a guest reached does not load: %s\n", err.text);
    abort();
}

static void run_carried(struct rig *r, struct side *s)
{
    for (unsigned i = 0; i < SLICES; i++) {
        enum outcome o = slice(r, s);
        if (atomic_load(&r->pair.timed_out) || o == SHUTDOWN || !carry_over(r, s, i))
            return;
    }
}

static void fail_comparison(struct rig *r, const enum outcome o[2], const char *what)
{
    for (unsigned i = 0; i < 2; i++) {
        fprintf(stderr, i ? "translator: " : "interpreter: ");
        describe(r->pair.side[i].running, o[i]);
    }
    differ(&r->pair.side[0].state, &r->pair.side[1].state);
    fprintf(stderr, "interpreter and translator differ: %s\n", what);
    abort();
}

static void compare(struct rig *r, const enum outcome o[2])
{
    struct side *a = &r->pair.side[0], *b = &r->pair.side[1];
    save(a->running, &a->state);
    save(b->running, &b->state);
    if (o[0] != o[1])
        fail_comparison(r, o, "how they ended");
    if (a->state.len != b->state.len || memcmp(a->state.data, b->state.data, a->state.len))
        fail_comparison(r, o, "state");
    if (memcmp(space_ram(a->memory, 0, NULL), space_ram(b->memory, 0, NULL), RAM))
        fail_comparison(r, o, "memory");
    if (a->asked != b->asked)
        fail_comparison(r, o, "what devices saw");
}

static void run_compared(struct rig *r)
{
    enum outcome o[2] = {LEAVE, LEAVE};
    for (unsigned i = 0; i < SLICES; i++) {
        for (unsigned k = 0; k < 2; k++)
            o[k] = slice(r, &r->pair.side[k]);
        if (atomic_load(&r->pair.timed_out))
            return;
        if (o[0] == SHUTDOWN || o[1] == SHUTDOWN)
            break;
    }
    compare(r, o);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    const struct nested_vendor vendor = nested_vendor(), *v = &vendor;
    struct rig *r = rig_get(v);
    if (size <= HEADER)
        return 0;
    bool carried = data[0] & 0x80;
    struct side *last = &r->pair.side[carried && data[0] & 0x40];
    image_make(r->image, v, data, size);
    start(r, 0, v, data);
    start(r, 1, v, data);
    r->hostile = carried && data[0] & 0x20 ? data + HEADER : NULL;
    r->hostile_count = patches_of(data, size);
    if (carried)
        run_carried(r, last);
    else
        run_compared(r);
    if (getenv("NESTED_FUZZ_TELL")) /* whether an input gets anywhere */
        describe(last->running, LEAVE);
    atomic_store(&r->pair.timed_out, false);
    return 0;
}

/* ---- mutation ---- */

static size_t code_offset(const u8 *data, size_t size)
{
    size_t at = HEADER + (size_t)(data[3] & 31) * PATCH;
    return at < size ? at : size;
}

static size_t insert(u8 *data, size_t size, size_t max, size_t at, const u8 *bytes, size_t len)
{
    if (size + len > max)
        return size;
    memmove(data + at + len, data + at, size - at);
    memcpy(data + at, bytes, len);
    return size + len;
}

/* One more patch, of a bit or of a value that is likely to mean something. */
static size_t insert_patch(u8 *data, size_t size, size_t max, u64 x)
{
    static const u64 likely_values[] = {0,         1,          0x80,       0xff,  0x1000,     CONTROL,
                                        CONTROL_2, MSR_AREA,   RAM - 8,    ~0ull, 0x80000000, 0x8000030e,
                                        DEVICE,    0x80000b0e, 1ull << 47, VAPIC};
    u8 p[PATCH];
    if ((data[3] & 31) == 31 || code_offset(data, size) == size)
        return size;
    p[0] = (u8)x;
    p[1] = (u8)(x >> 8);
    store_le(p + 2, 2, x >> 16);
    store_le(p + 4, 8,
             x & BIT(40) ? likely_values[x >> 41 & 15] : x * 0x9e3779b97f4a7c15ull >> (x >> 50 & 63));
    size_t grown = insert(data, size, max, HEADER, p, PATCH);
    data[3] = (u8)(data[3] + (grown != size));
    return grown;
}

static size_t insert_code(const struct nested_vendor *v, u8 *data, size_t size, size_t max, u64 x)
{
    const char *s = snippet(v->snippets, (unsigned)x);
    size_t begin = code_offset(data, size), at = begin + (x >> 20) % (size - begin + 1);
    return insert(data, size, max, at, (const u8 *)s + 1, (u8)*s);
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, unsigned seed)
{
    const struct nested_vendor vendor = nested_vendor();
    u64 x = seed * 0x9e3779b97f4a7c15ull;
    if (size <= HEADER || seed % 4 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    for (unsigned n = 1 + (seed >> 2 & 3); n; n--) {
        x = x * 0x5851f42d4c957f2dull + 0x14057b7ef767814full;
        size = x >> 63 ? insert_patch(data, size, max_size, x >> 1)
                       : insert_code(&vendor, data, size, max_size, x >> 8);
    }
    return size;
}
