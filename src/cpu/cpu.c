/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's life: creation, reset and INIT (SDM 3A 9.1.1, table 9-1), saved state.
 *
 * The state's description names every architectural field; TLB, decoded code and everything derived are
 * rebuilt. A loaded file is hostile: what the rest of the processor relies on is checked, everything else may
 * hold any value a guest could have given it.
 */
#include "cpu/cpu.h"

#include <stdlib.h>

#include "cpu/code.h"
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/debug.h"
#include "cpu/fpu.h"
#include "cpu/host_insn.h"
#include "cpu/msr.h"
#include "cpu/system.h"
#include "cpu/world.h"
#include "cpu/nested/nested.h"

/* The MSR words lie behind the processor, so that the state's description can name them. */
struct cpu_block {
    struct cpu cpu;
    u64 msr[MSR_SLOT_COUNT];
};

struct cpu *cpu_new(const struct cpu_init *init, struct err *err)
{
    struct cpu_block *b = NULL;
    if (posix_memalign((void **)&b, 64, ALIGN_UP(sizeof(*b), 64))) {
        err_set(err, EXIT_STATUS_HOST,
                "no memory for a virtual processor; free some or give the machine less");
        return NULL;
    }
    memset(b, 0, sizeof(*b));
    struct cpu *c = &b->cpu;
    c->index = init->index;
    c->memory = init->memory;
    c->ports = init->ports;
    c->clock = init->clock;
    c->clock_changes = init->clock ? clock_changes(init->clock) : NULL;
    c->apic = init->apic;
    c->world = init->world;
    c->model = init->model;
    c->wake = init->wake;
    c->wake_opaque = init->wake_opaque;
    c->msr_store = b->msr;
    c->budget_end = ~0ull;
    c->random = init->random_seed;
    c->tlb = tlb_new();
    c->code = code_new(c->model->cpus);
    c->host = host_insns_new(err);
    if (!c->tlb || !c->code || !c->host || (c->world && world_add(c->world, c))) {
        err_set(err, EXIT_STATUS_HOST,
                "no memory for a virtual processor's caches; free some or use fewer processors");
        cpu_free(c);
        return NULL;
    }
    if (nested_new(c, &init->nested_trace)) {
        err_set(err, EXIT_STATUS_HOST,
                "no memory for virtualization extensions; free some or use --nested off");
        cpu_free(c);
        return NULL;
    }
    cpu_reset(c, false);
    return c;
}

void cpu_free(struct cpu *c)
{
    if (!c)
        return;
    if (c->world && c->world_slot)
        world_remove(c->world, c);
    nested_free(c);
    host_insns_free(c->host);
    code_free(c->code);
    tlb_free(c->tlb);
    free(c);
}

static void reset_segments(struct cpu *c)
{
    for (unsigned s = ES; s <= GS; s++)
        c->seg[s] = (struct segment){.limit = 0xffff, .attr = SEG_P | SEG_S | 3};
    c->seg[CS] =
        (struct segment){.sel = 0xf000, .base = 0xffff0000, .limit = 0xffff, .attr = SEG_P | SEG_S | 11};
    c->seg[SEG_LDTR] = (struct segment){.limit = 0xffff, .attr = SEG_P | 2};
    c->seg[SEG_TR] = (struct segment){.limit = 0xffff, .attr = SEG_P | 11};
    c->gdtr = c->idtr = (struct dtable){.limit = 0xffff};
}

static void reset_events(struct cpu *c)
{
    c->fault = c->first_fault = (struct fault){0};
    c->pending_dr6 = 0;
    c->shadow = 0;
    cpu_end_held(c);
    c->nmi_blocked = c->delivering = c->step_armed = c->rf_kept = false;
    c->activity = c->index == 0 ? CPU_ACTIVE : CPU_WAIT_SIPI;
    c->dr6 = DR6_FIXED;
    c->dr7 = DR7_FIXED;
    memset(c->dr, 0, sizeof(c->dr));
}

/* What INIT leaves alone. */
static void power_on(struct cpu *c)
{
    c->star = c->lstar = c->cstar = c->sfmask = c->kernel_gs_base = c->tsc_aux = 0;
    c->sysenter_cs = c->sysenter_esp = c->sysenter_eip = 0;
    c->tsc_offset = c->tsc_adjust = 0;
    c->xcr0 = XCR0_X87;
    c->xss = 0;
    c->cr0 = CR0_CD | CR0_NW;
    atomic_store(&c->requests, 0);
    memset(c->chain, 0xff, sizeof(c->chain));
    msr_reset(c);
}

