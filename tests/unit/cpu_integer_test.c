/* SPDX-License-Identifier: MIT */
/*
 * What the host cannot be the oracle of: 16-bit stacks, segment limits, privilege of flags and ports, devices
 * behind read-modify-write, interruption of REP. Instructions are given as bytes and run through their
 * meanings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/flags.h"
#include "cpu/meanings.h"
#include "cpu/mmu.h"
#include "cpu/operands.h"
#include "cpu/world.h"

enum { RAM = 0x400000, DEVICE = 0x800000, TSS = 0x3000, STACK = 0x10000 };
enum { CODE_ATTR = 0xb | SEG_S | SEG_P, DATA_ATTR = 3 | SEG_S | SEG_P };

static struct cpu_model model;
static struct cpu_init init;
static struct cpu *c;

/* A register that counts its accesses. */
static struct {
    u64 value;
    unsigned reads, writes, size;
    u64 off;
} device;

static u64 device_read(void *dev, u64 off, unsigned size)
{
    device.reads++;
    device.off = off;
    device.size = size;
    return device.value;
}

static void device_write(void *dev, u64 off, unsigned size, u64 value)
{
    device.writes++;
    device.off = off;
    device.size = size;
    device.value = value;
}

static const struct region_ops device_ops = {device_read, device_write, 0};

static int pending(void *opaque)
{
    return -1;
}
static void note_init(void *opaque) {}
static u8 get_tpr(void *opaque)
{
    return 0;
}
static void set_tpr(void *opaque, u8 tpr) {}
static bool msr_read(void *opaque, u32 msr, u64 *value)
{
    return false;
}
static bool msr_write(void *opaque, u32 msr, u64 value)
{
    return false;
}

static int setup(void **state)
{
    struct region r = {0, 0x10000, &device_ops, NULL, NULL, "ports"};
    struct region m = {DEVICE, 0x1000, &device_ops, NULL, NULL, "registers"};
    init.memory = space_new(1ull << 32);
    init.ports = space_new(0x10000);
    init.clock = clock_new(CLOCK_MODE_ICOUNT, 0);
    init.world = world_new();
    init.model = &model;
    init.apic = (struct apic_port){NULL,     pending,   pending, get_tpr,   set_tpr,
                                   msr_read, msr_write, NULL,    note_init, NULL};
    for (unsigned f = 0; f < FEAT_COUNT; f++)
        model.features[f / 64] |= BIT(f % 64);
    model.phys_bits = 36;
    if (space_add_ram(init.memory, 0, RAM, NULL) || space_add_region(init.ports, &r) ||
        space_add_region(init.memory, &m) || !(c = cpu_new(&init, NULL)))
        return -1;
    return 0;
}

static int teardown(void **state)
{
    cpu_free(c);
    world_free(init.world);
    clock_free(init.clock);
    space_free(init.ports);
    space_free(init.memory);
    return 0;
}

static void set_segments(u32 cs_attr, u32 data_attr, u32 limit)
{
    for (unsigned s = ES; s <= GS; s++)
        c->seg[s] = (struct segment){.limit = limit, .attr = data_attr};
    c->seg[CS].attr = cs_attr;
}

static void clear(void)
{
    memset(c->regs, 0, sizeof(c->regs));
    memset(&device, 0, sizeof(device));
    c->rip = 0x1000;
    c->regs[RSP] = STACK;
    cpu_set_rflags(c, FLAG_R1);
    c->efer = 0;
    c->cr0 = CR0_ET;
}

static void real_mode(void)
{
    clear();
    set_segments(CODE_ATTR, DATA_ATTR, 0xffff);
    cpu_mode_changed(c);
}

/* Flat 32-bit code at a privilege level. */
static void protected_mode(unsigned cpl)
{
    clear();
    c->cr0 |= CR0_PE;
    set_segments(CODE_ATTR | SEG_DB | cpl << 5, DATA_ATTR | SEG_DB | cpl << 5, 0xffffffff);
    c->seg[SEG_TR] = (struct segment){.base = TSS, .limit = 0x67, .attr = 0xb | SEG_P};
    c->cpl = (u8)cpl;
    cpu_mode_changed(c);
}

static enum outcome run(const char *bytes, unsigned len)
{
    struct insn in;
    assert_int_equal(insn_decode(c->mode, (const u8 *)bytes, len, &in), DECODE_OK);
    assert_int_equal(in.len, len);
    c->regs[REG_RIP] = c->rip + in.len;
    world_enter(c);
    enum outcome o = meaning_of(c, &in)(c, &in);
    world_leave(c);
    return o;
}
#define RUN(bytes) run(bytes, sizeof(bytes) - 1)

static void assert_fault(enum outcome o, u8 vector)
{
    assert_int_equal(o, FAULT);
    assert_int_equal(c->fault.vector, vector);
}

