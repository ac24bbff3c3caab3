/* SPDX-License-Identifier: MIT */
/*
 * Runs one freestanding guest and reports its verdict.
 *
 * guest_runner [-t] intel|amd [shutdown|nested|resaved|checks|pair] IMAGE: loads IMAGE at 7C00H and starts it
 * there in real mode, with -t under the translator, which makes traces at once. Ports: E9H console, F4H exit
 * status (0: passed), F5H raises that interrupt vector, F6H raises an NMI, F8H an SMI, F9H INIT, FBH reads
 * how many interrupts were ended, FCH is a start-up IPI of that vector once the processor waits, F7H says
 * which row of x86/svm_checks.def or x86/vmx_checks.def the last VM entry must have failed. With `shutdown` a
 * triple fault is what passes, with `nested` the model has virtualization extensions, with `resaved` besides
 * its state is saved and loaded every few instructions, and with `checks` every row must have failed once.
 * With `pair` the guest has virtualization extensions and may write FAH: from there on there are two
 * processors, alike but for RBX, which is 1 in the new one; that one ends by halting. A guest that runs too
 * long fails.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cpu/cpu.h"
#include "cpu/event.h"
#include "cpu/nested/svm.h"
#include "cpu/nested/vmx.h"
#include "cpu/world.h"
#include "jit/jit.h"
#include "jit/trace.h"
#include "vm/cpu_model.h"

/* Instructions: longer than a timer takes on a busy host, even where they are translated. */
enum { BUDGET = 20000000, BUDGET_TRANSLATED = 2000000000, SLICE = 7 };
enum { CHECKS = 256 };
enum { LOAD_ADDRESS = 0x7c00, STATUS_NONE = -1, STATUS_TIMEOUT = 98, STATUS_SHUTDOWN = 99 };

struct board {
    struct cpu *cpu;
    int status;
    int vector; /* pending, -1: none */
    int sipi;   /* the same */
    u8 tpr, ended;
    u64 apic_base; /* IA32_APIC_BASE */
    const struct cpu_init *init;
    struct jit_cache *cache; /* NULL: interpreted */
    struct cpu *second;      /* NULL until the guest asks */
    pthread_t second_thread;
    bool pair, forking;
    bool checks;
    bool refused[CHECKS];
};

static u64 port_read(void *dev, u64 off, unsigned size)
{
    const struct board *b = dev;
    return off + 0xe9 == 0xfb ? b->ended : ~0ull;
}

static unsigned rows(const struct board *b)
{
    return b->cpu->nested->vmx ? (unsigned)VMX_CHECK_END : (unsigned)SVM_CHECK_END;
}

static const char *row_text(const struct board *b, unsigned row)
{
    return b->cpu->nested->vmx ? vmx_check_text(row) : svm_check_text(row);
}

static void check_row(struct board *b, unsigned row)
{
    const struct nested_state *n = b->cpu->nested;
    unsigned failed = n->vmx ? n->vmx->failed : n->svm->failed;
    if (row == failed && row && row < rows(b)) {
        b->refused[row] = true;
        return;
    }
    fprintf(stderr, "an entry was to fail row %u and failed row %u: %s\n", row, failed,
            failed ? row_text(b, failed) : "none");
    b->status = 97;
    cpu_request(b->cpu, REQ_LEAVE);
}

static void port_write(void *dev, u64 off, unsigned size, u64 v)
{
    struct board *b = dev;
    switch (off + 0xe9) {
    case 0xe9:
        putchar((int)(v & 0xff));
        break;
    case 0xf4:
        b->status = (int)(v & 0x7f);
        cpu_request(b->cpu, REQ_LEAVE);
        break;
    case 0xf5:
        b->vector = (int)(v & 0xff);
        cpu_request(b->cpu, REQ_INTR);
        break;
    case 0xf6:
        cpu_request(b->cpu, REQ_NMI);
        break;
    case 0xfa:
        b->forking = b->pair && !b->second;
        cpu_request(b->cpu, REQ_LEAVE);
        break;
    case 0xf8:
        cpu_request(b->cpu, REQ_SMI);
        break;
    case 0xf9:
        cpu_request(b->cpu, REQ_INIT);
        break;
    case 0xfc:
        b->sipi = (int)(v & 0xff);
        break;
    case 0xf7:
        if (b->checks)
            check_row(b, (unsigned)v & 0xff);
        break;
    default:
        break;
    }
}

static int pending(void *opaque)
{
    struct board *b = opaque;
    return b->vector >= 0 && b->vector >> 4 > b->tpr >> 4 ? b->vector : -1;
}

static int acknowledge(void *opaque)
{
    struct board *b = opaque;
    int v = pending(b);
    b->vector = -1;
    return v;
}

