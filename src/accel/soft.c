/* SPDX-License-Identifier: MIT */
/*
 * Engine `soft`: the software processor behind the engine interface. A VM is a world of vCPUs; a vCPU is a
 * struct cpu.
 *
 * With icount, run() executes slices; at a slice's end the clock advances by what it retired, one nanosecond
 * an instruction, and due timers fire. So time is a function of the instruction stream: run() may be left in
 * the middle of a slice, at the whim of other threads, but never ends one there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "accel/soft_parts.h"
#include "cpu/code.h"
#include "cpu/event.h"
#include "cpu/fpu.h"
#include "cpu/nested/nested.h"
#include "cpu/tlb.h"
#include "cpu/world.h"
#include "jit/jit.h"

/* Every model runs anywhere. */
static int soft_probe(const struct cpu_model *model, struct err *err)
{
    (void)model;
    (void)err;
    return 0;
}

static void soft_vm_free(struct accel_vm *vm)
{
    if (!vm)
        return;
    jit_cache_free(vm->cache);
    world_free(vm->world);
    free((void *)vm->points.at);
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
    if (init->options.jit && !(vm->cache = jit_cache_new(&init->options.translator, err))) {
        soft_vm_free(vm);
        return NULL;
    }
    world_watch(vm->world, init->memory);
    return vm;
}

static void soft_vcpu_free(struct accel_vcpu *v)
{
    if (!v)
        return;
    if (v->cpu) {
        jit_detach(v->cpu);
        cpu_free(v->cpu);
    }
    state_free(&v->hashed);
    free(v);
}

