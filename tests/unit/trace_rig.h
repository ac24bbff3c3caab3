/* SPDX-License-Identifier: MIT */
/*
 * One vCPU with a little memory, twice or more: what runs the same in the interpreter and in the translator
 * must end the same. Page tables, gates and stacks are put into memory by the test, not by a guest.
 *
 * Linear addresses from RIG_LOW on, and the same once more from RIG_HIGH on, go by one page table, whose
 * entries the test changes (rig_map()). Every exception ends at a HLT on a stack of its own, and what was
 * pushed there lies in memory; rig_resume() makes the next run return from it.
 */
#ifndef TESTS_UNIT_TRACE_RIG_H
#define TESTS_UNIT_TRACE_RIG_H

#include <cpuid.h>
#include <stdlib.h>

#include "cpu/cpu.h"
#include "cpu/mmu.h"
#include "cpu/tlb.h"
#include "cpu/world.h"
#include "jit/jit.h"

#define RIG_RAM    0x40000
#define RIG_DEVICE 0x1000000
#define RIG_LOW    0x400000ull
#define RIG_HIGH   0xffffffff80400000ull

/* Physical pages. */
enum {
    RIG_PML4 = 0x1000, /* and a second one, of another space with the same pages, behind the tables */
    RIG_PDPT = 0x2000,
    RIG_PD = 0x3000,
    RIG_PT = 0x4000,
    RIG_PML4_OTHER = 0x5000,
    RIG_IDT = 0x6000,
    RIG_TABLES = 0x7000, /* GDT, and the TSS behind it */
    RIG_STACK = 0x8000,  /* exceptions' */
    RIG_HANDLERS = 0x9000,
    RIG_CODE = 0x10000,
    RIG_DATA = 0x18000,
};

/* Where they are mapped, from RIG_LOW or RIG_HIGH on: supervisor pages, from RIG_SYSTEM on. */
enum { RIG_SYSTEM = 0x1f0000, RIG_SYSTEM_PAGES = 10 };
enum { RIG_P = 1, RIG_W = 2, RIG_U = 4, RIG_A = 32 };

struct rig {
    struct cpu *cpu;
    struct space *memory, *ports;
    struct clock *clock;
    struct world *world;
    struct cpu_model model;
    struct jit_cache *cache; /* NULL: the interpreter */
    u64 device;              /* changes with what is done to it */
    u8 *ram;
};

static inline u64 rig_device_read(void *dev, u64 off, unsigned size)
{
    struct rig *r = dev;
    r->device = r->device * 6364136223846793005ull + off * 16 + size;
    return r->device >> 11;
}

static inline void rig_device_write(void *dev, u64 off, unsigned size, u64 value)
{
    struct rig *r = dev;
    r->device = (r->device ^ value) * 6364136223846793005ull + off * 16 + size;
}

static inline int rig_no_vector(void *opaque)
{
    return -1;
}
static inline u8 rig_no_tpr(void *opaque)
{
    return 0;
}
static inline void rig_set_tpr(void *opaque, u8 tpr) {}
static inline bool rig_no_msr(void *opaque, u32 msr, u64 *value)
{
    return false;
}
static inline bool rig_set_msr(void *opaque, u32 msr, u64 value)
{
    return false;
}
static inline void rig_init(void *opaque) {}

static inline bool rig_host_has(const struct feature_info *f)
{
    u32 r[4];
    return f->need != NEED_NESTED && __get_cpuid_count(f->leaf, f->subleaf, &r[0], &r[1], &r[2], &r[3]) &&
           (r[f->reg] >> f->bit & 1);
}

static inline void rig_put(struct rig *r, u64 gpa, u64 value)
{
    bug_on(space_write(r->memory, gpa, &value, 8) < 0, "no memory at %#llx", (unsigned long long)gpa);
}

static inline u64 rig_get(struct rig *r, u64 gpa)
{
    u64 value = 0;
    bug_on(space_read(r->memory, gpa, &value, 8) < 0, "no memory at %#llx", (unsigned long long)gpa);
    return value;
}

/* Entry `page` of the page table; what was there before is forgotten, as by INVLPG. */
static inline void rig_map(struct rig *r, unsigned page, u64 entry)
{
    rig_put(r, RIG_PT + page * 8, entry);
    tlb_flush_page(r->cpu, RIG_LOW + page * PAGE_SIZE);
    tlb_flush_page(r->cpu, RIG_HIGH + page * PAGE_SIZE);
}

static inline void rig_page_tables(struct rig *r)
{
    for (u64 top = RIG_PML4; top <= RIG_PML4_OTHER; top += RIG_PML4_OTHER - RIG_PML4) {
        rig_put(r, top, RIG_PDPT | RIG_P | RIG_W | RIG_U);
        rig_put(r, top + 511 * 8, RIG_PDPT | RIG_P | RIG_W | RIG_U);
    }
    rig_put(r, RIG_PDPT, RIG_PD | RIG_P | RIG_W | RIG_U);
    rig_put(r, RIG_PDPT + 510 * 8, RIG_PD | RIG_P | RIG_W | RIG_U);
    rig_put(r, RIG_PD + 2 * 8, RIG_PT | RIG_P | RIG_W | RIG_U);
    for (u64 i = 0; i < RIG_SYSTEM_PAGES; i++)
        rig_put(r, RIG_PT + (RIG_SYSTEM / PAGE_SIZE + i) * 8, i * PAGE_SIZE | RIG_P | RIG_W);
}

static inline u64 rig_system(u64 gpa)
{
    return RIG_LOW + RIG_SYSTEM + gpa;
}