void cpu_reset(struct cpu *c, bool init_only)
{
    u32 leaf1[4];
    if (!init_only)
        power_on(c);
    memset(c->regs, 0, sizeof(c->regs));
    cpuid_read(c, 1, 0, leaf1);
    c->regs[RDX] = leaf1[CPUID_EAX];
    c->rip = c->regs[REG_RIP] = 0xfff0;
    cpu_set_rflags(c, FLAG_R1);
    reset_segments(c);
    reset_events(c);
    nested_reset(c);
    c->guest_tsc_offset = 0;
    c->guest_tsc_ratio = TSC_RATIO_1;
    c->cr0 = (c->cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
    c->cr2 = c->cr3 = c->cr4 = c->efer = 0;
    fpu_reset(c, init_only);
    tlb_flush_all(c);
    debug_registers_changed(c);
    cpu_mode_changed(c);
}

static void cpu_saving(void *obj)
{
    struct cpu *c = obj;
    c->fl &= FL_OF | FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF; /* hosts set bits beside them */
    store_le(c->x87 + X87_MXCSR + 4, 4, 0);
    c->saved_requests = atomic_load(&c->requests) & (REQ_INTR | REQ_NMI | REQ_INIT | REQ_SIPI | REQ_SMI);
}

static bool control_valid(const struct cpu *c)
{
    /* Only VMRUN loads PG without PE: paged real mode. APM 2 15.19 */
    if ((c->cr0 & CR0_PG) && !(c->cr0 & CR0_PE) && !(c->nested && cpu_has(c, FEAT_SVM)))
        return false;
    if (c->cr4 & ~cr4_valid(c))
        return false;
    bool lma = c->efer & EFER_LMA;
    if (lma != ((c->efer & EFER_LME) && (c->cr0 & CR0_PG)) ||
        (lma && !((c->cr4 & CR4_PAE) && (c->cr0 & CR0_PE))))
        return false;
    return !(c->rflags & FLAG_VM) || ((c->cr0 & CR0_PE) && !lma);
}

static int cpu_loaded(void *obj)
{
    struct cpu *c = obj;
    if (!control_valid(c) || (c->xcr0 & ~c->model->xcr0_mask) || !(c->xcr0 & XCR0_X87) || c->xss ||
        (c->mxcsr & ~(u32)MXCSR_VALID) || c->activity > CPU_WAIT_SIPI)
        return -1;
    cpu_set_rflags(c, cpu_rflags(c));
    c->regs[REG_RIP] = c->rip;
    c->regs[REG_ZERO] = 0;
    c->dr6 = (c->dr6 & 0xe00f) | DR6_FIXED;
    c->dr7 = (u32)c->dr7 | DR7_FIXED;
    atomic_store(&c->requests, c->saved_requests & (REQ_INTR | REQ_NMI | REQ_INIT | REQ_SIPI | REQ_SMI));
    c->delivering = c->step_armed = c->rf_kept = false;
    cpu_end_held(c);
    fpu_normalise(c);
    tlb_flush_all(c);
    debug_registers_changed(c);
    cpu_mode_changed(c);
    return 0;
}

#define PLAIN(f) STATE_FIELD(struct cpu, f)
#define SEGMENT(n, s)                                                                                        \
    {n ".base", offsetof(struct cpu, seg[s].base), 8, 1},                                                    \
        {n ".limit", offsetof(struct cpu, seg[s].limit), 4, 1},                                              \
        {n ".attr", offsetof(struct cpu, seg[s].attr), 4, 1},                                                \
    {                                                                                                        \
        n ".sel", offsetof(struct cpu, seg[s].sel), 2, 1                                                     \
    }

static const struct state_field cpu_fields[] = {
    {"gpr", offsetof(struct cpu, regs), 8, 16},
    PLAIN(rip),
    PLAIN(fl),
    PLAIN(rflags),
    PLAIN(shadow),
    PLAIN(activity),
    {"requests", offsetof(struct cpu, saved_requests), 4, 1},
    PLAIN(retired),
    SEGMENT("es", ES),
    SEGMENT("cs", CS),
    SEGMENT("ss", SS),
    SEGMENT("ds", DS),
    SEGMENT("fs", FS),
    SEGMENT("gs", GS),
    SEGMENT("ldtr", SEG_LDTR),
    SEGMENT("tr", SEG_TR),
    PLAIN(gdtr.base),
    PLAIN(gdtr.limit),
    PLAIN(idtr.base),
    PLAIN(idtr.limit),
    PLAIN(cr0),
    PLAIN(cr2),
    PLAIN(cr3),
    PLAIN(cr4),
    PLAIN(efer),
    PLAIN(xcr0),
    PLAIN(xss),
    STATE_ARRAY(struct cpu, dr),
    PLAIN(dr6),
    PLAIN(dr7),
    PLAIN(star),
    PLAIN(lstar),
    PLAIN(cstar),
    PLAIN(sfmask),
    PLAIN(kernel_gs_base),
    PLAIN(tsc_aux),
    PLAIN(pat),
    PLAIN(sysenter_cs),
    PLAIN(sysenter_esp),
    PLAIN(sysenter_eip),
    PLAIN(tsc_offset),
    PLAIN(tsc_adjust),
#define MSR(number, count, name, ...)                                                                        \
    {"msr." #name, offsetof(struct cpu_block, msr) + 8 * MSR_SLOT_##name, 8, (count)},
#include "x86/msr.def"
#undef MSR
    {"vec", offsetof(struct cpu, vec), 32, 16},
    {"x87", offsetof(struct cpu, x87), 512, 1},
    PLAIN(mxcsr),
    PLAIN(pending_dr6),
    PLAIN(nmi_blocked),
    PLAIN(sipi_vector),
    PLAIN(random),
    STATE_END,
};

const struct state_desc cpu_state_desc = {
    .name = "cpu", .fields = cpu_fields, .saving = cpu_saving, .loaded = cpu_loaded};