static void soft_wake(void *opaque)
{
    const struct accel_vcpu *v = opaque;
    const struct accel_vm_init *init = &v->vm->init;
    if (init->wake)
        init->wake(init->wake_opaque, v->cpu->index);
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
                          .model = vm->init.model,
                          .wake = soft_wake,
                          .wake_opaque = v,
                          .random_seed = vm->init.options.icount ? 1 + index : 0};
    if (!v) {
        err_set(err, EXIT_STATUS_HOST, "no memory for vCPU %u", index);
        return NULL;
    }
    ci.nested_trace = vm->init.options.nested_trace;
    if (ci.nested_trace.ring)
        ci.nested_trace.ring += index;
    v->vm = vm;
    v->cpu = cpu_new(&ci, err);
    if (!v->cpu || (vm->cache && jit_attach(v->cpu, vm->cache, err) < 0)) {
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
    fpu_init_x87(v->cpu); /* the firmware that is not there would have: kernels rely on it, and KVM does it */
    v->slice_start = v->slice_end = v->cpu->retired;
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

static void begin_slice(struct accel_vcpu *v)
{
    struct cpu *c = v->cpu;
    u64 now = clock_now(c->clock), next = clock_next(c->clock);
    v->slice_start = c->retired;
    v->slice_end = c->retired + (next <= now ? 1 : next - now < ICOUNT_SLICE ? next - now : ICOUNT_SLICE);
}

static void trace_hash(struct accel_vcpu *v)
{
    struct cpu *c = v->cpu;
    const struct accel_options *o = &v->vm->init.options;
    u64 now = clock_now(c->clock);
    v->next_hash = (c->retired / ACCEL_HASH_STEP + 1) * ACCEL_HASH_STEP;
    v->hashed.len = 0;
    state_save(&v->hashed, &cpu_state_desc, c->index, c);
    nested_save(c, &v->hashed);
    if (!v->hashed.failed)
        o->hash(o->hash_opaque, c->index, c->retired,
                state_hash(state_hash(STATE_HASH_BEGIN, v->hashed.data, v->hashed.len), &now, 8));
}

static void end_slice(struct accel_vcpu *v)
{
    struct cpu *c = v->cpu;
    clock_advance(c->clock, c->retired - v->slice_start);
    v->slice_start = v->slice_end = c->retired;
    clock_run_due(c->clock);
    if (v->vm->init.options.hash && c->retired >= v->next_hash)
        trace_hash(v);
}

/* A slice ends when its instructions are done or the processor stops by itself; any other LEAVE was asked
 * for. */
static enum outcome run_icount(struct accel_vcpu *v)
{
    struct cpu *c = v->cpu;
    for (;;) {
        if (v->slice_end == v->slice_start)
            begin_slice(v);
        c->budget_end = v->slice_end;
        enum outcome o = v->stepping ? cpu_debug_step(c) : cpu_run(c);
        bool asked = atomic_exchange(&v->kicked, false);
        bool over = (o != LEAVE && o != DONE) || c->retired >= v->slice_end;
        if (over)
            end_slice(v);
        if (o != LEAVE || asked || !over || c->hit.kind)
            return o;
    }
}

/* Under a debugger: what LEAVE was asked for, and whether a step is done. */
static enum accel_exit debug_exit(struct accel_vcpu *v, enum outcome o, bool slept)
{
    bool stepped = v->stepping && (o == DONE || (o == HALTED && !slept));
    if (!v->cpu->hit.kind && !stepped)
        return exit_of(o);
    atomic_fetch_and(&v->cpu->requests, ~(unsigned)REQ_LEAVE); /* a kick's caller is served as well */
    return ACCEL_EXIT_DEBUG;
}

static enum accel_exit soft_run(struct accel_vcpu *v, struct err *err)
{
    struct cpu *c = v->cpu;
    (void)err; /* this engine needs nothing of the host that could fail here */
    bool slept = c->activity != CPU_ACTIVE;
    enum outcome o = clock_mode(c->clock) == CLOCK_MODE_ICOUNT ? run_icount(v)
                     : v->stepping                             ? cpu_debug_step(c)
                                                               : cpu_run(c);
    return debug_exit(v, o, slept);
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
                   (int)ACCEL_SIGNAL_INIT == (int)REQ_INIT && (int)ACCEL_SIGNAL_SIPI == (int)REQ_SIPI &&
                   (int)ACCEL_SIGNAL_SMI == (int)REQ_SMI,
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

static int slice_loaded(void *obj)
{
    struct accel_vcpu *v = obj;
    u64 at = v->cpu->retired;
    bool begun = v->slice_start != v->slice_end;
    return begun && (v->slice_start > at || v->slice_end < at || v->slice_end - v->slice_start > ICOUNT_SLICE)
               ? -1
               : 0;
}

static const struct state_field slice_fields[] = {
    STATE_FIELD(struct accel_vcpu, slice_start),
    STATE_FIELD(struct accel_vcpu, slice_end),
    STATE_END,
};
static const struct state_desc slice_desc = {
    .name = "icount", .fields = slice_fields, .loaded = slice_loaded};

static void soft_save(struct accel_vcpu *v, struct state_image *img)
{
    state_save(img, &cpu_state_desc, v->cpu->index, v->cpu);
    nested_save(v->cpu, img);
    if (v->vm->init.options.icount)
        state_save(img, &slice_desc, v->cpu->index, v);
}

static int soft_load(struct accel_vcpu *v, const struct state_image *img, struct err *err)
{
    if (state_load(img, &cpu_state_desc, v->cpu->index, v->cpu, err) || nested_load(v->cpu, img, err))
        return -1;
    v->next_hash = (v->cpu->retired / ACCEL_HASH_STEP + 1) * ACCEL_HASH_STEP;
    return v->vm->init.options.icount ? state_load(img, &slice_desc, v->cpu->index, v, err) : 0;
}

static void soft_stats(struct accel_vcpu *v, struct accel_stats *out)
{
    const struct code_stats *k = code_stats(v->cpu->code);
    struct jit_stats j;
    jit_stats(v->cpu, &j);
    *out = (struct accel_stats){.retired = v->cpu->retired,
                                .decoded = k->decoded,
                                .blocks = k->blocks,
                                .resets = k->resets,
                                .stale = k->stale,
                                .translated = j.blocks,
                                .native = j.native,
                                .called = j.called,
                                .evictions = j.evictions};
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
    return nested_active(v->cpu);
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
    .stats = soft_stats,
    .describe = soft_describe,
    .nested_active = soft_nested_active,
    .debug = &soft_debug_ops,
};
