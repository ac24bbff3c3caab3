/* SPDX-License-Identifier: MIT */
/* SVM on and off, VMRUN and #VMEXIT, what either saves, VMLOAD and VMSAVE, GIF. APM 2 15.4-15.6, 15.17 */
#include "svm.inc"

main64:
    EXPECT(1, 6, NO_ERROR, mov $VMCB, %eax; vmrun)
    EXPECT(2, 6, NO_ERROR, stgi)
    call svm_start
    /* What CPUID says. */
    mov $0x8000000a, %eax
    cpuid
    cmp $1, %eax
    CHECK(3, je)
    test $1, %edx
    CHECK(4, jnz)
    mov $0x80000001, %eax
    cpuid
    test $4, %ecx
    CHECK(5, jnz)
    EXPECT(6, 13, 0, mov $VMCB + 8, %eax; vmrun)
    EXPECT(7, 13, 0, movabs $0x1000000000000, %rax; vmrun)
    EXPECT(8, 13, 0, movabs $0x0000800000000000, %rax; vmrun)
    EXPECT(9, 13, 0, mov $0xc0010117, %ecx; mov $8, %eax; xor %edx, %edx; wrmsr)
    EXPECT(10, 6, NO_ERROR, skinit)

    /* There and back. */
    movq $-1, CTL_NCR3 /* without nested paging it may hold anything, in a saved state too */
    mov $0x1234, %ebx
    RUN(11, VMMCALL, lea 1(%rbx), %rbx; mov $0x77, %eax)
    cmp $0x1235, %rbx
    CHECK(12, je)
    cmpq $0x77, SAVE_RAX
    CHECK(13, je)
    mov SAVE_RIP, %rax
    cmpw $0x010f, (%rax) /* 0F 01 D9: its own address, nRIP the next one's */
    CHECK(14, je)
    add $3, %rax
    cmp %rax, CTL_NRIP
    CHECK(15, je)
    cmpq $L2STACK, SAVE_RSP
    CHECK(16, je)
    /* Guest CR2, DR6 stay; control registers, tables and flags are the host's again. */
    mov $0x3333, %eax
    mov %rax, %cr2
    movq $0x4444, SAVE_CR2
    RUN(17, VMMCALL, mov %cr2, %rbx; mov $0x5000, %eax; mov %rax, %cr2; std)
    cmp $0x4444, %rbx
    CHECK(18, je)
    cmpq $0x5000, SAVE_CR2
    CHECK(19, je)
    testq $0x400, SAVE_RFLAGS
    CHECK(20, jnz)
    pushf
    testq $0x400, (%rsp)
    CHECK(21, jz)
    pop %rax
    movq $2, SAVE_RFLAGS
    mov %dr7, %rax
    cmp $0x400, %rax
    CHECK(22, je)
    /* TSC offset */
    movabs $0x123400000000, %rax
    mov %rax, CTL_TSC
    RUN(23, VMMCALL, rdtsc; mov %edx, %ebx)
    cmp $0x1234, %ebx
    CHECK(24, jae)
    rdtsc
    cmp $0x1234, %edx
    CHECK(25, jb)

    /* VMSAVE, VMLOAD */
    mov $0xc0000102, %ecx
    mov $0x55, %eax
    xor %edx, %edx
    wrmsr
    mov $VMCB2, %eax
    vmsave
    cmpq $0x55, VMCB2 + 0x620
    CHECK(26, je)
    cmpw $TSS_SEL, VMCB2 + 0x490
    CHECK(27, je)
    movq $0x66, VMCB2 + 0x620
    movabs $0x1234567890ab, %rbx
    mov %rbx, VMCB2 + 0x448
    mov $VMCB2, %eax
    vmload
    mov $0xc0000102, %ecx
    rdmsr
    cmp $0x66, %eax
    CHECK(28, je)
    mov $0xc0000100, %ecx
    rdmsr
    cmp $0x567890ab, %eax
    CHECK(29, je)
    str %ax
    cmp $TSS_SEL, %ax
    CHECK(30, je)
    movabs $0xffff000000001000, %rbx /* bases are made canonical */
    mov %rbx, VMCB2 + 0x448
    mov $VMCB2, %eax
    vmload
    mov $0xc0000100, %ecx
    rdmsr
    test %edx, %edx
    CHECK(31, jz)

    /* #VMEXIT clears GIF: an NMI waits for STGI. */
    movq $0, exc_count
    RUN(32, VMMCALL, nop)
    out %al, $0xf6
    nop
    nop
    cmpq $0, exc_count
    CHECK(33, je)
    stgi
    nop
    cmpq $1, exc_count
    CHECK(34, je)
    cmpq $2, exc_vector
    CHECK(35, je)

    /* The virtual GIF is not the real one. */
    movl $0x02000200, CTL_VINTR
    RUN(36, VMMCALL, clgi)
    testl $0x200, CTL_VINTR
    CHECK(37, jz)
    RUN(38, VMMCALL, stgi)
    testl $0x200, CTL_VINTR
    CHECK(39, jnz)
    movl $0, CTL_VINTR

    /* Paged real mode, which only VMRUN enters: 4K pages of 32-bit tables, 60000H leading to 61000H. APM 2 15.19 */
    mov $0x331000, %edi
    xor %ebx, %ebx
1:  mov %ebx, %edx
    shl $12, %edx
    or $3, %edx
    mov %edx, (%rdi, %rbx, 4)
    inc %ebx
    cmp $1024, %ebx
    jb 1b
    movl $0x61003, 0x331000 + 0x60 * 4
    movl $0x331003, 0x330000
    movl $0x5aa5, 0x61000
    call svm_fill
    mov $0x80000010, %eax
    mov %rax, SAVE_CR0
    movq $0x330000, SAVE_CR3
    movq $0, SAVE_CR4
    movq $0x1000, SAVE_EFER
    movl $0x009b0000, VMCB + 0x410
    movl $0xffff, VMCB + 0x414
    movl $0x00936000, VMCB + 0x430 /* DS */
    movl $0xffff, VMCB + 0x434
    movl $0x60000, VMCB + 0x438
    movq $paged_real, SAVE_RIP
    GO(44, VMMCALL)
    cmpw $0x5aa5, SAVE_RAX
    CHECK(45, je)
    call svm_fill

    /* EFER.SVME cannot go while VM_CR says so, nor come. */
    mov $0xc0010114, %ecx
    EXPECT(40, 13, 0, mov $0x10, %eax; xor %edx, %edx; wrmsr)
    stgi
    mov $0xc0000080, %ecx
    rdmsr
    and $~0x1000, %eax
    wrmsr
    EXPECT(41, 6, NO_ERROR, clgi)
    mov $0xc0010114, %ecx
    mov $0x18, %eax
    xor %edx, %edx
    wrmsr
    EXPECT(42, 13, 0, mov $0xc0000080, %ecx; rdmsr; or $0x1000, %eax; wrmsr)
    mov $0xc0010114, %ecx
    xor %eax, %eax
    xor %edx, %edx
    wrmsr
    rdmsr
    cmp $0x18, %eax
    CHECK(43, je)

    PASS

    .code16
paged_real:
    mov 0, %ax
    .rept 12
    nop
    .endr
    vmmcall
    .code64
