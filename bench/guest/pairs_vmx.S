/* SPDX-License-Identifier: MIT */
/* VMRESUME and the exit of VMCALL, 100,000 times between two marks; the first mark is its first act. */
#define MULTIBOOT
#include "guest.inc"
#include "vmx.inc"
#include "put.inc"

main64:
    mov $'i', %al
    call mark
    call vmx_setup
    AT(guest_code)
    call vmx_run
again:
    mov $'b', %al
    call mark
    mov $PAIRS, %r12d
1:  call vmx_run
    dec %r12d
    jnz 1b
    mov $'e', %al
    call mark
    jmp again

guest_code:
    vmcall
    ud2
