/* SPDX-License-Identifier: MIT */
/* No IDT: an exception becomes a triple fault, which the runner expects. */
#include "guest.inc"

main64:
    lidt empty
    ud2
    PASS
empty:
    .word 0
    .quad 0