static void end_of_interrupt(void *opaque)
{
    ((struct board *)opaque)->ended++;
}

static u8 take_sipi(void *opaque)
{
    struct board *b = opaque;
    u8 v = (u8)b->sipi;
    b->sipi = -1;
    return v;
}

static u8 get_tpr(void *opaque)
{
    return ((struct board *)opaque)->tpr;
}

static void set_tpr(void *opaque, u8 v)
{
    struct board *b = opaque;
    b->tpr = v;
    if (b->vector >= 0)
        cpu_request(b->cpu, REQ_INTR);
}

static bool apic_msr_read(void *opaque, u32 msr, u64 *v)
{
    struct board *b = opaque;
    *v = b->apic_base;
    return msr == 0x1b;
}

static bool apic_msr_write(void *opaque, u32 msr, u64 v)
{
    struct board *b = opaque;
    if (msr == 0x1b)
        b->apic_base = v;
    return msr == 0x1b;
}

static void tell(void *opaque, unsigned vcpu, const char *text)
{
    fprintf(stderr, "droste: vCPU %u: %s\n", vcpu, text);
}

static int load(struct space *s, const char *path)
{
    u8 image[0x40000];
    FILE *f = fopen(path, "rb");
    size_t len = f ? fread(image, 1, sizeof(image), f) : 0;
    if (f)
        fclose(f);
    return len ? space_write(s, LOAD_ADDRESS, image, len) : -1;
}

static void start_at_load_address(struct cpu *c)
{
    c->seg[CS].sel = 0;
    c->seg[CS].base = 0;
    c->rip = c->regs[REG_RIP] = LOAD_ADDRESS;
    cpu_mode_changed(c);
}

/* Saved, reset and loaded: the guest must not notice. */
static bool resave(struct cpu *c)
{
    struct state_image img = {0};
    struct err err = {0};
    state_save(&img, &cpu_state_desc, 0, c);
    nested_save(c, &img);
    cpu_reset(c, false);
    bool ok = !img.failed && !state_load(&img, &cpu_state_desc, 0, c, &err) && !nested_load(c, &img, &err);
    state_free(&img);
    if (!ok)
        fprintf(stderr, "resaving: %s\n", err.text);
    return ok;
}

/* A failing guest ends the first processor's run through the exit port; this one halts or runs out of budget.
 */
static void *run_second(void *arg)
{
    struct cpu *c = arg;
    while (cpu_run(c) == LEAVE && c->retired < c->budget_end)
        ;
    return NULL;
}

/* The processor as it is behind the OUT that asked, once more. */
static bool fork_second(struct board *b)
{
    struct state_image img = {0};
    struct err err = {0};
    struct cpu_init init = *b->init;
    init.index = 1;
    b->forking = false;
    b->second = cpu_new(&init, &err);
    state_save(&img, &cpu_state_desc, 0, b->cpu);
    bool ok = b->second && !img.failed && !state_load(&img, &cpu_state_desc, 0, b->second, &err);
    state_free(&img);
    if (!ok || (b->cache && jit_attach(b->second, b->cache, &err))) {
        fprintf(stderr, "a second processor: %s\n", err.text);
        return false;
    }
    b->second->regs[RBX] = 1;
    b->second->budget_end = BUDGET;
    return !pthread_create(&b->second_thread, NULL, run_second, b->second);
}

static void end_second(struct board *b)
{
    if (!b->second)
        return;
    b->second->budget_end = 0;
    cpu_request(b->second, REQ_LEAVE);
    pthread_join(b->second_thread, NULL);
    jit_detach(b->second);
    cpu_free(b->second);
}

/* A timer may end a halt. */
static bool woken(struct cpu *c)
{
    for (unsigned tries = 0; tries < 1000 && !event_due(c); tries++)
        usleep(1000);
    return event_due(c);
}

static u64 budget(const struct board *b)
{
    return b->cache ? BUDGET_TRANSLATED : BUDGET;
}

/* slice: instructions between two resavings, or 0. */
static int run(struct board *b, u64 slice)
{
    while (b->status == STATUS_NONE) {
        struct cpu *c = b->cpu;
        c->budget_end = slice ? c->retired + slice : budget(b);
        switch (cpu_run(c)) {
        case SHUTDOWN:
            return STATUS_SHUTDOWN;
        case HALTED:
            if (b->sipi >= 0)
                cpu_request(c, REQ_SIPI);
            else if (!woken(c))
                return STATUS_TIMEOUT;
            break;
        default:
            if (b->forking && !fork_second(b))
                return STATUS_TIMEOUT;
            if (c->retired >= budget(b) || (slice && b->status == STATUS_NONE && !resave(c)))
                return STATUS_TIMEOUT;
        }
    }
    return b->status;
}

