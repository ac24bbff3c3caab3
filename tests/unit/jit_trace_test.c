/* SPDX-License-Identifier: MIT */
/*
 * Random loops, in the interpreter and as traces: all state must be the same wherever a budget ends, whatever
 * becomes of the pages under them.
 *
 * jit_trace_test [SEED [CASES [PIECE N]]]: cases of this seed and the next ones. What differs is printed, and
 * with which piece of the case it came; each case ends behind N instructions of PIECE, to find the first
 * wrong one (setarch -R: the same each time).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "jit/trace.h"
#include "trace_loop.h"
#include "trace_rig.h"

enum { DATA_PAGES = 16, CASES = 3000, ROUNDS = 4, PIECES = 60, SLICE = TRACE_MAX };
/* Pages of the page table: of code and of data, each twice, and the stack. */
enum { CODE_AT = 0, CODE_AGAIN = 16, DATA_AT = 64, DATA_AGAIN = 96, STACK_AT = 128, STACK_PAGES = 2 };

static u64 first_seed = 1;
static unsigned cases = CASES, short_piece = ~0u, short_of;
static struct {
    unsigned traces, loops, unrolled, pages, faults;
} seen;

/* The same done to all machines: the interpreter, the translator, the translator with chaos. */
enum { MACHINES = 3 };
static struct test {
    struct rig rig[MACHINES];
    struct loop loop;
    u64 seed, base; /* of linear addresses */
    unsigned piece; /* the case's number of it that runs, from 1 */
    unsigned code;  /* CODE_AT or CODE_AGAIN */
} t;

static u64 lin_of(unsigned page)
{
    return t.base + page * PAGE_SIZE;
}

static void translated(void *opaque, unsigned vcpu, const struct jit_view *v)
{
    const struct trace *trace = v->trace;
    if (!trace)
        return;
    seen.traces++;
    seen.loops += trace->loop;
    seen.pages += trace->pages > 1;
    for (unsigned i = 1; trace->loop && i < trace_block(trace)->count; i++)
        if (trace->at[i] == trace->at[0] && trace->offset[i] == trace->offset[0]) {
            seen.unrolled++;
            break;
        }
}

/* ---- what is compared ---- */

#define SAME(what, text)                                                                                     \
    if (a->what != b->what)                                                                                  \
    print_error("%s: %#llx, not %#llx\n", text, (unsigned long long)b->what, (unsigned long long)a->what)

