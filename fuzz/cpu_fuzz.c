/* SPDX-License-Identifier: MIT */
/*
 * Random guests: the input is real-mode or 32- or 64-bit code with a flat address space, and the values that
 * system registers and descriptors start with. Whatever it does, the processor must neither crash nor stop
 * answering.
 */
#include "cpu/control.h"
#include "cpu/cpu.h"
#include "cpu/debug.h"
#include "cpu/system.h"
#include "cpu/world.h"
#include "vm/cpu_model.h"

enum { CODE = 0x10000, TABLES = 0x1000, PAGE_TABLES = 0x20000, RAM = 0x80000, BUDGET = 2000 };

struct rig {
    struct cpu_model model[2];
    struct space *memory, *ports;
    struct clock *clock;
    struct world *world;
    struct cpu *cpu[2];
};

static struct rig *rig_get(void)
{
    static struct rig r;
    if (r.memory)
        return &r;
    r.memory = space_new(1ull << 36);
    r.ports = space_new(0x10000);
    r.clock = clock_new(CLOCK_MODE_ICOUNT, 0);
    r.world = world_new();
    bug_on(space_add_ram(r.memory, 0, RAM, NULL), "no memory");
    world_watch(r.world, r.memory);
    for (int v = 0; v < 2; v++) {
        bug_on(cpu_model_build(&r.model[v], (enum cpu_vendor)v, NULL, false, 1, 1000000000, NULL),
               "no model");
        struct cpu_init init = {
            .memory = r.memory, .ports = r.ports, .clock = r.clock, .world = r.world, .model = &r.model[v]};
        r.cpu[v] = cpu_new(&init, NULL);
        bug_on(!r.cpu[v], "no processor");
    }
    return &r;
}

/* Linear 0-2M and the last 2M below the top map to 0-2M, user and writable. */
static void page_tables(struct space *s)
{
    u64 e;
    e = PAGE_TABLES + 0x1000 + 7;
    space_write(s, PAGE_TABLES, &e, 8);
    space_write(s, PAGE_TABLES + 511 * 8, &e, 8);
    e = PAGE_TABLES + 0x2000 + 7;
    space_write(s, PAGE_TABLES + 0x1000, &e, 8);
    space_write(s, PAGE_TABLES + 0x1000 + 511 * 8, &e, 8);
    e = 0x87;
    space_write(s, PAGE_TABLES + 0x2000, &e, 8);
    space_write(s, PAGE_TABLES + 0x2000 + 511 * 8, &e, 8);
}

static struct segment flat(u16 sel, bool code, bool wide, unsigned dpl)
{
    return (struct segment){.sel = (u16)(sel | dpl),
                            .limit = 0xffffffff,
                            .attr = SEG_P | SEG_S | SEG_G | dpl << 5 | (code ? 11 : 3) |
                                    (code && wide ? SEG_L : SEG_DB)};
}

static void enter(struct cpu *c, u8 how)
{
    bool wide = (how & 3) == 2;
    unsigned dpl = how & 4 ? 3 : 0;
    c->activity = CPU_ACTIVE;
    c->gdtr = (struct dtable){.base = TABLES, .limit = 0x7ff};
    c->idtr = (struct dtable){.base = TABLES + 0x800, .limit = 0x7ff};
    c->seg[SEG_TR] = (struct segment){.sel = 0x40, .base = TABLES + 0x100, .limit = 0x67, .attr = SEG_P | 11};
    c->regs[RSP] = CODE - 0x100;
    c->rip = c->regs[REG_RIP] = CODE;
    if (how & 3) {
        c->cr0 |= CR0_PE;
        for (unsigned s = ES; s <= GS; s++)
            c->seg[s] = flat(s == CS ? 8 : 16, s == CS, wide, dpl);
    } else {
        c->seg[CS].base = c->seg[CS].sel = 0;
    }
    if (wide) {
        c->cr3 = PAGE_TABLES;
        c->cr4 = CR4_PAE | CR4_OSFXSR;
        c->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
        c->cr0 |= CR0_PG;
    }
    cpu_mode_changed(c);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u8 zero[0x2000];
    struct rig *r = rig_get();
    if (size < 32 || size > 0x1000)
        return 0;
    struct cpu *c = r->cpu[data[0] >> 7];
    for (u64 at = 0; at < PAGE_TABLES; at += sizeof(zero))
        space_write(r->memory, at, zero, sizeof(zero));
    page_tables(r->memory);
    cpu_reset(c, false);
    /* The second half fills the descriptor tables, again and again. */
    size_t half = size / 2;
    for (u64 at = 0; at + half <= 0x1000; at += half)
        space_write(r->memory, TABLES + at, data + half, half);
    space_write(r->memory, CODE, data + 1, half - 1);
    enter(c, data[0]);
    if (data[0] & 8)
        c->rflags |= FLAG_TF;
    c->dr7 = data[0] & 16 ? (u64)data[1] << 16 | 0x4ff : 0x400;
    debug_registers_changed(c);
    c->budget_end = c->retired + BUDGET;
    cpu_request(c, data[0] & 32 ? REQ_NMI : 0);
    for (unsigned i = 0; i < 3000 && c->retired < c->budget_end; i++) {
        enum outcome o = cpu_step(c);
        if (o == HALTED || o == SHUTDOWN)
            break;
    }
    return 0;
}
