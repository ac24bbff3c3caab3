/* SPDX-License-Identifier: MIT */
/*
 * PCI: one root bus, its functions, and what they share (BARs, capabilities, MSI-X, INTx).
 *
 * The bus answers configuration accesses through ports 0xcf8/0xcfc and through ECAM (MMCONFIG), looks up the
 * function and hands the access on under that function's lock. A function is an ordinary `struct dev` with
 * 256 bytes of configuration space described by masks: which bits the guest may write, which it clears by
 * writing ones.
 *
 * Port 0xcf9 lies inside 0xcf8..0xcfb, so the reset control register (ICH9 13.7.5) is here too: nobody else
 * may claim it.
 *
 * Locks: the bus's, then a function's; never the other way. The bus has one more, innermost but for the
 * interrupt controller's, for the INTx wires. Functions are destroyed before the bus, with the event loop at
 * rest.
 *
 * Never: trust a configuration byte for a length, an index or an offset. They are the guest's to show, not
 * ours.
 */
#ifndef DEV_PCI_PCI_H
#define DEV_PCI_PCI_H

#include "dev/dev.h"

#define PCI_ECAM_BASE 0xb0000000ull /* where ECAM lies after reset; the guest may move it (PCIEXBAR) */
#define PCI_ECAM_SIZE (256 * MIB)   /* buses 0..255, of which only bus 0 has anybody */
#define PCI_MSIX_MAX  64            /* vectors a function may have */

struct pci_bus;
struct pci_function;

struct pci_host_config {
    struct irq_line
        intx[4];    /* wires; slot s, pin p (A = 0) drives wire (s + p) % 4. Give _PRT the same rule */
    u8 intx_irq[4]; /* what Interrupt Line shows after reset for the wire (the board as firmware) */
};

/* The bus with the config mechanisms, empty. Free it through pci_bus_dev()'s class->destroy. */
struct pci_bus *pci_bus_new(const struct dev_env *env, const struct pci_host_config *cfg, struct err *err);
struct dev *pci_bus_dev(struct pci_bus *bus);

/* 00:00.0, Q35's memory controller hub 8086:29c0, with PCIEXBAR. */
struct dev *pci_host_bridge_new(const struct dev_env *env, struct pci_bus *bus, struct err *err);
/* 00:1f.0, ICH9's LPC bridge 8086:2918, an identity: shows pm_base as PMBASE (ports pm_base..pm_base+0x7f).
 */
struct dev *pci_lpc_new(const struct dev_env *env, struct pci_bus *bus, u16 pm_base, struct err *err);

/* What firmware does: gives every BAR an address and switches decoding on. After reset when no firmware runs.
 */
struct pci_window {
    u64 base, end; /* end: one past */
};
struct pci_windows {
    struct pci_window mem, io; /* mem: below 4 GiB */
};
int must_check pci_bus_assign(struct pci_bus *bus, const struct pci_windows *w, struct err *err);

/* --- for functions --- */

struct pci_ident {
    u16 vendor, device, sub_vendor, sub_device;
    u32 class_code; /* 24 bits: base class, subclass, interface */
    u8 revision;
    u8 intx_pin; /* 0 none, 1 INTA */
    bool multifunction;
};

struct pci_function_ops {
    /* All optional, with the function's lock held. config_read may bring config[] up to date before it is
     * read. */
    void (*config_read)(struct pci_function *f, unsigned off, unsigned size);
    void (*config_written)(struct pci_function *f, unsigned off, unsigned size);
};

struct pci_bar {
    u64 size;   /* 0: none; a power of two >= 16 (memory) or >= 4 (I/O) */
    u64 mapped; /* guest address now decoded, 0 none */
    const struct region_ops *ops;
    void *opaque;
    bool io, is64;
};

struct pci_function {
    struct dev dev; /* first */
    struct pci_bus *bus;
    const struct pci_function_ops *ops;
    u8 devfn;
    u8 cap_end;       /* first byte behind the last capability */
    u8 cap_last;      /* offset of the last capability; 0 none */
    u8 msix_cap;      /* offset of the MSI-X capability; 0 none */
    u8 intx_level;    /* what this function drives */
    u8 msix_count;    /* vectors */
    u8 config[256];   /* what the guest sees */
    u8 initial[256];  /* config[] after reset */
    u8 writable[256]; /* bits the guest may write */
    struct pci_bar bars[6];
    u32 msix_table[4 * PCI_MSIX_MAX]; /* address low, high, data, control */
    u64 msix_pending;                 /* the PBA */
    struct msi_source *msix_source;   /* by vector; NULL: the machine's sink binds none */
};

/* Fields of a struct pci_function for a device's state table; m: its path inside type. */
#define PCI_FUNCTION_STATE(type, m)                                                                          \
    STATE_ARRAY(type, m.config), STATE_ARRAY(type, m.msix_table), STATE_FIELD(type, m.msix_pending)

/* Sets f up (zeroed by the caller) as function `devfn` of the bus. -1: the place is taken. */
int must_check pci_function_init(struct pci_function *f, const struct dev_class *class,
                                 const struct dev_env *env, struct pci_bus *bus, u8 devfn,
                                 const struct pci_ident *id, const struct pci_function_ops *ops,
                                 struct err *err);
void pci_function_fini(struct pci_function *f);
void pci_function_reset(struct pci_function *f);
/* After loading: forgets what the guest cannot have written and maps the BARs. */
void pci_function_loaded(struct pci_function *f);

/* Construction only. opaque: what ops get; they run under f's lock. */
void pci_add_bar(struct pci_function *f, unsigned n, u64 size, bool io, bool is64,
                 const struct region_ops *ops, void *opaque);
/* Adds a capability; body follows id and next. Returns its offset. */
u8 pci_add_cap(struct pci_function *f, u8 id, const void *body, unsigned len);
/* MSI-X with `count` vectors, table and PBA in a 4 KiB memory BAR of its own. */
void pci_add_msix(struct pci_function *f, unsigned bar, unsigned count);

/* With f's lock held. */
bool pci_bus_master(const struct pci_function *f);
bool pci_msix_enabled(const struct pci_function *f);
void pci_msix_raise(struct pci_function *f, unsigned vector); /* out of range: nothing */
void pci_intx_set(struct pci_function *f, int level);

#endif
