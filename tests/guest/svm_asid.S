/* SPDX-License-Identifier: MIT */
/*
 * ASIDs: what TLB_CONTROL 1, 3 and 7 and INVLPGA forget, and two processors that run guests with the same ASID number,
 * which names an address space on its own processor only. APM 2 15.16
 *
 * The guest page at `PAGE` leads to another frame each time; frame n holds n. The second processor uses the structures
 * of svm.inc once more, SECOND bytes further.
 */
#include "svm.inc"

#define PAGE   0x180000
#define PTE    NPT1 + (PAGE >> 12) * 8
#define FRAMES 0x500000 /* 4 of them */
#define SECOND 0x20000
#define ROUNDS 3000

/* The page leads to frame n, and a guest that runs now sees it. */
#define MAP(n)        movl $FRAMES + (n) * 0x1000 + 7, PTE
#define SEES(id, n)   RUN(id, VMMCALL, mov PAGE, %ecx); cmp $n, %ecx; CHECK(id, je)

main64:
    call svm_start
    call npt_start
    xor %ecx, %ecx
1:  mov %ecx, %eax
    shl $12, %eax
    mov %ecx, FRAMES(%rax)
    inc %ecx
    cmp $4, %ecx
    jb 1b

    /* Each kind of flush shows the new frame. */
    MAP(0)
    movb $1, CTL_TLB
    SEES(1, 0)
    MAP(1)
    movb $3, CTL_TLB
    SEES(2, 1)
    MAP(2)
    movb $7, CTL_TLB
    SEES(3, 2)
    MAP(3)
    movb $1, CTL_TLB
    SEES(4, 3)
    movb $0, CTL_TLB
    SEES(5, 3)
    /* INVLPGA of a guest's linear address. */
    MAP(1)
    mov $PAGE, %eax
    mov $1, %ecx
    invlpga
    SEES(6, 1)
    /* An ASID that has not run since the flush of all knows nothing, and one flush of another leaves it its own. */
    MAP(2)
    movl $2, CTL_ASID
    SEES(7, 2)
    movl $1, CTL_ASID
    movb $3, CTL_TLB
    SEES(8, 2)
    movb $0, CTL_TLB
    movl $2, CTL_ASID
    SEES(9, 2)
    movl $1, CTL_ASID

    /* Without nested paging the guest's own tables change under it. */
    movq $0, CTL_NP
    movl $FRAMES + 7, PT_TEST
    movb $3, CTL_TLB
    RUN(10, VMMCALL, movabs TEST_PAGES, %eax; mov %eax, %ebx)
    test %ebx, %ebx
    CHECK(11, jz)
    movl $FRAMES + 0x1000 + 7, PT_TEST
    movb $0, CTL_TLB
    mov $TEST_PAGES, %eax
    mov $1, %ecx
    invlpga
    RUN(12, VMMCALL, movabs TEST_PAGES, %eax; mov %eax, %ebx)
    cmp $1, %ebx
    CHECK(13, je)
    movq $1, CTL_NP

    /* The second processor's VMCB, tables and frames. */
    mov $VMCB, %esi
    mov $VMCB + SECOND, %edi
    mov $0x20000 / 8, %ecx
    rep movsq
    addl $SECOND, NPT4 + SECOND
    addl $SECOND, NPT3 + SECOND
    addl $SECOND, NPT2 + SECOND
    addl $SECOND, CTL_NCR3 + SECOND
    xor %ebx, %ebx
    out %al, $0xfa
    mov %ebx, %r12d /* 0 or 1 */
    mov %ebx, %r13d
    imul $SECOND, %r13d, %r13d
    test %ebx, %ebx
    jz 1f
    mov $0x60000, %esp
    mov $0xc0010117, %ecx
    mov $HSAVE + SECOND, %eax
    xor %edx, %edx
    wrmsr
    /* Frames by turns, two for each: this round's must be seen, whatever the other flushes or runs. */
1:  mov $ROUNDS, %r14d
round:
    mov %r14d, %r15d
    and $1, %r15d
    lea (%r15, %r12, 2), %r15d
    mov %r15d, %eax
    shl $12, %eax
    add $FRAMES + 7, %eax
    mov %eax, PTE(%r13)
    mov %r14d, %ecx
    shr $1, %ecx
    and $3, %ecx
    mov controls(%rcx), %al
    mov %al, CTL_TLB(%r13)
    movq $reads, SAVE_RIP(%r13)
    lea VMCB(%r13), %rax
    clgi
    vmrun
    cmpq $VMMCALL, CTL_CODE(%r13)
    CHECK(14, je)
    cmp %r15d, %ecx
    CHECK(15, je)
    /* Once more, from the TLB. */
    movb $0, CTL_TLB(%r13)
    movq $reads, SAVE_RIP(%r13)
    lea VMCB(%r13), %rax
    xor %ecx, %ecx
    vmrun
    cmp %r15d, %ecx
    CHECK(16, je)
    dec %r14d
    jnz round
    test %r12d, %r12d
    jz 2f
    movl $1, done
1:  cli
    hlt
    jmp 1b
2:  pause
    cmpl $0, done
    jz 2b
    PASS

reads:
    mov PAGE, %ecx
    vmmcall

    .balign 4
done:     .long 0
controls: .byte 1, 3, 7, 3
