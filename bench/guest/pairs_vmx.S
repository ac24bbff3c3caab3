/* SPDX-License-Identifier: MIT */
/*
 * VMRESUME and the exit of VMCALL, 100,000 times between two marks; the first mark is its first act. As for VMRUN the
 * guest's translations have a tag of their own, and the host's stack and way on are set once: the loop is crossings
 * alone, and stores nothing beside its code.
 */
#define MULTIBOOT
#define ENTER vmresume; jmp vmx_bad; pair_left:
#include "guest.inc"
#include "vmx.inc"
#include "pairs.inc"

main64:
    mov $'i', %al
    call mark
    call vmx_setup
    CTL(PROC, 0x48e, 0x80000000)
    CTL(PROC2, 0x48b, 0x20)
    VMW(0x0000, 1) /* VPID */
    AT(guest_code)
    call vmx_run
    mov $pair_left, %eax
    VMWR(0x6c16, %rax)
    mov $0x6c14, %edx
    vmwrite %rsp, %rdx
    pairs

guest_code:
    vmcall
    ud2
