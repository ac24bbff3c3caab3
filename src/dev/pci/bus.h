/* SPDX-License-Identifier: MIT */
/* What the parts of dev/pci/ know of the bus. Private to the folder. */
#ifndef DEV_PCI_BUS_H
#define DEV_PCI_BUS_H

#include "dev/pci/pci.h"

struct pci_bus {
    struct dev dev; /* first */
    struct pci_host_config cfg;
    struct pci_function *function[256]; /* by devfn; set at construction only */
    pthread_mutex_t wire_lock;          /* of the two below; innermost but for the interrupt controller */
    u32 wire_count[4];                  /* functions that drive the wire */
    u64 ecam;                           /* where ECAM is mapped; 0: not decoded */
    u32 address;                        /* port 0xcf8 */
    u8 reset_control;                   /* port 0xcf9 */
};

int pci_bus_attach(struct pci_bus *bus, struct pci_function *f);
void pci_bus_detach(struct pci_bus *bus, struct pci_function *f);
/* Moves ECAM (0: switches it off); an address that something else decodes switches it off. */
void pci_bus_move_ecam(struct pci_bus *bus, u64 base);
/* BARs of functions other than `by` that found their address taken are tried again. Within a configuration
 * access, so with the bus's lock held, or with the machine standing still: no two threads hold two functions'
 * locks. */
void pci_bus_addresses_freed(struct pci_bus *bus, const struct pci_function *by);
unsigned pci_wire_of(const struct pci_function *f);
void pci_wire_drive(struct pci_function *f, int level);

/* One access of 1, 2 or 4 bytes inside one dword of the function's 256 bytes; f's lock held. */
u32 pci_function_config_read(struct pci_function *f, unsigned off, unsigned size);
void pci_function_config_write(struct pci_function *f, unsigned off, unsigned size, u32 value);
/* Some BAR should be decoded and is not; and: decode what can be. f's lock held for the latter. */
bool pci_function_waits(const struct pci_function *f);
void pci_function_map(struct pci_function *f);
/* MSI-X: the control word was written. */
void pci_msix_control_written(struct pci_function *f);
void pci_msix_fini(struct pci_function *f);

#endif
