/* SPDX-License-Identifier: MIT */
/* A fault while the double fault is delivered shuts the processor down. */
#include "guest.inc"

main64:
    movw $0x0e00, idt + 13 * 16 + 4
    movw $0x0e00, idt + 8 * 16 + 4
    mov $0x12345, %ecx
    rdmsr
    PASS
