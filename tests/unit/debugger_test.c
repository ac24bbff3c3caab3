/* SPDX-License-Identifier: MIT */
/*
 * Machines under a debugger: it stops them where it should, and they do not notice. A counted run that was
 * stepped, stopped, watched and read in the middle ends in the very state of one that was left alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm/debugger.h"
#include "vm/machine.h"

#define GUEST(name, code)                                                                                    \
    extern const u8 name[], name##_end[];                                                                    \
    __asm__(".pushsection .rodata\n.code32\n.globl " #name ", " #name "_end\n" #name ":\n" code "\n" #name   \
            "_end:\n.code64\n.popsection")
#define POWER_OFF "mov $0x604, %dx; mov $0x3400, %ax; out %ax, %dx\n9: hlt; jmp 9b\n"

/* A sum in memory, by loads, stores and a string instruction; the APIC timer interrupts it now and then. */
GUEST(guest_sum,
      "mov $0x200000, %esp; movw $0x7ff, 0x900; movl $0x1000, 0x902; lidt 0x900\n"
      "movl $0x0000ffff, 0xa10; movl $0x00cf9b00, 0xa14; movl $0x0000ffff, 0xa18; movl $0x00cf9300, 0xa1c\n"
      "movw $0x1f, 0x908; movl $0xa00, 0x90a; lgdt 0x908\n"
      "mov $(3f - guest_sum + 0x100020), %eax; movw %ax, 0x1200; movw %cs, 0x1202; movw $0x8e00, 0x1204\n"
      "shr $16, %eax; movw %ax, 0x1206\n"
      "movl $0x1ff, 0xfee000f0; movl $0xb, 0xfee003e0; movl $0x20040, 0xfee00320; movl $700, 0xfee00380\n"
      "sti; cld; mov $300, %ecx\n"
      "1: add %ecx, 0x300000\n"
      "push %ecx; mov $0x300000, %esi; mov $0x300100, %edi; mov $9, %ecx; rep movsl; pop %ecx\n"
      "loop 1b\n"
      "cli\n" POWER_OFF "3: incl 0x300010; movl $0, 0xfee000b0; iret");

GUEST(guest_fault, "ud2");
GUEST(guest_halts, "1: cli; hlt; jmp 1b");

enum { LOOP = 0x300000 };

struct rig {
    struct machine *machine;
    struct boot_source source;
    unsigned turn, stops, points, steps;
    u64 loop; /* the address of the guest's label 1 */
    enum debug_reason reason;
    int last; /* exit of the script: what end() wants */
    void (*script)(struct rig *r, const struct debug_stop *stop);
};

