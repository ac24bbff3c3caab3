/* SPDX-License-Identifier: MIT */
/*
 * Two vCPUs on two threads share memory: what x86 promises (SDM 3A 8.2) must hold between them, interpreted
 * and translated, where they share a code cache, and with chaos, where that is tiny and code of one goes
 * while the other may run it. Both run 64-bit code until HLT; RSI is the shared data, RDI a count, R8 a log
 * of their own. Data is looked at afterwards, from outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "cpu/cpu.h"
#include "cpu/tlb.h"
#include "cpu/world.h"
#include "jit/cache.h"
#include "vm/cpu_model.h"

#define GUEST(name, code)                                                                                    \
    extern const u8 name[], name##_end[];                                                                    \
    __asm__(".pushsection .rodata\n.code64\n.globl " #name ", " #name "_end\n" #name ":\n" code              \
            "\nhlt\n" #name "_end:\n.popsection")

enum {
    PML4 = 0x1000,
    PDPT = 0x2000,
    PD = 0x3000,
    PT = 0x4000,
    CODE = 0x10000, /* a page each */
    PATCHED = 0x18000,
    STACK = 0x1f000,
    DATA = 0x20000,
    DATA_SIZE = 0x4000,
    PAGES = 0x100000, /* 256 pages of their own entries, to be touched */
    LOG = 0x200000,   /* 1 MiB each */
    RAM = 0x400000,
};

/* The flag never runs ahead of the message. */
GUEST(send, "xor %eax, %eax\n1: inc %rax; mov %rax, (%rsi); mov %rax, 64(%rsi); cmp %rdi, %rax; jb 1b");
GUEST(receive, "1: mov 64(%rsi), %rax; mov (%rsi), %rbx; cmp %rax, %rbx; jae 2f; incq 128(%rsi)\n"
               "2: cmp %rdi, %rax; jb 1b");

/* Each writes its own word, then reads the other's; XCHG and MFENCE keep the order, plain stores need not. */
#define STORE_THEN_LOAD(mine, theirs, store)                                                                 \
    "xor %eax, %eax\n1: inc %rax; " store "; mov " theirs "(%rsi), %rbx; mov %rbx, (%r8, %rax, 8)\n"         \
    "cmp %rdi, %rax; jb 1b"
GUEST(fenced_0, STORE_THEN_LOAD("0", "64", "mov %rax, (%rsi); mfence"));
GUEST(fenced_1, STORE_THEN_LOAD("64", "0", "mov %rax, 64(%rsi); mfence"));
GUEST(locked_0, STORE_THEN_LOAD("0", "64", "mov %rax, %rcx; xchg %rcx, (%rsi)"));
GUEST(locked_1, STORE_THEN_LOAD("64", "0", "mov %rax, %rcx; xchg %rcx, 64(%rsi)"));

GUEST(count, "1: lock addq $1, (%rsi); mov $1, %eax; lock xadd %rax, 64(%rsi)\n"
             "2: mov 128(%rsi), %rax; lea 1(%rax), %rbx; lock cmpxchg %rbx, 128(%rsi); jne 2b\n"
             "3: mov 192(%rsi), %rax; mov 200(%rsi), %rdx; lea 1(%rax), %rbx; lea -1(%rdx), %rcx\n"
             "lock cmpxchg16b 192(%rsi); jne 3b\n"
             "4: mov 256(%rsi), %eax; mov 260(%rsi), %edx; lea 1(%rax), %ebx; lea 2(%rdx), %ecx\n"
             "lock cmpxchg8b 256(%rsi); jne 4b\n"
             "lock incl 320(%rsi); lock decw 384(%rsi); lock addb $1, 448(%rsi); dec %rdi; jnz 1b");

