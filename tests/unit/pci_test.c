/* SPDX-License-Identifier: MIT */
/* The PCI bus, seen from a guest: both configuration mechanisms, BARs, MSI-X, INTx, the reset register. */
#include "virtio_rig.h"

#include "dev/pci/pci_testdev.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define DEVFN (RIG_SLOT << 3)

struct toy {
    struct pci_function pci;
    u64 mem, io; /* registers */
};

static u64 mem_read(void *dev, u64 off, unsigned size)
{
    return ((struct toy *)dev)->mem + off;
}

static void mem_write(void *dev, u64 off, unsigned size, u64 v)
{
    ((struct toy *)dev)->mem = v;
}

static u64 io_read(void *dev, u64 off, unsigned size)
{
    return ((struct toy *)dev)->io;
}

static void io_write(void *dev, u64 off, unsigned size, u64 v)
{
    ((struct toy *)dev)->io = v;
}

static void toy_reset(struct dev *d)
{
    pci_function_reset((struct pci_function *)d);
}

static void toy_destroy(struct dev *d)
{
    pci_function_fini((struct pci_function *)d);
    free(d);
}

static int toy_loaded(void *obj)
{
    pci_function_loaded(obj);
    return 0;
}

static const struct region_ops mem_ops = {.read = mem_read, .write = mem_write};
static const struct region_ops io_ops = {.read = io_read, .write = io_write};
static const struct state_field toy_fields[] = {PCI_FUNCTION_STATE(struct toy, pci), STATE_END};
static const struct state_desc toy_state = {.name = "toy", .fields = toy_fields, .loaded = toy_loaded};
static const struct dev_class toy_class = {"toy", toy_reset, toy_destroy, &toy_state};

static struct toy *toy(struct rig *r)
{
    return (struct toy *)r->dev;
}

static int set_up(void **state)
{
    static const struct pci_ident id = {
        .vendor = 0x1234, .device = 0x5678, .class_code = 0xff0000, .intx_pin = 1, .revision = 9};
    struct rig *r = malloc(sizeof(*r));
    rig_open(r, CLOCK_MODE_ICOUNT);
    struct toy *t = calloc(1, sizeof(*t));
    assert_int_equal(pci_function_init(&t->pci, &toy_class, &r->env, r->bus, DEVFN, &id, NULL, &r->err), 0);
    pci_add_bar(&t->pci, 0, 0x10000, false, true, &mem_ops, t);
    pci_add_bar(&t->pci, 2, 32, true, false, &io_ops, t);
    pci_add_bar(&t->pci, 3, 0x1000, false, false, &mem_ops, t);
    pci_add_msix(&t->pci, 5, 3);
    pci_function_reset(&t->pci);
    r->dev = &t->pci.dev;
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    rig_close(*state);
    free(*state);
    return 0;
}

static void identity_is_shown_by_both_mechanisms(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_config(r, DEVFN, 0, 4), 0x56781234);
    assert_int_equal(rig_config(r, DEVFN, 2, 2), 0x5678);
    assert_int_equal(rig_config(r, DEVFN, 8, 4), 0xff000009);
    assert_int_equal(rig_in(r->env.memory, PCI_ECAM_BASE + (DEVFN << 12), 4), 0x56781234);
    assert_int_equal(rig_in(r->env.memory, PCI_ECAM_BASE + (DEVFN << 12) + 3, 1), 0x56);
    assert_int_equal(rig_in(r->env.memory, PCI_ECAM_BASE + (DEVFN << 12) + 0x100, 4), 0);
    assert_int_equal(rig_config(r, 0, 0, 4), 0x29c08086);
}

static void absent_functions_read_as_ones(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_config(r, DEVFN + 1, 0, 4), 0xffffffff);
    assert_int_equal(rig_in(r->env.memory, PCI_ECAM_BASE + (1 << 20), 4), 0xffffffff);
    rig_out(r->env.ports, 0xcf8, 4, BIT(31) | 1 << 16);
    assert_int_equal(rig_in(r->env.ports, 0xcfc, 4), 0xffffffff);
    rig_out(r->env.ports, 0xcf8, 4, 0); /* enable bit off */
    assert_int_equal(rig_in(r->env.ports, 0xcfc, 4), 0xffffffff);
}

static void read_only_bytes_stay(void **state)
{
    struct rig *r = *state;
    for (unsigned off = 0; off < 256; off += 4)
        if (off != PCI_COMMAND)
            rig_config_write(r, DEVFN, off, 4, 0xffffffff);
    assert_int_equal(rig_config(r, DEVFN, 0, 4), 0x56781234);
    assert_int_equal(rig_config(r, DEVFN, 8, 4), 0xff000009);
    assert_int_equal(rig_config(r, DEVFN, PCI_INTERRUPT_PIN, 1), 1);
}

