/* SPDX-License-Identifier: MIT */
/* VMRUN and #VMEXIT by VMMCALL, 100,000 times between two marks; the first mark is its first act. */
#define MULTIBOOT
#define ENTER mov $VMCB, %eax; vmrun
#include "svm.inc"
#include "pairs.inc"

main64:
    mov $'i', %al
    call mark
    call svm_start
    movq $guest_code, SAVE_RIP
    movq $L2STACK, SAVE_RSP
    pairs

guest_code:
    vmmcall
    ud2