/* Operands across a cache line at 0x3c, across a page at 0xffc and 0x1fff. */
GUEST(count_split, "1: lock incq 0x3c(%rsi); mov $1, %eax; lock xadd %rax, 0xffc(%rsi)\n"
                   "2: mov 0x1fff(%rsi), %eax; lea 1(%rax), %ebx; lock cmpxchg %ebx, 0x1fff(%rsi); jne 2b\n"
                   "3: mov 0x7a(%rsi), %eax; mov 0x7e(%rsi), %edx; lea 1(%rax), %ebx; lea 1(%rdx), %ecx\n"
                   "lock cmpxchg8b 0x7a(%rsi); jne 3b\n"
                   "dec %rdi; jnz 1b");

GUEST(spin_lock,
      "1: mov $1, %eax\n2: xchg %eax, (%rsi); test %eax, %eax; jz 3f; pause; jmp 2b\n"
      "3: mov 64(%rsi), %rbx; add $1, %rbx; mov %rbx, 64(%rsi); movl $0, (%rsi); dec %rdi; jnz 1b");

/* R8: page-table entries. One reads the pages, the other writes them; both set a bit of their own in the
 * entry. */
GUEST(set_accessed,
      "1: mov (%rsi), %rax; lock btsq $9, (%r8); add $4096, %rsi; add $8, %r8; dec %rdi; jnz 1b");
GUEST(set_dirty, "1: movb $1, (%rsi); lock btsq $10, (%r8); add $4096, %rsi; add $8, %r8; dec %rdi; jnz 1b");

/* R8: `mov $imm, %eax; ret`, its operand aligned. Code may not be older than what says that it is there. */
GUEST(patch, "xor %eax, %eax\n1: inc %eax; mov %eax, 1(%r8); mov %rax, (%rsi); cmp %rdi, %rax; jb 1b");
GUEST(patch_locked, "xor %eax, %eax\n1: inc %eax; lock incl 1(%r8); mov %rax, (%rsi); cmp %rdi, %rax; jb 1b");
GUEST(patched,
      "1: mov (%rsi), %rbp; xor %eax, %eax; cpuid; call *%r8; cmp %rbp, %rax; jae 2f; incq 64(%rsi)\n"
      "2: cmp %rdi, %rbp; jb 1b");

/* R8: functions of 16 bytes, `mov $imm, %eax; ret`, called in any order. RBX: 0 or 1, which half of them is
 * one's own; R12: what each last returned. Now and then one of its own is written; what it returns then is
 * that, and the other's never go back. */
#define FUNCTIONS "16384"
GUEST(churn, "lea 1(%rbx), %r13\n"
             "1: imul $1103515245, %r13, %r13; add $12345, %r13\n"
             "mov %r13, %rcx; shr $16, %rcx; and $" FUNCTIONS " - 1, %ecx\n"
             "mov %rcx, %r14; shl $4, %r14; add %r8, %r14\n"
             "mov %ecx, %eax; xor %ebx, %eax; test $1, %al; jnz 3f\n"
             "test $0x3ff, %edi; jnz 2f; incl (%r12, %rcx, 4); mov (%r12, %rcx, 4), %eax; mov %eax, 1(%r14)\n"
             "2: call *%r14; cmp (%r12, %rcx, 4), %eax; je 5f; lock incq 64(%rsi); jmp 5f\n"
             "3: call *%r14; cmp (%r12, %rcx, 4), %eax; jae 4f; lock incq 128(%rsi)\n"
             "4: mov %eax, (%r12, %rcx, 4)\n"
             "5: dec %rdi; jnz 1b");

struct pair {
    struct cpu_model model;
    struct space *memory, *ports;
    struct clock *clock;
    struct world *world;
    struct jit_cache *cache;
    bool disturbed;
    struct cpu *cpu[2];
};

static u64 *at(struct pair *p, u64 gpa)
{
    return space_ram(p->memory, gpa, NULL);
}

static u64 data(struct pair *p, u64 off)
{
    return load_le(at(p, DATA + off), 8);
}

