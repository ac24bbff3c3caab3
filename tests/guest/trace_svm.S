/* SPDX-License-Identifier: MIT */
/*
 * For tests/system/trace.sh: 7 CPUID exits, a nested page fault at 400008H (the entry of the third level is 0), VMMCALL,
 * an entry refused for EFER.SVME, and a VMRUN of no page, which is #GP.
 */
#define MULTIBOOT
#include "svm.inc"
#include "trace.inc"

main64:
    call svm_start
    call npt_start
    movq $0, NPT2 + 16
    orl $BIT3(0x72), CTL_I3
    movq $guest_code, SAVE_RIP
    movq $L2STACK, SAVE_RSP
    mov $7, %r12d
    xor %r13d, %r13d
next:
    mov $VMCB, %eax
    vmrun
    cmpq $0x72, CTL_CODE
    jne 1f
    inc %r13d
    mov CTL_NRIP, %rax
    mov %rax, SAVE_RIP
    jmp next
1:  cmpq $0x400, CTL_CODE
    CHECK(1, je)
    movq $0x400087, NPT2 + 16
    GO(2, VMMCALL)
    andl $~0x1000, SAVE_EFER
    GO(3, -1)
    EXPECT(4, 13, 0, mov $VMCB + 8, %eax; vmrun)
    jmp trace_end

guest_code:
    cpuid
    dec %r12d
    jnz guest_code
    mov TEST_PAGES + 8, %eax
    vmmcall
    FAIL(119)