static u64 ram(u64 gpa, unsigned size)
{
    return load_le(space_ram(init.memory, gpa, NULL), size);
}

/* SDM 1 appendix B */
static bool condition(u64 v, unsigned cc)
{
    bool s = v & FLAG_SF, o = v & FLAG_OF, z = v & FLAG_ZF, cf = v & FLAG_CF, p = v & FLAG_PF;
    bool of[8] = {o, cf, z, cf || z, s, p, s != o, z || s != o};
    return of[cc / 2] != (cc & 1);
}

static void flags_survive_their_two_homes(void **state)
{
    for (unsigned i = 0; i < 64; i++) {
        u64 v = (i & 1 ? FLAG_CF : 0) | (i & 2 ? FLAG_PF : 0) | (i & 4 ? FLAG_AF : 0) |
                (i & 8 ? FLAG_ZF : 0) | (i & 16 ? FLAG_SF : 0) | (i & 32 ? FLAG_OF : 0) | FLAG_R1 | FLAG_DF;
        cpu_set_rflags(c, v);
        assert_int_equal(cpu_rflags(c), v);
        for (unsigned cc = 0; cc < 16; cc++)
            assert_int_equal(flags_test(c->fl, cc), condition(v, cc));
    }
}

static void stack_of_16_bits_wraps(void **state)
{
    real_mode();
    c->regs[RSP] = 0xabcd0000;
    c->regs[RAX] = 0x1234;
    assert_int_equal(RUN("\x50"), DONE);
    assert_int_equal(c->regs[RSP], 0xabcdfffe);
    assert_int_equal(ram(0xfffe, 2), 0x1234);
    assert_int_equal(RUN("\x5b"), DONE);
    assert_int_equal(c->regs[RSP], 0xabcd0000);
    assert_int_equal(c->regs[RBX], 0x1234);
}

static void push_beyond_the_limit_changes_nothing(void **state)
{
    protected_mode(0);
    c->seg[SS].limit = 0xfff;
    c->regs[RSP] = 0x1002;
    assert_fault(RUN("\x50"), VEC_SS);
    assert_int_equal(c->regs[RSP], 0x1002);
    assert_fault(RUN("\xe8\x00\x00\x00\x00"), VEC_SS);
    c->regs[RSP] = 8; /* the first slots fit, the last do not */
    assert_fault(RUN("\x60"), VEC_SS);
    assert_int_equal(c->regs[RSP], 8);
}

static void branch_targets_are_masked_and_checked(void **state)
{
    protected_mode(0);
    c->seg[CS].limit = 0x1fff;
    c->regs[RAX] = 0x2000;
    assert_fault(RUN("\xff\xe0"), VEC_GP);
    assert_fault(RUN("\xff\xd0"), VEC_GP);
    assert_int_equal(c->regs[RSP], STACK);
    c->regs[RAX] = 0x51234;
    assert_int_equal(RUN("\x66\xff\xe0"), DONE);
    assert_int_equal(c->regs[REG_RIP], 0x1234);
    c->regs[RCX] = 2; /* a refused LOOP counts nothing */
    c->seg[CS].limit = 0x1001;
    assert_fault(RUN("\xe2\x10"), VEC_GP);
    assert_int_equal(c->regs[RCX], 2);
}

static void enter_copies_the_frames(void **state)
{
    protected_mode(0);
    c->regs[RBP] = 0x20010;
    store_le(space_ram(init.memory, 0x2000c, NULL), 4, 0x11111111);
    assert_int_equal(RUN("\xc8\x20\x00\x02"), DONE);
    assert_int_equal(ram(STACK - 4, 4), 0x20010);
    assert_int_equal(ram(STACK - 8, 4), 0x11111111);
    assert_int_equal(ram(STACK - 12, 4), STACK - 4);
    assert_int_equal(c->regs[RBP], STACK - 4);
    assert_int_equal(c->regs[RSP], STACK - 12 - 0x20);
    assert_int_equal(RUN("\xc9"), DONE);
    assert_int_equal(c->regs[RSP], STACK);
    assert_int_equal(c->regs[RBP], 0x20010);
}

static enum outcome popf_of(u32 value)
{
    c->regs[RSP] = STACK - 4;
    store_le(space_ram(init.memory, STACK - 4, NULL), 4, value);
    return RUN("\x9d");
}

static void popf_follows_privilege(void **state)
{
    u32 all = FLAG_IF | FLAG_IOPL | FLAG_CF | FLAG_ID | FLAG_VM | FLAG_RF;
    protected_mode(0);
    assert_int_equal(popf_of(all), END);
    assert_int_equal(cpu_rflags(c), FLAG_IF | FLAG_IOPL | FLAG_CF | FLAG_ID | FLAG_R1);
    protected_mode(3);
    assert_int_equal(popf_of(all), DONE);
    assert_int_equal(cpu_rflags(c), FLAG_CF | FLAG_ID | FLAG_R1);
    cpu_set_rflags(c, FLAG_IOPL);
    assert_int_equal(popf_of(FLAG_IF), END);
    assert_int_equal(cpu_rflags(c), FLAG_IF | FLAG_IOPL | FLAG_R1);
}

