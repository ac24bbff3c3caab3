/* SPDX-License-Identifier: MIT */
/*
 * Engine `soft`: the software processor behind the engine interface. A VM is a world of vCPUs; a vCPU is a
 * struct cpu. With icount, run() executes slices and advances the clock by what they retired, one nanosecond
 * an instruction, so that time is a function of the instruction stream.
 */
#include <stdio.h>
#include <stdlib.h>

#include "accel/accel.h"
#include "cpu/cpu.h"
#include "cpu/event.h"
#include "cpu/tlb.h"
#include "cpu/world.h"
#include "jit/jit.h"

#define ICOUNT_SLICE 1000 /* instructions, hence nanoseconds: how coarse the clock may be */

struct accel_vm {
    struct accel_vm_init init;
    struct world *world;
};

struct accel_vcpu {
    struct accel_vm *vm;
    struct cpu *cpu;
    atomic_bool kicked; /* a counted run was asked to return: its slices end by LEAVE as well */
};

static int soft_probe(const struct cpu_model *model, struct err *err)
{
    if (model_has(model, FEAT_VMX) || model_has(model, FEAT_SVM))
        return err_set(err, EXIT_STATUS_NO_ENGINE,
                       "engine soft does not nest in this version: use --nested off");
    return 0;
}

static void soft_vm_free(struct accel_vm *vm)
{
    if (!vm)
        return;
    world_free(vm->world);
    free(vm);
}

static struct accel_vm *soft_vm_new(const struct accel_vm_init *init, struct err *err)
{
    struct accel_vm *vm = calloc(1, sizeof(*vm));
    if (vm)
        vm->world = world_new();
    if (!vm || !vm->world) {
        soft_vm_free(vm);
        err_set(err, EXIT_STATUS_HOST, "no memory for the software CPU");
        return NULL;
    }
    vm->init = *init;
    world_watch(vm->world, init->memory);
    return vm;
}

static void soft_vcpu_free(struct accel_vcpu *v)
{
    if (!v)
        return;
    if (v->cpu) {
        jit_detach(v->cpu);
        world_remove(v->vm->world, v->cpu);
        cpu_free(v->cpu);
    }
    free(v);
}

static struct accel_vcpu *soft_vcpu_new(struct accel_vm *vm, unsigned index, const struct apic_port *apic,
                                        struct err *err)
{
    struct accel_vcpu *v = calloc(1, sizeof(*v));
    struct cpu_init ci = {.index = index,
                          .memory = vm->init.memory,
                          .ports = vm->init.ports,
                          .clock = vm->init.clock,
                          .apic = *apic,
                          .world = vm->world,
                          .model = vm->init.model};
    if (!v) {
        err_set(err, EXIT_STATUS_HOST, "no memory for vCPU %u", index);
        return NULL;
    }
    v->vm = vm;
    v->cpu = cpu_new(&ci, err);
    if (!v->cpu || world_add(vm->world, v->cpu) < 0 ||
        (vm->init.options.jit && jit_attach(v->cpu, err) < 0)) {
        err_set(err, EXIT_STATUS_HOST, "no memory for vCPU %u", index);
        soft_vcpu_free(v);
        return NULL;
    }
    v->cpu->budget_end = ~0ull;
    return v;
}

static void soft_vcpu_reset(struct accel_vcpu *v, bool bsp)
{
    cpu_reset(v->cpu, false);
    v->cpu->activity = bsp ? CPU_ACTIVE : CPU_WAIT_SIPI;
}

static enum accel_exit exit_of(enum outcome o)
{
    switch (o) {
    case HALTED:
        return ACCEL_EXIT_HALTED;
    case SHUTDOWN:
        return ACCEL_EXIT_SHUTDOWN;
    default:
        return ACCEL_EXIT_KICKED;
    }
}

/* Slices up to the next deadline; LEAVE with budget left means somebody asked. */
static enum accel_exit run_icount(struct accel_vcpu *v)
{
    struct cpu *c = v->cpu;
    for (;;) {
        u64 now = clock_now(c->clock), next = clock_next(c->clock), start = c->retired;
        u64 slice = next <= now ? 1 : next - now < ICOUNT_SLICE ? next - now : ICOUNT_SLICE;
        c->budget_end = start + slice;
        enum outcome o = cpu_run(c);
        clock_advance(c->clock, c->retired - start);
        clock_run_due(c->clock);
        if (atomic_exchange(&v->kicked, false) || o != LEAVE || c->retired < c->budget_end)
            return exit_of(o);
    }
}

static enum accel_exit soft_run(struct accel_vcpu *v, struct err *err)
{
    (void)err; /* this engine needs nothing of the host that could fail here */
    if (clock_mode(v->cpu->clock) == CLOCK_MODE_ICOUNT)
        return run_icount(v);
    return exit_of(cpu_run(v->cpu));
}

