/* SPDX-License-Identifier: MIT */
/*
 * Whole machines on engine soft (built with ENGINE_KVM: on kvm, where the host has it), with guests of a few
 * instructions: they print, power off, reset, fault, sleep, start a second processor, and are saved and
 * restored in the middle. A guest is 32-bit code behind a multiboot header, loaded at 1 MiB and entered
 * behind the header.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "accel/kvm.h"
#include "vm/cpu_model.h"
#include "vm/machine.h"

#ifdef ENGINE_KVM
#define ENGINE       accel_kvm
#define IDLE_MOST_NS 100000000 /* the kernel polls before it sleeps, and this may run in a slow guest */
#define DAMAGES      20
#else
#define ENGINE       accel_soft
#define IDLE_MOST_NS 15000000
#define DAMAGES      200
#endif

#define GUEST(name, code)                                                                                    \
    extern const u8 name[], name##_end[];                                                                    \
    __asm__(".pushsection .rodata\n.code32\n.globl " #name ", " #name "_end\n" #name ":\n" code "\n" #name   \
            "_end:\n.code64\n.popsection")

#define PRINT(c)  "mov $0x3f8, %dx; mov $" c ", %al; out %al, %dx\n"
#define POWER_OFF "mov $0x604, %dx; mov $0x3400, %ax; out %ax, %dx\n9: hlt; jmp 9b\n"

GUEST(guest_hello, PRINT("'h'") PRINT("'i'") POWER_OFF);
GUEST(guest_triple, "ud2");
GUEST(guest_debug_exit, "mov $0xf4, %dx; mov $21, %al; out %al, %dx\n1: jmp 1b");
GUEST(guest_panic, "mov $0x505, %dx; mov $1, %al; out %al, %dx\n1: jmp 1b");
GUEST(guest_reset, PRINT("'B'") "mov $0xcf9, %dx; mov $6, %al; out %al, %dx\n1: jmp 1b");
GUEST(guest_idle, "1: cli; hlt; jmp 1b");
GUEST(guest_spin, "1: jmp 1b");

/* The second processor starts at 0x8000 in real mode, prints and powers off: 16-bit code by hand. */
GUEST(
    guest_smp,
    "mov $0x8000, %edi; mov $(2f - guest_smp + 0x100020), %esi; mov $20, %ecx; rep movsb\n"
    "movl $0xc4500, 0xfee00300\n"
    "movl $0xc4608, 0xfee00300\n"
    "1: hlt; jmp 1b\n"
    "2: .byte 0xba, 0xf8, 0x03, 0xb0, 'A', 0xee\n"           /* mov dx, 3f8; mov al, 'A'; out dx, al */
    ".byte 0xba, 0x04, 0x06, 0xb8, 0x00, 0x34, 0xef, 0xf4\n" /* mov dx, 604; mov ax, 3400; out dx, ax; hlt */
    ".fill 8, 1, 0x90\n");

/* The second processor says where the wall clock shall be; the first sees it in its own register. */
GUEST(guest_wall_clock,
      "mov $0x8000, %edi; mov $(2f - guest_wall_clock + 0x100020), %esi; mov $64, %ecx; rep movsb\n"
      "movl $0xc4500, 0xfee00300\n"
      "movl $0xc4608, 0xfee00300\n"
      "mov $0x4b564d00, %ecx\n"
      "1: pause; rdmsr; cmp $0x3000, %eax; jne 1b\n"
      "1: pause; movl 0x3000, %eax; test %eax, %eax; jz 1b; test $1, %eax; jnz 1b\n"
      "cmpl $1600000000, 0x3004; jb 1b\n" PRINT("'W'") POWER_OFF
      ".code16\n2: mov $0x4b564d00, %ecx; mov $0x3000, %eax; xor %edx, %edx; wrmsr; 3: cli; hlt; jmp "
      "3b\n.code32\n");