static void flags_in_v86_need_iopl_3(void **state)
{
    real_mode();
    c->cr0 |= CR0_PE;
    cpu_set_rflags(c, FLAG_VM);
    cpu_mode_changed(c);
    assert_fault(RUN("\x9c"), VEC_GP);
    assert_fault(RUN("\x9d"), VEC_GP);
    c->rflags |= FLAG_IOPL;
    assert_int_equal(RUN("\x9c"), DONE);
    clear();
}

static void ports_reach_the_device(void **state)
{
    protected_mode(0);
    c->regs[RAX] = 0xffffffff12345678;
    c->regs[RDX] = 0xabcd03f8;
    assert_int_equal(RUN("\x66\xef"), END);
    assert_int_equal(device.off, 0x3f8);
    assert_int_equal(device.size, 2);
    assert_int_equal(device.value, 0x5678);
    device.value = 0xa5a5a5a5;
    assert_int_equal(RUN("\xe4\x60"), END);
    assert_int_equal(device.off, 0x60);
    assert_int_equal(c->regs[RAX], 0xffffffff123456a5);
    assert_int_equal(RUN("\xed"), END);
    assert_int_equal(c->regs[RAX], 0xa5a5a5a5);
}

static void bitmap_decides_over_iopl(void **state)
{
    protected_mode(3);
    c->regs[RDX] = 0x3f8;
    assert_fault(RUN("\xec"), VEC_GP); /* the map lies beyond the limit */
    c->seg[SEG_TR].limit = 0x68 + 0x7f + 1;
    store_le(space_ram(init.memory, TSS + 0x66, NULL), 2, 0x68);
    memset(space_ram(init.memory, TSS + 0x68, NULL), 0, 0x81);
    assert_int_equal(RUN("\xec"), END);
    assert_int_equal(RUN("\xed"), END);
    *(u8 *)space_ram(init.memory, TSS + 0x68 + 0x7f, NULL) = 4; /* 3fa */
    assert_int_equal(RUN("\xec"), END);
    assert_int_equal(RUN("\x66\xed"), END);
    assert_fault(RUN("\xed"), VEC_GP);
    c->seg[SEG_TR].limit--; /* the byte behind is read too */
    assert_fault(RUN("\xec"), VEC_GP);
    assert_int_equal(device.reads, 4);
    c->rflags |= FLAG_IOPL;
    assert_int_equal(RUN("\xed"), END);
}

static void rep_outs_stops_where_its_source_does(void **state)
{
    protected_mode(0);
    c->seg[DS].limit = 0x20002;
    c->regs[RSI] = 0x20000;
    c->regs[RCX] = 5;
    c->regs[RDX] = 0x80;
    assert_fault(RUN("\xf3\x6e"), VEC_GP);
    assert_int_equal(device.writes, 3);
    assert_int_equal(c->regs[RCX], 2);
    assert_int_equal(c->regs[RSI], 0x20003);
}

static void ins_proves_its_target_first(void **state)
{
    protected_mode(0);
    c->seg[ES].limit = 0xfff;
    c->regs[RDI] = 0x1000;
    assert_fault(RUN("\x6c"), VEC_GP);
    assert_int_equal(device.reads, 0);
}

static void long_rep_is_done_in_parts(void **state)
{
    protected_mode(0);
    unsigned calls = 0;
    enum outcome o;
    c->regs[RDI] = 0x100001;
    c->regs[RCX] = 0x80000;
    c->regs[RAX] = 0x11223344;
    do {
        o = RUN("\xf3\xab");
        assert_true(c->regs[RCX] * 4 + c->regs[RDI] == 0x300001);
        calls++;
    } while (o == AGAIN);
    assert_int_equal(o, DONE);
    assert_true(calls > 10);
    assert_int_equal(ram(0x100001, 4), 0x11223344);
    assert_int_equal(ram(0x2ffffd, 4), 0x11223344);
}

static void single_step_sees_every_iteration(void **state)
{
    protected_mode(0);
    c->rflags |= FLAG_TF;
    c->regs[RSI] = 0x30000;
    c->regs[RDI] = 0x31000;
    c->regs[RCX] = 2;
    assert_int_equal(RUN("\xf3\xa4"), DONE);
    assert_int_equal(c->regs[RCX], 1);
    assert_int_equal(c->regs[REG_RIP], c->rip);
    assert_int_equal(RUN("\xf3\xa4"), DONE);
    assert_int_equal(c->regs[RCX], 0);
    assert_int_equal(c->regs[REG_RIP], c->rip + 2);
    c->regs[RCX] = 2;
    assert_int_equal(RUN("\xf3\x6e"), END);
    assert_int_equal(device.writes, 1);
    assert_int_equal(c->regs[REG_RIP], c->rip);
}

