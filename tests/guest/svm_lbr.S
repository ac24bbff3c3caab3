/* SPDX-License-Identifier: MIT */
/*
 * Last-branch recording (APM 2 13.1.1) and its exchange by VMRUN and #VMEXIT (15.23): what a branch is, what an
 * exception keeps aside, what #DB ends, and that neither side sees the other's record unless they share one.
 */
#include "svm.inc"

#define SAVE_DEBUGCTL VMCB + 0x670
#define SAVE_FROM     VMCB + 0x678
#define SAVE_TO       VMCB + 0x680
#define SAVE_INTFROM  VMCB + 0x688
#define SAVE_INTTO    VMCB + 0x690

#define DEBUGCTL(v)  mov $0x1d9, %ecx; mov $v, %eax; xor %edx, %edx; wrmsr
#define LBR_OFF      DEBUGCTL(0)
#define READ(number) mov $number, %ecx; rdmsr
#define IS(id, number, value) READ(number); cmp $value, %eax; CHECK(id, je); test %edx, %edx; CHECK(id, jz)
/* The last branch went from `from` to `to`. */
#define LAST(id, from, to) LBR_OFF; IS(id, 0x1db, from); IS(id, 0x1dc, to)

main64:
    call svm_start
    /* Each kind of branch; what falls through is none, and one to the next instruction counts when it is taken. */
    DEBUGCTL(1)
10: jmp 11f
    nop
11: LAST(1, 10b, 11b)
    DEBUGCTL(1)
    xor %eax, %eax
10: jz 11f
11: jnz 12f
12: LAST(2, 10b, 11b)
    DEBUGCTL(1)
    mov $2, %ecx
10: loop 10b
11: LAST(3, 10b, 10b)
    DEBUGCTL(1)
10: call 11f
11: pop %rbx
    LAST(4, 10b, 11b)
    DEBUGCTL(1)
    push $11f
10: ret
11: LAST(5, 10b, 11b)
    DEBUGCTL(1)
    pushq $KCODE
    push $11f
10: lretq
11: LAST(6, 10b, 11b)
    /* They cannot be written. */
    mov $0x1db, %ecx
    EXPECT(7, 13, 0, wrmsr)

    /* An exception goes from its instruction to the handler and keeps the branch before it aside; the handler's IRET is
     * a branch again. */
    DEBUGCTL(1)
10: jmp 11f
11: nop
    int3
12: LBR_OFF
    IS(8, 0x1dd, 10b)
    IS(9, 0x1de, 11b)
    IS(10, 0x1dc, 12b)
    /* #DB ends recording and leaves the record as it is. */
    movq $0, exc_count
    pushfq
    DEBUGCTL(1)
10: jmp 11f
11: pushfq
    orl $0x100, (%rsp)
    popfq
    nop
    popfq
    IS(11, 0x1d9, 0)
    IS(12, 0x1db, 10b)
    IS(13, 0x1dc, 11b)
    cmpq $0, exc_count
    CHECK(14, jne)

    /* One record for host and guest. */
    DEBUGCTL(1)
    RUN(15, VMMCALL, 20: jmp 21f; 21:)
    IS(16, 0x1d9, 1)
    LBR_OFF
    READ(0x1db)
    mov %eax, %ebx /* GO's own jump came last */
    /* Virtual: the guest's comes from the VMCB and goes there, the host's comes back. */
    movl $1, CTL_EXT
    movl $1, SAVE_DEBUGCTL
    movl $0x1111, SAVE_FROM
    movl $0x2222, SAVE_TO
    movl $0x3333, SAVE_INTFROM
    movl $0x4444, SAVE_INTTO
    RUN(17, VMMCALL, READ(0x1db); mov %eax, %esi; READ(0x1dc); mov %eax, %edi; READ(0x1dd); mov %eax, %ebp; READ(0x1de); mov %eax, %r8d; 30: jmp 31f; 31:)
    cmp $0x1111, %esi
    CHECK(18, je)
    cmp $0x2222, %edi
    CHECK(19, je)
    cmp $0x3333, %ebp
    CHECK(20, je)
    cmp $0x4444, %r8d
    CHECK(21, je)
    cmpq $30b, SAVE_FROM
    CHECK(22, je)
    cmpq $31b, SAVE_TO
    CHECK(23, je)
    cmpq $1, SAVE_DEBUGCTL
    CHECK(24, je)
    READ(0x1db)
    cmp %ebx, %eax
    CHECK(25, je)
    IS(26, 0x1d9, 0)
    /* The host's recording goes on behind the guest that does not. */
    movl $0, SAVE_DEBUGCTL
    movl $0x1111, SAVE_FROM
    DEBUGCTL(1)
    RUN(27, VMMCALL, 40: jmp 41f; 41:)
    IS(28, 0x1d9, 1)
    LBR_OFF
    cmpq $0x1111, SAVE_FROM
    CHECK(29, je)
    /* Reserved bits of the VMCB's DEBUGCTL do not reach the register. */
    movl $0xff00, SAVE_DEBUGCTL
    RUN(30, VMMCALL, READ(0x1d9); mov %eax, %ebx)
    test %ebx, %ebx
    CHECK(31, jz)
    PASS