static bool all_refused(const struct board *b)
{
    bool all = true;
    for (unsigned row = 1; row < rows(b); row++)
        if (!b->refused[row]) {
            fprintf(stderr, "no guest of this test fails row %u: %s\n", row, row_text(b, row));
            all = false;
        }
    return all;
}

static int verdict(const struct board *b, int status, bool want_shutdown)
{
    fflush(stdout);
    if (want_shutdown ? status == STATUS_SHUTDOWN : status == 0)
        return 0;
    const struct cpu *c = b->cpu;
    fprintf(stderr,
            "%s: status %d at %04x:%llx, cr0 %llx cr2 %llx cr3 %llx cr4 %llx, last vectors %d %d %d\n",
            status == STATUS_TIMEOUT    ? "halted or too long"
            : status == STATUS_SHUTDOWN ? "triple fault"
                                        : "failed check",
            status, c->seg[CS].sel, (unsigned long long)c->rip, (unsigned long long)c->cr0,
            (unsigned long long)c->cr2, (unsigned long long)c->cr3, (unsigned long long)c->cr4, c->chain[0],
            c->chain[1], c->chain[2]);
    return 1;
}

/* The machine's event loop has timers fire. */
static void *run_timers(void *arg)
{
    for (;;) {
        clock_run_due(arg);
        usleep(100);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t timers;
    static struct cpu_model model;
    struct board b = {.status = STATUS_NONE, .vector = -1, .sipi = -1, .apic_base = 0xfee00900};
    struct err err = {0};
    bool translated = argc > 1 && !strcmp(argv[1], "-t");
    argc -= translated;
    argv += translated;
    if (argc < 3) {
        fprintf(stderr, "usage: guest_runner [-t] intel|amd [shutdown|nested|resaved|checks|pair] IMAGE\n");
        return 2;
    }
    enum cpu_vendor vendor = strcmp(argv[1], "amd") ? VENDOR_INTEL : VENDOR_AMD;
    bool option = argc > 3, resaved = option && !strcmp(argv[2], "resaved");
    b.checks = option && !strcmp(argv[2], "checks");
    b.pair = option && !strcmp(argv[2], "pair");
    bool nested = resaved || b.checks || b.pair || (option && !strcmp(argv[2], "nested"));
    bool want_shutdown = option && !strcmp(argv[2], "shutdown");
    if (cpu_model_build(&model, vendor, NULL, nested, 1, 2000000000, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    struct space *memory = space_new(1ull << 36), *ports = space_new(0x10000);
    struct clock *clock = clock_new(CLOCK_MODE_REAL, 1000000000000000000ull);
    struct world *world = world_new();
    static const struct region_ops ops = {.read = port_read, .write = port_write, .max_size = 4};
    struct region region = {.base = 0xe9, .size = 0x20, .ops = &ops, .dev = &b, .name = "runner"};
    struct cpu_init init = {
        .memory = memory, .ports = ports, .clock = clock, .world = world, .model = &model};
    init.nested_trace.tell = tell;
    init.apic = (struct apic_port){.opaque = &b,
                                   .pending = pending,
                                   .acknowledge = acknowledge,
                                   .get_tpr = get_tpr,
                                   .set_tpr = set_tpr,
                                   .msr_read = apic_msr_read,
                                   .msr_write = apic_msr_write,
                                   .take_sipi = take_sipi,
                                   .eoi = end_of_interrupt};
    if (space_add_ram(memory, 0, 64 * MIB, &err) || space_add_region(ports, &region) ||
        load(memory, argv[argc - 1])) {
        fprintf(stderr, "cannot load %s\n", argv[argc - 1]);
        return 2;
    }
    world_watch(world, memory);
    b.init = &init;
    b.cpu = cpu_new(&init, &err);
    static const struct jit_options at_once = {.hot = 1, .slice = TRACE_MAX, .samples = 1, .exits = 2};
    b.cache = translated ? jit_cache_new(&at_once, &err) : NULL;
    if (!b.cpu || (translated && (!b.cache || jit_attach(b.cpu, b.cache, &err)))) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    start_at_load_address(b.cpu);
    if (pthread_create(&timers, NULL, run_timers, clock)) {
        fprintf(stderr, "no thread for the timers\n");
        return 2;
    }
    int status = run(&b, resaved ? SLICE : 0), result = verdict(&b, status, want_shutdown);
    end_second(&b);
    if (b.checks && !all_refused(&b))
        result = 1;
    pthread_cancel(timers);
    pthread_join(timers, NULL);
    jit_detach(b.cpu);
    cpu_free(b.cpu);
    jit_cache_free(b.cache);
    world_free(world);
    clock_free(clock);
    space_free(ports);
    space_free(memory);
    return result;
}
