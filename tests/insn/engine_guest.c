/* SPDX-License-Identifier: MIT */
/* The interpreter and the translator as engines: a CPL 3, 64-bit guest whose page tables put the test pages
 * where the host has them. */
#include <stdio.h>
#include <stdlib.h>

#include "cpu/code.h"
#include "cpu/cpu.h"
#include "cpu/jit_port.h"
#include "cpu/meanings.h"
#include "cpu/mmu.h"
#include "cpu/world.h"
#include "jit/jit.h"
#include "oracle.h"

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 32, PTE_D = 64 };
enum { PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, PT = 0x4000, TABLES = 0x5000 };
enum { AREA_SIZE = 0x200000 };

u64 oracle_chaos;
static struct cpu *cpu;
static struct space *memory;

static void set_entry(u64 table, u64 index, u64 value)
{
    space_write(memory, table + index * 8, &value, 8);
}

/* The second code page lies elsewhere in memory than behind the first. */
static u64 gpa_of(u64 lin)
{
    return lin >= CODE_BASE + PAGE_SIZE && lin < CODE_BASE + CODE_SIZE ? lin + 2 * PAGE_SIZE : lin;
}

static void map_page(u64 at, u64 flags)
{
    set_entry(PT, at >> 12 & 511, gpa_of(at) | PTE_P | PTE_U | PTE_A | PTE_D | flags);
}

static void build_tables(void)
{
    u64 link = PTE_P | PTE_W | PTE_U | PTE_A;
    set_entry(PML4, AREA_BASE >> 39 & 511, PDPT | link);
    set_entry(PDPT, AREA_BASE >> 30 & 511, PD | link);
    set_entry(PD, AREA_BASE >> 21 & 511, PT | link);
    for (u64 at = DATA_BASE; at < RO_BASE; at += PAGE_SIZE)
        map_page(at, PTE_W);
    map_page(RO_BASE, 0);
    for (u64 at = CODE_BASE; at < CODE_BASE + CODE_SIZE; at += PAGE_SIZE)
        map_page(at, PTE_W);
}

static const struct cpu_model *model(void)
{
    static struct cpu_model m = {
        .vendor = VENDOR_AMD, .cpus = 1, .tsc_hz = 1000000000, .phys_bits = 40, .xcr0_mask = 7};
    for (unsigned f = 1; f < FEAT_COUNT; f++) {
        if (host_has(f))
            m.features[f / 64] |= BIT(f % 64);
    }
    return &m;
}

static int apic_none(void *opaque)
{
    return -1;
}
static u8 tpr_none(void *opaque)
{
    return 0;
}
static void tpr_drop(void *opaque, u8 tpr) {}
static bool msr_get(void *opaque, u32 msr, u64 *value)
{
    return false;
}
static bool msr_set(void *opaque, u32 msr, u64 value)
{
    return false;
}
static void init_none(void *opaque) {}

static struct segment user_segment(u16 sel, u32 attr)
{
    return (struct segment){.sel = sel, .limit = 0xffffffff, .attr = attr};
}

/* Linux's user mode: selectors, control registers, IOPL 0, no I/O bitmap. */
static void enter_user_mode(struct cpu *c)
{
    struct segment null = {.attr = SEG_UNUSABLE};
    c->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    c->cr3 = PML4;
    c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE | CR4_UMIP;
    c->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    c->xcr0 = 7;
    c->seg[SS] = c->seg[DS] = c->seg[ES] = user_segment(0x2b, 3 | SEG_S | SEG_DPL | SEG_P | SEG_DB | SEG_G);
    c->seg[FS] = c->seg[GS] = null;
    c->seg[GS].base = GS_BASE;
    c->seg[SEG_TR] = (struct segment){.limit = 0x60, .attr = 0xb | SEG_P};
    c->cpl = 3;
}

static void set_mode(struct cpu *c, enum decode_mode mode)
{
    static int current = -1;
    if (current == (int)mode)
        return;
    bool wide = mode == MODE_64;
    c->seg[CS] =
        user_segment(wide ? 0x33 : 0x23, 0xb | SEG_S | SEG_DPL | SEG_P | SEG_G | (wide ? SEG_L : SEG_DB));
    cpu_mode_changed(c);
    current = (int)mode;
}

