/* SPDX-License-Identifier: MIT */
/*
 * The two functions every Q35 machine has: the host bridge, which places ECAM (Q35 5.1.17), and the LPC
 * bridge, by which Linux knows the chip set and finds the ACPI registers. The chips behind the LPC bridge are
 * dev/chip/'s.
 */
#include "dev/pci/bus.h"

#include <linux/pci_regs.h>
#include <stdlib.h>

#define PCIEXBAR 0x60
#define PMBASE   0x40
#define ACPI_CTL 0x44
#define PIRQ_A   0x60
#define PIRQ_E   0x68

/* --- host bridge --- */

/* Length field 0, 256 MiB, is the only one offered: the register keeps it so. */
static void place_ecam(struct pci_function *f)
{
    u64 reg = load_le(f->config + PCIEXBAR, 8);
    pci_bus_move_ecam(f->bus, reg & 1 ? reg & ~(PCI_ECAM_SIZE - 1) : 0);
}

static void host_written(struct pci_function *f, unsigned off, unsigned size)
{
    if (off < PCIEXBAR + 8 && PCIEXBAR < off + size)
        place_ecam(f);
}

static void host_reset(struct dev *d)
{
    struct pci_function *f = (struct pci_function *)d;
    pci_function_reset(f);
    place_ecam(f);
}

static void function_destroy(struct dev *d)
{
    struct pci_function *f = (struct pci_function *)d;
    pci_function_fini(f);
    free(f);
}

static int host_loaded(void *obj)
{
    struct pci_function *f = obj;
    pci_function_loaded(f);
    place_ecam(f);
    return 0;
}

static const struct state_field function_fields[] = {
    STATE_ARRAY(struct pci_function, config),
    STATE_END,
};

static const struct state_desc host_state = {
    .name = "pci-host", .fields = function_fields, .loaded = host_loaded};

static const struct dev_class host_class = {
    .name = "pci-host",
    .reset = host_reset,
    .destroy = function_destroy,
    .state = &host_state,
};

static const struct pci_function_ops host_ops = {.config_written = host_written};

static struct pci_function *function_new(const struct dev_class *class, const struct dev_env *env,
                                         struct pci_bus *bus, u8 devfn, const struct pci_ident *id,
                                         const struct pci_function_ops *ops, struct err *err)
{
    struct pci_function *f = calloc(1, sizeof(*f));
    if (!f) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for a PCI device");
        return NULL;
    }
    if (pci_function_init(f, class, env, bus, devfn, id, ops, err) < 0) {
        free(f);
        return NULL;
    }
    return f;
}

struct dev *pci_host_bridge_new(const struct dev_env *env, struct pci_bus *bus, struct err *err)
{
    static const struct pci_ident id = {.vendor = 0x8086, .device = 0x29c0, .class_code = 0x060000};
    struct pci_function *f = function_new(&host_class, env, bus, 0, &id, &host_ops, err);
    if (!f)
        return NULL;
    store_le(f->initial + PCIEXBAR, 8, PCI_ECAM_BASE | 1);
    store_le(f->writable + PCIEXBAR, 8, 0xff0000000ull | 1);
    host_reset(&f->dev);
    if (bus->ecam)
        return &f->dev;
    err_set(err, EXIT_STATUS_HOST, "guest memory reaches into 0x%llx, the PCI configuration window",
            (unsigned long long)PCI_ECAM_BASE);
    function_destroy(&f->dev);
    return NULL;
}

/* --- LPC bridge --- */

static void lpc_reset(struct dev *d)
{
    pci_function_reset((struct pci_function *)d);
}

static int lpc_loaded(void *obj)
{
    pci_function_loaded(obj);
    return 0;
}

static const struct state_desc lpc_state = {
    .name = "pci-lpc", .fields = function_fields, .loaded = lpc_loaded};

static const struct dev_class lpc_class = {
    .name = "pci-lpc",
    .reset = lpc_reset,
    .destroy = function_destroy,
    .state = &lpc_state,
};

struct dev *pci_lpc_new(const struct dev_env *env, struct pci_bus *bus, u16 pm_base, struct err *err)
{
    static const struct pci_ident id = {
        .vendor = 0x8086, .device = 0x2918, .class_code = 0x060100, .revision = 2};
    struct pci_function *f = function_new(&lpc_class, env, bus, 0x1f << 3, &id, NULL, err);
    if (!f)
        return NULL;
    store_le(f->initial + PMBASE, 4, (pm_base & 0xff80) | 1);
    f->initial[ACPI_CTL] = 0x80;          /* decoded */
    memset(f->initial + PIRQ_A, 0x80, 4); /* no PIRQ goes to the 8259s: 0x80 is "not routed" */
    memset(f->initial + PIRQ_E, 0x80, 4);
    lpc_reset(&f->dev);
    return &f->dev;
}