static void bars_tell_their_size(void **state)
{
    struct rig *r = *state;
    const u32 want[6] = {0xffff0004, 0xffffffff, 0xffffffe1, 0xfffff000, 0, 0xfffff000};
    for (unsigned n = 0; n < 6; n++) {
        rig_config_write(r, DEVFN, PCI_BASE_ADDRESS_0 + 4 * n, 4, 0xffffffff);
        assert_int_equal(rig_config(r, DEVFN, PCI_BASE_ADDRESS_0 + 4 * n, 4), want[n]);
    }
}

static void bars_are_decoded_and_move(void **state)
{
    struct rig *r = *state;
    toy(r)->mem = 0x1000;
    rig_config_write(r, DEVFN, PCI_BASE_ADDRESS_0, 4, 0x40000000);
    rig_config_write(r, DEVFN, PCI_BASE_ADDRESS_1, 4, 1);
    assert_int_equal(rig_in(r->env.memory, 0x140000008, 4), 0xffffffff); /* memory decoding is off */
    rig_config_write(r, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(rig_in(r->env.memory, 0x140000008, 4), 0x1008);
    rig_config_write(r, DEVFN, PCI_BASE_ADDRESS_1, 4, 2);
    assert_int_equal(rig_in(r->env.memory, 0x140000008, 4), 0xffffffff);
    assert_int_equal(rig_in(r->env.memory, 0x240000008, 4), 0x1008);
    rig_config_write(r, DEVFN, PCI_COMMAND, 2, 0);
    assert_int_equal(rig_in(r->env.memory, 0x240000008, 4), 0xffffffff);
}

static void io_bar_works(void **state)
{
    struct rig *r = *state;
    rig_config_write(r, DEVFN, PCI_BASE_ADDRESS_2, 4, 0xc000);
    rig_config_write(r, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_IO);
    rig_out(r->env.ports, 0xc004, 2, 0xabcd);
    assert_int_equal(toy(r)->io, 0xabcd);
    rig_config_write(r, DEVFN, PCI_BASE_ADDRESS_2, 4, 0x1c000); /* beyond the ports */
    assert_int_equal(rig_in(r->env.ports, 0xc004, 2), 0xffff);
}

static void bar_over_ram_is_not_decoded(void **state)
{
    struct rig *r = *state;
    toy(r)->mem = 0x5555;
    rig_config_write(r, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    rig_config_write(r, DEVFN, PCI_BASE_ADDRESS_3, 4, 0x10000);
    rig_out(r->env.memory, 0x10000, 4, 7);
    assert_int_equal(toy(r)->mem, 0x5555);
    rig_config_write(r, DEVFN, PCI_BASE_ADDRESS_3, 4, (u32)PCI_ECAM_BASE); /* taken by a device */
    assert_int_equal(rig_in(r->env.memory, PCI_ECAM_BASE, 4), 0x29c08086);
    rig_config_write(r, DEVFN, PCI_BASE_ADDRESS_3, 4, 0xd0000000);
    assert_int_equal(rig_in(r->env.memory, 0xd0000000, 4), 0x5555);
}

static void bar_waits_for_its_address(void **state)
{
    struct rig *r = *state;
    struct dev *other = pci_testdev_new(&r->env, r->bus, 6, &r->err);
    rig_config_write(r, 6 << 3, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
    rig_config_write(r, 6 << 3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    rig_config_write(r, DEVFN, PCI_BASE_ADDRESS_3, 4, 0xd0000000);
    rig_config_write(r, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    toy(r)->mem = 0x4321;
    rig_out(r->env.memory, 0xd0000000, 1, 0);
    assert_int_equal(rig_in(r->env.memory, 0xd0000008, 4), 0xfa); /* the testdev's */
    rig_config_write(r, 6 << 3, PCI_BASE_ADDRESS_0, 4, 0xd0001000);
    assert_int_equal(rig_in(r->env.memory, 0xd0000008, 4), 0x4321 + 8);
    assert_int_equal(rig_in(r->env.memory, 0xd0001008, 4), 0xfa);
    /* Behind ECAM, which then goes away. */
    rig_config_write(r, DEVFN, PCI_BASE_ADDRESS_3, 4, (u32)PCI_ECAM_BASE);
    assert_int_equal(rig_in(r->env.memory, PCI_ECAM_BASE, 4), 0x29c08086);
    rig_config_write(r, 0, 0x60, 4, 0xe0000001);
    assert_int_equal(rig_in(r->env.memory, PCI_ECAM_BASE, 4), 0x4321);
    other->class->destroy(other);
}

static void assignment_gives_disjoint_addresses(void **state)
{
    struct rig *r = *state;
    rig_assign(r);
    u64 a = rig_bar(r, 0), b = rig_bar(r, 3), c = rig_bar(r, 5);
    assert_int_equal(a % 0x10000, 0);
    assert_true(a >= RIG_MEM && b >= a + 0x10000 && c >= b + 0x1000);
    toy(r)->mem = 1;
    assert_int_equal(rig_in(r->env.memory, b, 4), 1);
    struct pci_windows tiny = {.mem = {RIG_MEM, RIG_MEM + 0x1000}, .io = {0xc000, 0xd000}};
    struct err err = {0};
    assert_int_equal(pci_bus_assign(r->bus, &tiny, &err), -1);
    assert_int_equal(err.status, EXIT_STATUS_USAGE);
}

static void ecam_moves(void **state)
{
    struct rig *r = *state;
    rig_config_write(r, 0, 0x60, 4, 0xe0000001);
    assert_int_equal(rig_in(r->env.memory, PCI_ECAM_BASE, 4), 0xffffffff);
    assert_int_equal(rig_in(r->env.memory, 0xe0000000, 4), 0x29c08086);
    rig_out(r->env.memory, 0xe0000000 + 0x60, 4, 0xc0000001); /* through itself */
    assert_int_equal(rig_in(r->env.memory, 0xc0000000, 4), 0x29c08086);
    rig_config_write(r, 0, 0x60, 4, 0xc0000000);
    assert_int_equal(rig_in(r->env.memory, 0xc0000000, 4), 0xffffffff);
}

static void msix_masks_and_pends(void **state)
{
    struct rig *r = *state;
    struct pci_function *f = &toy(r)->pci;
    rig_assign(r);
    u64 table = rig_bar(r, 5);
    pci_msix_raise(f, 1);
    assert_int_equal(r->msi_count, 0); /* off */
    rig_config_write(r, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    rig_msix(r, 3);
    pci_msix_raise(f, 1);
    assert_int_equal(r->msi_count, 1);
    assert_int_equal(r->msi_last, 1);
    rig_out(r->env.memory, table + 16 + 12, 4, 1);
    pci_msix_raise(f, 1);
    pci_msix_raise(f, 1);
    assert_int_equal(r->msi_count, 1);
    assert_int_equal(rig_in(r->env.memory, table + 0x800, 8), 2);
    rig_out(r->env.memory, table + 16 + 12, 4, 0);
    assert_int_equal(r->msi_count, 2); /* once */
    assert_int_equal(rig_in(r->env.memory, table + 0x800, 8), 0);
    u8 flags = f->msix_cap + PCI_MSIX_FLAGS;
    rig_config_write(r, DEVFN, flags, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    pci_msix_raise(f, 2);
    assert_int_equal(r->msi_count, 2);
    rig_config_write(r, DEVFN, flags, 2, PCI_MSIX_FLAGS_ENABLE);
    assert_int_equal(r->msi_count, 3);
    assert_int_equal(r->msi_last, 2);
    pci_msix_raise(f, 3);
    pci_msix_raise(f, 0xffff);
    assert_int_equal(r->msi_count, 3);
    rig_config_write(r, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    pci_msix_raise(f, 2); /* not a bus master */
    assert_int_equal(r->msi_count, 3);
}

static void intx_follows_level_and_disable(void **state)
{
    struct rig *r = *state;
    struct pci_function *f = &toy(r)->pci;
    unsigned wire = RIG_SLOT % 4;
    pci_intx_set(f, 1);
    pci_intx_set(f, 1);
    assert_int_equal(r->wire[wire], 1);
    assert_int_equal(r->wire_edges, 1);
    assert_int_equal(rig_config(r, DEVFN, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
    rig_config_write(r, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
    assert_int_equal(r->wire[wire], 0);
    rig_config_write(r, DEVFN, PCI_COMMAND, 2, 0);
    assert_int_equal(r->wire[wire], 1);
    pci_intx_set(f, 0);
    assert_int_equal(r->wire[wire], 0);
    assert_int_equal(rig_config(r, DEVFN, PCI_INTERRUPT_LINE, 1), 11);
}

static void shared_wire_is_an_or(void **state)
{
    struct rig *r = *state;
    static const struct pci_ident id = {.vendor = 1, .device = 2, .intx_pin = 1};
    struct toy other = {0};
    assert_int_equal(
        pci_function_init(&other.pci, &toy_class, &r->env, r->bus, (RIG_SLOT + 4) << 3, &id, NULL, &r->err),
        0);
    pci_intx_set(&toy(r)->pci, 1);
    pci_intx_set(&other.pci, 1);
    pci_intx_set(&toy(r)->pci, 0);
    assert_int_equal(r->wire[RIG_SLOT % 4], 1);
    pci_intx_set(&other.pci, 0);
    assert_int_equal(r->wire[RIG_SLOT % 4], 0);
    assert_int_equal(
        pci_function_init(&(struct pci_function){0}, &toy_class, &r->env, r->bus, DEVFN, &id, NULL, &r->err),
        -1);
    pci_function_fini(&other.pci);
}

static void reset_register_asks_for_reset(void **state)
{
    struct rig *r = *state;
    rig_out(r->env.ports, 0xcf9, 1, 2);
    assert_int_equal(r->power_count, 0);
    rig_out(r->env.ports, 0xcf9, 1, 6);
    assert_int_equal(r->power_count, 1);
    assert_int_equal(rig_in(r->env.ports, 0xcf9, 1), 6);
    rig_out(r->env.ports, 0xcf8, 4, 0x80000000 | 0x600);
    assert_int_equal(r->power_count, 1); /* a dword is an address */
}

static void state_comes_back_and_hostile_state_is_masked(void **state)
{
    struct rig *r = *state;
    struct state_image img = {0};
    struct pci_function *f = &toy(r)->pci;
    rig_assign(r);
    rig_msix(r, 3);
    f->config[0] = 0x99; /* as if the file had been changed */
    f->msix_pending = ~0ull;
    state_save(&img, &toy_state, 0, r->dev);
    u64 at = rig_bar(r, 3);
    r->dev->class->reset(r->dev);
    assert_int_equal(rig_in(r->env.memory, at, 4), 0xffffffff);
    assert_int_equal(state_load(&img, &toy_state, 0, r->dev, &r->err), 0);
    toy(r)->mem = 0x77;
    assert_int_equal(rig_in(r->env.memory, at, 4), 0x77);
    assert_int_equal(rig_config(r, DEVFN, 0, 4), 0x56781234);
    assert_int_equal(f->msix_pending, 7);
    state_free(&img);
}

static void lpc_shows_pmbase(void **state)
{
    struct rig *r = *state;
    struct dev *lpc = pci_lpc_new(&r->env, r->bus, 0x600, &r->err);
    assert_non_null(lpc);
    assert_int_equal(rig_config(r, 0x1f << 3, 0, 4), 0x29188086);
    assert_int_equal(rig_config(r, 0x1f << 3, 0x40, 4), 0x601);
    lpc->class->destroy(lpc);
    assert_int_equal(rig_config(r, 0x1f << 3, 0, 4), 0xffffffff);
}

/* As test suites do it: select, look, write 16 times, look. */
static unsigned run_testdev(struct space *s, u64 base)
{
    unsigned test = 0;
    for (;; test++) {
        rig_out(s, base, 1, test);
        if (rig_in(s, base + 12, 4) != 0 || rig_in(s, base + 1, 1) != 1)
            return test;
        u64 data = rig_in(s, base + 8, 4), at = base + rig_in(s, base + 4, 4);
        for (unsigned i = 0; i < 16; i++)
            rig_out(s, at, 1, data);
        rig_out(s, at, 1, data ^ 1);
        rig_out(s, at, 2, data);
        assert_int_equal(rig_in(s, base + 12, 4), 16);
        assert_true(rig_in(s, base + 16, 1) >= 'a');
    }
}

static void testdev_counts(void **state)
{
    struct rig *r = *state;
    struct dev *t = pci_testdev_new(&r->env, r->bus, 6, &r->err);
    assert_non_null(t);
    rig_assign(r);
    assert_int_equal(rig_config(r, 6 << 3, 0, 4), 0x00051b36);
    assert_int_equal(run_testdev(r->env.memory, rig_config(r, 6 << 3, PCI_BASE_ADDRESS_0, 4)), 1);
    assert_int_equal(run_testdev(r->env.ports, rig_config(r, 6 << 3, PCI_BASE_ADDRESS_1, 4) & ~3u), 1);
    t->class->destroy(t);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(identity_is_shown_by_both_mechanisms),
        CASE(absent_functions_read_as_ones),
        CASE(read_only_bytes_stay),
        CASE(bars_tell_their_size),
        CASE(bars_are_decoded_and_move),
        CASE(io_bar_works),
        CASE(bar_over_ram_is_not_decoded),
        CASE(bar_waits_for_its_address),
        CASE(assignment_gives_disjoint_addresses),
        CASE(ecam_moves),
        CASE(msix_masks_and_pends),
        CASE(intx_follows_level_and_disable),
        CASE(shared_wire_is_an_or),
        CASE(reset_register_asks_for_reset),
        CASE(state_comes_back_and_hostile_state_is_masked),
        CASE(lpc_shows_pmbase),
        CASE(testdev_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