static void print_difference(const struct rig *ra, const struct rig *rb)
{
    static const char *const names[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                        "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
    const struct cpu *a = ra->cpu, *b = rb->cpu;
    for (unsigned i = 0; i < 16; i++)
        SAME(regs[i], names[i]);
    SAME(rip, "RIP");
    if (cpu_rflags(a) != cpu_rflags(b))
        print_error("RFLAGS: %#llx, not %#llx\n", (unsigned long long)cpu_rflags(b),
                    (unsigned long long)cpu_rflags(a));
    SAME(cr2, "CR2");
    SAME(retired, "retired");
    SAME(mxcsr, "MXCSR");
    for (unsigned i = 0; i < 16; i++)
        if (memcmp(a->vec[i], b->vec[i], sizeof(a->vec[i])))
            print_error("YMM%u\n", i);
    if (ra->device != rb->device)
        print_error("device\n");
    for (unsigned i = 0, shown = 0; i < RIG_RAM && shown < 8; i++)
        if (ra->ram[i] != rb->ram[i])
            shown++, print_error("memory at %#x: %#x, not %#x\n", i, rb->ram[i], ra->ram[i]);
    print_error("interpreter: RIP %#llx RSP %#llx\n", (unsigned long long)a->rip,
                (unsigned long long)a->regs[RSP]);
}

static bool same(const struct rig *ra, const struct rig *rb)
{
    const struct cpu *a = ra->cpu, *b = rb->cpu;
    return !memcmp(a->regs, b->regs, 16 * 8) && a->rip == b->rip && cpu_rflags(a) == cpu_rflags(b) &&
           a->retired == b->retired && a->cr2 == b->cr2 && a->mxcsr == b->mxcsr && a->cpl == b->cpl &&
           !memcmp(a->vec, b->vec, sizeof(a->vec)) && !memcmp(a->x87, b->x87, sizeof(a->x87)) &&
           ra->device == rb->device && !memcmp(ra->ram, rb->ram, RIG_RAM);
}

/* n: instructions of the piece that ran. */
static void compare(u64 n)
{
    for (unsigned i = 1; i < MACHINES; i++) {
        if (same(&t.rig[0], &t.rig[i]))
            continue;
        print_difference(&t.rig[0], &t.rig[i]);
        fail_msg("seed %llu, machine %u, piece %u of %llu instructions", (unsigned long long)t.seed, i,
                 t.piece, (unsigned long long)n);
    }
}

/* ---- what lies where ---- */

static u64 kind_of_page(u64 gpa)
{
    switch (below(&t.loop, 16)) {
    case 0:
        return 0;
    case 1:
        return gpa | RIG_P | RIG_U; /* read-only */
    case 2:
        return gpa | RIG_P | RIG_W; /* the supervisor's */
    case 3:
        return RIG_DEVICE | RIG_P | RIG_W | RIG_U;
    case 4:
        return (RIG_DATA + below(&t.loop, DATA_PAGES) * PAGE_SIZE) | RIG_P | RIG_W | RIG_U;
    default:
        return gpa | RIG_P | RIG_W | RIG_U;
    }
}

static void map_data(unsigned page)
{
    u64 gpa = RIG_DATA + page * PAGE_SIZE, entry = kind_of_page(gpa);
    for (struct rig *r = t.rig; r < t.rig + MACHINES; r++)
        rig_map(r, DATA_AT + page, entry);
    for (struct rig *r = t.rig; r < t.rig + MACHINES; r++)
        rig_map(r, DATA_AGAIN + page, gpa | RIG_P | RIG_W | RIG_U);
}

/* A page of code, or one of the copies that differ in their immediates. Accessed already: who fetches ahead
 * may say so. */
static void map_code(unsigned page, bool copy)
{
    u64 gpa = RIG_CODE + (page + (copy ? LOOP_PAGES : 0)) * PAGE_SIZE;
    for (struct rig *r = t.rig; r < t.rig + MACHINES; r++) {
        rig_map(r, CODE_AT + page, gpa | RIG_P | RIG_W | RIG_U | RIG_A);
        rig_map(r, CODE_AGAIN + page, gpa | RIG_P | RIG_W | RIG_U | RIG_A);
    }
}

static void place_code(void)
{
    for (unsigned copy = 0; copy < 2; copy++) {
        for (struct rig *r = t.rig; r < t.rig + MACHINES; r++)
            bug_on(space_write(r->memory, RIG_CODE + copy * LOOP_BYTES, t.loop.code, LOOP_BYTES) < 0,
                   "no code");
        for (unsigned i = 0; i < t.loop.patches; i++)
            t.loop.code[t.loop.patch[i] % LOOP_BYTES] ^= 1 + below(&t.loop, 127);
    }
}

static void begin_case(u64 seed)
{
    static u8 data[DATA_PAGES * PAGE_SIZE];
    struct loop *g = &t.loop;
    t.seed = seed;
    t.piece = 0;
    g->random = seed * 0x9e3779b97f4a7c15ull + 1;
    make_loop(g, 1 + below(g, one_in(g, 2) ? 6 : 40));
    place_code();
    for (unsigned i = 0; i < sizeof(data); i += 8)
        store_le(data + i, 8, one_in(g, 4) ? below(g, 256) : g->random);
    for (struct rig *r = t.rig; r < t.rig + MACHINES; r++)
        bug_on(space_write(r->memory, RIG_DATA, data, sizeof(data)) < 0, "no data");
    for (unsigned i = 0; i < LOOP_PAGES; i++)
        map_code(i, false);
    for (unsigned i = 0; i < DATA_PAGES; i++)
        map_data(i);
    for (unsigned i = 0; i < STACK_PAGES; i++)
        for (struct rig *r = t.rig; r < t.rig + MACHINES; r++)
            rig_map(r, STACK_AT + i, (RIG_DATA + (DATA_PAGES + i) * PAGE_SIZE) | RIG_P | RIG_W | RIG_U);
}

/* ---- rounds ---- */

static u64 pointer_value(void)
{
    struct loop *g = &t.loop;
    u64 page = below(g, DATA_PAGES - 4), at = one_in(g, 2) ? below(g, PAGE_SIZE) : PAGE_SIZE - below(g, 300);
    if (one_in(g, 2))
        at &= ~15ull;
    return lin_of(one_in(g, 6) ? DATA_AGAIN : DATA_AT) + page * PAGE_SIZE + at;
}

static void set_registers(void)
{
    struct loop *g = &t.loop;
    u64 regs[16];
    for (unsigned i = 0; i < 16; i++)
        regs[i] = below(g, 2) ? g->random : below(g, 64);
    for (unsigned i = 0; i < LOOP_POINTERS; i++)
        regs[g->pointer[i]] = pointer_value();
    regs[g->index] = below(g, 16);
    regs[g->counter] = 20 + 4000 / (g->count + 2);
    regs[RSP] = lin_of(STACK_AT + 1) + (one_in(g, 2) ? below(g, 200) * 8 : below(g, 1500));
    for (struct rig *r = t.rig; r < t.rig + MACHINES; r++) {
        struct cpu *c = r->cpu;
        memcpy(c->regs, regs, sizeof(regs));
        for (unsigned i = 0; i < 16; i++)
            for (unsigned k = 0; k < 32; k++)
                c->vec[i][k] = (u8)(i * 41 + k * 7);
        c->mxcsr = 0x1f80;
        c->rip = lin_of(t.code) + g->start;
        c->seg[GS].base = 24;
        cpu_set_rflags(c, FLAG_R1 | (regs[RAX] & FLAGS_ARITH));
    }
}

static void set_level(u8 cpl, bool smap, bool ac)
{
    for (struct rig *r = t.rig; r < t.rig + MACHINES; r++) {
        struct cpu *c = r->cpu;
        if (!(c->cr4 & CR4_SMAP) == smap) {
            c->cr4 ^= CR4_SMAP;
            tlb_flush_all(c);
        }
        cpu_set_rflags(c, (cpu_rflags(c) & ~(u64)FLAG_AC) | (ac ? FLAG_AC : 0));
        rig_set_level(r, cpl);
    }
}

static void other_space(void)
{
    for (struct rig *r = t.rig; r < t.rig + MACHINES; r++) {
        r->cpu->cr3 ^= RIG_PML4 ^ RIG_PML4_OTHER;
        mmu_space_changed(r->cpu);
        tlb_flush_current(r->cpu);
    }
}

/* A store by somebody else, to code or data. */
static void store_outside(void)
{
    struct loop *g = &t.loop;
    u8 value = (u8)below(g, 256);
    u64 gpa = g->patches && one_in(g, 2) ? RIG_CODE + g->patch[below(g, g->patches)] % LOOP_BYTES
                                         : RIG_DATA + below(g, DATA_PAGES * PAGE_SIZE);
    for (struct rig *r = t.rig; r < t.rig + MACHINES; r++)
        bug_on(space_write(r->memory, gpa, &value, 1) < 0, "no memory");
}

static void change_something(void)
{
    struct loop *g = &t.loop;
    switch (below(g, 9)) {
    case 0:
    case 1:
        map_data(below(g, DATA_PAGES));
        break;
    case 2:
        map_code(below(g, LOOP_PAGES), one_in(g, 2));
        break;
    case 3:
        set_level(one_in(g, 2) ? 3 : 0, one_in(g, 3), one_in(g, 2));
        break;
    case 4:
        other_space();
        break;
    case 5:
        store_outside();
        break;
    case 6: { /* as if code had been decoded there */
        u64 gpa = RIG_DATA + below(g, DATA_PAGES) * PAGE_SIZE;
        for (struct rig *r = t.rig; r < t.rig + MACHINES; r++)
            space_watch_code(r->memory, gpa, PAGE_SIZE);
        break;
    }
    default:
        break;
    }
}

/* The page of a fault is mapped, and the handler goes back. False: it was another fault. */
static bool mend(void)
{
    const struct cpu *c = t.rig[0].cpu;
    unsigned vector = (unsigned)(c->rip - rig_system(RIG_HANDLERS)) / 16;
    u64 page = (c->cr2 - t.base) / PAGE_SIZE - DATA_AT;
    seen.faults++;
    if (vector != VEC_PF || page >= DATA_PAGES || one_in(&t.loop, 8))
        return false;
    for (struct rig *r = t.rig; r < t.rig + MACHINES; r++) {
        rig_map(r, DATA_AT + (unsigned)page, (RIG_DATA + page * PAGE_SIZE) | RIG_P | RIG_W | RIG_U);
        rig_resume(r);
    }
    return true;
}

static bool run_piece(u64 n)
{
    enum outcome o[MACHINES];
    for (unsigned i = 0; i < MACHINES; i++)
        o[i] = rig_run(&t.rig[i], n);
    for (unsigned i = 1; i < MACHINES; i++)
        if (o[i] != o[0])
            print_error("outcome %u of machine %u, not %u\n", o[i], i, o[0]);
    compare(n);
    return o[0] == LEAVE || (o[0] == HALTED && mend());
}

static void run_pieces(void)
{
    struct loop *g = &t.loop;
    for (unsigned i = 0; i < PIECES && t.piece != short_piece; i++) {
        u64 n = one_in(g, 2) ? 1 + below(g, 2000) : 1 + below(g, 200);
        if (!run_piece(++t.piece == short_piece ? short_of : n))
            break;
        if (one_in(g, 4))
            change_something();
    }
    for (struct rig *r = t.rig; r < t.rig + MACHINES; r++)
        rig_resume(r);
}

static void run_case(u64 seed)
{
    struct loop *g = &t.loop;
    begin_case(seed);
    for (unsigned i = 0; i < ROUNDS; i++) {
        t.base = one_in(g, 3) ? RIG_HIGH : RIG_LOW;
        t.code = one_in(g, 3) ? CODE_AGAIN : CODE_AT;
        set_registers();
        if (i && one_in(g, 2))
            change_something();
        set_level(one_in(g, 2) ? 3 : 0, one_in(g, 6), one_in(g, 2));
        run_pieces();
    }
}

static void random_loops_are_the_same_as_traces(void **state)
{
    const struct jit_options plain = {
        .hot = 1, .slice = SLICE, .samples = 1, .exits = 2, .watch = {.translated = translated}};
    struct jit_options chaos = plain;
    chaos.chaos = 1;
    t.base = RIG_LOW;
    t.loop.avx = __builtin_cpu_supports("avx");
    rig_open(&t.rig[0], NULL);
    rig_open(&t.rig[1], &plain);
    rig_open(&t.rig[2], &chaos);
    for (unsigned i = 0; i < cases; i++)
        run_case(first_seed + i);
    struct jit_stats s;
    jit_stats(t.rig[1].cpu, &s);
    for (struct rig *r = t.rig; r < t.rig + MACHINES; r++)
        rig_close(r);
    print_message("%u traces (%u loops, %u of them unrolled; %u of several pages; %llu behind exits, %llu "
                  "given up), %u faults\n",
                  seen.traces, seen.loops, seen.unrolled, seen.pages, (unsigned long long)s.behind,
                  (unsigned long long)s.given_up, seen.faults);
    assert_true(cases < CASES ||
                (seen.loops > cases / 2 && seen.unrolled > cases / 16 && seen.pages > cases / 8 &&
                 seen.faults > cases / 4 && s.behind > cases / 8 && s.given_up > cases / 100));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_loops_are_the_same_as_traces)};
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 0);
    if (argc > 2)
        cases = (unsigned)strtoul(argv[2], NULL, 0);
    if (argc > 4) {
        short_piece = (unsigned)strtoul(argv[3], NULL, 0);
        short_of = (unsigned)strtoul(argv[4], NULL, 0);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