/* One-shot local APIC timer, interrupt at vector 0x40; sleeps until it came, then powers off. */
GUEST(guest_timer,
      "mov $0x200000, %esp\n"
      "mov $(3f - guest_timer + 0x100020), %eax\n"
      "mov $0x1000, %edi; movw %ax, 0x200(%edi); movw %cs, 0x202(%edi); movw $0x8e00, 0x204(%edi)\n"
      "shr $16, %eax; movw %ax, 0x206(%edi)\n"
      "movw $0x7ff, 0x900; movl $0x1000, 0x902; lidt 0x900\n"
      "movl $0x0000ffff, 0xa10; movl $0x00cf9b00, 0xa14\n"
      "movl $0x0000ffff, 0xa18; movl $0x00cf9300, 0xa1c; movw $0x1f, 0x908; movl $0xa00, 0x90a; lgdt 0x908\n"
      "movl $0x1ff, 0xfee000f0; movl $0xb, 0xfee003e0; movl $0x40, 0xfee00320\n"
      "movl $20000000, 0xfee00380\n"
      "sti\n1: hlt; jmp 1b\n"
      "3: " PRINT("'T'") POWER_OFF);

#define TABLES                                                                                               \
    "mov $0x200000, %esp; movw $0x7ff, 0x900; movl $0x1000, 0x902; lidt 0x900\n"                             \
    "movl $0x0000ffff, 0xa10; movl $0x00cf9b00, 0xa14; movl $0x0000ffff, 0xa18; movl $0x00cf9300, 0xa1c\n"   \
    "movw $0x1f, 0x908; movl $0xa00, 0x90a; lgdt 0x908\n"
#define GATE(guest, label, vector)                                                                           \
    "mov $(" label " - " guest " + 0x100020), %eax; movw %ax, 0x1000 + 8 * " vector "\n"                     \
    "movw %cs, 0x1002 + 8 * " vector "; movw $0x8e00, 0x1004 + 8 * " vector "\n"                             \
    "shr $16, %eax; movw %ax, 0x1006 + 8 * " vector "\n"
#define OUT(port, value) "mov $" value ", %al; out %al, $" port "\n"

/* Three ticks of the 8254 through the 8259, each from HLT. */
GUEST(guest_pic,
      TABLES GATE("guest_pic", "3f", "0x20") OUT("0x20", "0x11") OUT("0x21", "0x20") OUT("0x21", "4")
          OUT("0x21", "1") OUT("0x21", "0xfe") OUT("0x43", "0x34") OUT("0x40", "0")
              OUT("0x40", "0x20") "xor %ebx, %ebx; sti\n1: hlt; jmp 1b\n"
                                  "3: " PRINT("'P'")
                                      OUT("0x20",
                                          "0x20") "inc %ebx; cmp $3, %ebx; je 4f; iret\n4: " POWER_OFF);

/* A level-triggered line that stays up until the third interrupt: each end brings the next. It is lowered
 * before anything else, because there is a KVM that tells the end of an interrupt at its beginning. */
GUEST(guest_level,
      TABLES GATE("guest_level", "3f", "0x50") OUT("0x21", "0xff")
          OUT("0xa1",
              "0xff") "movl $0x24, 0xfec00000; movl $0x8050, 0xfec00010; movl $0x25, 0xfec00000; movl $0, "
                      "0xfec00010\n"
                      "xor %ebx, %ebx; sti; mov $0x200a, %dx; mov $1, %al; out %al, %dx\n"
                      "1: cmp $3, %ebx; jb 1b; mov $5000, %ecx; 2: loop 2b\n" POWER_OFF
                      "3: inc %ebx; cmp $3, %ebx; jb 4f; mov $0x200a, %dx; mov $0, %al; out %al, %dx\n"
                      "4: " PRINT("'L'") "movl $0, 0xfee000b0; iret\n");

/* Device registers read by instructions that a hypervisor's emulator leaves alone: x87 and SSE. */
GUEST(
    guest_odd_access,
    "movl $1, 0xfec00000; fninit; fildl 0xfec00010; fistpl 0x3000; cmpl $0x170020, 0x3000; jne 8f\n" PRINT(
        "'F'") "mov %cr4, %eax; or $0x200, %eax; mov %eax, %cr4; pxor %xmm1, %xmm1; paddd 0xfec00010, %xmm1\n"
               "movd %xmm1, %eax; cmp $0x170020, %eax; jne 8f\n" PRINT("'S'") "8: " POWER_OFF);

GUEST(guest_string,
      "cld; mov $(7f - guest_string + 0x100020), %esi; mov $5, %ecx; mov $0x3f8, %dx; rep outsb\n"
      "mov $0x3fd, %dx; mov $4, %ecx; mov $0x3000, %edi; rep insb; cmpl $0x60606060, 0x3000; jne 8f\n" PRINT(
          "'!'") "8: " POWER_OFF "7: .ascii \"bytes\"\n");