static int guest_file(const u8 *code, size_t len)
{
    static const u32 header[8] = {
        0x1badb002, 1u << 16, (u32) - (0x1badb002 + (1u << 16)), 0x100000, 0x100000, 0, 0, 0x100020};
    int fd = memfd_create("guest", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
    assert_int_equal(write(fd, code, len), len);
    return fd;
}

static void no_tx(void *opaque, u8 byte) {}

static void on_stop(void *opaque, const struct debug_stop *stop)
{
    struct rig *r = opaque;
    r->stops++;
    r->reason = stop->reason;
    r->script(r, stop);
}

static void start_script(void *opaque)
{
    struct rig *r = opaque;
    debugger_attach(r->machine);
    r->script(r, &(struct debug_stop){.reason = DEBUG_ASKED});
}

static struct machine_result run(struct rig *r, const u8 *code, size_t len, bool icount, u64 *hash)
{
    struct machine_config c = {.memory = 16 * MIB,
                               .cpus = 1,
                               .engine = &accel_soft,
                               .options = {.jit = true, .icount = icount},
                               .serial = {.tx = no_tx},
                               .no_reboot = true};
    struct err err = {0};
    r->source = (struct boot_source){.kernel = {.fd = guest_file(code, len), .name = "guest"}};
    r->machine = machine_new(&c, &err);
    assert_non_null(r->machine);
    assert_int_equal(machine_boot(r->machine, &r->source, &err), 0);
    if (r->script) {
        assert_int_equal(debugger_open(r->machine, on_stop, r, &err), 0);
        event_loop_post(machine_loop(r->machine), start_script, r);
    }
    struct machine_result result = machine_run(r->machine);
    if (hash)
        assert_int_equal(machine_hash(r->machine, hash, &err), 0);
    machine_free(r->machine);
    close(r->source.kernel.fd);
    return result;
}

static void go(struct rig *r, enum debug_action a)
{
    debugger_resume(r->machine, &a);
}

static void points(struct rig *r, unsigned count, const struct debug_point *p)
{
    struct err err = {0};
    assert_int_equal(debugger_set_points(r->machine, p, count, &err), 0);
}

/* ---- it does not notice ---- */

static u64 rip_of(struct rig *r)
{
    static struct debug_regs regs;
    debugger_get(r->machine, 0, &regs);
    debugger_set(r->machine, 0, &regs); /* as they are */
    return regs.r.rip;
}

static void check_stop(struct rig *r, const struct debug_stop *stop)
{
    if (stop->reason == DEBUG_STEPPED)
        r->steps++;
    if (stop->reason != DEBUG_POINT)
        return;
    r->points++;
    if (stop->hit.kind == DEBUG_EXECUTE)
        assert_int_equal(rip_of(r), stop->hit.linear);
}

/* Everything a debugger does, in turns: steps, a breakpoint and the step over it, a watchpoint. */
static void busy_script(struct rig *r, const struct debug_stop *stop)
{
    u8 bytes[64];
    check_stop(r, stop);
    struct debug_point on[2] = {{DEBUG_EXECUTE, r->loop, 1}, {DEBUG_ACCESS, LOOP + 0x104, 4}};
    assert_int_equal(debugger_read(r->machine, 0, false, LOOP, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(debugger_write(r->machine, 0, false, LOOP, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(debugger_read(r->machine, 0, false, 0xfee00000, bytes, 4), 0); /* no RAM */
    unsigned turn = r->turn++ % 40;
    points(r, turn < 20 ? 0 : turn < 30 ? 1 : 2, on);
    if (turn >= 20 && rip_of(r) == r->loop) { /* over the breakpoint, as gdb does it */
        points(r, 0, NULL);
        go(r, DEBUG_STEP);
    } else {
        go(r, turn < 20 && r->turn < 2000 ? DEBUG_STEP : DEBUG_CONTINUE);
    }
}

static u64 address_of(const u8 *code, const u8 *end, const char *bytes, size_t len)
{
    const u8 *at = memmem(code, (size_t)(end - code), bytes, len);
    assert_non_null(at);
    return 0x100020 + (u64)(at - code);
}

static void test_unseen(void **state)
{
    struct rig alone = {0}, busy = {.script = busy_script};
    u64 want, got;
    size_t len = (size_t)(guest_sum_end - guest_sum);
    busy.loop = address_of(guest_sum, guest_sum_end, "\x01\x0d\x00\x00\x30\x00", 6); /* add %ecx, 0x300000 */
    assert_int_equal(run(&alone, guest_sum, len, true, &want).end, MACHINE_POWERED_OFF);
    assert_int_equal(run(&busy, guest_sum, len, true, &got).end, MACHINE_POWERED_OFF);
    assert_true(busy.points > 50 && busy.steps > 100);
    assert_true(want == got);
}

/* ---- what stops it ---- */

static void watch_script(struct rig *r, const struct debug_stop *stop)
{
    struct debug_point on = {DEBUG_WRITE, LOOP + 2, 1};
    u32 value;
    if (stop->reason == DEBUG_POINT) {
        assert_int_equal(debugger_read(r->machine, 0, false, LOOP, &value, 4), 4);
        assert_int_equal(value, 300 * (r->points + 1) - r->points * (r->points + 1) / 2); /* it was written */
        if (++r->points == 5) {
            debugger_detach(r->machine);
            return;
        }
    }
    points(r, 1, &on);
    go(r, DEBUG_CONTINUE);
}

static void test_watchpoint(void **state)
{
    struct rig r = {.script = watch_script};
    size_t len = (size_t)(guest_sum_end - guest_sum);
    assert_int_equal(run(&r, guest_sum, len, false, NULL).end, MACHINE_POWERED_OFF);
    assert_int_equal(r.points, 5);
}

static void continue_script(struct rig *r, const struct debug_stop *stop)
{
    go(r, DEBUG_CONTINUE);
}

static void test_triple_fault(void **state)
{
    struct rig r = {.script = continue_script};
    size_t len = (size_t)(guest_fault_end - guest_fault);
    assert_int_equal(run(&r, guest_fault, len, false, NULL).end, MACHINE_TRIPLE_FAULT);
    assert_int_equal(r.stops, 1);
    assert_int_equal(r.reason, DEBUG_TRIPLE_FAULT);
}

static void ask_to_stop(void *opaque)
{
    struct rig *r = opaque;
    debugger_stop(r->machine);
}

/* A halted processor: a step over HLT is done when it sleeps, the next one waits for an event. */
static void halt_script(struct rig *r, const struct debug_stop *stop)
{
    struct accel_status s;
    debugger_status(r->machine, 0, &s);
    switch (r->turn++) {
    case 0:
    case 1:
        assert_int_equal(s.activity, ACCEL_RUNNING);
        go(r, DEBUG_STEP);
        return;
    case 2:
        assert_int_equal(stop->reason, DEBUG_STEPPED);
        assert_int_equal(s.activity, ACCEL_HALTED);
        go(r, DEBUG_STEP);
        event_loop_post(machine_loop(r->machine), ask_to_stop, r);
        return;
    default:
        assert_int_equal(stop->reason, DEBUG_ASKED);
        assert_int_equal(s.activity, ACCEL_HALTED);
        machine_stop(r->machine);
    }
}

static void test_halted(void **state)
{
    struct rig r = {.script = halt_script};
    size_t len = (size_t)(guest_halts_end - guest_halts);
    assert_int_equal(run(&r, guest_halts, len, false, NULL).end, MACHINE_STOPPED);
    assert_int_equal(r.turn, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unseen),
        cmocka_unit_test(test_watchpoint),
        cmocka_unit_test(test_triple_fault),
        cmocka_unit_test(test_halted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