static void map_pages(struct pair *p)
{
    *at(p, PML4) = PDPT | 7;
    *at(p, PDPT) = PD | 7;
    *at(p, PD) = PT | 7;
    *at(p, PD + 8) = 0x200087;
    for (u64 i = 0; i < 512; i++)
        *at(p, PT + 8 * i) = i << PAGE_SHIFT | 7;
}

enum way { INTERPRETED, TRANSLATED, DISTURBED };

static void pair_init(struct pair *p, enum way way)
{
    const struct jit_options options = {.chaos = way == DISTURBED};
    struct err err = {0};
    *p = (struct pair){.memory = space_new(1ull << 36),
                       .ports = space_new(0x10000),
                       .clock = clock_new(CLOCK_MODE_REAL, 0),
                       .world = world_new(),
                       .disturbed = way == DISTURBED};
    assert_int_equal(cpu_model_build(&p->model, VENDOR_INTEL, NULL, false, 2, 1000000000, &err), 0);
    assert_int_equal(space_add_ram(p->memory, 0, RAM, &err), 0);
    world_watch(p->world, p->memory);
    if (way != INTERPRETED) {
        p->cache = jit_cache_new(&options, &err);
        assert_non_null(p->cache);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct cpu_init init = {.index = i,
                                .memory = p->memory,
                                .ports = p->ports,
                                .clock = p->clock,
                                .world = p->world,
                                .model = &p->model};
        p->cpu[i] = cpu_new(&init, &err);
        assert_non_null(p->cpu[i]);
        if (p->cache)
            assert_int_equal(jit_attach(p->cpu[i], p->cache, &err), 0);
    }
    map_pages(p);
}

static void pair_free(struct pair *p)
{
    for (unsigned i = 0; i < 2; i++) {
        jit_detach(p->cpu[i]);
        cpu_free(p->cpu[i]);
    }
    jit_cache_free(p->cache);
    world_free(p->world);
    clock_free(p->clock);
    space_free(p->ports);
    space_free(p->memory);
}

static void start(struct cpu *c, u64 rsi, u64 rdi, u64 r8)
{
    cpu_reset(c, false);
    c->activity = CPU_ACTIVE;
    for (unsigned s = ES; s <= GS; s++)
        c->seg[s] = (struct segment){.sel = 16,
                                     .limit = 0xffffffff,
                                     .attr = SEG_P | SEG_S | SEG_G | (s == CS ? SEG_L | 11 : SEG_DB | 3)};
    c->idtr = (struct dtable){0}; /* any exception shuts the processor down */
    c->cr0 |= CR0_PE | CR0_PG | CR0_WP;
    c->cr4 = CR4_PAE;
    c->cr3 = PML4;
    c->efer = EFER_LME | EFER_LMA;
    c->rip = c->regs[REG_RIP] = CODE + c->index * PAGE_SIZE;
    c->regs[RSP] = STACK;
    c->regs[RSI] = rsi;
    c->regs[RDI] = rdi;
    c->regs[R8] = r8;
    cpu_mode_changed(c);
}

struct thread {
    pthread_t id;
    struct cpu *cpu;
    pthread_barrier_t *ready;
    enum outcome outcome;
};

static void *run_one(void *opaque)
{
    struct thread *t = opaque;
    pthread_barrier_wait(t->ready);
    t->outcome = cpu_run(t->cpu);
    return NULL;
}