static void soft_kick(struct accel_vcpu *v)
{
    atomic_store(&v->kicked, true);
    cpu_request(v->cpu, REQ_LEAVE);
}

static bool soft_wants_run(struct accel_vcpu *v)
{
    return event_due(v->cpu);
}

_Static_assert((int)ACCEL_SIGNAL_INTR == (int)REQ_INTR && (int)ACCEL_SIGNAL_NMI == (int)REQ_NMI &&
                   (int)ACCEL_SIGNAL_INIT == (int)REQ_INIT && (int)ACCEL_SIGNAL_SIPI == (int)REQ_SIPI,
               "ORDER SIGNAL");

static void soft_signal(struct accel_vcpu *v, unsigned what)
{
    cpu_request(v->cpu, what);
}

static void soft_get_regs(struct accel_vcpu *v, struct accel_regs *r)
{
    const struct cpu *c = v->cpu;
    memcpy(r->gpr, c->regs, sizeof(r->gpr));
    r->rip = c->rip;
    r->rflags = cpu_rflags(c);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        r->seg[i].base = c->seg[i].base;
        r->seg[i].limit = c->seg[i].limit;
        r->seg[i].attr = c->seg[i].attr;
        r->seg[i].sel = c->seg[i].sel;
    }
    r->gdt_base = c->gdtr.base;
    r->gdt_limit = c->gdtr.limit;
    r->idt_base = c->idtr.base;
    r->idt_limit = c->idtr.limit;
    r->cr0 = c->cr0;
    r->cr2 = c->cr2;
    r->cr3 = c->cr3;
    r->cr4 = c->cr4;
    r->efer = c->efer;
}

static void soft_set_regs(struct accel_vcpu *v, const struct accel_regs *r)
{
    struct cpu *c = v->cpu;
    memcpy(c->regs, r->gpr, sizeof(r->gpr));
    c->rip = r->rip;
    cpu_set_rflags(c, r->rflags);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        c->seg[i] = (struct segment){
            .base = r->seg[i].base, .limit = r->seg[i].limit, .attr = r->seg[i].attr, .sel = r->seg[i].sel};
    c->gdtr = (struct dtable){r->gdt_base, r->gdt_limit};
    c->idtr = (struct dtable){r->idt_base, r->idt_limit};
    c->cr0 = r->cr0;
    c->cr2 = r->cr2;
    c->cr3 = r->cr3;
    c->cr4 = r->cr4;
    c->efer = r->efer;
    tlb_flush_all(c);
    cpu_mode_changed(c);
}

static void soft_save(struct accel_vcpu *v, struct state_image *img)
{
    state_save(img, &cpu_state_desc, v->cpu->index, v->cpu);
}

static int soft_load(struct accel_vcpu *v, const struct state_image *img, struct err *err)
{
    return state_load(img, &cpu_state_desc, v->cpu->index, v->cpu, err);
}

static u64 soft_retired(struct accel_vcpu *v)
{
    return v->cpu->retired;
}

static void soft_describe(struct accel_vcpu *v, char *buf, size_t len)
{
    const struct cpu *c = v->cpu;
    int n = snprintf(buf, len, "vCPU %u at rip=%#llx rsp=%#llx cr2=%#llx cr3=%#llx, vectors (newest first)",
                     c->index, (unsigned long long)c->rip, (unsigned long long)c->regs[RSP],
                     (unsigned long long)c->cr2, (unsigned long long)c->cr3);
    for (unsigned i = 0; i < ARRAY_SIZE(c->chain) && n > 0 && (size_t)n < len && c->chain[i] != 0xff; i++)
        n += snprintf(buf + n, len - (size_t)n, " %u", c->chain[i]);
}

static bool soft_nested_active(struct accel_vcpu *v)
{
    (void)v;
    return false; /* extensions are never exposed yet: soft_probe() */
}

const struct accel_ops accel_soft = {
    .name = "soft",
    .probe = soft_probe,
    .vm_new = soft_vm_new,
    .vm_free = soft_vm_free,
    .vcpu_new = soft_vcpu_new,
    .vcpu_free = soft_vcpu_free,
    .vcpu_reset = soft_vcpu_reset,
    .run = soft_run,
    .kick = soft_kick,
    .wants_run = soft_wants_run,
    .signal = soft_signal,
    .get_regs = soft_get_regs,
    .set_regs = soft_set_regs,
    .save = soft_save,
    .load = soft_load,
    .retired = soft_retired,
    .describe = soft_describe,
    .nested_active = soft_nested_active,
};
