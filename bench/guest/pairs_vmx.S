/* SPDX-License-Identifier: MIT */
/* VMRESUME and the exit of VMCALL, 100,000 times between two marks; the first mark is its first act. */
#define MULTIBOOT
#define ENTER call vmx_run
#include "guest.inc"
#include "vmx.inc"
#include "pairs.inc"

main64:
    mov $'i', %al
    call mark
    call vmx_setup
    AT(guest_code)
    call vmx_run
    pairs

guest_code:
    vmcall
    ud2
