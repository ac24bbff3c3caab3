/* SPDX-License-Identifier: MIT */
/* pci-testdev (1b36:0005), which hypervisor test suites write to in order to count or time exits. */
#ifndef DEV_PCI_PCI_TESTDEV_H
#define DEV_PCI_PCI_TESTDEV_H

#include "dev/pci/pci.h"

struct dev *pci_testdev_new(const struct dev_env *env, struct pci_bus *bus, unsigned slot, struct err *err);

#endif
