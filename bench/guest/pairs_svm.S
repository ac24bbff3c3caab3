/* SPDX-License-Identifier: MIT */
/* VMRUN and #VMEXIT by VMMCALL, 100,000 times between two marks; the first mark is its first act. */
#define MULTIBOOT
#include "svm.inc"
#include "put.inc"

main64:
    mov $'i', %al
    call mark
    call svm_start
    movq $guest_code, SAVE_RIP
    movq $L2STACK, SAVE_RSP
again:
    mov $'b', %al
    call mark
    mov $PAIRS, %r12d
1:  mov $VMCB, %eax
    vmrun
    dec %r12d
    jnz 1b
    mov $'e', %al
    call mark
    jmp again

guest_code:
    vmmcall
    ud2