static int guest_open(void)
{
    if (cpu)
        return 0; /* both engines drive the same guest */
    struct err err = {0};
    struct cpu_init init = {.apic = {.pending = apic_none,
                                     .acknowledge = apic_none,
                                     .get_tpr = tpr_none,
                                     .set_tpr = tpr_drop,
                                     .msr_read = msr_get,
                                     .msr_write = msr_set,
                                     .init = init_none}};
    init.memory = memory = space_new(1ull << 40);
    init.ports = space_new(0x10000);
    init.clock = clock_new(CLOCK_MODE_REAL, 0);
    init.world = world_new();
    init.model = model();
    if (!memory || !init.ports || !init.clock || !init.world || space_add_ram(memory, 0, TABLES, &err) ||
        space_add_ram(memory, AREA_BASE, AREA_SIZE, &err) || !(cpu = cpu_new(&init, &err))) {
        fprintf(stderr, "insn_oracle: %s\n", err.text);
        return -1;
    }
    world_watch(init.world, memory);
    build_tables();
    enter_user_mode(cpu);
    return 0;
}

static void load(struct cpu *c, const struct machine_state *s)
{
    memcpy(c->regs, s->gpr, sizeof(s->gpr));
    c->rip = s->rip;
    cpu_set_rflags(c, s->rflags);
    memcpy(c->vec, s->vec, sizeof(c->vec));
    memcpy(c->x87, s->x87, sizeof(s->x87));
    c->mxcsr = s->mxcsr;
}

static void store(struct cpu *c, struct machine_state *s)
{
    memcpy(s->gpr, c->regs, sizeof(s->gpr));
    s->rflags = cpu_rflags(c);
    memcpy(s->vec, c->vec, sizeof(c->vec));
    memcpy(s->x87, c->x87, sizeof(s->x87));
    s->mxcsr = c->mxcsr;
}

static void take_fault(const struct cpu *c, const struct insn *in, struct case_result *r)
{
    const struct fault *f = &c->fault;
    r->vector = f->vector;
    if (f->noncanonical && (in->flags & INSN_MEM) && in->seg == SS)
        r->vector = VEC_SS;
    if (f->vector == VEC_PF) {
        r->cr2 = f->cr2;
        r->error = f->error & (PF_P | PF_W | PF_U);
    }
}

static enum outcome interpret(struct cpu *c, const struct insn_case *t)
{
    c->regs[REG_RIP] = c->rip + t->in.len;
    return meaning_of(c, &t->in)(c, &t->in);
}

/* A block of this one instruction, translated and run; RIP and outcome as the interpreter leaves them. */
static enum outcome run_translated(struct cpu *c, const struct insn_case *t)
{
    static u64 place[(sizeof(struct block) + sizeof(struct uop)) / 8 + 1];
    struct block *b = (struct block *)place;
    if (t->mode != MODE_64)
        return interpret(c, t); /* the translator leaves other modes alone */
    *b = (struct block){.host = space_ram(memory, c->rip, NULL),
                        .page = space_page(memory, c->rip),
                        .version = space_page(memory, c->rip)->code_version,
                        .mode = c->code_mode,
                        .count = 1,
                        .bytes = t->in.len};
    b->uop[0] = (struct uop){.fn = meaning_of(c, &t->in), .in = t->in};
    c->budget_end = c->retired + 1;
    return jit_run_block(c, b);
}

/* ---- runs ---- */

enum { STEPS_MAX = 1000 }; /* a string repeats itself, a jump goes forward */

static bool inside(const struct cpu *c, const struct insn_case *t)
{
    return c->rip - t->start.rip < t->len;
}

/* What the fault is about: the instruction there, as it lies in memory now. */
static struct insn insn_at(const struct cpu *c)
{
    struct insn in = {0};
    u8 bytes[15];
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = *(const u8 *)space_ram(memory, gpa_of(c->rip + i), NULL);
    insn_decode(MODE_64, bytes, sizeof(bytes), &in);
    return in;
}

/* The interpreter's way through a block, without what interp.c has around it. */
static enum outcome run_interpreted(struct cpu *c, const struct insn_case *t)
{
    enum outcome o = DONE;
    for (unsigned steps = 0; o != FAULT && inside(c, t); steps++) {
        struct insn in = insn_at(c);
        bug_on(steps == STEPS_MAX, "a run does not end");
        c->regs[REG_RIP] = c->rip + in.len;
        o = cpu_settle(c, &in, meaning_of(c, &in)(c, &in));
        c->code_dirty = 0;
    }
    return o;
}