static void overlapping_movs_repeats_its_pattern(void **state)
{
    protected_mode(0);
    store_le(space_ram(init.memory, 0x30000, NULL), 4, 0x44332211);
    c->regs[RSI] = 0x30000;
    c->regs[RDI] = 0x30001;
    c->regs[RCX] = 8000;
    while (RUN("\xf3\xa4") == AGAIN)
        ;
    assert_int_equal(c->regs[RCX], 0);
    assert_int_equal(ram(0x30000, 8), 0x1111111111111111);
    assert_int_equal(ram(0x30000 + 7996, 4), 0x11111111);
}

static void index_registers_of_16_bits_wrap(void **state)
{
    real_mode();
    c->regs[RSI] = 0x7770000;
    c->regs[RDI] = 0x888ffff;
    c->regs[RCX] = 0x9990002;
    assert_int_equal(RUN("\xf3\xa4"), DONE);
    assert_int_equal(c->regs[RSI], 0x7770002);
    assert_int_equal(c->regs[RDI], 0x8880001);
    assert_int_equal(c->regs[RCX], 0x9990000);
}

static void locked_update_of_a_device_is_one_read_one_write(void **state)
{
    protected_mode(0);
    device.value = 41;
    c->regs[RBX] = DEVICE + 8;
    assert_int_equal(RUN("\xf0\xff\x03"), DONE);
    assert_int_equal(device.value, 42);
    assert_int_equal(device.reads, 1);
    assert_int_equal(device.writes, 1);
    c->regs[RAX] = 7;
    assert_int_equal(RUN("\x87\x03"), DONE);
    assert_int_equal(c->regs[RAX], 42);
    assert_int_equal(device.value, 7);
}

static void locked_update_across_pages_keeps_its_neighbours(void **state)
{
    protected_mode(0);
    store_le(space_ram(init.memory, 0x40ff8, NULL), 8, 0xffffaaaaaaaaaaaa);
    store_le(space_ram(init.memory, 0x41000, NULL), 8, 0xbbbbbbbbbbbbffff);
    c->regs[RBX] = 0x40ffe;
    assert_int_equal(RUN("\xf0\x83\x03\x01"), DONE);
    assert_int_equal(ram(0x40ff8, 8), 0x0000aaaaaaaaaaaa);
    assert_int_equal(ram(0x41000, 8), 0xbbbbbbbbbbbb0000);
    assert_int_equal(c->fl & (FL_ZF | FL_CF), FL_ZF | FL_CF);
}

static void division_never_reaches_the_host(void **state)
{
    protected_mode(0);
    c->regs[RDX] = 5;
    c->regs[RBX] = 5;
    assert_fault(RUN("\xf7\xf3"), VEC_DE);
    c->regs[RDX] = c->regs[RAX] = 0;
    c->regs[RBX] = 0;
    assert_fault(RUN("\xf7\xf3"), VEC_DE);
    c->regs[RDX] = 0xffffffff;
    c->regs[RAX] = 0x80000000;
    c->regs[RBX] = 0xffffffff;
    assert_fault(RUN("\xf7\xfb"), VEC_DE);
    c->regs[RBX] = 1;
    assert_int_equal(RUN("\xf7\xfb"), DONE);
    assert_int_equal(c->regs[RAX], 0x80000000);
    assert_fault(RUN("\xd4\x00"), VEC_DE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_survive_their_two_homes),
        cmocka_unit_test(stack_of_16_bits_wraps),
        cmocka_unit_test(push_beyond_the_limit_changes_nothing),
        cmocka_unit_test(branch_targets_are_masked_and_checked),
        cmocka_unit_test(enter_copies_the_frames),
        cmocka_unit_test(popf_follows_privilege),
        cmocka_unit_test(flags_in_v86_need_iopl_3),
        cmocka_unit_test(ports_reach_the_device),
        cmocka_unit_test(bitmap_decides_over_iopl),
        cmocka_unit_test(rep_outs_stops_where_its_source_does),
        cmocka_unit_test(ins_proves_its_target_first),
        cmocka_unit_test(long_rep_is_done_in_parts),
        cmocka_unit_test(single_step_sees_every_iteration),
        cmocka_unit_test(overlapping_movs_repeats_its_pattern),
        cmocka_unit_test(index_registers_of_16_bits_wrap),
        cmocka_unit_test(locked_update_of_a_device_is_one_read_one_write),
        cmocka_unit_test(locked_update_across_pages_keeps_its_neighbours),
        cmocka_unit_test(division_never_reaches_the_host),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
