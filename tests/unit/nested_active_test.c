/* SPDX-License-Identifier: MIT */
/*
 * "Nested active" of a whole machine, on engine soft (built with ENGINE_KVM: on kvm, where the host nests),
 * with the guests of nested_guests.S.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accel/kvm.h"
#include "vm/machine.h"

#ifdef ENGINE_KVM
#define ENGINE accel_kvm
#else
#define ENGINE accel_soft
#endif

#define MINUTE_NS 60000000000ull

#define GO_ON 0x204000

extern const u8 guest_vmx[], guest_vmx_end[], guest_svm[], guest_svm_end[];

struct guest {
    enum cpu_vendor vendor;
    const u8 *code, *end;
};

struct rig {
    struct machine *machine;
    struct machine_config config;
    struct boot_source source;
    struct timer timer;
    atomic_char said;
    bool looked, seen; /* while it ran: active */
};

static void serial_tx(void *opaque, u8 byte)
{
    struct rig *r = opaque;
    r->said = (char)byte;
}

static int image_of(const u8 *code, size_t len)
{
    u32 flags = 1 << 16 | 2, load = 0x100000;
    u32 header[8] = {0x1badb002, flags, -(0x1badb002 + flags), load, load, 0, 0, 0x100020};
    int fd = memfd_create("guest", 0);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
    assert_int_equal(write(fd, code, len), len);
    return fd;
}

static void rig_make(struct rig *r, enum cpu_vendor vendor)
{
    struct err err = {0};
    r->config = (struct machine_config){.memory = 8 * MIB,
                                        .cpus = 1,
                                        .vendor = vendor,
                                        .nested = true,
                                        .engine = &ENGINE,
                                        .serial = {.tx = serial_tx, .opaque = r}};
    r->machine = machine_new(&r->config, &err);
    if (!r->machine)
        fail_msg("%s", err.text);
}

static void boot(struct rig *r, const u8 *code, const u8 *end)
{
    struct err err = {0};
    r->source.kernel = (struct boot_file){image_of(code, (size_t)(end - code)), "guest", NULL};
    if (machine_boot(r->machine, &r->source, &err))
        fail_msg("%s", err.text);
}

/* On the event loop, while the guest runs: until it has said `until`. */
static void look(struct rig *r, char until)
{
    u8 go_on = 1;
    if (r->said == 'N' && !r->looked) {
        r->looked = true;
        r->seen = machine_nested_active(r->machine);
        if (until != 'N')
            assert_int_equal(space_write(machine_memory(r->machine), GO_ON, &go_on, 1), 0);
    }
    if (r->said == until)
        machine_stop(r->machine);
    timer_arm(&r->timer, clock_now(machine_clock(r->machine)) + 5000000);
}

static void look_for_entry(void *opaque)
{
    look(opaque, 'N');
}

static void look_for_end(void *opaque)
{
    look(opaque, 'W');
}

static void run(struct rig *r, void (*looker)(void *))
{
    timer_init(&r->timer, machine_clock(r->machine), looker, r);
    timer_arm(&r->timer, 0);
    struct machine_result got = machine_run(r->machine);
    timer_cancel(&r->timer);
    if (got.end != MACHINE_STOPPED)
        fail_msg("ended with %d: %s", got.end, got.text);
    assert_true(r->seen);
}

/* A saved machine stays what it is, and forgets no sooner. */
static void check_restored(struct rig *r, enum cpu_vendor vendor)
{
    struct state_image img = {0};
    struct err err = {0};
    struct rig copy = {0};
    rig_make(&copy, vendor);
    assert_int_equal(machine_save(r->machine, &img, &err), 0);
    if (machine_restore(copy.machine, &img, &err))
        fail_msg("%s", err.text);
    assert_true(machine_nested_active(copy.machine));
    machine_free(copy.machine);
    state_free(&img);
}

/* Memory is where it is while active; after, only the missing driver is in the way of a move. */
static void check_memory(struct rig *r, bool active)
{
    struct machine_ram now;
    struct err err = {0};
    machine_ram_state(r->machine, &now);
    assert_int_equal(now.frozen, active);
    assert_int_equal(now.assigned, now.size);
    assert_int_equal(machine_ram_move(r->machine, now.size - MIB, &err), -1);
    assert_non_null(strstr(err.text, active ? "nested virtualization is active" : "driver is not loaded"));
    err = (struct err){0};
    assert_int_equal(machine_ram_move(r->machine, now.size + MIB, &err), -1);
    assert_non_null(strstr(err.text, active ? "nested virtualization is active" : "can grow to"));
}

static void begin(struct rig *r, const struct guest *g)
{
    *r = (struct rig){0};
    rig_make(r, g->vendor);
    boot(r, g->code, g->end);
    assert_false(machine_nested_active(r->machine));
}

static void end(struct rig *r)
{
    machine_free(r->machine);
    close(r->source.kernel.fd);
}

static void active_for_a_minute(void **state)
{
    const struct guest *g = *state;
    struct rig r;
    begin(&r, g);
    run(&r, look_for_entry);
    struct clock *c = machine_clock(r.machine); /* stands */
    check_restored(&r, g->vendor);
    u64 at = clock_now(c);
    clock_set(c, at + MINUTE_NS - 5000000000);
    assert_true(machine_nested_active(r.machine));
    check_memory(&r, true);
    clock_set(c, at + MINUTE_NS + 1);
    assert_false(machine_nested_active(r.machine));
    check_memory(&r, false);
    end(&r);
}

static void over_when_switched_off(void **state)
{
    struct rig r;
    begin(&r, *state);
    run(&r, look_for_end);
    assert_false(machine_nested_active(r.machine));
    end(&r);
}

static const char *cannot(enum cpu_vendor vendor)
{
#ifdef ENGINE_KVM
    static struct accel_limits limits;
    static struct err err;
    struct accel_options o = {0};
    return ENGINE.limits(&o, &limits, &err) ? err.text : limits.no_nested[vendor];
#else
    return "";
#endif
}

static int test_guest(const struct guest *g)
{
    void *state = (void *)g;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(active_for_a_minute, state),
        cmocka_unit_test_prestate(over_when_switched_off, state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    const struct guest guests[] = {{VENDOR_INTEL, guest_vmx, guest_vmx_end},
                                   {VENDOR_AMD, guest_svm, guest_svm_end}};
    int failed = 0;
    unsigned ran = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(guests); i++) {
        const char *why = cannot(guests[i].vendor);
        if (why[0]) {
            printf("not on this host: %s\n", why);
            continue;
        }
        failed += test_guest(&guests[i]);
        ran++;
    }
    return ran ? failed : 77; /* meson: skipped */
}
