/* SPDX-License-Identifier: MIT */
/*
 * SMI, INIT and FERR#: intercepted, held back by GIF, redirected; and the lock of VM_CR. APM 2 15.13, 15.14.2, 15.17,
 * 15.28, 15.30.1, 15.31
 */
#include "svm.inc"

#define MSR_VM_CR   0xc0010114
#define MSR_IGNNE   0xc0010115
#define MSR_SVM_KEY 0xc0010118
#define WRITE(number, low) mov $number, %ecx; mov $low, %eax; xor %edx, %edx; wrmsr
#define READ(number)       mov $number, %ecx; rdmsr

#define FDIV_BY_0 fninit; fldcw zero_divide; fld1; fldz; fdivrp

main64:
    call svm_start
    orl $BIT3(0x62) | BIT3(0x63) | BIT3(0x7e), CTL_I3

    /* An SMI leaves when GIF is set: whoever clears it holds it back. It is nobody's once the host has GIF set. */
    RUN(1, 0x62, out %al, $0xf8; nop; ud2)
    stgi
    nop
    RUN(2, VMMCALL, nop)
    RUN(3, 0x62, clgi; out %al, $0xf8; nop; mov $5, %ebx; stgi; nop; ud2)
    cmp $5, %ebx
    CHECK(4, je)
    stgi
    nop
    out %al, $0xf8
    nop
    clgi
    RUN(5, VMMCALL, nop)
    clgi
    out %al, $0xf8
    RUN(6, 0x62, nop; ud2)
    stgi
    nop
    /* A halted guest wakes to it. */
    RUN(7, 0x62, clgi; out %al, $0xf8; sti; hlt_open: stgi; hlt; ud2)
    movq $2, SAVE_RFLAGS
    stgi
    nop
    andl $~BIT3(0x62), CTL_I3
    RUN(8, VMMCALL, out %al, $0xf8; nop)

    /* INIT leaves too, and waits for the host's STGI: redirected, it is #SX with error code 1. */
    stgi
    WRITE(MSR_VM_CR, 2)
    clgi
    RUN(9, 0x63, out %al, $0xf9; nop; ud2)
    EXPECT(10, 30, 1, stgi; nop)
    stgi
    EXPECT(11, 30, 1, out %al, $0xf9; nop)
    /* ... also in a guest whose hypervisor does not ask for INIT, and as an exception to be intercepted. */
    andl $~BIT3(0x63), CTL_I3
    movl $1 << 30, CTL_EXC
    RUN(12, 0x5e, out %al, $0xf9; nop; ud2)
    INFO1(13, 1)
    movl $0, CTL_EXC

    /* An x87 error that no vector 16 tells: FERR# freezes, at the instruction that would wait. */
    stgi
    mov %cr0, %rax
    and $~0x2e, %eax /* NE, TS, EM, MP */
    mov %rax, SAVE_CR0
    RUN(14, 0x7e, FDIV_BY_0; wait_here: fwait; ud2)
    cmpq $wait_here, SAVE_RIP
    CHECK(15, je)
    WRITE(MSR_IGNNE, 1)
    RUN(16, VMMCALL, FDIV_BY_0; fwait)
    WRITE(MSR_IGNNE, 0)
    andl $~BIT3(0x7e), CTL_I3
    RUN(17, VMMCALL, FDIV_BY_0; fwait)
    orl $BIT3(0x7e), CTL_I3
    mov %cr0, %rax
    or $0x20, %eax
    mov %rax, SAVE_CR0
    movl $1 << 16, CTL_EXC
    RUN(18, 0x50, FDIV_BY_0; fwait; ud2)
    movl $0, CTL_EXC
    fninit

    /* VM_CR: SVMDIS only while SVM is off; LOCK keeps both, and the key opens. */
    stgi
    mov $MSR_VM_CR, %ecx
    mov $0x10, %eax
    EXPECT(19, 13, 0, xor %edx, %edx; mov $0x10, %eax; mov $MSR_VM_CR, %ecx; wrmsr)
    WRITE(MSR_SVM_KEY, 0x1234)
    WRITE(MSR_VM_CR, 8)
    WRITE(MSR_VM_CR, 2)
    READ(MSR_VM_CR)
    cmp $10, %eax
    CHECK(20, je)
    WRITE(MSR_SVM_KEY, 0x1235)
    READ(MSR_VM_CR)
    cmp $10, %eax
    CHECK(21, je)
    READ(MSR_SVM_KEY)
    test %eax, %eax
    CHECK(22, jz)
    WRITE(MSR_SVM_KEY, 0x1234)
    READ(MSR_VM_CR)
    cmp $2, %eax
    CHECK(23, je)
    /* Disabled: EFER.SVME cannot be set. */
    READ(0xc0000080)
    and $~0x1000, %eax
    mov $0xc0000080, %ecx
    wrmsr
    WRITE(MSR_VM_CR, 0x10)
    READ(0xc0000080)
    EXPECT(24, 13, 0, mov $0xc0000080, %ecx; rdmsr; or $0x1000, %eax; wrmsr)
    PASS

    .balign 2
zero_divide: .word 0x37b
