/* SPDX-License-Identifier: MIT */
/* Permission to use I/O ports, for the instructions and for whoever intercepts them. SDM 1 19.5 */
#ifndef CPU_PORTIO_H
#define CPU_PORTIO_H

#include "cpu/cpu.h"

/* DONE when the current privilege may use the ports, else #GP or what reading the bitmap met. */
enum outcome port_permitted(struct cpu *c, u16 port, unsigned size);

#endif
