/* SPDX-License-Identifier: MIT */
/*
 * The task-switch intercept: a guest in 32-bit protected mode asks for another task in every way there is; what is checked
 * before the exit; and #GP where nobody intercepts. APM 2 15.14.1; SDM 3A table 7-1
 */
#include "svm.inc"

#define TASK   0x7d
#define TSS32  0x18 /* available */
#define BUSY   0x20
#define GATE   0x28 /* to TSS32 */
#define SHORT  0x30
#define ABSENT32 0x38
#define CODE32 0x08
#define NP_GATE 0x40

#define L2(id, code, ...)                                                                                              \
    jmp 775f; .code32; 774: __VA_ARGS__; vmmcall; ud2; .code64; 775: movq $774b, SAVE_RIP; movq $L2STACK, SAVE_RSP;    \
    movq $2, SAVE_RFLAGS; GO(id, code)
/* EXITINFO1 and 2, EXITINTINFO, and nRIP behind the instruction or 0. */
#define WANT(id, info1, info2, intinfo)                                                                                \
    INFO1(id, info1); INFO2(id, info2); movabs $(intinfo), %rax; cmp %rax, CTL_INTINFO; CHECK(id, je)

main64:
    call svm_start
    orl $BIT3(TASK), CTL_I3
    movl $1 << 10 | 1 << 11 | 1 << 13, CTL_EXC
    movq $0x11, SAVE_CR0
    movq $0, SAVE_CR4
    movq $0x1000, SAVE_EFER
    movl $0x0c9b0000 + CODE32, VMCB + 0x410
    movq $gdt32, VMCB + 0x468
    movl $0x47, VMCB + 0x464
    movl $0x1ff, VMCB + 0x484
    movq $idt32, VMCB + 0x488
    movl $0x008b0000 + BUSY, VMCB + 0x490
    movl $0x67, VMCB + 0x494
    movq $tss32, VMCB + 0x498

    L2(1, TASK, ljmp $TSS32, $0; 10:)
    WANT(2, TSS32, 1 << 38, 0)
    cmpq $10b, CTL_NRIP
    CHECK(3, je)
    L2(4, TASK, lcall $TSS32, $0; 10:)
    WANT(5, TSS32, 0, 0)
    cmpq $10b, CTL_NRIP
    CHECK(6, je)
    L2(7, TASK, lcall $GATE, $0)
    WANT(8, TSS32, 0, 0)
    L2(9, TASK, ljmp *pointer)
    WANT(10, TSS32, 1 << 38, 0)
    /* IRET goes to the task that TR's TSS links to, which must be busy. TR is VMLOAD's. */
    mov $VMCB2, %eax
    vmsave
    mov $VMCB, %eax
    vmload
    movw $BUSY, tss32
    L2(11, TASK, pushfl; orl $0x4000, (%esp); popfl; iret)
    WANT(12, BUSY, 1 << 36, 0)
    movw $TSS32, tss32
    L2(13, 0x4a, pushfl; orl $0x4000, (%esp); popfl; iret)
    INFO1(14, TSS32)
    mov $VMCB2, %eax
    vmload

    /* INT n and an exception through a task gate: the event is in EXITINTINFO, its error code in EXITINFO2. */
    L2(15, TASK, int $0x30; 10:)
    WANT(16, TSS32, 0, 0x80000430)
    cmpq $10b, CTL_NRIP
    CHECK(17, je)
    movl $1 << 10 | 1 << 11, CTL_EXC
    L2(18, TASK, mov $0x1234, %eax; 10: mov %eax, %fs)
    WANT(19, TSS32, 1 << 48 | 1 << 44 | 0x1234, 0x123480000b0d)
    cmpq $10b, SAVE_RIP
    CHECK(20, je)
    cmpq $0, CTL_NRIP
    CHECK(21, je)
    movl $1 << 10 | 1 << 11 | 1 << 13, CTL_EXC
    /* So is an injected one. */
    movl $0x80000030, CTL_INJECT
    L2(22, TASK, ud2)
    WANT(23, TSS32, 0, 0x80000030)
    movq $0, CTL_INJECT

    /* What is wrong with the target comes first. */
    L2(24, 0x4d, ljmp $BUSY, $0)
    INFO1(25, BUSY)
    L2(26, 0x4a, ljmp $SHORT, $0)
    INFO1(27, SHORT)
    L2(28, 0x4b, ljmp $ABSENT32, $0)
    INFO1(29, ABSENT32)
    L2(30, 0x4b, lcall $NP_GATE, $0)
    INFO1(31, NP_GATE)
    L2(32, 0x4d, ljmp $TSS32 | 3, $0)
    INFO1(33, TSS32)
    /* Not intercepted: #GP for the TSS, and for the vector's gate with EXT where the program did not ask. */
    andl $~BIT3(TASK), CTL_I3
    L2(34, 0x4d, ljmp $TSS32, $0)
    INFO1(35, TSS32)
    L2(36, 0x4d, int $0x30)
    INFO1(37, TSS32)
    movl $0x80000030, CTL_INJECT
    L2(38, 0x4d, ud2)
    INFO1(39, TSS32 | 1)
    movq $0, CTL_INJECT
    PASS

    .balign 8
pointer: .long 0
    .word TSS32
    .balign 8
gdt32:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
    .quad 0x0000890000000067, 0x00008b0000000067
    .quad 0x0000850000000000 | TSS32 << 16
    .quad 0x0000890000000066, 0x0000090000000067
    .quad 0x0000050000000000 | TSS32 << 16
tss32: .fill 0x68
    .balign 8
idt32:
    .set vec, 0
    .rept 64
    .if vec == 13 || vec == 0x30
    .quad 0x0000850000000000 | TSS32 << 16
    .else
    .quad 0
    .endif
    .set vec, vec + 1
    .endr