GUEST(guest_nmi,
      TABLES GATE("guest_nmi", "3f", "2") PRINT("'H'") "1: hlt; jmp 1b\n3: " PRINT("'N'") POWER_OFF);

/* Prints a running sum's low letter often: what a save in the middle must not disturb. */
GUEST(guest_sum,
      "xor %ebx, %ebx; mov $40, %ecx\n"
      "1: push $0; pop %esi; mov $3000, %esi\n"
      "2: lea (%ebx, %ebx, 4), %ebx; add %esi, %ebx; mov %ebx, 0x300000(, %esi, 4); dec %esi; jnz 2b\n"
      "mov %ebx, %eax; and $15, %al; add $'a', %al; mov $0x3f8, %dx; out %al, %dx\n"
      "loop 1b\n" POWER_OFF);

struct rig {
    struct machine *machine;
    struct machine_config config;
    struct boot_source source;
    char out[256];
    unsigned len;
    unsigned stop_after; /* bytes of output, 0: never */
};

static void serial_tx(void *opaque, u8 byte)
{
    struct rig *r = opaque;
    if (r->len < sizeof(r->out) - 1) {
        r->out[r->len] = (char)byte;
        __atomic_store_n(&r->len, r->len + 1, __ATOMIC_RELEASE);
    }
    if (r->stop_after && r->len == r->stop_after)
        machine_stop(r->machine);
}

static int image_of(const u8 *code, size_t len)
{
    u32 flags = 1 << 16 | 2, load = 0x100000;
    u32 header[8] = {0x1badb002, flags, -(0x1badb002 + flags), load, load, 0, 0, 0x100020};
    int fd = memfd_create("guest", 0);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, header, 32), 32);
    assert_int_equal(write(fd, code, len), len);
    return fd;
}