/* As block_here() in interp.c; NULL: for the interpreter. */
static struct block *block_at(struct cpu *c)
{
    u64 gpa, next = (c->rip | (PAGE_SIZE - 1)) + 1;
    void *host, *next_host;
    bug_on(mmu_fetch_page(c, c->rip, &gpa, &host) != DONE, "a code page is missing");
    struct block *b = code_lookup(c, host);
    if (b || next >= CODE_BASE + CODE_SIZE || mmu_fetch_page(c, next, &gpa, &next_host) != DONE)
        return b;
    return code_lookup_across(c, host, next_host);
}

static enum outcome run_blocks(struct cpu *c, const struct insn_case *t)
{
    enum outcome o = DONE;
    for (unsigned steps = 0; o != FAULT && inside(c, t); steps++) {
        struct block *b = block_at(c);
        bug_on(steps == STEPS_MAX, "a run does not end");
        c->budget_end = c->retired + STEPS_MAX;
        if (!b || !c->jit->run(c, b, &o)) {
            struct insn in = insn_at(c);
            c->regs[REG_RIP] = c->rip + in.len;
            o = cpu_settle(c, &in, meaning_of(c, &in)(c, &in));
            c->code_dirty = 0;
        }
    }
    return o == FAULT && !inside(c, t) ? DONE : o;
}

/* ---- both ---- */

typedef enum outcome (*execute_fn)(struct cpu *c, const struct insn_case *t);

/* Behind it UD2: translated code does not stop at the run's end by itself. */
static void set_code(const struct insn_case *t)
{
    u8 code[CODE_SIZE], *at = code + (t->start.rip - CODE_BASE);
    memset(code, 0xcc, sizeof(code));
    memcpy(at, t->bytes, t->len);
    memcpy(at + t->len, "\x0f\x0b", 2);
    for (u64 page = 0; page < CODE_SIZE; page += PAGE_SIZE)
        space_write(memory, gpa_of(CODE_BASE + page), code + page, PAGE_SIZE);
}

/* The run's code lies there already, and nothing has overwritten it. */
static bool has_code(const struct insn_case *t)
{
    for (unsigned i = 0; i < t->len; i++)
        if (*(const u8 *)space_ram(memory, gpa_of(t->start.rip + i), NULL) != t->bytes[i])
            return false;
    return true;
}

static void guest_run(const struct insn_case *t, struct case_result *r, execute_fn execute)
{
    struct cpu *c = cpu;
    u8 *area = space_ram(memory, DATA_BASE, NULL);
    struct insn in = t->in;
    enum outcome o;
    memcpy(area, t->data, AREA_BYTES);
    if (t->count > 1 && !has_code(t))
        set_code(t);
    set_mode(c, t->mode);
    load(c, &t->start);
    world_enter(c);
    do {
        o = execute(c, t);
    } while (o == AGAIN);
    world_leave(c);
    *r = (struct case_result){.faulted = o == FAULT};
    store(c, &r->end);
    r->end.rip = r->faulted || t->count > 1 ? c->rip : c->regs[REG_RIP];
    if (r->faulted && t->count > 1)
        in = insn_at(c);
    if (r->faulted)
        take_fault(c, &in, r);
    memcpy(r->data, area, AREA_BYTES);
    if (c->rflags & FLAG_AC)
        cpu_set_rflags(c, FLAG_R1), cpu_mode_changed(c);
}

static void interp_run(const struct insn_case *t, struct case_result *r)
{
    guest_run(t, r, t->count > 1 ? run_interpreted : interpret);
}

static void jit_run(const struct insn_case *t, struct case_result *r)
{
    guest_run(t, r, t->count > 1 ? run_blocks : run_translated);
}

static int again_open(void)
{
    return 0;
}

/* Right behind jit_run(): the blocks are there. The first time links them to each other. Chaos forgets most,
 * and makes traces of some when it has seen them a few times. */
static void again_run(const struct insn_case *t, struct case_result *r)
{
    for (unsigned i = 0; i < (oracle_chaos ? 8 : 2); i++)
        jit_run(t, r);
}

static int jit_open(void)
{
    const struct jit_options options = {.hot = 1, .stop = true, .chaos = oracle_chaos};
    struct err err = {0};
    if (guest_open() < 0)
        return -1;
    struct jit_cache *cache = jit_cache_new(&options, &err);
    if (cache && jit_attach(cpu, cache, &err) == 0)
        return 0;
    fprintf(stderr, "insn_oracle: %s\n", err.text);
    return -1;
}

const struct engine engine_interp = {.name = "interp", .open = guest_open, .run = interp_run};
const struct engine engine_jit = {.name = "jit", .open = jit_open, .run = jit_run};
const struct engine engine_jit_again = {
    .name = "jit, linked", .open = again_open, .run = again_run, .runs_only = true};