static void run_both(struct pair *p)
{
    pthread_barrier_t ready;
    struct thread t[2];
    pthread_barrier_init(&ready, NULL, 2);
    for (unsigned i = 0; i < 2; i++) {
        t[i] = (struct thread){.cpu = p->cpu[i], .ready = &ready};
        assert_int_equal(pthread_create(&t[i].id, NULL, run_one, &t[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(t[i].id, NULL);
    pthread_barrier_destroy(&ready);
    for (unsigned i = 0; i < 2; i++)
        if (t[i].outcome != HALTED)
            fail_msg("vCPU %u: outcome %d at %llx, vector %u", i, t[i].outcome,
                     (unsigned long long)p->cpu[i]->rip, p->cpu[i]->chain[0]);
}

static void load_code(struct pair *p, unsigned i, const u8 *code, const u8 *end)
{
    assert_int_equal(space_write(p->memory, CODE + i * PAGE_SIZE, code, (size_t)(end - code)), 0);
}

static void clear_data(struct pair *p)
{
    static const u8 zero[DATA_SIZE];
    assert_int_equal(space_write(p->memory, DATA, zero, sizeof(zero)), 0);
}

#define RUN(p, a, b, n)                                                                                      \
    do {                                                                                                     \
        clear_data(p);                                                                                       \
        load_code(p, 0, a, a##_end);                                                                         \
        load_code(p, 1, b, b##_end);                                                                         \
        start((p)->cpu[0], DATA, n, LOG);                                                                    \
        start((p)->cpu[1], DATA, n, LOG + RAM / 4);                                                          \
        run_both(p);                                                                                         \
    } while (0)

static void message_passing(struct pair *p)
{
    RUN(p, send, receive, 6000000);
    assert_int_equal(data(p, 64), 6000000);
    assert_int_equal(data(p, 128), 0);
}

/* What vCPU 0 read in its step i is log[0][i]. Of two steps, one of each, at least one sees the other's
 * store: so the first store that step j of vCPU 1 missed belongs to a step that saw j. */
static void check_logs(struct pair *p, u64 n)
{
    const u64 *log0 = at(p, LOG), *log1 = at(p, LOG + RAM / 4);
    for (u64 j = 1; j <= n; j++)
        if (log1[j] < n && log0[log1[j] + 1] < j)
            fail_msg("steps %llu and %llu missed each other", (unsigned long long)log1[j] + 1,
                     (unsigned long long)j);
}

static void store_buffering(struct pair *p)
{
    u64 n = 130000;
    for (unsigned round = 0; round < 8; round++) {
        RUN(p, fenced_0, fenced_1, n);
        check_logs(p, n);
        RUN(p, locked_0, locked_1, n);
        check_logs(p, n);
    }
}

static void counters(struct pair *p)
{
    u64 n = 1500000;
    RUN(p, count, count, n);
    assert_int_equal(data(p, 0), 2 * n);
    assert_int_equal(data(p, 64), 2 * n);
    assert_int_equal(data(p, 128), 2 * n);
    assert_int_equal(data(p, 192), 2 * n);
    assert_int_equal(data(p, 200), (u64)-2 * n);
    assert_int_equal(data(p, 256), 2 * n | (4 * n) << 32);
    assert_int_equal(data(p, 320), 2 * n);
    assert_int_equal(data(p, 384), (u16)(-2 * n));
    assert_int_equal(data(p, 448), (u8)(2 * n));
}

static void split_counters(struct pair *p)
{
    u64 n = 100000;
    RUN(p, count_split, count_split, n);
    assert_int_equal(data(p, 0x3c), 2 * n);
    assert_int_equal(data(p, 0x7a), 2 * n | (2 * n) << 32);
    assert_int_equal(data(p, 0xffc), 2 * n);
    assert_int_equal(data(p, 0x1fff), 2 * n);
}

static void spinlock(struct pair *p)
{
    RUN(p, spin_lock, spin_lock, 500000);
    assert_int_equal(data(p, 64), 1000000);
}

static void accessed_and_dirty(struct pair *p)
{
    enum { ENTRIES = PT + 8 * 256 };
    load_code(p, 0, set_accessed, set_accessed_end);
    load_code(p, 1, set_dirty, set_dirty_end);
    for (unsigned round = 0; round < 400; round++) {
        map_pages(p);
        for (unsigned i = 0; i < 2; i++)
            start(p->cpu[round & 1 ? 1 - i : i], PAGES, 256, ENTRIES);
        run_both(p);
        for (unsigned i = 0; i < 256; i++)
            assert_int_equal(*at(p, ENTRIES + 8 * i) & 0xfff, 0x667);
    }
}

static void cross_modified_code(struct pair *p)
{
    static const u8 function[] = {0xb8, 0, 0, 0, 0, 0xc3};
    struct {
        const u8 *code, *end;
    } by[2] = {{patch, patch_end}, {patch_locked, patch_locked_end}};
    for (unsigned i = 0; i < 2; i++) {
        clear_data(p);
        space_write(p->memory, PATCHED + 3, function, sizeof(function));
        load_code(p, 0, by[i].code, by[i].end);
        load_code(p, 1, patched, patched_end);
        for (unsigned n = 0; n < 2; n++)
            start(p->cpu[n], DATA, 50000, PATCHED + 3);
        run_both(p);
        assert_int_equal(load_le(at(p, PATCHED + 4), 4), 50000);
        assert_int_equal(data(p, 64), 0);
    }
}

static void write_functions(struct pair *p)
{
    static const u8 function[16] = {0xb8, 0, 0, 0, 0, 0xc3};
    for (unsigned i = 0; i < strtoul(FUNCTIONS, NULL, 0); i++)
        space_write(p->memory, PAGES + i * sizeof(function), function, sizeof(function));
}

static void churning_code(struct pair *p)
{
    struct jit_stats s[2];
    clear_data(p);
    write_functions(p);
    memset(at(p, LOG), 0, RAM - LOG);
    for (unsigned i = 0; i < 2; i++) {
        load_code(p, i, churn, churn_end);
        start(p->cpu[i], DATA, 150000, PAGES);
        p->cpu[i]->regs[RSP] -= i * 256;
        p->cpu[i]->regs[RBX] = i;
        p->cpu[i]->regs[R12] = LOG + i * (RAM / 4);
    }
    run_both(p);
    assert_int_equal(data(p, 64), 0);
    assert_int_equal(data(p, 128), 0);
    for (unsigned i = 0; i < 2; i++)
        jit_stats(p->cpu[i], &s[i]);
    assert_true(!p->cache || (s[0].blocks > 1000 && s[1].blocks > 1000));
    if (p->cache)
        assert_int_equal(s[0].evictions + s[1].evictions, p->cache->evictions);
    assert_true(!p->disturbed || p->cache->evictions > 16);
}

static void with(enum way way, void (*test)(struct pair *p))
{
    struct pair p;
    pair_init(&p, way);
    test(&p);
    pair_free(&p);
}

#define ALL_WAYS(test)                                                                                       \
    static void test##_interpreted(void **state)                                                             \
    {                                                                                                        \
        with(INTERPRETED, test);                                                                             \
    }                                                                                                        \
    static void test##_translated(void **state)                                                              \
    {                                                                                                        \
        with(TRANSLATED, test);                                                                              \
    }                                                                                                        \
    static void test##_disturbed(void **state)                                                               \
    {                                                                                                        \
        with(DISTURBED, test);                                                                               \
    }
ALL_WAYS(message_passing)
ALL_WAYS(store_buffering)
ALL_WAYS(counters)
ALL_WAYS(split_counters)
ALL_WAYS(spinlock)
ALL_WAYS(accessed_and_dirty)
ALL_WAYS(cross_modified_code)
ALL_WAYS(churning_code)

int main(void)
{
#define UNIT(test)                                                                                           \
    cmocka_unit_test(test##_interpreted), cmocka_unit_test(test##_translated),                               \
        cmocka_unit_test(test##_disturbed)
    const struct CMUnitTest tests[] = {
        UNIT(message_passing),     UNIT(store_buffering), UNIT(counters),
        UNIT(split_counters),      UNIT(spinlock),        UNIT(accessed_and_dirty),
        UNIT(cross_modified_code), UNIT(churning_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