/* Gates to stubs of 16 bytes. */
static inline void rig_gates(struct rig *r)
{
    static const u8 plain[] = {0xf4, 0x48, 0xcf}, with_error[] = {0xf4, 0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf};
    for (u64 v = 0; v < 32; v++) {
        u64 at = rig_system(RIG_HANDLERS + v * 16);
        bool error = v == VEC_DF || (v >= VEC_TS && v <= VEC_PF) || v == VEC_AC;
        space_write(r->memory, RIG_HANDLERS + v * 16, error ? with_error : plain,
                    error ? sizeof(with_error) : sizeof(plain));
        rig_put(r, RIG_IDT + v * 16,
                (at & 0xffff) | 8u << 16 | 1ull << 32 | 0x8eull << 40 | (at >> 16 & 0xffff) << 48);
        rig_put(r, RIG_IDT + v * 16 + 8, at >> 32);
    }
    rig_put(r, RIG_TABLES + 8, 0x00af9b000000ffff);  /* kernel code */
    rig_put(r, RIG_TABLES + 16, 0x00cf93000000ffff); /* data */
    rig_put(r, RIG_TABLES + 24, 0x00cff3000000ffff); /* user data */
    rig_put(r, RIG_TABLES + 32, 0x00affb000000ffff); /* user code */
    rig_put(r, RIG_TABLES + 0x100 + 0x24, rig_system(RIG_STACK + PAGE_SIZE));
    rig_put(r, RIG_TABLES + 0x100 + 4, rig_system(RIG_STACK + 0x800));
}

static inline void rig_set_level(struct rig *r, u8 cpl)
{
    struct cpu *c = r->cpu;
    u32 dpl = cpl ? SEG_DPL : 0;
    c->seg[CS] = (struct segment){
        .sel = cpl ? 0x23 : 8, .limit = ~0u, .attr = 0xb | SEG_S | dpl | SEG_P | SEG_G | SEG_L};
    c->seg[SS] = c->seg[DS] = c->seg[ES] = (struct segment){
        .sel = cpl ? 0x1b : 16, .limit = ~0u, .attr = 3 | SEG_S | dpl | SEG_P | SEG_DB | SEG_G};
    c->cpl = cpl;
    cpu_mode_changed(c);
}

static inline void rig_processor(struct rig *r)
{
    struct cpu *c = r->cpu;
    c->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    c->cr3 = RIG_PML4;
    c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
    c->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    c->xcr0 = 7;
    c->idtr = (struct dtable){.base = rig_system(RIG_IDT), .limit = 32 * 16 - 1};
    c->gdtr = (struct dtable){.base = rig_system(RIG_TABLES), .limit = 0xff};
    c->seg[SEG_TR] = (struct segment){
        .sel = 0x40, .base = rig_system(RIG_TABLES + 0x100), .limit = 0x67, .attr = 0xb | SEG_P};
    rig_set_level(r, 0);
}

/* options: of the translator, or NULL for the interpreter. */
static inline void rig_open(struct rig *r, const struct jit_options *options)
{
    struct err err = {0};
    *r = (struct rig){.model = {.vendor = VENDOR_AMD, .cpus = 1, .tsc_hz = 1000000000, .phys_bits = 40}};
    r->model.xcr0_mask = 7;
    for (unsigned f = 1; f < FEAT_COUNT; f++)
        if (rig_host_has(&feature_infos[f]))
            r->model.features[f / 64] |= BIT(f % 64);
    struct cpu_init init = {.apic = {.pending = rig_no_vector,
                                     .acknowledge = rig_no_vector,
                                     .get_tpr = rig_no_tpr,
                                     .set_tpr = rig_set_tpr,
                                     .msr_read = rig_no_msr,
                                     .msr_write = rig_set_msr,
                                     .init = rig_init},
                            .random_seed = 1,
                            .model = &r->model};
    init.memory = r->memory = space_new(1ull << 40);
    init.ports = r->ports = space_new(0x10000);
    init.clock = r->clock = clock_new(CLOCK_MODE_ICOUNT, 0);
    init.world = r->world = world_new();
    static const struct region_ops ops = {.read = rig_device_read, .write = rig_device_write};
    const struct region region = {
        .base = RIG_DEVICE, .size = PAGE_SIZE, .ops = &ops, .dev = r, .name = "device"};
    bug_on(space_add_ram(r->memory, 0, RIG_RAM, &err) < 0 || space_add_region(r->memory, &region) < 0 ||
               !(r->cpu = cpu_new(&init, &err)) || (options && !(r->cache = jit_cache_new(options, &err))) ||
               (options && jit_attach(r->cpu, r->cache, &err) < 0),
           "no machine: %s", err.text);
    world_watch(r->world, r->memory);
    r->ram = space_ram(r->memory, 0, NULL);
    rig_page_tables(r);
    rig_gates(r);
    rig_processor(r);
}

static inline void rig_close(struct rig *r)
{
    jit_detach(r->cpu);
    jit_cache_free(r->cache);
    cpu_free(r->cpu);
    world_free(r->world);
    clock_free(r->clock);
    space_free(r->memory);
    space_free(r->ports);
}

/* So many instructions, or to a HLT. */
static inline enum outcome rig_run(struct rig *r, u64 instructions)
{
    r->cpu->budget_end = r->cpu->retired + instructions;
    return cpu_run(r->cpu);
}

static inline void rig_resume(struct rig *r)
{
    r->cpu->activity = CPU_ACTIVE;
}

#endif