#define RIG(r, guest, ...)                                                                                   \
    struct rig r;                                                                                            \
    rig_init(&r, guest, guest##_end, (struct machine_config){__VA_ARGS__})

static void rig_make(struct rig *r)
{
    struct err err = {0};
    r->machine = machine_new(&r->config, &err);
    if (!r->machine)
        fail_msg("%s", err.text);
}

static void rig_init(struct rig *r, const u8 *code, const u8 *end, struct machine_config extra)
{
    struct err err = {0};
    *r = (struct rig){.config = extra};
    r->config.memory = 8 * MIB;
    r->config.cpus = extra.cpus ? extra.cpus : 1;
    r->config.engine = &ENGINE;
    r->config.serial = (struct serial_sink){.tx = serial_tx, .opaque = r};
    r->source.kernel = (struct boot_file){image_of(code, (size_t)(end - code)), "guest", NULL};
    rig_make(r);
    if (machine_boot(r->machine, &r->source, &err))
        fail_msg("%s", err.text);
}

static void rig_free(struct rig *r)
{
    machine_free(r->machine);
    close(r->source.kernel.fd);
}

static void expect(struct rig *r, enum machine_end end, const char *out)
{
    struct machine_result got = machine_run(r->machine);
    if (got.end != end)
        fail_msg("ended with %d (%s), not %d", got.end, got.text, end);
    assert_string_equal(r->out, out);
}

static void hello(void **state)
{
    RIG(r, guest_hello, 0);
    expect(&r, MACHINE_POWERED_OFF, "hi");
    rig_free(&r);
}

static void *run_in_thread(void *opaque)
{
    struct machine_result *res = malloc(sizeof(*res));
    *res = machine_run(((struct rig *)opaque)->machine);
    return res;
}

static void two_in_one_process(void **state)
{
    RIG(a, guest_hello, 0);
    RIG(b, guest_panic, .vendor = VENDOR_AMD);
    pthread_t ta, tb;
    void *ra, *rb;
    pthread_create(&ta, NULL, run_in_thread, &a);
    pthread_create(&tb, NULL, run_in_thread, &b);
    pthread_join(ta, &ra);
    pthread_join(tb, &rb);
    assert_int_equal(((struct machine_result *)ra)->end, MACHINE_POWERED_OFF);
    assert_int_equal(((struct machine_result *)rb)->end, MACHINE_PANIC);
    assert_string_equal(a.out, "hi");
    free(ra);
    free(rb);
    rig_free(&a);
    rig_free(&b);
}

/* AMD's processors leave none behind (APM 2 15.14.3), and KVM starts the vCPU's state afresh. */
static bool tells_registers(void)
{
    enum cpu_vendor host;
    return !ENGINE.own_lapics || (cpu_model_host_vendor(&host) && host == VENDOR_INTEL);
}

static void triple_fault(void **state)
{
    RIG(r, guest_triple, 0);
    struct machine_result got = machine_run(r.machine);
    assert_int_equal(got.end, MACHINE_TRIPLE_FAULT);
    assert_non_null(strstr(got.text, tells_registers() ? "rip=0x100020" : "rip="));
    rig_free(&r);
}

static void debug_exit(void **state)
{
    RIG(r, guest_debug_exit, .test_devices = true);
    struct machine_result got = machine_run(r.machine);
    assert_int_equal(got.end, MACHINE_DEBUG_EXIT);
    assert_int_equal(got.code, 21 << 1 | 1);
    rig_free(&r);
}

static void reset_boots_again(void **state)
{
    RIG(r, guest_reset, 0);
    r.stop_after = 5;
    expect(&r, MACHINE_STOPPED, "BBBBB");
    rig_free(&r);
}

static void no_reboot(void **state)
{
    RIG(r, guest_reset, .no_reboot = true);
    expect(&r, MACHINE_RESET, "B");
    rig_free(&r);
}

static void second_processor(void **state)
{
    RIG(r, guest_smp, .cpus = 2);
    expect(&r, MACHINE_POWERED_OFF, "A");
    rig_free(&r);
}

static void one_wall_clock_for_all(void **state)
{
    RIG(r, guest_wall_clock, .cpus = 2, .wall_ns = 1700000000000000000ull);
    expect(&r, MACHINE_POWERED_OFF, "W");
    rig_free(&r);
}

static void timer_ends_halt(void **state)
{
    RIG(r, guest_timer, 0);
    expect(&r, MACHINE_POWERED_OFF, "T");
    assert_true(clock_now(machine_clock(r.machine)) >= 20000000);
    rig_free(&r);
}

static void old_interrupt_controller(void **state)
{
    RIG(r, guest_pic, 0);
    expect(&r, MACHINE_POWERED_OFF, "PPP");
    rig_free(&r);
}

static void level_until_lowered(void **state)
{
    RIG(r, guest_level, .test_devices = true);
    expect(&r, MACHINE_POWERED_OFF, "LLL");
    rig_free(&r);
}

static void odd_accesses(void **state)
{
    RIG(r, guest_odd_access, 0);
    expect(&r, MACHINE_POWERED_OFF, "FS");
    rig_free(&r);
}

static void strings_to_ports(void **state)
{
    RIG(r, guest_string, 0);
    expect(&r, MACHINE_POWERED_OFF, "bytes!");
    rig_free(&r);
}

#ifndef ENGINE_KVM /* which counts no instructions */
static void counted_clock_repeats(void **state)
{
    u64 now[2];
    for (unsigned i = 0; i < 2; i++) {
        RIG(r, guest_timer, .options.icount = true);
        expect(&r, MACHINE_POWERED_OFF, "T");
        now[i] = clock_now(machine_clock(r.machine));
        rig_free(&r);
    }
    assert_int_equal(now[0], now[1]);
    assert_in_range(now[0], 20000000, 21000000);
}
#endif

/* ---- sleeping, pausing ---- */

static u64 thread_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (u64)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct stopper {
    struct timer timer;
    struct machine *machine;
};

static void stop_now(void *opaque)
{
    machine_stop(((struct stopper *)opaque)->machine);
}

static void idle_costs_nothing(void **state)
{
    RIG(r, guest_idle, 0);
    struct stopper s = {.machine = r.machine};
    timer_init(&s.timer, machine_clock(r.machine), stop_now, &s);
    timer_arm(&s.timer, 500000000);
    u64 before = thread_cpu_ns();
    expect(&r, MACHINE_STOPPED, "");
    assert_in_range(thread_cpu_ns() - before, 0, IDLE_MOST_NS); /* of half a second */
    rig_free(&r);
}

struct nmi_button {
    struct rig *rig;
    struct timer timer;
};

/* Once the guest says that it is ready, however late its thread comes. */
static void press_nmi(void *opaque)
{
    struct nmi_button *b = opaque;
    if (__atomic_load_n(&b->rig->len, __ATOMIC_ACQUIRE))
        machine_nmi(b->rig->machine);
    else
        timer_arm(&b->timer, clock_now(machine_clock(b->rig->machine)) + 20000000);
}

static void nmi_ends_halt(void **state)
{
    RIG(r, guest_nmi, 0);
    struct nmi_button b = {.rig = &r};
    timer_init(&b.timer, machine_clock(r.machine), press_nmi, &b);
    timer_arm(&b.timer, 20000000);
    expect(&r, MACHINE_POWERED_OFF, "HN");
    rig_free(&r);
}

static void pause_and_stop(void *opaque)
{
    struct machine *m = ((struct stopper *)opaque)->machine;
    for (unsigned i = 0; i < 100; i++) {
        machine_pause(m);
        u64 then = clock_now(machine_clock(m));
        struct accel_stats a, b;
        machine_stats(m, 1, &a);
        usleep(100);
        machine_stats(m, 1, &b);
        assert_int_equal(a.retired, b.retired);
        assert_int_equal(clock_now(machine_clock(m)), then);
        machine_resume(m);
    }
    machine_stop(m);
}

static void pause_stands_still(void **state)
{
    RIG(r, guest_spin, .cpus = 2);
    struct stopper s = {.machine = r.machine};
    timer_init(&s.timer, machine_clock(r.machine), pause_and_stop, &s);
    timer_arm(&s.timer, 1000000);
    expect(&r, MACHINE_STOPPED, "");
    rig_free(&r);
}

/* ---- a hypervisor in the guest ---- */

/* ---- saved state ---- */

struct saver {
    struct timer timer;
    struct rig *rig;
    struct state_image image;
    bool saved;
};

static void save_and_stop(void *opaque)
{
    struct saver *s = opaque;
    struct err err = {0};
    machine_pause(s->rig->machine);
    if (machine_save(s->rig->machine, &s->image, &err))
        fail_msg("%s", err.text);
    s->saved = true;
    machine_stop(s->rig->machine); /* still paused: the guest executes nothing after the save */
    machine_resume(s->rig->machine);
}

static void save_in_the_middle(void **state)
{
    RIG(whole, guest_sum, 0);
    expect(&whole, MACHINE_POWERED_OFF, whole.out);
    assert_int_equal(whole.len, 40);
    u64 duration = clock_now(machine_clock(whole.machine));
    unsigned saves = 0;
    srand(7);
    for (unsigned i = 0; i < 12 || (saves < 4 && i < 100); i++) {
        RIG(r, guest_sum, 0);
        struct saver s = {.rig = &r};
        timer_init(&s.timer, machine_clock(r.machine), save_and_stop, &s);
        timer_arm(&s.timer, 1 + (u64)rand() * duration / RAND_MAX);
        bool over = machine_run(r.machine).end == MACHINE_POWERED_OFF; /* saved, if at all, after its end */
        timer_cancel(&s.timer);
        machine_free(r.machine);
        struct err err = {0};
        if (over) /* the first run was slower, on a busy host */
            duration = duration * 3 / 4 + 1;
        if (s.saved && !over) {
            saves++;
            rig_make(&r);
            if (machine_restore(r.machine, &s.image, &err))
                fail_msg("%s", err.text);
            assert_int_equal(machine_run(r.machine).end, MACHINE_POWERED_OFF);
            machine_free(r.machine);
        }
        assert_string_equal(r.out, whole.out);
        close(r.source.kernel.fd);
        state_free(&s.image);
    }
    assert_true(saves > 3);
    rig_free(&whole);
}

static void damaged_state_is_refused(void **state)
{
    RIG(r, guest_idle, 0);
    struct state_image img = {0};
    struct err err = {0};
    assert_int_equal(machine_save(r.machine, &img, &err), 0);
    size_t len = img.len;
    for (img.len = 0; img.len < len; img.len += 1 + len / DAMAGES) {
        struct rig copy = r;
        struct err refused = {0};
        rig_make(&copy);
        assert_int_equal(machine_restore(copy.machine, &img, &refused), -1);
        assert_int_equal(refused.status, EXIT_STATUS_USAGE);
        machine_free(copy.machine);
    }
    img.len = len;
    struct rig bigger = r;
    bigger.config.memory = 9 * MIB;
    rig_make(&bigger);
    assert_int_equal(machine_restore(bigger.machine, &img, &err), -1);
    assert_non_null(strstr(err.text, "had 8 MiB"));
    machine_free(bigger.machine);
    state_free(&img);
    rig_free(&r);
}

/* What has come since the start is saved with the rest, block by block. */
static void growth_is_saved(void **state)
{
    const u64 base = 4 * GIB, block = 4 * MIB;
    RIG(r, guest_idle, .memory_most = 100 * MIB);
    struct state_image img = {0};
    struct err err = {0};
    struct machine_ram ram;
    space_plug(machine_memory(r.machine), base + 2 * block, 3 * block);
    assert_int_equal(space_write(machine_memory(r.machine), base + 4 * block + 8, "came later", 11), 0);
    assert_int_equal(space_write(machine_memory(r.machine), base, "x", 1), -1);
    assert_int_equal(machine_save(r.machine, &img, &err), 0);
    struct rig copy = r;
    char text[11];
    rig_make(&copy);
    if (machine_restore(copy.machine, &img, &err))
        fail_msg("%s", err.text);
    struct space *s = machine_memory(copy.machine);
    assert_int_equal(space_plugged(s, base, 100 * MIB), 3 * block);
    assert_int_equal(space_plugged(s, base + 2 * block, 3 * block), 3 * block);
    assert_int_equal(space_read(s, base + 4 * block + 8, text, sizeof(text)), 0);
    assert_string_equal(text, "came later");
    machine_ram_state(copy.machine, &ram);
    assert_int_equal(ram.assigned, 8 * MIB + 3 * block);
    assert_int_equal(ram.most, 8 * MIB + 128 * MIB);
    machine_free(copy.machine);
    copy.config.memory_most = 0;
    rig_make(&copy);
    assert_int_equal(machine_restore(copy.machine, &img, &err), -1);
    assert_non_null(strstr(err.text, "had 8 MiB of at most 136, "));
    assert_non_null(strstr(err.text, "has 8 of 8, "));
    machine_free(copy.machine);
    state_free(&img);
    rig_free(&r);
}

static void impossible_machines(void **state)
{
    struct machine_config c = {.memory = 8 * MIB, .cpus = 0, .engine = &ENGINE};
    struct err err = {0};
    assert_null(machine_new(&c, &err));
    assert_int_equal(err.status, EXIT_STATUS_USAGE);
    c.cpus = 2;
    c.options.icount = true;
    err = (struct err){0};
    assert_null(machine_new(&c, &err));
    assert_int_equal(err.status, EXIT_STATUS_USAGE);
    c.options.icount = false;
    c.memory = 8 * MIB + 1;
    err = (struct err){0};
    assert_null(machine_new(&c, &err));
    assert_int_equal(err.status, EXIT_STATUS_USAGE);
}

static bool engine_is_here(void)
{
    struct err err = {0};
    if (!ENGINE.own_lapics)
        return true;
    int fd = kvm_open(&err);
    if (fd < 0)
        printf("skipped: %s\n", err.text);
    else
        close(fd);
    return fd >= 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello),
        cmocka_unit_test(two_in_one_process),
        cmocka_unit_test(triple_fault),
        cmocka_unit_test(debug_exit),
        cmocka_unit_test(reset_boots_again),
        cmocka_unit_test(no_reboot),
        cmocka_unit_test(second_processor),
        cmocka_unit_test(one_wall_clock_for_all),
        cmocka_unit_test(timer_ends_halt),
        cmocka_unit_test(old_interrupt_controller),
        cmocka_unit_test(level_until_lowered),
        cmocka_unit_test(odd_accesses),
        cmocka_unit_test(strings_to_ports),
#ifndef ENGINE_KVM
        cmocka_unit_test(counted_clock_repeats),
#endif
        cmocka_unit_test(idle_costs_nothing),
        cmocka_unit_test(nmi_ends_halt),
        cmocka_unit_test(pause_stands_still),
        cmocka_unit_test(save_in_the_middle),
        cmocka_unit_test(damaged_state_is_refused),
        cmocka_unit_test(growth_is_saved),
        cmocka_unit_test(impossible_machines),
    };
    return engine_is_here() ? cmocka_run_group_tests(tests, NULL, NULL) : 77; /* meson: skipped */
}
